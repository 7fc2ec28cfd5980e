"""Where values that enter a cluster fork: at a point inside it, since what goes round a part of it belongs to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from netspec.backends.diagram.picture import Edge, Picture

_ALL_COPIES = ({"first only", "not first"}, {"last only", "not last"})
"""What together are all copies."""


@dataclass(slots=True)
class Fork:
    """The point in a cluster at which the value of a box begins to fork; `rare` if it enters some copies only."""

    name: str
    cluster: str
    tail: str
    rare: bool
    size: bool


def forks(picture: Picture, titled: Collection[str] = ()) -> dict[tuple[str, str], Fork]:
    """By the keys of clusters and of the boxes outside whose value goes to several places in them.

    The clusters of `titled` have one for what enters their first box too.
    """
    entering: dict[tuple[str, str], list[Edge]] = {}
    for edge in picture.edges:
        for cluster in entered(picture, edge):
            entering.setdefault((cluster, edge.tail), []).append(edge)
    numbers = {key: number for number, key in enumerate(picture.clusters)}
    made: dict[tuple[str, str], Fork] = {}
    begun: set[str] = set()
    for (cluster, tail), edges in entering.items():
        if len(edges) > 1 or (cluster in titled and cluster not in begun):
            name = f"g{numbers[cluster]}" + (f"_{len(made)}" if cluster in begun else "")
            begun.add(cluster)
            made[cluster, tail] = Fork(name, cluster, tail, partial(edges), all(edge.size for edge in edges))
    return made


def around(picture: Picture, cluster: str) -> list[str]:
    """The keys of a cluster and those around it, outermost first."""
    chain: list[str] = []
    while cluster:
        chain.append(cluster)
        cluster = picture.clusters[cluster].parent
    return chain[::-1]


def entered(picture: Picture, edge: Edge) -> list[str]:
    """The clusters that an edge enters, outermost first."""
    inside = set(around(picture, picture.boxes[edge.tail].cluster))
    return [cluster for cluster in around(picture, picture.boxes[edge.head].cluster) if cluster not in inside]


def partial(edges: list[Edge]) -> bool:
    """Whether edges together stand for some of the copies only."""
    where = {edge.only for edge in edges}
    return all(edge.rare for edge in edges) and not any(pair <= where for pair in _ALL_COPIES)
