"""Infers the types of an op's outputs, and checks that a graph can run at given sizes of its symbols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from netspec.dims import MAX_DIM, TooLargeError, symbols
from netspec.errors import Diagnostic, NetspecError
from netspec.expression import show
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node
from netspec.ops.base import Op, RuleError
from netspec.ops.check import check_use
from netspec.source import Span
from netspec.types import Tensor


def infer(op: Op, input_types: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Infer the types of an op's outputs. Raises RuleError if the inputs do not fit."""
    least, most = op.inputs
    if len(input_types) < least or (most is not None and len(input_types) > most):
        count = str(least) if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise RuleError(
            f"`{op.opname}` takes {count} input{'s' if count != '1' else ''}, not {len(input_types)}", code="NS302"
        )
    check_use(op, input_types)
    try:
        result = op.infer(*input_types)
        types = result if isinstance(result, tuple) else (result,)
        if any(isinstance(size, int) and size > MAX_DIM for type in types for size in type.shape):
            raise TooLargeError
    except TooLargeError as error:
        raise RuleError(str(error), code="NS214") from None
    return types


def refused_at(graph: Graph, sizes: Mapping[str, int]) -> tuple[Node, RuleError] | None:
    """The first node whose op refuses its inputs when symbols have these sizes, with the error; None without one."""

    def refusal(node: Node, types: tuple[Tensor, ...]) -> RuleError | None:
        if sizes.keys() & symbols([size for type in types for size in type.shape]):
            try:
                infer(node.op, tuple([type.at(sizes) for type in types]))
            except RuleError as error:
                return error
        return None

    refusal_of = NodeMemo(graph, refusal)
    return next(((node, error) for node in graph.nodes if (error := refusal_of(node)) is not None), None)


def check_sizes(graph: Graph, sizes: Mapping[str, int], what: str = "") -> None:
    """Refuse sizes of symbols at which some op can't run, such as those of an empty map.

    For symbolic sizes, an op's rule can only check what holds for all of them. `what` is put before the sizes in the
    error, such as "the nominal sizes ". Raises NetspecError with the rule's error.
    """
    refused = refused_at(graph, sizes) if sizes else None
    if refused is None:
        return
    node, error = refused
    assignments = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    error.message = f"{error.message}, at {what}{assignments}"
    error.help = f"give other sizes, or {error.help}" if error.help else "give other sizes"
    values = ", ".join(f"{value} is {graph.types[value].at(sizes)}" for value in node.inputs)
    raise located(error, node.path, node.span, use_notes(_uses(graph, node)), values)


def _uses(graph: Graph, node: Node) -> Iterator[tuple[str, Span, Mapping[str, Any]]]:
    """The uses of blocks and networks around a node, innermost first."""
    scope = graph.scopes.get(node.scope)
    while scope is not None:
        if scope.block is not None and scope.span is not None:
            kind = "network" if scope.kind == "network" else "block"
            yield f"{kind} `{scope.block.name}`", scope.span, scope.params
        scope = graph.scopes.get(scope.parent)


def use_notes(uses: Iterable[tuple[str, Span, Mapping[str, Any]]]) -> tuple[str, ...]:
    """The notes of an error about the uses of blocks around its place: each with its place and arguments."""
    notes: list[str] = []
    for what, span, params in uses:
        arguments = ", ".join(f"{name}={show(value)}" for name, value in params.items())
        notes.append(f"{what} used at {span.place}" + (f" with {arguments}" if arguments else ""))
    if len(notes) > 6:
        notes[5:] = [f"and {len(notes) - 5} more blocks around it"]
    return tuple(notes)


def located(
    error: RuleError, path: str, span: Span | None = None, notes: Sequence[str] = (), values: str = ""
) -> NetspecError:
    """The error of an op's rule as a NetspecError with the node's path, and with its place and inputs if known."""
    label = (f"{path}: {values}" if values else path) if span else ""
    message = error.message if span else f"{path}: {error.message}"
    return NetspecError(Diagnostic(error.code, message, span, label, tuple(notes), error.help))
