"""Transformed graphs as specs: cut off in the middle of blocks and copies, folded, with another head."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec import passes
from netspec.graph import Graph
from netspec.network import Network
from tests.support.networks import BOXES, TEXTS, TIED
from tests.support.round_trip import round_trip
from tests.support.sliding import CANNOT_SLIDE

HERE = Path(__file__).parent
Bundled = Callable[[str], Network]

GOLDENS: dict[str, Callable[[Bundled], Graph]] = {
    "resnet50_folded": lambda b: passes.fold_batch_norm(b("resnet50").graph).graph,
    "resnet18_in_a_copy": lambda b: passes.truncate(b("resnet18").graph, ["layer2.1.residual.conv_bn.conv2d"]).graph,
    "resnet18_stages": lambda b: passes.truncate(b("resnet18").graph, ["layer2", "layer3", "layer4"]).graph,
    "googlenet_dense": lambda b: passes.fully_convolutional(b("googlenet").graph).graph,
    "googlenet_branch": lambda b: passes.truncate(b("googlenet").graph, ["inception4a.b3x3", "inception4e"]).graph,
    "vgg_d_ten_classes": lambda b: passes.replace_head(b("vgg_d").graph, 10).then(passes.strip_dropout).graph,
}


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name: str, bundled: Bundled) -> None:
    graph = GOLDENS[name](bundled)
    text = netspec.to_yaml(graph)
    file = HERE / "goldens" / f"{name}.yaml"
    if os.environ.get("NETSPEC_REWRITE_GOLDENS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, f"{file.name}: `make golden` rewrites it"
    round_trip(graph)


@pytest.mark.parametrize("name", netspec.names())
def test_every_transform_of_every_network(name: str, bundled: Bundled) -> None:
    graph = bundled(name).graph
    if len(graph) > 1000:
        round_trip(passes.fold_batch_norm(graph).graph)
        return
    round_trip(passes.fold_batch_norm(graph).graph)
    round_trip(passes.strip_dropout(graph).graph)
    if name in TIED | BOXES:
        return
    round_trip(passes.replace_head(graph, 7).graph)
    every = passes.replace_head(graph, 7).then(passes.strip_dropout).then(passes.fold_batch_norm)
    round_trip(every.graph)
    if name not in CANNOT_SLIDE and name not in TEXTS:
        round_trip(passes.fully_convolutional(graph).graph)
        round_trip(every.then(passes.fully_convolutional).graph)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "alexnet", "vgg_a"])
def test_cut_off_anywhere(name: str, bundled: Bundled) -> None:
    graph = bundled(name).graph
    for node in graph:
        round_trip(passes.truncate(graph, [node.path]).graph)


def test_a_value_of_a_copy_in_the_middle(bundled: Bundled) -> None:
    graph = passes.truncate(bundled("resnet18").graph, ["layer2.0", "layer4"]).graph
    with pytest.raises(netspec.NetspecError, match=r"NS401: `layer2\.0\.relu` is used outside the copies of `layer2`"):
        netspec.to_yaml(graph)
    # As the last, it ends the repeat.
    last = round_trip(passes.truncate(bundled("resnet18").graph, ["layer2.0"]).graph)
    assert "name: layer2, repeat: 1}" in netspec.to_yaml(last)


def test_copies_that_differ_too_much() -> None:
    text = """
netspec: 1
name: net
inputs: {image: [N, 4, 8, 8]}
network:
  - add:
      branches:
        a: [{conv2d: 4, when: index == 0}, {relu, name: r}]
        b: [{conv2d: 4, when: index == 1}, {tanh, name: t}]
    name: x
    repeat: 2
""".replace("conv2d: 4", "conv2d: {out_channels: 4, kernel_size: 1}")
    with pytest.raises(netspec.NetspecError, match="NS401: copies of one step in the network differ"):
        netspec.to_yaml(netspec.loads(text).graph)


def test_what_is_read_otherwise_is_not_given(monkeypatch: pytest.MonkeyPatch, bundled: Bundled) -> None:
    import netspec.backends.yaml.write as write

    graph = bundled("vgg_a").graph
    found = netspec.to_yaml(graph)
    for old, new in (("4096", "4095"), ("name: fc7", "name: fc9"), ("224", "225"), ("name: vgg_a\n", "")):
        monkeypatch.setattr(write, "_file", lambda *_, old=old, new=new: found.replace(old, new, 1))
        with pytest.raises(netspec.NetspecError, match="NS401: a spec can't say that"):
            netspec.to_yaml(graph)
