"""`Session` runs a model by ONNX Runtime, on a GPU if there is one, else on the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from netspec.backends.onnx.batching import Batching
from netspec.backends.onnx.cuda import CudaRunner, batch_of
from netspec.backends.onnx.detections import ROLES, Detection, read_detections
from netspec.backends.onnx.device import CUDA, Device, choose_device, providers
from netspec.backends.onnx.metadata import detections_in, labels_in, preprocess_in
from netspec.backends.onnx.narrow import Array
from netspec.backends.onnx.packages import onnx_runtime
from netspec.backends.onnx.read import check_files_beside, metadata_in, read_model, refuse_model
from netspec.backends.onnx.scores import are_probabilities, probabilities
from netspec.backends.onnx.signature import all_but_batch_fixed, has_batch_axis, input_arrays, run_example, values_of
from netspec.errors import Diagnostic, MissingPart, NetspecError, choices, fail
from netspec.preprocess import Preprocess

if TYPE_CHECKING:
    from netspec.backends.images import ImageLike, PreparedImage

_BUDGET: Mapping[Device, int] = {"cpu": 2**30, "cuda": 2**32}
"""The bytes that values between layers may take by default; larger batches are run in chunks."""
_MEMORY_MESSAGE = re.compile(r"allocat|out of memory|alloc_failed|bad_alloc", re.I)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted class of an image: its label ("" if the model has no labels), index and probability."""

    label: str
    index: int
    probability: float


class _OutOfMemory(NetspecError):
    """A batch that does not fit into memory."""


class Session:
    """A model that ONNX Runtime runs.

    It runs on a GPU with CUDA if there is one, unless `device` is "cpu". The attribute `device` is where it runs, and
    `why` the reason if that is the CPU. Threads may share a session. `memory` is the number of bytes that values
    between layers may take: larger batches are run in chunks, as are batches that turn out not to fit. `options` are
    further options of ONNX Runtime's CUDA provider, such as `{"use_tf32": "0"}`.

    Raises NetspecError NS502 for a file that is no complete model or refers to files outside its folder, NS602 if CUDA
    is requested and can't be used, and MissingPart if ONNX Runtime is not installed.
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
        self._has_batch_axis = has_batch_axis(self.inputs, self.outputs)
        self.metadata = metadata_in(model, self.path)
        self._probabilities = are_probabilities(model)
        del model
        self.preprocess = preprocess_in(self.metadata, self.path, self.inputs)
        self.labels = labels_in(self.metadata, self.path, self.outputs)
        self.detections = detections_in(self.metadata, self.path, self.outputs)
        self.runtime = f"ONNX Runtime {runtime.__version__}"
        self.device: Device
        self.device, self.why = choose_device(runtime, device)
        self._session, self._cuda = self._open(runtime, device, dict(options or {}))
        self._batching = Batching(self.metadata, _BUDGET[self.device] if memory is None else memory)

    def _open(self, runtime: Any, requested: Device | None, options: dict[str, str]) -> tuple[Any, CudaRunner | None]:
        """Create a session of ONNX Runtime, on the CPU if CUDA fails; also the runner of a session on a GPU.

        `requested` is the device that the caller named: if it is "cuda", there is no fallback to the CPU.
        """
        quiet = runtime.SessionOptions()
        quiet.log_severity_level = 4
        fixed = all_but_batch_fixed(self.inputs, self.outputs)
        reason = "ONNX Runtime gives no reason"
        session: Any = None
        for device, graphs in _attempts(self.device, fixed and options.get("enable_cuda_graph") != "0"):
            chosen = providers(device, fixed=fixed, graph=graphs, options=options)
            try:
                # ONNX Runtime's own fallback prints to standard output.
                session = runtime.InferenceSession(str(self.path), quiet, providers=chosen, enable_fallback=0)
            except Exception as error:
                # CUDA graphs fail if a node has no CUDA kernel and would run on the CPU.
                reason = _runtime_message(error)
                continue
            if device == "cuda" and session.get_providers()[0] == CUDA:
                number = int(options.get("device_id", "0"))
                return session, CudaRunner(runtime, session, self.outputs, graphs=graphs, device_id=number)
        if session is None:
            refuse_model(self.path, "ONNX Runtime refuses it", reason)
        if requested == "cuda":
            fail("NS602", "CUDA can't be used: it could not begin", notes=[reason])
        if self.device == "cuda":
            self.device, self.why = "cpu", f"CUDA could not begin: {reason}"
        return session, None

    def run(self, inputs: Any = None, /, **named: Any) -> dict[str, Array]:
        """Run the model on arrays by the names of inputs, and return its outputs by their names.

        The arrays are passed as `run(image=x)` or `run({"image": x})`, or as `run(x)` if there is one input. Raises
        NetspecError NS503 for arrays whose names, shapes or dtypes do not fit the model.
        """
        arrays = input_arrays(self.inputs, {**self._by_name(inputs), **named})
        batch = batch_of(arrays)
        if batch == 1 or not self._has_batch_axis or not self._batching.samples_are_independent:
            return dict(zip(self.outputs, self._run(arrays), strict=True))
        parts = zip(*self._in_chunks(arrays, batch), strict=True)
        return dict(zip(self.outputs, (p[0] if len(p) == 1 else np.concatenate(p) for p in parts), strict=True))

    def _by_name(self, inputs: Any) -> Mapping[str, Any]:
        """Arrays by the names of inputs, from such a mapping or from the array of the only input."""
        if inputs is None:
            return {}
        if isinstance(inputs, Mapping):
            return cast("Mapping[str, Any]", inputs)
        if len(self.inputs) != 1:
            message = f"the model takes {choices(self.inputs)}, and was given one thing without a name"
            fail("NS503", message, help=run_example(self.inputs))
        return dict.fromkeys(self.inputs, inputs)

    def _in_chunks(self, arrays: Mapping[str, Array], batch: int) -> list[list[Array]]:
        """Run a batch in chunks, and return the outputs of each; chunks that do not fit into memory are halved."""
        outputs: list[list[Array]] = []
        begin, size = 0, min(self._batching.chunk_size(arrays), batch)
        while begin < batch:
            try:
                outputs.append(self._run({name: array[begin : begin + size] for name, array in arrays.items()}))
                begin += size
            except _OutOfMemory:
                if size == 1:
                    raise
                size //= 2
                self._batching.limit(arrays, size)
        return outputs

    def _run(self, arrays: Mapping[str, Array]) -> list[Array]:
        try:
            if self._cuda is not None:
                return self._cuda.run(arrays)
            return self._session.run(list(self.outputs), dict(arrays))
        except Exception as error:
            if _MEMORY_MESSAGE.search(str(error)):
                message = f"{self.path} and a batch of {batch_of(arrays)} do not fit into memory"
                raise _OutOfMemory(Diagnostic("NS502", message, notes=(_runtime_message(error),))) from None
            fail("NS502", f"{self.path} failed", notes=[_runtime_message(error)])

    def images(self, images: ImageLike | Sequence[ImageLike]) -> dict[str, Array]:
        """Prepare one image or a list as the model's input; an image is a file, a Pillow image, or an array of pixels.

        Raises NetspecError NS503 for anything else, and for a model without preprocessing in its metadata.
        """
        return self._batch(self._prepared(_listed(images)))

    def _prepared(self, images: Sequence[ImageLike]) -> list[PreparedImage]:
        try:
            from netspec.backends.images import prepare
        except ModuleNotFoundError:
            raise MissingPart("images are read by Pillow, which is not installed", "pip install pillow") from None
        name, preprocess = self._image_input()
        value = self.inputs[name]
        channels = value.shape[1]
        return [
            prepare(image, preprocess, channels if isinstance(channels, int) else 3, value.dtype) for image in images
        ]

    def _batch(self, images: Sequence[PreparedImage]) -> dict[str, Array]:
        """Images of one size as the model's input."""
        if not images:
            fail("NS503", "there is no image")
        if len({each.pixels.shape for each in images}) > 1:
            fail("NS503", "these images have several sizes, and a batch has one", help="run them one by one")
        return {self._image_input()[0]: np.stack([each.pixels for each in images])}

    def classify(self, images: ImageLike | Sequence[ImageLike], top: int = 5) -> list[list[Prediction]]:
        """The `top` most probable classes of each image, in descending order."""
        return self.predictions(self.run(self.images(images)), top)

    @property
    def scores(self) -> str:
        """The output that scores classes: the one with labels, or an only output of samples x classes; else ""."""
        labelled = [name for name in self.labels if self.outputs[name].dtype.startswith("float")]
        if labelled:
            return labelled[0] if len(labelled) == 1 else ""
        matrices = [name for name, value in self.outputs.items() if len(value.shape) == 2 and value.shape[1] != 1]
        return matrices[0] if len(matrices) == len(self.outputs) == 1 else ""

    def predictions(self, outputs: Mapping[str, Array], top: int = 5) -> list[list[Prediction]]:
        """The `top` most probable classes of each sample, from the outputs that `run` returned."""
        name = self.scores
        if not name:
            message = f"{self.path} has no output that scores classes: {choices(self.outputs)}"
            help = "it is a detector: `detect` tells its detections" if self.detections else ""
            fail("NS503", message, help=help or "`labels` in the spec say which one does")
        if not np.all(outputs[name] < np.inf):
            fail("NS503", f"`{name}` is not finite, and scores no classes")
        labels = self.labels.get(name)
        predictions: list[list[Prediction]] = []
        for row in probabilities(outputs[name], self._probabilities[name]):
            best = np.argsort(-row, kind="stable")[:top]
            predictions.append([Prediction(labels[i] if labels else "", i, float(row[i])) for i in map(int, best)])
        return predictions

    def detect(self, images: ImageLike | Sequence[ImageLike], score: float = 0.0) -> list[list[Detection]]:
        """The objects in each image that have at least this score, in descending order of the scores.

        Images may have several sizes. Boxes are in pixels of the image as it is shown: upright, before it is resized.
        Raises NetspecError NS503 for a model that is no detector, and for what is no image.
        """
        runs = [detections for _, detections in self.detection_runs(_listed(images))]
        return [[each for each in of_image if each.score >= score] for run in runs for of_image in run]

    def detection_runs(self, images: Sequence[ImageLike]) -> Iterator[tuple[dict[str, Array], list[list[Detection]]]]:
        """Run a detector on images in turn; yield the outputs of each run, and the detections in each of its images.

        A run is of one image, unless the model has a fixed batch: images may have several sizes, and the memory that a
        detector needs is known for none. The outputs count images from the first of all on.
        """
        if not self.detections:
            message = f"{self.path} is no detector: it has no outputs for {choices(ROLES)} of detections"
            fail("NS503", message, help=f"its outputs are {choices(self.outputs)}" if self.outputs else "")
        batch = self.inputs[self._image_input()[0]].shape[0]
        step = batch if isinstance(batch, int) and batch > 0 else 1
        labels = self.labels.get(self.detections["labels"], ())
        for start in range(0, len(images), step):
            prepared = self._prepared(images[start : start + step])
            outputs = self.run(self._batch(prepared))
            detections = read_detections(outputs, self.detections, prepared, labels)
            name = self.detections["images"]
            yield {**outputs, name: outputs[name] + start}, detections

    def _image_input(self) -> tuple[str, Preprocess]:
        """The name of the input that takes images, and its preprocessing."""
        if len(self.inputs) > 1:
            message = f"{self.path} takes several inputs: {choices(self.inputs)}"
            fail("NS503", message, help="`run` takes arrays for them")
        if not self.preprocess:
            help = "say it in the spec under `preprocess`, and export it again; or make an array, and `run` it"
            fail("NS503", f"{self.path} does not say how an image becomes its input", help=help)
        return next(iter(self.preprocess.items()))

    def __repr__(self) -> str:
        return f"Session({str(self.path)!r}, {self.device!r})"


def _listed(images: ImageLike | Sequence[ImageLike]) -> Sequence[ImageLike]:
    return cast("Sequence[ImageLike]", images if isinstance(images, list | tuple) else [images])


def _attempts(device: Device, graphs: bool) -> list[tuple[Device, bool]]:
    """The devices to try in turn, each with a flag for CUDA graphs."""
    cuda: list[tuple[Device, bool]] = [("cuda", True), ("cuda", False)] if graphs else [("cuda", False)]
    return [*(cuda if device == "cuda" else []), ("cpu", False)]


def _runtime_message(error: Exception) -> str:
    """The message of ONNX Runtime, without error codes and places in its source."""
    line = str(error).strip().partition("\n")[0]
    line = re.sub(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
    return re.sub(r"\S*(?:onnxruntime_src|_work)[/\\]\S+(?: [^()]*\([^()]*(?:\([^()]*\)[^()]*)*\))? ?", "", line)[:300]
