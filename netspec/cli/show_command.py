"""`netspec show`."""

from __future__ import annotations

import click

from netspec.cli.options import NetworkOptions, network_options
from netspec.cli.terminal import echo


@click.command("show")
@network_options
@click.option("--expanded", is_flag=True, help="Print the graph: blocks opened, repeats copied, shapes inferred.")
def command(network: NetworkOptions, expanded: bool) -> None:
    """Print a spec as it is written, or with --expanded the graph it stands for.

    --set and --input go with --expanded.

    \b
    Examples:
      netspec show vgg_e > mine.yaml
      netspec show resnet50 --expanded --set stages=1,1,1,1
    """
    from netspec.spec.sources.find import find_network

    if expanded:
        echo(str(network.open().graph))
        return
    if network.settings or network.sizes:
        raise click.UsageError("--set and --input go with --expanded: a spec is shown as it is written")
    echo(find_network(network.name)[0].text.rstrip("\n"))
