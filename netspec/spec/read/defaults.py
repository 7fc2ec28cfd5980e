"""`defaults: {conv2d: {bias: false, init: {...}}}`: reads the arguments that the steps of an op share in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netspec.errors import Diagnostic, Findings, NetspecError, fail
from netspec.expression import Attribute, Expression, Name, rewrite
from netspec.ops.attributes import make_op
from netspec.ops.base import Op
from netspec.ops.own import find_op, op_names
from netspec.spec.read.arguments import ArgumentReader
from netspec.spec.read.body import Argument
from netspec.spec.read.context import Declarations, Defaults, NamesInReach, ValueNames
from netspec.spec.read.hints import op_hint
from netspec.spec.read.initializers import places_of, read_init
from netspec.spec.text.data import Entry, Map


def read_defaults(
    entries: Mapping[str, Entry], declarations: Declarations, findings: Findings
) -> Mapping[str, Defaults]:
    """Read the defaults of a file, by the names of ops; expressions in them read the file's parameters alone."""
    defaults: dict[str, Defaults] = {}
    for name, entry in entries.items():
        try:
            defaults[name] = _read_op(name, entry, declarations, findings)
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return defaults


def _read_op(name: str, entry: Entry, declarations: Declarations, findings: Findings) -> Defaults:
    op = _find_op(name, entry, declarations)
    data = entry.value
    assert isinstance(data, Map)
    if "branches" in data.entries:
        fail("NS204", "`branches` stand on steps, and have no defaults", data.entries["branches"].key_span)
    attributes = Map({key: value for key, value in data.entries.items() if key != "init"}, data.span)
    reach = NamesInReach(declarations.parameters, frozenset(), ValueNames(()), constants=declarations.constants)
    read, _ = ArgumentReader(declarations).arguments(op, entry.key_span, attributes, reach)
    arguments = {attribute: _of_file(argument) for attribute, argument in read.items()}
    _check_values(op, arguments, findings)
    init = data.entries.get("init")
    return Defaults(arguments, read_init(init.value) if init else {}, places_of(init))


def _find_op(name: str, entry: Entry, declarations: Declarations) -> type[Op]:
    block = name in declarations.blocks
    op = None if block else find_op(name)
    if op is None:
        help = op_hint(name, op_names()) or ("blocks have defaults of their own, in `params`" if block else "")
        fail("NS203", f"there is no op `{name}`", entry.key_span, help=help)
    return op


def _of_file(argument: Argument) -> Argument:
    """An argument whose expression reads the file's parameters, even where a block has a parameter of the same name."""
    tree = argument.expression
    return replace(argument, of_file=True, expression=rewrite(tree, _name_of_file) if tree is not None else None)


def _name_of_file(leaf: Name | Attribute) -> Expression:
    return replace(leaf, of_file=True) if isinstance(leaf, Name) else leaf


def _check_values(op: type[Op], arguments: Mapping[str, Argument], findings: Findings) -> None:
    """Report constants that the op refuses, even if the file has no step of the op."""
    constants = {a.name: a.value for a in arguments.values() if a.expression is None}
    for problem in make_op(op, constants)[1]:
        if problem.attribute in constants:
            span = arguments[problem.attribute].span
            findings.add(Diagnostic(problem.code, problem.message, span, help=problem.help))
