"""Passes: functions from a graph to a new graph, which also tell how its weights follow from the old ones."""

from netspec.passes.base import Derived, Transformed
from netspec.passes.fold_batch_norm import fold_batch_norm
from netspec.passes.fully_convolutional import fully_convolutional
from netspec.passes.head import replace_head
from netspec.passes.strip_dropout import strip_dropout
from netspec.passes.truncate import truncate
from netspec.passes.truncate_svd import truncate_svd

__all__ = [
    "Derived",
    "Transformed",
    "fold_batch_norm",
    "fully_convolutional",
    "replace_head",
    "strip_dropout",
    "truncate",
    "truncate_svd",
]
