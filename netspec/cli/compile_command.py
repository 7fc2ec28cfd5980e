"""`netspec compile`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.cli.options import network_options, open_network, write_file

if TYPE_CHECKING:
    from netspec.network import Network


@click.command("compile")
@network_options
@click.option("-o", "--output", metavar="FILE", help="NAME.py (the default), NAME.pt2, or - for the source on stdout.")
@click.option("--weights", metavar="FILE", help="A state dict to load into it (for .pt2).")
@click.option("--force", is_flag=True, help="Overwrite a file that netspec did not write.")
def command(
    network: str, settings: tuple[str, ...], sizes: tuple[str, ...], output: str | None, weights: str | None, force: bool
) -> None:
    """Write a network as PyTorch source, build the module from it, and prove it against the analysis.

    The proof: parameters and buffers have the names and shapes that the analysis gives, and so has the output.
    With .pt2 the module is exported (torch.export) as a program that PyTorch loads without this source.

    \b
    netspec compile specs/vgg_e.yaml
    netspec compile resnet50 --set classes=10 -o model.py
    netspec compile alexnet -o alexnet.pt2
    """
    found = open_network(network, settings, sizes)
    target = output or f"{found.name}.py"
    suffix = Path(target).suffix
    if target != "-" and suffix not in (".py", ".pt2"):
        raise click.UsageError(f"-o takes a file that ends in .py or .pt2, not `{target}`")
    if weights is not None and suffix != ".pt2":
        raise click.UsageError("--weights goes with -o NAME.pt2: source holds no weights")
    source = found.to_source()
    if suffix == ".py":
        _refuse_to_lose(Path(target), force)
    proof = _prove(found)
    if target == "-":
        click.echo(source, nl=False)
    elif suffix == ".py":
        write_file(Path(target), source)
        click.echo(f"wrote {target}: class {_class(found)}, {source.count(chr(10))} lines", err=True)
    else:
        _export(found, target, weights)
    click.echo(proof, err=True)
    if target != "-":
        click.echo(str(found.summary()))


def _class(network: Network) -> str:
    from netspec.spec.names import class_name

    return class_name(network.name)


def _refuse_to_lose(path: Path, force: bool) -> None:
    """An existing file is overwritten if netspec wrote it, or on request."""
    from netspec.backends.pytorch.source import MARK

    if force or not path.exists():
        return
    if path.is_dir():
        raise click.ClickException(f"{path} is a folder")
    with path.open("rb") as file:
        first = file.readline(4096).decode("utf-8", "replace")
    if MARK not in first:
        raise click.ClickException(f"{path} exists and was not written by netspec; --force overwrites it")


def _prove(network: Network) -> str:
    from netspec.backends.pytorch.prove import prove

    return prove(network.graph, network.to_source())


def _export(network: Network, target: str, weights: str | None) -> None:
    import torch

    from netspec.backends.pytorch.prove import example_inputs

    module: Any = network.compile(weights).eval()
    examples = example_inputs(network.graph, device="cpu")
    program = torch.export.export(module, examples)
    temporary = f"{target}.partial"
    try:
        torch.export.save(program, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise click.ClickException(f"{target} can't be written: {(error.strerror or str(error)).lower()}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)
    shown = ", ".join(f"{i.name} {tuple(e.shape)}" for i, e in zip(network.graph.inputs, examples, strict=True))
    click.echo(f"wrote {target}: a program for {shown}", err=True)
