"""What copies that are drawn once have in common, and how they differ."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from itertools import groupby

_MAX_LISTED = 4
"""As many values that differ are listed."""


def merged(labels: Sequence[str]) -> str | None:
    """One label for the copies of an op, with what the first has of its own; None where others differ too."""
    first, last = labels[0], labels[-1]
    if all(label == first for label in labels):
        return first
    if all(label == last for label in labels[1:]):
        own = [part for part in first.split(", ") if part not in last.split(", ")]
        lost = [part for part in last.split(", ") if part not in first.split(", ")]
        return f"{last}, first {', '.join(own)}" if own and not lost else f"{last}, first: {first}"
    return None


def differing(texts: Sequence[str], groups: Sequence[Hashable] = ()) -> str:
    """What copies say one by one: `16 (first 4)`, `{8, 16, 24}`, `8 … 96` where each is more than the one before.

    `groups` says which of them stand together, where these are the copies of several repeats.
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
    """What copies that differ have in common, with what differs: `3x3 conv, 16 … 64, first /2`.

    `groups` says which of them stand together, where these are the copies of several repeats.
    """
    rows = [_columns(label.split(", ")) for label in labels]
    names = list(dict.fromkeys(name for row in rows for name in row))
    words = [_column([row.get(name) for row in rows], groups or [0] * len(rows)) for name in names]
    return ", ".join(dict.fromkeys(words))


def _columns(parts: Sequence[str]) -> dict[tuple[str, int], str]:
    """The parts of a label by their form, such as `#` and `/#`, and the number of those that have it."""
    found: dict[tuple[str, int], str] = {}
    for part in parts:
        form = re.sub(r"\d+", "#", part)
        found[form, sum(form == name for name, _ in found)] = part
    return found


def _column(parts: Sequence[str | None], groups: Sequence[Hashable]) -> str:
    """A part of the labels; None where a copy lacks it."""
    known = [part for part in parts if part is not None]
    if len(known) == len(parts):
        return _template(known, groups)
    where = which([part is not None for part in parts], groups)
    if len(set(known)) > 1:
        return "varies"
    return f"first {known[0]}" if where == "first only" else f"{known[0]} ({where})"


def _template(parts: Sequence[str], groups: Sequence[Hashable]) -> str:
    """Parts of one form with their numbers told together: `dilation {1, 2, 3}`."""
    pieces = [re.split(r"(\d+)", part) for part in parts]
    if len(pieces[0]) != 3:
        return differing(parts, groups)
    return pieces[0][0] + differing([piece[1] for piece in pieces], groups) + pieces[0][2]


def which(there: Sequence[bool], groups: Sequence[Hashable]) -> str:
    """In which copies something stands: `first only`, where it does in each group; nothing where it stands in all."""
    if all(there):
        return ""
    by_group: dict[Hashable, list[bool]] = {}
    for group, here in zip(groups, there, strict=True):
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
    return f"in {sum(there)} of {len(there)}"


def times(counts: Sequence[int]) -> str:
    """How many copies there are, told one by one where that differs: `× 4`, `× 1, 2, 3`; nothing for one."""
    if set(counts) == {1}:
        return ""
    if len(set(counts)) == 1:
        return f"× {counts[0]}"
    if len(counts) <= 2 * _MAX_LISTED:
        return f"× {', '.join(map(str, counts))}"
    lead, rest = ", ".join(map(str, counts[: _MAX_LISTED - 1])), counts[-1]
    return f"× {lead}, …, {rest} ({min(counts)} to {max(counts)})"


def shapes_across(texts: Sequence[str]) -> str:
    """The shapes of copies: one, or from the first to the last where all differ."""
    runs = [text for text, _ in groupby(texts)]
    if len(runs) == 1:
        return runs[0]
    if len(set(runs)) == len(runs):
        return f"{runs[0]} … {runs[-1]}" if len(runs) > 2 else f"{runs[0]}, then {runs[1]}"
    return "shape varies"
