"""ONNX files, read with care: what is cut off, foreign, or reaches out of its folder is refused with a word why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message
from onnx import TensorProto, helper, numpy_helper

from netspec.backends.onnx.lower import Array
from netspec.errors import fail


def read_model(path: Path) -> onnx.ModelProto:
    """The model in a file, without weights that stand in another. Raises NetspecError NS502 for what is none."""
    if not path.is_file():
        fail("NS502", f"there is no file {path}" if not path.exists() else f"{path} is no file")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except (DecodeError, ValueError, OSError) as error:
        _refuse(path, "it is cut off, or no ONNX model", error)
    if not model.graph.node and not model.graph.output:
        _refuse(path, "it holds no graph")
    return model


def metadata_in(model: onnx.ModelProto) -> dict[str, str]:
    """What a model says of itself."""
    return {entry.key: entry.value for entry in model.metadata_props}


def check_files_beside(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a model whose tensors are said to stand in files that are not beside it, or are cut off."""
    beside = Initializers(model, path)
    for tensor in tensors_of(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            beside.external(tensor)


def tensors_of(message: Message) -> Iterator[TensorProto]:
    """Every tensor in a model: initializers, and those in attributes, functions and inner graphs."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in (value,) if isinstance(value, Message) else value:
            if isinstance(each, TensorProto):
                yield each
            else:
                yield from tensors_of(each)


class Initializers(Mapping[str, Array]):
    """The initializers of a model; those in a file beside it are mapped from there."""

    def __init__(self, model: onnx.ModelProto, path: Path) -> None:
        self.path = path
        self.tensors = {tensor.name: tensor for tensor in model.graph.initializer}

    def __getitem__(self, key: str) -> Array:
        tensor = self.tensors[key]
        if tensor.data_location == TensorProto.EXTERNAL:
            return self.external(tensor)
        try:
            return numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            _refuse(self.path, f"`{key}` is not as long as its shape says", error)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def external(self, tensor: TensorProto) -> Array:
        """A weight in a file beside the model, which is checked to be there and whole."""
        place = {entry.key: entry.value for entry in tensor.external_data}
        name = place.get("location", "")
        if not name or name in (".", "..") or os.path.basename(name) != name:
            _refuse(self.path, f"`{tensor.name}` is said to stand in {name!r}, which is no file beside it")
        file = self.path.with_name(name)
        if file.is_symlink() or not file.is_file():
            _refuse(self.path, f"there is no file {file} beside it, which holds its weights")
        dtype, shape = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)), tuple(tensor.dims)
        begin, length = int(place.get("offset", "0")), int(np.prod(shape, dtype="int64")) * dtype.itemsize
        if begin < 0 or min(shape, default=0) < 0 or begin + length > file.stat().st_size:
            _refuse(self.path, f"{file} is cut off: `{tensor.name}` ends at {begin + length:,} bytes")
        return np.memmap(file, dtype, "r", begin, shape) if length else np.empty(shape, dtype)


def _refuse(path: Path, why: str, error: Exception | None = None) -> NoReturn:
    said = str(error).strip().splitlines() if error is not None else []
    fail("NS502", f"{path} can't be used: {why}", notes=[said[0][:200]] if said else ())
