"""Parameters of specs and blocks: their types, their declarations, and their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, cast

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import Value, bool_hint, show
from netspec.graph.model import SpecParameter
from netspec.naming import check_module_name, check_parameter_name
from netspec.ops.own import find_op
from netspec.spec.limits import MAX_LIST_ITEMS, MAX_PARAMETER_TEXT
from netspec.spec.read.body import Argument, BlockDefinition
from netspec.spec.text.data import Data, Entry, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind, notation_hint

_LIST = "a list of numbers, texts or lists"
_KINDS: dict[str, tuple[Callable[[Value], bool], str]] = {
    "int": (lambda v: type(v) is int, "an int"),
    "float": (lambda v: type(v) in (int, float), "a number"),
    "bool": (lambda v: type(v) is bool, "true or false"),
    "str": (lambda v: type(v) is str, "text"),
    "list": (lambda v: type(v) is list and all(map(_kind_of_value, cast(list[Value], v))), _LIST),
}
PARAMETER_KINDS = (*_KINDS, "body")
"""The types that a parameter may have."""


def _why_too_large(value: Value) -> str:
    """The reason why a value is too large for a parameter, which every step may read; "" if it is not."""
    if isinstance(value, str) and len(value) > MAX_PARAMETER_TEXT:
        return f"a text has {len(value):,} characters, and a parameter at most {MAX_PARAMETER_TEXT:,}"
    if isinstance(value, list):
        count = _count(cast(list[Value], value))
        if count > MAX_LIST_ITEMS:
            return f"a list holds {count:,} values, and at most {MAX_LIST_ITEMS} are allowed"
        return next((why for item in cast(list[Value], value) if (why := _why_too_large(item))), "")
    return ""


def _count(values: list[Value]) -> int:
    return sum(1 + (_count(cast(list[Value], value)) if isinstance(value, list) else 0) for value in values)


def _kind_of_value(value: Value) -> str:
    """The type of a parameter with this default; "" if it can be no default."""
    return next((kind for kind, (holds, _) in _KINDS.items() if holds(value)), "")


def fits(value: Value, kind: str) -> bool:
    """Return whether a value has a parameter's type: an int is a float, too, but a bool is no int."""
    return _KINDS[kind][0](value)


def words_for(kind: str) -> str:
    """A parameter's type in words."""
    return "a list of steps" if kind == "body" else _KINDS[kind][1]


def read_parameters(
    entries: Mapping[str, Entry], findings: Findings, *, of_block: bool = False
) -> dict[str, SpecParameter]:
    """Read `{width: int, stride: 1}`: the type of each parameter, or a default, which has the type.

    With `of_block`, a parameter may be a `body`.
    """
    parameters: dict[str, SpecParameter] = {}
    for name, entry in entries.items():
        try:
            check_parameter_name(name, entry.key_span)
            parameters[name] = _parameter(name, entry.value, PARAMETER_KINDS if of_block else tuple(_KINDS))
            if parameters[name].kind == "body":
                _check_body(name, of_block, entry)
        except NetspecError as error:
            findings.extend(error)
            if findings.full:
                break
    return parameters


def _check_body(name: str, of_block: bool, entry: Entry) -> None:
    if not of_block:
        help = "a block's parameter may hold steps, and each use of the block gives it some"
        fail("NS206", f"`{name}` of a spec can't be steps", entry.value.span, help=help)
    check_module_name(name, "a parameter that is steps", entry.key_span)
    if find_op(name) is not None:
        fail("NS210", f"there is an op `{name}`", entry.key_span, help="give the parameter another name")


def _parameter(name: str, data: Data, kinds: tuple[str, ...]) -> SpecParameter:
    value = plain_data(data)
    if isinstance(data, Scalar) and value in PARAMETER_KINDS:
        return SpecParameter(name, str(value), span=data.span)
    if isinstance(data, Scalar) and not data.quoted and isinstance(data.value, str):
        _check_word(name, data.value, data)
    kind = _kind_of_value(value)
    if not kind and isinstance(data, Seq):
        fail("NS206", f"the list `{name}` holds numbers, texts and lists, and nothing else", data.span)
    if not kind:
        fail("NS206", f"`{name}` is a type ({', '.join(kinds)}) or a default, not {data_kind(data)}", data.span)
    if why := _why_too_large(value):
        fail("NS214", why, data.span)
    if kind == "float" and not isfinite(value):
        fail("NS206", f"`{name}` is a number that is finite, not {show(value)}", data.span)
    return SpecParameter(name, kind, value, data.span)


def _check_word(name: str, word: str, data: Scalar) -> None:
    """Refuse a bare word that is meant as a type or a number, such as `integer` or `1_000`: it would be text."""
    first = re.split(r"\W", word.lower(), maxsplit=1)[0]
    meant = first if first in PARAMETER_KINDS else _FOREIGN.get(first)
    if meant:
        help = f"write `{name}: {meant}`; text stands in quotes"
        fail("NS206", f"`{word}` is no type of a parameter", data.span, help=help)
    if re.fullmatch(r"[-+]?\d[\d_,]*|0b[01]+", word):
        fail("NS206", f"`{word}` is no number", data.span, help=notation_hint(word) or "numbers are decimal, or 0x1F")


_FOREIGN = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    **dict.fromkeys(("array", "tuple"), "list"),
}
"""Our names of types by those in other tools."""


def override(new: SpecParameter, old: SpecParameter | None, entry: Entry, findings: Findings) -> SpecParameter:
    """The parameter `new` of a file that overrides `old` of the file it extends: a new default keeps the old type."""
    if old is None or new.required:
        return new
    if not fits(new.default, old.kind):
        message = f"`{new.name}` takes {words_for(old.kind)} in the spec that this one extends, not {show(new.default)}"
        findings.add(Diagnostic("NS206", message, entry.value.span, help=kind_hint(new.default, old.kind)))
    return SpecParameter(new.name, old.kind, new.default, new.span)


def check_kind(block: BlockDefinition, name: str, argument: Argument, value: Value = ..., help: str = "") -> None:
    """Refuse a block's argument of the wrong type; `value` is the value of an expression, if the argument is one."""
    value = argument.value if value is ... else value
    kind = block.kinds[name]
    if not fits(value, kind):
        fail(
            "NS206",
            f"`{name}` of {block.what} takes {words_for(kind)}, not {show(value)}",
            argument.span,
            help=help or kind_hint(value, kind),
        )


def block_signature(block: BlockDefinition) -> str:
    """A block's parameters on one line, for the help of errors: "it is `bottleneck(width, stride=1)`"."""
    shown = ", ".join(p.name if p.required else f"{p.name}={show(p.default)}" for p in block.info.parameters)
    return f"it is `{block.name}({shown})`"


def resolve_params(spec: str, parameters: Mapping[str, SpecParameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each parameter of a spec: the one in `given`, else the default. `spec` is its name, for errors."""
    findings = Findings()
    values: dict[str, Any] = {}
    given = {name: _as_list(value) for name, value in given.items()}
    for name, value in given.items():
        parameter = parameters.get(name)
        if parameter is None:
            help = closest(name, parameters) or (f"it has {choices(parameters)}" if parameters else "it has none")
            findings.add(Diagnostic("NS204", f"`{spec}` has no parameter `{name}`", help=help))
        elif not fits(value, parameter.kind):
            message = f"parameter `{name}` of `{spec}` takes {words_for(parameter.kind)}, not {show(value)}"
            findings.add(Diagnostic("NS206", message, help=kind_hint(value, parameter.kind)))
        elif why := _why_too_large(value):
            findings.add(Diagnostic("NS214", f"parameter `{name}` of `{spec}`: {why}"))
    findings.check()
    for parameter in parameters.values():
        value = given.get(parameter.name, parameter.default)
        if value is ...:
            fail(
                "NS205",
                f"`{spec}` needs its parameter `{parameter.name}`, {words_for(parameter.kind)}",
                help=f"give it with `--set {parameter.name}=...`",
            )
        values[parameter.name] = value
    return values


def kind_hint(value: Value, kind: str) -> str:
    """A hint for `3,4` as a list, `1e3` as an int, or `yes` as a bool; "" for other values."""
    if kind == "bool":
        return bool_hint(value)
    if kind == "list" and isinstance(value, str) and re.fullmatch(r"[\w.]+([ ,]+[\w.]+)+", value):
        return f"a list is written [{', '.join(re.split('[ ,]+', value))}]"
    if kind == "list" and not isinstance(value, list | tuple):
        return f"a list of one is written [{show(value)}]"
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return f"write {value:.0f}"
    return ""


def _as_list(value: Value) -> Value:
    """A tuple as a list, since callers in Python may pass tuples; other values are returned unchanged."""
    return list(cast(tuple[Value, ...], value)) if isinstance(value, tuple) else value
