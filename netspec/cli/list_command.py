"""`netspec list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from netspec.cli.options import report_options
from netspec.cli.output import ReportOptions


@click.command("list")
@report_options
def command(output: ReportOptions) -> None:
    """List the bundled networks, with titles and sources.

    Any of these names stands for a NETWORK in the other commands, and in netspec.load(); so do those under `also`.
    Capital letters, `-` and `_` make no difference: ResNet-50 is resnet50.

    \b
    Examples:
      netspec list
      netspec list --format json
    """
    from netspec.report import Report
    from netspec.spec.read.read_spec import networks_of, read_spec
    from netspec.spec.sources.aliases import aliases_of
    from netspec.spec.sources.bundled import bundled_names
    from netspec.spec.sources.find import find
    from netspec.tables import Table

    rows: list[dict[str, Any]] = []
    for name in bundled_names():
        source = find(name)
        for network in networks_of(source):
            spec = read_spec(source, network)
            shown = f"{name}:{network}" if network else name
            others = {alias: dict(params) for alias, params in aliases_of(name).items()}
            rows.append({"name": shown, "aliases": others, "title": spec.title, "source": spec.source_note})
    report = Report({"networks": rows}, lambda: Table(["name", "also", "title", "source"], list(map(_cells, rows))))
    output.write(report)


def _cells(row: Mapping[str, Any]) -> list[str]:
    from netspec.spec.sources.aliases import params_text

    also = [f"{alias} ({params_text(params)})" if params else alias for alias, params in row["aliases"].items()]
    return [row["name"], ", ".join(also), row["title"], row["source"]]
