"""Which weights of a state dict are which of a network's: by name, or by what the spec says of their origin."""

from __future__ import annotations

import json
import shlex
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple, NoReturn

from netspec.errors import choices, fail
from netspec.expression import show
from netspec.graph.model import Graph
from netspec.graph.walk import COUNTER, needed_keys
from netspec.naming import IDENTIFIER
from netspec.report import Report
from netspec.shape_text import shape_text
from netspec.spec.read.weights import WeightSource
from netspec.tables import Cell, Table

Shape = tuple[int, ...]

_MOST_PREFIXES, _ALIKE, _MOST_ROWS = 8, 0.6, 12


@dataclass(slots=True)
class Fit:
    """How a state dict fits a network: `pairs` maps the network's keys to those of the state dict.

    `source` is the origin whose rules made the pairs, None where the keys are the network's own. `differs` are pairs
    whose shapes are not equal; `spare` are keys of the network that may be missing: weights of training outputs, and
    counters. `params` are those that this origin needs otherwise, with both values.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    source: WeightSource | None
    prefix: str = ""
    """What all keys of the state dict begin with, such as `module.`, and was left out of account."""
    written: Mapping[str, Any] | None = None
    """The parameters of the network that netspec wrote the file for, if it did."""
    pairs: dict[str, str] = field(default_factory=dict[str, str])
    differs: dict[str, str] = field(default_factory=dict[str, str])
    missing: list[str] = field(default_factory=list[str])
    spare: list[str] = field(default_factory=list[str])
    unused: list[str] = field(default_factory=list[str])
    params: dict[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])

    @property
    def fits(self) -> bool:
        """Whether the network can be loaded from it whole, and rightly."""
        return not (self.differs or self.missing or self.unused or self.params)

    @property
    def origin(self) -> str:
        """Whose keys it has, in words."""
        behind = f" behind `{self.prefix}`" if self.prefix else ""
        if self.source is None:
            return f"the network's own keys{behind}"
        return f"keys of {self.source.title or self.source.name}{behind}"


class Known(NamedTuple):
    """A bundled network, and the settings of its parameters under which it takes weights that another does not."""

    network: str
    params: Mapping[str, Any]

    def __str__(self) -> str:
        return f"`{self.network}`" + (f" with {as_options(self.params)}" if self.params else "")


def best_fit(
    graph: Graph,
    shapes: Mapping[str, Shape],
    sources: Sequence[WeightSource],
    params: Mapping[str, Any],
    written: Mapping[str, Any] | None = None,
) -> Fit:
    """The best way to read a state dict, of which only keys and shapes are needed: the one that pairs most weights.

    `written` are the parameters of the network that netspec wrote it for, if it did.
    """
    # What decides for an origin whether its weights are right decides it for a file that was made from one.
    decisive = {name: (written or {}).get(name) for source in sources for name in source.params}
    decided = {name: value for name, value in decisive.items() if value is not None}
    ways: list[Fit] = []
    for prefix in _prefixes(shapes):
        keys = {key: key[len(prefix) :] for key in shapes}
        ways.append(_by_name(Fit(graph, shapes, None, prefix), keys))
        for source in sources:
            made = Fit(graph, shapes, source, prefix)
            ways.append(_by_order(made, keys, source) if source.order else _by_name(made, keys))
    for made in ways:
        made.written = written
        needed = made.source.params if made.source else decided
        made.params = {n: (v, params.get(n)) for n, v in needed.items() if v != params.get(n)}
    return max(ways, key=lambda f: (len(f.pairs), -len(f.differs), -len(f.missing) - len(f.unused), -len(f.params)))


def _prefixes(keys: Collection[str]) -> list[str]:
    """What all keys begin with, at dots: nothing, then the `module.` of data-parallel training, say, and more."""
    first, last = min(keys, default=""), max(keys, default="")
    equal = list(takewhile(lambda signs: signs[0] == signs[1], zip(first, last, strict=False)))
    ends = [0, *(number for number, (sign, _) in enumerate(equal, 1) if sign == ".")]
    return [first[:end] for end in ends[:_MOST_PREFIXES]]


def _by_name(made: Fit, keys: Mapping[str, str]) -> Fit:
    """`keys` maps those of the state dict to what is behind the prefix."""
    theirs: dict[str, str] = {}
    ignored: set[str] = set()
    for key, short in keys.items():
        name = short if made.source is None else made.source.rename(short)
        if name is None:
            ignored.add(key)
        else:
            theirs.setdefault(name, key)
    return _compared(made, theirs, ignored)


def _by_order(made: Fit, keys: Mapping[str, str], source: WeightSource) -> Fit:
    """Layer by layer: theirs by the numbers in their names, since not every file keeps an order; ours as they run."""
    theirs: dict[str, list[str]] = {}
    for key, short in keys.items():
        theirs.setdefault(short.rpartition(".")[0], []).append(key)
    places = {head: number for number, head in enumerate(source.order)}
    listed = [layer for layer in theirs if layer.partition(".")[0] in places]
    listed.sort(key=lambda layer: (places[layer.partition(".")[0]], _by_numbers(layer)))
    own = dict.fromkeys(key.rpartition(".")[0] for key in made.graph.state())
    names: dict[str, str] = {}
    if len(own) == len(listed):
        for mine, layer in zip(own, listed, strict=True):
            names.update({f"{mine}.{key.rpartition('.')[2]}": key for key in theirs[layer]})
    return _compared(made, names, set())


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """What sorts `features.10` behind `features.9`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def _compared(found: Fit, theirs: Mapping[str, str], ignored: set[str]) -> Fit:
    """Sort the weights of a network by what a state dict has for them."""
    state = found.graph.state()
    needed = needed_keys(found.graph)
    for name, weight in state.items():
        key = theirs.get(name)
        if key is None:
            (found.missing if name in needed else found.spare).append(name)
        elif found.shapes[key] == weight.shape:
            found.pairs[name] = key
        else:
            found.differs[name] = key
    used = {*found.pairs.values(), *found.differs.values(), *ignored}
    found.unused = [key for key in found.shapes if key not in used]
    return found


def refuse_weights(
    found: Fit, file: str = "", settings: Sequence[Mapping[str, Any]] = (), known: Known | None = None
) -> NoReturn:
    """Raise NetspecError NS501 with what does not fit; `settings` of parameters are ways out.

    `known` is the bundled network that the weights are of, if they are of another one.
    """
    what = f"{file} does not fit" if file else "the weights do not fit"
    help = f"they fit with {' or '.join(map(as_options, settings))}" if settings else _near(found)
    if found.params and not (found.differs or found.missing or found.unused):
        needs = choices(f"{name}={show(wanted)}" for name, (wanted, _) in found.params.items())
        message = f"{what} the network as it is: {found.origin} have its shapes, and are for {needs}"
        fail("NS501", message, help=help)
    notes = [f"these are the weights of {known}"] if known else []
    fail("NS501", f"{what} the network", notes=[*notes, *_lines(found)], help=help)


def settings_to_try(found: Fit, sources: Sequence[WeightSource], params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings of parameters under which weights may fit: those that an origin needs, other sizes, and both."""
    needed = [{n: v for n, v in source.params.items() if params.get(n) != v} for source in sources]
    needed.insert(0, {name: wanted for name, (wanted, _) in found.params.items()})
    sizes = sizes_that_differ(found, params)
    settings = [*needed, sizes, *({**sizes, **need} for need in needed if sizes)]
    return [setting for number, setting in enumerate(settings) if setting and setting not in settings[:number]]


def sizes_that_differ(found: Fit, params: Mapping[str, Any]) -> dict[str, int]:
    """Parameters that stand in the shapes as they are, such as a count of classes, as the weights have them."""
    sizes: dict[str, int] = {}
    state = found.graph.state()
    for name, key in found.differs.items():
        for mine, theirs in zip(state[name].shape, found.shapes[key], strict=False):
            for parameter, value in params.items() if mine != theirs else ():
                if type(value) is int and value == mine:
                    sizes.setdefault(parameter, theirs)
    return sizes


def may_be_of(found: Fit, graph: Graph) -> bool:
    """Whether weights may be those of another network, by the shapes of most of its matrices and kernels."""
    theirs = Counter(shape for shape in found.shapes.values() if len(shape) > 1)
    own = Counter(weight.shape for weight in graph.state().values() if len(weight.shape) > 1)
    shared = (theirs & own).total()
    return shared >= _ALIKE * max(theirs.total(), own.total()) > 0


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


def _lines(found: Fit) -> list[str]:
    """What does not fit, in few lines."""
    state = found.graph.state()
    lines = [
        f"`{key}` is {list(found.shapes[key])}, and `{name}` of the network {list(state[name].shape)}"
        for name, key in list(found.differs.items())[:5]
    ]
    if found.missing:
        lines.append(f"{len(found.missing)} missing, such as `{found.missing[0]}`")
    if found.unused:
        lines.append(f"{len(found.unused)} unused, such as `{found.unused[0]}`")
    return lines


def _near(found: Fit) -> str:
    """The first missing weight and the unused one that may be it."""
    for name, near in nearest(found).items():
        return f"`{name}` may be `{near}`: rules for keys stand under `weights` of the spec"
    return ""


def nearest(found: Fit) -> dict[str, str]:
    """For missing weights the unused keys that they may have: of one shape and one kind, in the order of both."""
    state = found.graph.state()
    waiting: dict[tuple[Shape, str], deque[str]] = {}
    for key in found.unused:
        waiting.setdefault((found.shapes[key], key.rpartition(".")[2]), deque()).append(key)
    alike = {name: waiting.get((state[name].shape, name.rpartition(".")[2])) for name in found.missing}
    return {name: keys.popleft() for name, keys in alike.items() if keys}


def weights_report(
    found: Fit, network: str, file: str, settings: Sequence[Mapping[str, Any]] = (), known: Known | None = None
) -> Report:
    """The report of `netspec weights check`; `settings` are those of parameters with which it would fit.

    `known` is the bundled network that the weights are of, if they are of another one.
    """
    state, near = found.graph.state(), nearest(found)
    data = {
        "network": network,
        "file": file,
        "fits": found.fits,
        "source": found.source.name if found.source else None,
        "prefix": found.prefix,
        "matched": len(found.pairs),
        "params": {name: {"needs": wanted, "has": has} for name, (wanted, has) in found.params.items()},
        "differs": [
            {"name": name, "key": key, "shape": list(state[name].shape), "in_file": list(found.shapes[key])}
            for name, key in found.differs.items()
        ],
        "missing": [{"name": n, "shape": list(state[n].shape), "near": near.get(n)} for n in found.missing],
        "unused": [{"key": key, "shape": list(found.shapes[key])} for key in found.unused],
        "left_fresh": list(found.spare),
        "fits_with": [dict(setting) for setting in settings],
        "weights_of": {"network": known.network, "params": dict(known.params)} if known else None,
    }
    return Report(data, lambda: _table(data, found))


def _table(data: Mapping[str, Any], found: Fit) -> Table:
    rows: list[Sequence[Cell]] = []
    for entry in data["differs"]:
        rows.append(["shape differs", entry["name"], _shape(entry["shape"]), entry["key"], _shape(entry["in_file"])])
    for entry in data["missing"]:
        rows.append(
            ["missing", entry["name"], _shape(entry["shape"]), f"{entry['near']}?" if entry["near"] else "", ""]
        )
    rows += [["unused", "", "", entry["key"], _shape(entry["shape"])] for entry in data["unused"]]
    notes: list[str] = []
    if data["weights_of"]:
        notes.append(f"These are the weights of {Known(**data['weights_of'])}.")
        if len(rows) > _MOST_ROWS:
            notes.append(f"{len(rows)} weights are missing, unused or of another shape: --format json has them all.")
            rows = []
    says = "fits" if data["fits"] else "does not fit"
    title = [f"{data['file']} {says} {data['network']}: {data['matched']} of {len(found.graph.state())} weights, by "
             f"{found.origin}"]  # fmt: skip
    notes += [
        f"These weights are right with {name}={show(both['needs'])}, and the network has {show(both['has'])}: "
        f"{as_options({name: both['needs']})}"
        for name, both in data["params"].items()
    ]
    if data["fits_with"]:
        notes = [f"It fits with {' or '.join(map(as_options, data['fits_with']))}."]
    fresh = [name for name in data["left_fresh"] if not name.endswith(COUNTER)]
    if fresh:
        notes.append(f"{len(fresh)} weights of training outputs are not there, such as {fresh[0]}.")
    return Table(["", "in the network", "shape", "in the file", "shape"], rows, title, notes=notes)


def _shape(shape: Sequence[int]) -> str:
    return shape_text(shape, scalar="scalar")
