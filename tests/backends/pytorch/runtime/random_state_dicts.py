"""Random files of weights: every dtype, all sorts of views, and forms that torch.load reads, or does not."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

DTYPES = [
    "float32",
    "float32",
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
    "uint16",
    "float8_e4m3fn",
]
WRAPPERS = ("", "", "", "state_dict", "model_state_dict", "net", "ema", "checkpoint.model")


def tensor(chance: random.Random, dtype: str) -> Tensor:
    """A plain tensor, of few axes; some are empty, some are scalars."""
    shape = [chance.choice((0, 1, 2, 3, 5, 8)) for _ in range(chance.choice((0, 1, 1, 2, 2, 4)))]
    numbers = torch.tensor([chance.gauss(0, 30) for _ in range(torch.Size(shape).numel())]).reshape(shape)
    return numbers.abs().to(getattr(torch, dtype)) if dtype.startswith("u") else numbers.to(getattr(torch, dtype))


def view(chance: random.Random, value: Tensor) -> Tensor:
    """Another tensor on the same storage."""
    way = chance.choice(("whole", "slice", "turned", "wide", "strided", "flat", "conj", "imag", "parameter", "double"))
    if way == "slice" and value.ndim:
        return value[chance.randrange(value.shape[0] + 1) :]
    if way == "turned" and value.ndim > 1:
        return value.transpose(0, -1)
    if way == "wide":
        return value.unsqueeze(0).expand(chance.randrange(1, 4), *value.shape)
    if way == "strided" and value.numel() > 3:
        return value.flatten().as_strided((value.numel() // 3, 2), (2, 1), chance.randrange(2))
    if way == "flat":
        return value.reshape(-1)
    if way == "conj" and value.is_complex():
        return value.conj()
    if way == "imag" and value.is_complex():
        return value.conj().imag
    if way == "parameter" and value.is_floating_point() and value.dtype.itemsize > 1:
        return nn.Parameter(value, requires_grad=chance.random() < 0.5)
    return value[..., :: chance.choice((1, 2))] if way == "double" and value.ndim else value


def strange(chance: random.Random) -> Any:
    """What a module's state dict does not have."""
    return chance.choice(
        (
            lambda: torch.eye(3).to_sparse(),
            lambda: torch.eye(3).to_sparse_csr(),
            lambda: torch.empty(3, device="meta"),
            lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            lambda: 3,
            lambda: None,
            lambda: "text",
            lambda: [1, 2],
            lambda: {"lr": 0.1},
            lambda: object,
        )
    )()


def state_dict(chance: random.Random) -> dict[Any, Any]:
    """A state dict, perhaps in a checkpoint, and perhaps with something strange."""
    state: dict[Any, Any] = {}
    for number in range(chance.randrange(1, 6)):
        whole = tensor(chance, chance.choice(DTYPES))
        for part in range(chance.choice((1, 1, 2, 3))):
            state[f"layer{number}.{part}.weight"] = view(chance, whole)
    if chance.random() < 0.15:
        state[chance.choice(("odd", 7, "layer0.odd"))] = strange(chance)
    for name in reversed(chance.choice(WRAPPERS).split(".")):
        state = {name: state, "epoch": 3} if name else state
    return state


def stream(write: Callable[[io.RawIOBase], None]) -> bytes:
    """What is written to a file that can't be sought in: zip entries get data descriptors."""

    class Stream(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, part: Any, /) -> int:
            made.extend(part)
            return len(part)

    made = bytearray()
    write(Stream())
    return bytes(made)


def packed_anew(chance: random.Random, data: bytes) -> bytes:
    """The entries of an archive in another one."""
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    old = zipfile.ZipFile(io.BytesIO(data))
    entries = [(name, old.read(name)) for name in old.namelist()]
    if chance.random() < 0.5:
        chance.shuffle(entries)
    if chance.random() < 0.3:
        wrong = chance.choice((b"big", b"big", b"little", b"middle"))
        entries = [(name, wrong if name.endswith("byteorder") else content) for name, content in entries]
    if chance.random() < 0.2:
        entries = [(n, chance.choice((b"0", b"9", b"")) if n.endswith(".format_version") else c) for n, c in entries]
    if chance.random() < 0.1:
        entries = [(name, c[: len(c) // 2] if name.endswith("data/0") else c) for name, c in entries]
    one = chance.choice(methods)

    def write(target: Any) -> None:
        with zipfile.ZipFile(target, "w") as new:
            for name, content in entries:
                info = zipfile.ZipInfo(name)
                info.compress_type = one if chance.random() < 0.8 else zipfile.ZIP_STORED
                if chance.random() < 0.3:
                    info.extra = struct.pack("<HH", 0xCAFE, (size := chance.randrange(40))) + bytes(size)
                with new.open(info, "w", force_zip64=chance.random() < 0.3) as file:
                    file.write(content)
            new.comment = b"x" * chance.choice((0, 0, 300))

    buffer = io.BytesIO()
    if chance.random() < 0.3:
        return stream(write)
    write(buffer)
    return (b"prefix" if chance.random() < 0.1 else b"") + buffer.getvalue()


def write_file(chance: random.Random, folder: Path) -> Path:
    """A file of weights, of any name."""
    state = state_dict(chance)
    path = folder / f"w{chance.choice(('.pt', '.pth', '.bin', '.safetensors', '', '.ckpt.index.json'))}"
    buffer = io.BytesIO()
    form = chance.choice(("zip", "zip", "anew", "anew", "anew", "legacy"))
    try:
        torch.save(state, buffer, _use_new_zipfile_serialization=form != "legacy")
    except Exception:
        buffer = io.BytesIO()
        torch.save({"a": torch.ones(1)}, buffer)
    path.write_bytes(packed_anew(chance, buffer.getvalue()) if form == "anew" else buffer.getvalue())
    return path
