"""Chooses the device on which ONNX Runtime runs a model: a GPU with CUDA if there is one, else the CPU."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args

from netspec.errors import choices, fail, install_extra

Device = Literal["cuda", "cpu"]

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_WINDOWS = sys.platform == "win32"
_DRIVER = "nvcuda.dll" if _WINDOWS else "libcuda.so.1"
_PROVIDER = "onnxruntime_providers_cuda.dll" if _WINDOWS else "libonnxruntime_providers_cuda.so"


def choose_device(runtime: Any, requested: Device | None) -> tuple[Device, str]:
    """The device to run on, and the reason why CUDA can't be used, or "".

    ONNX Runtime lists CUDA wherever its package was built for it, and falls back to the CPU without an error. So the
    driver and libraries are checked first. Raises NetspecError NS602 if CUDA was requested and can't be used.
    """
    if requested not in (None, *get_args(Device)):
        fail("NS602", f"there is no device `{requested}`", help=f"there are {choices(get_args(Device))}")
    if requested == "cpu":
        return "cpu", ""
    problem = cuda_problem(runtime)
    if problem and requested == "cuda":
        fail("NS602", f"CUDA can't be used: {problem}", help="leave the device out, and the CPU is taken")
    return ("cpu", problem) if problem else ("cuda", "")


def cuda_problem(runtime: Any) -> str:
    """The reason why CUDA can't be used on this machine; "" if it can."""
    if CUDA not in runtime.get_available_providers():
        return "the installed package of ONNX Runtime is the one for CPUs"
    driver = _load(_DRIVER)
    if isinstance(driver, str):
        return f"there is no NVIDIA driver ({_DRIVER})"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value < 1:
        return "the NVIDIA driver finds no GPU"
    provider = str(Path(runtime.__file__).parent / "capi" / _PROVIDER)
    if isinstance(_load(provider), str):
        # CUDA's libraries may be in Python packages, such as those that torch installs, where the system does not look.
        with redirect_stdout(StringIO()):
            runtime.preload_dlls()
    missing = _load(provider)
    if isinstance(missing, str):
        library = re.match(r"lib\S+\.so[.\d]*(?=:)", missing)
        what = library.group() if library else "a library of CUDA or cuDNN"
        return f"{what} is missing; {install_extra('gpu')} in the checkout of netspec brings it"
    return ""


def _load(library: str) -> Any:
    """A shared library, or the error message, a string, if it can't be loaded."""
    try:
        return ctypes.CDLL(library)
    except OSError as error:
        return str(error)


def providers(device: Device, *, fixed: bool, graph: bool, options: dict[str, str]) -> list[Any]:
    """ONNX Runtime's providers for a device, with options that suit networks of convolutions.

    `fixed` says that all sizes except the batch are fixed, so that searching the fastest algorithm for each convolution
    pays off. `graph` says that runs are captured as CUDA graphs. `options` are passed on to the CUDA provider.
    """
    if device == "cpu":
        return [CPU]
    cuda = {
        "cudnn_conv_algo_search": "EXHAUSTIVE" if fixed else "HEURISTIC",
        "prefer_nhwc": "1",
        "fuse_conv_bias": "1",
        "enable_cuda_graph": "1" if graph else "0",
        **options,
    }
    return [(CUDA, cuda), CPU]
