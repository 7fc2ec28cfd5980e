"""Reads ONNX files, and refuses those that are truncated or refer to files outside their folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message
from onnx import TensorProto, helper, numpy_helper

from netspec.backends.onnx.narrow import Array
from netspec.errors import fail
from netspec.files import no_file
from netspec.lazy import LazyMapping

_HALF_BYTE_DTYPES = (TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1)
"""Dtypes with two values in a byte."""


def read_model(path: Path) -> onnx.ModelProto:
    """The model in a file, without weights in other files. Raises NetspecError NS502 if the file holds no model."""
    if not path.is_file():
        what = no_file(path)
        fail("NS502", f"{path} is no file: it is {what}" if what else f"there is no file {path}")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except (DecodeError, ValueError, OSError) as error:
        refuse_model(path, "it is cut off, or no ONNX model", error)
    if not model.graph.node and not model.graph.output:
        refuse_model(path, "it holds no graph")
    return model


def metadata_in(model: onnx.ModelProto, path: Path) -> dict[str, str]:
    """The metadata of a model. Raises NetspecError NS502 if it is not text."""
    metadata: dict[Any, Any] = {entry.key: entry.value for entry in model.metadata_props}
    # Protobuf returns text that is not UTF-8 as bytes.
    if not all(isinstance(text, str) for entry in metadata.items() for text in entry):
        refuse_model(path, "what it says of itself is no text")
    return metadata


def check_files_beside(model: onnx.ModelProto, path: Path) -> None:
    """Raise NetspecError NS502 for tensors in files that are missing, truncated, or in another folder."""
    for tensor in _tensors_of(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _external_place(tensor, path)


def _tensors_of(message: Message) -> Iterator[TensorProto]:
    """All tensors in a message: initializers, and tensors in attributes, functions and inner graphs."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in (value,) if isinstance(value, Message) else value:
            if isinstance(each, TensorProto):
                yield each
            else:
                yield from _tensors_of(each)


def initializers_of(model: onnx.ModelProto, path: Path) -> LazyMapping[Array]:
    """The initializers of a model; those in a second file are read on each access."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}

    def load(name: str) -> Array:
        tensor = tensors[name]
        if tensor.data_location == TensorProto.EXTERNAL:
            return _external_array(tensor, path)
        try:
            return numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            refuse_model(path, f"`{name}` is not as long as its shape says", error)

    return LazyMapping(tensors, load)


def _external_array(tensor: TensorProto, path: Path) -> Array:
    """The array of a tensor in a second file beside the model."""
    file, begin = _external_place(tensor, path)
    dtype, shape = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)), tuple(tensor.dims)
    array = np.fromfile(file, dtype, prod(shape), offset=begin)
    if array.size != prod(shape):
        refuse_model(path, f"{file} was cut off while `{tensor.name}` was read")
    return array.reshape(shape)


def _external_place(tensor: TensorProto, path: Path) -> tuple[Path, int]:
    """The file that holds a tensor, and the tensor's offset. Raises NetspecError NS502 for a missing or short file."""
    try:
        place = {str(entry.key): str(entry.value) for entry in tensor.external_data}
        begin, name = int(place.get("offset", "0")), os.path.normpath(place.get("location") or "..")
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (ValueError, KeyError, TypeError) as error:
        refuse_model(path, f"`{tensor.name}` is said to stand in another file, and not in which", error)
    if name in (".", "..") or os.path.basename(name) != name:
        refuse_model(path, f"`{tensor.name}` is said to stand in {name!r}, which is no file beside it")
    file = path.with_name(name)
    count = prod(tensor.dims)
    end = begin + ((count + 1) // 2 if tensor.data_type in _HALF_BYTE_DTYPES else count * dtype.itemsize)
    try:
        if file.is_symlink():
            refuse_model(path, f"its weights stand in {file}, which is a link: it may lead out of the folder")
        size = file.stat().st_size if file.is_file() else -1
    except OSError as error:
        refuse_model(path, f"there is no file {name!r} beside it, which holds its weights", error)
    if size < 0:
        refuse_model(path, f"there is no file {file} beside it, which holds its weights")
    if begin < 0 or min(tensor.dims, default=0) < 0 or end > size:
        refuse_model(path, f"{file} is cut off: `{tensor.name}` ends at {end:,} bytes")
    return file, begin


def refuse_model(path: Path, why: str, message: Exception | str = "") -> NoReturn:
    """Raise NetspecError NS502: `why` says why the model can't be used, and `message` is a library's, if any."""
    lines = str(message).strip().splitlines()
    fail("NS502", f"{path} can't be used: {why}", notes=[lines[0][:300]] if lines else ())
