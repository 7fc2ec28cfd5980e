"""`netspec diagram`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from netspec.cli.options import network_options, open_network, output_file, overwrite
from netspec.cli.output import check_names_a_file, check_overwrite, is_stdout, write_file
from netspec.cli.progress import working
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.graph.model import Graph, Mode

_FORMATS = ("svg", "png", "pdf", "dot")


@click.command("diagram")
@network_options
@output_file("Write to a file (.svg, .png, .pdf or .dot) and not SVG to stdout.")
@click.option("--depth", metavar="N|all", help="How deep to open blocks.  [default: as deep as a page holds]")
@click.option("--expand", multiple=True, metavar="NAME|all", help="Draw every copy of a repeat; may be repeated.")
@click.option("--part", default="", metavar="NAME", help="Draw one block, branch or repeat alone; of a block, a use.")
@click.option("--train", is_flag=True, help="With what is built in training only, such as auxiliary classifiers.")
@click.option(
    "--direction", type=click.Choice(("TB", "LR")), default="TB", show_default=True, help="Which way it runs."
)
@click.option(
    "--width",
    type=float,
    metavar="INCHES",
    help="How long a row may be with `--direction LR`.  [default: as on a page]",
)
@click.option("--theme", type=click.Choice(("light", "dark")), default="light", show_default=True, help="The colours.")
@click.option("--highlight", multiple=True, metavar="NAME", help="Draw a part boldly; may be repeated.")
@click.option("--title/--no-title", default=True, help="With the title and the totals, or without.")
@click.option("--dpi", type=int, metavar="N", help="Pixels per inch of a PNG.  [default: 144]")
@click.option(
    "--dot",
    type=click.Choice(("bundled", "system")),
    default="bundled",
    show_default=True,
    help="Which Graphviz lays it out.",
)
@overwrite
def command(
    network: str,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    output: str | None,
    depth: str | None,
    expand: tuple[str, ...],
    part: str,
    train: bool,
    direction: str,
    width: float | None,
    theme: str,
    highlight: tuple[str, ...],
    title: bool,
    dpi: int | None,
    dot: str,
    force: bool,
) -> None:
    """Draw a network: blocks as frames, a convolution with its norm and activation as one box, repeats once.

    What is drawn dashed stands in some copies of a repeat only. A long diagram goes on in a next column, where a
    circle has the same number.

    \b
    Examples:
      netspec diagram resnet34 > resnet34.svg
      netspec diagram resnet50 --expand layer2 -o resnet50.png
      netspec diagram resnet50 --part layer2.0 -o bottleneck.svg
      netspec diagram googlenet --part inception --direction LR --no-title --dpi 300 -o inception.png
      netspec diagram vgg_e --direction LR --theme dark -o vgg_e.svg
    """
    format = "svg" if output is None or is_stdout(output) else Path(output).suffix.removeprefix(".").lower()
    if format not in _FORMATS:
        raise click.UsageError(f"-o takes a file that ends in .svg, .png, .pdf or .dot, not `{output}`")
    if depth is not None and depth != "all" and not (depth.isascii() and depth.isdecimal() and len(depth) < 10):
        raise click.UsageError(f"--depth takes a number from 0, or `all`, not `{depth}`")
    _check(format, direction, width, dpi)
    if output is not None and not is_stdout(output):
        check_names_a_file(output)
    found = open_network(network, settings, sizes)
    from netspec.backends.diagram.mark import is_our_diagram, marked

    if output is not None and not is_stdout(output):
        check_overwrite(Path(output), is_our_diagram, force)
    system = dot == "system" or format == "pdf"
    if system and format != "dot":
        _need_graphviz(format)
    from netspec.backends.diagram import diagram
    from netspec.backends.diagram.dot import Direction
    from netspec.backends.diagram.theme import Theme
    from netspec.backends.diagram.view import DEEPEST

    mode = "train" if train else "inference"
    drawn = diagram(
        found.graph,
        DEEPEST if depth == "all" else None if depth is None else int(depth),
        expand=expand,
        part=_part(found.graph, part, mode),
        direction=cast(Direction, direction),
        theme=cast(Theme, theme),
        highlight=highlight,
        mode=mode,
        title=title,
        width=width,
    )
    with working(f"laying out {len(drawn.picture.boxes)} boxes"):
        data = drawn.bytes(format, system, dpi)
    if output is None or is_stdout(output):
        echo(data.decode(), nl=False)
        return
    write_file(Path(output), marked(data, format), is_our_diagram, force)
    echo(f"wrote {output}: {len(drawn.picture.boxes)} boxes", err=True)


def _check(format: str, direction: str, width: float | None, dpi: int | None) -> None:
    """Refuse options that do not fit together, or whose numbers no picture can have."""
    from netspec.backends.diagram.render import DPIS, WIDTHS

    if width is not None and direction != "LR":
        raise click.UsageError("--width goes with --direction LR: it says how long a row may be")
    if width is not None and not WIDTHS[0] <= width <= WIDTHS[1]:
        raise click.UsageError(f"--width takes from {WIDTHS[0]} to {WIDTHS[1]} inches, not {width:g}")
    if dpi is not None and format != "png":
        raise click.UsageError(
            f"--dpi goes with a PNG, and this is {format.upper()}: write to a file that ends in .png"
        )
    if dpi is not None and not DPIS[0] <= dpi <= DPIS[1]:
        raise click.UsageError(f"--dpi takes from {DPIS[0]} to {DPIS[1]} pixels per inch, not {dpi}")


def _part(graph: Graph, name: str, mode: Mode) -> str:
    """The path of the part that is drawn; where a block was named, which of its uses that is goes to stderr."""
    from netspec.backends.diagram.view import part_of, uses_of

    path = part_of(graph, name, mode)
    if path != name:
        uses = len(uses_of(graph, name))
        which = f"the first of its {uses} uses" if uses > 1 else "its one use"
        echo(f"`{name}` is a block: `{path}` is drawn, {which}", err=True)
    return path


def _need_graphviz(format: str) -> None:
    from netspec.backends.diagram.render import system_dot

    if system_dot() is None:
        from netspec.errors import MissingPart

        help = "see https://graphviz.org/download/ (apt install graphviz); SVG and PNG need none"
        raise MissingPart(f"{format.upper()} by `dot` needs an installed Graphviz", help)
