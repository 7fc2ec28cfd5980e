"""Prints a graph as a spec, with blocks, repeats and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from netspec.backends.yaml.definitions import Definition, Definitions
from netspec.backends.yaml.initial import common_fillings, plain_fillings
from netspec.backends.yaml.layout import YAML_WIDTH, Expr, block, flow, inline, quoted, text
from netspec.backends.yaml.parts import NOT_IN_YAML, WAY_OUT, PartsReader
from netspec.backends.yaml.prove import prove_spec
from netspec.backends.yaml.steps import BodyWriter, NeedsNameError, WrittenBlock
from netspec.dims import Dim
from netspec.errors import fail
from netspec.expression import Expression, ExpressionError, evaluate, expression_text, names_in
from netspec.graph.closures import convert_closures
from netspec.graph.model import Graph, Input, SpecParameter
from netspec.labels import Labels
from netspec.naming import SIBLINGS, class_name
from netspec.ops.own import op_names

YAML_MARK = "Written by netspec from a graph."
"""The first line of every written spec."""


def to_yaml(graph: Graph, note: str = "") -> str:
    """A graph as the text of a spec; `note` is added to the comment at the top.

    Blocks, branches and repeats are kept, with the expressions of the original spec wherever they hold for all uses.
    The text is read back and compared with the graph before it is returned. Raises NetspecError NS401 for a graph that
    no spec can express.
    """
    # A parameter whose condition left out all its steps has no effect any more: its value is written instead.
    params = {name: value for name, value in graph.params.items() if name not in graph.vanished}
    spec = _write(convert_closures(replace(graph, params=params), networks=True), note)
    prove_spec(graph, spec)
    return spec


def _write(graph: Graph, note: str) -> str:
    """The text of a spec. Writing starts again, with one more merge or branch as a separate step, until it succeeds."""
    separate: set[tuple[str, str]] = set()
    while True:
        before = len(separate)
        reader = PartsReader(graph, separate)
        root = reader.network()
        if len(separate) > before:
            continue
        definitions = Definitions(graph, reader.uses, common_fillings(graph))
        assert definitions.by_use[root] is definitions.all[-1]
        _name_definitions(graph, definitions.all)
        blocks: list[WrittenBlock] = []
        used: set[str] = set()
        for definition in definitions.all:
            try:
                blocks.append(_definition(definitions, definition, graph, used))
            except NeedsNameError as error:
                # Its branches become separate steps, and then the merge can have a name.
                use = next(m.use for m in definition.members if error.path.startswith(m.use.path))
                separate.add(reader.key(use, error.path))
                break
        else:
            return _file(graph, definitions, blocks, used, note)


def _definition(definitions: Definitions, definition: Definition, graph: Graph, used: set[str]) -> WrittenBlock:
    """Write one block, or the network, and add the file's parameters that it reads to `used`."""
    network = definition is definitions.all[-1]
    parameters = {p.name for other in definitions.all for p in other.template.parameters}
    taken = frozenset((*graph.params, *parameters, *definition.template.entries, "index", "input"))
    writer = BodyWriter(definitions, definition, taken)
    outputs = {o.name: o.value for o in graph.outputs} if network else None
    body, output_names = writer.write(outputs)
    block_parameters = [] if network else writer.chooser.parameters()
    definition.parameters = sorted(block_parameters, key=lambda p: not p.required)
    for parameter in definition.parameters:
        definition.values[parameter.name] = {
            member.use: writer.chooser.value_for(parameter.name, member) for member in definition.members
        }
    used |= writer.chooser.used - {p.name for p in block_parameters}
    inputs = [name for name in definition.template.entries if name != "input"]
    return WrittenBlock(definition.name, definition.parameters, inputs, output_names, body)


def _name_definitions(graph: Graph, definitions: list[Definition]) -> None:
    """Name the blocks as in the original spec, with a number if several would have the same name."""
    names = {*op_names(), *SIBLINGS, "network", "params", "body"}
    classes = {class_name(graph.name)}
    for definition in definitions[:-1]:
        label = definition.label
        numbered = (label if number == 1 else f"{label}_{number}" for number in count(1))
        definition.name = name = next(n for n in numbered if n not in names and class_name(n) not in classes)
        names.add(name)
        classes.add(class_name(name))


def _file(graph: Graph, definitions: Definitions, written: list[WrittenBlock], used: set[str], note: str) -> str:
    lines = [f"# {line}" for line in [YAML_MARK, *note.splitlines()]]
    lines += ["netspec: 1", f"name: {text(graph.name)}"]
    if graph.title:
        lines.append(f"title: {text(graph.title)}")
    if graph.source:
        lines.append(f"source: {quoted(graph.source)}")
    inputs = {i.name: _input(graph, i, used) for i in graph.inputs}
    params = {name: value for name, value in graph.params.items() if name in used}
    if params:
        lines += _mapping("params", params)
    lines += _mapping("inputs", inputs)
    if definitions.common:
        lines += ["", "defaults:"]
        lines += [f"  {op}: {flow({'init': plain_fillings(rule)})}" for op, rule in definitions.common.items()]
    if len(written) > 1:
        lines += ["", "blocks:"]
        for each in written[:-1]:
            lines += [f"  {line}" for line in _block(each)]
    network = written[-1]
    lines += ["", "network:", *(f"  {line}" for line in block(network.body))]
    if network.outputs:
        modes = {o.name: o.mode for o in graph.outputs}
        outputs: dict[str, Any] = {}
        for name, step in network.outputs.items():
            outputs[name] = {"from": step, "mode": "train"} if modes[name] == "train" else step
        lines += ["", *_mapping("outputs", outputs)]
    if preprocess := {i.name: i.preprocess.to_dict() for i in graph.inputs if i.preprocess is not None}:
        lines += ["", "preprocess:"]
        lines += [f"  {name}: {inline(value)}" for name, value in preprocess.items()]
    labels: dict[str, Labels] = {o.name: o.labels for o in graph.outputs if o.labels}
    if labels:
        lines += ["", *_labels(labels)]
    return "\n".join(lines) + "\n"


def _block(written: WrittenBlock) -> Iterable[str]:
    yield f"{written.name}:"
    if written.parameters:
        yield f"  params: {flow({p.name: _kind(p) for p in written.parameters})}"
    if written.inputs:
        yield f"  inputs: {flow(written.inputs)}"
    if written.outputs:
        yield f"  outputs: {flow(written.outputs)}"
    yield "  body:"
    for line in block(written.body):
        yield f"    {line}"


def _kind(parameter: SpecParameter) -> Any:
    """The declaration of a parameter: its default, which implies its type, or its type if it has none."""
    return parameter.kind if parameter.required else parameter.default


def _mapping(key: str, values: dict[str, Any]) -> list[str]:
    """A mapping at the top level of the file: on one line, or with an entry on each line."""
    one = f"{key}: {flow(values)}"
    if len(one) <= YAML_WIDTH and not (key == "outputs" and len(values) > 1):
        return [one]
    return [f"{key}:", *(f"  {name}: {inline(value)}" for name, value in values.items())]


def _labels(labels: dict[str, Labels]) -> list[str]:
    """The lines of `labels`, with one label on each line if they do not fit on one."""
    if all(len(flow({name: value})) <= YAML_WIDTH for name, value in labels.items()):
        return _mapping("labels", dict(labels))
    lines = ["labels:"]
    for name, value in labels.items():
        one = f"  {name}: {inline(value)}"
        lines += [one] if len(one) <= YAML_WIDTH else [f"  {name}:", *(f"    - {inline(label)}" for label in value)]
    return lines


def _input(graph: Graph, i: Input, used: set[str]) -> Any:
    """An input as YAML: its shape, or a mapping with shape, dtype and nominal sizes.

    The parameters that its sizes read are added to `used`.
    """
    shape: list[Any] = []
    for axis, dim in enumerate(i.type.shape):
        tree = i.written.get(axis)
        if tree is not None and _equals(tree, graph.params, dim):
            used |= names_in(tree)
            shape.append(Expr(expression_text(tree)))
        else:
            shape.append(_size(dim))
    nominal = dict(i.nominal)
    if i.type.dtype == "float32" and not nominal:
        return shape
    rest = {"dtype": i.type.dtype} if i.type.dtype != "float32" else {}
    return {"shape": shape, **rest, **({"nominal": nominal} if nominal else {})}


def _equals(tree: Expression, params: Mapping[str, Any], dim: Dim) -> bool:
    try:
        return evaluate(tree, params) == dim
    except ExpressionError:
        return False


def _size(dim: Dim) -> int | str:
    if not isinstance(dim, int) and not str(dim).isidentifier():
        fail("NS401", f"an input has the size `{dim}`, which is no symbol: {NOT_IN_YAML}", help=WAY_OUT)
    return dim if isinstance(dim, int) else str(dim)
