"""`netspec params`."""

from __future__ import annotations

from typing import cast

import click

from netspec.analysis.parameter_report import By
from netspec.cli.options import emit, format_for, open_network, report_options


@click.command("params")
@report_options
@click.option(
    "--by",
    type=click.Choice(("layer", "op", "block")),
    default="layer",
    show_default=True,
    help="What a row is: a layer, all layers of an op, or all in a block and the blocks in it.",
)
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
    report = open_network(network, settings, sizes).parameter_counts(cast(By, by))
    emit(report.to(format_for(format_, output)), output)
