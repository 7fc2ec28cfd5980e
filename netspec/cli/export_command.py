"""`netspec export`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from netspec.cli.options import (
    NetworkOptions,
    WeightsOptions,
    force_option,
    network_options,
    output_file,
    weights_options,
)
from netspec.cli.output import FileOptions, OutputFile, writing
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_model
from netspec.cli.requirements import require
from netspec.cli.terminal import echo


@click.command("export")
@network_options
@output_file("NAME.onnx.  [default: the network's name.onnx]")
@weights_options("A file of weights that fits.")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), help="Weights from a seed, as the spec begins them.  [default: 0]"
)
@click.option("--fp16", is_flag=True, help="Weights and values in half precision; inputs and outputs stay as they are.")
@click.option("--no-fold", is_flag=True, help="Keep batch norms as they are.")
@click.option(
    "--opset", type=click.Choice(["20", "21"]), default="21", show_default=True, help="The version of ONNX's ops."
)
@click.option("--explain", is_flag=True, help="Tell which rewrites were done, and which were not and why.")
@force_option
def command(
    network: NetworkOptions,
    output: FileOptions,
    weights: WeightsOptions | None,
    seed: int | None,
    fp16: bool,
    no_fold: bool,
    opset: str,
    explain: bool,
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
    if output.file is not None and output.suffix != ".onnx":
        raise click.UsageError(f"-o takes a file that ends in .onnx, not `{output.file}`")
    opened = network.open()
    path = Path(output.file or f"{opened.name}.onnx")
    if path.exists() and os.path.exists(network.name) and path.samefile(network.name):
        raise click.ClickException(f"{path} is what is read: choose another -o")
    require("onnx")
    _check_target(path, output)
    file, key = (weights.file, weights.key) if weights else (None, "")
    with working(f"writing {path}"), writing(path):
        exported = opened.to_onnx(path, file, key=key, seed=seed or 0, fold=not no_fold, fp16=fp16, opset=int(opset))
    for line in (*(exported.explained if explain else ()), *exported.lost):
        echo(line, err=True)
    if weights is None and seed is None and exported.weights:
        echo("its weights are random (seed 0): --weights FILE gives trained ones", err=True)
    echo(f"wrote {path}: {exported}", err=True)


def _check_target(path: Path, output: FileOptions) -> None:
    """Raise an error if the model, or its file of weights, would overwrite a file that must stay."""
    output.target(is_our_model, str(path))
    data = path.with_name(f"{path.name}.data")
    OutputFile(data, lambda _: path.is_file() and is_our_model(path), output.force).check()
