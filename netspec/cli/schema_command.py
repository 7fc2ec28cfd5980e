"""`netspec schema`."""

from __future__ import annotations

import click

from netspec.cli.options import force_option, output_file, own_ops
from netspec.cli.output import FileOptions
from netspec.cli.provenance import is_our_schema
from netspec.cli.terminal import echo_error


@click.command("schema")
@output_file("Write to a file, instead of standard output.")
@own_ops
@force_option
def command(output: FileOptions) -> None:
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
    from netspec.spec.schema.schema import spec_schema
    from netspec.spec.schema.schema_text import schema_text

    _check(output)
    for name in announced():
        _load_op(name)
    output.emit(schema_text(spec_schema(REGISTRY.values())).removesuffix("\n"), is_our_schema)


def _check(output: FileOptions) -> None:
    if output.file is not None and not output.is_stdout and output.suffix not in (".json", ""):
        raise click.UsageError(f"-o takes a file that ends in .json, not `{output.file}`")


def _load_op(name: str) -> None:
    """Import the op of an installed package; one that can't be used is left out of the schema, with a warning."""
    from netspec.errors import NetspecError
    from netspec.ops.own import find_op

    try:
        find_op(name)
    except NetspecError as error:
        echo_error(str(error).replace("error", "warning", 1))
