"""Finds the parameters of a spec that can be arguments of the network's class, such as `classes`."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.backends.pytorch.arguments import NOT_ARGUMENTS
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.expression import Expression, names_in
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph


def free_parameters(graph: Graph, root: ScopeBody) -> set[str]:
    """The parameters of a spec that could be arguments of the network's class.

    They are plain values that neither another class reads nor a condition or number of copies in the network's class,
    since these decide the structure of the source. Printing the class may still pin some of them.
    """
    free = {n for n, v in graph.params.items() if isinstance(v, bool | int | float | str)} - NOT_ARGUMENTS
    free -= {i.name for i in graph.inputs} | graph.decided
    lexicon = Lexicon(graph)
    seen: set[tuple[int, str]] = set()
    for body, trees in _fixed_expressions(root, False):
        use = lexicon.use(body.path)
        block = use.block.name if use is not None and use.block is not None else ""
        for tree in trees:
            # All uses of a block have the same expressions, as the same objects.
            if (id(tree), block) not in seen:
                seen.add((id(tree), block))
                bindings = [lexicon.binding(body.path, name) for name in names_in(tree)]
                free.difference_update(b.name for b in bindings if b is not None and b.owner is None)
    return free


def _fixed_expressions(body: ScopeBody, in_other_class: bool) -> Iterator[tuple[ScopeBody, list[Expression]]]:
    """The expressions whose values the source is fixed to, with the bodies they are in: conditions and counts.

    Inside other classes, and as arguments of inner networks, all expressions are fixed.
    """
    for item in body.items:
        trees = [item.when, item.body.scope.count if item.body is not None and item.body.scope is not None else None]
        if in_other_class or _is_network(item):
            # Flows do not follow the parameters of an inner network.
            trees += item.node.written.values() if item.node is not None else ()
            trees += item.body.scope.written.values() if item.body is not None and item.body.scope is not None else ()
        yield body, [tree for tree in trees if tree is not None]
        if item.body is not None:
            yield from _fixed_expressions(item.body, in_other_class or item.body.is_class)


def _is_network(item: BodyItem) -> bool:
    return item.body is not None and item.body.scope is not None and item.body.scope.kind == "network"
