"""Converts the printed form of an op to a callable on tensors, independently of netspec's printer."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import nn

from netspec.types import Call, Code, Infix, Layer, Printed

INFIX = {"+": operator.add, "*": operator.mul}
ROOTS = {"nn": nn, "torch": torch}


def resolve(dotted: str) -> Any:
    root, _, path = dotted.partition(".")
    return operator.attrgetter(path)(ROOTS[root])


def made(layer: Layer, *, without: frozenset[str] = frozenset()) -> Any:
    """The module or parameter that a Layer stands for, in evaluation mode; `without` leaves out named arguments."""
    arguments = list(layer.arguments.items())
    unnamed = [value for _, value in arguments[: layer.positional]]
    named = {name: value for name, value in arguments[layer.positional :] if name not in without}
    if layer.inside:
        return resolve(layer.target)(resolve(layer.inside)(*unnamed, **named))
    return resolve(layer.target)(*unnamed, **named).eval()


def state(layer: Any) -> dict[str, torch.Tensor]:
    """A module's state dict; of a parameter, itself."""
    return {"": layer.data} if isinstance(layer, nn.Parameter) else layer.state_dict()


def meaning(printed: Printed, layer: Any = None) -> Callable[..., Any]:
    """The callable that a printed form stands for; `layer` is the module or parameter of a Layer."""
    match printed:
        case Infix(sign):
            return lambda *values: reduce(INFIX[sign], values)
        case Call(function, options, listed):
            called = resolve(function)
            return lambda *values: called(values, **options) if listed else called(*values, **options)
        case Layer(call=None):
            return layer
        case Layer(call=Code() as code) | (Code() as code):
            scope: dict[str, Any] = {**ROOTS, "Tensor": torch.Tensor, "layer": layer}
            exec(code.helper, scope)
            names = [f"value{number}" for number in range(9)]
            text = str(code).format(*names, layer="layer")
            return lambda *values: eval(text, scope, dict(zip(names, values, strict=False)))
    raise AssertionError
