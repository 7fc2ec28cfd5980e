"""Prints a graph as the source of a Python module."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from netspec.backends.pytorch.arguments import ConstructorArgument, CopiesDifferError
from netspec.backends.pytorch.bodies import ScopeBody, bodies
from netspec.backends.pytorch.classes import Class, Label, find_classes, output_class_name
from netspec.backends.pytorch.docstrings import describe_class, describe_network, docstring
from netspec.backends.pytorch.expressions import python_text
from netspec.backends.pytorch.flows import UNSEEN, SizeRules
from netspec.backends.pytorch.forward import ForwardWriter
from netspec.backends.pytorch.free_parameters import free_parameters
from netspec.backends.pytorch.helpers import check_names, helpers_used, modules_used
from netspec.backends.pytorch.initialize import initializer_code
from netspec.backends.pytorch.layout import Bracket, Doc, statement
from netspec.backends.pytorch.state import WrittenClass, initial_state
from netspec.backends.pytorch.write import write_class
from netspec.expression import Literal
from netspec.graph.closures import convert_closures
from netspec.graph.model import Graph

SOURCE_MARK = "compiled by netspec"
"""A text in the first line of every generated file."""


def to_source(graph: Graph) -> str:
    """A graph as self-contained PyTorch source, which imports torch but not netspec.

    There is one class for each block, and the class of the network comes last. Modules have the graph's paths, so that
    a state dict has the graph's keys. Raises NetspecError NS401 for a graph that PyTorch source can't express.
    """
    if not isinstance(graph, Graph):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"it takes a Graph, not {graph!r}; a Network has one as `network.graph`")
    graph = convert_closures(graph)
    root = bodies(graph)
    classes = _written_classes(graph, root)
    inits = initializer_code(graph, _networks(classes))
    helpers, modules = helpers_used(root), modules_used(root)
    sections = ["\n".join(lines) for lines in inits.functions.values()]
    sections += [_class(graph, c, inits.statements.get(c.cls.template.body.path, [])) for c in classes]
    if len(graph.outputs) > 1:
        sections.insert(-1, _output_class(graph))
    if modules or helpers:
        check_names(graph, "\n\n\n".join(sections), modules, helpers)
    code = "\n\n\n".join([*(helper.source.strip() for helper in helpers.values()), *sections])
    return f"{_header(graph, code, modules)}\n\n\n{code}\n"


def _networks(classes: Sequence[WrittenClass]) -> list[list[str]]:
    """The paths of networks that are used as steps, grouped by class, each group with the template first."""
    networks = [written.cls for written in classes[:-1] if written.cls.template.body.kind == "network"]
    return [
        sorted((use.body.path for use in cls.uses), key=lambda path: path != cls.template.body.path) for cls in networks
    ]


def _written_classes(graph: Graph, root: ScopeBody) -> list[WrittenClass]:
    """All classes as source, each after the classes that it uses."""
    equal_counts: set[Label] = set()
    while True:
        classes, class_of = find_classes(graph, root, equal_counts)
        try:
            return _write_classes(graph, classes, class_of)
        except CopiesDifferError as error:
            # Only uses with equal numbers of copies share a class now, so that the copies can be printed one by one.
            equal_counts.add(error.label)


def _write_classes(graph: Graph, classes: Sequence[Class], class_of: Mapping[ScopeBody, Class]) -> list[WrittenClass]:
    """Classes as source; the network's class is written again until none of its arguments is pinned."""
    *others, network = classes
    written: dict[Class, WrittenClass] = {}
    size_rules = SizeRules()
    for cls in others:
        written[cls] = write_class(initial_state(cls, graph, class_of, written, (), size_rules))
    free = free_parameters(graph, network.template.body)
    while True:
        last = write_class(initial_state(network, graph, class_of, written, free, size_rules))
        if not free or not last.pinned & {*free, UNSEEN}:
            return [*written.values(), last]
        # A literal in the source depends on a pinned argument, so the argument must become a literal too.
        free = set[str]() if UNSEEN in last.pinned else free - last.pinned


def _header(graph: Graph, code: str, modules: set[str]) -> str:
    """The module's docstring and the imports that the code needs."""
    lines = [*docstring(f"{graph.title or graph.name} in PyTorch, {SOURCE_MARK} from `{graph.name}`.", 0), ""]
    # Ops print code as text, so only the text tells which names it reads.
    code = _STRING.sub('""', code)
    modules = modules | {module for module in ("math", "torch") if _reads(code, module)}
    standard = {module for module in modules if module.partition(".")[0] in sys.stdlib_module_names}
    lines_of_standard = [f"import {module}" for module in sorted(standard)]
    for module, name in (("collections", "OrderedDict"), ("typing", "NamedTuple")):
        if _reads(code, name):
            lines_of_standard.append(f"from {module} import {name}")
    if lines_of_standard:
        lines += [*lines_of_standard, ""]
    lines += [f"import {module}" for module in sorted(modules - standard)]
    lines.append("from torch import Tensor, nn")
    return "\n".join(lines)


_STRING = re.compile(r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
"""A string literal in generated code, whose docstrings contain no triple quotes."""


def _reads(code: str, name: str) -> bool:
    """Whether code, with its strings emptied, reads a name, and not only as an attribute or keyword argument."""
    return name in code and re.search(rf"(?<![\w.]){name}(?![\w=:])", code) is not None


def _class(graph: Graph, written: WrittenClass, statements: Sequence[str]) -> str:
    """A class as source; `statements` initialise weights at the end of its constructor."""
    body = written.cls.template.body
    is_network = body.scope is None
    inputs = _input_names(body)
    lines = [f"class {written.cls.name}(nn.Module):"]
    lines += docstring(describe_network(graph, written) if is_network else describe_class(graph, written), 4)
    lines.append("")
    parameters: list[Doc] = ["self", *(_parameter(argument) for argument in written.arguments)]
    lines += statement("def __init__", Bracket("(", parameters, ") -> None:"), 4)
    lines.append("        super().__init__()")
    lines += written.constructor
    lines += statements
    lines.append("")
    several = len(body.outputs) > 1
    returned = output_class_name(graph) if is_network and (several or body.training) else ""
    annotation = returned or (f"tuple[{', '.join('Tensor' for _ in body.outputs)}]" if several else "Tensor")
    if body.training and not several:
        annotation = f"Tensor | {returned}"
    parameters = ["self", *(f"{name}: Tensor" for name in inputs)]
    lines += statement("def forward", Bracket("(", parameters, f") -> {annotation}:"), 4)
    lines += ForwardWriter(body, inputs, written.conditions).write(returned)
    return "\n".join(lines)


def _input_names(body: ScopeBody) -> list[str]:
    """The names of `forward`'s parameters: the spec's names of the inputs, or `x`, or `x1`, `x2` and so on."""
    scope = body.scope
    if scope is None:
        return list(body.inputs)
    if len(body.inputs) == 1:
        return ["x"]
    if scope.block is not None and set(body.inputs) <= set(scope.inputs.values()):
        return list(scope.block.inputs[: len(body.inputs)])
    return [f"x{number}" for number in range(1, len(body.inputs) + 1)]


def _parameter(argument: ConstructorArgument) -> str:
    """A constructor argument as part of the signature: `stride: int = 1`."""
    default = "" if argument.required else f" = {python_text(Literal(argument.default))}"
    return f"{argument.name}: {argument.annotation}{default}"


def _output_class(graph: Graph) -> str:
    """The named tuple of a network with several outputs; those that only training computes are last and optional."""
    lines = [f"class {output_class_name(graph)}(NamedTuple):"]
    lines += [*docstring(f"The outputs of {graph.title or graph.name}.", 4), ""]
    always = [f"    {o.name}: Tensor" for o in graph.outputs if o.mode == "inference"]
    training = [f"    {o.name}: Tensor | None = None" for o in graph.outputs if o.mode == "train"]
    return "\n".join([*lines, *always, *training])
