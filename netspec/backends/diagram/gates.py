"""Where values that enter a frame fork: at a point inside it, since what goes round a part of it belongs to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from netspec.backends.diagram.picture import Edge, Picture

WHOLE = ({"first only", "not first"}, {"last only", "not last"})
"""What together are all copies."""


@dataclass(slots=True)
class Gate:
    """The point in a frame at which the value of a box begins to fork; `rare` if it enters some copies only."""

    name: str
    frame: str
    tail: str
    rare: bool
    size: bool


def gates(picture: Picture, titled: Collection[str] = ()) -> dict[tuple[str, str], Gate]:
    """By the keys of frames and of the boxes outside whose value goes to several places in them.

    The frames of `titled` have one for what enters their first box too.
    """
    entering: dict[tuple[str, str], list[Edge]] = {}
    for edge in picture.edges:
        for frame in entered(picture, edge):
            entering.setdefault((frame, edge.tail), []).append(edge)
    numbers = {key: number for number, key in enumerate(picture.frames)}
    made: dict[tuple[str, str], Gate] = {}
    begun: set[str] = set()
    for (frame, tail), edges in entering.items():
        if len(edges) > 1 or (frame in titled and frame not in begun):
            name = f"g{numbers[frame]}" + (f"_{len(made)}" if frame in begun else "")
            begun.add(frame)
            made[frame, tail] = Gate(name, frame, tail, partial(edges), all(edge.size for edge in edges))
    return made


def around(picture: Picture, frame: str) -> list[str]:
    """The keys of a frame and those around it, outermost first."""
    chain: list[str] = []
    while frame:
        chain.append(frame)
        frame = picture.frames[frame].parent
    return chain[::-1]


def entered(picture: Picture, edge: Edge) -> list[str]:
    """The frames that an edge enters, outermost first."""
    inside = set(around(picture, picture.boxes[edge.tail].frame))
    return [frame for frame in around(picture, picture.boxes[edge.head].frame) if frame not in inside]


def partial(edges: list[Edge]) -> bool:
    """Whether edges together stand for some of the copies only."""
    where = {edge.only for edge in edges}
    return all(edge.rare for edge in edges) and not any(pair <= where for pair in WHOLE)
