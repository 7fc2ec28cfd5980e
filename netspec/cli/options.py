"""What several commands share: the network argument, `--set`, `--input`, formats, and writing files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netspec.dims import Dim
from netspec.spec.read import Spec

if TYPE_CHECKING:
    from netspec.network import Network

Command = TypeVar("Command", bound=Callable[..., Any])

network = click.argument("network")
settings = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Give a parameter of the spec another value."
)
sizes = click.option(
    "--input",
    "sizes",
    multiple=True,
    metavar="[NAME=]SIZES",
    help="Give an input other sizes, as 3x512x512 or 3xHxW; the batch stays.",
)


def network_options(command: Command) -> Command:
    """NETWORK, `--set` and `--input`."""
    return network(settings(sizes(command)))


def format_option(*formats: str) -> Callable[[Command], Command]:
    """`--format`, the first of these unless said."""
    return click.option("--format", "format_", type=click.Choice(formats), default=formats[0], show_default=True, help="How to print it.")


def open_network(name: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """The network of a command's arguments."""
    from netspec.network import Network, check_inputs
    from netspec.spec.elaborate import without_collector
    from netspec.spec.library import find
    from netspec.spec.read import read_spec

    with without_collector():
        spec = read_spec(find(name))
        return Network(spec, read_settings(settings), check_inputs(spec, read_sizes(sizes, spec)))


def read_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`classes=10` and `stages=[1,1,1,1]` as values, read as a spec's would be."""
    from netspec.source import Source
    from netspec.spec.data import plain
    from netspec.spec.yaml import read

    found: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign or not name.strip() or not text.strip():
            raise click.UsageError(f"--set takes NAME=VALUE, not `{setting}`")
        found[name.strip()] = plain(read(Source(f"<--set {name.strip()}>", text)))
    return found


def read_sizes(sizes: tuple[str, ...], spec: Spec) -> dict[str, list[Dim | str]]:
    """`3x512x512`, with the input's name before it where there are several, as shapes with the batch before them."""
    found: dict[str, list[Dim | str]] = {}
    for text in sizes:
        name, sign, rest = text.rpartition("=")
        if not sign:
            if len(spec.inputs) != 1:
                raise click.UsageError(f"--input takes NAME=SIZES: `{spec.name}` has {', '.join(spec.inputs)}")
            name = next(iter(spec.inputs))
        parts: list[Dim | str] = [int(p) if p.isdecimal() else p for p in rest.split("x")]
        if not all(isinstance(p, int) or (p.isidentifier() and p[0].isupper()) for p in parts):
            raise click.UsageError(f"--input takes sizes such as 3x512x512 or 3xHxW, not `{rest}`")
        declared = spec.inputs[name].dims if name in spec.inputs else []
        if len(parts) == len(declared) - 1 and isinstance(declared[0][0], int | str):
            parts = [declared[0][0], *parts]
        found[name] = parts
    return found


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all: under a temporary name beside it, then renamed."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            # mkstemp makes a private file; what is written is like any other of the user's.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise click.ClickException(f"{path} can't be written: {(error.strerror or str(error)).lower()}") from None


def emit(text: str, output: str | None) -> None:
    """Print, or write to the file that `-o` names."""
    if output is None or output == "-":
        click.echo(text)
    else:
        write_file(Path(output), text if text.endswith("\n") else f"{text}\n")
        click.echo(f"wrote {output}", err=True)
