"""Sizes of named steps in expressions: `6 * features.channels`, by the rule of reference of `from`."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec import NetspecError
from netspec.expression import Attribute, Binary, Literal, parse

HEAD = "netspec: 1\nname: sizes\nparams: {wide: false}\ninputs: {image: [N, 3, 16, 16]}\n"


def load(body: str) -> netspec.Network:
    return netspec.loads(HEAD + body)


def out_channels(network: netspec.Network, path: str) -> object:
    return network.graph[path].type.channels


def messages(body: str) -> list[str]:
    with pytest.raises(NetspecError) as raised:
        netspec.to_source(load(body).graph)
    return [d.message for d in raised.value.diagnostics]


def test_the_last_dot_is_before_the_attribute() -> None:
    assert parse("2 * a.b.channels") == Binary("*", Literal(2), Attribute("a.b", "channels"))


@pytest.mark.parametrize(
    ("attribute", "value"), [("channels", 8), ("height", 8), ("width", 6), ("features", 6), ("shape[1]", 8)]
)
def test_each_attribute(attribute: str, value: int) -> None:
    body = "network: [{conv2d: {out_channels: 8, kernel_size: [4, 6], stride: 2, padding: [1, 0]}, name: a}, "
    network = load(body + f"{{conv2d: {{out_channels: 'a.{attribute}', kernel_size: 1}}, from: image, name: b}}]")
    assert out_channels(network, "b") == value


def test_a_step_that_is_left_out_has_the_sizes_of_its_input() -> None:
    body = "network: [{conv2d: {out_channels: 8, kernel_size: 1}, name: a, when: wide}, {relu, name: r}, "
    body += "{conv2d: {out_channels: 2 * a.channels, kernel_size: 1}, name: b}]"
    assert out_channels(load(body), "b") == 6
    assert out_channels(netspec.loads(HEAD + body, params={"wide": True}), "b") == 16
    assert netspec.loads(netspec.to_yaml(load(body).graph)).graph.hash() == load(body).graph.hash()
    assert load(body).explain("b")["values"][0]["value"] == 6


def test_a_repeated_step_has_the_sizes_of_its_last_copy() -> None:
    body = "network: [{conv2d: {out_channels: 4 * (index + 1), kernel_size: 1}, name: a, repeat: 3}, "
    assert out_channels(load(body + "{conv2d: {out_channels: a.channels + 1, kernel_size: 1}, name: b}]"), "b") == 13


def test_a_branch_reads_steps_around_it_and_its_own() -> None:
    body = """
network:
  - {conv2d: {out_channels: 5, kernel_size: 1}, name: a}
  - add:
      branches:
        left:
          - {conv2d: {out_channels: 2 * a.channels, kernel_size: 1}, name: own}
          - {conv2d: {out_channels: own.channels + input.channels, kernel_size: 1}}
        right: [{conv2d: {out_channels: 3 * a.channels, kernel_size: 1}}]
    name: sum
  - {conv2d: {out_channels: sum.channels, kernel_size: 1}, name: b}
"""
    assert out_channels(load(body), "b") == 15


def test_what_follows_from_a_mistake_is_no_second_error() -> None:
    """Of a step that can't be elaborated, and of one that can't be read."""
    broken = "{{conv2d: {{{}: 8, kernel_size: {}}}, name: a}}, {{relu, name: r, from: image, repeat: a.channels}}, "
    rest = "{{conv2d: {{out_channels: a.channels, kernel_size: a.height}}, from: image, when: a.width > 2}}"
    for attribute, kernel in (("out_channels", 99), ("out_channel", 3)):
        assert len(messages("network: [" + (broken + rest).format(attribute, kernel) + "]")) == 1


def test_an_embedded_network_keeps_the_steps_whose_sizes_are_read(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(
        "netspec: 1\nname: inner\ninputs: {image: [N, 3, 16, 16]}\nnetwork:\n"
        "  - {conv2d: {out_channels: 8, kernel_size: 1}, name: a}\n"
        "  - {conv2d: {out_channels: 7, kernel_size: 1}, name: unused}\n"
        "  - {add: {branches: {x: [{conv2d: {out_channels: a.channels, kernel_size: 1}}], "
        "y: [conv2d: {out_channels: 8, kernel_size: 1}]}}, from: image, name: b}\n"
        "  - {conv2d: {out_channels: 2, kernel_size: 1}, name: c}\n"
    )
    (tmp_path / "outer.yaml").write_text(
        "netspec: 1\nname: outer\ninputs: {image: [N, 3, 16, 16]}\n"
        "network: [{network: {spec: inner.yaml, outputs: [b]}, name: part}, relu]\n"
    )
    graph = netspec.load(tmp_path / "outer.yaml").graph
    assert "part.a" in graph.by_path
    assert not {"part.unused", "part.c"} & graph.by_path.keys()


def test_the_source_has_an_argument_where_the_size_is_one() -> None:
    body = """
blocks:
  inverted:
    params: {ratio: int}
    body:
      - {conv2d: {out_channels: ratio * input.channels, kernel_size: 1}, name: inner}
      - conv2d: {out_channels: inner.channels, kernel_size: 3, padding: 1, groups: inner.channels}
      - {conv2d: {out_channels: inner.height, kernel_size: 1}, name: literal}
network: [{inverted: 2, name: a}, {inverted: 3, name: b}]
"""
    source = netspec.to_source(load(body).graph)
    assert "def __init__(self, in_channels: int, ratio: int)" in source
    assert "groups=ratio * in_channels" in source
    assert "nn.Conv2d(ratio * in_channels, 16, 1)" in source
    text = netspec.to_yaml(load(body).graph)
    assert "groups: inner.channels" in text
    assert "out_channels: inner.height" in text
    load(body).compile()


def test_a_name_is_a_step_after_a_pass_too() -> None:
    body = "network: [{conv2d: {out_channels: 8, kernel_size: 1}, name: a}, batch_norm, {relu, name: r}, "
    body += "{conv2d: {out_channels: a.channels * r.channels, kernel_size: 1}, name: b}, {dropout: 0.5}]"
    graph = load(body).graph
    for transformed in (netspec.fold_batch_norm(graph), netspec.strip_dropout(graph)):
        assert "a.channels * r.channels" in netspec.to_yaml(transformed.graph)
