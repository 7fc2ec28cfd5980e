"""What several commands share: the network argument, `--set`, `--input`, formats, and writing files."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netspec.files import replacing

if TYPE_CHECKING:
    from netspec.dims import Dim
    from netspec.network import Network
    from netspec.source import Source
    from netspec.spec.read import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

FORMATS = ("table", "json", "csv", "markdown")
_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown"}
_MAX_DIGITS = 19

network = click.argument("network")
networks = click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter of the spec another value, such as classes=10; may be repeated.",
)
sizes = click.option(
    "--input",
    "sizes",
    multiple=True,
    metavar="[NAME=]SIZES",
    help="Give an input other sizes, such as 3x512x512 or 3xHxW; the batch stays.",
)


def _load(context: click.Context, option: click.Parameter, files: tuple[str, ...]) -> None:
    if files:
        from netspec.ops.own import load_ops

        for file in files:
            load_ops(file)


own_ops = click.option(
    "--ops",
    multiple=True,
    metavar="FILE",
    callback=_load,
    is_eager=True,
    expose_value=False,
    help="Run a Python file that defines ops of your own; may be repeated.",
)

weights_key = click.option(
    "--key", default="", metavar="NAME", help="Where in a checkpoint the state dict stands, such as checkpoint.model."
)

overwrite = click.option("--force", is_flag=True, help="Overwrite a file that netspec did not write.")


def need(module: str) -> None:
    """Import a module that a command can't do without, or raise MissingPart."""
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module:
            raise
        from netspec.errors import MissingPart

        raise MissingPart(f"this command needs {module}, which is not installed", f"pip install {module}") from None


def spec_options(command: Command) -> Command:
    """How specs are read: `--set`, `--input` and `--ops`."""
    return settings(sizes(own_ops(command)))


def network_options(command: Command) -> Command:
    """NETWORK, and how it is read."""
    return network(spec_options(command))


def format_option(help: str) -> Callable[[Command], Command]:
    """`--format`."""
    return click.option("--format", "format_", type=click.Choice(FORMATS), help=help)


def output_options(command: Command) -> Command:
    """Where a report goes: `--format` and `-o`."""
    form = format_option("How to print it.  [default: by the suffix of -o, else table]")
    file = "Write to a file (.json, .csv, .md or a table as text)."
    return form(click.option("-o", "--output", metavar="FILE", help=file)(command))


def report_options(command: Command) -> Command:
    """What a report on one network takes."""
    return network_options(output_options(command))


def format_for(format_: str | None, output: str | None) -> str:
    """The format that was asked for, else the one that the output file's suffix tells, else a table."""
    return format_ or _SUFFIXES.get(Path(output or "").suffix, "table")


def open_network(name: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """The network of a command's arguments."""
    from netspec.spec.library import find_network

    source, network = find_network(name)
    return open_source(source, network, settings, sizes)


def open_source(source: Source, network: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """The network of a source, or the one of that name where it has several, under a command's options."""
    from netspec.collector import without_collector
    from netspec.network import Network, check_inputs
    from netspec.spec.read import read_spec

    params = read_settings(settings)
    with without_collector():
        spec = read_spec(source, network)
        return Network(spec, params, check_inputs(spec, read_sizes(sizes, spec)))


def read_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`classes=10` and `stages=[1,1,1,1]` as values, read as a spec's would be."""
    from netspec.errors import NetspecError, shortened
    from netspec.source import Source
    from netspec.spec.data import plain
    from netspec.spec.yaml import read

    found: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = (part.strip() for part in setting.partition("="))
        usage = f"--set takes NAME=VALUE, such as classes=10 or stages=[1,1,1,1], not `{shortened(setting)}`"
        if not (name and sign and text):
            raise click.UsageError(usage)
        try:
            found[name] = plain(read(Source(f"--set {name}", text)))
        except NetspecError as error:
            raise click.UsageError(f"{usage}: {error.diagnostics[0].message}") from None
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
        parts = [_size(part) for part in rest.split("x")]
        shape: list[Dim | str] = [part for part in parts if part is not None]
        if len(shape) != len(parts):
            raise click.UsageError(f"--input takes sizes such as 3x512x512 or 3xHxW, not `{rest}`")
        declared = spec.inputs[name].dims if name in spec.inputs else []
        if len(shape) == len(declared) - 1 and isinstance(declared[0][0], int | str):
            shape = [declared[0][0], *shape]
        found[name] = shape
    return found


def _size(text: str) -> int | str | None:
    if not text.isascii():
        return None
    if text.isdecimal():
        return int(text) if len(text) <= _MAX_DIGITS else None
    return text if text.isidentifier() and text[0].isupper() else None


@contextmanager
def writing(path: Path) -> Generator[None]:
    """While a file is written: what the system says against it in words, and no traceback."""
    try:
        yield
    except OSError as error:
        reason = "there is no such folder" if not path.parent.exists() else (error.strerror or str(error)).lower()
        raise click.ClickException(f"{path} can't be written: {reason}") from None


@contextmanager
def in_place_of(path: Path) -> Generator[Path]:
    """A new file beside `path` that takes its place when all has gone well; else `path` stays as it was."""
    with writing(path), replacing(path) as file:
        yield file


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with in_place_of(path) as file:
        file.write_text(text, encoding="utf-8", newline="\n")


def emit(text: str, output: str | None) -> None:
    """Print, or write to the file that `-o` names."""
    if output is None or output == "-":
        click.echo(text)
    else:
        write_file(Path(output), text if text.endswith("\n") else f"{text}\n")
        click.echo(f"wrote {output}", err=True)
