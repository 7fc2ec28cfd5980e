"""The ops: one class each, found by name in REGISTRY. docs/adding-an-op.md says how to add one."""

from netspec.ops import activation, convolution, linear, merge, normalization, pooling, shape
from netspec.ops.base import REGISTRY, Op, RuleError

__all__ = [
    "REGISTRY",
    "Op",
    "RuleError",
    "activation",
    "convolution",
    "linear",
    "merge",
    "normalization",
    "pooling",
    "shape",
]
