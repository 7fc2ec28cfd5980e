"""Text escaped for Markdown: nothing in it becomes markup, and names stay readable."""

from __future__ import annotations

import pytest

from netspec.markdown import as_cell, as_line


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("conv 3x3, 64", "conv 3x3, 64"),
        ("a|b", r"a\|b"),
        ("*bold*", r"\*bold\*"),
        ("[link](http://x)", r"\[link\](http:\//x)"),
        ("<img>", r"\<img\>"),
        ("`code`", r"\`code\`"),
        ("batch_norm", "batch_norm"),
        ("_start and end_", r"\_start and end\_"),
        ("a & b", "a & b"),
        ("&lt;", r"\&lt;"),
        ("www.example", r"www\.example"),
        ("me@example", r"me\@example"),
        ("a\nb", r"a\\nb"),
    ],
)
def test_cells(text: str, escaped: str) -> None:
    assert as_cell(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("1. no item", r"1\. no item"),
        ("--- no rule", r"\--- no rule"),
        ("-2 is a number", "-2 is a number"),
        ("run `a|b` now", "run `a|b` now"),
        ("a ` alone and *", r"a \` alone and \*"),
        ("`` two ``", r"\`\` two \`\`"),
        ("  # indented", r"  \# indented"),
    ],
)
def test_lines(text: str, escaped: str) -> None:
    assert as_line(text) == escaped
