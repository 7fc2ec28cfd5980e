"""`netspec list`."""

from __future__ import annotations

import click

from netspec.cli.options import format_option


@click.command("list")
@format_option("table", "json", "csv", "markdown")
def command(format_: str) -> None:
    """List the bundled networks, with titles and sources.

    \b
    netspec list
    """
    from netspec.network import to_json
    from netspec.spec.library import bundled_names, find
    from netspec.spec.read import read_spec
    from netspec.tables import Table

    specs = [read_spec(find(name)) for name in bundled_names()]
    if format_ == "json":
        rows = [{"name": s.name, "title": s.title, "source": s.source_note} for s in specs]
        click.echo(to_json({"networks": rows}))
        return
    click.echo(Table(["name", "title", "source"], [[s.name, s.title, s.source_note] for s in specs]).to(format_))
