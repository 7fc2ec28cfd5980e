"""Checks a user's ops before they are used: that they have every rule, and that each returns the right type."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path
from typing import Any, cast, get_args

from pydantic.errors import PydanticUserError

from netspec.dims import Symbolic, TooLargeError, symbols
from netspec.errors import choices, fail
from netspec.ops.attributes import make_op
from netspec.ops.base import Op, RuleError
from netspec.types import (
    Call,
    Code,
    Helper,
    Infix,
    Layer,
    Memory,
    Precision,
    Printed,
    Reach,
    Tensor,
    Upsampling,
    Weight,
    Window,
    helpers_of,
)

_HERE = str(Path(__file__).parent)


def check_op(cls: type[Op]) -> None:
    """Refuse an op that lacks a rule, or whose rules fail on one of its examples (NS218)."""
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        help = "what costs nothing says `return 0`, and what has no weights `return ()`"
        fail("NS218", f"op `{cls.opname}` does not say its {choices(missing)}", help=help)
    if cls.principal is not None and cls.principal not in cls.model_fields:
        fail("NS218", f"op `{cls.opname}` has no attribute `{cls.principal}` to be its principal one")
    try:
        cls.model_rebuild()
    except (PydanticUserError, NameError) as error:
        fail("NS218", f"the attributes of op `{cls.opname}` can't be read: {str(error).splitlines()[0]}")
    for number, example in enumerate(cls.examples, start=1):
        what = f"example {number} of op `{cls.opname}`"
        op, problems = make_op(cls, example.attributes)
        if op is None:
            fail("NS218", f"{what}: {problems[0].message}", help=problems[0].help)
        try:
            _check_rules(op, example.types)
        except RuleError as error:
            fail("NS218", f"{what}: {error.message}", help=error.help)
        except Exception as error:
            fail("NS218", f"{what} can't be worked out: {said(error)}")


def check_use(op: Op, xs: tuple[Tensor, ...]) -> None:
    """Refuse a user's op whose rules fail on these inputs, or return wrong types (RuleError, NS218)."""
    if type(op).__module__.startswith("netspec."):
        return
    try:
        _check_rules(op, xs)
    except (RuleError, TooLargeError):
        # The inputs do not fit: `infer` raises the error again where it is reported.
        return
    except Exception as error:
        raise RuleError(f"op `{op.opname}` has a fault: {said(error)}", code="NS218") from None


def _check_rules(op: Any, xs: tuple[Tensor, ...]) -> None:
    inferred = op.infer(*xs)
    ys = _tuple_of(inferred if isinstance(inferred, tuple) else (inferred,), Tensor, "infer")
    if len(ys) != len(op.named_outputs):
        raise TypeError(f"`infer` gives {len(ys)} outputs, and `output_names` has {len(op.named_outputs)}")
    _tuple_of(op.weights(*xs), Weight, "weights")
    macs = op.macs(ys[0], *xs)
    _need(macs is None or type(macs) is int or isinstance(macs, Symbolic), "macs", "a number, or None for unknown")
    window = op.window(*xs)
    windows = cast("tuple[Any, ...]", window) if isinstance(window, tuple) else (window,)
    seen = all(isinstance(each, Window | Upsampling | Reach) for each in windows)
    _need(seen, "window", "a Window, an Upsampling or a Reach")
    each_read = not isinstance(window, tuple) or len(windows) == len(xs[: op.reads])
    _need(each_read, "window", "one of them for all inputs, or one for each input that is read")
    _need(isinstance(op.per_sample(*xs), bool), "per_sample", "true or false")
    printed = op.torch(*xs)
    _need(isinstance(printed, Layer | Call | Infix | Code), "torch", "a Layer, a Call, an Infix or a Code")
    _check_helpers(printed)
    if isinstance(printed, Layer) and printed.unpack:
        _check_unpack(printed.unpack, len(ys))
    _need(op.precision in get_args(Precision), "precision", f"{' or '.join(map(repr, get_args(Precision)))}")
    op.label()
    _check_memory(op, xs)


def _check_helpers(printed: Printed) -> None:
    """Check that each helper defines one function or class, with a name that generated source leaves free."""
    helpers = _tuple_of(helpers_of(printed), Helper, "torch")
    for helper in helpers:
        definitions = ast.parse(helper.source).body
        one = len(definitions) == 1 and isinstance(definitions[0], ast.FunctionDef | ast.ClassDef)
        _need(one and bool(helper.name), "torch", "helpers that each define one function or class")
        if helper.name in _TAKEN:
            raise ValueError(f"`torch` gives a helper named `{helper.name}`, which generated source uses itself")


_TAKEN = frozenset(("torch", "nn", "math", "Tensor", "OrderedDict", "NamedTuple", *dir(builtins)))
"""Names that no helper may have."""


def _check_unpack(unpack: str, outputs: int) -> None:
    """Check that `Layer.unpack` is a nested tuple with each output once, in their order."""
    names = [f"output_{number}" for number in range(outputs)]
    try:
        tree = ast.parse(unpack.format(*names), mode="eval")
    except (SyntaxError, IndexError, KeyError, ValueError):
        tree = ast.parse("None", mode="eval")
    allowed = all(isinstance(part, ast.Expression | ast.Tuple | ast.Name | ast.expr_context) for part in ast.walk(tree))
    in_order = re.findall(r"\{(\d+)\}", unpack) == [str(number) for number in range(outputs)]
    what = f'an `unpack` of {outputs} outputs, such as "{{0}}, ({{1}}, {{2}})"'
    _need(allowed and in_order and isinstance(tree.body, ast.Tuple), "torch", what)


def _check_memory(op: Any, xs: tuple[Tensor, ...]) -> None:
    """Check the rule `memory`, with numbers for symbols: it never gets symbolic sizes."""
    sizes = dict.fromkeys(symbols([size for x in xs for size in x.shape]), 64)
    fixed = [x.at(sizes) for x in xs]
    inferred = op.infer(*fixed)
    y = cast(Tensor, inferred[0] if isinstance(inferred, tuple) else inferred)
    for train in (False, True):
        _need(isinstance(op.memory(train, y, *fixed), Memory | None), "memory", "a Memory, or None for unknown")


def _tuple_of(value: Any, kind: type[Any], rule: str) -> tuple[Any, ...]:
    items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (None,)
    _need(all(isinstance(item, kind) for item in items), rule, f"a tuple of {kind.__name__}s")
    return items


def _need(right: bool, rule: str, what: str) -> None:
    if not right:
        raise TypeError(f"`{rule}` gives {what}, and here does not")


def said(error: BaseException) -> str:
    """An exception in a line, with the place in the user's file where there is one."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError):
        return said
    from traceback import extract_tb

    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith((_HERE, "<"))]
    return f"{said} ({Path(frames[0].filename).name}:{frames[0].lineno})" if frames else said
