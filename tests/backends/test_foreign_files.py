"""Files that hold no weights: each is told what it is, and what to do."""

from __future__ import annotations

import argparse
import builtins
import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec import NetspecError
from netspec.backends import opened
from netspec.backends.onnx.weights import arrays_of
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnx
    import torch
    from safetensors.torch import save_file
    from torch import nn

    from netspec.backends.pytorch.runtime.weights import read_weights


@cache
def fc() -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.eye(4), "fc.bias": torch.ones(4)}


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


def tar(buffer: io.BytesIO) -> None:
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("w.pt"))


def program(buffer: io.BytesIO) -> None:
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), buffer)


def script(buffer: io.BytesIO) -> None:
    buffer.write(archive(w__data_pkl=b"", w__constants_pkl=b"", w__code=b"", w__version=b"3\n"))


def model(buffer: io.BytesIO) -> None:
    graph = onnx.helper.make_graph([], "g", [], [])
    buffer.write(onnx.helper.make_model(graph, producer_name="p").SerializeToString())


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 102530333\n"
TABLE = bytes(100) + b"abc" + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "lfs.pth": (lambda: LFS, "it is a pointer of git-lfs, and not the file itself\n   help: `git lfs pull` fetches it"),
    "page.pth": (lambda: b"<!DOCTYPE html>\n<html>", "it is a page of the web, .*\n   help: download it again"),
    "page.safetensors": (lambda: b"\n  <HTML lang='en'>", "it is a page of the web"),
    "error.xml": (lambda: b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "it is a page of the web"),
    "error.json": (lambda: b'{"error": "not found"}', r'it is a text, which begins with `{"error": "not found"}`'),
    "notes.txt": (lambda: "Grüße\nan alle".encode(), "it is a text, which begins with `Grüße`"),
    "keras.h5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), "it is an HDF5 file, .*\n   help: save its"),
    "keras.keras": (lambda: archive(config_json=b"{}"), "it is a model of Keras"),
    "tf.index": (lambda: TABLE, "it is of a checkpoint of TensorFlow"),
    "tf.data-00000-of-00001": (lambda: bytes(range(1, 200)), "it is of a checkpoint of TensorFlow"),
    "checkpoint": (lambda: b'model_checkpoint_path: "tf"\n', "it is of a checkpoint of TensorFlow"),
    "a.npz": (lambda: written(lambda file: np.savez(file, a=np.zeros(3))), "it is an archive of numpy's arrays"),
    "a.npy": (lambda: written(lambda file: np.save(file, np.zeros(3))), "it is an array of numpy"),
    "m.onnx": (lambda: written(model), "it is an ONNX model\n   help: `netspec import` takes one"),
    "m.gguf": (lambda: b"GGUF" + bytes(40), "it is a GGUF file"),
    "w.pt.gz": (lambda: gzip.compress(saved(fc())), "it is compressed by gzip\n   help: unpack it first"),
    "w.tar": (lambda: written(tar), "it is a tar archive\n   help: unpack it first"),
    "w.zip": (lambda: archive(w_pt=saved(fc())), "it is a zip archive, .*\n   help: unpack it first"),
    "program.pt2": (lambda: written(program), "it is a program of torch.export\n   help: `torch.export.load"),
    "script.pt": (lambda: written(script), "it is a TorchScript archive\n   help: `torch.jit.load"),
    "empty.pth": (lambda: b"", "it is cut off: it is empty\n   help: download it again"),
    "empty.safetensors": (lambda: b"", "it is empty"),
    "zeros.pth": (lambda: bytes(5000), "it is cut off, or not written to its end: it begins with zeros"),
    "cut.pth": (lambda: saved(fc())[:700], "it is cut off: what ends an archive"),
    "old.pth": (lambda: saved(fc(), _use_new_zipfile_serialization=False)[:300], "it is cut off, or"),
    "module.pth": (lambda: saved(nn.Linear(2, 2)), "such as `torch.nn.modules.linear.Linear`\n   help: load"),
    "args.pth": (lambda: saved({"args": argparse.Namespace(a=1), "model": fc()}), "such as `argparse.Namespace`"),
    "number.pth": (lambda: saved({"best": np.float64(1), "model": fc()}), r"such as `numpy._core.multiarray.scalar`"),
    "new.pth": (lambda: saved(fc(), pickle_protocol=4), "it is a pickle, and not one that torch.save"),
    "w.pkl": (lambda: pickle.dumps({"a": 1}), "it is a pickle, and not one that torch.save"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FOREIGN)
def test_what_a_file_is(name: str, tmp_path: Path) -> None:
    make, said = FOREIGN[name]
    (tmp_path / name).write_bytes(make())
    for read in (read_weights, arrays_of):
        with pytest.raises(NetspecError, match=f"(?s)NS501: .*{name} .*{said}"):
            read(tmp_path / name)


def test_an_encrypted_archive(tmp_path: Path) -> None:
    data = bytearray(saved(fc()))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(NetspecError, match="it is encrypted"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("read", [read_weights, arrays_of], ids=["torch", "onnx"])
def test_places_that_are_no_file(read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetspecError, match=r"there is no file .*none\.pth"):
        read(tmp_path / "none.pth")
    (tmp_path / "model").mkdir()
    with pytest.raises(NetspecError, match=r"model is a folder, and no file of weights$"):
        read(tmp_path / "model")
    save_file(fc(), tmp_path / "model" / "w.safetensors")
    with pytest.raises(NetspecError, match=r"no file of weights\n   help: it holds `.*model/w.safetensors`"):
        read(tmp_path / "model")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NetspecError, match="pipe is no file: it is a pipe"):
        read(tmp_path / "pipe")
    with pytest.raises(NetspecError, match="there is no file"):
        read("\0")

    def refusing(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    save_file(fc(), tmp_path / "w.safetensors")
    monkeypatch.setattr(opened, "open", refusing, raising=False)
    with pytest.raises(NetspecError, match=r"w.safetensors can't be read: permission denied$"):
        read(tmp_path / "w.safetensors")


def test_what_the_system_says_while_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(fc(), tmp_path / "w.pt")

    class Failing(io.BufferedReader):
        def read(self, *_: Any) -> bytes:
            raise OSError(5, "Input/output error")

    def failing(name: str, mode: str) -> Failing:
        return Failing(builtins.open(name, mode, buffering=0))

    monkeypatch.setattr(opened, "open", failing, raising=False)
    with pytest.raises(NetspecError, match=r"w.pt can't be read: input/output error$"):
        netspec.load("resnet18").compile(tmp_path / "w.pt")
