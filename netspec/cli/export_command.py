"""`netspec export`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from netspec.cli.options import (
    need,
    network_options,
    open_network,
    output_file,
    overwrite,
    weights_file,
    weights_key,
)
from netspec.cli.output import check_names_a_file, check_overwrite, writing
from netspec.cli.progress import working
from netspec.cli.terminal import echo


@click.command("export")
@network_options
@output_file("NAME.onnx.  [default: the network's name.onnx]")
@weights_file("A file of weights that fits.")
@weights_key
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), help="Weights from a seed, as the spec begins them.  [default: 0]"
)
@click.option("--fp16", is_flag=True, help="Weights and values in half precision; inputs and outputs stay as they are.")
@click.option("--no-fold", is_flag=True, help="Keep batch norms as they are.")
@click.option(
    "--opset", type=click.Choice(["20", "21"]), default="21", show_default=True, help="The version of ONNX's ops."
)
@click.option("--explain", is_flag=True, help="Tell which rewrites were done, and which were not and why.")
@overwrite
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    output: str | None,
    weights: str | None,
    key: str,
    seed: int | None,
    fp16: bool,
    no_fold: bool,
    opset: str,
    explain: bool,
    force: bool,
) -> None:
    """Write a network as an ONNX model for inference, lowered op by op from its graph.

    Nodes are called after their paths, weights after their keys. Symbolic sizes stay open: the batch, and height and
    width where the network takes any. More than 2 GB of weights go to FILE.data beside the model.

    \b
    Examples:
      netspec export resnet50 --weights resnet50.safetensors
      netspec export vgg_e --seed 1 --fp16 -o vgg_e.onnx
    """
    if weights is not None and seed is not None:
        raise click.UsageError("--weights FILE and --seed N are two sources of weights: give one of them")
    if key and weights is None:
        raise click.UsageError("--key goes with --weights")
    if output is not None and Path(output).suffix.lower() != ".onnx":
        raise click.UsageError(f"-o takes a file that ends in .onnx, not `{output}`")
    found = open_network(network, settings, sizes)
    target = Path(output or f"{found.name}.onnx")
    if target.exists() and os.path.exists(network) and target.samefile(network):
        raise click.ClickException(f"{target} is what is read: choose another -o")
    with working("loading onnx"):
        need("onnx")
    from netspec.backends.onnx.export import is_ours

    check_names_a_file(output or target.name)
    check_overwrite(target, is_ours, force)
    # Where what a large model has beside it would go.
    check_overwrite(target.with_name(f"{target.name}.data"), lambda _: target.is_file() and is_ours(target), force)
    with working(f"writing {target}"), writing(target):
        done = found.to_onnx(target, weights, key=key, seed=seed or 0, fold=not no_fold, fp16=fp16, opset=int(opset))
    for line in (*(done.explained if explain else ()), *done.lost):
        echo(line, err=True)
    if weights is None and seed is None and done.weights:
        echo("its weights are random (seed 0): --weights FILE gives trained ones", err=True)
    echo(f"wrote {target}: {done}", err=True)
