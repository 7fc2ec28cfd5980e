"""`netspec params`."""

from __future__ import annotations

from typing import cast

import click

from netspec.analysis.parameter_report import By
from netspec.cli.options import emit, format_for, format_option, network_options, open_network


@click.command("params")
@network_options
@click.option(
    "--by",
    type=click.Choice(("layer", "op", "block")),
    default="layer",
    show_default=True,
    help="What a row is: a layer, all layers of an op, or all in a block and the blocks in it.",
)
@format_option("How to print it.  [default: by the suffix of -o, else table]")
@click.option("-o", "--output", metavar="FILE", help="Write to a file (.json, .csv, .md or a table as text).")
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    by: str,
    format_: str | None,
    output: str | None,
) -> None:
    """Tell where a network's parameters are.

    \b
    Examples:
      netspec params vgg_e
      netspec params resnet50 --by block
      netspec params alexnet --by op --format markdown
    """
    from netspec.analysis.parameter_report import parameter_report, parameter_table
    from netspec.network import to_json

    graph = open_network(network, settings, sizes).graph
    data = parameter_report(graph, cast(By, by))
    chosen = format_for(format_, output)
    emit(to_json(data) if chosen == "json" else parameter_table(graph, data).to(chosen), output)
