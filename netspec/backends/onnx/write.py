"""An ONNX file, written piece by piece: weights go from where they are to the file, and are never held twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from netspec.backends.onnx.lower import IR_VERSION, ONNX_DTYPES, Lowered
from netspec.types import Weight

Array = np.ndarray[Any, Any]
Weights = Callable[[str], Array]
"""Gives a weight by its key."""

LARGEST = 2**31 - 2**20
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
    model.producer_name = "netspec"
    helper.set_model_props(model, dict(metadata))
    return model


def write_model(
    model: onnx.ModelProto, weights: Mapping[str, Weight], get: Weights, path: Path, data: Path, called: str
) -> bool:
    """Write a model with its weights to a file, those of more than 2 GB to another; whether that was needed.

    `data` is where that other one is written, and `called` the name it is going to have, beside the model.
    """
    apart = sum(_nbytes(weight) for weight in weights.values()) + model.ByteSize() > LARGEST
    headers = dict(_external(weights, called) if apart else _headers(weights))
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    graph = model.graph.SerializeToString()
    sizes = {key: len(header) + (0 if apart else _raw_size(_nbytes(weights[key]))) for key, header in headers.items()}
    length = len(graph) + sum(len(_field(_INITIALIZER, size)) + size for size in sizes.values())
    with path.open("wb") as file:
        file.write(rest.SerializeToString() + _field(_GRAPH, length) + graph)
        for key, header in headers.items():
            file.write(_field(_INITIALIZER, sizes[key]) + header)
            if not apart:
                file.write(_field(_RAW_DATA, _nbytes(weights[key])))
                _write_array(file, get(key), weights[key])
    if apart:
        with data.open("wb") as file:
            for key, weight in weights.items():
                file.write(bytes(-file.tell() % ALIGNED))
                _write_array(file, get(key), weight)
    return apart


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
