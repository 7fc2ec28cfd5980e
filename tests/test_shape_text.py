"""Shapes as text: sizes with ` x ` between them, and settings of axes, once where they are alike."""

from __future__ import annotations

import pytest

from netspec.dims import symbol
from netspec.shape_text import axes_text, shape_text


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        (("N", 64, 56, 56), "N x 64 x 56 x 56"),
        ((symbol("N"), 8, (symbol("H") + 1) // 2), "N x 8 x (H + 1)//2"),
        ((1000,), "1000"),
        ((), ""),
    ],
)
def test_a_shape(sizes: tuple[object, ...], text: str) -> None:
    assert shape_text(sizes) == text


def test_a_shape_without_axes_has_the_name_that_is_given() -> None:
    assert shape_text((), scalar="one float32") == "one float32"
    assert shape_text((1,), scalar="one float32") == "1"


@pytest.mark.parametrize(
    ("values", "text"),
    [((3, 3), "3"), ((1, 7), "1x7"), ((None, None), "None"), ((2,), "2"), ((2, 2, 1), "2x2x1"), ((), "")],
)
def test_settings_of_axes(values: tuple[object, ...], text: str) -> None:
    assert axes_text(values) == text


def test_settings_of_axes_that_differ_have_the_sign_that_is_given() -> None:
    assert axes_text((16, 8), times=" x ") == "16 x 8"
    assert axes_text((16, 16), times=" x ") == "16"
