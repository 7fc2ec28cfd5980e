"""`netspec import`."""

from __future__ import annotations

from pathlib import Path

import click

from netspec.cli.options import INPUT, need, output_file, overwrite, own_ops
from netspec.cli.output import check_names_a_file, check_overwrite, write_with_weights
from netspec.cli.overwrite import is_our_spec, weights_beside
from netspec.cli.progress import working
from netspec.cli.terminal import echo


@click.command("import")
@click.argument("model", type=INPUT)
@own_ops
@output_file("The spec to write, NAME.yaml.", required=True)
@overwrite
def command(model: str, output: str, force: bool) -> None:
    """Make a spec of an ONNX model that netspec exported, and a file of its weights.

    The spec is that of the network as it was exported, batch norms folded. The weights go into NAME.safetensors
    beside it. A model that was changed since, or that another program wrote, is refused.

    \b
    Examples:
      netspec import resnet50.onnx -o lean.yaml
    """
    target = Path(output)
    if target.suffix.lower() not in (".yaml", ".yml"):
        raise click.UsageError(f"-o takes a file that ends in .yaml, not `{output}`")
    check_names_a_file(output)
    check_overwrite(target, is_our_spec, force)
    weights_beside(target, force)
    with working("loading onnx"):
        need("onnx")
    from netspec.backends.marks import save_arrays
    from netspec.backends.onnx.imported import import_model

    with working(f"reading {model}"):
        found = import_model(Path(model))

    def save(file: Path) -> None:
        save_arrays(found.weights, file, found.graph.params, target.name)

    with working(f"writing {target}"):
        beside = write_with_weights(target, found.text, is_our_spec, save, force)
    echo(f"wrote {target}: {len(found.graph):,} nodes; and its weights, {beside}", err=True)
