"""`netspec explain`."""

from __future__ import annotations

import click

from netspec.cli.options import network, open_network, output_options, spec_options
from netspec.cli.output import OutputOptions


@click.command("explain")
@network
@click.argument("part", default="")
@spec_options
@output_options
def command(
    network: str,
    part: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    output: OutputOptions,
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
    report = open_network(network, settings, sizes).explain(part)
    output.write(report)
