"""The mark in files of weights that netspec writes, by which it knows them again; read without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

MARK = "netspec"
"""Stands in the metadata of every file of weights that netspec writes."""


def save_arrays(weights: Mapping[str, Any], path: str | os.PathLike[str], params: Mapping[str, Any]) -> None:
    """Write arrays as safetensors, marked as netspec's, with the parameters of the network that they are for."""
    save_file(dict(weights), path, metadata=metadata_for(params))


def metadata_for(params: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the metadata of a file of weights."""
    return {"format": "pt", MARK: json.dumps({"params": dict(params)})}


def written_for(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The parameters of the network that netspec wrote a file of weights for; None if it did not write it."""
    try:
        with safe_open(path, framework="np") as file:  # pyright: ignore[reportUnknownVariableType]
            metadata = cast("dict[str, str] | None", file.metadata())  # pyright: ignore[reportUnknownMemberType]
        return dict(json.loads((metadata or {})[MARK])["params"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
