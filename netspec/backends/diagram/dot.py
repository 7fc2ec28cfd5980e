"""A picture as DOT, written with the graphviz package. What it says of a picture is the same every time."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import graphviz

from netspec.backends.diagram.columns import Cut, cuts
from netspec.backends.diagram.look import FONT, LOOKS, Look, Theme
from netspec.backends.diagram.picture import Box, Edge, Frame, Picture
from netspec.backends.diagram.words import SHORT, joined

Direction = Literal["TB", "LR"]
MERGES = {"add": "+", "multiply": "×"}
"""Merges that are a sign in a circle."""
BOX_WIDTH = "2.5"
"""Of boxes outside frames, in inches: equal, so that the way down is straight and the figures beside it align."""


def to_dot(
    picture: Picture, direction: Direction = "TB", theme: Theme = "light", highlight: Collection[str] = ()
) -> str:
    """The DOT text of a picture; `highlight` are paths whose boxes are framed boldly."""
    return _Writer(picture, direction, LOOKS[theme], highlight).write()


def _joint(into: Mapping[str, list[str]], order: Mapping[str, int], key: str) -> list[str]:
    """The box at which all ways to a box come together; none where they begin apart."""
    ahead = set(into.get(key, ()))
    while len(ahead) > 1:
        last = max(ahead, key=order.__getitem__)
        ahead.remove(last)
        before = into.get(last, [])
        if not before:
            return []
        ahead.update(before)
    return list(ahead)


_SUM = {"shape": "circle", "style": "filled", "width": "0.2", "height": "0.2", "margin": "0", "fixedsize": "true"}


def _group(attributes: dict[str, str]) -> dict[str, str]:
    return {"group": attributes["group"]} if "group" in attributes else {}


class _Writer:
    def __init__(self, picture: Picture, direction: Direction, look: Look, highlight: Collection[str]) -> None:
        self.picture = picture
        self.direction = direction
        self.look = look
        self.highlight = highlight
        self.ids = {key: f"n{number}" for number, key in enumerate(picture.boxes)}
        self.dot: Any = graphviz.Digraph(picture.name)
        self.spine = self._spine()
        self.chain = all(box.frame or box.key in self.spine for box in picture.boxes.values())
        """Whether the boxes outside frames stand one above the other, with room for figures beside them."""
        self.cuts = cuts(picture, direction)
        self.column = self._columns()

    def write(self) -> str:
        look = self.look
        title = f"<B>{_text(self.picture.title)}</B><BR/>" + self._small(self.picture.totals, 10)
        if legend := self._legend():
            title += f"<BR/>{self._small(legend, 8)}"
        self.dot.attr(
            "graph",
            rankdir=self.direction,
            bgcolor=look.page,
            fontname=FONT,
            fontcolor=look.text,
            fontsize="15",
            labelloc="t",
            label=f"<{title}<BR/> >",
            nodesep="0.3",
            ranksep="0.18",
            pad="0.15",
            **({} if self.chain else {"ordering": "out"}),
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
            margin="0.12,0.05",
            height="0.3",
        )
        self.dot.attr("edge", color=look.line, arrowsize="0.6", penwidth="0.9", fontname=FONT, fontsize="9")
        # The first way is drawn leftmost; of ways from left to right the last would be topmost.
        ways = range(len(self.cuts) + 1)
        for way in ways if self.direction == "TB" else reversed(ways):
            self._inside(self.dot, "", way)
        for edge in self.picture.edges:
            if self.column[edge.tail] == self.column[edge.head]:
                self._edge(edge)
        for number, cut in enumerate(self.cuts, start=1):
            self._go_on(number, cut)
        return str(self.dot.source)

    def _legend(self) -> str:
        """What readers can't know by themselves, if the picture has it."""
        boxes = self.picture.boxes.values()
        shorts = {word for box in boxes for word in re.findall(r"\w+", box.small)}
        lines = [f"{short}: {name.replace('_', ' ')}" for name, short in SHORT.items() if short in shorts]
        lines += ["dashed: in some of the copies"] if any(box.only for box in boxes) else []
        lines += ["numbers in circles: it goes on there"] if self.cuts else []
        return "; ".join(lines)

    def _columns(self) -> dict[str, int]:
        """The column of each box: they follow each other in the order of the boxes."""
        starts = {head: number for number, cut in enumerate(self.cuts, start=1) for head in cut.heads}
        found: dict[str, int] = {}
        column = 0
        for key in self.picture.boxes:
            column = max(column, starts.get(key, 0))
            found[key] = column
        return found

    def _go_on(self, number: int, cut: Cut) -> None:
        """A mark at the end of a column, and the same at the beginning of the next."""
        sign = {"label": f"<<B>{number}</B>>", "shape": "circle", "width": "0.26", "height": "0.26", "margin": "0"}
        sign |= {"fixedsize": "true", "fontsize": "10", "style": "filled", "fillcolor": self.look.page}
        self.dot.node(f"end{number}", **sign, group=f"spine{number - 1}")
        self.dot.node(f"start{number}", **sign, group=f"spine{number}")
        self.dot.edge(self._out(cut.tail), f"end{number}", weight="100")
        for head in cut.heads:
            weight = "100" if self.spine.get(head) == cut.tail else "1"
            rare = {"style": "dashed"} if self.picture.boxes[head].only else {}
            self.dot.edge(f"start{number}", self.ids[head], weight=weight, **rare)
            if self.picture.boxes[head].skip:
                self._round(f"start{number}", head)

    def _spine(self) -> dict[str, str | None]:
        """The way from the last box back, which is drawn straight: each box on it, and the one before.

        Through a sum it goes along the first branch; where branches of one rank meet, to the box they begin at.
        """
        into: dict[str, list[str]] = {}
        for edge in self.picture.edges:
            into.setdefault(edge.head, []).append(edge.tail)
        order = {key: number for number, key in enumerate(self.picture.boxes)}
        found: dict[str, str | None] = {}
        key = next(reversed(self.picture.boxes), None)
        while key is not None and key not in found:
            before = into.get(key, [])[:1]
            if self.picture.boxes[key].label not in MERGES:
                before = _joint(into, order, key)
            found[key] = before[0] if before else None
            key = found[key]
        return found

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

    def _child(self, frame: str, above: str) -> Frame | None:
        """The frame directly below `above` that a frame is, or stands in."""
        found = self.picture.frames.get(frame)
        while found is not None and found.parent != above:
            found = self.picture.frames.get(found.parent)
        return found

    def _frame(self, dot: Any, frame: Frame, way: int) -> None:
        number = list(self.picture.frames).index(frame.key)
        with dot.subgraph(name=f"cluster_{number}") as inner:
            inner.attr(
                label="",
                style="rounded,filled",
                fillcolor=self.look.frame,
                color=self.look.highlight if frame.key in self.highlight else self.look.frame_line,
                penwidth="2" if frame.key in self.highlight else "1",
                margin="10",
            )
            self._inside(inner, frame.key, way)
            inside = [box for box in self.picture.boxes.values() if self._child(box.frame, frame.parent) is frame]
            if inside:
                copies = f" × {frame.count}" if frame.count > 1 else ""
                name, _, rest = frame.title.partition(": ")
                lines = [f"<B>{_text(name + copies)}</B>", *([_text(rest)] if rest else [])]
                lines += [self._small(text, 9) for text in frame.info.split("\n")]
                text = "".join(f'{line}<BR ALIGN="LEFT"/>' for line in lines)
                # One row holds boxes of one frame: a box further in keeps to its own.
                if inside[0].key in self.spine and inside[0].frame == frame.key:
                    self._beside(inner, inside[0], text)
                else:
                    self._above(inner, inside[0], text)

    def _box(self, dot: Any, box: Box) -> None:
        name = self.ids[box.key]
        attributes: dict[str, str] = {"fillcolor": self.look.fill(box.family), "tooltip": ", ".join(box.paths[:4])}
        if set(box.paths) & set(self.highlight):
            attributes |= {"color": self.look.highlight, "penwidth": "2.4"}
        if box.kind in ("input", "output"):
            label = f"{_text(box.label)}  {self._small(box.small, 10)}"
            attributes |= {"shape": "plain", "style": "", "margin": "0"}
        elif box.kind == "merge" and box.label in MERGES:
            label = f"<B>{MERGES[box.label]}</B>" + (f" {self._small(box.small, 9)}" if box.small else "")
            attributes |= {"style": "filled", "shape": "ellipse" if box.small else "circle", "margin": "0.03,0"}
            attributes |= {"height": "0.24", "width": "0.24"}
        else:
            label = f"{_text(box.label)}" + (f"<B> × {box.count}</B>" if box.count > 1 else "")
            shape = "" if self.chain or self.direction == "LR" else box.figures.partition("\n")[0]
            small = joined(box.small, shape, box.only)
            label += f"<BR/>{self._small(small, 8)}" if small else ""
            if box.figures and self.direction == "LR":
                label += "".join(f"<BR/>{self._small(line, 8)}" for line in box.figures.split("\n"))
            if not box.frame and self.chain and self.direction == "TB":
                attributes["width"] = BOX_WIDTH
        if box.only:
            attributes["style"] = "rounded,filled,dashed"
        if box.key in self.spine:
            attributes["group"] = f"spine{self.column[box.key]}"
        dot.node(name, label=f"<{label}>", **attributes)
        if box.skip:
            dot.node(f"{name}p", label="<<B>+</B>>", **_SUM, fillcolor=self.look.fill("merge"), **_group(attributes))
            dot.edge(name, f"{name}p", weight="100")
            with dot.subgraph() as row:
                row.attr(rank="same")
                row.node(f"{name}r", shape="point", width="0.012", color=self.look.line)
                row.edge(name, f"{name}r", style="invis")
        if box.figures and self.chain and self.direction == "TB":
            lines = [self._small(text, 9) for text in box.figures.split("\n")]
            self._beside(dot, box, "".join(f'{line}<BR ALIGN="RIGHT"/>' for line in lines))

    def _beside(self, dot: Any, box: Box, label: str) -> None:
        """A text to the left of a box."""
        name = self.ids[box.key]
        with dot.subgraph() as beside:
            beside.attr(rank="same")
            beside.node(f"{name}i", label=f"<{label}>", shape="plain", style="", width="1.2")
            beside.edge(f"{name}i", name, style="invis")

    def _above(self, dot: Any, box: Box, label: str) -> None:
        """A text above a box, in a row of its own."""
        name = self.ids[box.key]
        dot.node(f"{name}i", label=f"<{label}>", shape="plain", style="")
        dot.edge(f"{name}i", name, style="invis", weight="4")

    def _edge(self, edge: Edge) -> None:
        attributes = {"style": "dashed"} if edge.rare else {}
        tail = self._out(edge.tail)
        if self.spine.get(edge.head) == edge.tail:
            attributes["weight"] = "100"
        self.dot.edge(tail, self.ids[edge.head], **attributes)
        if self.picture.boxes[edge.head].skip:
            self._round(tail, edge.head)

    def _round(self, tail: str, key: str) -> None:
        """The way round a closed block: by a point to the right of it, so that it keeps to that side."""
        name = self.ids[key]
        self.dot.edge(tail, f"{name}r", arrowhead="none")
        self.dot.edge(f"{name}r", f"{name}p")

    def _out(self, key: str) -> str:
        """The node that a box's value leaves from: behind a closed residual block, the sum."""
        return f"{self.ids[key]}p" if self.picture.boxes[key].skip else self.ids[key]

    def _small(self, text: str, size: int) -> str:
        return f'<FONT POINT-SIZE="{size}" COLOR="{self.look.faint}">{_text(text)}</FONT>' if text else ""


def _text(text: str) -> str:
    """Text within a label: no character of it is markup, and none that a page can't hold is left."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
