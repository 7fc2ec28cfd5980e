"""The hash of a graph: blind to names, blocks and the order of writing, and to nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import netspec
from netspec.graph.canonical import canonical
from tests.support.rewriting import flat
from tests.support.specs_of_parts import PARTS


@pytest.mark.parametrize("name", [name for name in netspec.names() if name != "resnet1202_cifar"])
def test_blind_to_how_it_is_written(name: str) -> None:
    graph = netspec.load(name).graph
    other = flat(graph, random.Random(name))
    assert not other.graph.scopes
    assert [node.path for node in other.graph.nodes] != [node.path for node in graph.nodes]
    assert canonical(other.graph) == canonical(graph)
    assert other.graph.hash() == graph.hash()


@pytest.mark.parametrize("name", PARTS)
def test_blind_to_blocks_of_every_kind(name: str) -> None:
    graph = netspec.loads(PARTS[name]).graph
    assert flat(graph, random.Random(name)).graph.hash() == graph.hash()


def test_whose_weights_are_shared_matters_and_their_order_does_not() -> None:
    def shared(steps: str) -> str:
        head = "netspec: 1\nname: net\ninputs: {x: [N, 4]}\nnetwork:\n"
        return netspec.loads(f"{head}{steps}").graph.hash()

    one, two = "  - {linear: 4, from: x, name: a}\n", "  - {linear: 4, from: x, name: b}\n"
    last, end = "  - {linear: 4, from: x, name: c, share: %s}\n", "  - {tanh, from: c, name: t}\n"
    both = "  - {linear: 4, from: %s, share: %s, name: d}\n  - {add, from: [a, b, d]}\n"
    assert shared(one + two + both % ("a", "a")) == shared(two + one + both % ("b", "b"))
    assert shared(one + two + both % ("a", "b")) == shared(two + one + both % ("b", "a"))
    assert shared(one + two + both % ("a", "a")) != shared(one + two + both % ("a", "b"))
    assert shared(one + last % "a" + end) != shared(one + end.replace("from: c", "from: a"))


def test_bundled_networks_differ() -> None:
    hashes = {name: netspec.load(name).graph.hash() for name in netspec.names()}
    assert len(set(hashes.values())) == len(hashes)
    assert all(len(digest) == 64 for digest in hashes.values())


def test_members_of_a_family_are_the_others_with_parameters() -> None:
    assert (
        netspec.load("resnet18", params={"stages": [3, 4, 6, 3]}).graph.hash() == netspec.load("resnet34").graph.hash()
    )
    assert netspec.load("vgg_a", params={"lrn": True}).graph.hash() == netspec.load("vgg_a_lrn").graph.hash()


HEAD = "netspec: 1\nname: n\ninputs: {a: [N, 4, 8, 8], b: [N, 4, 8, 8]}\n"
BODY = "network: [{relu, from: a, name: r}, {sigmoid, from: b, name: s}, {concat, from: [r, s], name: c}]\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("name: n", "name: other", True),
        ("name: n", "name: n\ntitle: Another", True),
        ("[N, 4, 8, 8]", "[B, 4, 8, 8]", True),
        ("a: [N, 4, 8, 8]", "a: [N, 5, 8, 8]", False),
        ("[N, 4, 8, 8]", "[2, 4, 8, 8]", False),
        ("[N, 4, 8, 8]", "{shape: [N, 4, 8, 8], dtype: float64}", False),
        ("[r, s]", "[s, r]", False),
        ("sigmoid", "tanh", False),
        ("from: b", "from: a", False),
        ("concat,", "concat: -1,", False),
        ("concat", "add", False),
        ("name: c}]", "name: c}]\noutputs: {y: c}", True),
        ("name: c}]", "name: c}]\noutputs: {y: r}", False),
        ("name: c}]", "name: c}]\noutputs: {y: c, z: r}", False),
        ("name: c}]", "name: c}]\noutputs: {y: {from: c, mode: train}, z: r}", False),
        ("name: c}]", "name: c}, relu]", False),
    ],
)
def test_what_counts(old: str, new: str, same: bool) -> None:
    text = HEAD + BODY
    changed = text.replace(old, new)
    assert changed != text
    assert (netspec.loads(changed).graph.hash() == netspec.loads(text).graph.hash()) == same


def test_a_sum_has_no_order_and_twins_are_not_one() -> None:
    text = HEAD + BODY.replace("concat", "add")
    assert netspec.loads(text).graph.hash() == netspec.loads(text.replace("[r, s]", "[s, r]")).graph.hash()
    steps = "{conv2d: {out_channels: 4, kernel_size: 1}, from: a, name: %s}"
    twice = f"network: [{steps % 'p'}, {steps % 'q'}, {{add, from: [p, q]}}]\n"
    once = f"network: [{steps % 'p'}, {{add, from: [p, p]}}]\n"
    assert netspec.loads(HEAD + twice).graph.hash() != netspec.loads(HEAD + once).graph.hash()


def test_twins_of_which_one_is_used_again() -> None:
    steps = "{conv2d: {out_channels: 4, kernel_size: 1}, from: a, name: %s}"
    text = f"{HEAD}network: [{steps % 'p'}, {steps % 'q'}, {{add, from: [p, q], name: s}}, {{concat, from: [s, p]}}]\n"
    assert "[p, q]" in text
    for old, new, same in (("[p, q]", "[q, p]", True), ("[s, p]", "[s, q]", True), ("[s, p]", "[p, s]", False)):
        changed = text.replace(old, new)
        assert (netspec.loads(changed).graph.hash() == netspec.loads(text).graph.hash()) == same, new


def test_every_attribute_counts() -> None:
    base = {
        "out_channels": 4,
        "kernel_size": [3, 3],
        "stride": [1, 1],
        "padding": [1, 1],
        "dilation": [1, 1],
        "groups": 1,
        "bias": True,
    }
    other = {
        "out_channels": 8,
        "kernel_size": [1, 1],
        "stride": [2, 2],
        "padding": [0, 0],
        "dilation": [2, 2],
        "groups": 4,
        "bias": False,
    }

    def digest(attributes: dict[str, Any]) -> str:
        spec = {"netspec": 1, "name": "n", "inputs": {"a": ["N", 4, 8, 8]}, "network": [{"conv2d": attributes}]}
        return netspec.loads(json.dumps(spec)).graph.hash()

    found = {digest({**base, key: value}) for key, value in other.items()}
    assert len({digest(base), *found}) == len(other) + 1
    assert digest({**base, "kernel_size": 3, "padding": 1}) == digest(base)
