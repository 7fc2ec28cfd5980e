"""The version of netspec, and its name in the files that it writes."""

from __future__ import annotations

VERSION = "0.1.0"
PRODUCER = "netspec"
"""Stands in files that netspec wrote: as the producer of an ONNX model, and in the metadata of weights."""
