"""The layout of a table on a terminal: text is folded first, then columns are left out, the first one never."""

from __future__ import annotations

import pytest

from netspec.table_layout import GAP, folded, layout, padded

HEADINGS = ["layer", "op", "shape", "parameters", "share", ""]
WIDTHS = [30, 30, 20, 12, 6, 30]
RIGHT = [False, False, False, True, True, False]


def widths_in(room: int | None, spare: tuple[str, ...] = ()) -> dict[str, int]:
    columns = layout(HEADINGS, WIDTHS, RIGHT, spare, room)
    return {HEADINGS[i]: width for i, width in zip(columns.kept, columns.widths, strict=True)}


def total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


@pytest.mark.parametrize("room", [None, total(dict(zip(HEADINGS, WIDTHS, strict=True)))])
def test_a_table_that_fits_is_as_it_is(room: int | None) -> None:
    assert list(widths_in(room).values()) == WIDTHS


def test_bars_go_before_text_is_folded() -> None:
    assert widths_in(106) == {"layer": 30, "op": 30, "shape": 20, "parameters": 12, "share": 6}


def test_the_widest_text_is_folded_and_numbers_are_not() -> None:
    widths = widths_in(90)
    assert widths == {"layer": 24, "op": 20, "shape": 20, "parameters": 12, "share": 6}
    assert total(widths) == 90


def test_columns_that_are_spare_go_before_the_last() -> None:
    columns = layout(HEADINGS, WIDTHS, RIGHT, ["op"], 72)
    assert columns.left_out == ["op"]
    assert layout(HEADINGS, WIDTHS, RIGHT, [], 72).left_out == ["share"]


def test_the_first_column_stays_on_any_terminal() -> None:
    assert layout(HEADINGS, WIDTHS, RIGHT, [], 1).kept == layout(HEADINGS, WIDTHS, RIGHT, [], 40).kept
    assert layout(["layer"], [100], [False], [], 50).kept == [0]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 10, ["short"]),
        ("two words here", 9, ["two words", "here"]),
        ("  indented words", 10, ["  indented", "  words"]),
        ("layer1.0.residual.conv_bn", 12, ["layer1.0.", "residual.", "conv_bn"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("卷积卷积", 4, ["卷积", "卷积"]),
    ],
)
def test_folding(text: str, width: int, lines: list[str]) -> None:
    assert folded(text, width) == lines


def test_padding_counts_columns_of_the_terminal() -> None:
    assert padded("ab", 4, right=False) == "ab  "
    assert padded("ab", 4, right=True) == "  ab"
    assert padded("卷", 4, right=True) == "  卷"
