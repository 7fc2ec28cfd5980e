"""Runs on a GPU: values bound to its memory, and small batches of one size launched as one CUDA graph."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.signature import ModelValue

LARGEST_GRAPH = 32
"""The batch up to which a run takes so little time that launching its kernels one by one shows."""
MOST_GRAPHS = 8
"""How many sizes of batches have a graph, each of which holds its inputs and outputs."""
_NO_GRAPH = "-1"


class CudaRunner:
    """Runs of a session on a GPU, all in one thread: ONNX Runtime captures a graph for each thread that asks for it."""

    def __init__(
        self, runtime: Any, session: Any, outputs: Mapping[str, ModelValue], *, graphs: bool, device_id: int = 0
    ) -> None:
        self.runtime = runtime
        self.session = session
        self.outputs = outputs
        self.device_id = device_id
        self._graphs = graphs
        self._most = MOST_GRAPHS if graphs else 0
        self._bound: dict[int, Bound] = {}
        self._thread = ThreadPoolExecutor(1, "netspec-cuda")

    def run(self, arrays: Mapping[str, Array]) -> list[Array]:
        """The outputs for these inputs."""
        return self._thread.submit(self._run, arrays).result()

    def _run(self, arrays: Mapping[str, Array]) -> list[Array]:
        batch = batch_of(arrays)
        if batch in self._bound or (batch <= LARGEST_GRAPH and len(self._bound) < self._most):
            try:
                bound = self._bound.get(batch) or Bound(self, arrays, str(batch))
                bound.update(arrays)
                bound.run()
                found = bound.outputs()
            except Exception:
                # What can't be captured, or finds no room for its own inputs and outputs, runs as it is.
                self._most = 0
                self._bound.clear()
            else:
                self._bound[batch] = bound
                return found
        return self._once(arrays)

    def _once(self, arrays: Mapping[str, Array]) -> list[Array]:
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
        """Options of a run that belongs to a graph, where the session has any."""
        found = self.runtime.RunOptions()
        if self._graphs:
            found.add_run_config_entry("gpu_graph_id", graph)
        return found


class Bound:
    """Runs of one size whose inputs and outputs stay where they are on the GPU; those of a graph are replays of it."""

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
            made = runner.runtime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, "cuda", runner.device_id)
            self._binding.bind_ortvalue_output(name, made)
            self._outputs.append(made)

    def update(self, arrays: Mapping[str, Array]) -> None:
        """Copy other inputs of the same shapes to the GPU."""
        for name, array in arrays.items():
            self._inputs[name].update_inplace(array)

    def run(self) -> None:
        """Run once."""
        self._session.run_with_iobinding(self._binding, self._options)

    def outputs(self) -> list[Array]:
        """What the last run gave, copied from the GPU."""
        return [value.numpy() for value in self._outputs]


def batch_of(arrays: Mapping[str, Array]) -> int:
    """The first size of the first input; 1 where there is none."""
    return next((array.shape[0] for array in arrays.values() if array.ndim), 1)
