"""Truncates a network at some of its values, which makes it a feature extractor."""

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
    """Make these values the outputs, in this order, and drop all nodes and inputs that they do not depend on.

    A value is named by an output, by the path of a node or a scope (`layer1.0`, a repeat, a branch), or by a path and
    the name of one of its outputs (`stage3.t`, `path:output`). Outputs keep their names; other values are named after
    their paths, with `_` for `.`. All become outputs in inference. If the owner of shared weights is dropped, the first
    node that shares them becomes the owner. Raises NetspecError NS209 for a name that is no value, or that of an input,
    and NS210 for a name that is given twice.

    `truncate(graph, ["layer3.0", "layer4"])` of ResNet-18 keeps 66 of its 69 nodes, and has the outputs `layer3_0` and
    `layer4` in place of the classes.
    """
    truncated = with_outputs(graph, _outputs(graph, values))
    return replace(truncated, done=_done(graph, truncated.graph))


def with_outputs(graph: Graph, outputs: Sequence[Output]) -> Transformed:
    """The graph with these outputs, and only the nodes and inputs that they depend on."""
    needed = needed_for(graph, [o.value for o in outputs])
    nodes = tuple([node for node in graph.nodes if node.path in needed])
    read = {value for node in nodes for value in node.inputs}
    inputs = tuple([i for i in graph.inputs if i.name in read])
    rebuilt = rebuild(replace(graph, inputs=inputs, outputs=tuple(outputs), nodes=nodes), Editor.keep)
    return Transformed(rebuilt, derived=_derived(graph, rebuilt))


def _outputs(graph: Graph, names: Sequence[str]) -> list[Output]:
    if isinstance(names, str):
        raise TypeError(f"it takes a list of names, as [{names!r}]")
    if not names:
        fail("NS209", f"nothing of `{graph.name}` is named", help=_at_the_top(graph))
    values: dict[str, str] = {}
    for name, value in _values(graph):
        values.setdefault(name, value)
    for place, name in enumerate(names):
        if name in names[:place]:
            fail("NS210", f"`{name}` is named twice")
        _check(graph, name, values)
    outputs = {o.name: o for o in graph.outputs}
    others = [name for name in names if name not in outputs]
    new_names = dict(zip(others, flat_names(others, outputs.keys() & set(names)), strict=True))
    return [
        replace(outputs[name], mode="inference") if name in outputs else Output(new_names[name], values[name])
        for name in names
    ]


def _values(graph: Graph) -> Iterator[tuple[str, str]]:
    """All names that `truncate` takes, with their values; of two equal names, the first counts."""
    yield from ((o.name, o.value) for o in graph.outputs)
    for node in graph.nodes:
        yield from ((value, value) for value, _ in node.values())
    yield from ((scope.path, scope.output) for scope in graph.scopes.values())
    for node in graph.nodes:
        named = zip(node.op.named_outputs, node.values(), strict=True)
        yield from ((f"{node.path}.{name}", value) for name, (value, _) in named)
    # The outputs of a repeat have the names of its copies' outputs.
    copied = {scope.parent: scope.block.outputs for scope in graph.scopes.values() if scope.block is not None}
    for path, scope in graph.scopes.items():
        names = copied.get(path, ()) if scope.kind == "repeat" else scope.block.outputs if scope.block else ()
        yield from ((f"{path}.{name}", value) for name, value in zip(names, scope.outputs, strict=False))


def _check(graph: Graph, name: str, values: Mapping[str, str]) -> None:
    """Refuse a name that is no value, or that of an input."""
    inputs = {i.name for i in graph.inputs}
    if values.get(name, name) in inputs:
        what = f"`{name}` is an input" if name in inputs else f"`{name}` is the input `{values[name]}` as it is"
        fail("NS209", f"{what}: there is nothing to compute", help=_at_the_top(graph))
    if name not in values:
        fail(
            "NS209",
            f"`{graph.name}` has no value `{name}`",
            help=uses_hint(graph, name) or closest(name, values) or _at_the_top(graph),
        )


def _at_the_top(graph: Graph) -> str:
    paths = [item.path for item in tree(graph).items]
    return f"there are {choices(dict.fromkeys((*(o.name for o in graph.outputs), *paths)))}"


def _done(graph: Graph, truncated: Graph) -> tuple[str, ...]:
    """Sentences about the nodes and parameters that are kept, and the inputs that are dropped."""
    sizes = [sum(w.size for w in g.state().values() if w.kind == "parameter") for g in (truncated, graph)]
    outputs = choices([o.name for o in truncated.outputs])
    what = "output" if len(truncated.outputs) == 1 else "outputs"
    stays = (
        f"{len(truncated):,} of {len(graph):,} nodes kept, {sizes[0]:,} of {sizes[1]:,} parameters: {what} {outputs}"
    )
    gone = [i.name for i in graph.inputs if i not in truncated.inputs]
    return (stays, f"{'input' if len(gone) == 1 else 'inputs'} {choices(gone)} dropped") if gone else (stays,)


def _derived(graph: Graph, truncated: Graph) -> dict[str, Derived]:
    """The weights that have a new owner, each derived from its old key."""
    return {
        weight.key(node.weights_of): Derived((weight.key(graph[node.path].weights_of),), _same)
        for node in truncated.nodes
        if node.weights_of != graph[node.path].weights_of
        for weight in truncated.weights(node)
    }


def _same(tensor: Tensor) -> Tensor:
    return tensor
