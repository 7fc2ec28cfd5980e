"""`netspec summary`."""

from __future__ import annotations

import re

import click

from netspec.cli.options import emit, format_for, open_network, report_options


@click.command("summary")
@report_options
@click.option("--train", is_flag=True, help="The training graph, with outputs that are built in training only.")
@click.option(
    "--depth", default="1", metavar="N|all", show_default=True, help="How deep to open blocks; `all` lists every op."
)
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    train: bool,
    depth: str,
    format_: str | None,
    output: str | None,
) -> None:
    """Tell a network's shapes, parameters, multiply-accumulates and receptive fields, layer by layer.

    JSON lists every op, whatever the depth; docs/summary-format.md describes it.

    \b
    Examples:
      netspec summary vgg_e
      netspec summary resnet50 --depth 2 --input 3x512x512
      netspec summary alexnet --set classes=10 --format json
      netspec summary resnet50 -o resnet50.csv
    """
    from netspec.tables import Table

    if depth != "all" and not re.fullmatch("[1-9][0-9]{0,8}", depth):
        raise click.UsageError(f"--depth takes a number from 1, or `all`, not `{depth}`")
    found = open_network(network, settings, sizes).summary("train" if train else "inference")
    chosen = format_for(format_, output)
    if chosen == "json":
        emit(found.to_json(), output)
        return
    table = found.table(None if depth == "all" else int(depth))
    assert isinstance(table, Table)
    emit(table.to(chosen), output)
