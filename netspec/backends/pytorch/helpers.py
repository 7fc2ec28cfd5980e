"""The definitions and modules that ops need in generated source besides torch, and clashes of their names."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.errors import fail
from netspec.graph.model import Graph
from netspec.types import Call, Helper, Layer, helpers_of

_ALWAYS_IMPORTED = ("torch", "nn", "math")
"""The modules that `source` imports on its own wherever the code reads their names."""


def _items(body: ScopeBody) -> Iterator[BodyItem]:
    """The items of a body and of all bodies inside it."""
    for item in body.items:
        yield item
        if item.body is not None:
            yield from _items(item.body)


def helpers_used(body: ScopeBody) -> dict[str, Helper]:
    """The helpers that ops in a body need in the generated file, by name; each after those that it needs itself.

    Raises NetspecError NS401 if two of them have one name.
    """
    helpers: dict[str, Helper] = {}
    for item in _items(body):
        for helper in helpers_of(item.printed) if item.printed is not None else ():
            if helpers.setdefault(helper.name, helper) != helper:
                op = item.node.op.opname if item.node is not None else item.name
                span = item.node.span if item.node is not None else None
                fail("NS401", f"`{op}` needs a `{helper.name}` in the source, and another op a different one", span)
    return helpers


def modules_used(body: ScopeBody) -> set[str]:
    """The modules outside torch that the code of a body reads, such as `torchvision.ops`."""
    modules: set[str] = set()
    for item in _items(body):
        name = item.printed.target if isinstance(item.printed, Layer) else ""
        name = item.printed.function if isinstance(item.printed, Call) else name
        module = name.rpartition(".")[0]
        if module and module.partition(".")[0] not in _ALWAYS_IMPORTED:
            modules.add(module)
        for helper in helpers_of(item.printed) if item.printed is not None else ():
            modules.update(module for module in helper.imports if module not in _ALWAYS_IMPORTED)
    return modules


def check_names(graph: Graph, code: str, modules: Collection[str], helpers: Collection[str]) -> None:
    """Raise NetspecError NS401 if code assigns to the name of a module that an op needs, or of a helper.

    `code` is the generated source without the helpers.
    """
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    fields: set[ast.AST] = {node.target for node in nodes if isinstance(node, ast.AnnAssign)}
    names = [node for node in nodes if isinstance(node, ast.Name) and node not in fields]
    taken = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    taken |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for module in sorted(modules):
        if module.partition(".")[0] in taken:
            message = f"`{module.partition('.')[0]}` is a name in `{graph.name}`, and the module that an op needs"
            fail("NS401", message, help="rename it")
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for name in sorted(taken.union(defined).intersection(helpers)):
        what = "a class" if name in defined else "a name"
        fail("NS401", f"`{name}` is {what} in `{graph.name}`, and a definition that an op needs", help="rename it")
