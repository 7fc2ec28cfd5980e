"""`netspec memory`."""

from __future__ import annotations

from typing import cast

import click

from netspec.analysis.memory_model import BYTES, OPTIMIZERS, DType, Optimizer
from netspec.cli.options import NetworkOptions, network_options, report_options
from netspec.cli.output import ReportOptions


@click.command("memory")
@network_options
@report_options
@click.option("--batch", type=click.IntRange(1, 2**31 - 1), default=1, show_default=True, help="Samples at a time.")
@click.option("--train", is_flag=True, help="A training step: forward, backward and the optimizer's state.")
@click.option(
    "--dtype",
    type=click.Choice([name for name in BYTES if "float" in name]),
    default="float32",
    show_default=True,
    help="Of weights and activations.",
)
@click.option(
    "--optimizer",
    type=click.Choice(list(OPTIMIZERS)),
    default="none",
    show_default=True,
    help="With --train: what is held for each parameter. sgd: a momentum; adam: two moments.",
)
def command(
    network: NetworkOptions,
    batch: int,
    train: bool,
    dtype: str,
    optimizer: str,
    output: ReportOptions,
) -> None:
    """Tell how much memory weights and activations take, and where most is held.

    Inference frees each value after its last use. With --train it is a step of training: all that the backward
    pass needs is kept, as eager PyTorch keeps it.

    \b
    Examples:
      netspec memory resnet50
      netspec memory vgg_e --batch 32 --train --dtype float16 --optimizer adam
      netspec memory resnet50 --input 3x512x512 --format json
    """
    if optimizer != "none" and not train:
        raise click.UsageError("--optimizer goes with --train: inference has none")
    report = network.open().memory(
        "train" if train else "inference",
        batch=batch,
        dtype=cast(DType, dtype),
        optimizer=cast(Optimizer, optimizer),
    )
    output.write(report)
