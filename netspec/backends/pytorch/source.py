"""A graph as the source of a Python module: `to_source`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from netspec.backends.pytorch.arguments import Argument, written
from netspec.backends.pytorch.bodies import Body, Item, bodies
from netspec.backends.pytorch.classes import Class, Member, find_classes
from netspec.backends.pytorch.forward import ForwardWriter
from netspec.backends.pytorch.initialize import initializers
from netspec.backends.pytorch.layout import WIDTH, Bracket, Doc, statement
from netspec.backends.pytorch.write import ClassWriter, Written
from netspec.dims import Dim
from netspec.errors import fail
from netspec.expression import Expression, Literal, Name, names_in
from netspec.graph.model import Graph
from netspec.spec.names import class_name
from netspec.types import Tensor

MARK = "compiled by netspec"
"""Stands in the first line of every generated file."""


def to_source(graph: Graph) -> str:
    """A graph as PyTorch source that stands alone: it imports torch, never netspec.

    One class per block, the network's own last; module attributes are the graph's paths, so that a state
    dict has the graph's keys. Raises NetspecError NS401 where the graph can't be said in PyTorch.
    """
    for o in graph.outputs:
        if o.mode == "train":
            fail("NS401", f"output `{o.name}` of training only can't be said in PyTorch source yet")
    root = bodies(graph)
    classes, of_body = find_classes(graph, root)
    written_classes = _write(graph, classes, of_body)
    function, statements = initializers(graph)
    sections = [_class(graph, w, statements if w.cls.template.body is root else []) for w in written_classes]
    if len(graph.outputs) > 1:
        sections.insert(-1, _output_class(graph))
    if function:
        sections.insert(0, "\n".join(function))
    code = "\n\n\n".join(sections)
    return f"{_header(graph, code)}\n\n\n{code}\n"


def _write(graph: Graph, classes: Sequence[Class], of_body: Mapping[int, Class]) -> list[Written]:
    done: dict[int, Written] = {}
    free = _free_parameters(graph, classes)
    for cls in classes[:-1]:
        done[id(cls)] = ClassWriter(cls, graph, of_body, done, ()).write()
    while True:
        writer = ClassWriter(classes[-1], graph, of_body, done, free)
        found = writer.write()
        if not writer.fixed & free:
            return [*done.values(), found]
        # Some number in the source follows from such a parameter, so it has to be a number too.
        free -= writer.fixed


def _free_parameters(graph: Graph, classes: Sequence[Class]) -> set[str]:
    """Parameters of the spec that could be arguments of the network's class: plain numbers that no structure,
    no input shape and no block's body reads."""
    free = {n for n, v in graph.params.items() if isinstance(v, bool | int | float | str)}
    for scope in graph.scopes.values():
        inside = _in_block(graph, scope.parent)
        for tree in (scope.count, scope.when, *(scope.written.values() if inside else ())):
            if tree is not None:
                free -= names_in(tree)
    for node in graph.nodes:
        if node.when is not None:
            free -= names_in(node.when)
        if node.written and _in_block(graph, node.scope):
            for tree in node.written.values():
                free -= names_in(tree)
    for cls in classes[:-1]:
        if not cls.block:
            free -= set(graph.params)
    return free


def _in_block(graph: Graph, path: str) -> bool:
    while path:
        scope = graph.scopes[path]
        if scope.kind == "block":
            return True
        path = scope.parent
    return False


def _header(graph: Graph, code: str) -> str:
    lines = [*_docstring(f"{graph.title or graph.name} in PyTorch, {MARK} from `{graph.name}`.", 0), ""]
    standard = [
        line
        for used, line in (
            ("math.", "import math"),
            ("OrderedDict(", "from collections import OrderedDict"),
            ("(NamedTuple)", "from typing import NamedTuple"),
        )
        if used in code
    ]
    if standard:
        lines += [*standard, ""]
    if "torch." in code.replace("import torch", ""):
        lines.append("import torch")
    lines.append("from torch import Tensor, nn")
    return "\n".join(lines)


def _class(graph: Graph, found: Written, statements: Sequence[str]) -> str:
    body = found.cls.template.body
    network = body.scope is None
    inputs = _input_names(body, found)
    lines = [f"class {found.cls.name}(nn.Module):"]
    lines += _docstring(_describe(graph, found, inputs), 4)
    lines.append("")
    parameters: list[Doc] = ["self", *(_parameter(a) for a in found.arguments)]
    lines += statement("def __init__", Bracket("(", parameters, ") -> None:"), 4)
    lines.append("        super().__init__()")
    lines += found.constructor
    lines += statements
    lines.append("")
    several = len(body.outputs) > 1
    returned = f"{found.cls.name}Output" if network and several else ""
    result = returned or ("tuple[" + ", ".join("Tensor" for _ in body.outputs) + "]" if several else "Tensor")
    heads: list[Doc] = ["self", *(f"{name}: Tensor" for name in inputs)]
    lines += statement("def forward", Bracket("(", heads, f") -> {result}:"), 4)
    lines += ForwardWriter(body, inputs, found.conditions).write(returned)
    return "\n".join(lines)


def _input_names(body: Body, found: Written) -> list[str]:
    if body.scope is None:
        return list(body.inputs)
    if len(body.inputs) == 1:
        return ["x"]
    return [f"x{number}" for number in range(1, len(body.inputs) + 1)]


def _parameter(argument: Argument) -> str:
    default = "" if argument.required else f" = {written(Literal(argument.default))}"
    return f"{argument.name}: {argument.annotation}{default}"


def _output_class(graph: Graph) -> str:
    lines = [f"class {class_name(graph.name)}Output(NamedTuple):", *_docstring(f"What {graph.title or graph.name} gives.", 4), ""]
    return "\n".join([*lines, *(f"    {o.name}: Tensor" for o in graph.outputs)])


def _describe(graph: Graph, found: Written, inputs: Sequence[str]) -> str:
    """A class's docstring: what it maps to what; the network's with its title and source."""
    body = found.cls.template.body
    if body.scope is not None:
        member = found.cls.members[0]
        before = [_shape_text(graph.types[v], Name("in_channels"), None) for v in member.body.inputs]
        after = [_output_text(graph, found, n) for n in range(len(body.outputs))]
        return f"Maps {' and '.join(before)} to {' and '.join(after)}."
    shapes = ", ".join(f"{name} {_plain(graph.types[name])}" for name in inputs)
    results = ", ".join(f"{o.name} {_network_output(graph, found, o.value)}" for o in graph.outputs)
    parts = [f"{graph.title or graph.name}.", graph.source, f"{shapes} -> {results}"]
    return "\n\n".join(part for part in parts if part)


def _network_output(graph: Graph, found: Written, value: str) -> str:
    type = graph.types[value]
    if found.channels is not None and names_in(found.channels) and type.rank >= 2:
        return f"({_dim(type.shape[0])}, {written(found.channels)}{''.join(f', {d}' for d in type.shape[2:])})"
    return _plain(type)


def _plain(type: Tensor) -> str:
    return f"({', '.join(_dim(d) for d in type.shape)})"


def _dim(dim: Dim) -> str:
    return str(dim)


def _shape_text(type: Tensor, channels: Expression | None, spatial: Sequence[str] | None) -> str:
    axes = ["N", *(["C"] if type.rank > 1 else [])]
    if channels is not None and type.rank > 1:
        axes[1] = written(channels)
    letters = {1: ["L"], 2: ["H", "W"]}.get(type.rank - 2, [f"D{n}" for n in range(max(0, type.rank - 2))])
    return f"({', '.join([*axes, *(spatial or letters)])})"


def _output_text(graph: Graph, found: Written, number: int) -> str:
    """A class's output: channels in its arguments' terms, and how much smaller its map is."""
    pairs = [(graph.types[m.body.inputs[0]], graph.types[m.body.outputs[number]]) for m in found.cls.members]
    channels = found.channels if number == 0 else None
    (x, y) = pairs[0]
    if channels is None and len({b.shape[1] for _, b in pairs if b.rank > 1}) == 1 and y.rank > 1:
        channels = Literal(y.shape[1]) if isinstance(y.shape[1], int) else None
    if x.rank != y.rank or y.rank < 3:
        return _shape_text(y, channels, None if y.rank < 3 else [f"{a}_out" for a in ("H", "W")][: y.rank - 2])
    letters = {1: ["L"], 2: ["H", "W"]}.get(y.rank - 2, [])
    if all(a.spatial == b.spatial for a, b in pairs):
        return _shape_text(y, channels, letters)
    divisor = _divisor(found, pairs)
    return _shape_text(y, channels, [f"{a} / {divisor}" if divisor else f"{a}_out" for a in letters])


def _divisor(found: Written, pairs: Sequence[tuple[Tensor, Tensor]]) -> str:
    """The argument, or the number, by which every use divides its map."""
    members: Sequence[Member] = found.cls.members
    choices: list[tuple[str, list[object]]] = [
        (a.name, [a.values[id(m.body)] for m in members]) for a in found.arguments if a.annotation == "int"
    ]
    choices.append(("2", [2] * len(members)))
    for name, values in choices:
        if all(
            isinstance(v, int) and v > 0 and all(_times(b, v) == a for a, b in zip(x.spatial, y.spatial, strict=True))
            for v, (x, y) in zip(values, pairs, strict=True)
        ):
            return name
    return ""


def _times(dim: Dim, factor: int) -> Dim:
    return dim * factor


def _docstring(text: str, indent: int) -> list[str]:
    """A docstring that no text of a spec can break out of."""
    clean = "".join(c if c.isprintable() or c == "\n" else " " for c in text).replace("\\", "\\\\").replace('"""', "'''")
    lead = " " * indent
    paragraphs = clean.split("\n\n")
    wrapped: list[str] = []
    for paragraph in paragraphs:
        wrapped += [*textwrap.wrap(paragraph, WIDTH - indent - 6, break_long_words=False, break_on_hyphens=False), ""]
    wrapped = wrapped[:-1] or [""]
    if wrapped[-1].endswith('"'):
        wrapped[-1] += " "
    if len(wrapped) == 1:
        return [f'{lead}"""{wrapped[0]}"""']
    return [f'{lead}"""{wrapped[0]}', *(f"{lead}{line}".rstrip() for line in wrapped[1:]), f'{lead}"""']


__all__ = ["MARK", "Item", "to_source"]
