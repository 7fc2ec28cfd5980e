"""The spine of a picture: the way to its deepest output, which is drawn straight."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.backends.diagram.picture import Box, Picture
from netspec.ops.base import REGISTRY


def sign_of(box: Box) -> str:
    """The sign that is drawn in a circle for a merge, such as + for `add`; "" for a box with words."""
    merge = REGISTRY.get(box.label)
    return merge.sign if merge is not None else ""


def spine(picture: Picture) -> dict[str, str | None]:
    """The way from the deepest output back: each box on it, and the one before.

    A way round, from a box that stands before another way too, is left aside. Of the branches that remain, it goes
    along the first to a sum, and to another box from where they all begin.
    """
    into: dict[str, list[str]] = {}
    for edge in picture.edges:
        into.setdefault(edge.head, []).append(edge.tail)
    order = {key: number for number, key in enumerate(picture.boxes)}
    depth: dict[str, int] = {}
    before: dict[str, int] = {}
    """The boxes before each one, as the bits of a number."""
    for key in order:
        ways = into.get(key, [])
        depth[key] = 1 + max((depth[tail] for tail in ways), default=0)
        before[key] = 0
        for tail in ways:
            before[key] |= before[tail] | 1 << order[tail]
    way: dict[str, str | None] = {}
    key = max(reversed(order), key=depth.__getitem__, default=None)
    while key is not None and key not in way:
        ways = into.get(key, [])
        branches = [tail for tail in ways if not any(before[other] >> order[tail] & 1 for other in ways)]
        if len(branches) > 1 and not sign_of(picture.boxes[key]):
            branches = _joint(into, order, key)
        way[key] = branches[0] if branches else None
        key = way[key]
    return way


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
