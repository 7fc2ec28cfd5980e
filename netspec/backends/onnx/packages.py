"""Imports ONNX Runtime, after checking that exactly one of its packages is installed."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Any

from netspec.errors import MissingPart, install_extra

_INSTALL = (
    f"{install_extra('gpu')} in the checkout of netspec where there is an NVIDIA GPU, else {install_extra('cpu')} there"
)


def onnx_runtime() -> Any:
    """Import `onnxruntime`. Raises MissingPart, with commands that repair it, if the installation is broken.

    Its packages (onnxruntime, onnxruntime-gpu, ...) install files of the same names: if two are installed, the last one
    works, and once one of them is uninstalled, neither does.
    """
    packages = sorted(set(packages_distributions().get("onnxruntime", ())))
    if len(packages) > 1:
        message = f"{' and '.join(packages)} are both installed, and each has overwritten files of the other"
        raise MissingPart(message, f"pip uninstall -y {' '.join(packages)}, then {_INSTALL}")
    if not packages and find_spec("onnxruntime") is None:
        raise MissingPart("ONNX models are run by ONNX Runtime, which is not installed", _INSTALL)
    package = packages[0] if packages else "onnxruntime"
    message = f"{package} is there without its files, as when another package of ONNX Runtime was uninstalled"
    try:
        module = import_module("onnxruntime")
        if hasattr(module, "InferenceSession"):
            return module
    except ImportError as error:
        message = f"{package} can't be loaded: {error}"
    raise MissingPart(message, f"pip install --force-reinstall --no-deps {package}")
