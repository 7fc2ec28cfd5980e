"""Matching of the weights of a state dict with a network's: by name, or by what the spec says of their origin."""

from __future__ import annotations

import json
import shlex
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NoReturn

from netspec.errors import choices, fail
from netspec.expression import show
from netspec.graph.model import Graph
from netspec.graph.walk import needed_keys
from netspec.naming import IDENTIFIER
from netspec.spec.read.weights import WeightSource

_Shape = tuple[int, ...]

_MAX_PREFIXES = 8
_MIN_COMMON = 0.6
"""The part of matrices and kernels, by shape, that two networks share if weights may be those of the other."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a state dict fits a network: `pairs` maps the network's keys to those of the state dict.

    `source` is the origin whose rules made the pairs, None where the keys are the network's own. `differs` are pairs
    whose shapes are not equal; `spare` are keys of the network that may be missing: weights of training outputs, and
    counters. `params` are those that this origin needs otherwise, with both values.
    """

    graph: Graph
    shapes: Mapping[str, _Shape]
    source: WeightSource | None
    prefix: str
    """The beginning of all keys of the state dict, such as `module.`, and was left out of account."""
    written: Mapping[str, Any] | None
    """The parameters of the network that netspec wrote the file for, if it did."""
    pairs: Mapping[str, str]
    differs: Mapping[str, str]
    missing: Sequence[str]
    spare: Sequence[str]
    unused: Sequence[str]
    params: Mapping[str, tuple[Any, Any]]

    @property
    def fits(self) -> bool:
        """Whether the network can be loaded from it whole, and rightly."""
        return not (self.differs or self.missing or self.unused or self.params)

    @property
    def origin(self) -> str:
        """Whose keys it has, in words."""
        after = f" behind `{self.prefix}`" if self.prefix else ""
        if self.source is None:
            return f"the network's own keys{after}"
        return f"keys of {self.source.title or self.source.name}{after}"


@dataclass(frozen=True, slots=True)
class Known:
    """A bundled network, and the settings of its parameters under which it takes weights that another does not."""

    network: str
    params: Mapping[str, Any]

    def __str__(self) -> str:
        return f"`{self.network}`" + (f" with {as_options(self.params)}" if self.params else "")


def best_fit(
    graph: Graph,
    shapes: Mapping[str, _Shape],
    sources: Sequence[WeightSource],
    params: Mapping[str, Any],
    written: Mapping[str, Any] | None = None,
) -> Fit:
    """The best way to read a state dict, of which only keys and shapes are needed: the one that pairs most weights.

    `written` are the parameters of the network that netspec wrote it for, if it did.
    """
    fits = [
        _fit(graph, shapes, source, prefix, params, written, _decisive(source, sources, written))
        for prefix in _prefixes(shapes)
        for source in (None, *sources)
    ]
    return max(fits, key=lambda f: (len(f.pairs), -len(f.differs), -len(f.missing) - len(f.unused), -len(f.params)))


def _decisive(
    source: WeightSource | None, sources: Sequence[WeightSource], written: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """The parameters without which weights by the keys of a source would fit and be wrong.

    Those that decide it for an origin decide it for a file that netspec made from one, too.
    """
    if source is not None:
        return source.params
    values = {name: (written or {}).get(name) for each in sources for name in each.params}
    return {name: value for name, value in values.items() if value is not None}


def _fit(
    graph: Graph,
    shapes: Mapping[str, _Shape],
    source: WeightSource | None,
    prefix: str,
    params: Mapping[str, Any],
    written: Mapping[str, Any] | None,
    needed: Mapping[str, Any],
) -> Fit:
    """How a state dict fits by the keys of a source after a prefix."""
    names, ignored = (
        _by_order(graph, shapes, source, prefix) if source and source.order else _by_name(shapes, source, prefix)
    )
    pairs: dict[str, str] = {}
    differs: dict[str, str] = {}
    missing: list[str] = []
    spare: list[str] = []
    needed_names = needed_keys(graph)
    for name, weight in graph.state().items():
        key = names.get(name)
        if key is None:
            (missing if name in needed_names else spare).append(name)
        else:
            (pairs if shapes[key] == weight.shape else differs)[name] = key
    used = {*pairs.values(), *differs.values(), *ignored}
    return Fit(
        graph=graph,
        shapes=shapes,
        source=source,
        prefix=prefix,
        written=written,
        pairs=pairs,
        differs=differs,
        missing=missing,
        spare=spare,
        unused=[key for key in shapes if key not in used],
        params={name: (value, params.get(name)) for name, value in needed.items() if value != params.get(name)},
    )


def _prefixes(keys: Collection[str]) -> list[str]:
    """The prefixes that all keys have in common, at dots: `""`, then the `module.` of data-parallel training, say."""
    first, last = min(keys, default=""), max(keys, default="")
    equal = list(takewhile(lambda signs: signs[0] == signs[1], zip(first, last, strict=False)))
    ends = [0, *(number for number, (sign, _) in enumerate(equal, 1) if sign == ".")]
    return [first[:end] for end in ends[:_MAX_PREFIXES]]


def _by_name(shapes: Mapping[str, _Shape], source: WeightSource | None, prefix: str) -> tuple[dict[str, str], set[str]]:
    """The state dict's key for each of the network's, by the rules of a source; and the keys that rules leave out."""
    names: dict[str, str] = {}
    ignored: set[str] = set()
    for key in shapes:
        short = key[len(prefix) :]
        name = short if source is None else source.rename(short)
        if name is None:
            ignored.add(key)
        else:
            names.setdefault(name, key)
    return names, ignored


def _by_order(
    graph: Graph, shapes: Mapping[str, _Shape], source: WeightSource, prefix: str
) -> tuple[dict[str, str], set[str]]:
    """The state dict's key for each of the network's, layer by layer, where both have as many layers.

    Layers of the state dict come by the numbers in their names, since not every file keeps an order, those of the
    network as they run.
    """
    keys_of: dict[str, list[str]] = {}
    for key in shapes:
        keys_of.setdefault(key[len(prefix) :].rpartition(".")[0], []).append(key)
    places = {part: number for number, part in enumerate(source.order)}
    ordered = [layer for layer in keys_of if layer.partition(".")[0] in places]
    ordered.sort(key=lambda layer: (places[layer.partition(".")[0]], _numbers_in(layer)))
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in graph.state()))
    if len(layers) != len(ordered):
        return {}, set()
    return {
        f"{layer}.{key.rpartition('.')[2]}": key
        for layer, matching in zip(layers, ordered, strict=True)
        for key in keys_of[matching]
    }, set()


def _numbers_in(name: str) -> list[tuple[int, str]]:
    """A sort key that puts `features.10` after `features.9`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def refuse_weights(
    fit: Fit, file: str = "", settings: Sequence[Mapping[str, Any]] = (), known: Known | None = None
) -> NoReturn:
    """Raise NetspecError NS501 with what does not fit; `settings` of parameters are ways out.

    `known` is the bundled network that the weights are of, if they are of another one.
    """
    what = f"{file} does not fit" if file else "the weights do not fit"
    help = f"they fit with {' or '.join(map(as_options, settings))}" if settings else _nearest_hint(fit)
    if fit.params and not (fit.differs or fit.missing or fit.unused):
        needs = choices(f"{name}={show(wanted)}" for name, (wanted, _) in fit.params.items())
        message = f"{what} the network as it is: {fit.origin} have its shapes, and are for {needs}"
        fail("NS501", message, help=help)
    notes = [f"these are the weights of {known}"] if known else []
    fail("NS501", f"{what} the network", notes=[*notes, *_misfits(fit)], help=help)


def settings_to_try(fit: Fit, sources: Sequence[WeightSource], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings of parameters under which weights may fit: those that an origin needs, other sizes, and both."""
    needed = [{n: v for n, v in source.params.items() if params.get(n) != v} for source in sources]
    needed.insert(0, {name: wanted for name, (wanted, _) in fit.params.items()})
    sizes = sizes_that_differ(fit, params)
    settings = [*needed, sizes, *({**sizes, **need} for need in needed if sizes)]
    return [setting for number, setting in enumerate(settings) if setting and setting not in settings[:number]]


def sizes_that_differ(fit: Fit, params: Mapping[str, Any]) -> dict[str, int]:
    """Parameters that stand in the shapes as they are, such as a count of classes, as the weights have them."""
    sizes: dict[str, int] = {}
    state = fit.graph.state()
    for name, key in fit.differs.items():
        for size, wanted in zip(state[name].shape, fit.shapes[key], strict=False):
            for parameter, value in params.items() if size != wanted else ():
                if type(value) is int and value == size:
                    sizes.setdefault(parameter, wanted)
    return sizes


def may_be_of(fit: Fit, graph: Graph) -> bool:
    """Whether weights may be those of another network, by the shapes of most of its matrices and kernels."""
    in_file = Counter(shape for shape in fit.shapes.values() if len(shape) > 1)
    in_graph = Counter(weight.shape for weight in graph.state().values() if len(weight.shape) > 1)
    common = (in_file & in_graph).total()
    return common >= _MIN_COMMON * max(in_file.total(), in_graph.total()) > 0


def as_options(setting: Mapping[str, Any]) -> str:
    """A setting of parameters as the command line takes it."""
    return "`" + " ".join(f"--set {_for_shell(name, value)}" for name, value in setting.items()) + "`"


def _for_shell(name: str, value: Any) -> str:
    """A parameter's value as `--set` takes it, quoted where a shell would take it for something else."""
    text = show(value)
    if isinstance(value, str):
        plain = IDENTIFIER.match(value) and value.lower() not in ("true", "false", "null")
        text = value if plain else json.dumps(value, ensure_ascii=False)
    elif isinstance(value, list | tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        bare = len(items) > 1 and all(isinstance(item, int | float) for item in items)
        text = ",".join(map(show, items)) if bare else json.dumps(items, ensure_ascii=False)
    return shlex.quote(f"{name}={text}")


def _misfits(fit: Fit) -> list[str]:
    """The weights that do not fit, in few lines."""
    state = fit.graph.state()
    lines = [
        f"`{key}` is {list(fit.shapes[key])}, and `{name}` of the network {list(state[name].shape)}"
        for name, key in list(fit.differs.items())[:5]
    ]
    if fit.missing:
        lines.append(f"{len(fit.missing)} missing, such as `{fit.missing[0]}`")
    if fit.unused:
        lines.append(f"{len(fit.unused)} unused, such as `{fit.unused[0]}`")
    return lines


def _nearest_hint(fit: Fit) -> str:
    """A hint that names the first missing weight and the unused one that may be it."""
    for name, near in nearest(fit).items():
        return f"`{name}` may be `{near}`: rules for keys stand under `weights` of the spec"
    return ""


def nearest(fit: Fit) -> dict[str, str]:
    """For missing weights the unused keys that they may have: of one shape and one kind, in the order of both."""
    state = fit.graph.state()
    unused: dict[tuple[_Shape, str], deque[str]] = {}
    for key in fit.unused:
        unused.setdefault((fit.shapes[key], key.rpartition(".")[2]), deque()).append(key)
    candidates = {name: unused.get((state[name].shape, name.rpartition(".")[2])) for name in fit.missing}
    return {name: keys.popleft() for name, keys in candidates.items() if keys}
