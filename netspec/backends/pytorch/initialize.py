"""The spec's initialisers as source: a rule for each kind of layer, and what differs from the rule by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from netspec.backends.pytorch.layout import Bracket, Doc, statement
from netspec.expression import python_literal
from netspec.graph.model import Graph, Node
from netspec.types import Filling, Init, Layer

PARAMETER = "nn.Parameter"
Key = tuple[str, str]
"""A torch class and the name of one of its weights."""


def initializers(graph: Graph) -> tuple[list[str], list[str]]:
    """A function `init_weights` with the rules (empty if there are none), and statements for the constructor."""
    layers = _layers(graph)
    rules = {key: rule for key in _keys(layers) if (rule := _rule(key, layers)) is not None}
    statements = ["        self.apply(init_weights)"] if rules else []
    exceptions: dict[tuple[str, Any], list[str]] = {}
    fillings: dict[tuple[str, Any], Filling] = {}
    for node, target, weights in layers:
        for weight, filling in node.init.items():
            if weight in weights and rules.get((target, weight)) != filling:
                # A parameter is no module that has a weight, but the weight itself.
                attribute = "" if target == PARAMETER else f".{weight}"
                exceptions.setdefault((attribute, _frozen(filling)), []).append(node.path)
                fillings[attribute, _frozen(filling)] = filling
    places = _places(graph) if exceptions else {}
    for key, paths in exceptions.items():
        statements += _statements([_reference(places, path) for path in paths], key[0], fillings[key])
    return _function(rules, layers), statements


def _frozen(filling: Filling) -> Any:
    return (filling.function, tuple(sorted(filling.options.items()))) if isinstance(filling, Init) else filling


def _layers(graph: Graph) -> list[tuple[Node, str, set[str]]]:
    found: list[tuple[Node, str, set[str]]] = []
    for node in graph.nodes:
        printed = node.op.torch(*graph.input_types(node))
        if isinstance(printed, Layer):
            weights = {w.called for w in graph.weights(node) if w.kind == "parameter"}
            if weights:
                found.append((node, printed.target, weights))
    return found


def _keys(layers: list[tuple[Node, str, set[str]]]) -> list[Key]:
    found: dict[Key, None] = {}
    for node, target, weights in layers:
        for weight in node.init:
            if weight in weights:
                found[target, weight] = None
    return list(found)


def _rule(key: Key, layers: list[tuple[Node, str, set[str]]]) -> Filling | None:
    """What fills this weight of this kind of layer; None where some such layer is left to torch's own."""
    target, weight = key
    if target == PARAMETER:
        return None
    fillings = [node.init.get(weight) for node, own, weights in layers if own == target and weight in weights]
    if len(fillings) < 2 or any(filling is None for filling in fillings):
        return None
    most = Counter(_frozen(f) for f in fillings if f is not None).most_common(1)[0][0]
    return next(f for f in fillings if f is not None and _frozen(f) == most)


def _function(rules: Mapping[Key, Filling], layers: list[tuple[Node, str, set[str]]]) -> list[str]:
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
        lines.append(f"    {'if' if not number else 'elif'} isinstance(module, {' | '.join(targets)}):")
        for weight, filling in by_target[targets[0]]:
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
    return [
        *statement(f"for {each} in ", Bracket("(", names), 8, ":"),
        *statement("", _fill(f"{each}{attribute}", filling), 12),
    ]


def _places(graph: Graph) -> dict[str, int]:
    """By the path of each copy of a repeat its place among them, which is its number unless some are left out."""
    copies: dict[str, dict[str, None]] = {path: {} for path, scope in graph.scopes.items() if scope.kind == "repeat"}
    for node in graph.nodes:
        path = node.path
        while path:
            above = path.rpartition(".")[0]
            if above in copies:
                copies[above][path] = None
            path = above
    return {path: place for paths in copies.values() for place, path in enumerate(paths)}


def _reference(places: Mapping[str, int], path: str) -> str:
    """A submodule as source: attributes, and copies of a repeat by their place in it."""
    text, here = "self", ""
    for part in path.split("."):
        here = f"{here}.{part}" if here else part
        text += f"[{places[here]}]" if here in places else f".{part}"
    return text
