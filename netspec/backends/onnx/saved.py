"""Arrays in numpy's files: inputs that are read, outputs that are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from netspec.backends.onnx.lower import Array
from netspec.errors import fail


def read_array(path: Path) -> Array:
    """The array in a file `.npy`. Raises NetspecError NS503 for what is none; nothing that is pickled is opened."""
    if not path.is_file():
        fail("NS503", f"there is no file {path}" if not path.exists() else f"{path} is no file")
    try:
        found: object = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        # What numpy says of other files is how to open what is pickled.
        fail("NS503", f"{path} is no array of numpy, or cut off", help="`numpy.save` writes one, as NAME.npy")
    if not isinstance(found, np.ndarray):
        fail("NS503", f"{path} holds several arrays", help="save each by `numpy.save`, as NAME.npy")
    return cast(Array, found)


def write_arrays(outputs: Sequence[Mapping[str, Array]], path: Path) -> None:
    """Write outputs, those of several runs joined, as a file `.npz`."""
    joined = {name: np.concatenate([each[name] for each in outputs]) for name in outputs[0]}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **joined)
