"""netspec: declarative network specs, analysed without running them and compiled to PyTorch source.

>>> import netspec
>>> net = netspec.load("vgg_e")
>>> net.summary()["totals"]["parameters"]
143667240
"""

from __future__ import annotations

from importlib import import_module

__version__: str

_HOMES = {
    "Builder": "netspec.graph",
    "Dim": "netspec.dims",
    "Editor": "netspec.graph",
    "Graph": "netspec.graph",
    "Network": "netspec.network",
    "NetspecError": "netspec.errors",
    "Diagnostic": "netspec.errors",
    "Node": "netspec.graph",
    "Op": "netspec.ops.base",
    "Report": "netspec.report",
    "Scope": "netspec.graph",
    "Session": "netspec.backends.onnx.session",
    "Summary": "netspec.network",
    "Tensor": "netspec.types",
    "compile": "netspec.backends.pytorch.runtime.load",
    "diagram": "netspec.backends.diagram",
    "diff": "netspec.analysis.diff.diff",
    "fold_batch_norm": "netspec.passes",
    "load": "netspec.network",
    "load_ops": "netspec.ops.own",
    "loads": "netspec.network",
    "names": "netspec.network",
    "rebuild": "netspec.graph",
    "summary": "netspec.analysis.summary",
    "to_source": "netspec.backends.pytorch.source",
    "to_yaml": "netspec.backends.yaml",
}

__all__ = [
    "Builder",
    "Diagnostic",
    "Dim",
    "Editor",
    "Graph",
    "NetspecError",
    "Network",
    "Node",
    "Op",
    "Report",
    "Scope",
    "Session",
    "Summary",
    "Tensor",
    "compile",
    "diagram",
    "diff",
    "fold_batch_norm",
    "load",
    "load_ops",
    "loads",
    "names",
    "rebuild",
    "summary",
    "to_source",
    "to_yaml",
]

TYPE_CHECKING = False  # as typing has it, without the time that importing that takes
if TYPE_CHECKING:
    from typing import Any

    from netspec.analysis.diff.diff import diff
    from netspec.analysis.summary import summary
    from netspec.backends.diagram import diagram
    from netspec.backends.onnx.session import Session
    from netspec.backends.pytorch.runtime.load import compile
    from netspec.backends.pytorch.source import to_source
    from netspec.backends.yaml import to_yaml
    from netspec.dims import Dim
    from netspec.errors import Diagnostic, NetspecError
    from netspec.graph import Builder, Editor, Graph, Node, Scope, rebuild
    from netspec.network import Network, Summary, load, loads, names
    from netspec.ops.base import Op
    from netspec.ops.own import load_ops
    from netspec.passes import fold_batch_norm
    from netspec.report import Report
    from netspec.types import Tensor


def __getattr__(name: str) -> Any:
    # Names come in when they are first used: `import netspec` alone loads nothing heavy.
    if name == "__version__":
        # Modules that need the version don't import this one, which imports them all.
        return import_module("netspec.version").VERSION
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'netspec' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), "__version__", *__all__])
