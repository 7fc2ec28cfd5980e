"""Texts for copies that are drawn once: their common parts, and their differences.

>>> merged(["3x3 conv, 64, /2", "3x3 conv, 64", "3x3 conv, 64"])
'3x3 conv, 64, first /2'
>>> differing(["4", "16", "16"]), differing(["no", "no", "yes"]), differing(["8", "16", "24"]), times([3, 4, 6, 3])
('16 (first 4)', 'no (last yes)', '{8, 16, 24}', '× 3, 4, 6, 3')
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from itertools import groupby

_MAX_LISTED = 4
"""The largest number of different values that a text lists."""


def merged(labels: Sequence[str]) -> str | None:
    """One label for the copies of an op, if only the first differs; None if others do."""
    first, last = labels[0], labels[-1]
    if all(label == first for label in labels):
        return first
    if all(label == last for label in labels[1:]):
        added = [part for part in first.split(", ") if part not in last.split(", ")]
        missing = [part for part in last.split(", ") if part not in first.split(", ")]
        return f"{last}, first {', '.join(added)}" if added and not missing else f"{last}, first: {first}"
    return None


def differing(texts: Sequence[str], groups: Sequence[Hashable] = ()) -> str:
    """One text for the texts of copies: `16 (first 4)`, `{8, 16, 24}`, or `8 … 96` for many in ascending order.

    `groups` has equal values for the copies of one repeat, where there are several.
    """
    rows: dict[Hashable, list[str]] = {}
    for group, text in zip(groups or [0] * len(texts), texts, strict=True):
        rows.setdefault(group, []).append(text)
    same = len({tuple(row) for row in rows.values()}) == 1
    texts = next(iter(rows.values())) if same else texts
    runs = [text for text, _ in groupby(texts)]
    if len(runs) == 1:
        return runs[0]
    if len(runs) == 2 and len(texts) > 2 and texts[1] != texts[0]:
        return f"{runs[1]} (first {runs[0]})"
    if len(runs) == 2 and len(texts) > 2 and texts[-1] != texts[-2]:
        return f"{runs[0]} (last {runs[1]})"
    if len(runs) <= _MAX_LISTED:
        return f"{{{', '.join(runs)}}}"
    numbers = [number for text in runs if (number := _number(text)) is not None]
    if len(numbers) < len(runs):
        return f"{{{', '.join(list(dict.fromkeys(runs))[: _MAX_LISTED - 1])}, …}}"
    if numbers in (sorted(numbers), sorted(numbers, reverse=True)):
        return f"{runs[0]} … {runs[-1]}"
    return f"{min(numbers):g} to {max(numbers):g}"


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,15}(\.\d+)?", text) else None


def varying(labels: Sequence[str], groups: Sequence[Hashable] = ()) -> str:
    """One label for the labels of copies, merged part by part: `3x3 conv, 16 … 64, first /2`.

    `groups` has equal values for the copies of one repeat, where there are several.
    """
    rows = [_parts_by_form(label.split(", ")) for label in labels]
    forms = list(dict.fromkeys(form for row in rows for form in row))
    words = [_part([row.get(form) for row in rows], groups or [0] * len(rows)) for form in forms]
    return ", ".join(dict.fromkeys(words))


def _parts_by_form(parts: Sequence[str]) -> dict[tuple[str, int], str]:
    """The parts of a label by form: `#` for `64`, `/#` for `/2`; equal forms are numbered."""
    by_form: dict[tuple[str, int], str] = {}
    for part in parts:
        form = re.sub(r"\d+", "#", part)
        by_form[form, sum(form == other for other, _ in by_form)] = part
    return by_form


def _part(parts: Sequence[str | None], groups: Sequence[Hashable]) -> str:
    """One text for a part of the labels; the part is None for copies that lack it."""
    texts = [part for part in parts if part is not None]
    if len(texts) == len(parts):
        return _with_numbers(texts, groups)
    where = which([part is not None for part in parts], groups)
    if len(set(texts)) > 1:
        return "varies"
    return f"first {texts[0]}" if where == "first only" else f"{texts[0]} ({where})"


def _with_numbers(parts: Sequence[str], groups: Sequence[Hashable]) -> str:
    """One text for parts of one form, with their numbers merged: `dilation {1, 2, 3}`."""
    pieces = [re.split(r"(\d+)", part) for part in parts]
    if len(pieces[0]) != 3:
        return differing(parts, groups)
    return pieces[0][0] + differing([piece[1] for piece in pieces], groups) + pieces[0][2]


def which(present: Sequence[bool], groups: Sequence[Hashable]) -> str:
    """The copies that have something, in words: `first only` (in each group), `in 2 of 5`, or "" for all."""
    if all(present):
        return ""
    by_group: dict[Hashable, list[bool]] = {}
    for group, here in zip(groups, present, strict=True):
        by_group.setdefault(group, []).append(here)
    rows = list(by_group.values())
    if all(row == [True] + [False] * (len(row) - 1) for row in rows):
        return "first only"
    if all(row == [False] + [True] * (len(row) - 1) for row in rows):
        return "not first"
    if all(row == [False] * (len(row) - 1) + [True] for row in rows):
        return "last only"
    if all(row == [True] * (len(row) - 1) + [False] for row in rows):
        return "not last"
    return f"in {sum(present)} of {len(present)}"


def times(counts: Sequence[int]) -> str:
    """The numbers of copies as text: `× 4`, or `× 1, 2, 3` if they differ; "" for single copies."""
    if set(counts) == {1}:
        return ""
    if len(set(counts)) == 1:
        return f"× {counts[0]}"
    if len(counts) <= 2 * _MAX_LISTED:
        return f"× {', '.join(map(str, counts))}"
    lead, rest = ", ".join(map(str, counts[: _MAX_LISTED - 1])), counts[-1]
    return f"× {lead}, …, {rest} ({min(counts)} to {max(counts)})"


def shapes_across(texts: Sequence[str]) -> str:
    """One text for the shapes of copies: `64 × 8 × 8`, or `64 × 8 × 8 … 64 × 2 × 2` if all differ."""
    runs = [text for text, _ in groupby(texts)]
    if len(runs) == 1:
        return runs[0]
    if len(set(runs)) == len(runs):
        return f"{runs[0]} … {runs[-1]}" if len(runs) > 2 else f"{runs[0]}, then {runs[1]}"
    return "shape varies"
