"""Reads arrays from NumPy's `.npy` files, and writes outputs to `.npz` files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from netspec.backends.onnx.narrow import Array
from netspec.errors import fail
from netspec.files import no_file
from netspec.version import PRODUCER


def read_array(path: Path) -> Array:
    """The array in a `.npy` file. Raises NetspecError NS503 for any other file; pickled objects are never loaded."""
    if not path.is_file():
        what = no_file(path)
        fail("NS503", f"{path} is no file: it is {what}" if what else f"there is no file {path}")
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # NumPy raises errors of any kind for a damaged file
        fail("NS503", f"{path} is no array of numpy, or damaged", help="`numpy.save` writes one, as NAME.npy")


def write_arrays(outputs: Sequence[Mapping[str, Array]], path: Path) -> None:
    """Write the outputs of one or more runs to a `.npz` file; several runs are joined along the batch.

    Raises NetspecError NS503 where an output has different sizes in different runs.
    """
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = PRODUCER.encode()
        for name in outputs[0]:
            # `numpy.savez` takes arrays as keyword arguments, so an output can't be called `file`.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _joined(name, [run[name] for run in outputs]), allow_pickle=False)


def _joined(name: str, parts: Sequence[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    if any(part.ndim == 0 or part.shape[1:] != parts[0].shape[1:] for part in parts):
        fail("NS503", f"`{name}` has another size for each image, and can't be one array", help="save them one by one")
    return np.concatenate(parts)
