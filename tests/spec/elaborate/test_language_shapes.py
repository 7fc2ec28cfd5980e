"""Rules of the language, one by one: sizes of inputs, symbols, and how they pass through the ops."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from tests.spec.language import check_misuse, error, shapes, spec

OPEN = "{image: [N, 3, H, W]}"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("{image: [N, 3, 32, 32]}", "N x 3 x 32 x 32"),
        ("{image: [1, 3, 8, 8]}", "1 x 3 x 8 x 8"),
        ("{image: [N, 3, H, W]}", "N x 3 x H x W"),
        ("{image: [N, T]}", "N x T"),
        ("{image: [Batch, 3, H_1, W_1]}", "Batch x 3 x H_1 x W_1"),
        ("{image: [N, 3, size, 2 * size]}", "N x 3 x 16 x 32"),
        ("{image: [N, 3, 'sizes[0]', 'max(sizes)']}", "N x 3 x 4 x 5"),
        ("{image: {shape: [N, 3, H, W], nominal: {H: 64, W: 32}}}", "N x 3 x H x W"),
    ],
)
def test_sizes_of_inputs(inputs: str, expected: str) -> None:
    net = netspec.loads(spec("[relu]", inputs=inputs, params="{size: 16, sizes: [4, 5]}"))
    assert str(net.graph.types["image"]) == expected


@pytest.mark.parametrize(
    ("inputs", "code", "marked", "fragment"),
    [
        ("{image: [N, 3, 0, 32]}", "NS206", "0", "1 to 2**31 - 1"),
        ("{image: [N, 3, -1, 32]}", "NS206", "-1", "a symbol"),
        ("{image: [N, 3, null, 32]}", "NS206", "null", "a symbol"),
        ("{image: [N, 3, None, 32]}", "NS206", "None", "a symbol"),
        ("{image: [N, 3, 32.0, 32]}", "NS206", "32.0", "not 32.0"),
        ("{image: [N, 3, true, 32]}", "NS206", "true", "not true"),
        ("{image: [N, 3, '32', 32]}", "NS206", "'32'", "write 32"),
        ("{image: [N, 3, 4294967296, 32]}", "NS206", "4294967296", "2**31 - 1"),
        ("{image: [N, 3, [4], 32]}", "NS206", "[4]", "not a list"),
        ("{image: [N, 3, sise, 32]}", "NS208", "sise", "did you mean `size`?"),
        ("{image: [N, 3, h, 32]}", "NS208", "h", "begins with a capital"),
        ("{image: [N, 3, H + 1, 32]}", "NS208", "H", "is a symbol"),
        ("{image: [N, 3, size *, 32]}", "NS207", ",", "the end"),
        ("{image: [N, 3, size // 0, 32]}", "NS208", "size // 0", "division by zero"),
        ("{image: [N, 3, size - 16, 32]}", "NS206", "size - 16", "not 0"),
        ("{image: [N, 3, size / 2, 32]}", "NS206", "size / 2", "not 8.0"),
        ("{image: 3x32x32}", "NS201", "3x32x32", "a list of sizes"),
        ("{image: []}", "NS201", "[]", "a list of sizes"),
        ("{image: {dtype: int64}}", "NS201", "{dtype: int64}", "needs `shape`"),
        ("{image: {shape: [N], dtype: long}}", "NS201", "long", "`int64`"),
        ("{image: {shape: [N, H], nominal: {h: 3}}}", "NS204", "3", "it has `H`, `N`"),
        ("{image: {shape: [N, H], nominal: {H: 0}}}", "NS206", "0", "not 0"),
        ("{image: {shape: [N, H], nominal: {H: x}}}", "NS201", "x", "an int"),
        ("{train: [N, 3]}", "NS202", "train", "torch.nn.Module"),
        ("{size: [N, 3]}", "NS210", "size", "an input and a parameter"),
    ],
)
def test_wrong_sizes(inputs: str, code: str, marked: str, fragment: str) -> None:
    check_misuse(spec("[relu]", inputs=inputs, params="{size: 16}"), code, marked, fragment)


def test_every_wrong_size_of_several_inputs_is_said() -> None:
    text = spec("[{relu, from: a}]", inputs="{a: [N, 1 // z], b: [N, z]}", params="{z: 0}")
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.loads(text)
    assert [d.code for d in caught.value.diagnostics] == ["NS208", "NS206"]


def test_inputs_given_from_outside() -> None:
    text = spec("[max_pool2d: 2]")
    net = netspec.loads(text, inputs={"image": ["N", 3, "H", 64]})
    assert str(net.graph["max_pool2d"].type) == "N x 3 x H//2 x 32"


@pytest.mark.parametrize(
    ("inputs", "code", "fragment"),
    [
        ({"imgae": [1, 3, 8, 8]}, "NS209", "did you mean `image`?"),
        ({"image": [3, 8, 8]}, "NS302", "4 axes (N x 3 x 32 x 32), not 3"),
        ({"image": ["N", 3, 0, 8]}, "NS206", "not 0"),
        ({"image": ["N", 3, True, 8]}, "NS206", "not true"),
        ({"image": ["N", 3, "h", 8]}, "NS206", "a symbol such as `H`"),
        ({"image": ["N", 3, "H+1", 8]}, "NS206", "not 'H+1'"),
        ({"image": ["N", 3, "", 8]}, "NS206", "not ''"),
        ({"image": ["N", 3, 2**40, 8]}, "NS206", "2**31 - 1"),
    ],
)
def test_wrong_inputs_from_outside(inputs: dict[str, list[Any]], code: str, fragment: str) -> None:
    found = error(spec("[relu]"), inputs=inputs)
    assert (found.code, fragment in f"{found.message} {found.help}") == (code, True), str(found)


def conv(kernel: int, stride: int = 1, padding: int = 0) -> str:
    return f"conv2d: {{out_channels: 8, kernel_size: {kernel}, stride: {stride}, padding: {padding}}}"


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (f"[{conv(3, padding=1)}]", "N x 8 x H x W"),
        (f"[{conv(3)}]", "N x 8 x (H - 2) x (W - 2)"),
        (f"[{conv(7, 2, 3)}]", "N x 8 x ((H + 1)//2) x ((W + 1)//2)"),
        (
            f"[{conv(7, 2, 3)}, max_pool2d: {{kernel_size: 3, stride: 2, padding: 1}}]",
            "N x 8 x ((H + 3)//4) x ((W + 3)//4)",
        ),
        ("[" + ", ".join(["max_pool2d: 2"] * 5) + "]", "N x 3 x H//32 x W//32"),
        (f"[{conv(11, 4)}, max_pool2d: {{kernel_size: 3, stride: 2}}]", "N x 8 x ((H - 11)//8) x ((W - 11)//8)"),
        ("[max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}]", "N x 3 x H//2 x W//2"),
        ("[adaptive_avg_pool2d: 1, flatten]", "N x 3"),
        ("[adaptive_avg_pool2d: {output_size: [4, null]}]", "N x 3 x 4 x W"),
        ("[flatten: 2]", "N x 3 x H*W"),
        ("[concat: {dim: 2, branches: {a: [], b: [max_pool2d: {kernel_size: [2, 1]}]}}]", "N x 3 x (H + (H//2)) x W"),
        ("[{max_pool2d: 2, repeat: 2}, concat: {branches: {a: [], b: []}}]", "N x 6 x H//4 x W//4"),
    ],
)  # fmt: skip
def test_symbols_pass_through_windows(network: str, expected: str) -> None:
    found = list(shapes(spec(network, inputs=OPEN)).values())[-1]
    assert found == expected


def test_equal_sizes_of_two_ways_are_known_to_be_equal() -> None:
    """A window of stride 4 and two of stride 2: one normal form."""
    text = spec("[add: {branches: {a: [max_pool2d: 2, max_pool2d: 2], b: [max_pool2d: 4]}}]", inputs=OPEN)
    assert shapes(text)["add"] == "N x 3 x H//4 x W//4"


@pytest.mark.parametrize(
    ("a", "b", "holds"),
    [
        ("max_pool2d: 2", "max_pool2d: {kernel_size: 1, stride: 2}", "H % 2 == 0 and W % 2 == 0"),
        ("max_pool2d: {kernel_size: [2, 1]}", "avg_pool2d: {kernel_size: 1, stride: [2, 1]}", "H % 2 == 0"),
    ],
)
def test_equality_that_holds_under_a_condition(a: str, b: str, holds: str) -> None:
    found = error(spec(f"[add: {{branches: {{a: [{a}], b: [{b}]}}}}]", inputs=OPEN))
    assert found.code == "NS301"
    assert found.help == f"it holds only if {holds}"


def test_equality_that_never_holds() -> None:
    found = error(spec("[add: {branches: {a: [max_pool2d: 2], b: []}}]", inputs=OPEN))
    assert (found.code, "only if" in found.help) == ("NS301", False)


def test_linear_after_flatten_of_an_open_map() -> None:
    found = error(spec("[flatten, linear: 10]", inputs=OPEN))
    assert found.code == "NS305"
    assert found.help == "fix H and W (`--input 3x224x224`), or pool globally first (`adaptive_avg_pool2d: 1`)"
    fixed = netspec.loads(spec("[flatten, linear: 10]", inputs=OPEN), inputs={"image": ["N", 3, 4, 4]})
    assert str(fixed.graph["linear"].type) == "N x 10"


def test_channels_must_be_known() -> None:
    found = error(spec(f"[{conv(3)}]", inputs="{image: [N, C, 8, 8]}"))
    assert (found.code, "is C" in found.message) == ("NS305", True)


@pytest.mark.parametrize(
    ("step", "code", "marked"),
    [
        ("max_pool2d: 33", "NS303", "33"),
        (conv(40), "NS303", "40"),
        ("conv2d: {out_channels: 8, kernel_size: 3, dilation: 16}", "NS303", "3"),
        ("conv2d: {out_channels: 8, kernel_size: 3, groups: 2}", "NS304", "2"),
        ("conv2d: {out_channels: 8, kernel_size: 3, groups: 3}", "NS304", "3"),
        ("conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: same}", "NS304", "same"),
        ("max_pool2d: {kernel_size: 2, padding: 2}", "NS304", "2"),
        ("softmax: 4", "NS302", "4"),
    ],
)
def test_shapes_that_do_not_fit(step: str, code: str, marked: str) -> None:
    found = error(spec(f"[{step}]"))
    assert found.span is not None
    assert (found.code, found.span.text) == (code, marked)
    assert "input is N x 3 x 32 x 32" in found.label
