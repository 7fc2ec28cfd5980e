"""Diagram: what `netspec diagram` draws, and what notebooks show of a network."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from functools import cached_property

from netspec.backends.diagram.dot import Direction, to_dot
from netspec.backends.diagram.fold import fold
from netspec.backends.diagram.look import Theme
from netspec.backends.diagram.picture import Picture
from netspec.backends.diagram.render import render
from netspec.errors import closest, fail
from netspec.graph.model import Graph, Mode

FORMATS = ("svg", "png", "pdf", "dot")


class Diagram:
    """A diagram of a graph: `dot` and `svg` as text, `save` to a file; a notebook shows it as it is."""

    def __init__(self, picture: Picture, direction: Direction, theme: Theme, highlight: Collection[str]) -> None:
        self.picture = picture
        self.dot = to_dot(picture, direction, theme, highlight)

    @cached_property
    def svg(self) -> str:
        """The diagram as SVG text."""
        text = self.render("svg").decode()
        # Readers without Helvetica take the next font of the same widths.
        return text.replace('font-family="Helvetica"', 'font-family="Helvetica,Arial,sans-serif"')

    def render(self, format: str, system: bool = False) -> bytes:
        """The diagram as `svg`, `png` or `pdf`; PDF needs an installed Graphviz (`system`). Raises NetspecError."""
        return render(self.dot, format, system)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, of the format that its suffix tells: .svg, .png, .pdf or .dot."""
        format = os.fspath(path).rpartition(".")[2].lower()
        if format not in FORMATS:
            raise ValueError(f"a diagram's file ends in .svg, .png, .pdf or .dot, not {os.fspath(path)!r}")
        data = self.bytes(format)
        with open(path, "wb") as file:
            file.write(data)

    def bytes(self, format: str, system: bool = False) -> bytes:
        """The diagram as the content of a file."""
        if format == "dot":
            return self.dot.encode()
        if format == "svg" and not system:
            return self.svg.encode()
        return self.render(format, system or format == "pdf")

    def _repr_svg_(self) -> str:
        # Without the XML prolog, so that a page can hold it.
        return re.sub(r"\A.*?(?=<svg)", "", self.svg, flags=re.S)

    def __repr__(self) -> str:
        return f"Diagram({self.picture.title!r}, {len(self.picture.boxes)} boxes)"


def diagram(
    graph: Graph,
    depth: int | None = None,
    *,
    expand: Collection[str] = (),
    part: str = "",
    direction: Direction = "TB",
    theme: Theme = "light",
    highlight: Collection[str] = (),
    mode: Mode = "inference",
) -> Diagram:
    """A diagram of a graph, or of one scope (`part`) of it.

    `depth` is how deep blocks are opened; None opens as much as a page holds. A repeat is drawn once; `expand` names
    those whose copies are all drawn, "all" for every one. `direction` is "TB" or "LR", `theme` "light" or "dark";
    what stands at or below the paths in `highlight` is drawn boldly. With `mode` "train", what is built in training
    only is drawn too. Raises NetspecError for a name that there is
    not, and where there is too much to draw.
    """
    for name in highlight:
        if name not in graph.by_path and name not in graph.scopes:
            help = closest(name, (*graph.scopes, *graph.by_path))
            fail("NS209", f"`{graph.name}` has no part `{name}` to highlight", help=help)
    picture = fold(graph, depth, expand, part, mode)
    return Diagram(picture, direction, theme, _with_all_below(graph, highlight))


def _with_all_below(graph: Graph, names: Collection[str]) -> list[str]:
    """These paths, and those of all ops below them."""
    found = [path for name in names for path in graph.by_path if path == name or path.startswith(f"{name}.")]
    return [*names, *found]
