"""`init`: reads which function of torch.nn.init fills which weight."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from netspec.errors import choices, closest, fail
from netspec.expression import show
from netspec.shape_text import shape_text
from netspec.source import Span
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.types import Filling, Init, Weight

_GAIN = {"gain": float}
_CONVOLUTIONS = [f"conv{way}{axes}d" for way in ("", "_transpose") for axes in (1, 2, 3)]
_GAINS = ("linear", *_CONVOLUTIONS, "sigmoid", "tanh", "relu", "leaky_relu", "selu")
_KAIMING = {"a": float, "mode": ("fan_in", "fan_out"), "nonlinearity": _GAINS}
_FOREIGN = {
    "constant": "a number alone fills with it: `bias: 0.1`",
    "gaussian": "did you mean `normal`?",
    "he_normal": "did you mean `kaiming_normal`?",
    "he_uniform": "did you mean `kaiming_uniform`?",
    "msra": "did you mean `kaiming_normal`?",
    "xavier": "there are `xavier_uniform` and `xavier_normal`",
    "kaiming": "there are `kaiming_uniform` and `kaiming_normal`",
}
"""Hints for functions, by their names in other tools."""
_SUCH_AS = "such as `weight: {normal: {std: 0.01}}` or `bias: 0`"
INITIALIZERS: Mapping[str, Mapping[str, Any]] = {
    "uniform": {"a": float, "b": float},
    "normal": {"mean": float, "std": float},
    "trunc_normal": {"mean": float, "std": float, "a": float, "b": float},
    "xavier_uniform": _GAIN,
    "xavier_normal": _GAIN,
    "kaiming_uniform": _KAIMING,
    "kaiming_normal": _KAIMING,
    "orthogonal": _GAIN,
    "dirac": {"groups": int},
    "eye": {},
    "ones": {},
    "zeros": {},
}
"""The functions of torch.nn.init, without the underscore, and their options; a test compares them with torch's."""


def read_init(data: Data) -> dict[str, Filling]:
    """Read `{weight: {normal: {std: 0.01}}, bias: 1}` into initialisers by the names of weights."""
    if not isinstance(data, Map):
        fail(
            "NS206",
            "`init` maps weights to initialisers",
            data.span,
            help="such as `{weight: {normal: {std: 0.01}}, bias: 0}`",
        )
    return {name: _initializer(name, entry.value) for name, entry in data.entries.items()}


def _initializer(weight: str, data: Data) -> Filling:
    if isinstance(data, Seq):
        values = plain_data(data)
        if not values or not all(map(_is_number, values)):
            fail("NS206", f"`{weight}` takes a list of numbers, not {show(values)}", data.span)
        return tuple(float(v) for v in values)
    if isinstance(data, Scalar):
        if _is_number(data.value):
            return float(str(data.value))
        if not isinstance(data.value, str):
            fail(
                "NS206",
                f"`{weight}` takes a number, a list or a function, not {show(data.value)}",
                data.span,
                help=_SUCH_AS,
            )
        return _call(data.value, None, data)
    if len(data.entries) != 1:
        fail("NS206", f"one function fills `{weight}`, not {len(data.entries)}", data.span, help=_SUCH_AS)
    (entry,) = data.entries.values()
    options = entry.value
    if isinstance(options, Scalar) and options.value is None:
        return _call(entry.key, None, Scalar(entry.key, entry.key_span, False))
    if not isinstance(options, Map):
        fail("NS206", f"the options of `{entry.key}` are named", options.span, help=_SUCH_AS)
    return _call(entry.key, options, Scalar(entry.key, entry.key_span, False))


def _call(function: str, options: Map | None, place: Scalar) -> Init:
    function = function.removesuffix("_")
    if function not in INITIALIZERS:
        help = _FOREIGN.get(function) or closest(function, INITIALIZERS) or f"there are {choices(INITIALIZERS)}"
        fail("NS204", f"there is no initialiser `{function}`", place.span, help=help)
    kinds = INITIALIZERS[function]
    values: dict[str, Any] = {}
    for name, entry in (options.entries if options else {}).items():
        if name not in kinds:
            help = closest(name, kinds) or (f"it takes {choices(kinds)}" if kinds else "it takes no options")
            fail("NS204", f"`{function}` has no option `{name}`", entry.key_span, help=help)
        value = plain_data(entry.value)
        expected = _expected_option(name, kinds[name], value)
        if expected:
            fail("NS206", f"`{name}` of `{function}` takes {expected}, not {show(value)}", entry.value.span)
        values[name] = value
    if function == "uniform" and values.get("a", 0) > values.get("b", 1):
        fail("NS206", f"`uniform` from {values.get('a', 0)} to {values.get('b', 1)} is empty", place.span)
    return Init(function, values)


def _expected_option(name: str, kind: Any, value: Any) -> str:
    """The kind of value that an option takes, in words; "" if it takes this one."""
    if isinstance(kind, tuple):
        words = cast(tuple[str, ...], kind)
        return "" if value in words else choices(words)
    if kind is int:
        return "" if type(value) is int and value >= 1 else "a positive integer"
    if name == "std":
        return "" if _is_number(value) and value >= 0 else "a number of 0 or more"
    return "" if _is_number(value) else "a number"


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))


def places_of(entry: Entry | None) -> dict[str, Span]:
    """The places of the names of weights under an `init`; empty without one."""
    data = entry.value if entry is not None else None
    return {name: inner.key_span for name, inner in data.entries.items()} if isinstance(data, Map) else {}


_AXES = {"dirac": (3, 5), "eye": (2, 2), "orthogonal": (2, 8)}
"""The least and the most axes of a weight that a function fills."""


def why_not(filling: Filling, weight: Weight) -> str:
    """The reason why an initialiser does not fit a weight; "" if it does."""
    if isinstance(filling, tuple):
        if weight.shape == (len(filling),):
            return ""
        return f"`{weight.called}` has the shape {shape_text(weight.shape)}, and the list has {len(filling)} numbers"
    if not isinstance(filling, Init):
        return ""
    shape = shape_text(weight.shape)
    least, most = _AXES.get(filling.function, (2 if filling.function.startswith(("xavier", "kaiming")) else 1, 8))
    if not least <= len(weight.shape) <= most:
        axes = str(least) if least == most else f"{least} or more"
        return f"`{filling.function}` fills weights of {axes} axes, and `{weight.called}` has the shape {shape}"
    groups = filling.options.get("groups", 1)
    if filling.function == "dirac" and weight.shape[0] % groups:
        return f"`dirac` has {groups} groups, which do not divide the first axis of `{weight.called}`, {shape}"
    return ""
