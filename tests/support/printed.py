"""Converts the printed form of an op to a callable on tensors, independently of netspec's printer."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import reduce
from importlib import import_module
from typing import Any

import torch
from torch import nn

from netspec.types import Call, Code, Infix, Layer, Printed, helpers_of

INFIX = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "@": operator.matmul}
ROOTS = {"nn": nn, "torch": torch}


def scope_of(printed: Printed) -> dict[str, Any]:
    """The names that a printed form can read: torch's, and those that its helpers define."""
    scope: dict[str, Any] = {**ROOTS, "Tensor": torch.Tensor, "math": math}
    for helper in helpers_of(printed):
        exec("\n".join([*(f"import {module}" for module in helper.imports), helper.source]), scope)
    return scope


def resolve(dotted: str, scope: dict[str, Any]) -> Any:
    """The object with a dotted name: of torch, of a helper, or of a module such as torchvision.ops."""
    if dotted.partition(".")[0] in scope:
        return eval(dotted, scope)
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)


def made(layer: Layer, *, without: frozenset[str] = frozenset()) -> Any:
    """The module or parameter that a Layer stands for, in evaluation mode; `without` leaves out named arguments."""
    arguments, scope = list(layer.arguments.items()), scope_of(layer)
    unnamed = [value for _, value in arguments[: layer.positional]]
    named = {name: value for name, value in arguments[layer.positional :] if name not in without}
    target = resolve(layer.target, scope)
    if layer.inside:
        return target(resolve(layer.inside, scope)(*unnamed, **named))
    return target(*unnamed, **named).eval()


def state(layer: Any) -> dict[str, torch.Tensor]:
    """A module's state dict; of a parameter, itself."""
    return {"": layer.data} if isinstance(layer, nn.Parameter) else layer.state_dict()


def meaning(printed: Printed, layer: Any = None) -> Callable[..., Any]:
    """The callable that a printed form stands for; `layer` is the module or parameter of a Layer."""
    match printed:
        case Infix(sign, constant):
            constants = [float(constant)] if constant else []
            return lambda *values: reduce(INFIX[sign], [*values, *constants])
        case Call(function, options, listed):
            called = resolve(function, scope_of(printed))
            return lambda *values: called(values, **options) if listed else called(*values, **options)
        case Layer(call=None):
            return layer
        case Layer(call=Code() as code) | (Code() as code):
            scope = {**scope_of(printed), "layer": layer}
            names = [f"value{number}" for number in range(9)]
            text = str(code).format(*names, layer="layer")
            return lambda *values: eval(text, scope, dict(zip(names, values, strict=False)))
    raise AssertionError
