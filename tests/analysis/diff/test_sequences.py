"""Alignment of sequences, against all alignments there are."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

from netspec.analysis.diff import sequences
from netspec.analysis.diff.sequences import best_alignment, longest_ascending


def ascends(pairs: list[tuple[int, int]]) -> bool:
    return all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_ascending_part_is_the_longest(seed: int) -> None:
    chance = random.Random(seed)
    right = chance.sample(range(20), 8)
    pairs = list(enumerate(right))
    longest = max(k for k in range(9) for part in combinations(pairs, k) if ascends(list(part)))
    part = longest_ascending(pairs)
    assert ascends(part)
    assert set(part) <= set(pairs)
    assert len(part) == longest


def test_nothing_ascends_in_nothing() -> None:
    assert longest_ascending([]) == []


def score(pairs: list[tuple[int, int]], n: int, m: int, similarity: list[list[int]]) -> int:
    """The score by its definition: similarities, less 3 for each gap after a pair, whichever sides skip items in it."""
    gaps = sum(after != (i + 1, j + 1) for (i, j), after in pairwise([*pairs, (n, m)]))
    return sum(similarity[i][j] for i, j in pairs) - 3 * gaps


def alignments(n: int, m: int) -> list[list[tuple[int, int]]]:
    sizes = range(min(n, m) + 1)
    return [
        list(zip(xs, ys, strict=True))
        for k in sizes
        for xs in combinations(range(n), k)
        for ys in combinations(range(m), k)
    ]


@pytest.mark.parametrize("seed", range(30))
def test_no_alignment_scores_more(seed: int) -> None:
    chance = random.Random(seed)
    n, m = chance.randint(1, 5), chance.randint(1, 5)
    similarity = [[chance.choice([0, 1, 2, 5, 9]) for _ in range(m)] for _ in range(n)]
    pairs = best_alignment(n, m, lambda i, j: similarity[i][j])
    assert ascends(pairs)
    assert all(similarity[i][j] for i, j in pairs)
    allowed = [a for a in alignments(n, m) if all(similarity[i][j] for i, j in a)]
    assert score(pairs, n, m, similarity) == max(score(a, n, m, similarity) for a in allowed)


def test_a_gap_stays_in_one_piece() -> None:
    """Of equal sums the one with fewer gaps is taken: `aab` in `aacab` is not torn into three."""
    first, second = "aab", "aaccab"
    pairs = best_alignment(3, 6, lambda i, j: 4 * (first[i] == second[j]))
    gaps = sum(b[1] - a[1] > 1 for a, b in pairwise(pairs))
    assert gaps == 1
    assert [first[i] for i, _ in pairs] == ["a", "a", "b"]


def test_a_long_sequence_is_aligned_near_the_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "MAX_CELLS", 400)
    asked: list[tuple[int, int]] = []

    def similarity(i: int, j: int) -> int:
        asked.append((i, j))
        return 4 * (i == j)

    assert best_alignment(100, 100, similarity) == [(i, i) for i in range(100)]
    assert len(asked) < 1000
