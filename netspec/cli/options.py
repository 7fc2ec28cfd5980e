"""What several commands share: the network argument, `--set`, `--input`, formats, and writing files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from netspec.cli.completion import network_names
from netspec.cli.output import output_of
from netspec.cli.overwrite import REPORT_FORMATS
from netspec.files import note_input

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from netspec.dims import Dim
    from netspec.network import Network
    from netspec.source import Source
    from netspec.spec.read.read_spec import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

_MAX_DIGITS = 19

network = click.argument("network", shell_complete=network_names)
networks = click.argument("networks", nargs=-1, required=True, metavar="NETWORK...", shell_complete=network_names)
settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give a parameter of the spec another value, such as classes=10 or stages=1,1,1,1; may be repeated.",
)
sizes = click.option(
    "--input",
    "sizes",
    multiple=True,
    metavar="[NAME=]SIZES",
    help="Give an input other sizes, such as 3x512x512 or 3xHxW; the batch stays.",
)


def _load(context: click.Context, option: click.Parameter, files: tuple[str, ...]) -> None:
    # A shell that completes a line runs nothing that stands in it.
    if files and not context.resilient_parsing:
        from netspec.ops.own import load_ops

        for file in files:
            load_ops(file)


class _InputFile(click.ParamType[str] if TYPE_CHECKING else click.ParamType):
    """A file that a command reads, so that nothing it writes takes that file's place."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        note_input(value)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


INPUT = _InputFile()

own_ops = click.option(
    "--ops",
    multiple=True,
    metavar="FILE",
    callback=_load,
    is_eager=True,
    expose_value=False,
    type=INPUT,
    help="Run a Python file that defines ops of your own; may be repeated.",
)

weights_key = click.option(
    "--key", default="", metavar="NAME", help="Where in a checkpoint the state dict stands, such as checkpoint.model."
)

overwrite = click.option(
    "--force", is_flag=True, help="Overwrite a file that netspec did not write, or that this command reads."
)


def need(module: str) -> None:
    """Import a module that a command can't do without, or raise MissingPart."""
    try:
        import_module(module)
    except Exception as error:
        # A package that is there may fail in any way: libraries that are missing, or have no room in memory.
        from netspec.errors import MissingPart

        missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == module
        if missing:
            raise MissingPart(f"this command needs {module}, which is not installed", f"pip install {module}") from None
        reason = " ".join((str(error) or type(error).__name__).split())
        way = f"pip install --force-reinstall {module}"
        if isinstance(error, MemoryError) or "memory" in reason or "failed to map" in reason:
            way = f"give it more memory (`ulimit -v unlimited`); if that is not it, {way}"
        raise MissingPart(f"{module} is installed, and can't be imported: {reason}", way) from None


def spec_options(command: Command) -> Command:
    """How specs are read: `--set`, `--input` and `--ops`."""
    return settings(sizes(own_ops(command)))


def network_options(command: Command) -> Command:
    """NETWORK, and how it is read."""
    return network(spec_options(command))


def format_option(help: str) -> Callable[[Command], Command]:
    """`--format`."""
    return click.option("--format", "format_", type=click.Choice(REPORT_FORMATS), help=help)


def output_file(help: str, **more: Any) -> Callable[[Command], Command]:
    """`-o`."""
    return click.option("-o", "--output", metavar="FILE", type=click.Path(), help=help, **more)


def weights_file(help: str) -> Callable[[Command], Command]:
    """`--weights`."""
    return click.option("--weights", metavar="FILE", type=INPUT, help=help)


def output_options(command: Command) -> Command:
    """Where a report goes, which the command gets as `output`: `--format`, `-o` and `--force`."""

    @wraps(command)
    def wrapped(*args: Any, format_: str | None, output: str | None, force: bool, **rest: Any) -> Any:
        return command(*args, output=output_of(format_, output, force), **rest)

    form = format_option("How to print it.  [default: by the suffix of -o, else table]")
    option = output_file("Write to a file: .json, .csv, .md, or .txt for the table.")
    return cast(Command, form(option(overwrite(wrapped))))


def report_options(command: Command) -> Command:
    """What a report on one network takes."""
    return network_options(output_options(command))


def open_network(name: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """The network of a command's arguments."""
    from netspec.spec.sources.find import find_network

    source, network = find_network(name)
    return open_source(source, network, settings, sizes)


def open_source(source: Source, network: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """The network of a source, or the one of that name where it has several, under a command's options."""
    from netspec.gc_pause import gc_paused
    from netspec.network import Network, check_inputs
    from netspec.spec.read.read_spec import read_spec

    # What is wrong with the command itself is told before what is wrong with the spec.
    read_settings(settings)
    with gc_paused():
        spec = read_spec(source, network)
        lists = {parameter.name for parameter in spec.parameters.values() if parameter.kind == "list"}
        return Network(spec, read_settings(settings, lists), check_inputs(spec, read_sizes(sizes, spec)))


def read_settings(settings: tuple[str, ...], lists: Collection[str] = ()) -> dict[str, Any]:
    """`classes=10` and `stages=1,1,1,1` as values, read as a spec's are; `lists` of several items need no brackets."""
    from netspec.errors import NetspecError, shortened
    from netspec.source import Source
    from netspec.spec.text.data import plain_data
    from netspec.spec.text.parse import parse_text

    found: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = (part.strip() for part in setting.partition("="))
        usage = f"--set takes NAME=VALUE, such as classes=10 or stages=1,1,1,1, not `{shortened(setting)}`"
        if not (name and sign and text):
            raise click.UsageError(usage)
        try:
            value = plain_data(parse_text(Source(f"--set {name}", text)))
            if name in lists and isinstance(value, str) and "," in value:
                value = plain_data(parse_text(Source(f"--set {name}", f"[{text}]")))
            found[name] = value
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
