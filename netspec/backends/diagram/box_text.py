"""What stands on boxes and clusters."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence

from netspec.analysis.cost import Cost
from netspec.backends.diagram.copy_texts import differing, merged, shapes_across, varying, which
from netspec.dims import Dim, Symbolic
from netspec.expression import show
from netspec.graph.model import Graph, Node, Scope
from netspec.ops.base import REGISTRY, Op
from netspec.tables import short
from netspec.types import Tensor

_OPEN = "open"
"""The MACs of what has a size that is open."""
_MAX_SHAPES = 2
"""As many shapes of what leaves a box are told."""


class Shapes:
    """How the shapes of a graph are written: without the batch that its inputs have in common."""

    def __init__(self, graph: Graph) -> None:
        batches = {i.type.shape[:1] for i in graph.inputs}
        self.batch = next(iter(batches)) if len(batches) == 1 else ()
        self._texts: dict[int, str] = {}
        """By the identity of a type, which the graph keeps alive."""

    def text(self, tensor: Tensor) -> str:
        """`64 x 56 x 56`."""
        text = self._texts.get(id(tensor))
        if text is None:
            text = self._texts[id(tensor)] = self._text(tensor)
        return text

    def _text(self, tensor: Tensor) -> str:
        shape: tuple[Dim, ...] = tensor.shape
        if self.batch and shape[:1] == self.batch and len(shape) > 1:
            shape = shape[1:]
        return " × ".join(str(dim) for dim in shape) if shape else "scalar"

    def of(self, tensors: Iterable[Tensor]) -> str:
        """The shapes of the values that leave a box, each once."""
        texts = list(dict.fromkeys([self.text(tensor) for tensor in tensors]))
        return "; ".join(texts[:_MAX_SHAPES] + (["…"] if len(texts) > _MAX_SHAPES else []))


def joined(*texts: str) -> str:
    """Texts in a line, those that say nothing left out."""
    return " · ".join(text for text in texts if text)


def label_of(labels: Sequence[str], groups: Sequence[Hashable]) -> str:
    """One label for the copies of an op."""
    return merged(labels) or varying(labels, groups)


def followers(rows: Sequence[Sequence[Node]], groups: Sequence[Hashable]) -> str:
    """`bn, relu`: what shares the box of an op, in each of the copies."""
    said = [[word for node in row if (word := _brief(node.op))] for row in rows]
    if all(names == said[0] for names in said):
        return ", ".join(said[0])
    # The longest tells best where those stand that others lack.
    parts = dict.fromkeys(name for names in sorted(said, key=len, reverse=True) for name in names)
    words = [(name, which([name in names for names in said], groups)) for name in parts]
    return ", ".join(f"{name} ({where})" if where else name for name, where in words)


def _brief(op: Op) -> str:
    """What an op is called in the box of another; "" where it goes without saying."""
    return op.label() if op.abbreviation is None else op.abbreviation


def abbreviations() -> dict[str, str]:
    """The ops that boxes abbreviate, with what they call them: `bn` for batch_norm."""
    return {cls.opname: cls.abbreviation for cls in REGISTRY.values() if cls.abbreviation}


def weights_of(owners: Sequence[str], groups: Sequence[Hashable]) -> str:
    """Whose weights the copies of a box use; "" stands for their own."""
    known = [owner for owner in owners if owner]
    if not known:
        return ""
    where = which([bool(owner) for owner in owners], groups)
    return f"weights of {shapes_across(known)}" + (f" ({where})" if where else "")


def figures(shape: str, costs: Iterable[Cost]) -> str:
    """`128 x 28 x 28`, and below it `1.1 M params, 0.9 G MACs`."""
    costs = list(costs)
    parameters = sum(cost.parameters for cost in costs)
    macs = _macs(costs)
    words = [f"{short(parameters)} params"] if parameters else []
    words += [f"{macs} MACs"] if macs not in ("0", _OPEN) else []
    return "\n".join([*([shape] if shape else []), *([", ".join(words)] if words else [])])


def totals_text(costs: Sequence[Cost], sizes: Iterable[tuple[str, int]]) -> str:
    """The line below the title; `sizes` are those at which MACs are counted, told where they are not in the shapes."""
    parameters = sum(cost.parameters for cost in costs)
    macs = _macs(costs)
    if macs == _OPEN:
        return f"{parameters:,} parameters · MACs depend on the input"
    at = ", ".join(f"{name} = {size}" for name, size in sizes if name != "N")
    return f"{parameters:,} parameters · {macs} MACs" + (f" at {at}" if at else "")


def _macs(costs: Iterable[Cost]) -> str:
    counts = [cost.macs for cost in costs]
    known = [count for count in counts if isinstance(count, int)]
    if any(isinstance(count, Symbolic) for count in counts):
        return _OPEN
    return short(sum(known)) if len(known) == len(counts) else f"at least {short(sum(known))}"


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


def block_words(uses: Sequence[Scope], groups: Sequence[Hashable]) -> tuple[str, tuple[str, ...]]:
    """What the uses of a block are: its name with the arguments that they share, and lines of further arguments.

    One argument stands by its value; several have their names. Those that differ from use to use are told last.
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
