"""Passes: functions from a graph to a graph, with what becomes of the weights."""

from netspec.passes.fold_batch_norm import Folded, fold_batch_norm

__all__ = ["Folded", "fold_batch_norm"]
