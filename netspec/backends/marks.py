"""Marks files of weights and pictures as netspec's, and reads the mark of weights, without torch.

That mark is JSON under the key `netspec` of the metadata: `{"params": {"classes": 10}, "beside": "resnet18.py"}`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from netspec.backends.stored import SafetensorsFile
from netspec.errors import NetspecError
from netspec.version import PRODUCER

PICTURE_MARK = "detections by netspec"
"""Stands in the EXIF data of a picture of detections."""
NOTE = "netspec.txt"
"""The name of the file in a .pt2 archive that marks it as netspec's."""


def save_arrays(
    weights: Mapping[str, Any], path: str | os.PathLike[str], params: Mapping[str, Any], beside: str = ""
) -> None:
    """Write arrays as safetensors with netspec's mark; `params` are the parameters of their network."""
    with errors_of_the_system():
        save_file(dict(weights), path, metadata=metadata_for(params, beside))


@contextmanager
def errors_of_the_system() -> Generator[None]:
    """Turn system errors in safetensors' writer, such as a full disk, into OSError."""
    try:
        yield
    except SafetensorError as error:
        # The message has "(os error 28)", or in older releases `Os { code: 28, ... }`.
        code = re.search(r"\b(?:os error |code: )(\d+)", str(error))
        if code is None:
            raise OSError(str(error)) from None
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from None


def metadata_for(params: Mapping[str, Any], beside: str = "") -> dict[str, str]:
    """The metadata of a file of weights; `beside` is the name of the file that it belongs to, or ""."""
    return {"format": "pt", PRODUCER: json.dumps({"params": dict(params), **({"beside": beside} if beside else {})})}


def written_for(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The parameters of the network that netspec wrote a file of weights for; None if it did not write the file."""
    try:
        return dict(json.loads(SafetensorsFile(os.fsdecode(path)).metadata[PRODUCER])["params"])
    except (NetspecError, ValueError, KeyError, TypeError, RecursionError):
        return None
