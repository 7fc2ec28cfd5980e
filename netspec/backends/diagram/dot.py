"""A picture as DOT, written with the graphviz package. What it says of a picture is the same every time."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from textwrap import wrap
from typing import Any, Literal

import graphviz

from netspec.backends.diagram.columns import columns
from netspec.backends.diagram.look import FONT, LOOKS, Look, Theme
from netspec.backends.diagram.picture import Box, Frame, Picture
from netspec.backends.diagram.words import SHORT, joined

Direction = Literal["TB", "LR"]
MERGES = {"add": "+", "multiply": "×"}
"""Merges that are a sign in a circle."""
BOX_WIDTH = "2.5"
"""Of boxes outside frames, in inches: equal, so that the way down is straight and the figures beside it align."""

TITLE_WIDTH = 64
LONGEST = 36
"""In characters: a line of the title, and a name that is written in full."""


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


class _Writer:
    def __init__(self, picture: Picture, direction: Direction, look: Look, highlight: Collection[str]) -> None:
        self.picture = picture
        self.direction = direction
        self.look = look
        self.highlight = highlight
        self.ids = {key: f"n{number}" for number, key in enumerate(picture.boxes)}
        self.dot: Any = graphviz.Digraph(picture.name)
        self.spine = self._spine()
        outside = {key for key, box in picture.boxes.items() if not box.frame}
        self.straight = outside <= self.spine.keys()
        """Whether the boxes outside frames stand one above the other."""
        self.chain = self.straight and all(
            self.spine[edge.head] == edge.tail for edge in picture.edges if edge.head in outside
        )
        """Whether there is room for figures beside them too, as no way leads round any."""
        self.column = columns(picture, direction)
        going = [edge.tail for edge in picture.edges if self.column[edge.tail] != self.column[edge.head]]
        self.marks = {tail: number for number, tail in enumerate(dict.fromkeys(going), start=1)}
        """By boxes whose value goes on in another column, the number that stands for it."""
        self.gates: dict[str, str] = {}
        """By frames with a title in a row of its own, the box whose value enters through that row."""
        self.drawn: set[tuple[str, str]] = set()

    def write(self) -> str:
        look = self.look
        lines = wrap(self.picture.title, TITLE_WIDTH) or [""]
        title = "".join(f"<B>{_text(line)}</B><BR/>" for line in lines) + self._small(self.picture.totals, 10)
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
            margin="0.12,0.05",
            height="0.3",
        )
        self.dot.attr("edge", color=look.line, arrowsize="0.6", penwidth="0.9", fontname=FONT, fontsize="9")
        # The first way is drawn leftmost; of ways from left to right the last would be topmost.
        ways = range(max(self.column.values(), default=0) + 1)
        for way in ways if self.direction == "TB" else reversed(ways):
            self._inside(self.dot, "", way)
        for edge in self.picture.edges:
            same = self.column[edge.tail] == self.column[edge.head]
            self._way(
                edge.tail, edge.head, self._out(edge.tail) if same else self._go_on(edge.tail, edge.head), edge.rare
            )
        return str(self.dot.source)

    def _legend(self) -> str:
        """What readers can't know by themselves, if the picture has it."""
        boxes = self.picture.boxes.values()
        shorts = {word for box in boxes for word in re.findall(r"\w+", box.small)}
        lines = [f"{short}: {name.replace('_', ' ')}" for name, short in SHORT.items() if short in shorts]
        lines += ["dashed: in some of the copies"] if any(box.only for box in boxes) else []
        lines += ["numbers in circles: it goes on there"] if self.marks else []
        return "; ".join(lines)

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
                    self.dot.edge(self._out(tail), mark, **({"weight": "100"} if straight else {}))
        return start

    def _spine(self) -> dict[str, str | None]:
        """The way from the deepest output back, which is drawn straight: each box on it, and the one before.

        A way round, from a box that stands before another way too, is left aside. Of the branches that remain, it
        goes along the first to a sum, and to another box from where they all begin.
        """
        into: dict[str, list[str]] = {}
        for edge in self.picture.edges:
            into.setdefault(edge.head, []).append(edge.tail)
        order = {key: number for number, key in enumerate(self.picture.boxes)}
        depth: dict[str, int] = {}
        before: dict[str, int] = {}
        """The boxes before each one, as the bits of a number."""
        for key in order:
            ways = into.get(key, [])
            depth[key] = 1 + max((depth[tail] for tail in ways), default=0)
            before[key] = 0
            for tail in ways:
                before[key] |= before[tail] | 1 << order[tail]
        found: dict[str, str | None] = {}
        key = max(reversed(order), key=depth.__getitem__, default=None)
        while key is not None and key not in found:
            ways = into.get(key, [])
            branches = [way for way in ways if not any(before[other] >> order[way] & 1 for other in ways)]
            if len(branches) > 1 and self.picture.boxes[key].label not in MERGES:
                branches = _joint(into, order, key)
            found[key] = branches[0] if branches else None
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
                    self._beside(inner, self.ids[inside[0].key], text)
                else:
                    self._gate(inner, frame, inside[0], text)

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
        if box.figures and self.chain and self.direction == "TB":
            lines = [self._small(text, 9) for text in box.figures.split("\n")]
            self._beside(dot, name, "".join(f'{line}<BR ALIGN="RIGHT"/>' for line in lines))

    def _beside(self, dot: Any, name: str, label: str) -> None:
        """A text to the left of a node."""
        with dot.subgraph() as beside:
            beside.attr(rank="same")
            beside.node(f"{name}i", label=f"<{label}>", shape="plain", style="", width="1.2")
            beside.edge(f"{name}i", name, style="invis")

    def _gate(self, dot: Any, frame: Frame, first: Box, label: str) -> None:
        """A text in a row of its own at the top of a frame, beside a point at which what enters begins to fork."""
        name = f"g{list(self.picture.frames).index(frame.key)}"
        tail = next((edge.tail for edge in self.picture.edges if edge.head == first.key), "")
        group = {"group": f"spine{self.column[first.key]}"} if tail in self.spine else {}
        dot.node(name, shape="point", width="0.012", color=self.look.line, **group)
        self._beside(dot, name, label)
        self.gates[frame.key] = tail

    def _way(self, source: str, head: str, tail: str, rare: bool) -> None:
        """A line from a node to the box `head`, through the gates that the value of `source` passes."""
        frame = self.picture.frames.get(self.picture.boxes[head].frame)
        gates: list[str] = []
        while frame is not None:
            if self.gates.get(frame.key) == source:
                gates.insert(0, f"g{list(self.picture.frames).index(frame.key)}")
            frame = self.picture.frames.get(frame.parent)
        weight = {"weight": "100"} if self.spine.get(head) == source else {}
        for gate in gates:
            if (tail, gate) not in self.drawn:
                self.drawn.add((tail, gate))
                self.dot.edge(tail, gate, arrowhead="none", weight="100")
            tail = gate
        self.dot.edge(tail, self.ids[head], **weight, **({"style": "dashed"} if rare else {}))

    def _out(self, key: str) -> str:
        """The node that a box's value leaves from."""
        return self.ids[key]

    def _small(self, text: str, size: int) -> str:
        return f'<FONT POINT-SIZE="{size}" COLOR="{self.look.faint}">{_text(text)}</FONT>' if text else ""


def _text(text: str) -> str:
    """Text within a label: no character of it is markup, and none that a page can't hold is left."""
    words = " ".join(map(_fit, text.split(" ")))
    clean = "".join(c if c.isprintable() else "\ufffd" for c in words)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _fit(word: str) -> str:
    """A word without its middle, if it is too long for a box."""
    return word if len(word) <= LONGEST else f"{word[: LONGEST // 2]}…{word[-LONGEST // 3 :]}"
