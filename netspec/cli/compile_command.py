"""`netspec compile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netspec.cli.options import (
    NetworkOptions,
    WeightsOptions,
    force_option,
    network_options,
    output_file,
    weights_options,
)
from netspec.cli.output import FileOptions, OutputFile
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_program, is_our_source
from netspec.cli.requirements import require
from netspec.cli.terminal import echo
from netspec.shape_text import shape_text

if TYPE_CHECKING:
    from netspec.network import Network


@click.command("compile")
@network_options
@output_file("NAME.py, NAME.pt2, or - for source on stdout.  [default: the network's name.py]")
@weights_options("A file of weights that fits: they go into the .pt2, or beside the .py as NAME.safetensors.")
@force_option
def command(network: NetworkOptions, output: FileOptions, weights: WeightsOptions | None) -> None:
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
    suffix = ".py" if output.file is None or output.is_stdout else output.suffix
    if suffix not in (".py", ".pt2"):
        raise click.UsageError(f"-o takes a file that ends in .py or .pt2, not `{output.file}`")
    if weights is not None and output.is_stdout:
        raise click.UsageError("--weights goes with a file: source on stdout holds no weights")
    opened = network.open()
    require("torch")
    if output.is_stdout:
        source = opened.to_source()
        proof = _prove(opened)
        echo(source, nl=False)
        echo(proof, err=True)
        return
    target = output.target(is_our_source if suffix == ".py" else is_our_program, f"{opened.name}.py")
    if weights is not None and suffix == ".py":
        target.weights()
    echo(_prove(opened), err=True)
    if suffix == ".py":
        _write_source(opened, target, weights)
    else:
        _write_program(opened, target, weights)
    echo(str(opened.summary()))


def _prove(network: Network) -> str:
    """Build the module from its source, prove it, and return a one-line summary."""
    from netspec.backends.pytorch.runtime.prove import prove_module

    with working(f"building {network.name} with torch, and proving it"):
        return prove_module(network.graph, network.to_source())


def _write_source(network: Network, target: OutputFile, weights: WeightsOptions | None) -> None:
    """Write the source, and the weights beside it under the keys of the module."""
    from netspec.backends.pytorch.classes import network_class_name

    source, beside = network.to_source(), ""
    if weights is None:
        target.write(source)
    else:
        from netspec.backends.pytorch.runtime.weights import save_weights

        with working(f"reading {weights.file}"):
            state = dict(network.compile(weights.file, key=weights.key).state_dict())
        params, name = network.params, target.path.name
        path = target.write_with_weights(source, lambda file: save_weights(state, file, params, name))
        beside = f", and its weights, {path}"
    lines = source.count("\n")
    echo(f"wrote {target.path}: class {network_class_name(network.graph)}, {lines} lines{beside}", err=True)


def _write_program(network: Network, target: OutputFile, weights: WeightsOptions | None) -> None:
    """Write the module as a program of `torch.export`, and print the sizes that the program accepts."""
    from netspec.backends.marks import NOTE
    from netspec.backends.pytorch.runtime.programs import save_program
    from netspec.version import VERSION

    with working(f"exporting {network.name}"):
        with target.opened() as file:
            module: Any = network.compile(weights.file, key=weights.key) if weights else network.compile()
            program = _exported_program(network, module.eval())
            save_program(program, file, {NOTE: f"compiled by netspec {VERSION} from {network.name}"})
        nodes = {node.name: node for node in program.graph.nodes}
        inputs: list[str] = []
        for i in network.graph.inputs:
            # torch may fix a size that the spec leaves open.
            sizes = zip(nodes[i.name].meta["val"].shape, i.type.shape, strict=True)
            dims = [str(size if isinstance(size, int) else dim) for size, dim in sizes]
            inputs.append(f"{i.name} {shape_text(dims)}")
        echo(f"wrote {target.path}: a program for {', '.join(inputs)}", err=True)


def _exported_program(network: Network, module: Any) -> Any:
    """Export a module by `torch.export`; the spec's open sizes stay open where torch supports it."""
    import torch

    from netspec.backends.pytorch.runtime.examples import example_inputs, sizes_for

    auto: Any = torch.export.Dim.AUTO
    open_dims = tuple(
        {axis: auto for axis, dim in enumerate(i.type.shape) if not isinstance(dim, int)} for i in network.graph.inputs
    )
    examples = example_inputs(network.graph, "cpu", sizes_for(network.graph))
    return torch.export.export(module, examples, dynamic_shapes=open_dims)
