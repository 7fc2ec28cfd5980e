"""`netspec diagram`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from netspec.cli.options import in_place_of, network_options, open_network
from netspec.cli.progress import working

_FORMATS = ("svg", "png", "pdf", "dot")


@click.command("diagram")
@network_options
@click.option(
    "-o", "--output", metavar="FILE", help="Write to a file (.svg, .png, .pdf or .dot) and not SVG to stdout."
)
@click.option("--depth", metavar="N|all", help="How deep to open blocks.  [default: as deep as a page holds]")
@click.option("--expand", multiple=True, metavar="NAME|all", help="Draw every copy of a repeat; may be repeated.")
@click.option("--part", default="", metavar="NAME", help="Draw one block, branch or repeat alone.")
@click.option("--train", is_flag=True, help="With what is built in training only, such as auxiliary classifiers.")
@click.option(
    "--direction", type=click.Choice(("TB", "LR")), default="TB", show_default=True, help="Which way it runs."
)
@click.option("--theme", type=click.Choice(("light", "dark")), default="light", show_default=True, help="The colours.")
@click.option("--highlight", multiple=True, metavar="NAME", help="Draw a part boldly; may be repeated.")
@click.option(
    "--dot",
    type=click.Choice(("bundled", "system")),
    default="bundled",
    show_default=True,
    help="Which Graphviz lays it out.",
)
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
    theme: str,
    highlight: tuple[str, ...],
    dot: str,
) -> None:
    """Draw a network: blocks as frames, a convolution with its norm and activation as one box, repeats once.

    What is drawn dashed stands in some copies of a repeat only. A long diagram goes on in a next column, where a
    circle has the same number.

    \b
    Examples:
      netspec diagram resnet34 > resnet34.svg
      netspec diagram resnet50 --expand layer2 -o resnet50.png
      netspec diagram resnet50 --part layer2.0 -o bottleneck.svg
      netspec diagram vgg_e --direction LR --theme dark -o vgg_e.svg
    """
    format = Path(output or "").suffix.removeprefix(".").lower() if output and output != "-" else "svg"
    if format not in _FORMATS:
        raise click.UsageError(f"-o takes a file that ends in .svg, .png, .pdf or .dot, not `{output}`")
    if depth is not None and depth != "all" and not (depth.isascii() and depth.isdecimal() and len(depth) < 10):
        raise click.UsageError(f"--depth takes a number from 0, or `all`, not `{depth}`")
    found = open_network(network, settings, sizes)
    system = dot == "system" or format == "pdf"
    if system and format != "dot":
        _need_graphviz(format)
    from netspec.backends.diagram import diagram
    from netspec.backends.diagram.dot import Direction
    from netspec.backends.diagram.view import DEEPEST
    from netspec.backends.diagram.look import Theme

    drawn = diagram(
        found.graph,
        DEEPEST if depth == "all" else None if depth is None else int(depth),
        expand=expand,
        part=part,
        direction=cast(Direction, direction),
        theme=cast(Theme, theme),
        highlight=highlight,
        mode="train" if train else "inference",
    )
    with working(f"laying out {len(drawn.picture.boxes)} boxes"):
        data = drawn.bytes(format, system)
    if output is None or output == "-":
        click.echo(data.decode(), nl=False)
        return
    with in_place_of(Path(output)) as file:
        file.write_bytes(data)
    click.echo(f"wrote {output}: {len(drawn.picture.boxes)} boxes", err=True)


def _need_graphviz(format: str) -> None:
    from netspec.backends.diagram.render import system_dot

    if system_dot() is None:
        from netspec.errors import MissingPart

        help = "see https://graphviz.org/download/ (apt install graphviz); SVG and PNG need none"
        raise MissingPart(f"{format.upper()} by `dot` needs an installed Graphviz", help)
