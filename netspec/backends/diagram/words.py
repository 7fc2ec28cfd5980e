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
OPEN = "open"
"""The MACs of what has a size that is open."""


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
    """What copies that differ have in common, and from where to where the rest goes: `3x3 conv, 16 … 64`."""
    parts = [label.split(", ") for label in labels]
    if len({len(part) for part in parts}) == 1:
        return ", ".join(p[0] if len(set(p)) == 1 else f"{p[0]} … {p[-1]}" for p in zip(*parts, strict=True))
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
    costs += [f"{macs} MACs"] if macs not in ("0", OPEN) else []
    return "\n".join([*([shape_text(output)] if output is not None else []), *([", ".join(costs)] if costs else [])])


def totals_text(layers: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]) -> str:
    """The line below the title; `sizes` are those at which MACs are counted, told where they are not in the shapes."""
    parameters = sum(layer["parameters"] for layer in layers)
    macs = _macs(layers)
    if macs == OPEN:
        return f"{parameters:,} parameters · MACs depend on the input"
    at = ", ".join(f"{name} = {size}" for name, size in sizes.items() if name != "N")
    return f"{parameters:,} parameters · {macs} MACs" + (f" at {at}" if at else "")


def _macs(layers: Iterable[Mapping[str, Any]]) -> str:
    counts = [layer["macs"] for layer in layers]
    known = [count for count in counts if isinstance(count, int)]
    total = short(sum(known))
    if any(isinstance(count, str) for count in counts):
        return OPEN
    return total if len(known) == len(counts) else f"at least {total}"


def name_of(scopes: Sequence[Scope], node: Node | None, drawn_once: Callable[[Scope], bool]) -> str:
    """The name that a spec gave to a box: to the outermost scope around it that has one, else to its op."""
    for place, scope in enumerate(scopes):
        kind = scope.block.name if scope.block else scope.kind
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
    return _said(graph, group, scope), len(group.items) if scope.kind == "repeat" else 1


def frame_title(graph: Graph, scope: Scope) -> str:
    """`layer2: basic 128`."""
    said = _said(graph, _group(tree(graph), scope.path), scope)
    above = graph.scopes.get(scope.parent)
    name = f"{above.name}.{scope.name}" if above is not None and above.kind == "repeat" else scope.name
    return name if said == name else f"{name}: {said}"


def _said(graph: Graph, group: Group, scope: Scope) -> str:
    """What a scope is, without its copies; of a merge with branches, which one."""
    inner = group.items[0] if scope.kind == "repeat" else group
    merge = graph.by_path.get(inner.path)
    return merge.op.label() if merge is not None else re.sub(r" \(x \d+\)$", "", describe(group, scope))


def _group(group: Group, path: str) -> Group:
    while group.path != path:
        inner: Collection[Group] = [item for item in group.items if isinstance(item, Group)]
        group = next(item for item in inner if item.path == path or path.startswith(f"{item.path}."))
    return group
