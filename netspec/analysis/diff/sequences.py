"""Algorithms on sequences: the longest ascending subsequence, and the best alignment of two sequences."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

MAX_CELLS = 300_000
"""The largest table of similarities that is filled completely; of a larger one only a band is filled."""

_GAP = 3
"""The cost of opening a gap in an alignment."""
_NEVER = -(10**9)

# The table has two entries for each cell, in one byte. If the alignment ends in a pair: whether a pair is before it.
_PAIR_BEFORE = 1
# If it ends in a gap, times 2: the gap skips an item of the second sequence (0, 1) or of the first (2, 3), and a gap
# (0, 2) or a pair (1, 3) is before it.
_AFTER_PAIR, _SKIPS_FIRST = 2, 4


def longest_ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence of pairs whose right numbers ascend; the left ones ascend already.

    >>> longest_ascending([(0, 5), (1, 1), (2, 2), (3, 0), (4, 7)])
    [(1, 1), (2, 2), (4, 7)]
    """
    # By length: the lowest end of an ascending subsequence, and the pair it ends with. By pair: the pair before it.
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, right) in enumerate(pairs):
        length = bisect_left(ends, right)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(right)
            last.append(number)
        else:
            ends[length], last[length] = right, number
    ascending: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        ascending.append(pairs[number])
        number = before[number]
    return ascending[::-1]


def best_alignment(n: int, m: int, similarity: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """The alignment of `n` items with `m` items that has the largest sum of similarities, minus a cost for each gap.

    `similarity(i, j)` is 0 if the items can't be a pair. The algorithm is Gotoh's ("An Improved Algorithm for Matching
    Biological Sequences", 1982); of a large table only a band around the diagonal is filled. Returns the pairs.

    >>> first, second = "kitchen", "sitting"
    >>> pairs = best_alignment(7, 7, lambda i, j: 4 * (first[i] == second[j]))
    >>> "".join(first[i] for i, _ in pairs)
    'itn'
    """
    half = max(n, m) if n * m <= MAX_CELLS else max(MAX_CELLS // (2 * n), m // n + 1)
    # The scores of the row before, for alignments that end in a pair and in a gap.
    pair, gap = [_NEVER] * (m + 1), [0] * (m + 1)
    pair[0] = 0
    table = [bytes(m + 1)]
    for i in range(1, n + 1):
        middle = i * m // n
        columns = range(max(1, middle - half), min(m, middle + half) + 1)
        pair, gap, row = _next_row(pair, gap, columns, lambda j, i=i: similarity(i - 1, j - 1))
        table.append(row)
    return _trace_back(table, n, m, in_pair=pair[m] >= gap[m])


def _next_row(
    pair: list[int], gap: list[int], columns: range, similarity: Callable[[int], int]
) -> tuple[list[int], list[int], bytes]:
    """The scores of a row, computed from those of the row before, and its row of the table."""
    pair_now, gap_now = [_NEVER] * len(pair), [_NEVER] * len(gap)
    gap_now[0] = 0
    row = bytearray(len(pair))
    for j in columns:
        if score := similarity(j):
            after_pair, after_gap = pair[j - 1], gap[j - 1]
            pair_now[j] = score + max(after_pair, after_gap)
            row[j] = _PAIR_BEFORE if after_pair >= after_gap else 0
        ways = gap_now[j - 1], pair_now[j - 1] - _GAP, gap[j], pair[j] - _GAP
        gap_now[j] = max(ways)
        row[j] |= 2 * ways.index(gap_now[j])
    return pair_now, gap_now, bytes(row)


def _trace_back(table: list[bytes], i: int, j: int, in_pair: bool) -> list[tuple[int, int]]:
    """The pairs of an alignment, traced back from its last cell."""
    pairs: list[tuple[int, int]] = []
    while i and j:
        way = table[i][j]
        if in_pair:
            i, j, in_pair = i - 1, j - 1, bool(way & _PAIR_BEFORE)
            pairs.append((i, j))
        else:
            in_pair = bool(way & _AFTER_PAIR)
            if way & _SKIPS_FIRST:
                i -= 1
            else:
                j -= 1
    return pairs[::-1]
