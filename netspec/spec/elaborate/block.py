"""Elaborates a step that uses a block or a network: adds the nodes of its body, on the values that enter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netspec.errors import NetspecError
from netspec.expression import Value
from netspec.graph.lexicon import Environment
from netspec.graph.model import Scope
from netspec.spec.elaborate.binding import check_binding
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.errors import Failed, int_hint
from netspec.spec.elaborate.evaluator import hashable
from netspec.spec.elaborate.frame import (
    NO_ORIGIN,
    Closure,
    Frame,
    Instance,
    Origins,
    UseNote,
    Values,
    all_known,
    inputs_by_name,
    origins_of,
)
from netspec.spec.elaborate.needed import needed_steps
from netspec.spec.read.body import Argument, BlockDefinition
from netspec.spec.read.parameters import check_kind
from netspec.types import Tensor


@dataclass(slots=True)
class _Use:
    """A use of a block or network: the step at its path, its inputs with their types, and its arguments."""

    at: Instance
    block: BlockDefinition
    inputs: tuple[str, ...]
    types: list[Tensor]
    params: Mapping[str, Value]
    bodies: Mapping[str, Closure]
    origins: Mapping[str, Origins]
    """By the name of an argument that is an expression, the spec's parameters that its value depends on."""
    input_origins: list[Origins]


def elaborate_block(run: Elaboration, at: Instance, block: BlockDefinition) -> Values:
    """Add the nodes and the scope of a use of a block or network; return its outputs."""
    step, builder = at.step, run.builder
    params = _params(run, at, block)
    _check_number_of_inputs(run, at, block)
    inputs = all_known(at.inputs)
    if not inputs:
        return at.unknown
    if block.declared is not None:
        check_binding(block, inputs, builder.types, step, at.frame, run.errors)
    run.claim_scope(at.path, step, at.frame)
    before = len(builder.nodes)
    types = [builder.types[value] for value in inputs]
    origins = {name: origins_of(tree, at.frame) for name, tree in step.written.items()}
    use = _Use(at, block, inputs, types, params, _closures(at), origins, [run.origins(value) for value in inputs])
    values = _replay_or_elaborate(run, use)
    if len(builder.nodes) > before and (outputs := all_known(values)):
        builder.add_scope(
            Scope(
                at.path,
                "block" if block.declared is None else "network",
                at.scope,
                outputs,
                block.in_graph,
                params,
                step.written,
                inputs_by_name(block.info.inputs, inputs),
                at.when,
                span=step.span,
            )
        )
    return values


def _closures(at: Instance) -> dict[str, Closure]:
    """The `body` arguments of a use of a block, each with the environment in which its steps are written."""
    frame = at.frame
    return {
        name: Closure(argument.body, frame.environment, frame.origins, frame.bodies)
        for name, argument in at.step.arguments.items()
        if argument.body is not None
    }


def _params(run: Elaboration, at: Instance, block: BlockDefinition) -> dict[str, Value]:
    """The values of a block's parameters: the argument of each, else its default. Body parameters are left out."""
    params: dict[str, Value] = {p.name: p.default for p in block.info.parameters}
    for name, argument in at.step.arguments.items():
        if argument.body is not None:
            del params[name]
        else:
            params[name] = _argument(run, at.frame, block, name, argument)
    return params


def _argument(run: Elaboration, frame: Frame, block: BlockDefinition, name: str, argument: Argument) -> Value:
    """The value of a block's argument, checked against the type that the block declares."""
    value = run.evaluator.value(argument, frame)
    if argument.expression is not None:
        try:
            check_kind(block, name, argument, value, int_hint(argument, value))
        except NetspecError as error:
            run.errors.keep_all(error, frame)
            raise Failed from None
    # A float parameter holds a float even where the spec says `2`, since layers are printed with its value.
    return float(value) if block.kinds[name] == "float" and isinstance(value, int) else value


def _check_number_of_inputs(run: Elaboration, at: Instance, block: BlockDefinition) -> None:
    wanted = len(block.info.inputs)
    if len(at.inputs) != wanted:
        count = "one input" if wanted == 1 else f"{wanted} inputs ({', '.join(block.info.inputs)})"
        help = "join the values before it, as with `concat`" if wanted == 1 else "`from` names them, in this order"
        message = f"{block.what} takes {count}, not {len(at.inputs)}"
        run.errors.fail("NS302", message, at.step.span, at.frame, help=help)


def _replay_or_elaborate(run: Elaboration, use: _Use) -> Values:
    """Add the nodes of a block's use, and return its outputs.

    A block reads its own parameters and the file's, and nothing of the place where it is used. So a use with equal
    arguments, on values of the same types, has the nodes of an earlier use under another path: they are replayed.
    """
    at, block, builder = use.at, use.block, run.builder
    key = _recording_key(use)
    recording = run.recordings.get(key)
    if recording is not None:
        outputs = builder.replay(recording, at.path, use.inputs)
        for output, original in zip(outputs, recording.outputs, strict=True):
            run.copy_origins(output, original)
        return outputs
    mark = builder.checkpoint
    frame = _frame(use)
    run.kept_alive += [frame.environment.file, *use.bodies.values()]
    only = needed_steps(block.body, block.results) if block.declared is not None else None
    values = run.body(block.body, frame, use.inputs if len(use.inputs) == 1 else (), only)
    if block.results:
        values = tuple([frame.values.get(name) for name in block.results.values()])
    values = values[: len(at.step.outputs)]
    # Each use has its own symbols for sizes that depend on the data, so such a use can't be replayed.
    repeatable = not run.findings.diagnostics and builder.last_sized_by_data < mark[0]
    if repeatable and (outputs := all_known(values)):
        run.recordings[key] = builder.record(at.path, use.inputs, outputs, mark)
    return values


def _recording_key(use: _Use) -> tuple[Any, ...]:
    """All that the nodes of a block's use depend on. Equal types are one object, so that `id` compares them."""
    arguments = use.params.values()
    return (
        *(id(use.block), id(use.at.frame.environment.file)),
        NO_ORIGIN.union(*use.origins.values(), *use.input_origins),
        *(*map(id, use.types), *map(hashable, arguments), *map(type, arguments), *map(id, use.bodies.values())),
        # Which inputs are the same value: `from: [a, a]` differs from `from: [a, b]`.
        *map(use.inputs.index, use.inputs),
    )


def _frame(use: _Use) -> Frame:
    """The frame of a block's body."""
    frame, block, names = use.at.frame, use.block, use.block.info.inputs
    types = inputs_by_name(names, use.types)
    origins = {**dict.fromkeys(use.params, NO_ORIGIN), **use.origins}
    input_origins = inputs_by_name(names, use.input_origins)
    if block.own:
        environment = Environment[Value].of_file(use.params, types)
        environment_of_origins = Environment[Origins].of_file(origins, input_origins)
    else:
        environment = frame.environment.in_block(use.params, types)
        environment_of_origins = frame.origins.in_block(origins, input_origins)
    values: dict[str, str | None] = {**inputs_by_name(names, use.inputs)}
    uses = (*frame.uses, UseNote(block.what, use.at.step.span, use.params))
    return Frame(use.at.path, environment, environment_of_origins, values, use.bodies, uses, frame.depth + 1)
