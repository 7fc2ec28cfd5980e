"""What a diagram shows, as plain data: boxes in frames, and edges between boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["op", "merge", "block", "input", "output"]


@dataclass(slots=True)
class Box:
    """One box: an op with those that follow it, a block that is not opened, an input or an output.

    `small` is its second line, `figures` stand beside it. `count` copies stand in a row. `only` says in which copies
    of the frame it stands, where it does not stand in all. `skip`: it is closed, and a way leads round what is in it.
    """

    key: str
    kind: Kind
    label: str
    small: str = ""
    family: str = ""
    frame: str = ""
    count: int = 1
    only: str = ""
    skip: bool = False
    figures: str = ""
    paths: tuple[str, ...] = ()


@dataclass(slots=True)
class Frame:
    """A block or repeat that is opened: its title, how many copies it stands for, and its figures."""

    key: str
    parent: str
    title: str
    count: int
    info: str


@dataclass(slots=True)
class Edge:
    """A value that goes from a box to another; `rare` where it does so in some copies only."""

    tail: str
    head: str
    rare: bool = False


@dataclass(slots=True)
class Picture:
    """A diagram before it is laid out; all in the order in which it runs."""

    name: str
    title: str
    totals: str
    boxes: dict[str, Box] = field(default_factory=dict[str, Box])
    frames: dict[str, Frame] = field(default_factory=dict[str, Frame])
    edges: list[Edge] = field(default_factory=list[Edge])
