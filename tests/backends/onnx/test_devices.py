"""Where a model is run and why, which package of ONNX Runtime runs it, and what is done on a GPU.

No GPU is needed: what ONNX Runtime would do with CUDA is done by stand-ins, which note what they are asked for.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.backends.onnx import device as devices
from netspec.backends.onnx import packages
from netspec.backends.onnx.device import CPU, CUDA, choose_device, cuda_problem, providers
from netspec.backends.onnx.packages import onnx_runtime
from netspec.errors import MissingPart
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnxruntime

    from netspec.backends.onnx import cuda
    from netspec.backends.onnx import session as sessions
    from netspec.backends.onnx.signature import ModelValue

# Packages.


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(packages, "packages_distributions", lambda: {"onnxruntime": list(names)})


def test_the_package_that_is_installed() -> None:
    assert onnx_runtime() is sys.modules["onnxruntime"]


def test_two_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "onnxruntime-gpu", "onnxruntime")
    with pytest.raises(MissingPart) as error:
        onnx_runtime()
    assert str(error.value) == (
        "error NS601: onnxruntime and onnxruntime-gpu are both installed, and each has overwritten files of the other\n"
        "   help: pip uninstall -y onnxruntime onnxruntime-gpu, then "
        'pip install -e ".[gpu]" in the checkout of netspec where there is an NVIDIA GPU, '
        'else pip install -e ".[cpu]" there'
    )


def test_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MissingPart, match=r'not installed\n   help: pip install -e "\.\[gpu\]" in'):
        onnx_runtime()


def test_one_package_without_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of `onnxruntime` when its twin was uninstalled is an empty namespace."""
    installed(monkeypatch, "onnxruntime-gpu")
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(MissingPart, match="help: pip install --force-reinstall --no-deps onnxruntime-gpu"):
        onnx_runtime()


def test_a_package_that_can_not_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> ModuleType:
        raise ImportError("DLL load failed")

    installed(monkeypatch, "onnxruntime")
    monkeypatch.setattr(packages, "import_module", load)
    with pytest.raises(MissingPart, match=r"onnxruntime can't be loaded: DLL load failed\n   help: pip install"):
        onnx_runtime()


# Devices.


class Driver:
    """An NVIDIA driver that finds so many GPUs."""

    def __init__(self, count: int, status: int = 0) -> None:
        self.count, self.status = count, status

    def cuInit(self, flags: int) -> int:
        return self.status

    def cuDeviceGetCount(self, pointer: Any) -> int:
        pointer._obj.value = self.count
        return 0


def runtime(*names: str, preloads: list[str] | None = None) -> Any:
    loaded = preloads if preloads is not None else []
    return SimpleNamespace(
        __file__="/site/onnxruntime/__init__.py",
        get_available_providers=lambda: list(names),
        preload_dlls=lambda: (print("Failed to load libcurand.so.10"), loaded.append("dlls")),
    )


def libraries(monkeypatch: pytest.MonkeyPatch, driver: Any, provider: Any) -> None:
    found = {devices._DRIVER: driver}  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(devices, "_load", lambda name: found[name] if name in found else provider())


def test_a_package_for_cpus() -> None:
    assert choose_device(runtime(CPU), None) == ("cpu", "the installed package of ONNX Runtime is the one for CPUs")


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, "libcuda.so.1: cannot open shared object file", lambda: object())
    assert cuda_problem(runtime(CUDA, CPU)).startswith("there is no NVIDIA driver (")


@pytest.mark.parametrize("driver", [Driver(0), Driver(1, status=100)])
def test_no_gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, driver, lambda: object())
    assert cuda_problem(runtime(CUDA, CPU)) == "the NVIDIA driver finds no GPU"


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    libraries(monkeypatch, Driver(1), lambda: "libcurand.so.10: cannot open shared object file")
    preloads: list[str] = []
    problem = cuda_problem(runtime(CUDA, CPU, preloads=preloads))
    assert problem == 'libcurand.so.10 is missing; pip install -e ".[gpu]" in the checkout of netspec brings it'
    assert (preloads, capsys.readouterr().out) == (["dlls"], "")


@pytest.mark.parametrize("words", ["Could not find module 'C:\\\\x.dll'", "/site/p.so: undefined symbol: cudnnX"])
def test_a_library_that_is_not_named(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, Driver(1), lambda: words)
    assert cuda_problem(runtime(CUDA, CPU)).startswith("a library of CUDA or cuDNN is missing; pip install")


def test_a_library_that_only_onnx_runtime_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    preloads: list[str] = []
    libraries(monkeypatch, Driver(1), lambda: object() if preloads else "libcurand.so.10: cannot open")
    assert cuda_problem(runtime(CUDA, CPU, preloads=preloads)) == ""


def test_cuda_is_taken_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    preloads: list[str] = []
    libraries(monkeypatch, Driver(1), lambda: object())
    assert choose_device(runtime(CUDA, CPU, preloads=preloads), None) == ("cuda", "")
    assert choose_device(runtime(CUDA, CPU), "cpu") == ("cpu", "")
    assert preloads == []


def test_cuda_that_was_asked_for() -> None:
    with pytest.raises(netspec.NetspecError, match="error NS602: CUDA can't be used: the installed package"):
        choose_device(runtime(CPU), "cuda")


def test_what_cuda_is_asked_for() -> None:
    assert providers("cpu", fixed=True, graph=False, options={}) == [CPU]
    ((name, options), last) = providers("cuda", fixed=True, graph=True, options={"use_tf32": "0"})
    assert (name, last) == (CUDA, CPU)
    assert options == {
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "prefer_nhwc": "1",
        "fuse_conv_bias": "1",
        "enable_cuda_graph": "1",
        "use_tf32": "0",
    }
    open_sizes = providers("cuda", fixed=False, graph=False, options={})[0][1]
    assert (open_sizes["cudnn_conv_algo_search"], open_sizes["enable_cuda_graph"]) == ("HEURISTIC", "0")


# Runs on a GPU.


class OnGpu:
    """A value in the memory of a GPU that is none."""

    def __init__(self, array: Any) -> None:
        self.array = array

    @classmethod
    def ortvalue_from_numpy(cls, array: Any, device: str, number: int) -> OnGpu:
        assert (device, number) == ("cuda", 0)
        return cls(array.copy())

    @classmethod
    def ortvalue_from_shape_and_type(cls, shape: list[int], dtype: Any, device: str, number: int) -> OnGpu:
        assert (device, number) == ("cuda", 0)
        return cls(np.empty(shape, dtype))

    def update_inplace(self, array: Any) -> None:
        assert array.shape == self.array.shape
        self.array[:] = array

    def numpy(self) -> Any:
        return self.array.copy()


class Binding:
    def __init__(self) -> None:
        self.inputs: dict[str, OnGpu] = {}
        self.outputs: dict[str, OnGpu | None] = {}

    def bind_ortvalue_input(self, name: str, value: OnGpu) -> None:
        self.inputs[name] = value

    def bind_ortvalue_output(self, name: str, value: OnGpu) -> None:
        self.outputs[name] = value

    def bind_output(self, name: str, device: str) -> None:
        assert device == "cpu"
        self.outputs[name] = None

    def copy_outputs_to_cpu(self) -> list[Any]:
        return [value.array for value in self.outputs.values() if value is not None]


class Runs:
    """A session that doubles its input, and notes with which graph of CUDA."""

    def __init__(self, captures: bool = True) -> None:
        self.graphs: list[str] = []
        self.threads: list[int] = []
        self.captures = captures

    def io_binding(self) -> Binding:
        return Binding()

    def run_with_iobinding(self, binding: Binding, options: Any) -> None:
        graph = options.said.get("gpu_graph_id", "")
        self.graphs.append(graph)
        self.threads.append(threading.get_ident())
        if not self.captures and graph not in ("", "-1"):
            raise RuntimeError("a node that can't be captured")
        doubled = 2 * binding.inputs["x"].array
        if binding.outputs["y"] is None:
            binding.outputs["y"] = OnGpu(doubled)
        else:
            binding.outputs["y"].array[:] = doubled


class Options:
    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def add_run_config_entry(self, key: str, value: str) -> None:
        self.said[key] = value


RUNTIME = SimpleNamespace(OrtValue=OnGpu, RunOptions=Options)


@pytest.fixture
def outputs() -> dict[str, ModelValue]:
    return {"y": ModelValue("y", ("N", 3), "float32")}


def run(runner: cuda.CudaRunner, batch: int, value: float) -> None:
    found = runner.run({"x": np.full((batch, 3), value, "float32")})
    np.testing.assert_array_equal(found[0], np.full((batch, 3), 2 * value, "float32"))


def test_small_batches_have_graphs_of_their_own(outputs: dict[str, ModelValue]) -> None:
    session = Runs()
    runner = cuda.CudaRunner(RUNTIME, session, outputs, graphs=True)
    for batch, value in [(1, 1.0), (1, 2.0), (4, 3.0), (1, 4.0), (cuda.LARGEST_GRAPH + 1, 5.0)]:
        run(runner, batch, value)
    assert session.graphs == ["1", "1", "4", "1", "-1"]


def test_graphs_are_so_many_and_no_more(outputs: dict[str, ModelValue]) -> None:
    session = Runs()
    runner = cuda.CudaRunner(RUNTIME, session, outputs, graphs=True)
    for batch in range(1, cuda.MAX_GRAPHS + 3):
        run(runner, batch, 1.0)
    assert session.graphs[-3:] == [str(cuda.MAX_GRAPHS), "-1", "-1"]


def test_what_can_not_be_captured_runs_as_it_is(outputs: dict[str, ModelValue]) -> None:
    session = Runs(captures=False)
    runner = cuda.CudaRunner(RUNTIME, session, outputs, graphs=True)
    run(runner, 1, 1.0)
    run(runner, 1, 2.0)
    assert session.graphs == ["1", "-1", "-1"]


def test_a_replay_that_fails_is_run_as_it_is(outputs: dict[str, ModelValue]) -> None:
    session = Runs()
    runner = cuda.CudaRunner(RUNTIME, session, outputs, graphs=True)
    run(runner, 1, 1.0)
    session.captures = False
    run(runner, 1, 2.0)
    run(runner, 1, 3.0)
    assert session.graphs == ["1", "1", "-1", "-1"]


def test_all_threads_share_the_graphs(outputs: dict[str, ModelValue]) -> None:
    """ONNX Runtime captures a graph anew for each thread: so one thread does all the runs."""
    session = Runs()
    runner = cuda.CudaRunner(RUNTIME, session, outputs, graphs=True)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: run(runner, 2, value), range(40)))
    assert len(set(session.threads)) == 1
    assert threading.get_ident() not in session.threads


def test_the_gpu_that_was_asked_for(outputs: dict[str, ModelValue]) -> None:
    made: list[tuple[str, int]] = []

    class Noted(OnGpu):
        @classmethod
        def ortvalue_from_numpy(cls, array: Any, device: str, number: int) -> OnGpu:
            made.append((device, number))
            return OnGpu(array.copy())

        @classmethod
        def ortvalue_from_shape_and_type(cls, shape: list[int], dtype: Any, device: str, number: int) -> OnGpu:
            made.append((device, number))
            return OnGpu(np.empty(shape, dtype))

    runtime = SimpleNamespace(OrtValue=Noted, RunOptions=Options)
    runner = cuda.CudaRunner(runtime, Runs(), outputs, graphs=True, device_id=3)
    run(runner, 1, 1.0)
    run(runner, cuda.LARGEST_GRAPH + 1, 1.0)
    assert set(made) == {("cuda", 3)}


def test_outputs_of_a_fixed_size() -> None:
    session = Runs()
    runner = cuda.CudaRunner(RUNTIME, session, {"y": ModelValue("y", (4, 3), "float32")}, graphs=True)
    run(runner, 4, 1.0)
    assert session.graphs == ["4"]


def test_open_sizes_have_no_graphs(outputs: dict[str, ModelValue]) -> None:
    session = Runs()
    runner = cuda.CudaRunner(RUNTIME, session, outputs, graphs=False)
    run(runner, 1, 1.0)
    assert session.graphs == [""]


# What a session makes of all that.


class Opened:
    """A session of ONNX Runtime with these providers."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def get_providers(self) -> list[str]:
        return list(self.names)


def opening(monkeypatch: pytest.MonkeyPatch, open_: Callable[[dict[str, str] | None], Opened]) -> list[Any]:
    """Let ONNX Runtime answer so for the options of CUDA, or None for the CPU; gives what it was asked for."""
    asked: list[Any] = []

    def session(path: str, options: Any, *, providers: list[Any], enable_fallback: int) -> Opened:
        assert (enable_fallback, options.log_severity_level) == (0, 4)
        cuda = providers[0][1] if isinstance(providers[0], tuple) else None
        asked.append(cuda)
        return open_(cuda)

    fake = SimpleNamespace(
        InferenceSession=session, SessionOptions=lambda: SimpleNamespace(), __version__="1", RunOptions=Options
    )
    monkeypatch.setattr(sessions, "onnx_runtime", lambda: fake)
    monkeypatch.setattr(sessions, "choose_device", lambda runtime, wanted: ("cpu" if wanted == "cpu" else "cuda", ""))
    return asked


def model(folder: Path, batch: str = "N", width: str = "4") -> Path:
    network = netspec.loads(f"netspec: 1\nname: x\ninputs: {{a: [{batch}, {width}]}}\nnetwork: [relu]\n")
    network.to_onnx(folder / "m.onnx")
    return folder / "m.onnx"


def said(asked: list[Any]) -> list[tuple[str, str] | None]:
    return [(each["cudnn_conv_algo_search"], each["enable_cuda_graph"]) if each else None for each in asked]


@pytest.mark.parametrize("batch", ["N", "1", "8"])
def test_fixed_sizes_have_graphs_and_a_search(batch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = opening(monkeypatch, lambda cuda: Opened(CUDA, CPU))
    session = netspec.Session(model(tmp_path, batch))
    assert (session.device, session.why, said(asked)) == ("cuda", "", [("EXHAUSTIVE", "1")])


def test_open_sizes_have_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = opening(monkeypatch, lambda cuda: Opened(CUDA, CPU))
    netspec.Session(model(tmp_path, width="W"))
    assert said(asked) == [("HEURISTIC", "0")]


def test_graphs_that_are_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = opening(monkeypatch, lambda cuda: Opened(CUDA, CPU))
    netspec.Session(model(tmp_path), options={"enable_cuda_graph": "0", "use_tf32": "0"})
    assert said(asked) == [("EXHAUSTIVE", "0")]
    assert asked[0]["use_tf32"] == "0"


def test_a_model_that_is_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node without a kernel for CUDA: ONNX Runtime refuses graphs, and runs the rest on the GPU."""

    def open_(cuda: dict[str, str] | None) -> Opened:
        if cuda and cuda["enable_cuda_graph"] == "1":
            raise RuntimeError("all nodes have to be on CUDA")
        return Opened(CUDA, CPU)

    asked = opening(monkeypatch, open_)
    assert netspec.Session(model(tmp_path)).device == "cuda"
    assert said(asked) == [("EXHAUSTIVE", "1"), ("EXHAUSTIVE", "0")]


REFUSAL = "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 35: the driver is too old"


@pytest.mark.parametrize("silent", [True, False])
def test_cuda_that_does_not_begin(silent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_(cuda: dict[str, str] | None) -> Opened:
        if cuda and not silent:
            raise RuntimeError(REFUSAL)
        return Opened(CPU)

    opening(monkeypatch, open_)
    session = netspec.Session(model(tmp_path))
    reason = "ONNX Runtime gives no reason" if silent else "CUDA failure 35: the driver is too old"
    assert (session.device, session.why) == ("cpu", f"CUDA could not begin: {reason}")
    with pytest.raises(netspec.NetspecError, match=rf"error NS602: CUDA can't be used.*\n   note: {reason}"):
        netspec.Session(model(tmp_path), "cuda")


def test_a_model_that_no_device_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_(cuda: dict[str, str] | None) -> Opened:
        raise RuntimeError("/onnxruntime_src/core/graph.cc:12 void ort::Graph::f(int, g(int)) at most 3 (or 4) axes")

    opening(monkeypatch, open_)
    with pytest.raises(netspec.NetspecError, match=r"error NS502: .*refuses it\n   note: at most 3 \(or 4\) axes$"):
        netspec.Session(model(tmp_path))


def test_a_device_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(netspec.NetspecError, match="error NS602: there is no device `gpu`"):
        netspec.Session(model(tmp_path), "gpu")  # type: ignore[arg-type]


def test_a_session_on_a_machine_without_cuda(tmp_path: Path) -> None:
    network = netspec.loads("netspec: 1\nname: x\ninputs: {a: [N, 4]}\nnetwork: [relu]\n")
    network.to_onnx(tmp_path / "m.onnx")
    session = netspec.Session(tmp_path / "m.onnx")
    if problem := cuda_problem(onnxruntime):
        assert (session.device, session.why) == ("cpu", problem)
        with pytest.raises(netspec.NetspecError, match="error NS602: CUDA can't be used"):
            netspec.Session(tmp_path / "m.onnx", "cuda")
    else:
        assert (session.device, session.why) == ("cuda", "")
