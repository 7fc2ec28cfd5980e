"""Matches the weights of a state dict with a network's: by name, or by the spec's rules for their origin."""

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
"""The share of weights, by shape, that a state dict must have in common with a network it may be of."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The fit of a state dict with a network: `pairs` maps the network's keys to those of the state dict.

    `source` is the origin whose rules paired them; None if the keys are the network's own. `differs` are pairs with
    different shapes. `missing` and `spare` are keys of the network without a match: `spare` ones (weights of training
    outputs, and counters) are not needed. `params` are parameters for which the weights need another value than the
    network has, with both values.
    """

    graph: Graph
    shapes: Mapping[str, _Shape]
    source: WeightSource | None
    prefix: str
    """The common prefix of the state dict's keys, such as `module.`, that was ignored."""
    written: Mapping[str, Any] | None
    """The parameters of the network that netspec wrote the file for; None if another program wrote it."""
    pairs: Mapping[str, str]
    differs: Mapping[str, str]
    missing: Sequence[str]
    spare: Sequence[str]
    unused: Sequence[str]
    params: Mapping[str, tuple[Any, Any]]
    transposed: frozenset[str] = frozenset()
    """The network's keys of matrices that the state dict has transposed; readers of `pairs` transpose them."""

    @property
    def fits(self) -> bool:
        """Whether all weights match, and are meant for the network's parameters."""
        return not (self.differs or self.missing or self.unused or self.params)

    def shape_of(self, name: str) -> _Shape:
        """The shape that the state dict has for a key of the network, as the network has it."""
        shape = self.shapes[self.pairs.get(name) or self.differs[name]]
        return shape[::-1] if name in self.transposed else shape

    @property
    def origin(self) -> str:
        """The origin of its keys, in words, such as "the network's own keys behind `module.`"."""
        after = f" behind `{self.prefix}`" if self.prefix else ""
        if self.source is None:
            return f"the network's own keys{after}"
        return f"keys of {self.source.title or self.source.name}{after}"


@dataclass(frozen=True, slots=True)
class Known:
    """A bundled network, and the parameters with which weights fit it that do not fit another network."""

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
    """The fit that pairs most weights, out of all origins and prefixes of keys. Only keys and shapes are needed.

    `written` are the parameters of the network that netspec wrote the state dict for; None if it did not write it.
    """
    fits = [
        _fit(graph, shapes, source, prefix, params, written, _decisive(source, sources, written))
        for prefix in _prefixes(shapes)
        for source in (None, *sources)
    ]
    return max(fits, key=lambda f: (len(f.pairs), -len(f.missing) - len(f.unused), -len(f.differs), -len(f.params)))


def _decisive(
    source: WeightSource | None, sources: Sequence[WeightSource], written: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """The parameters that must have certain values for weights to be right, although shapes do not depend on them.

    An origin declares them. For a file that netspec wrote, they have the values that it was written with.
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
    """The fit of a state dict if its keys are a prefix and the keys of one origin."""
    names, ignored = (
        _by_order(graph, shapes, source, prefix) if source and source.order else _by_name(shapes, source, prefix)
    )
    pairs: dict[str, str] = {}
    differs: dict[str, str] = {}
    missing: list[str] = []
    spare: list[str] = []
    transposed: set[str] = set()
    needed_names = needed_keys(graph)
    for name, weight in graph.state().items():
        key = names.get(name)
        if key is None:
            (missing if name in needed_names else spare).append(name)
            continue
        if source is not None and len(shapes[key]) == 2 and source.has_transposed(name):
            transposed.add(name)
        shape = shapes[key][::-1] if name in transposed else shapes[key]
        (pairs if shape == weight.shape else differs)[name] = key
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
        transposed=frozenset(transposed),
    )


def _prefixes(keys: Collection[str]) -> list[str]:
    """The common prefixes of all keys: `""`, and those that end in a dot, such as `module.` of `nn.DataParallel`."""
    first, last = min(keys, default=""), max(keys, default="")
    equal = list(takewhile(lambda signs: signs[0] == signs[1], zip(first, last, strict=False)))
    ends = [0, *(number for number, (sign, _) in enumerate(equal, 1) if sign == ".")]
    return [first[:end] for end in ends[:_MAX_PREFIXES]]


def _by_name(shapes: Mapping[str, _Shape], source: WeightSource | None, prefix: str) -> tuple[dict[str, str], set[str]]:
    """The state dict's key for each key of the network, by the rules of an origin; and the keys that these ignore."""
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
    """The state dict's key for each key of the network, layer by layer; none if the numbers of layers differ.

    Layers of the state dict are sorted by the numbers in their names, since not every file keeps their order. Layers of
    the network are in the order in which they run.
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
    """Raise NetspecError NS501 with the weights that do not fit; `settings` of parameters are suggested as help.

    `known` is the bundled network that the weights do fit, if there is one.
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
    """Settings of parameters under which weights may fit: those that origins need, sizes that differ, and both."""
    needed = [{n: v for n, v in source.params.items() if params.get(n) != v} for source in sources]
    needed.insert(0, {name: wanted for name, (wanted, _) in fit.params.items()})
    sizes = sizes_that_differ(fit, params)
    settings = [*needed, sizes, *({**sizes, **need} for need in needed if sizes)]
    return [setting for number, setting in enumerate(settings) if setting and setting not in settings[:number]]


def sizes_that_differ(fit: Fit, params: Mapping[str, Any]) -> dict[str, int]:
    """Values for parameters that occur as sizes, such as `classes`, taken from the shapes of the weights."""
    sizes: dict[str, int] = {}
    state = fit.graph.state()
    for name in fit.differs:
        for size, wanted in zip(state[name].shape, fit.shape_of(name), strict=False):
            for parameter, value in params.items() if size != wanted else ():
                if type(value) is int and value == size:
                    sizes.setdefault(parameter, wanted)
    return sizes


def may_be_of(fit: Fit, graph: Graph) -> bool:
    """Whether weights may belong to a graph, judged by the shapes of its matrices and kernels."""
    in_file = Counter(shape for shape in fit.shapes.values() if len(shape) > 1)
    in_graph = Counter(weight.shape for weight in graph.state().values() if len(weight.shape) > 1)
    common = (in_file & in_graph).total()
    return common >= _MIN_COMMON * max(in_file.total(), in_graph.total()) > 0


def as_options(setting: Mapping[str, Any]) -> str:
    """A setting of parameters as options of the command line: `--set classes=10`."""
    return "`" + " ".join(f"--set {_for_shell(name, value)}" for name, value in setting.items()) + "`"


def _for_shell(name: str, value: Any) -> str:
    """A parameter's value as `--set` takes it, quoted for a shell if necessary."""
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
    """A few lines about the weights that do not fit."""
    state = fit.graph.state()
    lines = [
        f"`{key}`{', transposed,' * (name in fit.transposed)} is {list(fit.shape_of(name))}, "
        f"and `{name}` of the network {list(state[name].shape)}"
        for name, key in list(fit.differs.items())[:5]
    ]
    if fit.missing:
        lines.append(f"{len(fit.missing)} missing, such as `{fit.missing[0]}`")
    if fit.unused:
        lines.append(f"{len(fit.unused)} unused, such as `{fit.unused[0]}`")
    return lines


def _nearest_hint(fit: Fit) -> str:
    """A hint that names the first missing weight and the unused weight that may be meant for it."""
    for name, near in nearest(fit).items():
        return f"`{name}` may be `{near}`: rules for keys stand under `weights` of the spec"
    return ""


def nearest(fit: Fit) -> dict[str, str]:
    """For missing weights, unused keys with equal shapes and last names, such as `bias`, in order."""
    state = fit.graph.state()
    unused: dict[tuple[_Shape, str], deque[str]] = {}
    for key in fit.unused:
        unused.setdefault((fit.shapes[key], key.rpartition(".")[2]), deque()).append(key)
    candidates = {name: unused.get((state[name].shape, name.rpartition(".")[2])) for name in fit.missing}
    return {name: keys.popleft() for name, keys in candidates.items() if keys}
