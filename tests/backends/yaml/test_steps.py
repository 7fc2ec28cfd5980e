"""Bodies as steps of a spec: when a step has a name, says where its values come from, and what it is given."""

from __future__ import annotations

import pytest
import yaml

import netspec

HEAD = "netspec: 1\nname: net\ninputs: {image: [N, 4, 16, 16]}\n"
CONV = "conv2d: {out_channels: 4, kernel_size: 1}"


def written(steps: str, blocks: str = "") -> tuple[list[str], str]:
    """The network's steps as `to_yaml` writes them, and the whole text."""
    text = netspec.to_yaml(netspec.loads(f"{HEAD}{blocks}network: {steps}\n").graph)
    lines = text.partition("\nnetwork:\n")[2].splitlines()
    assert yaml.safe_load(text)
    return [line.removeprefix("  - ") for line in lines], text


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("[relu, relu]", ["relu", "relu"]),
        ("[{relu, name: act}, relu]", ["{relu, name: act}", "relu"]),
        ("[{relu, name: a}, tanh, {add, from: [a, tanh2], name: s}]".replace("tanh,", "{tanh, name: tanh2},"), None),
        ("[{relu, name: relu_3}]", ["{relu, name: relu_3}"]),
    ],
)
def test_names_stand_where_a_step_would_be_called_otherwise(steps: str, expected: list[str] | None) -> None:
    rows, _ = written(steps)
    assert rows == (expected or ["{relu, name: a}", "{tanh, name: tanh2}", "{add, name: s, from: [a, tanh2]}"])


def test_a_step_that_follows_needs_no_source() -> None:
    rows, _ = written("[relu, {tanh, from: image, name: t}, {sigmoid, from: t}]")
    assert rows == ["relu", "{tanh, name: t, from: image}", "sigmoid"]


def test_an_owner_of_shared_weights_has_a_name() -> None:
    """Also where it would be called so by itself."""
    steps = [f"{{{CONV}, name: conv2d}}", f"{{{CONV}, name: other, share: conv2d}}"]
    assert written(f"[{', '.join(steps)}]")[0] == steps


def test_arguments_that_are_defaults_are_left_out() -> None:
    rows, _ = written("[{max_pool2d: {kernel_size: 2, stride: 1, padding: 0}}, {dropout: 0.5}]")
    assert rows == ["max_pool2d: {kernel_size: 2, stride: 1}", "dropout"]


def test_the_principal_argument_stands_alone() -> None:
    assert written("[flatten, {linear: 10}]")[0] == ["flatten", "linear: 10"]


def test_repeats_and_conditions() -> None:
    rows, _ = written("[{relu, name: r, repeat: 3}, {tanh, name: t, repeat: 3, when: index != 1}]")
    assert rows == ["{relu, name: r, repeat: 3}", "{tanh, name: t, repeat: 3, when: index != 1}"]


def test_an_argument_of_a_block() -> None:
    blocks = "blocks: {unit: {params: {width: 4}, body: [{conv2d: {out_channels: 2 * width, kernel_size: 1}}]}}\n"
    rows, text = written("[unit, {unit: 8}]", blocks)
    assert rows == ["unit", "unit: 8"]
    assert "conv2d: {out_channels: 2 * width, kernel_size: 1}" in text


def test_a_parameter_that_holds_text_has_a_dollar() -> None:
    conv = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1, padding_mode: $mode}"
    rows, text = written(
        "[{unit: zeros}, {unit: reflect}]", f"blocks: {{unit: {{params: {{mode: str}}, body: [{{{conv}}}]}}}}\n"
    )
    assert rows == ["unit: zeros", "unit: reflect"]
    assert conv in text


def test_an_output_that_is_the_last_step_needs_no_words() -> None:
    b = netspec.Builder("net")
    x = b.add("relu", b.input("image", ["N", 4]))
    b.output("output", x)
    assert netspec.to_yaml(b.build()).endswith("network:\n  - relu\n")
    b.output("features", x)
    outputs = "outputs:\n  output: relu\n  features: relu\n"
    assert netspec.to_yaml(b.build()).endswith(f"network:\n  - {{relu, name: relu}}\n\n{outputs}")
