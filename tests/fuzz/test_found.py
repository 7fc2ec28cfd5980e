"""What the fuzzers have found, each as the smallest spec that shows it."""

from __future__ import annotations

import netspec

HEAD = "netspec: 1\nname: found\ninputs: {image: [N, 3, 8, 8]}\n"


def test_a_block_with_a_named_merge_is_used_twice() -> None:
    """A named merge is a node and a scope of one path: the second use was told that the path is taken."""
    net = netspec.loads(
        HEAD
        + "blocks:\n  residual:\n    body:\n      - add: {branches: {a: [relu], b: []}}\n        name: sum\n"
        + "network:\n  - {residual, repeat: 2}\n"
    )
    assert [node.path for node in net.graph] == [
        "residual.0.sum.a.relu",
        "residual.0.sum",
        "residual.1.sum.a.relu",
        "residual.1.sum",
    ]


def test_copies_are_written_after_the_use_that_has_more_than_one() -> None:
    """The use with most steps stood for all, and had one copy of `convs`: the others got the widths of its first."""
    net = netspec.loads(
        HEAD
        + "blocks:\n  block:\n    params: {n: int, m: int}\n    body:\n      - {relu, repeat: m}\n"
        + "      - {conv2d: {out_channels: 2, kernel_size: 1}, repeat: n, name: convs}\n"
        + "network:\n  - {block: {n: 2, m: 1}}\n  - {block: {n: 1, m: 4}, name: second, from: image}\n"
    )
    wanted = {name: weight.shape for name, weight in net.graph.state().items()}
    assert {name: tuple(value.shape) for name, value in net.compile().state_dict().items()} == wanted


def test_a_width_that_depends_on_itself_is_a_minimum() -> None:
    """`4 if in_channels > 4 else in_channels` was right, and nothing that a linter lets pass."""
    net = netspec.loads(
        HEAD
        + "blocks:\n  block:\n    body:\n"
        + "      - {conv2d: {out_channels: 4, kernel_size: 1}, when: input.channels > 4}\n"
        + "      - conv2d: {out_channels: 8, kernel_size: 1}\n"
        + "network: [block, block]\n"
    )
    assert "nn.Conv2d(min(in_channels, 4), 8, 1)" in net.to_source()


TWO = "  two: {inputs: [a, b], outputs: {l: s, r: a}, body: [{tanh, from: b, name: s}]}\n"


def test_copies_that_change_sides_are_drawn() -> None:
    """What entered the first copy was needed by nothing, and its box was not there."""
    net = netspec.loads(
        HEAD + "blocks:\n" + TWO + "network:\n  - {relu, name: x}\n  - {two, from: [image, x], repeat: 4, name: t}\n"
        "outputs: {r: t.r}\n"
    )
    for depth in range(4):
        net.diagram(depth)


def test_copies_of_which_some_have_one_box_are_drawn() -> None:
    """The first copy was no frame of its own and the others were: their boxes stood in no copy of it."""
    net = netspec.loads(
        HEAD
        + "blocks:\n  around: {params: {inner: body}, body: [inner]}\nnetwork:\n"
        + "  - around:\n      inner:\n        - around: {inner: [{dropout: 0.5, when: input.channels > 3}, "
        + "{conv2d: {out_channels: 5, kernel_size: 1}}]}\n          repeat: 3\n"
    )
    for depth in range(5):
        net.diagram(depth)


def test_a_network_has_the_weights_it_shares_with_training() -> None:
    """The step that has the weights is built in training only: the network was told to have no parameters."""
    conv = "conv2d: {out_channels: 3, kernel_size: 1}"
    net = netspec.loads(
        HEAD
        + f"network: [{{{conv}, name: a}}, {{{conv}, share: a, from: image, name: b}}]\n"
        + "outputs: {r: b, t: {from: a, mode: train}}\n"
    )
    assert net.explain("")["parameters"] == net.summary()["totals"]["parameters"] == 12


def test_the_value_that_enters_is_an_output_of_its_network() -> None:
    """A block could give its `input`, and a network could not."""
    assert netspec.loads(HEAD + "network: [relu]\noutputs: {same: input}\n").graph.outputs[0].value == "image"
