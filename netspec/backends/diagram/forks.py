"""Finds forks: points inside clusters at which the line of an entering value divides.

A shortcut around a part of a cluster belongs to the cluster, and so its line forks inside the cluster.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from netspec.backends.diagram.picture import Edge, Picture

_COMPLEMENTS = ({"first only", "not first"}, {"last only", "not last"})
"""Pairs of texts that together mean all copies."""


@dataclass(slots=True)
class Fork:
    """The point in a cluster at which the value of an outer box forks; the flags are those of `Edge`."""

    name: str
    """Its identifier in DOT."""
    cluster: str
    tail: str
    partial: bool
    size_only: bool


def forks_of(picture: Picture, titled: Collection[str] = ()) -> dict[tuple[str, str], Fork]:
    """The forks of a picture, by the key of the cluster and the key of the box whose value forks there.

    Clusters in `titled` always have a fork, even for an entering value that goes to a single box.
    """
    entering: dict[tuple[str, str], list[Edge]] = {}
    for edge in picture.edges:
        for cluster in picture.clusters_entered(edge):
            entering.setdefault((cluster, edge.tail), []).append(edge)
    numbers = {key: number for number, key in enumerate(picture.clusters)}
    forks: dict[tuple[str, str], Fork] = {}
    has_fork: set[str] = set()
    for (cluster, tail), edges in entering.items():
        if len(edges) > 1 or (cluster in titled and cluster not in has_fork):
            name = f"g{numbers[cluster]}" + (f"_{len(forks)}" if cluster in has_fork else "")
            has_fork.add(cluster)
            size_only = all(edge.size_only for edge in edges)
            forks[cluster, tail] = Fork(name, cluster, tail, are_partial(edges), size_only)
    return forks


def are_partial(edges: Collection[Edge]) -> bool:
    """Whether edges together stand for only some of the copies."""
    where = {edge.only for edge in edges}
    return all(edge.partial for edge in edges) and not any(pair <= where for pair in _COMPLEMENTS)
