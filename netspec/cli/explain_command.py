"""`netspec explain`."""

from __future__ import annotations

import click

from netspec.cli.options import NetworkOptions, network_options, report_options
from netspec.cli.output import ReportOptions


@click.command("explain")
@network_options
@click.argument("part", default="")
@report_options
def command(
    network: NetworkOptions,
    part: str,
    output: ReportOptions,
) -> None:
    """Tell where a part of a network comes from, and each of its values: the spec, a default, or --set.

    PART is a path as in every table and state dict: an op, a use of a block, a branch, a repeat, a weight; or an
    input, an output, a parameter of the spec; or a step that a condition left out. Without it, the network.

    \b
    Examples:
      netspec explain resnet50 layer2.0
      netspec explain resnet50 layer1.1.shortcut.conv_bn
      netspec explain vgg_e fc8 --set classes=10
    """
    report = network.open().explain(part)
    output.write(report)
