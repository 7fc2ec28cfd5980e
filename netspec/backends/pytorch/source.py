"""A graph as the source of a Python module: `to_source`."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence

from netspec.backends.pytorch.arguments import UNSAYABLE, ConstructorArgument, CopiesDifferError
from netspec.backends.pytorch.bodies import ScopeBody, bodies, helpers_used, modules_used
from netspec.backends.pytorch.classes import Class, ClassUse, Label, find_classes, output_class_name
from netspec.backends.pytorch.expressions import python_text
from netspec.backends.pytorch.flows import UNSEEN, SizeRules
from netspec.backends.pytorch.forward import ForwardWriter
from netspec.backends.pytorch.initialize import initializer_code
from netspec.backends.pytorch.layout import WIDTH, Bracket, Doc, statement
from netspec.backends.pytorch.write import ClassWriter, WrittenClass
from netspec.dims import Dim
from netspec.errors import fail
from netspec.expression import Expression, Literal, Name, names_in
from netspec.graph.closures import convert_closures
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph
from netspec.types import Tensor

SOURCE_MARK = "compiled by netspec"
"""Stands in the first line of every generated file."""


def to_source(graph: Graph) -> str:
    """A graph as PyTorch source that stands alone: it imports torch, never netspec.

    One class per block, the network's own last; module attributes are the graph's paths, so that a state
    dict has the graph's keys. Raises NetspecError NS401 where the graph can't be said in PyTorch.
    """
    if not isinstance(graph, Graph):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"it takes a Graph, not {graph!r}; a Network has one as `network.graph`")
    graph = convert_closures(graph)
    root = bodies(graph)
    written_classes = _classes(graph, root)
    inits = initializer_code(graph, _networks(written_classes))
    sections = [_class(graph, w, inits.statements.get(w.cls.template.body.path, [])) for w in written_classes]
    if len(graph.outputs) > 1:
        sections.insert(-1, _output_class(graph))
    for number, function in reversed(list(enumerate(inits.functions))):
        name = "init_weights" if not number else f"init_weights_{number + 1}"
        sections.insert(0, "\n".join(function).replace("def init_weights(", f"def {name}("))
    helpers = helpers_used(root)
    sections = [*helpers.values(), *sections]
    code = "\n\n\n".join(sections)
    return f"{_header(graph, code, modules_used(root), set(helpers))}\n\n\n{code}\n"


def _networks(classes: Sequence[WrittenClass]) -> list[list[str]]:
    """The paths of the networks that are steps, those together that are of one class."""
    found = [[member.body.path for member in written.cls.members] for written in classes]
    kinds = [written.cls.template.body.kind for written in classes[:-1]]
    return [
        # The template's class has the statements.
        sorted(paths, key=lambda path: path != written.cls.template.body.path)
        for paths, kind, written in zip(found, kinds, classes, strict=False)
        if kind == "network"
    ]


def _classes(graph: Graph, root: ScopeBody) -> list[WrittenClass]:
    """All classes written, each after those it uses."""
    exact: set[Label] = set()
    while True:
        classes, of_body = find_classes(graph, root, exact)
        try:
            return _write(graph, classes, of_body)
        except CopiesDifferError as error:
            exact.add(error.label)


def _write(graph: Graph, classes: Sequence[Class], of_body: Mapping[int, Class]) -> list[WrittenClass]:
    done: dict[int, WrittenClass] = {}
    sizes = SizeRules()
    for cls in classes[:-1]:
        done[id(cls)] = ClassWriter(cls, graph, of_body, done, (), sizes).write()
    free = _free_parameters(graph, classes[-1].template.body)
    while True:
        found = ClassWriter(classes[-1], graph, of_body, done, free, sizes).write()
        if not free or not found.fixed & {*free, UNSEEN}:
            return [*done.values(), found]
        if UNSEEN in found.fixed:
            free = set[str]()
        # Some number in the source follows from such a parameter, so it has to be a number too.
        free -= found.fixed


def _free_parameters(graph: Graph, root: ScopeBody) -> set[str]:
    """Parameters of the spec that could be arguments of the network's class.

    They are plain values that no other class reads, and no condition or number of copies in its own: the structure of
    the source follows from these.
    """
    free = {n for n, v in graph.params.items() if isinstance(v, bool | int | float | str)} - UNSAYABLE
    free -= {i.name for i in graph.inputs} | graph.decided
    lexicon = Lexicon(graph)
    seen: set[tuple[int, str]] = set()

    def visit(body: ScopeBody, inside: bool) -> None:
        own = lexicon.use(body.path)
        block = own.block.name if own is not None and own.block is not None else ""
        for item in body.items:
            scope = item.body.scope if item.body is not None else None
            trees = [item.when, scope.count if scope is not None else None]
            if inside:
                trees += item.node.written.values() if item.node is not None else ()
                trees += scope.written.values() if scope is not None else ()
            elif scope is not None and scope.kind == "network":
                # What a whole network does with its parameters is not followed here.
                trees += scope.written.values()
            for tree in trees:
                # All uses of a block have the same expressions.
                if tree is not None and (id(tree), block) not in seen:
                    seen.add((id(tree), block))
                    bindings = [lexicon.binding(body.path, name) for name in names_in(tree)]
                    free.difference_update(b.name for b in bindings if b is not None and b.owner is None)
            if item.body is not None:
                visit(item.body, inside or item.body.is_class)

    visit(root, False)
    return free


def _header(graph: Graph, code: str, modules: set[str], helpers: set[str]) -> str:
    lines = [*_docstring(f"{graph.title or graph.name} in PyTorch, {SOURCE_MARK} from `{graph.name}`.", 0), ""]
    if modules or helpers:
        _check_names(graph, code, modules, helpers)
    bare = _STRING.sub('""', code)
    standard = [
        line
        for name, line in (
            ("math", "import math"),
            ("OrderedDict", "from collections import OrderedDict"),
            ("NamedTuple", "from typing import NamedTuple"),
        )
        if _reads(bare, name)
    ]
    if standard:
        lines += [*standard, ""]
    if _reads(bare, "torch"):
        modules = modules | {"torch"}
    lines += [f"import {module}" for module in sorted(modules)]
    lines.append("from torch import Tensor, nn")
    return "\n".join(lines)


_STRING = re.compile(r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
"""A string, as it stands in the code: a docstring has no quotes of its own kind in it."""


def _reads(bare: str, name: str) -> bool:
    """Whether code without strings reads a name: not as an attribute, nor as what an argument is called."""
    return name in bare and re.search(rf"(?<![\w.]){name}(?![\w=:])", bare) is not None


def _check_names(graph: Graph, code: str, modules: set[str], helpers: set[str]) -> None:
    """Refuse modules and functions whose names the code gives to something else."""
    nodes = list(ast.walk(ast.parse(code)))
    fields = {id(node.target) for node in nodes if isinstance(node, ast.AnnAssign)}
    names = [node for node in nodes if isinstance(node, ast.Name) and id(node) not in fields]
    taken = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    taken |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for module in sorted(modules):
        if module.partition(".")[0] in taken:
            fail("NS401", f"`{module.partition('.')[0]}` is a name in `{graph.name}`, and the module that an op needs")
    for name in sorted(helpers & taken):
        fail("NS401", f"`{name}` is a name in `{graph.name}`, and a function that an op needs")


def _class(graph: Graph, found: WrittenClass, statements: Sequence[str]) -> str:
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
    returned = output_class_name(graph) if network and (several or body.training) else ""
    result = returned or ("tuple[" + ", ".join("Tensor" for _ in body.outputs) + "]" if several else "Tensor")
    if body.training and not several:
        result = f"Tensor | {returned}"
    heads: list[Doc] = ["self", *(f"{name}: Tensor" for name in inputs)]
    lines += statement("def forward", Bracket("(", heads, f") -> {result}:"), 4)
    lines += ForwardWriter(body, inputs, found.conditions).write(returned)
    return "\n".join(lines)


def _input_names(body: ScopeBody, found: WrittenClass) -> list[str]:
    if body.scope is None:
        return list(body.inputs)
    if len(body.inputs) == 1:
        return ["x"]
    scope = body.scope
    if scope.block is not None and set(body.inputs) <= set(scope.inputs.values()):
        return list(scope.block.inputs[: len(body.inputs)])
    return [f"x{number}" for number in range(1, len(body.inputs) + 1)]


def _parameter(argument: ConstructorArgument) -> str:
    default = "" if argument.required else f" = {python_text(Literal(argument.default))}"
    return f"{argument.name}: {argument.annotation}{default}"


def _output_class(graph: Graph) -> str:
    lines = [f"class {output_class_name(graph)}(NamedTuple):"]
    lines += [*_docstring(f"What {graph.title or graph.name} gives.", 4), ""]
    always = [f"    {o.name}: Tensor" for o in graph.outputs if o.mode == "inference"]
    training = [f"    {o.name}: Tensor | None = None" for o in graph.outputs if o.mode == "train"]
    return "\n".join([*lines, *always, *training])


def _describe(graph: Graph, found: WrittenClass, inputs: Sequence[str]) -> str:
    """A class's docstring: what it maps to what; the network's with its title and source."""
    body = found.cls.template.body
    if body.scope is not None:
        member = found.cls.members[0]
        types = [graph.types[value] for value in member.body.inputs]
        before = [_shape_text(type, _entering(graph, found, n), None) for n, type in enumerate(types)]
        after = [_output_text(graph, found, n) for n in range(len(body.outputs))]
        names = {place: name for name, place in found.cls.features.items()}
        for place, type in enumerate(types):
            argument = any(a.name == names.get(place) for a in found.arguments)
            if type.rank == 3 and (argument or any(text.startswith("(N, L, ") for text in after)):
                # A sequence: its length is not the class's matter.
                sizes = {graph.types[m.body.inputs[place]].features for m in found.cls.members}
                before[place] = f"(N, L, {names[place] if argument else sizes.pop() if len(sizes) == 1 else 'F'})"
        return f"Maps {' and '.join(before)} to {' and '.join(after)}."
    shapes = ", ".join(f"{name} {_plain(graph.types[name])}" for name in inputs)
    outputs = sorted(graph.outputs, key=lambda o: o.mode == "train")
    results = ", ".join(
        f"{o.name} {_network_output(graph, found, o.value)}{' in training' if o.mode == 'train' else ''}"
        for o in outputs
    )
    parts = [f"{graph.title or graph.name}.", graph.source, f"{shapes} -> {results}"]
    return "\n\n".join(part for part in parts if part)


def _entering(graph: Graph, found: WrittenClass, number: int) -> Expression | None:
    """How many channels enter: an argument, or a number that all uses have."""
    arguments = {a.name for a in found.arguments}
    for name, place in found.cls.channels.items():
        if place == number and name in arguments:
            return Name(name)
    types = [graph.types[m.body.inputs[number]] for m in found.cls.members]
    sizes = {t.channels if t.rank > 1 else None for t in types}
    size = sizes.pop()
    return Literal(size) if not sizes and isinstance(size, int) else None


def _known_channels(found: WrittenClass, number: int = 0) -> Expression | None:
    """The channels that leave, if the arguments say them."""
    tree = found.outputs[number].channels
    known = {a.name for a in found.arguments}
    return tree if tree is not None and names_in(tree) <= known else None


def _network_output(graph: Graph, found: WrittenClass, value: str) -> str:
    type = graph.types[value]
    body = found.cls.template.body
    outputs = [*body.outputs, *body.training]
    channels = _known_channels(found, outputs.index(value)) if value in outputs else None
    if channels is not None and names_in(channels) and type.rank >= 2:
        return f"({_dim(type.shape[0])}, {python_text(channels)}{''.join(f', {d}' for d in type.shape[2:])})"
    return _plain(type)


def _plain(type: Tensor) -> str:
    return f"({', '.join(_dim(d) for d in type.shape)})"


def _dim(dim: Dim) -> str:
    return str(dim)


def _shape_text(type: Tensor, channels: Expression | None, spatial: Sequence[str] | None) -> str:
    axes = ["N", *(["C"] if type.rank > 1 else [])]
    if channels is not None and type.rank > 1:
        axes[1] = python_text(channels)
    letters = {1: ["L"], 2: ["H", "W"]}.get(type.rank - 2, [f"D{n}" for n in range(max(0, type.rank - 2))])
    return f"({', '.join([*axes, *(spatial or letters)])})"


def _output_text(graph: Graph, found: WrittenClass, number: int) -> str:
    """A class's output: channels in its arguments' terms, and how much smaller its map is."""
    pairs = [(graph.types[m.body.inputs[0]], graph.types[m.body.outputs[number]]) for m in found.cls.members]
    channels = _known_channels(found, number)
    (x, y) = pairs[0]
    features = found.outputs[number].features if y.rank == 3 else None
    if features is not None and names_in(features) <= {a.name for a in found.arguments}:
        length = "L" if all(a.rank == 3 and a.shape[1] == b.shape[1] for a, b in pairs) else "L_out"
        return f"(N, {length}, {python_text(features)})"
    if channels is None and len({b.shape[1] for _, b in pairs if b.rank > 1}) == 1 and y.rank > 1:
        channels = Literal(y.shape[1]) if isinstance(y.shape[1], int) else None
    if x.rank != y.rank or y.rank < 3:
        return _shape_text(y, channels, None if y.rank < 3 else [f"{a}_out" for a in ("H", "W")][: y.rank - 2])
    letters = {1: ["L"], 2: ["H", "W"]}.get(y.rank - 2, [])
    if all(a.spatial == b.spatial for a, b in pairs):
        return _shape_text(y, channels, letters)
    divisor = _divisor(found, pairs)
    return _shape_text(y, channels, [f"{a} / {divisor}" if divisor else f"{a}_out" for a in letters])


def _divisor(found: WrittenClass, pairs: Sequence[tuple[Tensor, Tensor]]) -> str:
    """The argument, or the number, by which every use divides its map."""
    members: Sequence[ClassUse] = found.cls.members
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
    clean = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    clean = clean.replace("\\", "\\\\").replace('"""', "'''")
    lead = " " * indent
    wrapped: list[str] = []
    room = WIDTH - indent - 6
    for paragraph in clean.split("\n\n"):
        lines = [paragraph] if paragraph.strip() else []
        if len(paragraph) > room or "\n" in paragraph:
            lines = textwrap.wrap(paragraph, room, break_long_words=False, break_on_hyphens=False)
        if lines:
            wrapped += [*([""] if wrapped else []), *(line.strip() for line in lines)]
    wrapped = wrapped or ["?"]
    if wrapped[0].startswith('"'):
        wrapped[0] = f" {wrapped[0]}"
    if len(wrapped) == 1:
        if wrapped[-1].endswith('"'):
            wrapped[-1] += " "
        return [f'{lead}"""{wrapped[0]}"""']
    return [f'{lead}"""{wrapped[0]}', *(f"{lead}{line}".rstrip() for line in wrapped[1:]), f'{lead}"""']
