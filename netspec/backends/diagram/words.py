"""What stands on boxes and frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from netspec.analysis.layers import describe
from netspec.backends.diagram.atoms import Atom
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.tree import Group, tree
from netspec.tables import short
from netspec.types import Tensor

SHORT = {"batch_norm": "bn", "local_response_norm": "LRN"}
"""What followers are called in a box, where that is not their own name."""
SILENT = ("flatten", "identity")


def shape_text(tensor: Tensor) -> str:
    """A shape without its batch: `64 x 56 x 56`."""
    return " × ".join(str(dim) for dim in tensor.shape[1:])


def joined(*texts: str) -> str:
    """Texts in a line, those that say nothing left out."""
    return " · ".join(text for text in texts if text)


def followers(atom: Atom) -> str:
    """`bn, relu`: what shares the box of an op."""
    names = [SHORT.get(node.op.opname, node.op.label()) for node in atom.followers if node.op.opname not in SILENT]
    return ", ".join(names)


def merged(labels: Sequence[str]) -> str | None:
    """One label for the copies of an op, with what the first has of its own; None where others differ too."""
    first, last = labels[0], labels[-1]
    if all(label == first for label in labels):
        return first
    if all(label == last for label in labels[1:]):
        own = [part for part in first.split(", ") if part not in last.split(", ")]
        lost = [part for part in last.split(", ") if part not in first.split(", ")]
        return f"{last}, first {', '.join(own)}" if own and not lost else f"{last}, first: {first}"
    return None


def varying(labels: Sequence[str]) -> str:
    """What copies that differ have in common."""
    shared = [part for part in labels[0].split(", ") if all(part in label.split(", ") for label in labels)]
    return ", ".join([*shared, "varies"])


def which(places: Sequence[int], count: int) -> str:
    """In which of so many copies something stands: `first only`; nothing where it stands in all."""
    if len(places) == count:
        return ""
    if places == [0]:
        return "first only"
    return "not first" if list(places) == list(range(1, count)) else f"in {len(places)} of {count}"


def figures(output: Tensor | None, layers: Iterable[Mapping[str, Any]]) -> str:
    """`128 x 28 x 28`, and below it `1.1 M params, 0.9 G MACs`."""
    layers = list(layers)
    parameters = sum(layer["parameters"] for layer in layers)
    macs = _macs(layers)
    costs = [f"{short(parameters)} params"] if parameters else []
    costs += [f"{macs} MACs"] if macs != "0" else []
    return "\n".join([*([shape_text(output)] if output is not None else []), *([", ".join(costs)] if costs else [])])


def totals_text(layers: Sequence[Mapping[str, Any]]) -> str:
    """The line below the title."""
    parameters = sum(layer["parameters"] for layer in layers)
    return f"{parameters:,} parameters · {_macs(layers)} MACs"


def _macs(layers: Iterable[Mapping[str, Any]]) -> str:
    counts = [layer["macs"] for layer in layers]
    known = [count for count in counts if isinstance(count, int)]
    total = short(sum(known))
    if any(isinstance(count, str) for count in counts):
        return "open"
    return total if len(known) == len(counts) else f"at least {total}"


def name_of(scopes: Sequence[Scope], node: Node | None, drawn_once: Callable[[Scope], bool]) -> str:
    """The name that a spec gave to a box: to the outermost scope around it that has one, else to its op."""
    for place, scope in enumerate(scopes):
        kind = scope.block.name if scope.block and scope.kind == "block" else scope.kind
        if scope.kind == "branch" or _by_itself(scope.name, kind):
            continue
        if scope.kind != "repeat" or drawn_once(scope):
            return scope.name
        copy = scopes[place + 1].name if place + 1 < len(scopes) else node.name if node else ""
        return f"{scope.name}.{copy}"
    return node.name if node is not None and not _by_itself(node.name, node.op.opname) else ""


def _by_itself(name: str, kind: str) -> bool:
    """Whether a name only counts ops, uses of a block or copies: `conv2d_2`, `0`."""
    return re.fullmatch(rf"{re.escape(kind)}(_\d+)?|\d+", name) is not None


def closed_label(graph: Graph, scope: Scope, nodes: Sequence[Node]) -> tuple[str, int]:
    """What a closed scope is, and how many copies it stands for."""
    group = _group(tree(graph, nodes), scope.path)
    label = describe(group, scope)
    return re.sub(r" \(x \d+\)$", "", label), len(group.items) if scope.kind == "repeat" else 1


def frame_title(graph: Graph, scope: Scope) -> str:
    """`layer2: basic 128`."""
    group = _group(tree(graph), scope.path)
    said = re.sub(r" \(x \d+\)$", "", describe(group, scope))
    above = graph.scopes.get(scope.parent)
    name = f"{above.name}.{scope.name}" if above is not None and above.kind == "repeat" else scope.name
    return name if said == name else f"{name}: {said}"


def _group(group: Group, path: str) -> Group:
    while group.path != path:
        inner: Collection[Group] = [item for item in group.items if isinstance(item, Group)]
        group = next(item for item in inner if item.path == path or path.startswith(f"{item.path}."))
    return group
