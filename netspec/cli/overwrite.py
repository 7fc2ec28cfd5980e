"""The marks by which netspec knows the files that it wrote, so that it may write them again."""

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

from netspec.files import is_input

if TYPE_CHECKING:
    from netspec.report import Report

REPORT_FORMATS = ("table", "json", "csv", "markdown")
_LONGEST = 100_000_000
"""How long what is looked at may be: a report, or the header of a safetensors file."""
_TABLES = {"table": (r"\s{2,}", "-{5}"), "markdown": (r" \| ", r"\| -+")}
"""What stands between the headings of a table, and how the line below them begins."""
_MORE_ABOVE = 2
"""How many more lines of title a report may have than another of its kind, such as the source of a spec."""


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
    from netspec.backends.marks import PRODUCER

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == PRODUCER.encode()
    except (zipfile.BadZipFile, ValueError):
        return False


def is_our_schema(path: Path) -> bool:
    """Whether a file is the JSON Schema of specs."""
    from netspec.spec.schema.schema import ID

    return f'"$id": "{ID}"' in _start(path)


def is_our_report(path: Path, report: Report) -> bool:
    """Whether a file is a report like this one, and no more: in one of the formats, under the same headings."""
    if path.stat().st_size > _LONGEST:
        return False
    text = path.read_text("utf-8", "replace")
    return any(_is_like(text, report.to(form), form) for form in REPORT_FORMATS)


def _is_like(text: str, report: str, format: str) -> bool:
    """Whether a text differs from a report in a format by its figures only.

    A report that somebody pasted into a text of theirs has more above it or below.
    """
    heads = _heads(text, format)
    if not heads or heads != _heads(report, format):
        return False
    if format == "json":
        return True
    if format == "csv":
        return all(len(row) == len(heads) for row in csv.reader(text.splitlines()))
    above, below = _around(text, format)
    usually_above, usually_below = _around(report, format)
    begins_so = format != "markdown" or text[:2] == report[:2]
    return begins_so and above <= usually_above + _MORE_ABOVE and below <= usually_below


def _heads(text: str, format: str) -> Sequence[str]:
    """The headings of a report's text in a format, nothing if it is not one: of JSON, its keys."""
    if format == "json":
        try:
            found: Any = json.loads(text)
        except (ValueError, RecursionError):
            return ()
        return list(cast("dict[str, Any]", found)) if isinstance(found, dict) else ()
    if format == "csv":
        return text.split("\n", 1)[0].split(",")
    # Above a line of dashes; of a table as text they stand as wide apart as its cells are.
    between, rule = _TABLES[format]
    lines = text.splitlines()
    head = next((above for above, line in pairwise(lines) if re.match(rule, line)), "")
    return re.split(between, head.strip()) if head else ()


def _around(text: str, format: str) -> tuple[int, int]:
    """How many lines stand above the table of a report and below it; more paragraphs than one count as many."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    rule = re.compile(_TABLES[format][1])
    table = next(number for number, each in enumerate(paragraphs) if any(map(rule.match, each.split("\n"))))
    parts = paragraphs[:table], paragraphs[table + 1 :]
    above, below = (_LONGEST if len(part) > 1 else sum(each.count("\n") + 1 for each in part) for part in parts)
    return above, below


def is_our_weights(path: Path, beside: str = "") -> bool:
    """Whether netspec wrote a file of weights to stand beside the file of this name, or, without one, alone.

    Raises ClickException where it wrote it to stand beside another file that is there.
    """
    owner = _owner(path)
    if owner is None or owner == beside:
        return owner is not None
    if owner and not (path.parent / owner).exists():
        return True
    whose = f"the weights of {owner}" if owner else "weights that were converted"
    raise click.ClickException(f"{path} holds {whose}: choose another -o; --force overwrites it")


def _owner(path: Path) -> str | None:
    """The name of the file that a file of weights was written beside, "" for none; None if netspec did not write it."""
    from netspec.backends.marks import PRODUCER

    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _LONGEST else b""
    try:
        mark: dict[str, Any] = json.loads(json.loads(header)["__metadata__"][PRODUCER])
        return str(mark.get("beside", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def weights_beside(path: Path, force: bool) -> Path:
    """The file beside another that takes its weights; refused where that would lose those of another file."""
    from netspec.cli.output import check_overwrite

    beside = path.with_suffix(".safetensors")
    if is_input(beside):
        raise click.ClickException(f"{beside} is the file of weights, and would be overwritten: choose another -o")
    check_overwrite(beside, lambda file: is_our_weights(file, path.name), force)
    return beside


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(4096).decode("utf-8", "replace")
