"""A step that is a use of a block or a network: its body, on the values that enter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.errors import NetspecError
from netspec.expression import Value
from netspec.graph.lexicon import Environment
from netspec.graph.model import Scope
from netspec.spec.elaborate.binding import check_binding
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.errors import Failed, way_to_int
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


def elaborate_block(run: Elaboration, at: Instance, block: BlockDefinition) -> Values:
    """Open a use of a block or network, and give its outputs."""
    step, frame = at.step, at.frame
    params = _params(run, at, block)
    bodies = {
        name: Closure(argument.body, frame.environment, frame.origins, frame.bodies)
        for name, argument in step.arguments.items()
        if argument.body is not None
    }
    _check_number_of_inputs(run, at, block)
    inputs = all_known(at.inputs)
    if not inputs:
        return at.unknown
    if block.declared is not None:
        check_binding(block, inputs, run.builder.types, step, frame, run.errors)
    run.claim_scope(at.path, step, frame)
    before = len(run.builder.nodes)
    values = _replayed_or_elaborated(run, at, block, inputs, params, bodies)
    if len(run.builder.nodes) > before and (outputs := all_known(values)):
        run.builder.add_scope(
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


def _params(run: Elaboration, at: Instance, block: BlockDefinition) -> dict[str, Value]:
    """The values of a block's parameters: its arguments, else the defaults; but for those that hold steps."""
    params: dict[str, Value] = {p.name: p.default for p in block.info.parameters}
    for name, argument in at.step.arguments.items():
        if argument.body is not None:
            del params[name]
        else:
            params[name] = _argument(run, at.frame, block, name, argument)
    return params


def _argument(run: Elaboration, frame: Frame, block: BlockDefinition, name: str, argument: Argument) -> Value:
    """The value of a block's argument, of the type that the block declares."""
    value = run.evaluator.value(argument, frame)
    if argument.expression is not None:
        try:
            check_kind(block, name, argument, value, way_to_int(argument, value))
        except NetspecError as error:
            run.errors.keep_all(error, frame)
            raise Failed from None
    # A float parameter holds a float, also where the spec says `2`: layers are written with what it holds.
    return float(value) if block.kinds[name] == "float" and isinstance(value, int) else value


def _check_number_of_inputs(run: Elaboration, at: Instance, block: BlockDefinition) -> None:
    wanted = len(block.info.inputs)
    if len(at.inputs) != wanted:
        count = "one input" if wanted == 1 else f"{wanted} inputs ({', '.join(block.info.inputs)})"
        help = "join the values before it, as with `concat`" if wanted == 1 else "`from` names them, in this order"
        message = f"{block.what} takes {count}, not {len(at.inputs)}"
        run.errors.fail("NS302", message, at.step.span, at.frame, help=help)


def _replayed_or_elaborated(
    run: Elaboration,
    at: Instance,
    block: BlockDefinition,
    inputs: tuple[str, ...],
    params: Mapping[str, Value],
    bodies: Mapping[str, Closure],
) -> Values:
    """The outputs of a block's use, whose nodes are added.

    A block sees its own parameters and the file's, nothing of the place that it is used in: with equal arguments, on
    values of the same types, its nodes are those of an earlier use under another path.
    """
    origins = {name: origins_of(tree, at.frame) for name, tree in at.step.written.items()}
    origins_of_inputs = [run.origins(value) for value in inputs]
    key = _recording_key(run, at, block, inputs, params, bodies, NO_ORIGIN.union(*origins.values(), *origins_of_inputs))
    recording = run.recordings.get(key)
    if recording is not None:
        outputs = run.builder.replay(recording, at.path, inputs)
        for output, original in zip(outputs, recording.outputs, strict=True):
            run.copy_origins(output, original)
        return outputs
    mark = run.builder.checkpoint
    frame = _frame(run, at, block, inputs, params, bodies, {**dict.fromkeys(params, NO_ORIGIN), **origins})
    run.kept_alive += [frame.environment.file, *bodies.values()]
    only = needed_steps(block.body, block.results) if block.declared is not None else None
    values = run.body(block.body, frame, inputs if len(inputs) == 1 else (), only)
    if block.results:
        values = tuple([frame.values.get(name) for name in block.results.values()])
    values = values[: len(at.step.outputs)]
    # A use with sizes of its own, which only the data tell, is not the same as another.
    repeatable = not run.findings.diagnostics and run.builder.last_sized_by_data < mark[0]
    if repeatable and (outputs := all_known(values)):
        run.recordings[key] = run.builder.record(at.path, inputs, outputs, mark)
    return values


def _recording_key(
    run: Elaboration,
    at: Instance,
    block: BlockDefinition,
    inputs: tuple[str, ...],
    params: Mapping[str, Value],
    bodies: Mapping[str, Closure],
    origins: Origins,
) -> tuple[Any, ...]:
    """All that decides which nodes a block's use makes; equal types are one object."""
    types = [run.builder.types[value] for value in inputs]
    return (
        *(id(block), id(at.frame.environment.file), origins),
        *(*map(id, types), *map(hashable, params.values()), *map(type, params.values()), *map(id, bodies.values())),
        # Two values that enter may be one.
        *map(inputs.index, inputs),
    )


def _frame(
    run: Elaboration,
    at: Instance,
    block: BlockDefinition,
    inputs: tuple[str, ...],
    params: Mapping[str, Value],
    bodies: Mapping[str, Closure],
    origins: Mapping[str, Origins],
) -> Frame:
    """The frame of a block's body; `origins` are those of its parameters."""
    frame, names = at.frame, block.info.inputs
    values = inputs_by_name(names, inputs)
    types = inputs_by_name(names, [run.builder.types[value] for value in inputs])
    behind_inputs = inputs_by_name(names, [run.origins(value) for value in inputs])
    if block.own:
        environment = Environment[Value].of_file(params, types)
        behind = Environment[Origins].of_file(origins, behind_inputs)
    else:
        environment = frame.environment.in_block(params, types)
        behind = frame.origins.in_block(origins, behind_inputs)
    note = UseNote(block.what, at.step.span, params)
    return Frame(at.path, environment, behind, dict(values), bodies, (*frame.uses, note), frame.depth + 1)
