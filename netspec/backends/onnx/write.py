"""Writes ONNX files weight by weight, so that no weight is in memory twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import onnx
from onnx import TensorProto, helper

from netspec.backends.onnx.lower import IR_VERSION, ONNX_DTYPES, Lowered
from netspec.backends.onnx.narrow import Array
from netspec.types import Weight
from netspec.version import PRODUCER

_GetWeight = Callable[[str], Array]
"""A function that returns a weight by its key."""

_MAX_MODEL_BYTES = 2**31 - 2**20
"""The largest size of a model: protobuf reads no message of 2 GiB. Larger weights go to a second file."""
_ALIGNMENT = 4096
"""The alignment of weights in the second file, in bytes, so that it can be mapped into memory."""
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""The numbers of the fields `graph`, `initializer` and `raw_data` in onnx.proto."""


def model_of(lowered: Lowered, name: str, opset: int, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """A model without its weights."""
    graph = helper.make_graph(
        lowered.nodes, name, lowered.inputs, lowered.outputs, lowered.constants, value_info=lowered.values
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    model.producer_name = PRODUCER
    helper.set_model_props(model, dict(metadata))
    return model


def needs_external_data(model: onnx.ModelProto, weights: Mapping[str, Weight]) -> bool:
    """Whether a model and its weights are too large for one file."""
    return nbytes_of(weights) + model.ByteSize() > _MAX_MODEL_BYTES


def nbytes_of(weights: Mapping[str, Weight]) -> int:
    """The size of weights in bytes."""
    return sum(map(_nbytes, weights.values()))


def write_model(
    model: onnx.ModelProto, weights: Mapping[str, Weight], get: _GetWeight, path: Path, data: Path | None, name: str
) -> None:
    """Write a model to a file, and its weights to the same file, or to `data` if that is not None.

    `name` is the name of the second file in the model: `data` may be a temporary file that is renamed later.
    """
    headers = dict(_headers(weights) if data is None else _external_headers(weights, name))
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    graph = model.graph.SerializeToString()
    sizes = {
        key: len(header) + (_raw_size(_nbytes(weights[key])) if data is None else 0) for key, header in headers.items()
    }
    length = len(graph) + sum(len(_field(_INITIALIZER, size)) + size for size in sizes.values())
    with path.open("wb") as file:
        file.write(rest.SerializeToString() + _field(_GRAPH, length) + graph)
        for key, header in headers.items():
            file.write(_field(_INITIALIZER, sizes[key]) + header)
            if data is None:
                file.write(_field(_RAW_DATA, _nbytes(weights[key])))
                _write_array(file, get(key), weights[key])
    if data is not None:
        with data.open("wb") as file:
            for key, weight in weights.items():
                file.write(bytes(-file.tell() % _ALIGNMENT))
                _write_array(file, get(key), weight)


def _write_array(file: IO[bytes], array: Array, weight: Weight) -> None:
    if array.shape != weight.shape or str(array.dtype) != weight.dtype:
        raise AssertionError(f"{array.dtype} {array.shape} is no {weight}")
    # Written as a view of bytes, without a copy.
    file.write(np.ascontiguousarray(array).reshape(-1).view("uint8").data)


def _nbytes(weight: Weight) -> int:
    return weight.size * np.dtype(weight.dtype).itemsize


def _headers(weights: Mapping[str, Weight]) -> Iterable[tuple[str, bytes]]:
    """For each key, the encoded initializer without its numbers."""
    for key, weight in weights.items():
        yield key, _tensor(key, weight).SerializeToString()


def _external_headers(weights: Mapping[str, Weight], file: str) -> Iterable[tuple[str, bytes]]:
    """For each key, the encoded initializer with the place of its numbers in a second file."""
    offset = 0
    for key, weight in weights.items():
        offset += -offset % _ALIGNMENT
        tensor = _tensor(key, weight)
        tensor.data_location = TensorProto.EXTERNAL
        for entry_key, value in (("location", file), ("offset", offset), ("length", _nbytes(weight))):
            entry = tensor.external_data.add()
            entry.key, entry.value = entry_key, str(value)
        yield key, tensor.SerializeToString()
        offset += _nbytes(weight)


def _tensor(key: str, weight: Weight) -> onnx.TensorProto:
    return TensorProto(name=key, dims=weight.shape, data_type=ONNX_DTYPES[weight.dtype])


def _raw_size(size: int) -> int:
    """The size of a `raw_data` field with `size` bytes of numbers."""
    return len(_field(_RAW_DATA, size)) + size


def _field(number: int, length: int) -> bytes:
    """The encoded tag and length that protobuf puts before a field's content."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    """A number in protobuf's variable-length encoding: groups of seven bits, the lowest first."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
