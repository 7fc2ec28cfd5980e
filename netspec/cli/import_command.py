"""`netspec import`."""

from __future__ import annotations

from pathlib import Path

import click

from netspec.cli.options import INPUT, force_option, output_file, own_ops
from netspec.cli.output import FileOptions
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_spec
from netspec.cli.requirements import require
from netspec.cli.terminal import echo


@click.command("import")
@click.argument("model", type=INPUT)
@own_ops
@output_file("The spec to write, NAME.yaml.", required=True)
@force_option
def command(model: str, output: FileOptions) -> None:
    """Make a spec of an ONNX model that netspec exported, and a file of its weights.

    The spec is that of the network as it was exported, batch norms folded. The weights go into NAME.safetensors
    beside it. A model that was changed since, or that another program wrote, is refused.

    \b
    Examples:
      netspec import resnet50.onnx -o lean.yaml
    """
    if output.suffix not in (".yaml", ".yml"):
        raise click.UsageError(f"-o takes a file that ends in .yaml, not `{output.file}`")
    target = output.target(is_our_spec)
    target.weights()
    require("onnx")
    from netspec.backends.marks import save_arrays
    from netspec.backends.onnx.imported import import_model

    with working(f"reading {model}"):
        imported = import_model(Path(model))

    def save(file: Path) -> None:
        save_arrays(imported.weights, file, imported.graph.params, target.path.name)

    with working(f"writing {target.path}"):
        beside = target.write_with_weights(imported.text, save)
    echo(f"wrote {target.path}: {len(imported.graph):,} nodes; and its weights, {beside}", err=True)
