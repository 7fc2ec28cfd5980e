"""`netspec schema`."""

from __future__ import annotations

import click

from netspec.cli.options import emit, own_ops


@click.command("schema")
@click.option("-o", "--output", metavar="FILE", help="Write to a file, instead of standard output.")
@own_ops
def command(output: str | None) -> None:
    """Print the JSON Schema of specs, which gives editors completion, documentation and a first check.

    It knows every op, those of installed packages and of --ops included. An editor with the YAML language server
    (VS Code with Red Hat's YAML extension, and most others) finds it by the first line of a spec:

    \b
      # yaml-language-server: $schema=netspec.schema.json

    What needs the whole network, such as names and shapes, `netspec validate` checks.

    \b
    Examples:
      netspec schema -o netspec.schema.json
      netspec schema --ops my_ops.py -o netspec.schema.json
    """
    from netspec.ops import REGISTRY
    from netspec.ops.own import announced
    from netspec.spec.schema import spec_schema, to_text

    for name in announced():
        _find(name)
    emit(to_text(spec_schema(REGISTRY.values())).removesuffix("\n"), output)


def _find(name: str) -> None:
    """Import the op of an installed package; one that can't be used is left out, and that is said."""
    from netspec.errors import NetspecError
    from netspec.ops.own import find_op

    try:
        find_op(name)
    except NetspecError as error:
        click.echo(str(error).replace("error", "warning", 1), err=True)
