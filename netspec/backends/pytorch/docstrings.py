"""Docstrings of generated classes: the shapes of their inputs and outputs, in terms of their arguments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from netspec.backends.pytorch.classes import Class, ClassUse
from netspec.backends.pytorch.expressions import python_text
from netspec.backends.pytorch.layout import LINE_LENGTH
from netspec.backends.pytorch.state import WrittenClass
from netspec.dims import Dim, Symbolic
from netspec.expression import Expression, Literal, Name, names_in
from netspec.graph.model import Graph
from netspec.types import Tensor

_SHAPE = re.compile(r"\([^() ]+, [^()]{1,40}\)")
"""A shape such as `(N, 64, H, W)`, which stays on one line."""
_NO_BREAK = "\0"
"""A character that no text has, for a space at which a line is not wrapped."""


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring; quotes, backslashes and control characters in the text are made harmless."""
    clean = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    clean = clean.replace("\\", "\\\\").replace('"""', "'''")
    lead = " " * indent
    wrapped: list[str] = []
    room = LINE_LENGTH - indent - 6
    for paragraph in clean.split("\n\n"):
        lines = [paragraph] if paragraph.strip() else []
        if len(paragraph) > room or "\n" in paragraph:
            unbroken = _SHAPE.sub(lambda shape: shape.group().replace(" ", _NO_BREAK), paragraph)
            lines = textwrap.wrap(unbroken, room, break_long_words=False, break_on_hyphens=False)
            lines = [line.replace(_NO_BREAK, " ") for line in lines]
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


def describe_network(graph: Graph, written: WrittenClass) -> str:
    """The docstring of the network's class: title, source, and the shapes of inputs and outputs."""
    inputs = ", ".join(f"{i.name} {_shape(i.type)}" for i in graph.inputs)
    outputs = sorted(graph.outputs, key=lambda o: o.mode == "train")
    results = ", ".join(
        f"{o.name} {_network_output(graph, written, o.value)}{' in training' if o.mode == 'train' else ''}"
        for o in outputs
    )
    parts = [f"{graph.title or graph.name}.", graph.source, f"{inputs} -> {results}"]
    return "\n\n".join(part for part in parts if part)


def _network_output(graph: Graph, written: WrittenClass, value: str) -> str:
    """The shape of a network's output, with its channels as an expression if they depend on arguments."""
    type = graph.types[value]
    body = written.cls.template.body
    outputs = [*body.outputs, *body.training]
    channels = _output_channels(written, outputs.index(value)) if value in outputs else None
    if channels is not None and names_in(channels) and type.rank >= 2:
        return f"({type.shape[0]}, {python_text(channels)}{''.join(f', {d}' for d in type.shape[2:])})"
    return _shape(type)


def _shape(type: Tensor) -> str:
    return f"({', '.join(str(size) for size in type.shape)})"


def describe_class(graph: Graph, written: WrittenClass) -> str:
    """The docstring of any other class: `Maps (N, in_channels, H, W) to (N, 4 * width, H / stride, W / stride).`"""
    cls = written.cls
    types = [graph.types[value] for value in cls.uses[0].body.inputs]
    inputs = [
        _symbolic_shape(type, _input_channels(graph, written, n), _input_letters(graph, written, n))
        for n, type in enumerate(types)
    ]
    outputs = [_output(graph, written, n) for n in range(len(cls.template.body.outputs))]
    arguments = {argument.name for argument in written.arguments}
    features = {number: name for name, number in cls.features.items() if name in arguments}
    for number, type in enumerate(types):
        if type.rank == 3 and (number in features or any(", L, " in text for text in outputs)):
            # A sequence (N, L, F): the class depends on the features, not on the length.
            sizes = {graph.types[use.body.inputs[number]].features for use in cls.uses}
            size = features.get(number) or (sizes.pop() if len(sizes) == 1 else "F")
            inputs[number] = f"({_first_axis(type)}, L, {size})"
    for number in range(len(inputs)):
        of_uses = [graph.types[use.body.inputs[number]] for use in cls.uses]
        inputs[number] = _states_text(graph, of_uses, features.get(number, "")) or inputs[number]
    for number in range(len(outputs)):
        of_uses = [graph.types[use.body.outputs[number]] for use in cls.uses]
        size = written.outputs[number].features
        known = python_text(size) if size is not None and names_in(size) <= arguments else ""
        outputs[number] = _states_text(graph, of_uses, known) or outputs[number]
        if 0 in features and outputs[number].endswith(", C, L)"):
            # A sequence like the first input, whose features do not follow from the arguments.
            last = {type.features for type in of_uses}
            outputs[number] = f"({_first_axis(of_uses[0])}, L, {last.pop() if len(last) == 1 else 'F'})"
    names = _names_of_network(cls, len(inputs), len(outputs))
    if names is not None:
        return f"Maps {_enumerated(names[0], inputs)} to {_enumerated(names[1], outputs)}."
    return f"Maps {' and '.join(inputs)} to {' and '.join(outputs)}."


def _names_of_network(cls: Class, inputs: int, outputs: int) -> tuple[Sequence[str], Sequence[str]] | None:
    """The names of the inputs and outputs of a network, where it has several; None for a block."""
    scope = cls.template.body.scope
    if scope is None or scope.block is None or scope.kind != "network" or inputs + outputs == 2:
        return None
    names = scope.block.inputs, scope.block.outputs
    return names if (len(names[0]), len(names[1])) == (inputs, outputs) else None


def _enumerated(names: Sequence[str], shapes: Sequence[str]) -> str:
    """Names with their shapes: `scores (N, 10), logits (N, 10) and deltas (N, 40)`."""
    texts = [f"{name} {shape}" for name, shape in zip(names, shapes, strict=True)]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _input_letters(graph: Graph, written: WrittenClass, number: int) -> list[str] | None:
    """The names of an input's spatial axes, such as `H2, W2` if its map is not as large as the first input's."""
    pairs = [(graph.types[use.body.inputs[0]], graph.types[use.body.inputs[number]]) for use in written.cls.uses]
    if all(first.rank != other.rank or first.spatial == other.spatial for first, other in pairs):
        return None
    return [f"{letter}{number + 1}" for letter in _letters(pairs[0][1])]


def _states_text(graph: Graph, types: Sequence[Tensor], features: str) -> str:
    """The shape of states, such as `(2, N, hidden)`, whose batch is the second axis; "" for another value.

    `types` are those of all uses, and `features` is the last axis in terms of the arguments, "" if that is unknown.
    """
    batches = {i.type.shape[0] for i in graph.inputs if i.type.rank and not isinstance(i.type.shape[0], int)}
    if types[0].rank != 3 or not isinstance(types[0].shape[0], int) or types[0].shape[1] not in batches:
        return ""
    layers, last = {type.shape[0] for type in types}, {type.features for type in types}
    first = "layers" if len(layers) > 1 else layers.pop()
    return f"({first}, {types[0].shape[1]}, {features or (last.pop() if len(last) == 1 else 'F')})"


def _input_channels(graph: Graph, written: WrittenClass, number: int) -> Expression | None:
    """The channels of an input: an argument, or a number that is equal in all uses."""
    arguments = {a.name for a in written.arguments}
    for name, place in written.cls.channels.items():
        if place == number and name in arguments:
            return Name(name)
    types = [graph.types[use.body.inputs[number]] for use in written.cls.uses]
    sizes = {t.channels if t.rank > 1 else None for t in types}
    size = sizes.pop()
    return Literal(size) if not sizes and isinstance(size, int) else None


def _output_channels(written: WrittenClass, number: int) -> Expression | None:
    """The channels of an output, if they follow from the arguments."""
    tree = written.outputs[number].channels
    return tree if tree is not None and names_in(tree) <= {a.name for a in written.arguments} else None


_LETTERS = {1: ["L"], 2: ["H", "W"], 3: ["D", "H", "W"]}
"""The names of spatial axes, by how many there are."""


def _symbolic_shape(type: Tensor, channels: Expression | None, spatial: Sequence[str] | None) -> str:
    """A shape such as `(N, width, H, W)`; `spatial` are the names of the axes after the channels, if not H and W."""
    if not type.rank:
        return "()"
    axes = [_first_axis(type), *(["C"] if type.rank > 1 else [])]
    if channels is not None and type.rank > 1:
        axes[1] = python_text(channels)
    return f"({', '.join([*axes, *(spatial or _letters(type))])})"


def _first_axis(type: Tensor) -> str:
    """The name of the first axis: `N`, or the symbol of other things than samples, such as regions."""
    return str(type.shape[0]) if isinstance(type.shape[0], Symbolic) else "N"


def _letters(type: Tensor) -> list[str]:
    """The names of the spatial axes of a tensor."""
    axes = max(0, type.rank - 2)
    return _LETTERS.get(axes, [f"D{n}" for n in range(axes)])


def _output(graph: Graph, written: WrittenClass, number: int) -> str:
    """The shape of an output: channels in terms of arguments, spatial sizes as fractions of the first input's."""
    pairs = [(graph.types[u.body.inputs[0]], graph.types[u.body.outputs[number]]) for u in written.cls.uses]
    x, y = pairs[0]
    features = written.outputs[number].features if y.rank == 3 else None
    if features is not None and names_in(features) <= {a.name for a in written.arguments}:
        length = "L" if all(a.rank == 3 and a.shape[1] == b.shape[1] for a, b in pairs) else "L_out"
        return f"({_first_axis(y)}, {length}, {python_text(features)})"
    channels = _output_channels(written, number)
    if channels is None and len({b.shape[1] for _, b in pairs if b.rank > 1}) == 1 and y.rank > 1:
        channels = Literal(y.shape[1]) if isinstance(y.shape[1], int) else None
    letters = _letters(y)
    if x.rank != y.rank or y.rank < 3:
        return _symbolic_shape(y, channels, None if y.rank < 3 else [f"{a}_out" for a in letters])
    if all(a.spatial == b.spatial for a, b in pairs):
        return _symbolic_shape(y, channels, letters)
    divisor = _divisor(written, pairs)
    return _symbolic_shape(y, channels, [f"{a} / {divisor}" if divisor else f"{a}_out" for a in letters])


def _divisor(written: WrittenClass, pairs: Sequence[tuple[Tensor, Tensor]]) -> str:
    """The argument, or "2", by which spatial sizes are divided in every use; "" where there is none."""
    uses: Sequence[ClassUse] = written.cls.uses
    choices: list[tuple[str, list[object]]] = [
        (a.name, [a.values[use.body] for use in uses]) for a in written.arguments if a.annotation == "int"
    ]
    choices.append(("2", [2] * len(uses)))
    for name, values in choices:
        if all(
            isinstance(v, int) and v > 0 and all(_times(b, v) == a for a, b in zip(x.spatial, y.spatial, strict=True))
            for v, (x, y) in zip(values, pairs, strict=True)
        ):
            return name
    return ""


def _times(size: Dim, factor: int) -> Dim:
    return size * factor
