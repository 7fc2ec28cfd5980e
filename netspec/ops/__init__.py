"""The ops: one class each, found by name in REGISTRY. docs/adding-an-op.md says how to add one."""

from netspec.ops import (
    activation,
    attention,
    convolution,
    linear,
    merge,
    normalization,
    parameter,
    pooling,
    rearrange,
    resize,
    shape,
)
from netspec.ops.base import REGISTRY, Op, RuleError

__all__ = [
    "REGISTRY",
    "Op",
    "RuleError",
    "activation",
    "attention",
    "convolution",
    "linear",
    "merge",
    "normalization",
    "parameter",
    "pooling",
    "rearrange",
    "resize",
    "shape",
]
