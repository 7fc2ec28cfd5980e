"""Parameters at the edges: how large a value may be, and what is said to those who give one of another type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import netspec
from netspec import NetspecError, Network


def with_parameter(default: str, **params: Any) -> Network:
    text = f"netspec: 1\nname: example\nparams: {{p: {default}}}\ninputs: {{x: [N, 3]}}\nnetwork: [relu]\n"
    return netspec.loads(text, params=params)


def ones(count: int) -> str:
    return f"[{', '.join(['1'] * count)}]"


@pytest.mark.parametrize(
    ("default", "largest"),
    [
        (ones, 256),
        # Each list counts as a value, beside those that it holds.
        (lambda size: f"[{ones(127)}, {ones(size)}]", 127),
        (lambda size: f'"{"a" * size}"', 1_000),
        (lambda size: f'["{"a" * size}"]', 1_000),
    ],
    ids=["list", "lists", "text", "text in a list"],
)
def test_the_largest_values(default: Callable[[int], str], largest: int) -> None:
    assert with_parameter(default(largest)).params["p"]
    with pytest.raises(NetspecError, match=r"NS214: a (list holds 257 values|text has 1,001 characters)"):
        with_parameter(default(largest + 1))


def test_a_value_that_is_given_may_be_as_large() -> None:
    assert len(with_parameter("[1]", p=[1] * 256).params["p"]) == 256
    with pytest.raises(
        NetspecError, match="NS214: parameter `p` of `example`: a list holds 257 values, and at most 256"
    ):
        with_parameter("[1]", p=[1] * 257)


def test_a_tuple_is_the_list_that_it_stands_for() -> None:
    assert with_parameter("[1]", p=(3, 4)).params["p"] == [3, 4]


@pytest.mark.parametrize(
    ("default", "value", "help"),
    [
        ("[1]", "3, 4", "a list is written [3, 4]"),
        ("[1]", 3, "a list of one is written [3]"),
        ("1", 3.0, "write 3"),
    ],
)
def test_the_way_to_the_right_type(default: str, value: Any, help: str) -> None:
    with pytest.raises(NetspecError, match=f"NS206: .*\n.*help: {re.escape(help)}"):
        with_parameter(default, p=value)


def test_an_int_is_a_number_and_a_bool_is_no_int() -> None:
    assert with_parameter("0.5", p=2).params["p"] == 2
    for default in ("1", "0.5"):
        with pytest.raises(NetspecError, match="NS206"):
            with_parameter(default, p=True)
