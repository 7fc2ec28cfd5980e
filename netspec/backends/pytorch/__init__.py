"""PyTorch: a graph as the source of a module, and the module made from that source."""

from netspec.backends.pytorch.load import compile, load, load_weights
from netspec.backends.pytorch.source import to_source

__all__ = ["compile", "load", "load_weights", "to_source"]
