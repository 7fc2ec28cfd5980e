"""An ONNX file, written piece by piece: weights go from where they are to the file, and are never held twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import onnx
from onnx import TensorProto, helper

from netspec.backends.onnx.lower import IR_VERSION, ONNX_DTYPES, Array, Lowered
from netspec.types import Weight

Weights = Callable[[str], Array]
"""Gives a weight by its key."""

PRODUCER = "netspec"
"""What a model says that wrote it."""
MAX_MODEL_BYTES = 2**31 - 2**20
"""How many bytes a file may have: protobuf reads no message of 2 GiB. Larger weights stand in a file beside it."""
ALIGNED = 4096
"""Where a weight may begin in that file, so that it can be mapped."""
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
"""The numbers of these fields in onnx.proto."""


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
    """Whether a model can't have its weights in its own file."""
    return nbytes_of(weights) + model.ByteSize() > MAX_MODEL_BYTES


def nbytes_of(weights: Mapping[str, Weight]) -> int:
    """How many bytes weights have."""
    return sum(map(_nbytes, weights.values()))


def write_model(
    model: onnx.ModelProto, weights: Mapping[str, Weight], get: Weights, path: Path, data: Path | None, called: str
) -> None:
    """Write a model with its weights to a file, or, where there is one, these to another, `data`.

    That one is going to be `called` so, and to stand beside the model.
    """
    headers = dict(_headers(weights) if data is None else _external(weights, called))
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
                file.write(bytes(-file.tell() % ALIGNED))
                _write_array(file, get(key), weight)


def _write_array(file: IO[bytes], array: Array, weight: Weight) -> None:
    if array.shape != weight.shape or str(array.dtype) != weight.dtype:
        raise AssertionError(f"{array.dtype} {array.shape} is no {weight}")
    # A view of bytes: the file takes them from where they are.
    file.write(np.ascontiguousarray(array).reshape(-1).view("uint8").data)


def _nbytes(weight: Weight) -> int:
    return weight.size * np.dtype(weight.dtype).itemsize


def _headers(weights: Mapping[str, Weight]) -> Iterable[tuple[str, bytes]]:
    for key, weight in weights.items():
        yield key, _tensor(key, weight).SerializeToString()


def _external(weights: Mapping[str, Weight], file: str) -> Iterable[tuple[str, bytes]]:
    offset = 0
    for key, weight in weights.items():
        offset += -offset % ALIGNED
        tensor = _tensor(key, weight)
        tensor.data_location = TensorProto.EXTERNAL
        for name, value in (("location", file), ("offset", offset), ("length", _nbytes(weight))):
            entry = tensor.external_data.add()
            entry.key, entry.value = name, str(value)
        yield key, tensor.SerializeToString()
        offset += _nbytes(weight)


def _tensor(key: str, weight: Weight) -> onnx.TensorProto:
    return TensorProto(name=key, dims=weight.shape, data_type=ONNX_DTYPES[weight.dtype])


def _raw_size(size: int) -> int:
    return len(_field(_RAW_DATA, size)) + size


def _field(number: int, length: int) -> bytes:
    """What stands before a field of so many bytes in protobuf's encoding."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
