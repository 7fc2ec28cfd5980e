"""`networks` beside `extends`: what a file says of the networks of the spec that it extends."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec import NetspecError
from netspec.spec.read import read_spec
from netspec.spec.read.read_spec import networks_of
from netspec.spec.sources import bundled
from netspec.spec.sources.find import find

BASE = """netspec: 1
name: base
title: A base
params: {hidden: 8}
defaults: {leaky_relu: {negative_slope: 0.3}}
networks:
  generator:
    inputs: {noise: [N, 16]}
    body: [linear: hidden, leaky_relu, {linear: 64, name: out, expect: {shape: [N, 64]}}]
    expect: {parameters: 712}
  discriminator:
    inputs: {sample: [N, 64]}
    body: [linear: hidden, leaky_relu, linear: 1]
    expect: {parameters: 529}
  reader:
    inputs: {image: [N, 3, 8, 8]}
    body: [{conv2d: {out_channels: 4, kernel_size: 8}}, flatten]
    preprocess: {image: {mean: [0.5, 0.5, 0.5]}}
    labels: {output: [a, b, c, d]}
"""
HEAD = "netspec: 1\nname: wide\nextends: base.yaml\nparams: {hidden: 16}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def check(folder: Path, networks: str, network: str) -> tuple[int, list[str]]:
    """How many claims a network makes, and what is said of those that do not hold."""
    (folder / "wide.yaml").write_text(HEAD + networks)
    count, broken = netspec.load(f"{folder}/wide.yaml:{network}").check_expectations()
    return count, [d.message for d in broken]


def test_claims_of_the_extended_file_lapse(folder: Path) -> None:
    assert check(folder, "", "generator") == (0, [])
    assert netspec.load(f"{folder}/base.yaml:generator").check_expectations() == (2, [])


def test_a_network_without_a_body_is_changed(folder: Path) -> None:
    networks = "networks: {generator: {expect: {parameters: 1360}, title: wide one, inputs: {noise: [N, 12]}}}\n"
    assert check(folder, networks, "generator") == (1, ["`parameters` is claimed to be 1360 and is 1,296"])
    network = netspec.load(folder / "wide.yaml:generator")
    assert (network.graph.title, str(network.graph["linear"].type)) == ("wide one", "N x 16")
    assert check(folder, networks, "discriminator") == (0, [])


def test_a_network_with_a_body_replaces_or_is_a_further_one(folder: Path) -> None:
    networks = """
networks:
  discriminator:
    inputs: {sample: [N, 64]}
    body: [linear: hidden, leaky_relu, {linear: 1, name: score, expect: {shape: [N, 2]}}]
    expect: {parameters: 1057}
  both: {inputs: {noise: [N, 16]}, body: [generator, discriminator]}
"""
    assert check(folder, networks, "discriminator") == (2, ["`shape` is claimed to be [N, 2] and is [N, 1]"])
    assert networks_of(find(str(folder / "wide.yaml"))) == ["generator", "discriminator", "reader", "both"]
    graph = netspec.load(folder / "wide.yaml:both").graph
    # Each body has the defaults of the file that it stands in.
    slopes = {node.path: dict(node.op)["negative_slope"] for node in graph if node.op.opname == "leaky_relu"}
    assert slopes == {"generator.leaky_relu": 0.3, "discriminator.leaky_relu": 0.01}


def test_preprocessing_and_labels_lapse_where_they_do_not_fit(folder: Path) -> None:
    check(folder, "networks: {reader: {inputs: {image: [N, 1, 8, 8]}}}\n", "reader")
    assert netspec.load(folder / "wide.yaml:reader").graph.inputs[0].preprocess is None
    assert netspec.load(folder / "base.yaml:reader").graph.inputs[0].preprocess is not None
    wrong = "networks: {reader: {inputs: {image: [N, 1, 8, 8]}, preprocess: {image: {mean: [0.1, 0.2, 0.3]}}}}\n"
    with pytest.raises(NetspecError):
        check(folder, wrong, "reader")


def test_a_chain_of_three(folder: Path) -> None:
    check(folder, "networks: {generator: {title: second}, more: {inputs: {x: [N, 2]}, body: [relu]}}\n", "more")
    text = "netspec: 1\nname: third\nextends: wide.yaml\nnetworks: {more: {title: third}}\n"
    (folder / "third.yaml").write_text(text)
    titles = {name: netspec.load(folder / f"third.yaml:{name}").graph.title for name in ("generator", "more")}
    assert titles == {"generator": "second", "more": "third"}


def test_a_main_network_stands_beside_others(tmp_path: Path) -> None:
    main = "inputs: {noise: [N, 16]}\nnetwork: [generator, discriminator]\n"
    (tmp_path / "base.yaml").write_text(BASE + main)
    (tmp_path / "wide.yaml").write_text(HEAD + "expect: {parameters: 2417}\n")
    assert len(netspec.load(tmp_path / "base.yaml").graph) == 6
    assert netspec.load(tmp_path / "wide.yaml").check_expectations() == (1, [])
    assert networks_of(find(str(tmp_path / "wide.yaml"))) == ["", "generator", "discriminator", "reader"]


def test_bundled_names_can_be_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundled spec without a main network is known by the names of its networks."""
    (folder / "wide.yaml").write_text(HEAD)
    (folder / "one.yaml").write_text("netspec: 1\nname: one\ninputs: {x: [N, 2]}\nnetwork: [relu]\n")
    main = "inputs: {noise: [N, 16]}\nnetwork: [generator, discriminator]\n"
    (folder / "main.yaml").write_text(BASE.replace("name: base", "name: main") + main)
    for module in (bundled, read_spec):
        monkeypatch.setattr(module, "bundled_folder", lambda: folder)
    of_base = [f"base:{network}" for network in ("generator", "discriminator", "reader")]
    of_wide = [name.replace("base", "wide") for name in of_base]
    assert netspec.bundled() == [*of_base, "main", "one", *of_wide]
    for name in netspec.bundled():
        netspec.load(name)
    with pytest.raises(NetspecError) as raised:
        netspec.load("wide")
    assert raised.value.diagnostics[0].help.startswith("say which: `wide:generator`")
