"""A picture as DOT, written with the graphviz package. What it says of a picture is the same every time."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

import graphviz

from netspec.backends.diagram.across import times
from netspec.backends.diagram.columns import assign_columns, units
from netspec.backends.diagram.gates import Gate, around, entered, gates, partial
from netspec.backends.diagram.markup import (
    WIDEST,
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
from netspec.backends.diagram.spine import MERGES, spine
from netspec.backends.diagram.theme import FONT, LOOKS, Look, Theme
from netspec.backends.diagram.words import SHORT, joined

Direction = Literal["TB", "LR"]
BOX_WIDTH = "2.5"
"""Of boxes outside frames, in inches: equal, so that the way down is straight and the figures beside it align."""
TITLE_WIDTH = 64
"""In characters: a line of the title."""
SMALL = 44
"""In characters: a line of small letters."""
SAID = {"first only": "first", "not first": "others", "last only": "last"}
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
    return _Writer(picture, direction, LOOKS[theme], highlight, title, width).write()


class _Writer:
    def __init__(
        self,
        picture: Picture,
        direction: Direction,
        look: Look,
        highlight: Collection[str],
        title: bool,
        width: float | None,
    ) -> None:
        self.picture = picture
        self.direction = direction
        self.look = look
        self.highlight = set(highlight)
        self.title = title
        self.ids = {key: f"n{number}" for number, key in enumerate(picture.boxes)}
        self.numbers = {key: number for number, key in enumerate(picture.frames)}
        self.dot: Any = graphviz.Digraph(picture.name)
        self.spine = spine(picture)
        outside = {key for key, box in picture.boxes.items() if not box.frame}
        self.straight = outside <= self.spine.keys()
        """Whether the boxes outside frames stand one above the other."""
        self.chain = self.straight and self._beside_nothing()
        """Whether there is room for figures beside them too, as no way leads round any."""
        self.column = assign_columns(picture, direction, width)
        going = [edge.tail for edge in picture.edges if self.column[edge.tail] != self.column[edge.head]]
        self.marks = {tail: number for number, tail in enumerate(dict.fromkeys(going), start=1)}
        """By boxes whose value goes on in another column, the number that stands for it."""
        self.first = self._first()
        self.gates = gates(picture, [frame for frame, box in self.first.items() if not self._beside_first(frame, box)])
        self.tags = {(edge.tail, edge.head): f"l{n}" for n, edge in enumerate(picture.edges) if self._tagged(edge)}
        """By edges that say in which copies they are, the node that says it."""
        self.drawn: set[tuple[str, str]] = set()

    def _beside_nothing(self) -> bool:
        """Whether every edge stays in an outermost frame, or leads to what follows on the spine."""
        outer = units(self.picture)
        before = {outer[key]: outer[tail] for key, tail in self.spine.items() if tail and outer[tail] != outer[key]}
        ends = [(outer[edge.tail], outer[edge.head]) for edge in self.picture.edges]
        return all(tail in (head, before.get(head)) for tail, head in ends)

    def _first(self) -> dict[str, Box]:
        """By frame, the first box at or below it."""
        first: dict[str, Box] = {}
        for box in self.picture.boxes.values():
            for frame in around(self.picture, box.frame):
                first.setdefault(frame, box)
        return first

    def _beside_first(self, frame: str, box: Box) -> bool:
        """Whether the title of a frame stands beside its first box: a row holds boxes of one frame."""
        return box.key in self.spine and box.frame == frame

    def _tagged(self, edge: Edge) -> bool:
        """Whether an edge says in which copies it is: the boxes at its ends do not."""
        boxes, said = self.picture.boxes, self._said(edge)
        return said not in ("", boxes[edge.tail].only, boxes[edge.head].only)

    def _said(self, edge: Edge) -> str:
        """In which copies the last part of an edge is: once it forks in a frame, copies are those of that frame."""
        forks = any((frame, edge.tail) in self.gates for frame in entered(self.picture, edge))
        return edge.inside if forks else edge.only

    def write(self) -> str:
        look = self.look
        self.dot.attr(
            "graph",
            rankdir=self.direction,
            bgcolor=look.page,
            fontname=FONT,
            fontcolor=look.text,
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
            fontcolor=look.text,
            color=look.line,
            penwidth="0.8",
            margin="0.12,0.025",
            height="0.3",
        )
        self.dot.attr("edge", color=look.line, arrowsize="0.6", penwidth="0.9", fontname=FONT, fontsize="9")
        # The first way is drawn leftmost; of ways from left to right the last would be topmost.
        ways = range(max(self.column.values(), default=0) + 1)
        for way in ways if self.direction == "TB" else reversed(ways):
            self._inside(self.dot, "", way)
        for edge in self.picture.edges:
            self._way(edge)
        return str(self.dot.source)

    def _heading(self) -> str:
        lines = [
            LabelLine([f"<B>{escaped(line)}</B>"], 15) for line in wrapped(self.picture.title, TITLE_WIDTH) or [""]
        ]
        lines += small(self.look, [self.picture.totals], 10)
        lines += small(self.look, wrapped(self._legend(), 2 * TITLE_WIDTH), 8)
        return stacked([*lines, LabelLine(['<FONT POINT-SIZE="4"> </FONT>'], 4)])

    def _legend(self) -> str:
        """What readers can't know by themselves, if the picture has it."""
        boxes, frames, edges = self.picture.boxes.values(), self.picture.frames.values(), self.picture.edges
        shorts = {word for box in boxes for word in re.findall(r"\w+", box.small)}
        lines = [f"{short}: {name.replace('_', ' ')}" for name, short in SHORT.items() if short in shorts]
        rare = any(part.only for part in (*boxes, *frames)) or any(edge.rare for edge in edges)
        lines += ["dashed: in some of the copies"] if rare else []
        lines += ["dotted: its size alone"] if any(edge.size for edge in edges) else []
        lines += ["numbers in circles: it goes on there"] if self.marks else []
        return "; ".join(lines)

    # Boxes and frames.

    def _inside(self, dot: Any, frame: str, way: int) -> None:
        """The boxes and frames of one column that stand directly in a frame, in order."""
        done: set[str] = set()
        for box in self.picture.boxes.values():
            if self.column[box.key] != way:
                continue
            if box.frame == frame:
                self._box(dot, box)
                continue
            inner = self._child(box.frame, frame)
            if inner is not None and inner.key not in done:
                done.add(inner.key)
                self._frame(dot, inner, way)
        for edge in self.picture.edges:
            tag = self.tags.get((edge.tail, edge.head))
            if tag is not None and self.column[edge.head] == way and self._home(edge) == frame:
                said = self._said(edge)
                text = "".join(line.cells[0] for line in small(self.look, [SAID.get(said, said)], 8))
                dot.node(tag, label=f"<{text}>", shape="plain", style="", margin="0", height="0.1", width="0.1")

    def _home(self, edge: Edge) -> str:
        """The frame in which an edge begins: of those that it enters, the last in which its value forks."""
        passed = [frame for frame in entered(self.picture, edge) if (frame, edge.tail) in self.gates]
        if passed:
            return passed[-1]
        head = around(self.picture, self.picture.boxes[edge.head].frame)
        shared = [frame for frame in around(self.picture, self.picture.boxes[edge.tail].frame) if frame in head]
        return shared[-1] if shared else ""

    def _child(self, frame: str, above: str) -> Cluster | None:
        """The frame directly below `above` that a frame is, or stands in."""
        inner = self.picture.frames.get(frame)
        while inner is not None and inner.parent != above:
            inner = self.picture.frames.get(inner.parent)
        return inner

    def _frame(self, dot: Any, frame: Cluster, way: int) -> None:
        bold = frame.key in self.highlight
        with dot.subgraph(name=f"cluster_{self.numbers[frame.key]}") as inner:
            inner.attr(
                label="",
                style="rounded,filled,dashed" if frame.only else "rounded,filled",
                fillcolor=self.look.frame,
                color=self.look.highlight if bold else self.look.frame_line,
                penwidth="2" if bold else "1",
                margin="10",
            )
            own = [gate for gate in self.gates.values() if gate.frame == frame.key]
            for gate in own:
                group = {"group": f"spine{way}"} if self._straight(gate) else {}
                inner.node(gate.name, shape="point", width="0.012", color=self.look.line, ordering="out", **group)
            first = self.ids[self.first[frame.key].key]
            beside = self._beside_first(frame.key, self.first[frame.key])
            name, figures = self._title(frame), self._figures(frame)
            if beside and own and self.direction == "TB":
                # The row of the point holds the name, so that the row of the box is no higher than the box.
                width = breadth([*name, *figures])
                self._beside(inner, own[0].name, stacked(name, "LEFT", width), "t")
                self._beside(inner, first, stacked(figures, "LEFT", width))
                inner.edge(f"{own[0].name}t", f"{first}i", style="invis", weight="50")
            else:
                if not beside and not own:
                    inner.node(f"g{self.numbers[frame.key]}", shape="point", width="0.012", style="invis")
                row = first if beside else own[0].name if own else f"g{self.numbers[frame.key]}"
                self._beside(inner, row, stacked([*name, *figures], "LEFT"), "i" if beside else "t")
            self._inside(inner, frame.key, way)

    def _straight(self, gate: Gate) -> bool:
        """Whether the spine goes through a point at which a value forks."""
        heads = [
            edge for edge in self.picture.edges if edge.tail == gate.tail and self.spine.get(edge.head) == edge.tail
        ]
        return any(gate.frame in entered(self.picture, edge) for edge in heads)

    def _title(self, frame: Cluster) -> list[LabelLine]:
        name, _, rest = frame.title.partition(": ")
        head = " ".join(text for text in (name, times(frame.counts)) if text)
        said = wrapped(rest)
        lines = [LabelLine([f"<B>{escaped(head)}</B>"], 11, len(head))]
        if len(said) == 1 and len(head) + len(rest) < WIDEST and self.direction == "TB":
            lines = [LabelLine([*lines[0].cells, escaped(rest)], 11, len(head) + len(rest) + 2)]
            said = []
        return [*lines, *[text_line(line, 11) for line in said], *small(self.look, [frame.only], 9)]

    def _figures(self, frame: Cluster) -> list[LabelLine]:
        details = [line for text in frame.details for line in wrapped(text)]
        info = [line for text in re.split("\n|(?<=;) ", frame.info) for line in wrapped(text, SMALL)]
        return small(self.look, [*details, *info], 9)

    def _box(self, dot: Any, box: Box) -> None:
        name = self.ids[box.key]
        attributes: dict[str, str] = {"fillcolor": self.look.fill(box.family), "tooltip": ", ".join(box.paths[:4])}
        if not self.highlight.isdisjoint(box.paths):
            attributes |= {"color": self.look.highlight, "penwidth": "2.4"}
        if box.kind in ("input", "output"):
            label = f"<{escaped(box.label)}  {small(self.look, [box.small or ' '], 10)[0].cells[0]}>"
            attributes |= {"shape": "plain", "style": "", "margin": "0"}
        elif box.kind == "merge" and box.label in MERGES:
            said = joined(box.small, times(box.counts), box.only)
            label = " ".join([f"<B>{MERGES[box.label]}</B>", *(line.cells[0] for line in small(self.look, [said], 9))])
            label = f"<{label}>"
            attributes |= {"style": "filled", "shape": "ellipse" if said else "circle", "margin": "0.03,0"}
            attributes |= {"height": "0.24", "width": "0.24"}
        else:
            label = self._label(box)
            attributes |= {"margin": "0.12,0.05"} if label.count("<TR>") > 2 or box.count > 1 else {}
            if not box.frame and self.chain and self.direction == "TB":
                attributes["width"] = BOX_WIDTH
        if box.only:
            attributes["style"] = attributes.get("style", "rounded,filled") + ",dashed"
        if box.key in self.spine:
            attributes["group"] = f"spine{self.column[box.key]}"
        dot.node(name, label=label, **attributes)
        if box.figures and self.chain and self.direction == "TB":
            self._beside(dot, name, stacked(small(self.look, box.figures.split("\n"), 9), "RIGHT"))

    def _label(self, box: Box) -> str:
        """The lines of a box: what it is, its name and what follows, and figures where there is no room beside it."""
        said = [escaped(line) for line in wrapped(box.label)] or [""]
        if copies := times(box.counts):
            said[-1] += f" <B>{escaped(copies)}</B>"
        lines = [LabelLine([line], 11) for line in said]
        shape = "" if self.chain or self.direction == "LR" else box.figures.partition("\n")[0]
        lines += small(self.look, parts(joined(box.small, shape, box.only), SMALL), 8)
        lines += small(self.look, [line for text in box.details for line in wrapped(text, SMALL)], 8)
        if self.direction == "LR":
            lines += small(self.look, box.figures.split("\n"), 8)
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
        for frame in entered(self.picture, edge):
            gate = self.gates.get((frame, edge.tail))
            if gate is not None:
                if (start, gate.name) not in self.drawn:
                    self.drawn.add((start, gate.name))
                    firm = {"weight": "100"} if self._straight(gate) else {}
                    self.dot.edge(start, gate.name, arrowhead="none", **firm, **_style(gate.rare, gate.size))
                start = gate.name
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
        sign |= {"fixedsize": "true", "fontsize": "10", "style": "filled", "fillcolor": self.look.page}
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
