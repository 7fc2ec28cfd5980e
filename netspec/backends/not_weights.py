"""Recognises files that are no state dict, such as archives and other formats, and suggests a way out."""

from __future__ import annotations

import re
import zipfile
from io import BufferedReader

_EXPORT = "save its weights from the program that made it, with `torch.save` or as safetensors"
_UNPACK = "unpack it first"
_AGAIN = "download it again, or save it again"

_BEGINNINGS: list[tuple[int, bytes, str, str]] = [
    (0, b"version https://git-lfs", "it is a pointer of git-lfs, and not the file itself", "`git lfs pull` fetches it"),
    (0, b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, as Keras and h5py write them", _EXPORT),
    (0, b"\x93NUMPY", "it is an array of numpy", "a state dict has one for each key: save it as safetensors"),
    (0, b"GGUF", "it is a GGUF file", _EXPORT),
    (4, b"TFL3", "it is a model of TensorFlow Lite", _EXPORT),
    (0, b"\x1f\x8b", "it is compressed by gzip", _UNPACK),
    (0, b"BZh", "it is compressed by bzip2", _UNPACK),
    (0, b"\xfd7zXZ", "it is compressed by xz", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "it is compressed by zstd", _UNPACK),
    (0, b"7z\xbc\xaf", "it is a 7z archive", _UNPACK),
    (0, b"Rar!", "it is a rar archive", _UNPACK),
    (257, b"ustar", "it is a tar archive", f"{_UNPACK}; one that torch.save wrote before 0.1.10 is to be saved again"),
    (0, b"model_checkpoint_path", "it is of a checkpoint of TensorFlow", _EXPORT),
    (0, b"%PDF", "it is a PDF document", ""),
    (0, b"\x89PNG", "it is an image", ""),
    (0, b"\xff\xd8\xff", "it is an image", ""),
    (0, b"\x7fELF", "it is a program", ""),
]
"""An offset in a file, the bytes there, the kind of file that has them, and a way out."""
_LEVELDB_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""The last bytes of a LevelDB table: the index of a checkpoint of TensorFlow is one."""
_MEMBERS: list[tuple[str, str, str]] = [
    (r"[^/]+\.npy$", "it is an archive of numpy's arrays (.npz)", "`safetensors.numpy.save_file` writes them anew"),
    (r"(model\.weights\.h5|config\.json)$", "it is a model of Keras", _EXPORT),
    (r"[^/]+/constants\.pkl$", "it is a TorchScript archive", "`torch.jit.load(FILE).state_dict()` is what it holds"),
    (r"[^/]+/archive_format$", "it is a program of torch.export", "`torch.export.load(FILE).state_dict` is in it"),
]  # fmt: skip
"""A pattern of names in an archive, the kind of archive that has them, and a way out."""
_COMPRESSION_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_COPY = "unpack it, and pack it anew with `zip -0`, or save the state dict anew"


def describe_file(file: BufferedReader) -> tuple[str, str] | None:
    """A clause about the kind of a file, and a help line; None for an unknown kind."""
    file.seek(0)
    begin = file.read(4096)
    if not begin:
        return "it is cut off: it is empty", _AGAIN
    if begin.startswith(b"PK"):
        return _archive(file)
    for offset, magic, what, help in _BEGINNINGS:
        if begin.startswith(magic, offset):
            return what, help
    if not begin.strip(b"\0"):
        return "it is cut off, or not written to its end: it begins with zeros", _AGAIN
    if re.match(rb"\s*(<!doctype|<html|<\?xml)", begin, re.IGNORECASE):
        return "it is a page of the web, such as one that asks to log in or says what went wrong", _AGAIN
    if _is_onnx(begin):
        return "it is an ONNX model", "`netspec import` takes one that netspec exported"
    file.seek(-min(8, file.seek(0, 2)), 2)
    if file.read() == _LEVELDB_MAGIC or re.search(r"\.data-\d{5}-of-\d{5}$", str(file.name)):
        return "it is of a checkpoint of TensorFlow", _EXPORT
    return _text(begin)


def _archive(file: BufferedReader) -> tuple[str, str] | None:
    """A clause about the kind of a zip archive, and a help line; None for one that torch.save may have written."""
    try:
        entries = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "it is cut off: what ends an archive, as torch.save writes it, is not there", _AGAIN
    for entry in entries:
        if entry.flag_bits & 1:
            return "it is encrypted", _UNPACK
    for pattern, what, help in _MEMBERS:
        if any(re.match(pattern, entry.filename) for entry in entries):
            return what, help
    if not any(re.match(r"[^/]+/data\.pkl$", entry.filename) for entry in entries):
        return "it is a zip archive, and not one that torch.save wrote", f"{_UNPACK}, if the weights are in it"
    methods = {entry.compress_type for entry in entries} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if methods:
        names = " and ".join(_COMPRESSION_METHODS.get(method, f"method {method}") for method in sorted(methods))
        return f"it was compressed anew by {names}, which torch.load does not read", _COPY
    return None


def _is_onnx(begin: bytes) -> bool:
    """Whether a file begins like an ONNX model: with the IR version, then a field such as the producer or graph."""
    return begin[:1] == b"\x08" and begin[1:2] < b"\x20" and begin[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42")


def _text(begin: bytes) -> tuple[str, str] | None:
    """A clause with the first line of a text file, and no help line; None for binary data."""
    try:
        text = begin.decode("utf-8")
    except UnicodeDecodeError:
        return None
    line = text.strip().partition("\n")[0].strip()
    if not line.isprintable():
        return None
    return f"it is a text, which begins with `{line[:60]}`, and not one that torch.save wrote", ""
