"""`netspec schema`."""

from __future__ import annotations

from pathlib import Path

import click

from netspec.cli.options import output_file, overwrite, own_ops
from netspec.cli.output import check_names_a_file, emit, is_stdout
from netspec.cli.overwrite import is_our_schema
from netspec.cli.terminal import echo_error


@click.command("schema")
@output_file("Write to a file, instead of standard output.")
@own_ops
@overwrite
def command(output: str | None, force: bool) -> None:
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
    from netspec.spec.schema.schema import schema_text, spec_schema

    _check(output)
    for name in announced():
        _find(name)
    emit(schema_text(spec_schema(REGISTRY.values())).removesuffix("\n"), output, force, is_our_schema)


def _check(output: str | None) -> None:
    if output is not None and not is_stdout(output):
        check_names_a_file(output)
        if Path(output).suffix.lower() not in (".json", ""):
            raise click.UsageError(f"-o takes a file that ends in .json, not `{output}`")


def _find(name: str) -> None:
    """Import the op of an installed package; one that can't be used is left out, and that is said."""
    from netspec.errors import NetspecError
    from netspec.ops.own import find_op

    try:
        find_op(name)
    except NetspecError as error:
        echo_error(str(error).replace("error", "warning", 1))
