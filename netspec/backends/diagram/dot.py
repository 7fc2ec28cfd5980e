"""A picture as DOT, written with the graphviz package. Equal pictures give equal texts."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

import graphviz

from netspec.backends.diagram.box_text import abbreviations, joined
from netspec.backends.diagram.columns import assign_columns, outermost
from netspec.backends.diagram.copy_texts import times
from netspec.backends.diagram.forks import Fork, are_partial, forks_of
from netspec.backends.diagram.markup import (
    LINE_WIDTH,
    LabelLine,
    escaped,
    faint_lines,
    stacked,
    text_line,
    text_width,
    wrapped,
    wrapped_parts,
)
from netspec.backends.diagram.picture import Box, Cluster, Edge, Picture
from netspec.backends.diagram.spine import sign_of, spine
from netspec.backends.diagram.theme import FONT, PALETTES, Palette, Theme

Direction = Literal["TB", "LR"]
_BOX_WIDTH = "2.5"
"""The width of boxes outside clusters, in inches: equal, so that figures beside them are aligned."""
_TITLE_WIDTH = 64
"""The length of a line of the title, in characters."""
_FAINT_WIDTH = 44
"""The length of a line of faint letters, in characters."""
_TAGS = {"first only": "first", "not first": "others", "last only": "last"}
"""By the copies in which an edge is, the tag on it; others are written as they are."""


def to_dot(
    picture: Picture,
    *,
    direction: Direction = "TB",
    theme: Theme = "light",
    highlight: Collection[str] = (),
    title: bool = True,
    width: float | None = None,
) -> str:
    """The DOT text of a picture; `highlight` are paths of ops and scopes that are drawn boldly.

    `title` says whether the title is drawn; `width`, in inches, how long a row may be that runs from left to right.
    """
    return _Writer(picture, direction, PALETTES[theme], set(highlight), width).write(title)


class _Writer:
    """Writes a picture into `dot`."""

    def __init__(
        self, picture: Picture, direction: Direction, palette: Palette, highlight: set[str], width: float | None
    ) -> None:
        self.picture = picture
        self.direction = direction
        self.palette = palette
        self.highlight = highlight
        self.ids = {key: f"n{number}" for number, key in enumerate(picture.boxes)}
        """By boxes, their identifiers in DOT."""
        self.numbers = {key: number for number, key in enumerate(picture.clusters)}
        """By clusters, the numbers in their identifiers."""
        self.dot: Any = graphviz.Digraph(picture.name)
        self.spine = spine(picture)
        outside = {key for key, box in picture.boxes.items() if not box.cluster}
        self.is_straight = outside <= self.spine.keys()
        """Whether the boxes outside clusters are one above the other."""
        self.is_chain = self.is_straight and self._has_no_shortcuts()
        """Whether there is room for figures beside these boxes, too."""
        self.column = assign_columns(picture, direction, width)
        going_on = [edge.tail for edge in picture.edges if self.column[edge.tail] != self.column[edge.head]]
        self.marks = {tail: number for number, tail in enumerate(dict.fromkeys(going_on), start=1)}
        """By boxes whose values go on in another column, the numbers in circles that stand for them."""
        self.first_box = self._first_boxes()
        """By clusters, the first box in each."""
        titled = [cluster for cluster, box in self.first_box.items() if not self._title_beside(cluster, box)]
        self.forks = forks_of(picture, titled)
        self.tags = {(edge.tail, edge.head): f"l{n}" for n, edge in enumerate(picture.edges) if self._has_tag(edge)}
        """By the boxes of edges with a tag that says in which copies they are, the identifiers of the tags."""
        self.written: set[tuple[str, str]] = set()
        """Edges to forks, and marks, that are written already."""

    def _has_no_shortcuts(self) -> bool:
        """Whether every edge stays in an outermost cluster, or leads to the next unit on the spine."""
        units = outermost(self.picture)
        before = {units[key]: units[tail] for key, tail in self.spine.items() if tail and units[tail] != units[key]}
        ends = [(units[edge.tail], units[edge.head]) for edge in self.picture.edges]
        return all(tail in (head, before.get(head)) for tail, head in ends)

    def _first_boxes(self) -> dict[str, Box]:
        first: dict[str, Box] = {}
        for box in self.picture.boxes.values():
            for cluster in self.picture.clusters_around(box.cluster):
                first.setdefault(cluster, box)
        return first

    def _title_beside(self, cluster: str, box: Box) -> bool:
        """Whether the title of a cluster is beside its first box: a row holds boxes of one cluster only."""
        return box.key in self.spine and box.cluster == cluster

    def _has_tag(self, edge: Edge) -> bool:
        """Whether an edge says in which copies it is, because the boxes at its ends do not."""
        boxes, where = self.picture.boxes, self._where(edge)
        return where not in ("", boxes[edge.tail].only, boxes[edge.head].only)

    def _where(self, edge: Edge) -> str:
        """In which copies the last part of an edge is: behind a fork in a cluster, in copies of that cluster."""
        is_forked = any((cluster, edge.tail) in self.forks for cluster in self.picture.clusters_entered(edge))
        return edge.inside if is_forked else edge.only

    def write(self, title: bool) -> str:
        """The DOT text, with or without a title."""
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
            **({"label": self._heading()} if title else {}),
            **({} if self.is_straight else {"ordering": "out"}),
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
        # Graphviz draws the first column leftmost; from left to right it would draw the last one topmost.
        columns = range(max(self.column.values(), default=0) + 1)
        for column in columns if self.direction == "TB" else reversed(columns):
            self._content(self.dot, "", column)
        for edge in self.picture.edges:
            self._edge(edge)
        return str(self.dot.source)

    def _heading(self) -> str:
        """The label of the picture: title, totals and legend."""
        lines = [
            LabelLine([f"<B>{escaped(line)}</B>"], 15) for line in wrapped(self.picture.title, _TITLE_WIDTH) or [""]
        ]
        lines += faint_lines(self.palette, [self.picture.totals], 10)
        lines += faint_lines(self.palette, wrapped(self._legend(), 2 * _TITLE_WIDTH), 8)
        return stacked([*lines, LabelLine(['<FONT POINT-SIZE="4"> </FONT>'], 4)])

    def _legend(self) -> str:
        """Explanations of the short names and kinds of lines that the picture has."""
        boxes, clusters, edges = self.picture.boxes.values(), self.picture.clusters.values(), self.picture.edges
        words = {word for box in boxes for word in re.findall(r"\w+", box.subtitle)}
        lines = [f"{short}: {name.replace('_', ' ')}" for name, short in abbreviations().items() if short in words]
        has_partial = any(part.only for part in (*boxes, *clusters)) or any(edge.partial for edge in edges)
        lines += ["dashed: in some of the copies"] if has_partial else []
        lines += ["dotted: its size alone"] if any(edge.size_only for edge in edges) else []
        lines += ["2: the second operand"] if any(edge.is_second for edge in edges) else []
        lines += ["numbers in circles: it goes on there"] if self.marks else []
        return "; ".join(lines)

    # Boxes and clusters.

    def _content(self, dot: Any, cluster: str, column: int) -> None:
        """The boxes, clusters and tags of one column that are directly in a cluster, in order."""
        done: set[str] = set()
        for box in self.picture.boxes.values():
            if self.column[box.key] != column:
                continue
            if box.cluster == cluster:
                self._box(dot, box)
                continue
            inner = self._child(box.cluster, cluster)
            if inner is not None and inner.key not in done:
                done.add(inner.key)
                self._cluster(dot, inner, column)
        for edge in self.picture.edges:
            tag = self.tags.get((edge.tail, edge.head))
            if tag is not None and self.column[edge.head] == column and self._tag_cluster(edge) == cluster:
                where = self._where(edge)
                text = "".join(line.cells[0] for line in faint_lines(self.palette, [_TAGS.get(where, where)], 8))
                dot.node(tag, label=f"<{text}>", shape="plain", style="", margin="0", height="0.1", width="0.1")

    def _tag_cluster(self, edge: Edge) -> str:
        """The cluster that holds the tag of an edge: the innermost in which it forks, else the one around both ends."""
        picture = self.picture
        forked = [cluster for cluster in picture.clusters_entered(edge) if (cluster, edge.tail) in self.forks]
        if forked:
            return forked[-1]
        around_head = picture.clusters_around(picture.boxes[edge.head].cluster)
        around_tail = picture.clusters_around(picture.boxes[edge.tail].cluster)
        shared = [cluster for cluster in around_tail if cluster in around_head]
        return shared[-1] if shared else ""

    def _child(self, cluster: str, parent: str) -> Cluster | None:
        """The cluster directly in `parent` that a cluster is, or is in."""
        inner = self.picture.clusters.get(cluster)
        while inner is not None and inner.parent != parent:
            inner = self.picture.clusters.get(inner.parent)
        return inner

    def _cluster(self, dot: Any, cluster: Cluster, column: int) -> None:
        """A cluster with its title, its forks and the boxes in it."""
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
            forks = [fork for fork in self.forks.values() if fork.cluster == cluster.key]
            for fork in forks:
                group = {"group": f"spine{column}"} if self._on_spine(fork) else {}
                inner.node(fork.name, shape="point", width="0.012", color=self.palette.line, ordering="out", **group)
            self._write_title(inner, cluster, forks[0].name if forks else "")
            self._content(inner, cluster.key, column)

    def _write_title(self, dot: Any, cluster: Cluster, fork: str) -> None:
        """Write the title and figures of a cluster beside its first box, or beside its fork, if it has one."""
        box = self.first_box[cluster.key]
        first, beside = self.ids[box.key], self._title_beside(cluster.key, box)
        title, figures = self._title(cluster), self._figures(cluster)
        if beside and fork and self.direction == "TB":
            # The row of the fork holds the title, so that the row of the box is no higher than the box.
            width = text_width([*title, *figures])
            self._beside(dot, fork, stacked(title, "LEFT", width), "t")
            self._beside(dot, first, stacked(figures, "LEFT", width))
            dot.edge(f"{fork}t", f"{first}i", style="invis", weight="50")
            return
        row = first if beside else fork
        if not row:
            row = f"g{self.numbers[cluster.key]}"
            dot.node(row, shape="point", width="0.012", style="invis")
        self._beside(dot, row, stacked([*title, *figures], "LEFT"), "i" if beside else "t")

    def _on_spine(self, fork: Fork) -> bool:
        """Whether the spine goes through a fork."""
        edges = [
            edge for edge in self.picture.edges if edge.tail == fork.tail and self.spine.get(edge.head) == edge.tail
        ]
        return any(fork.cluster in self.picture.clusters_entered(edge) for edge in edges)

    def _title(self, cluster: Cluster) -> list[LabelLine]:
        """The lines of a title: the name with the number of copies in bold, then the block or merge."""
        name, _, rest = cluster.title.partition(": ")
        head = " ".join(text for text in (name, times(cluster.counts)) if text)
        rest_lines = wrapped(rest)
        lines = [LabelLine([f"<B>{escaped(head)}</B>"], 11, len(head))]
        if len(rest_lines) == 1 and len(head) + len(rest) < LINE_WIDTH and self.direction == "TB":
            lines = [LabelLine([*lines[0].cells, escaped(rest)], 11, len(head) + len(rest) + 2)]
            rest_lines = []
        return [
            *lines,
            *[text_line(line, 11) for line in rest_lines],
            *faint_lines(self.palette, [cluster.only], 9),
        ]

    def _figures(self, cluster: Cluster) -> list[LabelLine]:
        details = [line for text in cluster.details for line in wrapped(text)]
        figures = [line for text in re.split("\n|(?<=;) ", cluster.figures) for line in wrapped(text, _FAINT_WIDTH)]
        return faint_lines(self.palette, [*details, *figures], 9)

    def _box(self, dot: Any, box: Box) -> None:
        """A box, and its figures beside it where there is room."""
        attributes: dict[str, str] = {"fillcolor": self.palette.fill(box.family), "tooltip": ", ".join(box.paths[:4])}
        if not self.highlight.isdisjoint(box.paths):
            attributes |= {"color": self.palette.highlight, "penwidth": "2.4"}
        if box.kind in ("input", "output"):
            shape = faint_lines(self.palette, [box.subtitle or " "], 10)[0].cells[0]
            label = f"<{escaped(box.label)}  {shape}>"
            attributes |= {"shape": "plain", "style": "", "margin": "0"}
        elif box.kind == "merge" and (sign := sign_of(box)):
            note = joined(box.subtitle, times(box.counts), box.only)
            label = " ".join([f"<B>{sign}</B>", *(line.cells[0] for line in faint_lines(self.palette, [note], 9))])
            label = f"<{label}>"
            attributes |= {"style": "filled", "shape": "ellipse" if note else "circle", "margin": "0.03,0"}
            attributes |= {"height": "0.24", "width": "0.24"}
        else:
            label = self._label(box)
            attributes |= {"margin": "0.12,0.05"} if label.count("<TR>") > 2 or box.count > 1 else {}
            if not box.cluster and self.is_chain and self.direction == "TB":
                attributes["width"] = _BOX_WIDTH
        if box.only:
            attributes["style"] = attributes.get("style", "rounded,filled") + ",dashed"
        if box.key in self.spine:
            attributes["group"] = f"spine{self.column[box.key]}"
        dot.node(self.ids[box.key], label=label, **attributes)
        if box.figures and self.is_chain and self.direction == "TB":
            figures = faint_lines(self.palette, box.figures.split("\n"), 9)
            self._beside(dot, self.ids[box.key], stacked(figures, "RIGHT"))

    def _label(self, box: Box) -> str:
        """The lines of a box: label, subtitle, details, and figures where there is no room for them beside it."""
        label = [escaped(line) for line in wrapped(box.label)] or [""]
        if copies := times(box.counts):
            label[-1] += f" <B>{escaped(copies)}</B>"
        lines = [LabelLine([line], 11) for line in label]
        shape = "" if self.is_chain or self.direction == "LR" else box.figures.partition("\n")[0]
        lines += faint_lines(self.palette, wrapped_parts(joined(box.subtitle, shape, box.only), _FAINT_WIDTH), 8)
        lines += faint_lines(self.palette, [line for text in box.details for line in wrapped(text, _FAINT_WIDTH)], 8)
        if self.direction == "LR":
            lines += faint_lines(self.palette, box.figures.split("\n"), 8)
        return stacked(lines)

    def _beside(self, dot: Any, name: str, label: str, suffix: str = "i") -> None:
        """A text to the left of a node; its identifier is that of the node with a suffix."""
        with dot.subgraph() as row:
            row.attr(rank="same")
            row.node(f"{name}{suffix}", label=label, shape="plain", style="", width="1.2")
            row.edge(f"{name}{suffix}", name, style="invis")

    # Edges.

    def _edge(self, edge: Edge) -> None:
        """The line of an edge, through the forks of its value and its tag."""
        same_column = self.column[edge.tail] == self.column[edge.head]
        start = self.ids[edge.tail] if same_column else self._continuation(edge.tail, edge.head)
        weight = {"weight": "100"} if self.spine.get(edge.head) == edge.tail else {}
        for cluster in self.picture.clusters_entered(edge):
            fork = self.forks.get((cluster, edge.tail))
            if fork is not None:
                if (start, fork.name) not in self.written:
                    self.written.add((start, fork.name))
                    fork_weight = {"weight": "100"} if self._on_spine(fork) else {}
                    style = _style(fork.partial, fork.size_only)
                    self.dot.edge(start, fork.name, arrowhead="none", **fork_weight, **style)
                start = fork.name
        tag, style = self.tags.get((edge.tail, edge.head)), _style(bool(self._where(edge)), edge.size_only)
        if tag is not None:
            self.dot.edge(start, tag, arrowhead="none", **weight, **style)
            start = tag
        second = {"headlabel": "2", "fontcolor": self.palette.faint, "labelangle": "40", "labeldistance": "1.3"}
        self.dot.edge(start, self.ids[edge.head], **weight, **style, **(second if edge.is_second else {}))

    def _continuation(self, tail: str, head: str) -> str:
        """The circle at which a value goes on in the column of `head`; a circle where it leaves its own has its number.

        Both are written once.
        """
        number, column = self.marks[tail], self.column[head]
        end, start = f"end{number}", f"start{number}_{column}"
        circle = {"label": f"<<B>{number}</B>>", "shape": "circle", "width": "0.26", "height": "0.26", "margin": "0"}
        circle |= {"fixedsize": "true", "fontsize": "10", "style": "filled", "fillcolor": self.palette.page}
        on_spine = self.spine.get(head) == tail
        for mark, mark_column in ((end, self.column[tail]), (start, column)):
            if (mark, "") not in self.written:
                self.written.add((mark, ""))
                self.dot.node(mark, **circle, **({"group": f"spine{mark_column}"} if on_spine else {}))
                if mark == end:
                    edges = [e for e in self.picture.edges if e.tail == tail and self.column[e.head] != mark_column]
                    style = _style(are_partial(edges), all(edge.size_only for edge in edges))
                    self.dot.edge(self.ids[tail], mark, **({"weight": "100"} if on_spine else {}), **style)
        return start


def _style(partial: bool, size_only: bool) -> dict[str, str]:
    """The style of a line: dotted where only the size is read, dashed where it stands for some copies."""
    return {"style": "dotted" if size_only else "dashed"} if partial or size_only else {}
