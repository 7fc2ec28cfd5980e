"""`netspec params`."""

from __future__ import annotations

from typing import cast

import click

from netspec.analysis.parameters import By
from netspec.cli.options import NetworkOptions, network_options, report_options
from netspec.cli.output import ReportOptions


@click.command("params")
@network_options
@report_options
@click.option(
    "--by",
    type=click.Choice(("layer", "op", "block")),
    default="layer",
    show_default=True,
    help="What a row is: a layer, all layers of an op, or all in a block and the blocks in it.",
)
def command(
    network: NetworkOptions,
    by: str,
    output: ReportOptions,
) -> None:
    """Tell where a network's parameters are.

    \b
    Examples:
      netspec params vgg_e
      netspec params resnet50 --by block
      netspec params alexnet --by op --format markdown
    """
    report = network.open().parameters(cast(By, by))
    output.write(report)
