"""Prints ops as calls of torch.nn.functional, with the weights of another layer."""

from __future__ import annotations

from typing import Any

from netspec.expression import python_literal
from netspec.ops.base import Op
from netspec.types import Code


def functional(op: Op, function: str, *arguments: str, **options: Any) -> Code:
    """A call of a function with these arguments, and those options that differ from the op's defaults.

    >>> from netspec.ops.convolution import Conv2d
    >>> conv = Conv2d(out_channels=8, kernel_size=3, stride=2)
    >>> functional(conv, "conv2d", "{0}", "{layer}.weight", stride=conv.stride)
    Code(head='nn.functional.conv2d(', items=('{0}', '{layer}.weight', 'stride=2'), tail=')', helpers=())
    """
    changed = {name: value for name, value in options.items() if value != op.default(name)}
    items = [f"{name}={python_literal(_short(value))}" for name, value in changed.items()]
    return Code(f"nn.functional.{function}(", (*arguments, *items))


def weights_of_layer(*names: str, when: bool = True) -> tuple[str, ...]:
    """The weights of the layer as arguments, such as `{layer}.bias`; `None` for each if `when` is False."""
    return tuple([f"{{layer}}.{name}" if when else "None" for name in names])


def _short(value: Any) -> Any:
    """Equal numbers of all axes as one number; other values unchanged."""
    return value[0] if isinstance(value, tuple) and len({*value}) == 1 else value  # pyright: ignore
