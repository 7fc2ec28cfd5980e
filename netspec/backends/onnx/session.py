"""`Session`: a model that ONNX Runtime runs, on a GPU where there is one, and else on the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netspec.analysis.memory import memory
from netspec.backends.onnx.cuda import CudaRunner
from netspec.backends.onnx.device import CUDA, Device, choose, providers
from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.metadata import SPEC, labels_in, preprocess_in
from netspec.backends.onnx.packages import onnx_runtime
from netspec.backends.onnx.read import check_files_beside, metadata_in, read_model
from netspec.backends.onnx.scores import probabilities, scored_by
from netspec.backends.onnx.signature import batch_axis, fit, is_fixed, values_of
from netspec.errors import Diagnostic, NetspecError, choices, fail
from netspec.preprocess import Preprocess
from netspec.source import Source
from netspec.spec.elaborate import elaborate
from netspec.spec.read import read_spec

if TYPE_CHECKING:
    from netspec.backends.images import ImageLike

BUDGET: Mapping[Device, int] = {"cpu": 2**30, "cuda": 2**32}
"""How many bytes of values between layers a run may hold by default; larger batches go in chunks."""
_OUT_OF_MEMORY = re.compile(r"allocat|out of memory|alloc_failed|bad_alloc", re.I)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class that a network sees in an image: its label ("" where the model has none), number and probability."""

    label: str
    index: int
    probability: float


class _OutOfMemory(NetspecError):
    """What ONNX Runtime says when a batch does not fit into memory."""


class Session:
    """A model that ONNX Runtime runs.

    On a GPU with CUDA where there is one, unless `device` says "cpu"; `device` and `why` tell what was taken. Threads
    may share a session. `memory` is how many bytes the values between layers may take: larger batches are run in
    chunks, as are those that turn out not to fit. `options` are further options of ONNX Runtime's CUDA provider, such
    as `{"use_tf32": "0"}`.

    Raises NetspecError NS502 for a file that is no whole model or reaches out of its folder, NS602 where CUDA was asked
    for and can't be had, and MissingPart where ONNX Runtime is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: Device | None = None,
        *,
        memory: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        runtime = onnx_runtime()
        model = read_model(self.path)
        check_files_beside(model, self.path)
        weights = {tensor.name for tensor in model.graph.initializer}
        self.inputs = values_of(self.path, (info for info in model.graph.input if info.name not in weights))
        self.outputs = values_of(self.path, model.graph.output)
        self.metadata = metadata_in(model)
        self._scored_by = scored_by(model)
        del model
        self.preprocess = preprocess_in(self.metadata, self.path, self.inputs)
        self.labels = labels_in(self.metadata, self.path, self.outputs)
        self.device: Device
        self.device, self.why = choose(runtime, device)
        self.runtime = f"ONNX Runtime {runtime.__version__}"
        self._session, self._cuda = self._open(runtime, device, dict(options or {}))
        self._splits = batch_axis(self.inputs, self.outputs)
        self._memory = memory if memory is not None else BUDGET[self.device]
        self._largest = 2**31
        self._samples: dict[tuple[tuple[int, ...], ...], int] = {}

    def _open(self, runtime: Any, wanted: Device | None, options: dict[str, str]) -> tuple[Any, CudaRunner | None]:
        """A session of ONNX Runtime, and what runs it on the GPU."""
        quiet = runtime.SessionOptions()
        quiet.log_severity_level = 4
        fixed = is_fixed(self.inputs, self.outputs) and batch_axis(self.inputs, self.outputs)

        def opened(graph: bool) -> Any:
            chosen = providers(self.device, fixed=fixed, graph=graph, options=options)
            # Its own fallback prints to standard output.
            return runtime.InferenceSession(str(self.path), quiet, providers=chosen, enable_fallback=0)

        try:
            if self.device == "cuda" and fixed:
                try:
                    session, graph = opened(True), True
                except Exception:
                    # A node that CUDA has no kernel for runs on the CPU, and such a run is no CUDA graph.
                    session, graph = opened(False), False
            else:
                session, graph = opened(False), False
        except Exception as error:
            fail("NS502", f"{self.path} can't be used: ONNX Runtime refuses it", notes=[_said(error)])
        if self.device == "cuda" and session.get_providers()[0] != CUDA:
            self.device, self.why = "cpu", "ONNX Runtime could not begin with CUDA"
            if wanted == "cuda":
                fail("NS602", f"CUDA can't be used: {self.why}")
        runner = CudaRunner(runtime, session, self.outputs, graph=graph) if self.device == "cuda" else None
        return session, runner

    def run(self, inputs: Mapping[str, Any] | None = None, /, **named: Any) -> dict[str, Array]:
        """The outputs by their names, for arrays by the names of the inputs: `run(image=array)`.

        Raises NetspecError NS503 for arrays whose names, shapes or dtypes are not the model's.
        """
        arrays = fit(self.inputs, {**(inputs or {}), **named})
        batch = next(iter(arrays.values())).shape[0] if self._splits else 1
        found = self._in_chunks(arrays, batch) if batch > 1 else [self._run(arrays)]
        parts = zip(*found, strict=True)
        return dict(zip(self.outputs, (p[0] if len(p) == 1 else np.concatenate(p) for p in parts), strict=True))

    def _in_chunks(self, arrays: Mapping[str, Array], batch: int) -> list[list[Array]]:
        """What the chunks of a batch give; one that does not fit into memory is halved."""
        found: list[list[Array]] = []
        begin = 0
        while begin < batch:
            size = min(self._chunk(arrays), batch - begin)
            try:
                found.append(self._run({name: array[begin : begin + size] for name, array in arrays.items()}))
                begin += size
            except _OutOfMemory:
                if size == 1:
                    raise
                self._largest = size // 2
        return found

    def _run(self, arrays: Mapping[str, Array]) -> list[Array]:
        try:
            if self._cuda is not None:
                return self._cuda.run(arrays)
            return self._session.run(list(self.outputs), dict(arrays))
        except Exception as error:
            if _OUT_OF_MEMORY.search(str(error)):
                raise _OutOfMemory(*_no_memory(self.path, error).diagnostics) from None
            fail("NS502", f"{self.path} failed", notes=[_said(error)])

    def _chunk(self, arrays: Mapping[str, Array]) -> int:
        """How many samples are run at a time: as many as the values between layers may take memory for."""
        shapes = tuple([array.shape[1:] for array in arrays.values()])
        if shapes not in self._samples:
            self._samples[shapes] = self._memory // max(_bytes_of_a_sample(self.metadata, arrays), 1)
        return max(1, min(self._samples[shapes], self._largest))

    def images(self, images: ImageLike | list[ImageLike]) -> dict[str, Array]:
        """Images as the input of a model that takes one: an image or a list of them, each a file, Pillow's or pixels.

        Raises NetspecError NS503 for what is no image, and for models that say nothing of images.
        """
        from netspec.backends.images import prepare

        name, how = self._image_input()
        listed = images if isinstance(images, list) else [images]
        value = self.inputs[name]
        channels = value.shape[1]
        prepared = [prepare(image, how, channels if isinstance(channels, int) else 3, value.dtype) for image in listed]
        if not prepared:
            fail("NS503", "there is no image")
        if len({each.shape for each in prepared}) > 1:
            fail("NS503", "these images have several sizes, and a batch has one", help="run them one by one")
        return {name: np.stack(prepared)}

    def classify(self, images: ImageLike | list[ImageLike], top: int = 5) -> list[list[Prediction]]:
        """For each image the classes that the model finds most probable, the first of them first."""
        scores = next(iter(self.run(self.images(images)).values()))
        return self.predictions(scores, top)

    def predictions(self, scores: Array, top: int = 5) -> list[list[Prediction]]:
        """The most probable classes by the first output, for each sample of it."""
        name, value = next(iter(self.outputs.items()))
        if scores.ndim < 2:
            fail("NS503", f"`{name}` is {value}: it scores no classes")
        labels = self.labels.get(name)
        found: list[list[Prediction]] = []
        for row in probabilities(scores, self._scored_by[name]):
            best = np.argsort(-row, kind="stable")[:top]
            found.append([Prediction(labels[i] if labels else "", i, float(row[i])) for i in map(int, best)])
        return found

    def _image_input(self) -> tuple[str, Preprocess]:
        if len(self.inputs) > 1:
            message = f"{self.path} takes several inputs: {choices(self.inputs)}"
            fail("NS503", message, help="`run` takes arrays for them")
        if not self.preprocess:
            help = "say it in the spec under `preprocess`, and export it again; or make an array, and `run` it"
            fail("NS503", f"{self.path} does not say how an image becomes its input", help=help)
        return next(iter(self.preprocess.items()))

    def __repr__(self) -> str:
        return f"Session({str(self.path)!r}, {self.device!r})"


def _bytes_of_a_sample(metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> int:
    """What the values between layers take for one sample, by the spec in the metadata; 0 where there is none."""
    try:
        graph = elaborate(read_spec(Source("the model", metadata[SPEC]))).graph
        at = {str(d): n for i in graph.inputs for d, n in zip(i.type.shape, arrays[i.name].shape, strict=True)}
        found = memory(graph, at={name: size for name, size in at.items() if name[:1].isalpha() and name != "N"})
    except (NetspecError, KeyError, ValueError):
        return 0
    return found.peak - found.parameters - found.buffers


def _no_memory(path: Path, error: Exception) -> NetspecError:
    message = f"{path} does not fit into memory, one sample at a time"
    return NetspecError(Diagnostic("NS502", message, notes=(_said(error),)))


def _said(error: Exception) -> str:
    """The words of ONNX Runtime, without its numbers and the places in its own source."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/.*\) ", "", line)[:300]
