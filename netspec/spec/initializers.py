"""`init:`: which function of torch.nn.init fills which weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.errors import choices, closest, fail
from netspec.expression import show
from netspec.spec.data import Data, Map, Scalar, Seq, plain
from netspec.types import Filling, Init

_GAIN = {"gain": float}
_KAIMING = {"a": float, "mode": ("fan_in", "fan_out"), "nonlinearity": str}
FUNCTIONS: Mapping[str, Mapping[str, Any]] = {
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
    """`{weight: {normal: {std: 0.01}}, bias: 1}` as a mapping of weights to what fills them."""
    if not isinstance(data, Map):
        fail("NS206", "`init` maps weights to initialisers", data.span, help="such as `{weight: {normal: {std: 0.01}}, bias: 0}`")
    return {name: _initializer(name, entry.value) for name, entry in data.entries.items()}


def _initializer(weight: str, data: Data) -> Filling:
    if isinstance(data, Seq):
        values = plain(data)
        if not all(type(v) in (int, float) for v in values):
            fail("NS206", f"`{weight}` takes a list of numbers, not {show(values)}", data.span)
        return tuple(float(v) for v in values)
    if isinstance(data, Scalar):
        if type(data.value) in (int, float):
            return float(str(data.value))
        return _call(str(data.value), None, data)
    if len(data.entries) != 1:
        fail("NS206", "one function fills a weight", data.span, help="such as `{normal: {std: 0.01}}`")
    (entry,) = data.entries.values()
    options = entry.value
    if isinstance(options, Scalar) and options.value is None:
        return _call(entry.key, None, Scalar(entry.key, entry.key_span, False))
    if not isinstance(options, Map):
        fail("NS206", f"the options of `{entry.key}` are named", options.span, help="such as `{normal: {std: 0.01}}`")
    return _call(entry.key, options, Scalar(entry.key, entry.key_span, False))


def _call(function: str, options: Map | None, place: Scalar) -> Init:
    function = function.removesuffix("_")
    if function not in FUNCTIONS:
        help = closest(function, FUNCTIONS) or f"there are {choices(FUNCTIONS)}"
        fail("NS204", f"torch.nn.init has no `{function}_`", place.span, help=help)
    known = FUNCTIONS[function]
    found: dict[str, Any] = {}
    for name, entry in (options.entries if options else {}).items():
        if name not in known:
            help = closest(name, known) or (f"it takes {choices(known)}" if known else "it takes no options")
            fail("NS204", f"`{function}` has no option `{name}`", entry.key_span, help=help)
        value = plain(entry.value)
        wanted = known[name]
        good = (
            value in wanted
            if isinstance(wanted, tuple)
            else type(value) in (int, float)
            if wanted is float
            else type(value) is wanted
        )
        if not good:
            words = {float: "a number", int: "an int", str: "text"}
            what = words[wanted] if isinstance(wanted, type) else choices(wanted)
            fail("NS206", f"`{name}` of `{function}` takes {what}, not {show(value)}", entry.value.span)
        found[name] = value
    return Init(function, found)
