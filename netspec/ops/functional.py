"""Ops as functions of torch.nn.functional: how they are written with the weights of another layer."""

from __future__ import annotations

from typing import Any

from netspec.expression import python_literal
from netspec.ops.base import Op
from netspec.types import Code


def functional(op: Op, function: str, *arguments: str, **options: Any) -> Code:
    """A call of a function on these arguments, and options where they say other than the op's defaults.

    >>> from netspec.ops.convolution import Conv2d
    >>> conv = Conv2d(out_channels=8, kernel_size=3, stride=2)
    >>> functional(conv, "conv2d", "{0}", "{layer}.weight", stride=conv.stride)
    Code(head='nn.functional.conv2d(', items=('{0}', '{layer}.weight', 'stride=2'), tail=')', helper='')
    """
    said = {name: value for name, value in options.items() if value != op.default(name)}
    items = [f"{name}={python_literal(_short(value))}" for name, value in said.items()]
    return Code(f"nn.functional.{function}(", (*arguments, *items))


def weights_of_layer(*names: str, when: bool = True) -> tuple[str, ...]:
    """Weights of the layer as arguments; None where the op has none."""
    return tuple([f"{{layer}}.{name}" if when else "None" for name in names])


def _short(value: Any) -> Any:
    """One number for a pair of equal ones."""
    return value[0] if isinstance(value, tuple) and len({*value}) == 1 else value  # pyright: ignore
