"""`defaults: {conv2d: {bias: false, init: {...}}}`: what the steps of a file say of an op unless told else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netspec.errors import Diagnostic, Findings, NetspecError, closest, fail
from netspec.expression import Attribute, Expression, Name, rewrite
from netspec.ops.attributes import make_op
from netspec.ops.base import Op
from netspec.ops.own import find_op, op_names
from netspec.spec.read.arguments import ArgumentReader
from netspec.spec.read.body import Argument, Defaults, FileContext, NamesInReach, ValueNames
from netspec.spec.read.initializers import places_of, read_init
from netspec.spec.text.data import Entry, Map


def read_defaults(
    entries: Mapping[str, Entry],
    file: FileContext,
    findings: Findings,
) -> None:
    """Put the defaults that a file has into its context."""
    blocks = file.blocks
    reader = ArgumentReader(FileContext(), blocks)
    reach = NamesInReach(file.parameters, frozenset(), ValueNames(()), constants=file.constants)
    for op, entry in entries.items():
        try:
            cls = None if op in blocks else find_op(op)
            if cls is None:
                help = closest(op, op_names()) or (
                    "blocks have defaults of their own, in `params`" if op in blocks else ""
                )
                fail("NS203", f"there is no op `{op}`", entry.key_span, help=help)
            data = entry.value
            assert isinstance(data, Map)
            init = data.entries.get("init")
            if "branches" in data.entries:
                fail("NS204", "`branches` stand on steps, and have no defaults", data.entries["branches"].key_span)
            rest = Map({k: v for k, v in data.entries.items() if k != "init"}, data.span)
            arguments, _ = reader.arguments(cls, entry.key_span, rest, reach)
            for argument in arguments.values():
                argument.of_file = True
                if argument.expression is not None:
                    argument.expression = rewrite(argument.expression, _of_file)
            _check_values(cls, arguments, findings)
            file.defaults[op] = Defaults(arguments, read_init(init.value) if init else {}, places_of(init))
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()


def _of_file(leaf: Name | Attribute) -> Expression:
    return replace(leaf, of_file=True) if isinstance(leaf, Name) else leaf


def _check_values(cls: type[Op], arguments: Mapping[str, Argument], findings: Findings) -> None:
    """Say what is wrong with an op's constants, even if no step takes them."""
    constants = {a.name: a.value for a in arguments.values() if a.expression is None}
    for problem in make_op(cls, constants)[1]:
        if problem.attribute in constants:
            span = arguments[problem.attribute].span
            findings.add(Diagnostic(problem.code, problem.message, span, help=problem.help))
