"""Lines as `ruff format` has them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netspec.backends.pytorch.layout import (
    LINE_LENGTH,
    Bracket,
    Choice,
    Doc,
    Generator,
    Joined,
    flat,
    named_sequential,
    prefixed,
    side_by_side,
    statement,
    unpacked,
)

SHORT = Bracket("nn.Linear(", ["4", "8"])
LONG = Bracket("nn.Conv2d(", ["a_long_name_of_channels", "another_long_name", "kernel_size=3", "padding=1"])
VERY_LONG = Bracket("nn.Conv2d(", [*LONG.items, "stride=a_stride_with_a_name", "groups=groups_of_channels"])


def test_what_fits_stands_on_one_line() -> None:
    assert statement("self.fc = ", SHORT, 8) == ["        self.fc = nn.Linear(4, 8)"]


def test_a_bracket_that_does_not_fit_opens() -> None:
    lines = statement("self.a_layer_with_a_name = ", LONG, 8)
    assert lines == [
        "        self.a_layer_with_a_name = nn.Conv2d(",
        "            a_long_name_of_channels, another_long_name, kernel_size=3, padding=1",
        "        )",
    ]


def test_items_that_do_not_fit_on_one_line_have_a_line_each() -> None:
    lines = statement("self.layer = ", VERY_LONG, 8)
    assert lines[0] == "        self.layer = nn.Conv2d("
    assert lines[1:-1] == [f"            {item}," for item in VERY_LONG.items]


@pytest.mark.parametrize(
    ("doc", "line"),
    [
        (Generator(SHORT, "range(3)"), "*(nn.Linear(4, 8) for _ in range(3))"),
        (
            Bracket("nn.ModuleList(", [Generator(SHORT, "range(3)", starred=False)]),
            "nn.ModuleList(nn.Linear(4, 8) for _ in range(3))",
        ),
        (Generator(SHORT, "range(n)", "index"), "*(nn.Linear(4, 8) for index in range(n))"),
        (Joined([("", "a"), ("+", SHORT)]), "a + nn.Linear(4, 8)"),
        (Choice(SHORT, "a > 1", "b"), "nn.Linear(4, 8) if a > 1 else b"),
        (Bracket("[", [], "]"), "[]"),
    ],
)
def test_a_doc_on_one_line(doc: Doc, line: str) -> None:
    assert flat(doc) == line


@pytest.mark.parametrize("doc", ["a", SHORT, Joined([("", "a"), ("+", "b")]), Choice("a", "b", "c")])
def test_a_prefix_stands_before_the_first_word(doc: Doc) -> None:
    assert flat(prefixed("bias=", doc)) == f"bias={flat(doc)}"


def test_names_of_modules_are_said_where_they_are_no_numbers() -> None:
    assert flat(named_sequential(["0", "1"], ["a", "b"])) == "nn.Sequential(a, b)"
    assert flat(named_sequential(["conv", "bn"], ["a", "b"])) == "nn.Sequential(OrderedDict(conv=a, bn=b))"
    assert flat(named_sequential(["0", "2"], ["a", "b"])) == 'nn.Sequential(OrderedDict({"0": a, "2": b}))'


NAMES = [f"a_value_with_a_long_name_{number}" for number in range(4)]
STATEMENTS: dict[str, list[str]] = {
    "a call": statement("x = ", VERY_LONG, 0),
    "nested calls": statement("x = ", Bracket("nn.Sequential(", [VERY_LONG, LONG, SHORT]), 0),
    "a generator alone": statement(
        "x = ", Bracket("nn.ModuleList(", [Generator(VERY_LONG, "range(3)", starred=False)]), 0
    ),
    "a generator": statement("x = ", Bracket("nn.Sequential(", [Generator(VERY_LONG, "range(3)"), SHORT]), 0),
    "a sum": statement("x = ", Joined([("" if not n else "+", name) for n, name in enumerate(NAMES)]), 0),
    "a sum that ends in a call": statement("x = ", Joined([("", "x"), ("+", VERY_LONG)]), 0),
    "a choice": statement("x = ", Choice(VERY_LONG, "stride != 1", "nn.Identity()"), 0),
    "an argument that is a choice": statement(
        "x = ", Bracket("f(", [prefixed("size=", Choice(NAMES[0], " and ".join(NAMES[1:3]), "none")), "b=b"]), 0
    ),
    "one argument": statement("x = ", Bracket("f(", [Bracket("[", [*NAMES, *NAMES], "]")]), 0),
    "several targets": unpacked(NAMES, SHORT, 0),
    "several values": side_by_side("x = ", [*NAMES, SHORT], 0),
    "a target that leaves little room": statement(f"x.{'_'.join(NAMES)[:70]} = ", SHORT, 0),
    "a target that leaves no room": statement(f"x.{'_'.join(NAMES)[:76]} = ", SHORT, 0),
}


def test_lines_are_those_of_ruff() -> None:
    source = "\n".join(line for lines in STATEMENTS.values() for line in lines) + "\n"
    # Commas of ours are no reason for ruff to break a line.
    options = ["--isolated", f"--line-length={LINE_LENGTH}", "--config=format.skip-magic-trailing-comma=true"]
    command = [sys.executable, "-m", "ruff", "format", *options, "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    assert done.stdout == source
