"""Inputs as a spec declares them: a shape of ints, symbols and expressions, a dtype, and sizes to report with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.expression import Expression, ExpressionError, Literal, Value, names_in, parse, show
from netspec.graph.model import Parameter
from netspec.naming import check_module_name, is_symbol
from netspec.ops.fields import LARGEST
from netspec.source import Span
from netspec.spec.data import Data, Entry, Map, Scalar, Seq
from netspec.spec.messages import at, kind_of
from netspec.spec.model import InputOutline, check, place

SIZE = "an int from 1 to 2**31 - 1"


def is_size(value: Value) -> TypeGuard[int]:
    """Whether a value can be the size of an axis."""
    return type(value) is int and 1 <= value <= LARGEST


@dataclass(slots=True)
class InputDefinition:
    """An input as a spec declares it: dims that are ints, symbols by name, or expressions over parameters."""

    name: str
    span: Span
    dims: list[tuple[int | str | Expression, Span]]
    dtype: str
    nominal: dict[str, int]


def read_inputs(
    entries: Mapping[str, Entry], parameters: Mapping[str, Parameter], findings: Findings
) -> dict[str, InputDefinition]:
    """`{image: [N, 3, 224, 224]}`, or the long form with `shape`, `dtype` and `nominal`."""
    found: dict[str, InputDefinition] = {}
    for name, entry in entries.items():
        try:
            check_module_name(name, "an input", entry.key_span)
            if name in parameters or name == "index":
                fail("NS210", f"`{name}` is an input and a parameter", entry.key_span)
            found[name] = _input(name, entry, parameters)
        except NetspecError as error:
            findings.extend(error)
    return found


def _input(name: str, entry: Entry, parameters: Mapping[str, Parameter]) -> InputDefinition:
    shape, dtype, nominal = entry.value, "float32", dict[str, int]()
    if isinstance(shape, Map):
        found = check(InputOutline, shape, f"input `{name}`")
        shape, dtype, nominal = shape.entries["shape"].value, found.dtype, found.nominal
    if not isinstance(shape, Seq) or not shape.items:
        fail("NS201", f"the shape of `{name}` is a list of sizes", shape.span, help="such as `[N, 3, 224, 224]`")
    dims = [(_dim(name, item, parameters), item.span) for item in shape.items]
    symbols = {dim for dim, _ in dims if isinstance(dim, str)}
    for symbol, size in nominal.items():
        where = place(entry.value, ("nominal", symbol))
        if symbol not in symbols:
            help = closest(symbol, symbols) or (f"it has {choices(sorted(symbols))}" if symbols else "it has none")
            fail("NS204", f"`{symbol}` is no symbol of `{name}`", where, help=help)
        if not is_size(size):
            fail("NS206", f"the nominal size of `{symbol}` is {SIZE}, not {size}", where)
    return InputDefinition(name, entry.key_span, dims, dtype, nominal)


def _dim(name: str, data: Data, parameters: Mapping[str, Parameter]) -> int | str | Expression:
    if not isinstance(data, Scalar):
        fail("NS206", f"a size of `{name}` is an int, a symbol or an expression, not {kind_of(data)}", data.span)
    if isinstance(data.value, str):
        try:
            tree = parse(data.value)
        except ExpressionError as error:
            fail("NS207", f"in `{data.value}`: {error.message}", at(data, error))
        if not names_in(tree) and isinstance(tree, Literal):
            fail("NS206", f"a size of `{name}` is a number, not text", data.span, help=f"write {show(tree.value)}")
        if is_symbol(data.value):
            return data.value
        if data.value in ("None", "True", "False"):
            fail(
                "NS206",
                f"`{data.value}` can't be a size",
                data.span,
                help="a size that is open is a symbol, such as `N`",
            )
        for missing in sorted(names_in(tree) - set(parameters)):
            help = closest(missing, parameters) or "a symbolic size begins with a capital, as `N`, `H`, `W`"
            fail("NS208", f"`{missing}` is not a parameter of this spec", data.span, help=help)
        return tree
    if not is_size(data.value):
        help = "a size that is open is a symbol: a capital, such as `N`" if data.value in (None, -1, 0) else ""
        fail("NS206", f"a size of `{name}` is {SIZE}, not {kind_of(data)}", data.span, help=help)
    return data.value
