"""Options shared by several commands; options that belong together are passed to a command as one typed value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from netspec.cli.completion import complete_network
from netspec.cli.networks import open_network
from netspec.cli.output import FileOptions, ReportOptions
from netspec.cli.pictures import RunOptions
from netspec.cli.provenance import REPORT_FORMATS
from netspec.files import note_input

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from netspec.network import Network

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The values of NETWORK, `--set` and `--input`."""

    name: str
    settings: tuple[str, ...]
    sizes: tuple[str, ...]

    def open(self) -> Network:
        """Load the network with these parameters and sizes."""
        return open_network(self.name, self.settings, self.sizes)


@dataclass(frozen=True, slots=True)
class WeightsOptions:
    """The values of `--weights` and `--key`: a file of weights, and the place of the state dict in it."""

    file: str
    key: str

    @classmethod
    def of(cls, file: str | None, key: str) -> WeightsOptions | None:
        """The options; None if there is no file."""
        if file is None and key:
            raise click.UsageError("--key goes with --weights")
        return None if file is None else cls(file, key)


class _InputFile(click.ParamType[str] if TYPE_CHECKING else click.ParamType):
    """Note a file that a command reads, so that its output does not replace the file."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        note_input(value)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


INPUT = _InputFile()


def _load_ops(context: click.Context, option: click.Parameter, files: tuple[str, ...]) -> None:
    # Files of ops are not run while a shell completes a line.
    if files and not context.resilient_parsing:
        from netspec.ops.own import load_ops

        for file in files:
            load_ops(file)


own_ops = click.option(
    "--ops",
    multiple=True,
    metavar="FILE",
    callback=_load_ops,
    is_eager=True,
    expose_value=False,
    type=INPUT,
    help="Run a Python file that defines ops of your own; may be repeated.",
)
key_option = click.option(
    "--key", default="", metavar="NAME", help="Where in a checkpoint the state dict stands, such as checkpoint.model."
)
force_option = click.option(
    "--force", is_flag=True, help="Overwrite a file that netspec did not write, or that this command reads."
)


def format_option(help: str) -> Callable[[Command], Command]:
    """`--format`."""
    return click.option("--format", "format_", type=click.Choice(REPORT_FORMATS), help=help)


def spec_options(command: Command) -> Command:
    """`--set`, `--input` and `--ops`: how specs are read. The command gets `settings` and `sizes`."""
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
    return settings(sizes(own_ops(command)))


def network_options(command: Command) -> Command:
    """NETWORK, `--set`, `--input` and `--ops`. The command gets `network`, NetworkOptions."""
    argument = click.argument("network", shell_complete=complete_network)
    gathered = _gathered(command, "network", NetworkOptions, ("network", "settings", "sizes"))
    return argument(spec_options(gathered))


def networks_options(command: Command) -> Command:
    """NETWORK..., `--set`, `--input` and `--ops`. The command gets `networks`, NetworkOptions for each."""

    def each(names: tuple[str, ...], settings: tuple[str, ...], sizes: tuple[str, ...]) -> list[NetworkOptions]:
        return [NetworkOptions(name, settings, sizes) for name in names]

    argument = click.argument(
        "networks", nargs=-1, required=True, metavar="NETWORK...", shell_complete=complete_network
    )
    return argument(spec_options(_gathered(command, "networks", each, ("networks", "settings", "sizes"))))


def output_file(help: str, *, default: str | None = None, required: bool = False) -> Callable[[Command], Command]:
    """`-o`, for a command that has `force_option` too. The command gets `output`, FileOptions."""

    def decorate(command: Command) -> Command:
        option = _file_option(help, default=default, required=required)
        return option(_gathered(command, "output", FileOptions, ("output", "force")))

    return decorate


def weights_options(help: str) -> Callable[[Command], Command]:
    """`--weights` and `--key`. The command gets `weights`, WeightsOptions or None."""

    def decorate(command: Command) -> Command:
        option = click.option("--weights", metavar="FILE", type=INPUT, help=help)
        return option(key_option(_gathered(command, "weights", WeightsOptions.of, ("weights", "key"))))

    return decorate


def report_options(command: Command) -> Command:
    """`--format`, `-o` and `--force` of a report. The command gets `output`, ReportOptions."""
    return _report_options(command, ReportOptions.of, "Write to a file: .json, .csv, .md, or .txt for the table.")


def run_options(command: Command) -> Command:
    """`--format`, `-o` and `--force` of a report or of pictures. The command gets `output`, RunOptions."""
    help = (
        "Write to a file: .json, .csv, .md, or .txt for the table; or .png, .jpg, .webp to draw what a detector found."
    )
    return _report_options(command, RunOptions.of, help)


def _report_options(command: Command, make: Callable[..., Any], help: str) -> Command:
    gathered = _gathered(command, "output", make, ("format_", "output", "force"))
    form = format_option("How to print it.  [default: by the suffix of -o, else table]")
    return form(_file_option(help)(force_option(gathered)))


def _file_option(help: str, **more: Any) -> Callable[[Command], Command]:
    return click.option("-o", "--output", metavar="FILE", type=click.Path(), help=help, **more)


def _gathered(command: Command, name: str, make: Callable[..., Any], options: tuple[str, ...]) -> Command:
    """Wrap a command so that several options become one argument, which `make` creates from their values."""

    @wraps(command)
    def wrapped(*args: Any, **values: Any) -> Any:
        value = make(*[values.pop(option) for option in options])
        return command(*args, **values, **{name: value})

    return cast(Command, wrapped)
