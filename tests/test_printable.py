r"""Untrusted text, as it is shown: nothing in it moves a cursor, hides a character or turns a line round."""

from __future__ import annotations

import os

import pytest

from netspec.printable import display_width, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text: 3 x 224", "plain text: 3 x 224"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("del\x7f", r"del\x7f"),
        ("c1\x9b", r"c1\x9b"),
        ("right\u202eto left", r"right\u202eto left"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("line\u2028separator", r"line\u2028separator"),
        ("Kühler, 卷积, é", "Kühler, 卷积, é"),
        ("no\u00a0break", "no\u00a0break"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_text(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_characters_to_keep_are_said() -> None:
    assert printable("a\tb\nc", "") == r"a\tb\nc"
    assert printable("a\tb\nc", "\t") == "a\tb\\nc"


def test_names_of_files_in_another_encoding_are_read_as_utf_8() -> None:
    assert printable(os.fsdecode("é".encode())) == "é"
    assert printable("\udcc3\udca9") == "é"
    assert printable("\udcff") == r"\udcff"


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("卷积", 4), ("\uff41", 2), ("…", 1)]
)
def test_columns_of_a_terminal(text: str, columns: int) -> None:
    assert display_width(text) == columns
