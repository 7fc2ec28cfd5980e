"""What a diagram shows, as plain data: boxes in clusters, and edges between boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BoxKind = Literal["op", "merge", "block", "input", "output"]


@dataclass(slots=True)
class Box:
    """One box: an op with those that follow it, a block that is not opened, an input or an output.

    `small` is its second line, `details` are those below; `figures` stand beside it. `counts` says how many copies
    stand in a row: in each copy of the cluster that has the box, or once if that is always the same. `only` says in
    which copies of the repeat around it stands, where it does not stand in all. `shape` is that of what leaves it.
    """

    key: str
    kind: BoxKind
    label: str
    small: str = ""
    details: tuple[str, ...] = ()
    family: str = ""
    cluster: str = ""
    counts: tuple[int, ...] = (1,)
    only: str = ""
    shape: str = ""
    figures: str = ""
    paths: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many copies it stands for; where that differs, the most."""
        return max(self.counts)


@dataclass(slots=True)
class Cluster:
    """A block or repeat that is opened: its title, how many copies it stands for, and its figures.

    `counts` are the copies, in each copy of the cluster around it unless that is always the same; `only` says in which
    of those it stands.
    """

    key: str
    parent: str
    title: str
    counts: tuple[int, ...]
    info: str
    details: tuple[str, ...] = ()
    only: str = ""

    @property
    def count(self) -> int:
        """How many copies it stands for; where that differs, the most."""
        return max(self.counts)


@dataclass(slots=True)
class Edge:
    """A value that goes from a box to another.

    `rare` where it does so in some copies only, of which `only` says which; `inside`, in which of those of the cluster
    that it ends in. `size`: of the value, its size alone counts.
    """

    tail: str
    head: str
    rare: bool = False
    only: str = ""
    size: bool = False
    inside: str = ""


@dataclass(slots=True)
class Picture:
    """A diagram before it is laid out; all in the order in which it runs."""

    name: str
    title: str
    totals: str
    boxes: dict[str, Box] = field(default_factory=dict[str, Box])
    clusters: dict[str, Cluster] = field(default_factory=dict[str, Cluster])
    edges: list[Edge] = field(default_factory=list[Edge])
