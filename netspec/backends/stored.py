"""Reads safetensors files: checks the header against the file, and reads numbers into memory.

The safetensors library maps files into memory instead. Mapped memory changes with the file, and the system kills a
process that reads beyond the end of a file that was truncated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BufferedReader
from math import prod
from typing import Any, NamedTuple, cast

from netspec.backends.opened import opened, state_of, unreadable

_DTYPES = {
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
"""Torch's names and the sizes in bytes of safetensors' dtypes."""
_MAX_HEADER = 100_000_000
_LIMIT, _MAX_NUMBERS = 2**63, 64
"""Bounds on a tensor's entry in the header: the largest number in it, and the most numbers."""


class _Stored(NamedTuple):
    """A tensor in a file: its dtype, shape, size in bytes, and offset."""

    dtype: str
    shape: tuple[int, ...]
    size: int
    begin: int


class SafetensorsFile:
    """A safetensors file: its tensors and metadata, from a checked header, and a method that reads numbers."""

    def __init__(self, name: str) -> None:
        self.name = name
        with opened(name) as file:
            self._state = state_of(file)
            try:
                self.tensors, self.metadata = _header(file, self._state[1])
            except (ValueError, RecursionError) as error:
                unreadable(name, "it is cut off, or no safetensors file", error)

    def read(self, into: Mapping[str, memoryview]) -> None:
        """Read tensors into memory, by key. Raises NetspecError NS501 if the file has changed."""
        with opened(self.name, self._state) as file:
            for key, memory in into.items():
                file.seek(self.tensors[key].begin)
                if file.readinto(memory) != len(memory):
                    unreadable(self.name, "it is cut off", f"`{key}` ends behind its end")


def is_safetensors(begin: bytes) -> bool:
    """Whether a file's first nine bytes are those of safetensors: the header's length, and the `{` of JSON."""
    return begin[8:9] == b"{" and int.from_bytes(begin[:8], "little") <= _MAX_HEADER


def _header(file: BufferedReader, size: int) -> tuple[dict[str, _Stored], dict[str, str]]:
    """The tensors and metadata in a file. Raises ValueError if tensors overlap or do not fill the file."""
    begin = file.read(9)
    length = int.from_bytes(begin[:8], "little")
    if not is_safetensors(begin) or 8 + length > size:
        raise ValueError("its header is longer than the file, or none")
    data = json.loads(f"{{{file.read(length - 1).decode()}")
    metadata: Any = data.pop("__metadata__", None)
    tensors: dict[str, _Stored] = {}
    for key, entry in data.items():
        tensors[key] = _tensor(key, entry, 8 + length)
    end = 8 + length
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.size)):
        if tensor.begin != end:
            raise ValueError(f"its tensors leave a gap, or stand in one another, at byte {end:,}")
        end += tensor.size
    if end != size:
        raise ValueError(f"its tensors end at byte {end:,}, and the file at {size:,}")
    return tensors, cast("dict[str, str]", metadata) if isinstance(metadata, dict) else {}


def _tensor(key: str, entry: Any, start: int) -> _Stored:
    """A tensor, from its entry in the header; `start` is the offset of the first tensor."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers: list[Any] = [*shape, begin, end]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"`{key}` has no dtype, shape or place") from error
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"`{key}` has the dtype {dtype!r}, which is not read")
    if len(numbers) > _MAX_NUMBERS or not all(type(number) is int and 0 <= number < _LIMIT for number in numbers):
        raise ValueError(f"`{key}` has a shape or a place that is none")
    name, width = _DTYPES[dtype]
    sizes = cast("tuple[int, ...]", tuple(shape))
    if end - begin != prod(sizes) * width or prod(size or 1 for size in sizes) >= _LIMIT:
        raise ValueError(f"`{key}` is not as long as its shape says")
    return _Stored(name, sizes, end - begin, start + begin)
