"""`netspec import`."""

from __future__ import annotations

from pathlib import Path

import click

from netspec.cli.options import in_place_of, need, overwrite, own_ops, write_file
from netspec.cli.ours import is_our_spec, refuse_to_lose, weights_beside
from netspec.cli.progress import working


@click.command("import")
@click.argument("model")
@own_ops
@click.option("-o", "--output", required=True, metavar="FILE", help="The spec to write, NAME.yaml.")
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
    if target.suffix not in (".yaml", ".yml"):
        raise click.UsageError(f"-o takes a file that ends in .yaml, not `{output}`")
    if not force:
        refuse_to_lose(target, is_our_spec)
    with working("loading onnx"):
        need("onnx")
    from netspec.backends.marks import save_arrays
    from netspec.backends.onnx.imported import import_model

    with working(f"reading {model}"):
        found = import_model(Path(model))
    beside = weights_beside(target, model, force)
    with working(f"writing {beside}"), in_place_of(beside) as file:
        save_arrays(found.weights, file, found.graph.params)
    write_file(target, found.text)
    click.echo(f"wrote {target}: {len(found.graph):,} nodes; and its weights, {beside}", err=True)
