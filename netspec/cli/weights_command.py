"""`netspec weights`: `check` whether a file fits a network, and `convert` it to the network's own keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netspec.cli.options import (
    INPUT,
    NetworkOptions,
    force_option,
    key_option,
    network_options,
    output_file,
    report_options,
)
from netspec.cli.output import FileOptions, ReportOptions, check_names_a_file
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_weights
from netspec.cli.requirements import require
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
@key_option
@report_options
@click.pass_context
def check(
    context: click.Context,
    network: NetworkOptions,
    file: str,
    key: str,
    output: ReportOptions,
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
    from netspec.weights_report import weights_report

    opened = network.open()
    state, fit = _fit(opened, file, key)
    if fit.fits:
        from netspec.backends.pytorch.runtime.weights import check_numbers

        check_numbers(state, fit)
    settings_that_fit = opened.settings_that_fit(fit)
    known = None if fit.fits or settings_that_fit else known_as(fit)
    output.write(weights_report(fit, network.name, file, settings_that_fit, known))
    context.exit(0 if fit.fits else 1)


@command.command("convert")
@network_options
@click.argument("file", type=INPUT)
@key_option
@output_file("The safetensors file to write.", required=True)
@click.option("--partial", is_flag=True, help="Take what fits, and leave out the rest.")
@force_option
def convert(
    network: NetworkOptions,
    file: str,
    key: str,
    output: FileOptions,
    partial: bool,
) -> None:
    """Write a file of weights anew with the network's keys, as safetensors.

    \b
    Examples:
      netspec weights convert resnet50 resnet50.pth --set stride_in_3x3=true -o resnet50.safetensors
    """
    check_names_a_file(output.file or "")
    if output.suffix != ".safetensors":
        raise click.UsageError(f"-o takes a file that ends in .safetensors, not `{output.file}`")
    target = output.target(is_our_weights)
    opened = network.open()
    state, fit = _fit(opened, file, key)
    from netspec.backends.pytorch.runtime.weights import renamed, save_weights

    if not partial or not fit.pairs or fit.params:
        opened.refuse_weights(fit, file)
    with working(f"writing {target.path}"), target.opened() as place:
        save_weights(renamed(state, fit), place, opened.params)
    rest = len(fit.graph.state()) - len(fit.pairs)
    left_out = f", {rest} of the network left out" if rest else ""
    echo(f"wrote {target.path}: {len(fit.pairs)} weights, by {fit.origin}{left_out}", err=True)


def _fit(network: Network, file: str, key: str) -> tuple[StateDict, Fit]:
    """The weights in a file, and their fit with the network."""
    require("torch")
    return network.fit_weights(file, key)
