"""The outline of a spec file: its keys and the kind of value of each, checked by Pydantic."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import bool_hint, show
from netspec.preprocess import Channels, Interpolation
from netspec.source import Span
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.spec.text.yaml_refusals import check_space


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)


class InputOutline(_Strict):
    """An input in its long form."""

    shape: list[Any]
    dtype: Literal["float32", "float64", "float16", "bfloat16", "int64", "int32", "bool"] = "float32"
    nominal: dict[str, int] = {}


class OutputOutline(_Strict):
    """An output in its long form, without `from`: that is a keyword of Python, and is read separately."""

    mode: Literal["train", "inference"] = "inference"


class PreprocessOutline(_Strict):
    """The preprocessing of an image."""

    resize: Any = None
    max_size: Any = None
    crop: Any = None
    interpolation: Interpolation = "bilinear"
    channels: Channels = "rgb"
    rescale: bool = True
    mean: Any = 0.0
    std: Any = 1.0


class BlockOutline(_Strict):
    """A block: parameters, a body, and names for its inputs and outputs where it has several."""

    params: dict[str, Any] = {}
    inputs: list[str] = []
    outputs: dict[str, str] = {}
    body: Any


class NetworkOutline(_Strict):
    """One of several networks of a file."""

    inputs: dict[str, Any]
    body: Any
    outputs: dict[str, Any] = {}
    title: str = ""
    expect: dict[str, Any] = {}
    weights: dict[str, dict[str, Any]] = {}
    preprocess: dict[str, Any] = {}
    labels: dict[str, Any] = {}


OF_ONE_NETWORK = tuple(key for key in NetworkOutline.model_fields if key not in ("body", "title"))
"""The sections that belong inside each network where a file has `networks` and no `network`."""


class WeightsOutline(_Strict):
    """A source of state dicts that fit a network, under `weights`."""

    title: str = ""
    params: dict[str, Any] = {}
    keys: dict[str, str | None] = {}
    prefixes: dict[str, str | None] = {}
    order: list[str] = []
    transposed: list[str] = []


class EmbedOutline(_Strict):
    """The argument of a step `network: {spec: ..., params: ..., outputs: [...]}`."""

    spec: str
    params: dict[str, Any] = {}
    outputs: list[str] = []


class Outline(_Strict):
    """The keys of a spec file. Bodies are left unchecked here; `steps` reads them."""

    netspec: Literal[1]
    name: str
    title: str = ""
    source: str = ""
    extends: str | None = None
    use: list[str] = []
    params: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    blocks: dict[str, Any] = {}
    defaults: dict[str, dict[str, Any]] = {}
    networks: dict[str, dict[str, Any]] = {}
    network: Any = None
    outputs: dict[str, Any] = {}
    expect: dict[str, Any] = {}
    weights: dict[str, dict[str, Any]] = {}
    preprocess: dict[str, Any] = {}
    labels: dict[str, Any] = {}


_RAW = ("network", "body")
_VERSION = "this netspec reads version 1 of the language"
_WRITE_VERSION = "write `netspec: 1`"
_BEGIN = "`netspec show vgg_e` prints a spec to begin from"


def outline(data: Data) -> Outline:
    """Check the keys of a spec. Raises NetspecError with all errors, each at its place."""
    if isinstance(data, Scalar) and isinstance(data.value, str):
        check_space(data.span)
    if not isinstance(data, Map):
        raise NetspecError(
            Diagnostic("NS201", "a spec is a mapping that begins with `netspec: 1`", data.span, help=_BEGIN)
        )
    version = data.entries.get("netspec")
    if version is not None and plain_data(version.value) == 1 and type(plain_data(version.value)) is not int:
        fail("NS201", f"{_VERSION}, not {show(plain_data(version.value))}", version.value.span, help=_WRITE_VERSION)
    return checked_model(Outline, data, "a spec")


_Model = TypeVar("_Model", bound=BaseModel)


def checked_model(model: type[_Model], data: Map, what: str) -> _Model:
    """Validate a mapping as a Pydantic model; `what` is its name in errors.

    Raises NetspecError with all errors, each at its place.
    """
    entries = {key: entry for key, entry in data.entries.items() if key in model.model_fields}
    raw = {key: entry.value if key in _RAW else plain_data(entry.value) for key, entry in entries.items()}
    findings = Findings()
    unknown_entries = (entry for key, entry in data.entries.items() if key not in entries)
    unknown = [_unknown_key(list(model.model_fields), what, entry) for entry in islice(unknown_entries, findings.limit)]
    checked: _Model | None = None
    try:
        checked = model.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False)[: findings.limit]:
            # A misspelt key is reported once: not as missing, too.
            if detail["type"] != "missing" or not any(d.help == _meant(str(detail["loc"][0])) for d in unknown):
                findings.add(_diagnostic(model, data, what, detail))
    for diagnostic in unknown:
        findings.add(diagnostic)
    findings.check()
    assert checked is not None
    return checked


def _unknown_key(known: Sequence[str], what: str, entry: Entry) -> Diagnostic:
    meant = [name for name in _FOREIGN.get(entry.key, ()) if name in known]
    help = _meant(meant[0]) if meant else closest(entry.key, known) or f"it takes {choices(known)}"
    return Diagnostic("NS201", f"{what} has no key `{entry.key}`", entry.key_span, help=help)


def _meant(key: str) -> str:
    return f"did you mean `{key}`?"


_FOREIGN = {
    **dict.fromkeys(("layers", "steps", "modules"), ("network", "body")),
    **dict.fromkeys(("model", "architecture", "body"), ("network",)),
    **dict.fromkeys(("parameters", "args", "arguments", "variables"), ("params",)),
    "network": ("body",),
    "version": ("netspec",),
    "size": ("shape",),
}
"""The names of our keys by those in other formats."""

_EXAMPLES = {
    "name": "as `name: my_network`",
    "params": "such as `params: {width: int, stride: 1}`",
    "inputs": "such as `inputs: {image: [N, 3, 224, 224]}`",
    "shape": "such as `shape: [N, 3, 224, 224]`",
    "nominal": "such as `nominal: {H: 224, W: 224}`",
    "blocks": "such as `blocks: {conv: {params: {width: int}, body: [...]}}`",
    "body": "such as `body: [relu]`",
    "defaults": "such as `defaults: {conv2d: {padding: 1}}`",
    "use": "such as `use: [resnet50, blocks.yaml]`",
    "outputs": "such as `outputs: {logits: fc}`, where `fc` is the name of a step",
    "networks": "such as `networks: {generator: {inputs: {noise: [N, 100]}, body: [linear: 784]}}`",
    "spec": "such as `spec: resnet50`",
    "weights": "such as `weights: {torchvision: {keys: {bn1: norm1}}}`",
    "keys": "such as `keys: {bn1: norm1, layer*.conv: stage*.conv2d}`",
    "prefixes": "such as `prefixes: {blocks.0: stage1, blocks.1: stage2.0}`",
    "transposed": "such as `transposed: [layers.*.mlp]`",
    "expect": "such as `expect: {parameters: 25.6 M}`",
    "preprocess": "such as `preprocess: {image: {resize: 256, mean: 0.5, std: 0.5}}`",
    "labels": "such as `labels: {logits: [cat, dog]}`",
    "rescale": "false leaves pixels from 0 to 255",
}
"""Examples of each key, for the help of errors about it."""

_LISTS = {
    "inputs": "such as `inputs: [left, right]`, the names of the values that enter",
    "outputs": "such as `outputs: [layer3]`, the names of steps there",
}
"""Examples of keys that are lists in a block or beside `spec`; elsewhere they are mappings."""


def _diagnostic(model: type[BaseModel], data: Map, what: str, detail: Any) -> Diagnostic:
    path = [str(part) for part in detail["loc"]]
    key = path[0] if path else ""
    if detail["type"] == "missing":
        help = "begin with `netspec: 1`, the version of the language" if key == "netspec" else _EXAMPLES.get(key, "")
        return Diagnostic("NS201", f"{what} needs `{key}`", data.span, help=help)
    value = detail["input"]
    shown = f", not {show(value)}" if not isinstance(value, dict) and len(show(value)) < 60 else ""
    if key == "netspec":
        return Diagnostic("NS201", f"{_VERSION}{shown}", place_of_keys(data, path), help=_WRITE_VERSION)
    if detail["type"] == "literal_error":
        *words, last = [f"`{word}`" for word in get_args(model.model_fields[key].annotation)]
        return Diagnostic("NS201", f"`{key}` takes {', '.join(words)} or {last}{shown}", place_of_keys(data, path))
    expected = _EXPECTED.get(detail["type"], "another kind of value")
    example = _LISTS.get(key) if detail["type"] == "list_type" else None
    example = example or ("such as `params: {classes: 10}`" if what == "`network`" else _EXAMPLES.get(key, ""))
    help = "put it in quotes" if expected == "text" and isinstance(value, int | float) else example
    help = (bool_hint(value) if detail["type"] == "bool_type" else "") or help
    return Diagnostic("NS201", f"`{'.'.join(path)}` takes {expected}{shown}", place_of_keys(data, path), help=help)


_EXPECTED = {
    "string_type": "text",
    "dict_type": "a mapping",
    "list_type": "a list",
    "int_type": "an int",
    "bool_type": "true or false",
}


def place_of_keys(data: Data, path: Sequence[str]) -> Span:
    """The place of the value at a path of keys and indices, or of the innermost value that exists on it."""
    for part in path:
        if isinstance(data, Map) and part in data.entries:
            data = data.entries[part].value
        elif isinstance(data, Seq) and part.isdigit() and int(part) < len(data.items):
            data = data.items[int(part)]
        else:
            break
    return data.span
