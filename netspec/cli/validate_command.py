"""`netspec validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netspec.cli.networks import open_source
from netspec.cli.options import NetworkOptions, networks_options
from netspec.cli.terminal import echo, echo_error

if TYPE_CHECKING:
    from netspec.network import Network


@click.command("validate")
@networks_options
@click.pass_context
def command(context: click.Context, networks: list[NetworkOptions]) -> None:
    """Check specs: that they are well-formed, that shapes fit, and that what they `expect` is so.

    Claims of `expect` are about a spec as it is written: under --set and --input they are not checked.

    \b
    Examples:
      netspec validate specs/*.yaml
      netspec validate resnet50 --set stages=1,1,1,1
    """
    failed = sum([not _validate(network) for network in networks])
    if failed and len(networks) > 1:
        echo(f"{failed} of {len(networks)} specs {'is' if failed == 1 else 'are'} wrong", err=True)
    context.exit(1 if failed else 0)


def _validate(options: NetworkOptions) -> bool:
    """Check all networks of a spec, or the one that the name selects. Returns whether all are valid."""
    from netspec.errors import NetspecError
    from netspec.spec.read.read_spec import networks_of
    from netspec.spec.sources.find import find_network

    try:
        source, chosen = find_network(options.name)
        results: list[bool] = []
        for name in [chosen] if chosen else networks_of(source):
            shown = f"{options.name}:{name}" if name and not chosen else options.name
            network = open_source(source, name, options.settings, options.sizes)
            results.append(_check(shown, network, bool(options.settings or options.sizes)))
    except NetspecError as error:
        echo_error(str(error))
        return False
    return all(results)


def _check(name: str, network: Network, changed: bool) -> bool:
    """Print the warnings and broken claims of a network, or a line that it is right; `changed`: by options."""
    for warning in network.warnings:
        echo_error(str(warning))
    count, broken = network.check_expectations()
    for diagnostic in broken:
        echo_error(str(diagnostic))
    if broken:
        return False
    if changed:
        claims = "claims not checked"
    else:
        claims = f"{count} claim{'s' if count != 1 else ''} hold{'s' if count == 1 else ''}" if count else "no claims"
    ops = len(network.graph)
    echo(f"{name}: {ops:,} op{'s' if ops != 1 else ''}, {claims}")
    return True
