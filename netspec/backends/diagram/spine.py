"""Finds the spine of a picture: the path to its deepest box, which is drawn as a straight line."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.backends.diagram.picture import Box, Picture
from netspec.ops.base import REGISTRY


def sign_of(box: Box) -> str:
    """The sign in the circle of a merge, such as + for `add`; "" for a box with words."""
    merge = REGISTRY.get(box.label)
    return merge.sign if merge is not None else ""


def has_order(box: Box) -> bool:
    """Whether a box with a sign is a difference or a quotient, so that the order of its operands matters."""
    return bool(sign_of(box)) and not REGISTRY[box.label].commutes


def spine(picture: Picture) -> dict[str, str | None]:
    """The path from the deepest box back: each box on it, with the box before it (None for the first).

    Shortcuts, that is, branches from a box that is also before another branch, are ignored, and so are edges on which
    only a size is read. At a sum, the path follows the first remaining branch; at any other box with several branches
    it continues where all of them begin.
    """
    tails: dict[str, list[str]] = {}
    for edge in picture.edges:
        if not edge.size_only:
            tails.setdefault(edge.head, []).append(edge.tail)
    order = {key: number for number, key in enumerate(picture.boxes)}
    depth: dict[str, int] = {}
    before: dict[str, int] = {}
    """The set of boxes before each box, as the bits of a number."""
    for key in order:
        branches = tails.get(key, [])
        depth[key] = 1 + max((depth[tail] for tail in branches), default=0)
        before[key] = 0
        for tail in branches:
            before[key] |= before[tail] | 1 << order[tail]
    path: dict[str, str | None] = {}
    key = max(reversed(order), key=depth.__getitem__, default=None)
    while key is not None and key not in path:
        tails_here = tails.get(key, [])
        branches = [tail for tail in tails_here if not any(before[other] >> order[tail] & 1 for other in tails_here)]
        if len(branches) > 1 and not sign_of(picture.boxes[key]):
            branches = _common_box(tails, order, key)
        path[key] = branches[0] if branches else None
        key = path[key]
    return path


def _common_box(tails: Mapping[str, list[str]], order: Mapping[str, int], key: str) -> list[str]:
    """The box at which all branches into a box begin, in a list; an empty list if they begin at different boxes."""
    ahead = set(tails.get(key, ()))
    while len(ahead) > 1:
        last = max(ahead, key=order.__getitem__)
        ahead.remove(last)
        before = tails.get(last, [])
        if not before:
            return []
        ahead.update(before)
    return list(ahead)
