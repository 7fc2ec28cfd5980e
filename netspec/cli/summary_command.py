"""`netspec summary`."""

from __future__ import annotations

import re

import click

from netspec.cli.options import NetworkOptions, networks_options, report_options
from netspec.cli.output import ReportOptions
from netspec.report import Report


@click.command("summary")
@networks_options
@report_options
@click.option("--train", is_flag=True, help="The training graph, with outputs that are built in training only.")
@click.option(
    "--depth", metavar="N|all", help="How deep to open blocks; `all` lists every op.  [default: 1, for one network]"
)
def command(
    networks: list[NetworkOptions],
    train: bool,
    depth: str | None,
    output: ReportOptions,
) -> None:
    """Tell a network's shapes, parameters, multiply-accumulates and receptive fields, layer by layer.

    Several networks are compared: one row each, with totals.

    JSON lists every op, whatever the depth; docs/summary-format.md describes it.

    \b
    Examples:
      netspec summary vgg_e
      netspec summary resnet50 --depth 2 --input 3x512x512
      netspec summary alexnet --set classes=10 --format json
      netspec summary resnet50 -o resnet50.csv
      netspec summary vgg_d vgg_e resnet50
    """
    if depth is not None and depth != "all" and not re.fullmatch("[1-9][0-9]{0,8}", depth):
        raise click.UsageError(f"--depth takes a number from 1, or `all`, not `{depth}`")
    mode = "train" if train else "inference"
    network, *others = networks
    if others:
        from netspec.analysis.compare import compare

        if depth is not None:
            raise click.UsageError("--depth is for one network; several are compared, one row each")
        graphs = [each.open().graph for each in networks]
        output.write(compare(graphs, mode))
        return
    summary = network.open().summary(mode)
    output.write(Report(summary, lambda: summary.table(None if depth == "all" else int(depth or 1))))
