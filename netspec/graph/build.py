"""The Builder, with which people build a graph without a spec."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from netspec.errors import Diagnostic, NetspecError, choices, closest, fail
from netspec.graph.assemble import Assembler
from netspec.graph.infer import located
from netspec.graph.model import NOTHING, Block, Node, Scope, ScopeKind, SpecParameter
from netspec.graph.paths import is_below
from netspec.naming import check_class_name, check_module_name
from netspec.ops.attributes import make_op
from netspec.ops.base import Op, RuleError
from netspec.ops.own import find_op, op_names


class Builder(Assembler):
    """Builds a graph node by node, and checks each; values are given and returned by name.

    `input`, `add`, `scope`, `output` and `build` are all you need: they derive paths from names and open scopes. The
    other methods are for callers that know all paths, such as the elaborator of specs.

    >>> b = Builder("tiny")
    >>> image = b.input("image", ["N", 3, 32, 32])
    >>> x = b.add("conv2d", image, name="conv1", out_channels=16, kernel_size=3, padding=1)
    >>> with b.scope("head"):
    ...     x = b.add("adaptive_avg_pool2d", x, output_size=1)
    ...     x = b.add("flatten", x)
    ...     x = b.add("linear", x, name="fc", out_features=10)
    >>> b.output("logits", x)
    >>> graph = b.build()
    >>> graph["head.fc"].type
    Tensor(shape=(<N>, 10), dtype='float32')
    """

    def __init__(
        self, name: str, *, title: str = "", source: str = "", params: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(name, title=title, source=source, params=params)
        self._here = ""
        """The path of the scope that is open."""
        self._numbers: dict[str, int] = {}
        """By path, the number of the last node whose name was derived from it."""

    def add(self, op: str | Op, *inputs: str, name: str = "", weights_of: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its first output.

        `op` is an op, or the name of one with `attributes`; `inputs` are values. The node is added to the open scope
        as `name`, by default the op's name, with a number if that is taken. With `weights_of`, the path of an earlier
        node, it uses that node's weights. Raises NetspecError if attributes, inputs or weights do not fit.
        """
        op = _op_of(op, attributes)
        self.require(*inputs)
        path = self._path(check_module_name(name, "a node", None) if name else self._free_name(op.opname))
        try:
            return self.node(path, op, inputs, weights_of=weights_of, scope=self._here)
        except RuleError as error:
            raise located(error, path) from None

    @contextmanager
    def scope(self, name: str, kind: ScopeKind = "block", block: str = "", **params: Any) -> Generator[str, None, None]:
        """Open a scope for the nodes that are added inside the `with`.

        By default it is a use of the block `block`, whose name is that of the scope unless it is given; `params` are
        the arguments of the use.
        """
        path = self._path(check_module_name(name, "a scope", None))
        check_class_name(check_module_name(block or name, "a block", None), "a block", None)
        self.claim_scope(path)
        parameters = tuple(SpecParameter(p, type(value).__name__) for p, value in params.items())
        head = Block(block or name, parameters) if kind == "block" else None
        outer, self._here = self._here, path
        before = len(self.nodes)
        try:
            yield path
        finally:
            self._here = outer
        if len(self.nodes) > before:
            nodes = self.nodes[before:]
            inside = {value for node in nodes for value, _ in node.values()}
            entering = [value for node in nodes for value in node.inputs if value not in inside]
            inputs = {"input": entering[0]} if entering else NOTHING
            owner = self._shared_scope(path, nodes)
            self.add_scope(Scope(path, kind, outer, (nodes[-1].path,), head, params, inputs=inputs, weights_of=owner))

    def _shared_scope(self, path: str, nodes: Sequence[Node]) -> str:
        """The sibling scope whose weights a scope's nodes use, each those of its counterpart; "" if there is none."""
        owners = {n.weights_of.removesuffix(n.path[len(path) :]) for n in nodes if self.has_weights(n)}
        owner = owners.pop() if len(owners) == 1 else ""
        if owner == path or owner not in self.scopes or self.scopes[owner].parent != self._here:
            return ""
        needed, owned = (
            {n.path[len(scope) :] for n in each if is_below(n.path, scope) and self.has_weights(n)}
            for scope, each in ((path, nodes), (owner, self.nodes))
        )
        return owner if needed == owned else ""

    def _path(self, name: str) -> str:
        return f"{self._here}.{name}" if self._here else name

    def _free_name(self, base: str) -> str:
        """A name that is free in the open scope: `base`, or `base` with a number."""
        # Counting continues from the last number, so that many nodes of one op do not take quadratic time.
        number = self._numbers.get(self._path(base), 0)
        name = ""
        while not name or self._is_taken(self._path(name)):
            number += 1
            name = base if number == 1 else f"{base}_{number}"
        self._numbers[self._path(base)] = number
        return name


def _op_of(op: str | Op, attributes: Mapping[str, Any]) -> Op:
    """The op itself, or a new op of that name with these attributes."""
    if isinstance(op, Op):
        return op
    cls = find_op(op)
    if cls is None:
        fail("NS203", f"there is no op `{op}`", help=closest(op, op_names()) or f"ops are {choices(op_names())}")
    new, problems = make_op(cls, {name: _listed(value) for name, value in attributes.items()})
    if new is None:
        raise NetspecError(*(Diagnostic(p.code, p.message, help=p.help) for p in problems))
    return new


def _listed(value: Any) -> Any:
    """A tuple as a list, which is what attributes take; other values unchanged."""
    return list(cast(tuple[Any, ...], value)) if isinstance(value, tuple) else value
