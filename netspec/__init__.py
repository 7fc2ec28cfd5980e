"""netspec: declarative network specs, analysed without running them and compiled to PyTorch source.

>>> import netspec
>>> net = netspec.load("vgg_e")
>>> net.summary().totals.parameters
143667240

docs/python.md lists all names.
"""

from __future__ import annotations

from importlib import import_module

__version__: str

_HOMES = {
    "Builder": "netspec.graph",
    "Comparison": "netspec.analysis.compare",
    "Diagnostic": "netspec.errors",
    "Diff": "netspec.analysis.diff",
    "Dim": "netspec.dims",
    "Editor": "netspec.graph",
    "Graph": "netspec.graph",
    "MemoryReport": "netspec.analysis.memory",
    "NetspecError": "netspec.errors",
    "Network": "netspec.network",
    "Node": "netspec.graph",
    "Op": "netspec.ops.base",
    "ParameterReport": "netspec.analysis.parameters",
    "ReceptiveFieldReport": "netspec.analysis.receptive_fields",
    "Report": "netspec.report",
    "Scope": "netspec.graph",
    "Session": "netspec.backends.onnx.session",
    "Summary": "netspec.analysis.summary",
    "Tensor": "netspec.types",
    "Transformed": "netspec.passes",
    "bundled": "netspec.network",
    "compare": "netspec.analysis.compare",
    "compile": "netspec.backends.pytorch.runtime.load",
    "diagram": "netspec.backends.diagram",
    "diff": "netspec.analysis.diff",
    "explain": "netspec.explanation.part",
    "fold_batch_norm": "netspec.passes",
    "fully_convolutional": "netspec.passes",
    "load": "netspec.network",
    "load_ops": "netspec.ops.own",
    "loads": "netspec.network",
    "memory": "netspec.analysis.memory",
    "names": "netspec.network",
    "parameters": "netspec.analysis.parameters",
    "rebuild": "netspec.graph",
    "receptive_fields": "netspec.analysis.receptive_fields",
    "replace_head": "netspec.passes",
    "strip_dropout": "netspec.passes",
    "summary": "netspec.analysis.summary",
    "to_onnx": "netspec.backends.onnx.to_onnx",
    "to_source": "netspec.backends.pytorch.source",
    "to_yaml": "netspec.backends.yaml",
    "truncate": "netspec.passes",
    "truncate_svd": "netspec.passes",
}
"""The module of each public name, which is imported when the name is first used."""

_SUBPACKAGES = {"detection": "netspec.detection"}
"""Packages with public names of their own, which are imported when they are first used: `netspec.detection.box_iou`."""

__all__ = [
    "Builder",
    "Comparison",
    "Diagnostic",
    "Diff",
    "Dim",
    "Editor",
    "Graph",
    "MemoryReport",
    "NetspecError",
    "Network",
    "Node",
    "Op",
    "ParameterReport",
    "ReceptiveFieldReport",
    "Report",
    "Scope",
    "Session",
    "Summary",
    "Tensor",
    "Transformed",
    "bundled",
    "compare",
    "compile",
    "diagram",
    "diff",
    "explain",
    "fold_batch_norm",
    "fully_convolutional",
    "load",
    "load_ops",
    "loads",
    "memory",
    "names",
    "parameters",
    "rebuild",
    "receptive_fields",
    "replace_head",
    "strip_dropout",
    "summary",
    "to_onnx",
    "to_source",
    "to_yaml",
    "truncate",
    "truncate_svd",
]

TYPE_CHECKING = False  # as typing has it, without the time that importing that takes
if TYPE_CHECKING:
    from typing import Any

    from netspec import detection as detection
    from netspec.analysis.compare import Comparison, compare
    from netspec.analysis.diff import Diff, diff
    from netspec.analysis.memory import MemoryReport, memory
    from netspec.analysis.parameters import ParameterReport, parameters
    from netspec.analysis.receptive_fields import ReceptiveFieldReport, receptive_fields
    from netspec.analysis.summary import Summary, summary
    from netspec.backends.diagram import diagram
    from netspec.backends.onnx.session import Session
    from netspec.backends.onnx.to_onnx import to_onnx
    from netspec.backends.pytorch.runtime.load import compile
    from netspec.backends.pytorch.source import to_source
    from netspec.backends.yaml import to_yaml
    from netspec.dims import Dim
    from netspec.errors import Diagnostic, NetspecError
    from netspec.explanation.part import explain
    from netspec.graph import Builder, Editor, Graph, Node, Scope, rebuild
    from netspec.network import Network, bundled, load, loads, names
    from netspec.ops.base import Op
    from netspec.ops.own import load_ops
    from netspec.passes import (
        Transformed,
        fold_batch_norm,
        fully_convolutional,
        replace_head,
        strip_dropout,
        truncate,
        truncate_svd,
    )
    from netspec.report import Report
    from netspec.types import Tensor


def __getattr__(name: str) -> Any:
    # Names come in when they are first used: `import netspec` alone loads nothing heavy.
    if name == "__version__":
        # Modules that need the version don't import this one, which imports them all.
        return import_module("netspec.version").VERSION
    if name in _SUBPACKAGES:
        return import_module(_SUBPACKAGES[name])
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'netspec' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), "__version__", *_SUBPACKAGES, *__all__})
