"""Safetensors files: a header that is checked against the file, and numbers that are read into memory.

The library maps such files. What is mapped changes with the file, and a process that reads what was cut off is killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BufferedReader
from math import prod
from typing import Any, NamedTuple, cast

from netspec.backends.opened import opened, state_of, unreadable

STORED_DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "C64": ("complex64", 8),
    "BOOL": ("bool", 1),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
}
"""Torch's names of the dtypes in safetensors files, and their bytes."""
_LONGEST_HEADER = 100_000_000
_LARGEST, _MOST_AXES = 2**63, 64


class Stored(NamedTuple):
    """A tensor in a file: its dtype, its shape, how many bytes it has, and where they begin."""

    dtype: str
    shape: tuple[int, ...]
    size: int
    begin: int


class SafetensorsFile:
    """A safetensors file, closed: what it says it holds, which was checked, and its numbers on demand."""

    def __init__(self, name: str) -> None:
        self.name = name
        with opened(name) as file:
            self._state = state_of(file)
            try:
                self.tensors, self.metadata = _header(file, self._state[1])
            except (ValueError, RecursionError) as error:
                unreadable(name, "it is cut off, or no safetensors file", error)

    def read(self, into: Mapping[str, memoryview]) -> None:
        """Read tensors by their keys, each into its memory. Raises NetspecError NS501 if the file changed."""
        with opened(self.name, self._state) as file:
            for key, memory in into.items():
                file.seek(self.tensors[key].begin)
                if file.readinto(memory) != len(memory):
                    unreadable(self.name, "it is cut off", f"`{key}` ends behind its end")


def is_safetensors(begin: bytes) -> bool:
    """Whether a file that begins so has a header of safetensors: its length in eight bytes, and JSON."""
    return begin[8:9] == b"{" and int.from_bytes(begin[:8], "little") <= _LONGEST_HEADER


def _header(file: BufferedReader, size: int) -> tuple[dict[str, Stored], dict[str, str]]:
    """The tensors in a file and its metadata; ValueError says what is wrong. Tensors fill the file without a gap."""
    begin = file.read(9)
    length = int.from_bytes(begin[:8], "little")
    if not is_safetensors(begin) or 8 + length > size:
        raise ValueError("its header is longer than the file, or none")
    data = json.loads(f"{{{file.read(length - 1).decode()}")
    metadata: Any = data.pop("__metadata__", None)
    tensors: dict[str, Stored] = {}
    for key, said in data.items():
        tensors[key] = _entry(key, said, 8 + length)
    here = 8 + length
    for stored in sorted(tensors.values(), key=lambda stored: (stored.begin, stored.size)):
        if stored.begin != here:
            raise ValueError(f"its tensors leave a gap, or stand in one another, at byte {here:,}")
        here += stored.size
    if here != size:
        raise ValueError(f"its tensors end at byte {here:,}, and the file at {size:,}")
    return tensors, cast("dict[str, str]", metadata) if isinstance(metadata, dict) else {}


def _entry(key: str, said: Any, start: int) -> Stored:
    """A tensor as the header has it; `start` is where the header ends."""
    try:
        dtype, shape, (begin, end) = said["dtype"], said["shape"], said["data_offsets"]
        numbers: list[Any] = [*shape, begin, end]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"`{key}` has no dtype, shape or place") from error
    if not isinstance(dtype, str) or dtype not in STORED_DTYPES:
        raise ValueError(f"`{key}` has the dtype {dtype!r}, which is not read")
    if len(numbers) > _MOST_AXES or not all(type(number) is int and 0 <= number < _LARGEST for number in numbers):
        raise ValueError(f"`{key}` has a shape or a place that is none")
    name, width = STORED_DTYPES[dtype]
    sizes = cast("tuple[int, ...]", tuple(shape))
    if end - begin != prod(sizes) * width or prod(size or 1 for size in sizes) >= _LARGEST:
        raise ValueError(f"`{key}` is not as long as its shape says")
    return Stored(name, sizes, end - begin, start + begin)
