"""`Session`: a model that ONNX Runtime runs, on a GPU where there is one, and else on the CPU."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from netspec.backends.onnx.batching import Samples
from netspec.backends.onnx.cuda import CudaRunner, batch_of
from netspec.backends.onnx.device import CUDA, Device, choose, providers
from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.metadata import labels_in, preprocess_in
from netspec.backends.onnx.packages import onnx_runtime
from netspec.backends.onnx.read import check_files_beside, metadata_in, read_model, refuse_model
from netspec.backends.onnx.scores import are_probabilities, probabilities
from netspec.backends.onnx.signature import batch_axis, input_arrays, is_fixed, run_example, values_of
from netspec.errors import Diagnostic, MissingPart, NetspecError, choices, fail
from netspec.preprocess import Preprocess

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


class OutOfMemory(NetspecError):
    """A batch that does not fit into memory."""


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
        self._in_batches = batch_axis(self.inputs, self.outputs)
        self.metadata = metadata_in(model, self.path)
        self._probabilities = are_probabilities(model)
        del model
        self.preprocess = preprocess_in(self.metadata, self.path, self.inputs)
        self.labels = labels_in(self.metadata, self.path, self.outputs)
        self.runtime = f"ONNX Runtime {runtime.__version__}"
        self.device: Device
        self.device, self.why = choose(runtime, device)
        self._session, self._cuda = self._open(runtime, device, dict(options or {}))
        self._samples = Samples(self.metadata, BUDGET[self.device] if memory is None else memory)

    def _open(self, runtime: Any, wanted: Device | None, options: dict[str, str]) -> tuple[Any, CudaRunner | None]:
        """A session of ONNX Runtime on the device, else on the CPU; and what runs it on the GPU."""
        quiet = runtime.SessionOptions()
        quiet.log_severity_level = 4
        fixed = is_fixed(self.inputs, self.outputs)
        said = "ONNX Runtime gives no reason"
        found: Any = None
        for device, graphs in _ways(self.device, fixed and options.get("enable_cuda_graph") != "0"):
            chosen = providers(device, fixed=fixed, graph=graphs, options=options)
            try:
                # Its own fallback prints to standard output.
                found = runtime.InferenceSession(str(self.path), quiet, providers=chosen, enable_fallback=0)
            except Exception as error:
                # With graphs: a node that CUDA has no kernel for runs on the CPU, and such a run is no graph.
                said = runtime_message(error)
                continue
            if device == "cuda" and found.get_providers()[0] == CUDA:
                number = int(options.get("device_id", "0"))
                return found, CudaRunner(runtime, found, self.outputs, graphs=graphs, device_id=number)
        if found is None:
            refuse_model(self.path, "ONNX Runtime refuses it", said)
        if wanted == "cuda":
            fail("NS602", "CUDA can't be used: it could not begin", notes=[said])
        if self.device == "cuda":
            self.device, self.why = "cpu", f"CUDA could not begin: {said}"
        return found, None

    def run(self, inputs: Any = None, /, **named: Any) -> dict[str, Array]:
        """The outputs by their names, for arrays by the names of the inputs: `run(image=x)` or `run({"image": x})`.

        The array of a model's only input may stand alone. Raises NetspecError NS503 for arrays whose names, shapes or
        dtypes are not the model's.
        """
        arrays = input_arrays(self.inputs, {**self._by_name(inputs), **named})
        batch = batch_of(arrays)
        if batch == 1 or not self._in_batches or not self._samples.are_apart:
            return dict(zip(self.outputs, self._run(arrays), strict=True))
        parts = zip(*self._in_chunks(arrays, batch), strict=True)
        return dict(zip(self.outputs, (p[0] if len(p) == 1 else np.concatenate(p) for p in parts), strict=True))

    def _by_name(self, inputs: Any) -> Mapping[str, Any]:
        """Arrays by names, of which the only one may have none."""
        if inputs is None:
            return {}
        if isinstance(inputs, Mapping):
            return cast("Mapping[str, Any]", inputs)
        if len(self.inputs) != 1:
            message = f"the model takes {choices(self.inputs)}, and was given one thing without a name"
            fail("NS503", message, help=run_example(self.inputs))
        return dict.fromkeys(self.inputs, inputs)

    def _in_chunks(self, arrays: Mapping[str, Array], batch: int) -> list[list[Array]]:
        """What the chunks of a batch give; one that does not fit into memory is halved."""
        found: list[list[Array]] = []
        begin, size = 0, min(self._samples.at_a_time(arrays), batch)
        while begin < batch:
            try:
                found.append(self._run({name: array[begin : begin + size] for name, array in arrays.items()}))
                begin += size
            except OutOfMemory:
                if size == 1:
                    raise
                size //= 2
                self._samples.fewer(arrays, size)
        return found

    def _run(self, arrays: Mapping[str, Array]) -> list[Array]:
        try:
            if self._cuda is not None:
                return self._cuda.run(arrays)
            return self._session.run(list(self.outputs), dict(arrays))
        except Exception as error:
            if _OUT_OF_MEMORY.search(str(error)):
                message = f"{self.path} and a batch of {batch_of(arrays)} do not fit into memory"
                raise OutOfMemory(Diagnostic("NS502", message, notes=(runtime_message(error),))) from None
            fail("NS502", f"{self.path} failed", notes=[runtime_message(error)])

    def images(self, images: ImageLike | Sequence[ImageLike]) -> dict[str, Array]:
        """Images as the input of a model that takes one: an image or a list of them, each a file, Pillow's or pixels.

        Raises NetspecError NS503 for what is no image, and for models that say nothing of images.
        """
        try:
            from netspec.backends.images import prepare_image
        except ModuleNotFoundError:
            raise MissingPart("images are read by Pillow, which is not installed", "pip install pillow") from None
        name, how = self._image_input()
        listed = cast("Sequence[ImageLike]", images if isinstance(images, list | tuple) else [images])
        value = self.inputs[name]
        channels = value.shape[1]
        prepared = [
            prepare_image(image, how, channels if isinstance(channels, int) else 3, value.dtype) for image in listed
        ]
        if not prepared:
            fail("NS503", "there is no image")
        if len({each.shape for each in prepared}) > 1:
            fail("NS503", "these images have several sizes, and a batch has one", help="run them one by one")
        return {name: np.stack(prepared)}

    def classify(self, images: ImageLike | Sequence[ImageLike], top: int = 5) -> list[list[Prediction]]:
        """For each image the classes that the model finds most probable, the first of them first."""
        return self.predictions(self.run(self.images(images)), top)

    @property
    def scores(self) -> str:
        """The output that scores classes: the one with labels, or the only one of samples x classes; "" for none."""
        if self.labels:
            return next(iter(self.labels)) if len(self.labels) == 1 else ""
        found = [name for name, value in self.outputs.items() if len(value.shape) == 2 and value.shape[1] != 1]
        return found[0] if len(found) == len(self.outputs) == 1 else ""

    def predictions(self, outputs: Mapping[str, Array], top: int = 5) -> list[list[Prediction]]:
        """The most probable classes for each sample, by what `run` gave."""
        name = self.scores
        if not name:
            message = f"{self.path} has no output that scores classes: {choices(self.outputs)}"
            fail("NS503", message, help="`labels` in the spec say which one does")
        if not np.all(outputs[name] < np.inf):
            fail("NS503", f"`{name}` is not finite, and scores no classes")
        labels = self.labels.get(name)
        found: list[list[Prediction]] = []
        for row in probabilities(outputs[name], self._probabilities[name]):
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


def _ways(device: Device, graphs: bool) -> list[tuple[Device, bool]]:
    """What is tried, one after the other: a device, and whether its runs are CUDA graphs."""
    cuda: list[tuple[Device, bool]] = [("cuda", True), ("cuda", False)] if graphs else [("cuda", False)]
    return [*(cuda if device == "cuda" else []), ("cpu", False)]


def runtime_message(error: Exception) -> str:
    """What ONNX Runtime says, without its numbers and the places in its own source."""
    line = str(error).strip().partition("\n")[0]
    line = re.sub(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
    return re.sub(r"\S*(?:onnxruntime_src|_work)[/\\]\S+(?: [^()]*\([^()]*(?:\([^()]*\)[^()]*)*\))? ?", "", line)[:300]
