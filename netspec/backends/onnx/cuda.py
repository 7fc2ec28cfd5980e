"""Runs a session on a GPU, with a CUDA graph for each small batch size."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from netspec.backends.onnx.narrow import Array
from netspec.backends.onnx.signature import ModelValue

LARGEST_GRAPH = 32
"""The largest batch that is run as a CUDA graph; for larger ones the time to launch kernels does not matter."""
MAX_GRAPHS = 8
"""The largest number of graphs, one for each batch size; each holds memory for inputs and outputs."""
_NO_GRAPH = "-1"
"""The id that tells ONNX Runtime to run without a graph."""


class CudaRunner:
    """Runs a session on a GPU, always in the same thread, since ONNX Runtime captures a graph per thread."""

    def __init__(
        self, runtime: Any, session: Any, outputs: Mapping[str, ModelValue], *, graphs: bool, device_id: int = 0
    ) -> None:
        self.runtime = runtime
        self.session = session
        self.outputs = outputs
        self.device_id = device_id
        self._graphs = graphs
        self._max_graphs = MAX_GRAPHS if graphs else 0
        self._captured: dict[int, BoundRun] = {}
        """The captured graphs, by batch size."""
        self._thread = ThreadPoolExecutor(1, "netspec-cuda")

    def run(self, arrays: Mapping[str, Array]) -> list[Array]:
        """The outputs for these inputs."""
        return self._thread.submit(self._run, arrays).result()

    def _run(self, arrays: Mapping[str, Array]) -> list[Array]:
        batch = batch_of(arrays)
        if batch in self._captured or (batch <= LARGEST_GRAPH and len(self._captured) < self._max_graphs):
            try:
                bound = self._captured.get(batch) or BoundRun(self, arrays, str(batch))
                bound.update(arrays)
                bound.run()
                outputs = bound.outputs()
            except Exception:
                # The graph can't be captured, or there is no memory for its inputs and outputs.
                self._max_graphs = 0
                self._captured.clear()
            else:
                self._captured[batch] = bound
                return outputs
        return self._run_unbound(arrays)

    def _run_unbound(self, arrays: Mapping[str, Array]) -> list[Array]:
        """Run without a graph, with memory that is freed after the run."""
        binding = self.session.io_binding()
        for name, array in arrays.items():
            binding.bind_ortvalue_input(name, self.on_gpu(array))
        for name in self.outputs:
            binding.bind_output(name, "cpu")
        self.session.run_with_iobinding(binding, self.options(_NO_GRAPH))
        return list(binding.copy_outputs_to_cpu())

    def on_gpu(self, array: Array) -> Any:
        """An array, copied to the GPU."""
        return self.runtime.OrtValue.ortvalue_from_numpy(array, "cuda", self.device_id)

    def options(self, graph: str) -> Any:
        """The options of a run; `graph` is the id of its CUDA graph, if the session has graphs."""
        options = self.runtime.RunOptions()
        if self._graphs:
            options.add_run_config_entry("gpu_graph_id", graph)
        return options


class BoundRun:
    """A CUDA graph for one batch size, with inputs and outputs at fixed addresses, which a replay requires."""

    def __init__(self, runner: CudaRunner, arrays: Mapping[str, Array], graph: str) -> None:
        self._session = runner.session
        self._options = runner.options(graph)
        self._binding = runner.session.io_binding()
        self._inputs = {name: runner.on_gpu(array) for name, array in arrays.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._outputs: list[Any] = []
        batch = batch_of(arrays)
        for name, output in runner.outputs.items():
            shape = [batch if isinstance(size, str) else size for size in output.shape]
            dtype = np.dtype(output.dtype)
            value = runner.runtime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, "cuda", runner.device_id)
            self._binding.bind_ortvalue_output(name, value)
            self._outputs.append(value)

    def update(self, arrays: Mapping[str, Array]) -> None:
        """Copy inputs of the same shapes to the GPU."""
        for name, array in arrays.items():
            self._inputs[name].update_inplace(array)

    def run(self) -> None:
        """Run once; the first run captures the graph."""
        self._session.run_with_iobinding(self._binding, self._options)

    def outputs(self) -> list[Array]:
        """The outputs of the last run, copied from the GPU."""
        return [value.numpy() for value in self._outputs]


def batch_of(arrays: Mapping[str, Array]) -> int:
    """The batch size: the first size of the first input that is no scalar, else 1."""
    return next((array.shape[0] for array in arrays.values() if array.ndim), 1)
