"""`netspec list`."""

from __future__ import annotations

import click

from netspec.cli.options import format_for, format_option


@click.command("list")
@format_option("How to print them.  [default: table]")
def command(format_: str | None) -> None:
    """List the bundled networks, with titles and sources.

    Any of these names stands for a NETWORK in the other commands, and in netspec.load().

    \b
    Examples:
      netspec list
      netspec list --format json
    """
    from netspec.report import Report
    from netspec.spec.library import bundled_names, find
    from netspec.spec.read import networks_of, read_spec
    from netspec.tables import Table

    rows: list[dict[str, str]] = []
    for name in bundled_names():
        source = find(name)
        for network in networks_of(source):
            spec = read_spec(source, network)
            shown = f"{name}:{network}" if network else name
            rows.append({"name": shown, "title": spec.title, "source": spec.source_note})
    report = Report({"networks": rows}, lambda: Table(["name", "title", "source"], [list(r.values()) for r in rows]))
    click.echo(report.to(format_for(format_, None)))
