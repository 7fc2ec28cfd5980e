"""`preprocess`: how an image becomes an input, as a spec declares it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, cast

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import show
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.spec.data import Entry, Map, plain
from netspec.spec.messages import kind_of
from netspec.spec.model import PreprocessOutline, check, place
from netspec.types import Tensor

IMAGES = (1, 3)
"""How many channels an image may have."""
LARGEST_SIDE = 16_384
"""How high or wide an image may become: a spec from elsewhere must not fill the memory."""


@dataclass(slots=True)
class PreprocessDefinition:
    """How an image becomes one input, as a spec declares it."""

    value: Preprocess
    key_span: Span
    data: Map


def read_preprocess(
    entries: Mapping[str, Entry], inputs: Collection[str], findings: Findings
) -> dict[str, PreprocessDefinition]:
    """`{image: {resize: 256, mean: 0.5, std: 0.5}}`: for inputs by their names."""
    found: dict[str, PreprocessDefinition] = {}
    for name, entry in entries.items():
        try:
            if name not in inputs:
                help = closest(name, inputs) or f"it has {choices(inputs)}"
                fail("NS209", f"there is no input `{name}`", entry.key_span, help=help)
            found[name] = _preprocess(name, entry)
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return found


def check_preprocess(name: str, type: Tensor, definition: PreprocessDefinition) -> None:
    """Refuse what does not fit the type of its input."""
    channels = type.shape[1] if type.rank == 4 else None
    if channels not in IMAGES or not type.dtype.endswith(("float16", "float32", "float64")):
        what = f"`preprocess` is for images, N x 3 x H x W or N x 1 x H x W, and `{name}` is {type}"
        fail("NS206", what, definition.key_span)
    for key, given in (("mean", definition.value.mean), ("std", definition.value.std)):
        if isinstance(given, tuple) and len(given) != channels:
            message = f"`{key}` has {len(given)} numbers, and `{name}` {channels} channels"
            fail("NS206", message, place(definition.data, (key,)), help="or one number for all")


def _preprocess(name: str, entry: Entry) -> PreprocessDefinition:
    data = entry.value
    if not isinstance(data, Map):
        help = "such as `image: {resize: 256, mean: 0.5, std: 0.5}`"
        fail("NS201", f"`preprocess` of `{name}` is a mapping, not {kind_of(data)}", data.span, help=help)
    outline = check(PreprocessOutline, data, f"`preprocess` of `{name}`")
    wrong = Findings()
    for key in ("resize", "crop"):
        if key in data.entries and not _is_size(getattr(outline, key)):
            value = data.entries[key].value
            message = f"`{key}` is an int from 1 to {LARGEST_SIDE:,}, or [height, width], not {kind_of(value)}"
            wrong.add(Diagnostic("NS206", message, value.span))
    for key in ("mean", "std"):
        if key in data.entries and not _is_numbers(getattr(outline, key), positive=key == "std"):
            value = data.entries[key].value
            number = "a number more than 0" if key == "std" else "a number"
            message = f"`{key}` is {number}, or a list of one for each channel, not {show(plain(value))}"
            wrong.add(Diagnostic("NS206", message, value.span))
    wrong.check()
    return PreprocessDefinition(Preprocess.from_dict(plain(data)), entry.key_span, data)


def _is_size(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(map(_is_side, value))  # pyright: ignore[reportUnknownArgumentType]
    return _is_side(value)


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_SIDE


def _is_numbers(value: Any, *, positive: bool) -> bool:
    values = cast("list[Any]", value if isinstance(value, list) else [value])
    return bool(values) and all(type(v) in (int, float) and isfinite(v) and (v > 0 or not positive) for v in values)
