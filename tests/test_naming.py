"""Names: what modules, parameters, outputs and classes can be called, and names that are not taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from netspec import NetspecError
from netspec.naming import (
    MAX_NAME,
    check_class_name,
    check_module_name,
    check_name,
    check_output_name,
    check_parameter_name,
    check_symbol,
    class_name,
    free_name,
    is_symbol,
)

# fmt: off
REFUSED: list[tuple[Callable[..., str], tuple[Any, ...], str]] = [
    (check_name, ("1st", "a step"), "NS202"), (check_name, ("class", "a step"), "a word of Python"),
    (check_name, ("conv-1", "a step"), "try `conv_1`"), (check_name, ("x" * (MAX_NAME + 1), "a step"), "at most 100"),
    (check_name, ("__init__", "a step"), "generated code uses it"), (check_name, ("torch", "a step"), "generated code"),
    (check_module_name, ("forward", "a step"), "torch.nn.Module has an attribute"),
    (check_module_name, ("_x", "a step"), "begins with `_`"),
    (check_parameter_name, ("index",), "expressions use it"), (check_parameter_name, ("Width",), "write `width`"),
    (check_symbol, ("h",), "can't be a symbolic size"), (check_output_name, ("_x",), "begins with `_`"),
    (check_class_name, ("_", "a block"), "no name"),
]
# fmt: on


@pytest.mark.parametrize(("check", "arguments", "message"), REFUSED)
def test_names_that_are_refused(check: Callable[..., str], arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        check(*arguments, None)
    assert message in str(caught.value)
    assert caught.value.diagnostics[0].code == "NS202"


def test_names_that_are_taken_as_they_are() -> None:
    assert check_name("conv_1", "a step", None) == "conv_1"
    assert check_module_name("stem", "a step", None) == "stem"
    assert check_parameter_name("width", None) == "width"
    assert check_output_name("logits", None) == "logits"
    assert check_symbol("H", None) == "H"
    assert check_class_name("conv_bn", "a block", None) == "conv_bn"


@pytest.mark.parametrize(("name", "named"), [("conv_bn", "ConvBn"), ("vgg", "Vgg"), ("conv2d_relu", "Conv2dRelu")])
def test_names_of_classes(name: str, named: str) -> None:
    assert class_name(name) == named


@pytest.mark.parametrize(
    ("taken", "name"),
    [(set(), "conv"), ({"conv_2"}, "conv"), ({"conv"}, "conv_2"), ({"conv", "conv_2", "conv_4"}, "conv_3")],
)
def test_a_name_that_is_taken_gets_the_first_free_number(taken: set[str], name: str) -> None:
    assert free_name("conv", taken) == name


@pytest.mark.parametrize(
    ("text", "is_one"), [("H", True), ("Height", True), ("h", False), ("None", False), ("", False)]
)
def test_symbols_begin_with_a_capital(text: str, is_one: bool) -> None:
    assert is_symbol(text) is is_one
