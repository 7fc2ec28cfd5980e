"""`netspec hash`."""

from __future__ import annotations

import click

from netspec.cli.options import NetworkOptions, networks_options
from netspec.cli.terminal import echo


@click.command("hash")
@networks_options
def command(networks: list[NetworkOptions]) -> None:
    """Print a hash of what a network computes.

    Two networks have the same hash when they have the same ops with the same attributes and sizes, joined alike,
    whatever their names, blocks and titles: to tell whether a spec that was rewritten still says the same.

    \b
    Examples:
      netspec hash resnet34
      netspec hash resnet18 resnet34 --set stages=3,4,6,3
    """
    from netspec.graph.canonical import graph_hash

    hashes = [(graph_hash(network.open().graph), network.name) for network in networks]
    for digest, name in hashes:
        echo(f"{digest}  {name}")
