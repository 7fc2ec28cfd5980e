"""A picture as DOT, written with the graphviz package. What it says of a picture is the same every time."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

import graphviz

from netspec.backends.diagram.box_text import abbreviations, joined
from netspec.backends.diagram.columns import assign_columns, units
from netspec.backends.diagram.copy_texts import times
from netspec.backends.diagram.forks import Fork, around, entered, forks, partial
from netspec.backends.diagram.markup import (
    LINE_WIDTH,
    LabelLine,
    breadth,
    escaped,
    parts,
    small,
    stacked,
    text_line,
    wrapped,
)
from netspec.backends.diagram.picture import Box, Cluster, Edge, Picture
from netspec.backends.diagram.spine import sign_of, spine
from netspec.backends.diagram.theme import FONT, PALETTES, Palette, Theme

Direction = Literal["TB", "LR"]
_BOX_WIDTH = "2.5"
"""Of boxes outside clusters, in inches: equal, so that the way down is straight and the figures beside it align."""
_TITLE_WIDTH = 64
"""In characters: a line of the title."""
_SMALL_WIDTH = 44
"""In characters: a line of small letters."""
_TAGS = {"first only": "first", "not first": "others", "last only": "last"}
"""In which copies there is a line, as it is said on the line."""


def to_dot(
    picture: Picture,
    direction: Direction = "TB",
    theme: Theme = "light",
    highlight: Collection[str] = (),
    title: bool = True,
    width: float | None = None,
) -> str:
    """The DOT text of a picture; `highlight` are paths whose boxes are framed boldly.

    `title` says whether there is one; `width`, in inches, how long a row may be that runs from left to right.
    """
    return _Writer(picture, direction, PALETTES[theme], highlight, title, width).write()


class _Writer:
    def __init__(
        self,
        picture: Picture,
        direction: Direction,
        palette: Palette,
        highlight: Collection[str],
        title: bool,
        width: float | None,
    ) -> None:
        self.picture = picture
        self.direction = direction
        self.palette = palette
        self.highlight = set(highlight)
        self.title = title
        self.ids = {key: f"n{number}" for number, key in enumerate(picture.boxes)}
        self.numbers = {key: number for number, key in enumerate(picture.clusters)}
        self.dot: Any = graphviz.Digraph(picture.name)
        self.spine = spine(picture)
        outside = {key for key, box in picture.boxes.items() if not box.cluster}
        self.straight = outside <= self.spine.keys()
        """Whether the boxes outside clusters stand one above the other."""
        self.chain = self.straight and self._beside_nothing()
        """Whether there is room for figures beside them too, as no way leads round any."""
        self.column = assign_columns(picture, direction, width)
        going = [edge.tail for edge in picture.edges if self.column[edge.tail] != self.column[edge.head]]
        self.marks = {tail: number for number, tail in enumerate(dict.fromkeys(going), start=1)}
        """By boxes whose value goes on in another column, the number that stands for it."""
        self.first = self._first()
        self.forks = forks(
            picture, [cluster for cluster, box in self.first.items() if not self._beside_first(cluster, box)]
        )
        self.tags = {(edge.tail, edge.head): f"l{n}" for n, edge in enumerate(picture.edges) if self._tagged(edge)}
        """By edges that say in which copies they are, the node that says it."""
        self.drawn: set[tuple[str, str]] = set()

    def _beside_nothing(self) -> bool:
        """Whether every edge stays in an outermost cluster, or leads to what follows on the spine."""
        outer = units(self.picture)
        before = {outer[key]: outer[tail] for key, tail in self.spine.items() if tail and outer[tail] != outer[key]}
        ends = [(outer[edge.tail], outer[edge.head]) for edge in self.picture.edges]
        return all(tail in (head, before.get(head)) for tail, head in ends)

    def _first(self) -> dict[str, Box]:
        """By cluster, the first box at or below it."""
        first: dict[str, Box] = {}
        for box in self.picture.boxes.values():
            for cluster in around(self.picture, box.cluster):
                first.setdefault(cluster, box)
        return first

    def _beside_first(self, cluster: str, box: Box) -> bool:
        """Whether the title of a cluster stands beside its first box: a row holds boxes of one cluster."""
        return box.key in self.spine and box.cluster == cluster

    def _tagged(self, edge: Edge) -> bool:
        """Whether an edge says in which copies it is: the boxes at its ends do not."""
        boxes, said = self.picture.boxes, self._said(edge)
        return said not in ("", boxes[edge.tail].only, boxes[edge.head].only)

    def _said(self, edge: Edge) -> str:
        """In which copies the last part of an edge is: once it forks in a cluster, copies are those of that cluster."""
        is_forked = any((cluster, edge.tail) in self.forks for cluster in entered(self.picture, edge))
        return edge.inside if is_forked else edge.only

    def write(self) -> str:
        palette = self.palette
        self.dot.attr(
            "graph",
            rankdir=self.direction,
            bgcolor=palette.page,
            fontname=FONT,
            fontcolor=palette.text,
            fontsize="15",
            labelloc="t",
            nodesep="0.3",
            ranksep="0.125" if self.direction == "TB" else "0.22",
            pad="0.15",
            **({"label": self._heading()} if self.title else {}),
            **({} if self.straight else {"ordering": "out"}),
        )
        self.dot.attr(
            "node",
            shape="box",
            style="rounded,filled",
            fontname=FONT,
            fontsize="11",
            fontcolor=palette.text,
            color=palette.line,
            penwidth="0.8",
            margin="0.12,0.025",
            height="0.3",
        )
        self.dot.attr("edge", color=palette.line, arrowsize="0.6", penwidth="0.9", fontname=FONT, fontsize="9")
        # The first way is drawn leftmost; of ways from left to right the last would be topmost.
        ways = range(max(self.column.values(), default=0) + 1)
        for way in ways if self.direction == "TB" else reversed(ways):
            self._inside(self.dot, "", way)
        for edge in self.picture.edges:
            self._way(edge)
        return str(self.dot.source)

    def _heading(self) -> str:
        lines = [
            LabelLine([f"<B>{escaped(line)}</B>"], 15) for line in wrapped(self.picture.title, _TITLE_WIDTH) or [""]
        ]
        lines += small(self.palette, [self.picture.totals], 10)
        lines += small(self.palette, wrapped(self._legend(), 2 * _TITLE_WIDTH), 8)
        return stacked([*lines, LabelLine(['<FONT POINT-SIZE="4"> </FONT>'], 4)])

    def _legend(self) -> str:
        """What readers can't know by themselves, if the picture has it."""
        boxes, clusters, edges = self.picture.boxes.values(), self.picture.clusters.values(), self.picture.edges
        shorts = {word for box in boxes for word in re.findall(r"\w+", box.small)}
        lines = [f"{short}: {name.replace('_', ' ')}" for name, short in abbreviations().items() if short in shorts]
        rare = any(part.only for part in (*boxes, *clusters)) or any(edge.rare for edge in edges)
        lines += ["dashed: in some of the copies"] if rare else []
        lines += ["dotted: its size alone"] if any(edge.size for edge in edges) else []
        lines += ["numbers in circles: it goes on there"] if self.marks else []
        return "; ".join(lines)

    # Boxes and clusters.

    def _inside(self, dot: Any, cluster: str, way: int) -> None:
        """The boxes and clusters of one column that stand directly in a cluster, in order."""
        done: set[str] = set()
        for box in self.picture.boxes.values():
            if self.column[box.key] != way:
                continue
            if box.cluster == cluster:
                self._box(dot, box)
                continue
            inner = self._child(box.cluster, cluster)
            if inner is not None and inner.key not in done:
                done.add(inner.key)
                self._cluster(dot, inner, way)
        for edge in self.picture.edges:
            tag = self.tags.get((edge.tail, edge.head))
            if tag is not None and self.column[edge.head] == way and self._home(edge) == cluster:
                said = self._said(edge)
                text = "".join(line.cells[0] for line in small(self.palette, [_TAGS.get(said, said)], 8))
                dot.node(tag, label=f"<{text}>", shape="plain", style="", margin="0", height="0.1", width="0.1")

    def _home(self, edge: Edge) -> str:
        """The cluster in which an edge begins: of those that it enters, the last in which its value forks."""
        passed = [cluster for cluster in entered(self.picture, edge) if (cluster, edge.tail) in self.forks]
        if passed:
            return passed[-1]
        head = around(self.picture, self.picture.boxes[edge.head].cluster)
        shared = [cluster for cluster in around(self.picture, self.picture.boxes[edge.tail].cluster) if cluster in head]
        return shared[-1] if shared else ""

    def _child(self, cluster: str, above: str) -> Cluster | None:
        """The cluster directly below `above` that a cluster is, or stands in."""
        inner = self.picture.clusters.get(cluster)
        while inner is not None and inner.parent != above:
            inner = self.picture.clusters.get(inner.parent)
        return inner

    def _cluster(self, dot: Any, cluster: Cluster, way: int) -> None:
        bold = cluster.key in self.highlight
        with dot.subgraph(name=f"cluster_{self.numbers[cluster.key]}") as inner:
            inner.attr(
                label="",
                style="rounded,filled,dashed" if cluster.only else "rounded,filled",
                fillcolor=self.palette.cluster,
                color=self.palette.highlight if bold else self.palette.cluster_line,
                penwidth="2" if bold else "1",
                margin="10",
            )
            own = [fork for fork in self.forks.values() if fork.cluster == cluster.key]
            for fork in own:
                group = {"group": f"spine{way}"} if self._straight(fork) else {}
                inner.node(fork.name, shape="point", width="0.012", color=self.palette.line, ordering="out", **group)
            first = self.ids[self.first[cluster.key].key]
            beside = self._beside_first(cluster.key, self.first[cluster.key])
            name, figures = self._title(cluster), self._figures(cluster)
            if beside and own and self.direction == "TB":
                # The row of the point holds the name, so that the row of the box is no higher than the box.
                width = breadth([*name, *figures])
                self._beside(inner, own[0].name, stacked(name, "LEFT", width), "t")
                self._beside(inner, first, stacked(figures, "LEFT", width))
                inner.edge(f"{own[0].name}t", f"{first}i", style="invis", weight="50")
            else:
                if not beside and not own:
                    inner.node(f"g{self.numbers[cluster.key]}", shape="point", width="0.012", style="invis")
                row = first if beside else own[0].name if own else f"g{self.numbers[cluster.key]}"
                self._beside(inner, row, stacked([*name, *figures], "LEFT"), "i" if beside else "t")
            self._inside(inner, cluster.key, way)

    def _straight(self, fork: Fork) -> bool:
        """Whether the spine goes through a point at which a value forks."""
        heads = [
            edge for edge in self.picture.edges if edge.tail == fork.tail and self.spine.get(edge.head) == edge.tail
        ]
        return any(fork.cluster in entered(self.picture, edge) for edge in heads)

    def _title(self, cluster: Cluster) -> list[LabelLine]:
        name, _, rest = cluster.title.partition(": ")
        head = " ".join(text for text in (name, times(cluster.counts)) if text)
        said = wrapped(rest)
        lines = [LabelLine([f"<B>{escaped(head)}</B>"], 11, len(head))]
        if len(said) == 1 and len(head) + len(rest) < LINE_WIDTH and self.direction == "TB":
            lines = [LabelLine([*lines[0].cells, escaped(rest)], 11, len(head) + len(rest) + 2)]
            said = []
        return [*lines, *[text_line(line, 11) for line in said], *small(self.palette, [cluster.only], 9)]

    def _figures(self, cluster: Cluster) -> list[LabelLine]:
        details = [line for text in cluster.details for line in wrapped(text)]
        info = [line for text in re.split("\n|(?<=;) ", cluster.info) for line in wrapped(text, _SMALL_WIDTH)]
        return small(self.palette, [*details, *info], 9)

    def _box(self, dot: Any, box: Box) -> None:
        name = self.ids[box.key]
        attributes: dict[str, str] = {"fillcolor": self.palette.fill(box.family), "tooltip": ", ".join(box.paths[:4])}
        if not self.highlight.isdisjoint(box.paths):
            attributes |= {"color": self.palette.highlight, "penwidth": "2.4"}
        if box.kind in ("input", "output"):
            label = f"<{escaped(box.label)}  {small(self.palette, [box.small or ' '], 10)[0].cells[0]}>"
            attributes |= {"shape": "plain", "style": "", "margin": "0"}
        elif box.kind == "merge" and (sign := sign_of(box)):
            said = joined(box.small, times(box.counts), box.only)
            label = " ".join([f"<B>{sign}</B>", *(line.cells[0] for line in small(self.palette, [said], 9))])
            label = f"<{label}>"
            attributes |= {"style": "filled", "shape": "ellipse" if said else "circle", "margin": "0.03,0"}
            attributes |= {"height": "0.24", "width": "0.24"}
        else:
            label = self._label(box)
            attributes |= {"margin": "0.12,0.05"} if label.count("<TR>") > 2 or box.count > 1 else {}
            if not box.cluster and self.chain and self.direction == "TB":
                attributes["width"] = _BOX_WIDTH
        if box.only:
            attributes["style"] = attributes.get("style", "rounded,filled") + ",dashed"
        if box.key in self.spine:
            attributes["group"] = f"spine{self.column[box.key]}"
        dot.node(name, label=label, **attributes)
        if box.figures and self.chain and self.direction == "TB":
            self._beside(dot, name, stacked(small(self.palette, box.figures.split("\n"), 9), "RIGHT"))

    def _label(self, box: Box) -> str:
        """The lines of a box: what it is, its name and what follows, and figures where there is no room beside it."""
        said = [escaped(line) for line in wrapped(box.label)] or [""]
        if copies := times(box.counts):
            said[-1] += f" <B>{escaped(copies)}</B>"
        lines = [LabelLine([line], 11) for line in said]
        shape = "" if self.chain or self.direction == "LR" else box.figures.partition("\n")[0]
        lines += small(self.palette, parts(joined(box.small, shape, box.only), _SMALL_WIDTH), 8)
        lines += small(self.palette, [line for text in box.details for line in wrapped(text, _SMALL_WIDTH)], 8)
        if self.direction == "LR":
            lines += small(self.palette, box.figures.split("\n"), 8)
        return stacked(lines)

    def _beside(self, dot: Any, name: str, label: str, mark: str = "i") -> None:
        """A text to the left of a node, under its name with a mark."""
        with dot.subgraph() as beside:
            beside.attr(rank="same")
            beside.node(f"{name}{mark}", label=label, shape="plain", style="", width="1.2")
            beside.edge(f"{name}{mark}", name, style="invis")

    # Edges.

    def _way(self, edge: Edge) -> None:
        """The line of an edge, through the points at which its value forks, and by what it says."""
        same = self.column[edge.tail] == self.column[edge.head]
        start = self.ids[edge.tail] if same else self._go_on(edge.tail, edge.head)
        straight = self.spine.get(edge.head) == edge.tail
        weight = {"weight": "100"} if straight else {}
        for cluster in entered(self.picture, edge):
            fork = self.forks.get((cluster, edge.tail))
            if fork is not None:
                if (start, fork.name) not in self.drawn:
                    self.drawn.add((start, fork.name))
                    firm = {"weight": "100"} if self._straight(fork) else {}
                    self.dot.edge(start, fork.name, arrowhead="none", **firm, **_style(fork.rare, fork.size))
                start = fork.name
        tag, style = self.tags.get((edge.tail, edge.head)), _style(bool(self._said(edge)), edge.size)
        if tag is not None:
            self.dot.edge(start, tag, arrowhead="none", **weight, **style)
            start = tag
        self.dot.edge(start, self.ids[edge.head], **weight, **style)

    def _go_on(self, tail: str, head: str) -> str:
        """The mark at which a value goes on in another column; the same stands where it left its own."""
        number, column = self.marks[tail], self.column[head]
        before, start = f"end{number}", f"start{number}_{column}"
        sign = {"label": f"<<B>{number}</B>>", "shape": "circle", "width": "0.26", "height": "0.26", "margin": "0"}
        sign |= {"fixedsize": "true", "fontsize": "10", "style": "filled", "fillcolor": self.palette.page}
        straight = self.spine.get(head) == tail
        for mark, place in ((before, self.column[tail]), (start, column)):
            if (mark, "") not in self.drawn:
                self.drawn.add((mark, ""))
                self.dot.node(mark, **sign, **({"group": f"spine{place}"} if straight else {}))
                if mark == before:
                    going = [e for e in self.picture.edges if e.tail == tail and self.column[e.head] != place]
                    style = _style(partial(going), all(edge.size for edge in going))
                    self.dot.edge(self.ids[tail], mark, **({"weight": "100"} if straight else {}), **style)
        return start


def _style(rare: bool, size: bool) -> dict[str, str]:
    """Dotted where the size alone counts, dashed where a line stands for some copies."""
    return {"style": "dotted" if size else "dashed"} if rare or size else {}
