"""Prints the spec's initialisers: a function with rules for kinds of layers, and statements for exceptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.pytorch.layout import LINE_LENGTH, Bracket, Doc, statement
from netspec.backends.pytorch.submodule import places_of_copies, submodule
from netspec.expression import python_literal
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node
from netspec.graph.paths import is_below
from netspec.naming import free_name
from netspec.types import Filling, Init, Layer, Tensor

_PARAMETER = "nn.Parameter"
_WeightKind = tuple[str, str]
"""A torch class and the name of a weight, such as `("nn.Conv2d", "weight")`."""


@dataclass(slots=True)
class InitializerCode:
    """The initialisers of a graph as source."""

    functions: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """By name, the lines of functions that fill the weights of a layer by rules."""
    statements: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Statements at the end of constructors, by the path of the class's scope; "" is the network."""


_Layer = tuple[Node, str, set[str]]
"""A node that owns its weights, its torch class, and the names of the weights."""


def initializer_code(graph: Graph, networks: Sequence[Sequence[str]] = ()) -> InitializerCode:
    """The initialisers of a graph. A network that is used as a step applies its initialisers in its own class.

    `networks` are the paths of such steps, grouped by class.
    """
    layers = _layers(graph)
    rules = _rules(layers)
    code = InitializerCode()
    if rules:
        _apply(code, "", _function_body(rules, layers))
    initialized: set[str] = set()
    for paths in networks:
        initialized |= _apply_in_network(code, paths, layers, rules)
    _add_exceptions(code, graph, layers, rules, initialized)
    return code


def _apply_in_network(
    code: InitializerCode, paths: Sequence[str], layers: Sequence[_Layer], rules: Mapping[_WeightKind, Filling]
) -> set[str]:
    """Let the class of an inner network apply rules of its own; return the keys of the weights that they fill.

    `paths` are the uses of the network. Its class applies rules only if these are equal in all uses.
    """
    parts = [[layer for layer in layers if is_below(layer[0].path, path)] for path in paths]
    inner_rules = [{key: rule for key, rule in _rules(part).items() if key not in rules} for part in parts]
    bodies = [_function_body(inner, part) for inner, part in zip(inner_rules, parts, strict=True)]
    if not inner_rules[0] or any(body != bodies[0] for body in bodies):
        return set()
    _apply(code, paths[0], bodies[0])
    return {
        f"{node.path}.{weight}"
        for inner, part in zip(inner_rules, parts, strict=True)
        for node, target, weights in part
        for weight in weights & node.init.keys()
        if (target, weight) in inner and _frozen(inner[target, weight]) == _frozen(node.init[weight])
    }


def _add_exceptions(
    code: InitializerCode,
    graph: Graph,
    layers: Sequence[_Layer],
    rules: Mapping[_WeightKind, Filling],
    initialized: Container[str],
) -> None:
    """Add statements for weights whose filling differs from the rule for their kind, grouped by filling."""
    paths: dict[tuple[str, Any], list[str]] = {}
    fillings: dict[tuple[str, Any], Filling] = {}
    for node, target, weights in layers:
        for weight, filling in node.init.items():
            rule = rules.get((target, weight))
            if weight not in weights or rule is filling or rule == filling or f"{node.path}.{weight}" in initialized:
                continue
            if target == _PARAMETER and isinstance(filling, int | float):
                continue  # The tensor inside of it is filled with the number: see `layers`.
            # An `nn.Parameter` is the weight itself, and has no attribute for it.
            attribute = "" if target == _PARAMETER else f".{weight}"
            paths.setdefault((attribute, _frozen(filling)), []).append(node.path)
            fillings[attribute, _frozen(filling)] = filling
    places = places_of_copies(graph) if paths else {}
    for key, alike in paths.items():
        loops, alone = _by_repeat(alike, places)
        lines = [
            line
            for path, inner in loops.items()
            for line in _loop(submodule(places, path), inner, key[0], fillings[key])
        ]
        if alone:
            lines += _statements([submodule(places, path) for path in alone], key[0], fillings[key])
        code.statements.setdefault("", []).extend(lines)


def _apply(code: InitializerCode, path: str, body: list[str]) -> None:
    """Let the class of a scope apply an initialising function; classes with equal rules share the function."""
    name = next((name for name, lines in code.functions.items() if lines[1:] == body), None)
    if name is None:
        name = free_name("init_weights", code.functions)
        code.functions[name] = [f"def {name}(module: nn.Module) -> None:", *body]
    code.statements.setdefault(path, []).append(f"        self.apply({name})")


def _rules(layers: Sequence[_Layer]) -> dict[_WeightKind, Filling]:
    """The rules for the kinds of weights of some layers."""
    return {key: rule for key in _keys(layers) if (rule := _rule(key, layers)) is not None}


def _frozen(filling: Filling) -> Any:
    """A filling as a hashable value."""
    return (filling.function, tuple(sorted(filling.options.items()))) if isinstance(filling, Init) else filling


def _layers(graph: Graph) -> Sequence[_Layer]:
    """The layers with weights of their own; none where no layer has an initialiser."""
    if not any(node.init for node in graph.nodes):
        return []
    layers: list[_Layer] = []

    def layer(node: Node, types: tuple[Tensor, ...]) -> tuple[str, set[str]]:
        weights = {w.called for w in node.op.weights(*types) if w.kind == "parameter"}
        printed = node.op.torch(*types) if weights else None
        return (printed.target, weights) if isinstance(printed, Layer) else ("", set())

    layer_of = NodeMemo(graph, layer)
    for node in graph.nodes:
        if node.weights_of != node.path:
            continue
        target, weights = layer_of(node)
        if weights:
            layers.append((node, target, weights))
    return layers


def _keys(layers: Sequence[_Layer]) -> list[_WeightKind]:
    """The kinds of weights that have an initialiser."""
    return list(
        dict.fromkeys((target, weight) for node, target, weights in layers for weight in node.init if weight in weights)
    )


def _rule(key: _WeightKind, layers: Sequence[_Layer]) -> Filling | None:
    """The most common filling of a kind of weight; None if some weight of the kind keeps torch's initialisation."""
    target, weight = key
    if target == _PARAMETER:
        return None
    fillings = [node.init.get(weight) for node, cls, weights in layers if cls == target and weight in weights]
    if len(fillings) < 2 or any(filling is None for filling in fillings):
        return None
    if all(filling is fillings[0] for filling in fillings):
        return fillings[0]
    most = Counter(_frozen(f) for f in fillings if f is not None).most_common(1)[0][0]
    return next(f for f in fillings if f is not None and _frozen(f) == most)


def _function_body(rules: Mapping[_WeightKind, Filling], layers: Sequence[_Layer]) -> list[str]:
    """The body of a function that fills the weights of its argument `module` by rules."""
    if not rules:
        return []
    by_target: dict[str, list[tuple[str, Filling]]] = {}
    for (target, weight), filling in rules.items():
        by_target.setdefault(target, []).append((weight, filling))
    # Kinds of layers with the same rules share a line.
    merged: dict[Any, list[str]] = {}
    for target, fillings in by_target.items():
        key = tuple((weight, _frozen(filling), _always(target, weight, layers)) for weight, filling in fillings)
        merged.setdefault(key, []).append(target)
    lines = ['    """Initialize the weights of a layer."""']
    for number, targets in enumerate(merged.values()):
        lead = f"    {'if' if not number else 'elif'} isinstance(module, {' | '.join(targets)})"
        fillings = by_target[targets[0]]
        weight, filling = fillings[0]
        both = f"{lead} and module.{weight} is not None:"
        last = number + 1 == len(merged) and len(fillings) == 1
        if last and not _always(targets[0], weight, layers) and len(both) <= LINE_LENGTH:
            lines += [both, *statement("", _fill(f"module.{weight}", filling), 8)]
            break
        lines.append(f"{lead}:")
        for weight, filling in fillings:
            call = _fill(f"module.{weight}", filling)
            if _always(targets[0], weight, layers):
                lines += statement("", call, 8)
            else:
                lines.append(f"        if module.{weight} is not None:")
                lines += statement("", call, 12)
    return lines


def _always(target: str, weight: str, layers: Sequence[_Layer]) -> bool:
    """Whether all layers of a torch class have a weight: a bias may be None in some."""
    return all(weight in weights for _, cls, weights in layers if cls == target)


def _fill(weight: str, filling: Filling) -> Doc:
    """The call that fills a weight."""
    if isinstance(filling, Init):
        options = [f"{name}={python_literal(value)}" for name, value in filling.options.items()]
        return Bracket(f"nn.init.{filling.function}_(", [weight, *options])
    if isinstance(filling, tuple):
        values = Bracket("torch.tensor(", [Bracket("[", [repr(value) for value in filling], "]")])
        return Bracket(f"{weight}.data.copy_(", [values])
    if filling in (0, 1):
        return f"nn.init.{'zeros' if filling == 0 else 'ones'}_({weight})"
    return f"nn.init.constant_({weight}, {filling!r})"


_LOOP_FROM = 3
"""The number of copies from which a loop over all is written for a layer of each."""


def _by_repeat(paths: Sequence[str], places: Mapping[str, int]) -> tuple[dict[str, list[str]], list[str]]:
    """The layers that all copies of a repeat have: by the path of the repeat, their paths in a copy; and the others."""
    counts = Counter(path.rpartition(".")[0] for path in places)
    groups: dict[tuple[str, str], list[str]] = {}
    alone: list[str] = []
    for path in paths:
        parts = path.split(".")
        copy = next((c for n in range(len(parts), 0, -1) if (c := ".".join(parts[:n])) in places), "")
        if copy:
            groups.setdefault((copy.rpartition(".")[0], path[len(copy) :]), []).append(path)
        else:
            alone.append(path)
    loops: dict[str, list[str]] = {}
    for (repeat, inner), of_copies in groups.items():
        if len(of_copies) == counts[repeat] >= _LOOP_FROM:
            loops.setdefault(repeat, []).append(inner)
        else:
            alone += of_copies
    return loops, sorted(alone, key=paths.index)


def _loop(copies: str, inner: Sequence[str], attribute: str, filling: Filling) -> list[str]:
    """A loop over all copies of a repeat that fills an attribute of some layers of each."""
    lines = [line for path in inner for line in statement("", _fill(f"layer{path}{attribute}", filling), 12)]
    return [f"        for layer in {copies}:", *lines]


def _statements(names: list[str], attribute: str, filling: Filling) -> list[str]:
    """The statements that fill an attribute of some layers, such as `.weight`; `attribute` is "" for parameters."""
    if len(names) == 1:
        return statement("", _fill(f"{names[0]}{attribute}", filling), 8)
    each = "layer" if attribute else "parameter"
    head = f"        for {each} in ({', '.join(names)}):"
    # A tuple that does not fit on one line has one name on each.
    lines = [f"{' ' * 12}{name}," for name in names]
    return [
        *([head] if len(head) <= LINE_LENGTH else [f"        for {each} in (", *lines, "        ):"]),
        *statement("", _fill(f"{each}{attribute}", filling), 12),
    ]
