"""`netspec validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netspec.cli.options import networks, open_source, spec_options
from netspec.cli.terminal import echo, echo_error

if TYPE_CHECKING:
    from netspec.network import Network


@click.command("validate")
@networks
@spec_options
@click.pass_context
def command(
    context: click.Context, networks: tuple[str, ...], settings: tuple[str, ...], sizes: tuple[str, ...]
) -> None:
    """Check specs: that they are well-formed, that shapes fit, and that what they `expect` is so.

    Claims of `expect` are about a spec as it is written: under --set and --input they are not checked.

    \b
    Examples:
      netspec validate specs/*.yaml
      netspec validate resnet50 --set stages=1,1,1,1
    """
    failed = 0
    for name in networks:
        failed += not _validate(name, settings, sizes)
    if failed and len(networks) > 1:
        echo(f"{failed} of {len(networks)} specs {'is' if failed == 1 else 'are'} wrong", err=True)
    context.exit(1 if failed else 0)


def _validate(name: str, settings: tuple[str, ...], sizes: tuple[str, ...]) -> bool:
    """Check a spec: all its networks, unless the name says which."""
    from netspec.errors import NetspecError
    from netspec.spec.read.read_spec import networks_of
    from netspec.spec.sources.find import find_network

    try:
        source, wanted = find_network(name)
        good = True
        for network in [wanted] if wanted else networks_of(source):
            shown = f"{name}:{network}" if network and not wanted else name
            good = _check(shown, open_source(source, network, settings, sizes), bool(settings or sizes)) and good
    except NetspecError as error:
        echo_error(str(error))
        return False
    return good


def _check(name: str, network: Network, changed: bool) -> bool:
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
