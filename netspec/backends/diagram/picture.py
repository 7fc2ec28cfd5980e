"""A diagram as plain data, before it is laid out: boxes in clusters, and edges between boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BoxKind = Literal["op", "merge", "block", "input", "output"]


@dataclass(slots=True)
class Box:
    """One box: fused ops, a closed block or repeat, an input or an output."""

    key: str
    kind: BoxKind
    label: str
    subtitle: str = ""
    """The line below the label."""
    details: tuple[str, ...] = ()
    """Further lines."""
    family: str = ""
    cluster: str = ""
    """The key of the cluster around it, "" for none."""
    counts: tuple[int, ...] = (1,)
    """The number of consecutive copies it stands for, in each copy of its cluster; one number if all are equal."""
    only: str = ""
    """The copies of the repeat around it that have it, such as `first only`; "" for all."""
    shape: str = ""
    """The shape of its output."""
    figures: str = ""
    """Text beside it: shape, parameters and MACs."""
    paths: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many copies it stands for; the most, where that differs."""
        return max(self.counts)


@dataclass(slots=True)
class Cluster:
    """An open block or repeat: a frame around boxes with a title and figures."""

    key: str
    parent: str
    """The key of the cluster around it, "" for none."""
    title: str
    counts: tuple[int, ...]
    """The number of copies it stands for, in each copy of its parent; one number if all are equal."""
    figures: str
    details: tuple[str, ...] = ()
    only: str = ""
    """The copies of the repeat around it that have it; "" for all."""

    @property
    def count(self) -> int:
        """How many copies it stands for; the most, where that differs."""
        return max(self.counts)


@dataclass(slots=True)
class Edge:
    """A value that goes from the box `tail` to the box `head`."""

    tail: str
    head: str
    partial: bool = False
    """Whether only some copies have it."""
    only: str = ""
    """The copies that have it; "" for all."""
    size_only: bool = False
    """Whether the head reads only the size of the value."""
    inside: str = ""
    """The copies of the cluster around the head that read the value; "" for all."""
    is_second: bool = False
    """Whether the value is the second operand of a difference or quotient."""


@dataclass(slots=True)
class Picture:
    """A diagram before it is laid out; boxes, clusters and edges are in the order in which the network runs."""

    name: str
    title: str
    totals: str
    boxes: dict[str, Box] = field(default_factory=dict[str, Box])
    clusters: dict[str, Cluster] = field(default_factory=dict[str, Cluster])
    edges: list[Edge] = field(default_factory=list[Edge])

    def clusters_around(self, cluster: str) -> list[str]:
        """The keys of a cluster and those around it, outermost first; none for ""."""
        keys: list[str] = []
        while cluster:
            keys.append(cluster)
            cluster = self.clusters[cluster].parent
        return keys[::-1]

    def clusters_entered(self, edge: Edge) -> list[str]:
        """The keys of the clusters that an edge enters, outermost first."""
        around_tail = set(self.clusters_around(self.boxes[edge.tail].cluster))
        around_head = self.clusters_around(self.boxes[edge.head].cluster)
        return [cluster for cluster in around_head if cluster not in around_tail]
