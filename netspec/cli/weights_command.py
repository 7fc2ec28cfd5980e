"""`netspec weights`: `check` whether a file fits a network, and `convert` it to the network's own keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import (
    INPUT,
    need,
    network_options,
    open_network,
    output_file,
    output_options,
    overwrite,
    weights_key,
)
from netspec.cli.output import OutputOptions, check_names_a_file, check_overwrite, in_place_of
from netspec.cli.overwrite import is_our_weights
from netspec.cli.progress import working
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.backends.pytorch.runtime.state_dicts import StateDict
    from netspec.network import Network
    from netspec.weights import Fit


@click.group("weights")
def command() -> None:
    """Check and convert files of weights: safetensors, shards of them, and what torch.save wrote.

    A file may have the network's own keys, or those of an origin that its spec names under `weights`.

    \b
    Examples:
      netspec weights check vgg_d vgg16.safetensors
      netspec weights convert resnet18 resnet18.pth -o resnet18.safetensors
    """


@command.command("check")
@network_options
@click.argument("file", type=INPUT)
@weights_key
@output_options
@click.pass_context
def check(
    context: click.Context,
    network: str,
    file: str,
    key: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    output: OutputOptions,
) -> None:
    """Tell how a file of weights fits a network: what is matched, missing, unused, or of another shape.

    \b
    Examples:
      netspec weights check resnet50 resnet50.pth --set stride_in_3x3=true
      netspec weights check vgg_d vgg16.safetensors --format json

    \b
    Exit status: 0 it fits, 1 it does not
    """
    from netspec.network import known_as
    from netspec.weights import weights_report

    found = open_network(network, settings, sizes)
    state, fit = _fit(found, file, key)
    if fit.fits:
        from netspec.backends.pytorch.runtime.weights import check_numbers

        check_numbers(state, fit)
    settings_that_fit = found.settings_that_fit(fit)
    known = None if fit.fits or settings_that_fit else known_as(fit)
    output.write(weights_report(fit, network, file, settings_that_fit, known))
    context.exit(0 if fit.fits else 1)


@command.command("convert")
@network_options
@click.argument("file", type=INPUT)
@weights_key
@output_file("The safetensors file to write.", required=True)
@click.option("--partial", is_flag=True, help="Take what fits, and leave out the rest.")
@overwrite
def convert(
    network: str,
    file: str,
    key: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    output: str,
    partial: bool,
    force: bool,
) -> None:
    """Write a file of weights anew with the network's keys, as safetensors.

    \b
    Examples:
      netspec weights convert resnet50 resnet50.pth --set stride_in_3x3=true -o resnet50.safetensors
    """
    check_names_a_file(output)
    if Path(output).suffix.lower() != ".safetensors":
        raise click.UsageError(f"-o takes a file that ends in .safetensors, not `{output}`")
    check_overwrite(Path(output), is_our_weights, force)
    found = open_network(network, settings, sizes)
    state, fit = _fit(found, file, key)
    from netspec.backends.pytorch.runtime.weights import renamed, save_weights

    if not partial or not fit.pairs or fit.params:
        found.refuse_weights(fit, file)
    with working(f"writing {output}"), in_place_of(Path(output), is_our_weights, force) as place:
        save_weights(renamed(state, fit), place, found.params)
    rest = len(fit.graph.state()) - len(fit.pairs)
    left = f", {rest} of the network left out" if rest else ""
    echo(f"wrote {output}: {len(fit.pairs)} weights, by {fit.origin}{left}", err=True)


def _fit(network: Network, file: str, key: str) -> tuple[StateDict, Fit]:
    """The weights of a file, and how they fit."""
    with working("loading torch"):
        need("torch")
    return network.fit_weights(file, key)
