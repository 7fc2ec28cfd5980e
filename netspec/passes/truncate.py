"""A network up to some of its values: a feature extractor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netspec.errors import choices, closest, fail
from netspec.graph.model import Graph, Output
from netspec.graph.rebuild import Editor, flat_names, rebuild
from netspec.graph.tree import tree, uses_hint
from netspec.graph.walk import needed_for
from netspec.passes.base import Derived, Transformed

if TYPE_CHECKING:
    from torch import Tensor


def truncate(graph: Graph, values: Sequence[str]) -> Transformed:
    """Make these values the outputs, in this order, and drop all that they do not need: nodes and inputs.

    A value goes by the name of an output, by the path of a node or a scope (`layer1.0`, a repeat, a branch), or by
    that and a further output (`stage3.t`, `path:output`). Outputs keep their names; others are named after their
    paths, with `_` for `.`. All are outputs in inference. Where the owner of shared weights goes, the first of those
    that stay owns them. Raises NetspecError NS209 for what is no value or an input, NS210 for one named twice.
    """
    made = with_outputs(graph, _outputs(graph, values))
    return replace(made, done=_done(graph, made.graph))


def with_outputs(graph: Graph, outputs: Sequence[Output]) -> Transformed:
    """The graph with these outputs, of values that it has, and what they need."""
    needed = needed_for(graph, [o.value for o in outputs])
    nodes = tuple([node for node in graph.nodes if node.path in needed])
    read = {value for node in nodes for value in node.inputs}
    inputs = tuple([i for i in graph.inputs if i.name in read])
    made = rebuild(replace(graph, inputs=inputs, outputs=tuple(outputs), nodes=nodes), Editor.keep)
    return Transformed(made, derived=_derived(graph, made))


def _outputs(graph: Graph, names: Sequence[str]) -> list[Output]:
    if isinstance(names, str):
        raise TypeError(f"it takes a list of names, as [{names!r}]")
    if not names:
        fail("NS209", f"nothing of `{graph.name}` is named", help=_at_the_top(graph))
    known: dict[str, str] = {}
    for name, value in _values(graph):
        known.setdefault(name, value)
    for place, name in enumerate(names):
        if name in names[:place]:
            fail("NS210", f"`{name}` is named twice")
        _check(graph, name, known)
    own = {o.name: o for o in graph.outputs}
    others = [name for name in names if name not in own]
    called = dict(zip(others, flat_names(others, own.keys() & set(names)), strict=True))
    return [
        replace(own[name], mode="inference") if name in own else Output(called[name], known[name]) for name in names
    ]


def _values(graph: Graph) -> Iterator[tuple[str, str]]:
    """What may be named, with the value it stands for; of two things with one name the first is meant."""
    yield from ((o.name, o.value) for o in graph.outputs)
    for node in graph.nodes:
        yield from ((value, value) for value, _ in node.values())
    yield from ((scope.path, scope.output) for scope in graph.scopes.values())
    for node in graph.nodes:
        named = zip(node.op.output_names, node.values(), strict=True)
        yield from ((f"{node.path}.{name}", value) for name, (value, _) in named)
    # A repeat calls what it gives as its copies do.
    copied = {scope.parent: scope.block.outputs for scope in graph.scopes.values() if scope.block is not None}
    for path, scope in graph.scopes.items():
        names = copied.get(path, ()) if scope.kind == "repeat" else scope.block.outputs if scope.block else ()
        yield from ((f"{path}.{name}", value) for name, value in zip(names, scope.outputs, strict=False))


def _check(graph: Graph, name: str, known: Mapping[str, str]) -> None:
    """Refuse a name of nothing, and one of an input."""
    inputs = {i.name for i in graph.inputs}
    if known.get(name, name) in inputs:
        what = f"`{name}` is an input" if name in inputs else f"`{name}` is the input `{known[name]}` as it is"
        fail("NS209", f"{what}: there is nothing to compute", help=_at_the_top(graph))
    if name not in known:
        fail(
            "NS209",
            f"`{graph.name}` has no value `{name}`",
            help=uses_hint(graph, name) or closest(name, known) or _at_the_top(graph),
        )


def _at_the_top(graph: Graph) -> str:
    paths = [item.path for item in tree(graph).items]
    return f"there are {choices(dict.fromkeys((*(o.name for o in graph.outputs), *paths)))}"


def _done(graph: Graph, made: Graph) -> tuple[str, ...]:
    """What stays and what goes, in words."""
    sizes = [sum(w.size for w in g.state().values() if w.kind == "parameter") for g in (made, graph)]
    outputs = choices([o.name for o in made.outputs])
    what = "output" if len(made.outputs) == 1 else "outputs"
    stays = f"{len(made):,} of {len(graph):,} nodes kept, {sizes[0]:,} of {sizes[1]:,} parameters: {what} {outputs}"
    gone = [i.name for i in graph.inputs if i not in made.inputs]
    return (stays, f"{'input' if len(gone) == 1 else 'inputs'} {choices(gone)} dropped") if gone else (stays,)


def _derived(graph: Graph, made: Graph) -> dict[str, Derived]:
    """The weights that another node owns now, from where they were."""
    return {
        weight.key(node.weights_of): Derived((weight.key(graph[node.path].weights_of),), _same)
        for node in made.nodes
        if node.weights_of != graph[node.path].weights_of
        for weight in made.weights(node)
    }


def _same(tensor: Tensor) -> Tensor:
    return tensor
