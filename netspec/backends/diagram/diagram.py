"""Diagrams of graphs, as `netspec diagram` writes them and notebooks show them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from functools import cached_property

from netspec.backends.diagram.dot import Direction, to_dot
from netspec.backends.diagram.fold import fold
from netspec.backends.diagram.mark import marked
from netspec.backends.diagram.picture import Picture
from netspec.backends.diagram.render import DPIS, WIDTHS, render
from netspec.backends.diagram.theme import Theme
from netspec.errors import closest, fail
from netspec.graph.model import Graph, Mode

_FORMATS = ("svg", "png", "pdf", "dot")


class Diagram:
    """A diagram of a graph: `dot` and `svg` are texts, `save` writes a file, and a notebook shows it."""

    def __init__(self, picture: Picture, dot: str) -> None:
        self.picture = picture
        self.dot = dot

    @cached_property
    def svg(self) -> str:
        """The diagram as SVG text."""
        text = self.render("svg").decode()
        # Viewers without Helvetica take the next font of the same widths.
        return text.replace('font-family="Helvetica"', 'font-family="Helvetica,Arial,sans-serif"')

    def render(self, format: str, system: bool = False, dpi: int | None = None) -> bytes:
        """The diagram as `svg`, `png` or `pdf`; PDF needs an installed Graphviz (`system`).

        `dpi` is for PNG, from 24 to 600 pixels per inch. Raises NetspecError.
        """
        if dpi is not None and (format != "png" or not DPIS[0] <= dpi <= DPIS[1]):
            raise ValueError(f"`dpi` is for PNG, from {DPIS[0]} to {DPIS[1]}, not {dpi!r} for {format.upper()}")
        return render(self.dot, format, system, dpi)

    def save(self, path: str | os.PathLike[str], dpi: int | None = None) -> None:
        """Write a file in the format of its suffix: .svg, .png, .pdf or .dot."""
        format = os.fspath(path).rpartition(".")[2].lower()
        if format not in _FORMATS:
            raise ValueError(f"a diagram's file ends in .svg, .png, .pdf or .dot, not {os.fspath(path)!r}")
        data = marked(self.bytes(format, dpi=dpi), format)
        with open(path, "wb") as file:
            file.write(data)

    def bytes(self, format: str, system: bool = False, dpi: int | None = None) -> bytes:
        """The diagram as the content of a file."""
        if format == "dot" and dpi is None:
            return self.dot.encode()
        if format == "svg" and not system and dpi is None:
            return self.svg.encode()
        return self.render(format, system or format == "pdf", dpi)

    def _repr_svg_(self) -> str:
        # Without the XML prolog, so that it can be part of a page.
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
    title: bool = True,
    width: float | None = None,
) -> Diagram:
    """A diagram of a graph, or of one scope (`part`) of it.

    `part` is a path, or the name of a block, of which the first use is drawn. Blocks are opened down to `depth`; None
    opens as much as a page holds. A repeat is drawn once; `expand` names the repeats whose copies are all drawn, or
    "all". `direction` is "TB" or "LR", `theme` "light" or "dark"; ops and scopes at or below the paths in `highlight`
    are drawn boldly. With `mode` "train", nodes that are built in training only are drawn too. `title` says whether
    the title is drawn; `width` is how long a row of an "LR" diagram may be, in inches. Raises NetspecError for an
    unknown name, and where there are too many boxes.
    """
    if width is not None and not (direction == "LR" and WIDTHS[0] <= width <= WIDTHS[1]):
        raise ValueError(f'`width` is for direction "LR", from {WIDTHS[0]} to {WIDTHS[1]} inches')
    for name in highlight:
        if name not in graph.by_path and name not in graph.scopes:
            help = closest(name, (*graph.scopes, *graph.by_path))
            fail("NS209", f"`{graph.name}` has no part `{name}` to highlight", help=help)
    picture = fold(graph, depth, expand, part, mode)
    dot = to_dot(
        picture,
        direction=direction,
        theme=theme,
        highlight=_with_all_below(graph, highlight),
        title=title,
        width=width,
    )
    return Diagram(picture, dot)


def _with_all_below(graph: Graph, names: Collection[str]) -> list[str]:
    """These paths, and those of all ops below them."""
    chosen = set(names)
    below = [path for path in graph.by_path if not chosen.isdisjoint(_upwards(path))] if chosen else []
    return [*names, *below]


def _upwards(path: str) -> list[str]:
    """A path and the paths above it: `a`, `a.b` and `a.b.c` for `a.b.c`."""
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
