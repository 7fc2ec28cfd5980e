"""Texts on boxes and clusters: shapes, figures, names, and the arguments of blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from netspec.analysis.cost import Cost
from netspec.backends.diagram.copy_texts import differing, merged, shapes_across, varying, which
from netspec.dims import Symbolic
from netspec.expression import show
from netspec.graph.model import Graph, Node, Scope
from netspec.ops.base import REGISTRY, Op
from netspec.shape_text import without_batch
from netspec.tables import short
from netspec.types import Tensor

_OPEN = "open"
"""Stands for MACs that depend on an open size."""
_MAX_SHAPES = 2
"""The largest number of output shapes that a box lists."""


class ShapeTexts:
    """Writes the shapes of a graph's values, without the batch if all inputs have the same batch."""

    def __init__(self, graph: Graph) -> None:
        self.batch = graph.batch
        self._texts: dict[int, str] = {}
        """The texts, by the ids of types; the graph keeps the types alive."""

    def text(self, tensor: Tensor) -> str:
        """The shape of a tensor: `64 × 56 × 56`."""
        text = self._texts.get(id(tensor))
        if text is None:
            text = self._texts[id(tensor)] = self._text(tensor)
        return text

    def _text(self, tensor: Tensor) -> str:
        shape = without_batch(tensor.shape, self.batch)
        return " × ".join(str(dim) for dim in shape) if shape else "scalar"

    def of(self, tensors: Iterable[Tensor]) -> str:
        """The shapes of the outputs of a box, each once: `64 × 56 × 56; 128 × 28 × 28`."""
        texts = list(dict.fromkeys([self.text(tensor) for tensor in tensors]))
        return "; ".join(texts[:_MAX_SHAPES] + (["…"] if len(texts) > _MAX_SHAPES else []))


def joined(*texts: str) -> str:
    """Join texts that are not empty by ` · `."""
    return " · ".join(text for text in texts if text)


def label_of(labels: Sequence[str], groups: Sequence[Hashable]) -> str:
    """One label for the copies of an op, whose labels may differ."""
    return merged(labels) or varying(labels, groups)


def followers_text(rows: Sequence[Sequence[Node]], groups: Sequence[Hashable]) -> str:
    """The ops that follow another in its box: `bn, relu`. Each row has the nodes of one copy."""
    names = [{name: node.op.opname for node in row if (name := _short_name(node.op))} for row in rows]
    words: list[str] = []
    for versions in _versions(names):
        having = [next((name for name in versions if name in row), None) for row in names]
        where = which([name is not None for name in having], groups)
        pairs = [(name, group) for name, group in zip(having, groups, strict=True) if name is not None]
        word = varying([name for name, _ in pairs], [group for _, group in pairs]) if len(versions) > 1 else versions[0]
        words.append(f"{word} ({where})" if where else word)
    return ", ".join(words)


def _versions(names: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """The names of all copies, those of one op together that no copy has both of: `dropout, 0.1` and `dropout, 0.2`.

    Each copy maps names to ops. The copy with the most names decides the order of names that others lack.
    """
    ops = {name: op for row in sorted(names, key=len, reverse=True) for name, op in row.items()}
    together: list[list[str]] = []
    for name, op in ops.items():
        rows = [row for row in names if name in row]
        alike = (v for v in together if ops[v[0]] == op and not any(other in row for other in v for row in rows))
        versions = next(alike, None)
        if versions is None:
            together.append([name])
        else:
            versions.append(name)
    return together


def _short_name(op: Op) -> str:
    """The name of an op that follows another in its box; "" for one that is not named there."""
    return op.label() if op.abbreviation is None else op.abbreviation


def abbreviations() -> dict[str, str]:
    """The short names of ops that follow another op in its box, by the names of ops: `bn` for batch_norm."""
    short = {cls.opname: cls.abbreviation for cls in REGISTRY.values() if cls.abbreviation}
    return {name: text for name, text in short.items() if text != name.replace("_", " ")}


def owners_text(owners: Sequence[str], groups: Sequence[Hashable]) -> str:
    """The owners of the weights that copies borrow: `weights of a.conv`; "" is the owner of a copy with its own."""
    others = [owner for owner in owners if owner]
    if not others:
        return ""
    where = which([bool(owner) for owner in owners], groups)
    return f"weights of {shapes_across(others)}" + (f" ({where})" if where else "")


def figures_text(shape: str, costs: Iterable[Cost]) -> str:
    """The figures beside a box: its shape, and in a second line `1.1 M params, 0.9 G MACs`."""
    costs = list(costs)
    parameters = sum(cost.parameters for cost in costs)
    macs = _macs(costs)
    words = [f"{short(parameters)} params"] if parameters else []
    words += [f"{macs} MACs"] if macs not in ("0", _OPEN) else []
    return "\n".join([*([shape] if shape else []), *([", ".join(words)] if words else [])])


def totals_text(costs: Sequence[Cost], sizes: Iterable[tuple[str, int]]) -> str:
    """The line below the title: parameters and MACs, with the symbolic `sizes` at which MACs are counted."""
    parameters = sum(cost.parameters for cost in costs)
    macs = _macs(costs)
    if macs == _OPEN:
        return f"{parameters:,} parameters · MACs depend on the input"
    at = ", ".join(f"{name} = {size}" for name, size in sizes if name != "N")
    return f"{parameters:,} parameters · {macs} MACs" + (f" at {at}" if at else "")


def _macs(costs: Iterable[Cost]) -> str:
    """The sum of MACs as text: `3.6 G`, `at least 3.6 G` if some are unknown, or `open`."""
    counts = [cost.macs for cost in costs]
    numbers = [count for count in counts if isinstance(count, int)]
    if any(isinstance(count, Symbolic) for count in counts):
        return _OPEN
    return short(sum(numbers)) if len(numbers) == len(counts) else f"at least {short(sum(numbers))}"


def name_of(scopes: Sequence[Scope], node: Node | None, drawn_once: Callable[[Scope], bool]) -> str:
    """The name of a box in the spec: that of the outermost named scope around it, else that of its op; or ""."""
    for index, scope in enumerate(scopes):
        kind = scope.block.name if scope.block else scope.kind
        if scope.kind == "branch" or _is_automatic(scope.name, kind):
            continue
        if scope.kind != "repeat" or drawn_once(scope):
            return scope.name
        copy = scopes[index + 1].name if index + 1 < len(scopes) else node.name if node else ""
        return f"{scope.name}.{copy}"
    return node.name if node is not None and not _is_automatic(node.name, node.op.opname) else ""


def _is_automatic(name: str, kind: str) -> bool:
    """Whether a name is a default name that counts ops, uses of a block or copies, such as `conv2d_2` or `0`."""
    return re.fullmatch(rf"{re.escape(kind)}(_\d+)?|\d+", name) is not None


def block_text(uses: Sequence[Scope], groups: Sequence[Hashable]) -> tuple[str, tuple[str, ...]]:
    """The name of a block with the arguments common to all uses, and further lines of arguments.

    A single required argument is written without its name: `bottleneck 64`. Arguments that differ from use to use are
    in the last line: `width {8, 16, 24}`.
    """
    first = uses[0]
    assert first.block is not None
    shared: list[tuple[str, str, bool]] = []
    different: list[str] = []
    for parameter in first.block.parameters:
        rows = [show(use.params.get(parameter.name)) for use in uses if parameter.name in first.params]
        if not rows or (not parameter.required and set(rows) == {show(parameter.default)}):
            continue
        if len(set(rows)) == 1:
            shared.append((parameter.name, rows[0], parameter.required))
        else:
            different.append(f"{parameter.name} {differing(rows, groups)}")
    lines = [", ".join(different)] if different else []
    if sum(required for _, _, required in shared) > 1:
        return first.block.name, (", ".join(f"{name}={value}" for name, value, _ in shared), *lines)
    words = ", ".join(value if required else f"{name} {value}" for name, value, required in shared)
    return f"{first.block.name} {words}".rstrip(), tuple(lines)
