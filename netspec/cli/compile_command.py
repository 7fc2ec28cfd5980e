"""`netspec compile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from netspec.cli.output import (
    check_names_a_file,
    check_overwrite,
    in_place_of,
    is_stdout,
    write_file,
    write_with_weights,
)
from netspec.cli.overwrite import is_our_program, is_our_source, weights_beside
from netspec.cli.progress import working
from netspec.cli.terminal import echo
from netspec.shape_text import shape_text

if TYPE_CHECKING:
    from netspec.network import Network


@click.command("compile")
@network_options
@output_file("NAME.py, NAME.pt2, or - for source on stdout.  [default: the network's name.py]")
@weights_file("A file of weights that fits: they go into the .pt2, or beside the .py as NAME.safetensors.")
@weights_key
@overwrite
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    output: str | None,
    weights: str | None,
    key: str,
    force: bool,
) -> None:
    """Write a network as PyTorch source, build the module from it, and prove it against the analysis.

    The proof: parameters and buffers have the names and shapes that the analysis gives, and so has the output.
    With --weights, a file that fits is written beside the source with the module's keys. With .pt2 the module is
    exported (torch.export) as a program that PyTorch loads without this source.

    \b
    Examples:
      netspec compile vgg_e
      netspec compile resnet50 --set classes=10 -o model.py
      netspec compile resnet50 --set stride_in_3x3=true --weights resnet50.pth -o resnet50.py
      netspec compile alexnet --weights alexnet.safetensors -o alexnet.pt2
    """
    printed = output is not None and is_stdout(output)
    suffix = ".py" if output is None or printed else Path(output).suffix.lower()
    if suffix not in (".py", ".pt2"):
        raise click.UsageError(f"-o takes a file that ends in .py or .pt2, not `{output}`")
    if weights is not None and printed:
        raise click.UsageError("--weights goes with a file: source on stdout holds no weights")
    if key and weights is None:
        raise click.UsageError("--key goes with --weights")
    found = open_network(network, settings, sizes)
    target = f"{found.name}.py" if output is None else output
    with working("loading torch"):
        need("torch")
    if not printed:
        check_names_a_file(target)
        check_overwrite(Path(target), is_our_source if suffix == ".py" else is_our_program, force)
        if weights is not None and suffix == ".py":
            weights_beside(Path(target), force)
    with working(f"building {found.name} with torch, and proving it"):
        source = found.to_source()
        proof = _prove(found)
    if printed:
        echo(source, nl=False)
        echo(proof, err=True)
        return
    echo(proof, err=True)
    if suffix == ".py":
        beside = ""
        if weights is not None:
            beside = _convert(found, Path(target), source, weights, key, force)
        else:
            write_file(Path(target), source, is_our_source, force)
        echo(f"wrote {target}: class {_class(found)}, {source.count(chr(10))} lines{beside}", err=True)
    else:
        with working(f"exporting {found.name}"):
            _export(found, Path(target), weights, key, force)
    echo(str(found.summary()))


def _convert(network: Network, path: Path, source: str, weights: str, key: str, force: bool) -> str:
    """Write a source and weights with the keys of its module; what was written, for the line that tells."""
    from netspec.backends.pytorch.runtime.weights import save_weights

    with working(f"reading {weights}"):
        state = dict(network.compile(weights, key=key).state_dict())
    beside = write_with_weights(
        path, source, is_our_source, lambda file: save_weights(state, file, network.params, path.name), force
    )
    return f", and its weights, {beside}"


def _class(network: Network) -> str:
    from netspec.backends.pytorch.classes import network_class_name

    return network_class_name(network.graph)


def _prove(network: Network) -> str:
    from netspec.backends.pytorch.runtime.prove import prove_module

    return prove_module(network.graph, network.to_source())


def _export(network: Network, path: Path, weights: str | None, key: str, force: bool) -> None:
    """Write the module as a program of torch.export whose symbolic sizes stay open where torch can keep them so."""
    import torch

    from netspec import __version__
    from netspec.backends.marks import NOTE
    from netspec.backends.pytorch.runtime.programs import save_program
    from netspec.backends.pytorch.runtime.prove import example_inputs, sizes_for

    with in_place_of(path, is_our_program, force) as file:
        module: Any = network.compile(weights, key=key).eval()
        inputs = network.graph.inputs
        auto: Any = torch.export.Dim.AUTO
        open_dims = tuple(
            {axis: auto for axis, dim in enumerate(i.type.shape) if not isinstance(dim, int)} for i in inputs
        )
        examples = example_inputs(network.graph, "cpu", sizes_for(network.graph))
        program: Any = torch.export.export(module, examples, dynamic_shapes=open_dims)
        save_program(program, file, {NOTE: f"compiled by netspec {__version__} from {network.name}"})
    nodes = {node.name: node for node in program.graph.nodes}
    shown: list[str] = []
    for i in inputs:
        kept = nodes[i.name].meta["val"].shape
        dims = [str(size if isinstance(size, int) else dim) for size, dim in zip(kept, i.type.shape, strict=True)]
        shown.append(f"{i.name} {shape_text(dims)}")
    echo(f"wrote {path}: a program for {', '.join(shown)}", err=True)
