"""`netspec ops`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from netspec.cli.completion import complete_op
from netspec.cli.options import format_option, own_ops
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.ops.base import Op
    from netspec.tables import Cell, Table

_MAX_WIDTH = 120


@click.command("ops")
@click.argument("name", required=False, shell_complete=complete_op)
@format_option("How to print it.  [default: table]")
@own_ops
def command(name: str | None, format_: str | None) -> None:
    """List the ops by family, or tell all about the one of this name.

    All about an op: what it does, its attributes with what they take and their defaults, and examples with the
    shapes they give, the parameters they have and the multiply-accumulates they cost. docs/ops.md has all of them.

    \b
    Examples:
      netspec ops
      netspec ops conv2d
      netspec ops --format json
      netspec ops --ops my_ops.py my_op
    """
    form = format_ or "table"
    if name is None:
        echo(_list(form))
    elif form == "csv":
        raise click.UsageError("one op is printed as table, json or markdown; csv is for the list")
    else:
        echo(_about(name, form))


def _about(name: str, format_: str) -> str:
    """The reference of one op as text in an output format."""
    from netspec.errors import fail
    from netspec.ops.own import find_op, op_names
    from netspec.ops.reference import reference
    from netspec.report import to_json
    from netspec.spec.read.hints import op_hint

    cls = find_op(name)
    if cls is None:
        hint = op_hint(name, op_names()) or op_hint(name.lower(), op_names())
        fail("NS203", f"there is no op `{name}`", help=hint or "`netspec ops` lists them")
    op_reference = reference(cls)
    if format_ == "json":
        return to_json(op_reference.to_dict())
    return op_reference.to_markdown() if format_ == "markdown" else op_reference.to_text(_width())


@dataclass(frozen=True, slots=True)
class _Row:
    """An op of the list; `error` says why an op that an installed package announces can't be used."""

    name: str
    family: str
    principal: str | None
    about: str
    module: str | None
    error: str | None = None


def _list(format_: str) -> str:
    """The list of ops as text in an output format."""
    from netspec.report import to_json
    from netspec.tables import Table

    rows = _rows()
    if format_ == "json":
        keys = ("name", "family", "principal", "about", "module", "error")
        return to_json({"ops": [{key: getattr(row, key) for key in keys} for row in rows]})
    if format_ == "table":
        return _by_family(rows).to_text()
    cells: list[Sequence[Cell]] = [
        (row.name, row.family, row.principal or "", row.error or row.about, row.module or "") for row in rows
    ]
    return Table(["op", "family", "principal", "about", "module"], cells).to(format_)


def _rows() -> list[_Row]:
    """All ops, sorted by family; those that can't be used come last."""
    from netspec.errors import NetspecError
    from netspec.ops import REGISTRY
    from netspec.ops.own import announced, find_op
    from netspec.ops.reference import by_family

    broken: list[_Row] = []
    for name, entry in announced().items():
        try:
            find_op(name)
        except NetspecError as error:
            module = entry.value.partition(":")[0]
            broken.append(_Row(name, "", None, "", module, error.diagnostics[0].message))
    return [_row(cls) for family in by_family(REGISTRY.values()).values() for cls in family] + broken


def _row(cls: type[Op]) -> _Row:
    from netspec.ops.reference import defining_module, first_line

    return _Row(cls.opname, cls.family, cls.principal, first_line(cls), defining_module(cls))


def _by_family(rows: list[_Row]) -> Table:
    """The list for a terminal: families as headings, and each op's sentence wrapped to the width."""
    from netspec.ops.reference import heading
    from netspec.tables import Table

    names = [f"  {row.name}" for row in rows]
    titles = ["Can't be used" if row.error else heading(row.family) for row in rows]
    left_columns = max(map(len, (*names, *titles))) + max(len(row.principal or "principal") for row in rows)
    cells: list[Sequence[Cell]] = []
    family = None
    for name, title, row in zip(names, titles, rows, strict=True):
        if title != family:
            if cells:
                cells.append(("", "", ""))
            cells.append((title, "", ""))
            family = title
        about = f"({row.module}) {row.error or row.about}" if row.module else row.about
        first, *more = textwrap.wrap(about, max(_width() - left_columns - 4, 30)) or [""]
        cells.append((name, row.principal or "", first))
        cells += [("", "", line) for line in more]
    note = "`netspec ops NAME` tells all about one. A bare value stands for the principal attribute."
    return Table(["op", "principal", "what it is"], cells, notes=textwrap.wrap(note, _width()))


def _width() -> int:
    """The width of the list in characters: that of the terminal, or 80 if the output is a pipe."""
    return min(shutil.get_terminal_size().columns, _MAX_WIDTH)
