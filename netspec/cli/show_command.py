"""`netspec show`."""

from __future__ import annotations

import click

from netspec.cli.options import network_options, open_network
from netspec.cli.terminal import echo


@click.command("show")
@network_options
@click.option("--expanded", is_flag=True, help="Print the graph: blocks opened, repeats copied, shapes inferred.")
def command(network: str, settings: tuple[str, ...], sizes: tuple[str, ...], expanded: bool) -> None:
    """Print a spec as it is written, or with --expanded the graph it stands for.

    --set and --input go with --expanded.

    \b
    Examples:
      netspec show vgg_e > mine.yaml
      netspec show resnet50 --expanded --set stages=1,1,1,1
    """
    from netspec.spec.sources.find import find_network

    if expanded:
        echo(str(open_network(network, settings, sizes).graph))
        return
    if settings or sizes:
        raise click.UsageError("--set and --input go with --expanded: a spec is shown as it is written")
    echo(find_network(network)[0].text.rstrip("\n"))
