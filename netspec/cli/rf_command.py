"""`netspec rf`."""

from __future__ import annotations

import click

from netspec.cli.options import NetworkOptions, network_options, report_options
from netspec.cli.output import ReportOptions


@click.command("rf")
@network_options
@report_options
@click.option("--all", "every", is_flag=True, help="Every op, and not only those that see more than what enters them.")
def command(
    network: NetworkOptions,
    every: bool,
    output: ReportOptions,
) -> None:
    """Tell receptive fields: what one unit of each layer sees of the input.

    Exact, padding and branches included, in the terms of Araujo, Norris & Sim, "Computing Receptive Fields of
    Convolutional Neural Networks", Distill 2019.

    \b
    Examples:
      netspec rf vgg_d
      netspec rf resnet50 --input 3x512x512 --format csv
    """
    report = network.open().receptive_fields(every=every)
    output.write(report)
