"""PyTorch: a graph as the source of a module, and the module made from that source."""

from netspec.backends.pytorch.runtime.load import compile, load_source
from netspec.backends.pytorch.source import to_source

__all__ = ["compile", "load_source", "to_source"]
