"""Reads the inputs of a spec: a shape of ints, symbols and expressions, a dtype, and nominal sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeGuard

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.expression import (
    Attribute,
    Expression,
    ExpressionError,
    Literal,
    Name,
    Value,
    leaves,
    names_in,
    parse,
    show,
)
from netspec.graph.model import SpecParameter
from netspec.naming import check_module_name, is_symbol
from netspec.ops.fields import MAX_INT
from netspec.source import Span
from netspec.spec.limits import MAX_INPUT_AXES
from netspec.spec.read.keys import InputOutline, checked_model, place_of_keys
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq
from netspec.spec.text.messages import data_kind, error_span, notation_hint

SIZE = "an int from 1 to 2**31 - 1"


def is_size(value: Value) -> TypeGuard[int]:
    """Return whether a value can be the size of an axis."""
    return type(value) is int and 1 <= value <= MAX_INT


@dataclass(frozen=True, slots=True)
class InputDefinition:
    """An input as a spec declares it; its dims are ints, names of symbols, or expressions over parameters."""

    name: str
    span: Span
    dims: list[tuple[int | str | Expression, Span]]
    dtype: str
    nominal: dict[str, int]


def read_inputs(
    entries: Mapping[str, Entry], parameters: Mapping[str, SpecParameter], findings: Findings
) -> dict[str, InputDefinition]:
    """Read `{image: [N, 3, 224, 224]}`, or the long form with `shape`, `dtype` and `nominal`."""
    inputs: dict[str, InputDefinition] = {}
    for name, entry in entries.items():
        try:
            check_module_name(name, "an input", entry.key_span)
            if name in parameters or name == "index":
                help = "give one of them another name"
                fail("NS210", f"`{name}` is an input and a parameter", entry.key_span, help=help)
            inputs[name] = _input(name, entry, parameters)
        except NetspecError as error:
            findings.extend(error)
            if findings.full:
                break
    return inputs


def _input(name: str, entry: Entry, parameters: Mapping[str, SpecParameter]) -> InputDefinition:
    shape, dtype, nominal = entry.value, "float32", dict[str, int]()
    if isinstance(shape, Map):
        outline = checked_model(InputOutline, shape, f"input `{name}`")
        shape, dtype, nominal = shape.entries["shape"].value, outline.dtype, outline.nominal
    if not isinstance(shape, Seq) or not shape.items:
        help = "such as `[N, 3, 224, 224]`: the batch comes first"
        fail("NS201", f"the shape of `{name}` is a list of sizes", shape.span, help=help)
    if len(shape.items) > MAX_INPUT_AXES:
        fail("NS214", f"`{name}` has {len(shape.items):,} axes, and an input has at most {MAX_INPUT_AXES}", shape.span)
    dims: list[tuple[int | str | Expression, Span]] = []
    wrong = Findings()
    for item in shape.items:
        try:
            dims.append((_dim(name, item, parameters), item.span))
        except NetspecError as error:
            wrong.extend(error)
    wrong.check()
    symbols = {dim for dim, _ in dims if isinstance(dim, str)}
    for symbol, size in nominal.items():
        where = place_of_keys(entry.value, ("nominal", symbol))
        if symbol not in symbols:
            help = closest(symbol, symbols) or (f"it has {choices(sorted(symbols))}" if symbols else "it has none")
            fail("NS204", f"`{symbol}` is no symbol of `{name}`", where, help=help)
        if not is_size(size):
            fail("NS206", f"the nominal size of `{symbol}` is {SIZE}, not {size}", where)
    return InputDefinition(name, entry.key_span, dims, dtype, nominal)


def _dim(name: str, data: Data, parameters: Mapping[str, SpecParameter]) -> int | str | Expression:
    if not isinstance(data, Scalar):
        fail("NS206", f"a size of `{name}` is an int, a symbol or an expression, not {data_kind(data)}", data.span)
    if isinstance(data.value, str):
        if data.value in ("None", "True", "False", "?"):
            fail("NS206", f"`{data.value}` can't be a size", data.span, help=_OPEN)
        try:
            tree = parse(data.value)
        except ExpressionError as error:
            help = notation_hint(data.value) or error.help
            fail("NS207", f"in `{data.value}`: {error.message}", error_span(data, error), help=help)
        if not names_in(tree) and isinstance(tree, Literal):
            fail("NS206", f"a size of `{name}` is a number, not text", data.span, help=f"write {show(tree.value)}")
        if is_symbol(data.value):
            return data.value
        for leaf in leaves(tree):
            if leaf.name not in parameters:
                _fail_unknown(leaf, data, parameters)
        return tree
    if not is_size(data.value):
        help = _OPEN if data.value in (None, -1, 0) else ""
        if type(data.value) is float and data.value.is_integer():
            help = f"write {data.value:.0f}"
        fail("NS206", f"a size of `{name}` is {SIZE}, not {data_kind(data)}", data.span, help=help)
    return data.value


_OPEN = "a size that is open is a symbol: a capital, such as `N`"


def _fail_unknown(leaf: Name | Attribute, data: Scalar, parameters: Mapping[str, SpecParameter]) -> NoReturn:
    """Raise the error of a size's expression that names no parameter."""
    place = error_span(data, ExpressionError("", leaf.at, len(leaf.name)))
    if is_symbol(leaf.name):
        message = f"`{leaf.name}` is a symbol, and a size is a symbol alone or an expression over parameters"
        fail("NS208", message, place, help="another symbol stands for another size that is open")
    help = closest(leaf.name, parameters) or "a symbolic size begins with a capital, as `N`, `H`, `W`"
    fail("NS208", f"`{leaf.name}` is not a parameter of this spec", place, help=help)
