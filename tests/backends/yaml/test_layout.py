"""Steps as lines of YAML: quotes where YAML needs them, one line where it fits."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from netspec.backends.yaml.layout import YAML_WIDTH, Expr, WrittenStep, block, flow, inline, lines, quoted, text


@pytest.mark.parametrize("value", ["relu", "a b", "Conv-4_x (Table 1)", "x/y"])
def test_plain_text_has_no_quotes(value: str) -> None:
    assert text(value) == value


@pytest.mark.parametrize(
    "value", ["1e3", "", "true", "null", "~", "a: b", "a #b", "- x", "$x", " x", "x ", "[a]", "\x1b"]
)
def test_text_that_yaml_reads_as_something_else_is_quoted(value: str) -> None:
    written = text(value)
    assert written.startswith('"')
    assert yaml.safe_load(written) == value


@pytest.mark.parametrize("value", ['say "x"', "back\\slash", "\x07", "\u2028", "\U000e0001"])
def test_quotes(value: str) -> None:
    assert yaml.safe_load(quoted(value)) == value


def test_a_comma_ends_text_in_a_list_only() -> None:
    assert text("a, b") == "a, b"
    assert flow(["a, b", "c"]) == '["a, b", c]'


@pytest.mark.parametrize(
    ("expression", "written"),
    [("2*width", "2*width"), ("2 if a else 1", "2 if a else 1"), ("[1, 2] if a else b", '"[1, 2] if a else b"')],
)
def test_expressions(expression: str, written: str) -> None:
    assert inline(Expr(expression)) == written


def test_an_expression_with_a_list_in_it_is_quoted_in_a_list() -> None:
    assert inline(Expr("a + min(b, c)")) == "a + min(b, c)"
    assert flow([Expr("min(b, c)")]) == '["min(b, c)"]'


CASES: dict[str, tuple[WrittenStep, list[str]]] = {
    "an op": (WrittenStep("relu"), ["- relu"]),
    "an argument": (WrittenStep("linear", 10), ["- linear: 10"]),
    "a sibling": (WrittenStep("linear", 10, beside={"name": "fc"}), ["- {linear: 10, name: fc}"]),
    "a sibling alone": (WrittenStep("relu", beside={"repeat": 2}), ["- {relu, repeat: 2}"]),
    "a short branch": (
        WrittenStep("add", branches={"a": [WrittenStep("relu")], "b": []}),
        ["- add:", "    branches:", "      a: [relu]", "      b: []"],
    ),
    "a long branch": (
        WrittenStep("add", branches={"a": [WrittenStep("relu")] * 3, "b": []}, beside={"name": "x"}),
        ["- add:", "    branches:", "      a:", *["        - relu"] * 3, "      b: []", "  name: x"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    step, expected = CASES[name]
    assert lines(step) == expected
    assert yaml.safe_load("\n".join(expected))


def test_what_does_not_fit_on_a_line_is_indented() -> None:
    argument: dict[str, Any] = {"out_channels": Expr("a" * 60), "kernel_size": Expr("b" * 60)}
    step = WrittenStep("conv2d", argument, beside={"name": "c"})
    expected = ["- conv2d:", f"    out_channels: {'a' * 60}", f"    kernel_size: {'b' * 60}", "  name: c"]
    assert block([step]) == expected
    assert max(map(len, expected)) <= YAML_WIDTH
