"""`netspec diff`."""

from __future__ import annotations

import click

from netspec.cli.completion import complete_network
from netspec.cli.options import Command, NetworkOptions, report_options, spec_options
from netspec.cli.output import ReportOptions


def _side_options(command: Command) -> Command:
    """`--set-a`, `--set-b`, `--input-a` and `--input-b`, applied after the options for both networks."""
    for side in "ba":
        only = f"The same for {side.upper()} alone, after what is given for both."
        command = click.option(f"--input-{side}", multiple=True, metavar="[NAME=]SIZES", help=only)(command)
        command = click.option(f"--set-{side}", multiple=True, metavar="NAME=VALUE", help=only)(command)
    return command


@click.command("diff")
@click.argument("a", metavar="A", shell_complete=complete_network)
@click.argument("b", metavar="B", shell_complete=complete_network)
@spec_options
@_side_options
@report_options
@click.pass_context
def command(
    context: click.Context,
    a: str,
    b: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    set_a: tuple[str, ...],
    set_b: tuple[str, ...],
    input_a: tuple[str, ...],
    input_b: tuple[str, ...],
    output: ReportOptions,
) -> None:
    """Tell what differs between two networks.

    They are compared by structure: names, blocks, titles, initialisers and the order of writing make no difference,
    so a spec that was only rewritten differs in nothing. Outputs that are built in training only are compared too.

    `--set` and `--input` hold for both networks, and may be given for one of them alone.

    \b
    Examples:
      netspec diff resnet50 resnet101
      netspec diff resnet50 resnet50 --set-b stride_in_3x3=true
      netspec diff resnet50 mine.yaml --set classes=10 --format json

    \b
    Exit status:
      0 nothing differs, 1 something does, 2 usage;
      1 with an error on standard error, and no report, where a spec is wrong
    """
    if a == b == "-":
        raise click.UsageError("one of the two can be read from standard input, not both")
    left = NetworkOptions(a, settings + set_a, sizes + input_a).open()
    right = NetworkOptions(b, settings + set_b, sizes + input_b).open()
    report = left.diff(right)
    output.write(report)
    context.exit(0 if report.same else 1)
