"""`netspec rf`."""

from __future__ import annotations

import click

from netspec.cli.options import emit, format_for, open_network, report_options


@click.command("rf")
@report_options
@click.option("--all", "every", is_flag=True, help="Every op, and not only those that see more than what enters them.")
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    every: bool,
    format_: str | None,
    output: str | None,
) -> None:
    """Tell receptive fields: what one unit of each layer sees of the input.

    Exact, padding and branches included, in the terms of Araujo, Norris & Sim, "Computing Receptive Fields of
    Convolutional Neural Networks", Distill 2019.

    \b
    Examples:
      netspec rf vgg_d
      netspec rf resnet50 --input 3x512x512 --format csv
    """
    from netspec.analysis.field_report import field_report, field_table
    from netspec.network import to_json

    graph = open_network(network, settings, sizes).graph
    data = field_report(graph, every=every)
    chosen = format_for(format_, output)
    emit(to_json(data) if chosen == "json" else field_table(graph, data).to(chosen), output)
