"""`netspec diagram`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from netspec.cli.options import NetworkOptions, force_option, network_options, output_file
from netspec.cli.output import FileOptions
from netspec.cli.progress import working
from netspec.cli.provenance import is_our_diagram
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.backends.diagram import Diagram
    from netspec.backends.diagram.dot import Direction
    from netspec.backends.diagram.theme import Theme
    from netspec.graph.model import Graph, Mode

_FORMATS = ("svg", "png", "pdf", "dot")


@dataclass(frozen=True, slots=True)
class _DrawingOptions:
    """The values of the options below, by their names."""

    depth: str | None
    expand: tuple[str, ...]
    part: str
    train: bool
    direction: Direction
    width: float | None
    theme: Theme
    highlight: tuple[str, ...]
    title: bool
    dpi: int | None
    dot: str

    def check(self, format: str) -> None:
        """Raise a usage error for options that exclude each other, and for numbers out of range."""
        from netspec.backends.diagram.render import DPIS, WIDTHS

        depth, width, dpi = self.depth, self.width, self.dpi
        if depth is not None and depth != "all" and not (depth.isascii() and depth.isdecimal() and len(depth) < 10):
            raise click.UsageError(f"--depth takes a number from 0, or `all`, not `{depth}`")
        if width is not None and self.direction != "LR":
            raise click.UsageError("--width goes with --direction LR: it says how long a row may be")
        if width is not None and not WIDTHS[0] <= width <= WIDTHS[1]:
            raise click.UsageError(f"--width takes from {WIDTHS[0]} to {WIDTHS[1]} inches, not {width:g}")
        if dpi is not None and format != "png":
            this = f"this is {format.upper()}: write to a file that ends in .png"
            raise click.UsageError(f"--dpi goes with a PNG, and {this}")
        if dpi is not None and not DPIS[0] <= dpi <= DPIS[1]:
            raise click.UsageError(f"--dpi takes from {DPIS[0]} to {DPIS[1]} pixels per inch, not {dpi}")

    def draw(self, graph: Graph) -> Diagram:
        """The diagram of a graph. If `part` names a block, the path of the drawn use is printed."""
        from netspec.backends.diagram import diagram
        from netspec.backends.diagram.view import DEEPEST

        mode = "train" if self.train else "inference"
        return diagram(
            graph,
            DEEPEST if self.depth == "all" else None if self.depth is None else int(self.depth),
            expand=self.expand,
            part=_part(graph, self.part, mode),
            direction=self.direction,
            theme=self.theme,
            highlight=self.highlight,
            mode=mode,
            title=self.title,
            width=self.width,
        )


@click.command("diagram")
@network_options
@output_file("Write to a file (.svg, .png, .pdf or .dot) and not SVG to stdout.", default="-")
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
@force_option
def command(network: NetworkOptions, output: FileOptions, **options: Any) -> None:
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
    drawing = _DrawingOptions(**options)
    format = "svg" if output.is_stdout else output.suffix.removeprefix(".")
    if format not in _FORMATS:
        raise click.UsageError(f"-o takes a file that ends in .svg, .png, .pdf or .dot, not `{output.file}`")
    drawing.check(format)
    opened = network.open()
    target = None if output.is_stdout else output.target(is_our_diagram)
    system = drawing.dot == "system" or format == "pdf"
    if system and format != "dot":
        _require_graphviz(format)
    diagram = drawing.draw(opened.graph)
    boxes = len(diagram.picture.boxes)
    with working(f"laying out {boxes} boxes"):
        data = diagram.bytes(format, system, drawing.dpi)
    if target is None:
        echo(data.decode(), nl=False)
        return
    from netspec.backends.diagram.mark import marked

    target.write(marked(data, format))
    echo(f"wrote {target.path}: {boxes} boxes", err=True)


def _part(graph: Graph, name: str, mode: Mode) -> str:
    """The path of the part to draw; for a block this is its first use, which is printed to standard error."""
    from netspec.backends.diagram.view import part_of, uses_of

    path = part_of(graph, name, mode)
    if path != name:
        uses = len(uses_of(graph, name))
        which = f"the first of its {uses} uses" if uses > 1 else "its one use"
        echo(f"`{name}` is a block: `{path}` is drawn, {which}", err=True)
    return path


def _require_graphviz(format: str) -> None:
    from netspec.backends.diagram.render import system_dot

    if system_dot() is None:
        from netspec.errors import MissingPart

        help = "see https://graphviz.org/download/ (apt install graphviz); SVG and PNG need none"
        raise MissingPart(f"{format.upper()} by `dot` needs an installed Graphviz", help)
