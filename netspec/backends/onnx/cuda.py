"""Runs on a GPU: values bound to its memory, and small batches of one size launched as one CUDA graph."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np

from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.signature import Value

LARGEST_GRAPH = 32
"""The batch up to which a run takes so little time that launching its kernels one by one shows."""
MOST_GRAPHS = 8
"""How many sizes of batches have a graph, each of which holds its inputs and outputs."""
_NO_GRAPH = "-1"


class CudaRunner:
    """Runs of a session on the GPU, one at a time: CUDA graphs know no threads, and the GPU is one anyway."""

    def __init__(self, runtime: Any, session: Any, outputs: Mapping[str, Value], *, graph: bool) -> None:
        self._runtime = runtime
        self._session = session
        self._outputs = outputs
        self._graph = graph
        self._bound: dict[int, Bound] = {}
        self._most = MOST_GRAPHS
        self._lock = Lock()

    def run(self, arrays: Mapping[str, Array]) -> list[Array]:
        """The outputs for these inputs."""
        batch = next(iter(arrays.values())).shape[0]
        with self._lock:
            if batch in self._bound:
                bound = self._bound[batch]
                bound.update(arrays)
                bound.run()
                return bound.outputs()
            if self._graph and batch <= LARGEST_GRAPH and len(self._bound) < self._most:
                try:
                    bound = self.bind(arrays)
                    bound.run()
                except Exception:
                    # What can't be captured, or finds no room for its own inputs and outputs, runs as it is.
                    self._most = 0
                else:
                    self._bound[batch] = bound
                    return bound.outputs()
            return self._once(arrays)

    def bind(self, arrays: Mapping[str, Array]) -> Bound:
        """Runs of the size of these inputs, on the GPU alone; only the batch may be open in the model."""
        batch = next(iter(arrays.values())).shape[0]
        graph = "" if not self._graph else str(batch) if batch <= LARGEST_GRAPH else _NO_GRAPH
        return Bound(self._runtime, self._session, arrays, self._outputs, graph)

    def _once(self, arrays: Mapping[str, Array]) -> list[Array]:
        binding = self._session.io_binding()
        for name, array in arrays.items():
            binding.bind_ortvalue_input(name, self._runtime.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
        for name in self._outputs:
            binding.bind_output(name, "cpu")
        options = self._runtime.RunOptions()
        if self._graph:
            options.add_run_config_entry("gpu_graph_id", _NO_GRAPH)
        self._session.run_with_iobinding(binding, options)
        return list(binding.copy_outputs_to_cpu())


class Bound:
    """Runs of one size whose inputs and outputs stay where they are on the GPU; a `graph` by its number is replayed."""

    def __init__(
        self, runtime: Any, session: Any, arrays: Mapping[str, Array], outputs: Mapping[str, Value], graph: str
    ) -> None:
        values = runtime.OrtValue
        self._session = session
        self._options = runtime.RunOptions()
        if graph:
            self._options.add_run_config_entry("gpu_graph_id", graph)
        self._binding = session.io_binding()
        self._inputs = {name: values.ortvalue_from_numpy(array, "cuda", 0) for name, array in arrays.items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._outputs: list[Any] = []
        batch = next(iter(arrays.values())).shape[0]
        for name, output in outputs.items():
            made = values.ortvalue_from_shape_and_type([batch, *output.shape[1:]], np.dtype(output.dtype), "cuda", 0)
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
