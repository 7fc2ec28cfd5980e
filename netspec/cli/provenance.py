"""Tells by marks in files whether netspec wrote them: only such files may be overwritten without `--force`."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from netspec.report import Report

REPORT_FORMATS = ("table", "json", "csv", "markdown")
_MAX_BYTES = 100_000_000
"""The largest report, or header of a safetensors file, that is read."""
_TABLES = {"table": (r"\s{2,}", "-{5}"), "markdown": (r" \| ", r"\| -+")}
"""The separator of a table's headings, and the beginning of the line below them, by format."""
_MORE_TITLE_LINES = 2
"""How many more title lines a report may have than another of its kind, such as the source of a spec."""
_MODEL_HEAD = 256
"""The number of bytes within which an ONNX model names its producer."""
_ENDS = 4096
"""The number of bytes at the beginning and end of a picture's file that are searched for the mark."""


def is_our_source(path: Path) -> bool:
    """Whether a file is Python source that netspec wrote."""
    from netspec.backends.pytorch.source import SOURCE_MARK

    start = _start(path)
    # The docstring has the mark, perhaps wrapped over two lines.
    return start.startswith('"""') and SOURCE_MARK in " ".join(start.split('"""')[1].split())


def is_our_spec(path: Path) -> bool:
    """Whether a file is a spec that netspec wrote from a graph."""
    from netspec.backends.yaml.write import YAML_MARK

    return YAML_MARK in _start(path).split("\n")[0]


def is_our_program(path: Path) -> bool:
    """Whether a file is a program of torch.export that netspec wrote."""
    from netspec.backends.marks import NOTE

    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/{NOTE}") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError):
        return False


def is_our_arrays(path: Path) -> bool:
    """Whether a file holds arrays that `netspec run` saved."""
    from netspec.version import PRODUCER

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == PRODUCER.encode()
    except (zipfile.BadZipFile, ValueError):
        return False


def is_our_schema(path: Path) -> bool:
    """Whether a file is the JSON Schema of specs."""
    from netspec.spec.schema.schema import ID

    return f'"$id": "{ID}"' in _start(path)


def is_our_model(path: Path) -> bool:
    """Whether a file is an ONNX model that netspec wrote."""
    from netspec.version import PRODUCER

    with path.open("rb") as file:
        return PRODUCER.encode() in file.read(_MODEL_HEAD)


def is_our_diagram(path: Path) -> bool:
    """Whether netspec drew a file: it has the mark at its beginning, or in DOT and PDF at its end."""
    from netspec.backends.diagram.mark import DIAGRAM_MARK

    return _has_at_its_ends(path, DIAGRAM_MARK)


def is_our_picture(path: Path) -> bool:
    """Whether a file is a picture of detections that netspec drew: its EXIF data, at one of its ends, have the mark."""
    from netspec.backends.marks import PICTURE_MARK

    return _has_at_its_ends(path, PICTURE_MARK.encode())


def _has_at_its_ends(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        if mark in file.read(_ENDS):
            return True
        file.seek(max(0, path.stat().st_size - _ENDS))
        return mark in file.read()


def is_our_report(path: Path, report: Report) -> bool:
    """Whether a file is a report of the same kind and nothing else: a known format with equal headings."""
    if path.stat().st_size > _MAX_BYTES:
        return False
    text = path.read_text("utf-8", "replace")
    return any(_is_like(text, report.to(form), form) for form in REPORT_FORMATS)


def _is_like(text: str, report: str, format: str) -> bool:
    """Whether a text differs from a report, in the same format, only in its figures.

    A report that was pasted into another text has more lines above or below its table.
    """
    headings = _headings(text, format)
    if not headings or headings != _headings(report, format):
        return False
    if format == "json":
        return True
    if format == "csv":
        return all(len(row) == len(headings) for row in csv.reader(text.splitlines()))
    above, below = _lines_around_table(text, format)
    usually_above, usually_below = _lines_around_table(report, format)
    same_start = format != "markdown" or text[:2] == report[:2]
    return same_start and above <= usually_above + _MORE_TITLE_LINES and below <= usually_below


def _headings(text: str, format: str) -> Sequence[str]:
    """The headings of a report in a format (for JSON, its keys); none if the text is no such report."""
    if format == "json":
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            return ()
        return list(cast("dict[str, Any]", data)) if isinstance(data, dict) else ()
    if format == "csv":
        return text.split("\n", 1)[0].split(",")
    # Headings are above a line of dashes; in text, they have the spacing of the cells.
    between, rule = _TABLES[format]
    lines = text.splitlines()
    head = next((above for above, line in pairwise(lines) if re.match(rule, line)), "")
    return re.split(between, head.strip()) if head else ()


def _lines_around_table(text: str, format: str) -> tuple[int, int]:
    """The numbers of lines above and below a report's table; several paragraphs count as very many."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    rule = re.compile(_TABLES[format][1])
    table = next(number for number, each in enumerate(paragraphs) if any(map(rule.match, each.split("\n"))))
    parts = paragraphs[:table], paragraphs[table + 1 :]
    above, below = (_MAX_BYTES if len(part) > 1 else sum(each.count("\n") + 1 for each in part) for part in parts)
    return above, below


def is_our_weights(path: Path, beside: str = "") -> bool:
    """Whether netspec wrote a file of weights that belongs to the file named `beside`, or to none where it is "".

    Raises ClickException if it belongs to another file that exists.
    """
    owner = _owner(path)
    if owner is None or owner == beside:
        return owner is not None
    if owner and not (path.parent / owner).exists():
        return True
    whose = f"the weights of {owner}" if owner else "weights that were converted"
    raise click.ClickException(f"{path} holds {whose}: choose another -o; --force overwrites it")


def _owner(path: Path) -> str | None:
    """The name of the file that weights belong to, "" for none; None if netspec did not write the weights."""
    from netspec.version import PRODUCER

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _MAX_BYTES else b""
    try:
        mark: dict[str, Any] = json.loads(json.loads(header)["__metadata__"][PRODUCER])
        return str(mark.get("beside", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _start(path: Path) -> str:
    """The first characters of a text file."""
    with path.open("rb") as file:
        return file.read(4096).decode("utf-8", "replace")
