"""Reads the spec in the metadata of an ONNX model that netspec exported, without the `onnx` package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from netspec.errors import fail
from netspec.files import reason_of
from netspec.spec.limits import MAX_EXPORTED_BYTES, MAX_EXPORTED_FIELDS
from netspec.version import PRODUCER

MODEL_SUFFIX = ".onnx"
SPEC_KEY = "netspec.spec"
"""The key of the spec in a model's metadata."""
_PRODUCER_NAME, _GRAPH, _METADATA, _KEY, _VALUE = 2, 7, 14, 1, 2
"""Field numbers in onnx.proto: of ModelProto, and of StringStringEntryProto."""
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types of protobuf."""


class _Damaged(Exception):
    """The bytes are not a protobuf message, or are truncated."""


def read_exported_spec(path: Path, shown: str) -> bytes:
    """Read the text of the spec in a model's metadata; the graph, which may be gigabytes, is skipped.

    `shown` is the path as errors show it. Raises NetspecError NS502 for a file that is no ONNX model, and for a model
    without a spec.
    """
    try:
        with path.open("rb") as file:
            producer, spec, has_graph = _read(file)
    except _Damaged:
        fail("NS502", f"{shown} can't be used: it is cut off, or no ONNX model")
    except OSError as error:
        fail("NS502", f"{shown} can't be read: {reason_of(error)}")
    if not has_graph:
        fail("NS502", f"{shown} can't be used: it is cut off, or no ONNX model")
    if spec is None:
        by = (
            f"was written by {_producer_text(producer)}"
            if producer != PRODUCER.encode()
            else "is of a graph that no spec can say"
        )
        help = f"`netspec run {shown}` runs it; what netspec exports, it can read"
        fail("NS502", f"{shown} {by}, and holds no spec", help=help)
    return spec


def _producer_text(producer: bytes) -> str:
    text = producer[:100].decode("utf-8", "replace")
    return text if text.isprintable() and text.strip() else "another program"


def _read(file: IO[bytes]) -> tuple[bytes, bytes | None, bool]:
    """The producer's name and the spec of a model, and whether the model has a graph."""
    producer, spec, has_graph = b"", None, False
    for number, length in _fields(file, os.fstat(file.fileno()).st_size):
        has_graph = has_graph or number == _GRAPH
        if number not in (_PRODUCER_NAME, _METADATA) or length > MAX_EXPORTED_BYTES:
            continue
        if number == _PRODUCER_NAME:
            producer = file.read(length)
        else:
            end = file.tell() + length
            entry = {part: file.read(size) for part, size in _fields(file, end)}
            if entry.get(_KEY) == SPEC_KEY.encode():
                spec = entry.get(_VALUE, b"")
    return producer, spec, has_graph


def _fields(file: IO[bytes], end: int) -> Iterator[tuple[int, int]]:
    """The number and length of each length-delimited field before the offset `end`.

    Each time, the file is at the first byte of the field's content.
    """
    for _ in range(MAX_EXPORTED_FIELDS):
        if file.tell() >= end:
            return
        tag = _varint(file)
        kind = tag & 7
        if kind == _VARINT:
            _varint(file)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            file.seek(8 if kind == _EIGHT_BYTES else 4, os.SEEK_CUR)
        elif kind == _LENGTH:
            length = _varint(file)
            after = file.tell() + length
            if after > end:
                raise _Damaged
            yield tag >> 3, length
            file.seek(after)
        else:
            raise _Damaged
    raise _Damaged


def _varint(file: IO[bytes]) -> int:
    """Read a varint: an integer in groups of seven bits, one in each byte."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _Damaged
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise _Damaged
