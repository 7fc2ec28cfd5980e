"""The spec's initialisers as source: a rule for each kind of layer, and what differs from the rule by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.pytorch.layout import WIDTH, Bracket, Doc, statement
from netspec.backends.pytorch.submodule import places_of_copies, submodule
from netspec.expression import python_literal
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node
from netspec.types import Filling, Init, Layer, Tensor

PARAMETER = "nn.Parameter"
WeightKey = tuple[str, str]
"""A torch class and the name of one of its weights."""


@dataclass(slots=True)
class InitializerCode:
    """Functions with rules, and statements for the constructors of the classes of scopes; "" is the network's."""

    functions: list[list[str]] = field(default_factory=list[list[str]])
    statements: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def initializer_code(graph: Graph, networks: Sequence[Sequence[str]] = ()) -> InitializerCode:
    """The initialisers of a graph; those of a network that is a step stand in its own class.

    `networks` are the paths of such steps, those together that are of one class.
    """
    layers = _layers(graph)
    rules = _rules(layers)
    found = InitializerCode()
    done: set[str] = set()
    if rules:
        _apply(found, "", _function(rules, layers))
    for paths in networks:
        parts = [[layer for layer in layers if layer[0].path.startswith(f"{path}.")] for path in paths]
        inner = [{key: rule for key, rule in _rules(part).items() if key not in rules} for part in parts]
        functions = [_function(own, part) for own, part in zip(inner, parts, strict=True)]
        if not inner[0] or any(function != functions[0] for function in functions):
            continue
        _apply(found, paths[0], functions[0])
        for own, part in zip(inner, parts, strict=True):
            for node, target, weights in part:
                for weight in weights & node.init.keys():
                    if _frozen(own.get((target, weight), 0)) == _frozen(node.init[weight]):
                        done.add(f"{node.path}.{weight}")
    exceptions: dict[tuple[str, Any], list[str]] = {}
    fillings: dict[tuple[str, Any], Filling] = {}
    for node, target, weights in layers:
        for weight, filling in node.init.items():
            rule = rules.get((target, weight))
            if weight in weights and rule is not filling and rule != filling and f"{node.path}.{weight}" not in done:
                # A parameter is no module that has a weight, but the weight itself.
                attribute = "" if target == PARAMETER else f".{weight}"
                exceptions.setdefault((attribute, _frozen(filling)), []).append(node.path)
                fillings[attribute, _frozen(filling)] = filling
    places = places_of_copies(graph) if exceptions else {}
    for key, paths in exceptions.items():
        lines = _statements([submodule(places, path) for path in paths], key[0], fillings[key])
        found.statements.setdefault("", []).extend(lines)
    return found


def _apply(found: InitializerCode, path: str, function: list[str]) -> None:
    """Let the class of a scope apply a function, which is written once for all that have the same rules."""
    if function not in found.functions:
        found.functions.append(function)
    number = found.functions.index(function)
    name = "init_weights" if not number else f"init_weights_{number + 1}"
    found.statements.setdefault(path, []).append(f"        self.apply({name})")


def _rules(layers: list[tuple[Node, str, set[str]]]) -> dict[WeightKey, Filling]:
    return {key: rule for key in _keys(layers) if (rule := _rule(key, layers)) is not None}


def _frozen(filling: Filling) -> Any:
    return (filling.function, tuple(sorted(filling.options.items()))) if isinstance(filling, Init) else filling


def _layers(graph: Graph) -> list[tuple[Node, str, set[str]]]:
    """The layers with weights of their own, if any has an initialiser; with torch's name of each and of its weights."""
    if not any(node.init for node in graph.nodes):
        return []
    found: list[tuple[Node, str, set[str]]] = []

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
            found.append((node, target, weights))
    return found


def _keys(layers: list[tuple[Node, str, set[str]]]) -> list[WeightKey]:
    found: dict[WeightKey, None] = {}
    for node, target, weights in layers:
        for weight in node.init:
            if weight in weights:
                found[target, weight] = None
    return list(found)


def _rule(key: WeightKey, layers: list[tuple[Node, str, set[str]]]) -> Filling | None:
    """What fills this weight of this kind of layer; None where some such layer is left to torch's own."""
    target, weight = key
    if target == PARAMETER:
        return None
    fillings = [node.init.get(weight) for node, own, weights in layers if own == target and weight in weights]
    if len(fillings) < 2 or any(filling is None for filling in fillings):
        return None
    if all(filling is fillings[0] for filling in fillings):
        return fillings[0]
    most = Counter(_frozen(f) for f in fillings if f is not None).most_common(1)[0][0]
    return next(f for f in fillings if f is not None and _frozen(f) == most)


def _function(rules: Mapping[WeightKey, Filling], layers: list[tuple[Node, str, set[str]]]) -> list[str]:
    if not rules:
        return []
    by_target: dict[str, list[tuple[str, Filling]]] = {}
    for (target, weight), filling in rules.items():
        by_target.setdefault(target, []).append((weight, filling))
    # Kinds of layers with the same rules share a line.
    merged: dict[Any, list[str]] = {}
    for target, own in by_target.items():
        merged.setdefault(tuple((w, _frozen(f), _always(target, w, layers)) for w, f in own), []).append(target)
    lines = [
        "def init_weights(module: nn.Module) -> None:",
        '    """Initialize the weights of a layer."""',
    ]
    for number, targets in enumerate(merged.values()):
        lead = f"    {'if' if not number else 'elif'} isinstance(module, {' | '.join(targets)})"
        fillings = by_target[targets[0]]
        weight, filling = fillings[0]
        both = f"{lead} and module.{weight} is not None:"
        last = number + 1 == len(merged) and len(fillings) == 1
        if last and not _always(targets[0], weight, layers) and len(both) <= WIDTH:
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


def _always(target: str, weight: str, layers: list[tuple[Node, str, set[str]]]) -> bool:
    return all(weight in weights for _, own, weights in layers if own == target)


def _fill(weight: str, filling: Filling) -> Doc:
    if isinstance(filling, Init):
        options = [f"{name}={python_literal(value)}" for name, value in filling.options.items()]
        return Bracket(f"nn.init.{filling.function}_(", [weight, *options])
    if isinstance(filling, tuple):
        values = Bracket("torch.tensor(", [Bracket("[", [repr(value) for value in filling], "]")])
        return Bracket(f"{weight}.data.copy_(", [values])
    if filling in (0, 1):
        return f"nn.init.{'zeros' if filling == 0 else 'ones'}_({weight})"
    return f"nn.init.constant_({weight}, {filling!r})"


def _statements(names: list[str], attribute: str, filling: Filling) -> list[str]:
    """Fill a weight of some layers (`.weight`), or parameters (no attribute): one by its name, several in a loop."""
    if len(names) == 1:
        return statement("", _fill(f"{names[0]}{attribute}", filling), 8)
    each = "layer" if attribute else "parameter"
    head = f"        for {each} in ({', '.join(names)}):"
    # What does not fit on one line has a line for each: a tuple is not broken once.
    lines = [f"{' ' * 12}{name}," for name in names]
    return [
        *([head] if len(head) <= WIDTH else [f"        for {each} in (", *lines, "        ):"]),
        *statement("", _fill(f"{each}{attribute}", filling), 12),
    ]
