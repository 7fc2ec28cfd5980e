"""Rules of the language: `use`, the blocks of other files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec import NetspecError
from tests.spec.language import printed
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

PARTS = """netspec: 1
name: parts
params: {most: 16, slope: 0.5, size: int}
defaults:
  conv2d: {bias: false, padding: same}
blocks:
  conv:
    params: {width: int, slope: 0.1}
    body:
      - conv2d: {out_channels: "min(width, most)", kernel_size: 3}
      - leaky_relu: slope
  twice:
    params: {width: int}
    body: [{conv: $width}, {conv: {width: width, slope: 0.3}}]
  lean:
    body: [{leaky_relu: slope}]
"""
HEAD = "netspec: 1\nname: net\ninputs: {image: [N, 3, 8, 8]}\n"

Load = Callable[[str], netspec.Network]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    (tmp_path / "parts.yaml").write_text(PARTS)
    monkeypatch.chdir(tmp_path)

    def call(text: str) -> netspec.Network:
        Path("net.yaml").write_text(HEAD + text)
        return netspec.load("net.yaml")

    return call


def refused(load: Load, text: str) -> tuple[str, str]:
    with pytest.raises(NetspecError) as caught:
        load(text)
    (found,) = caught.value.diagnostics
    return found.code, f"{found.message} {found.help} {' '.join(found.notes)}"


def test_blocks_mean_what_they_mean_in_their_file(load: Load) -> None:
    """The file's defaults, its blocks and its parameters, unless the block has one of that name."""
    net = load("use: [parts.yaml]\nnetwork: [{twice: 32}, lean, {conv2d: {out_channels: 2, kernel_size: 3}}]\n")
    slopes = [node.op.negative_slope for node in net.graph.nodes if node.op.opname == "leaky_relu"]
    convolutions = [node for node in net.graph.nodes if node.op.opname == "conv2d"]
    assert slopes == [0.1, 0.3, 0.5]
    assert [node.op.out_channels for node in convolutions] == [16, 16, 2]
    assert [node.op.bias for node in convolutions] == [False, False, True]
    assert [node.op.padding for node in convolutions] == ["same", "same", (0, 0)]


def test_the_same_graph_and_numbers_as_with_the_blocks_written_here(load: Load) -> None:
    blocks = PARTS.split("blocks:")[1].replace("most)", "16)").replace("[{leaky_relu: slope}]", "[{leaky_relu: 0.5}]")
    body = "network: [{twice: 32, repeat: 2, name: trunk}, lean, flatten, {linear: 4, name: fc}]\n"
    defaults = "defaults: {conv2d: {bias: false, padding: same}}\n"
    used, written = load("use: [parts.yaml]\n" + body), netspec.loads(f"{HEAD}{defaults}blocks:{blocks}{body}")
    assert printed(used) == printed(written)
    ours, theirs = used.compile(), written.compile()
    theirs.load_state_dict(ours.state_dict())
    image = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(ours(image), theirs(image), rtol=0, atol=0)


def test_a_bundled_spec(load: Load) -> None:
    """ResNet-18 from its own blocks is ResNet-18."""
    resnet18 = netspec.load("resnet18")
    text = resnet18.spec.source.text
    body = text[text.index("network:") : text.index("expect:")]
    net = load("use: [resnet18]\nparams: {classes: 1000, stages: [2, 2, 2, 2]}\n" + body)
    assert [node.path for node in net.graph.nodes] == [node.path for node in resnet18.graph.nodes]


def test_parameters_of_this_file_are_not_seen_there(load: Load) -> None:
    net = load("use: [parts.yaml]\nparams: {most: 2, width: 4}\nnetwork: [{conv: $width}, {linear: most}]\n")
    assert net.graph.nodes[0].op.out_channels == 4


def test_files_that_use_others(load: Load) -> None:
    Path("more.yaml").write_text(
        "netspec: 1\nname: more\nuse: [parts.yaml]\nblocks: {thrice: {body: [{conv: 3, repeat: 3}]}}\n"
    )
    net = load("use: [more.yaml, parts.yaml]\nnetwork: [thrice, {conv: 5}]\n")
    assert len(net.graph.nodes) == 8


def test_a_chain_of_extends(load: Load) -> None:
    Path("base.yaml").write_text(HEAD + "use: [parts.yaml]\nnetwork: [{conv: 4}, lean]\n")
    Path("changed.yaml").write_text("netspec: 1\nname: changed\nextends: parts.yaml\nparams: {slope: 0.25, most: 3}\n")
    Path("other.yaml").write_text("netspec: 1\nname: other\nextends: base.yaml\nblocks: {lean: {body: [relu]}}\n")
    assert [node.op.opname for node in netspec.load("other.yaml").graph.nodes] == ["conv2d", "leaky_relu", "relu"]
    nodes = load("use: [changed.yaml]\nnetwork: [{conv: 4}, lean]\n").graph.nodes
    assert (nodes[0].op.out_channels, nodes[-1].op.negative_slope) == (3, 0.25)


def test_a_name_that_is_taken(load: Load) -> None:
    """The block of this file goes before; that of the other keeps working, and is a class of its own."""
    net = load("use: [parts.yaml]\nblocks: {conv: {body: [relu]}}\nnetwork: [conv, {twice: 4}]\n")
    assert [node.op.opname for node in net.graph.nodes] == ["relu", *["conv2d", "leaky_relu"] * 2]
    source = net.to_source()
    assert "class PartsConv(nn.Module)" in source
    assert net.compile()(torch.rand(1, 3, 8, 8)).shape == (1, 4, 8, 8)


def test_two_files_with_blocks_of_one_name(load: Load) -> None:
    other = PARTS.replace("name: parts", "name: other").replace("twice", "also").replace("lean", "thin")
    Path("other.yaml").write_text(other)
    assert len(load("use: [parts.yaml, other.yaml]\nnetwork: [{twice: 4}, {also: 4}]\n").graph.nodes) == 8
    code, text = refused(load, "use: [parts.yaml, other.yaml]\nnetwork: [{conv: 4}]\n")
    assert code == "NS203"
    assert "`parts.yaml` and `other.yaml` both have a block `conv`" in text
    own = "blocks: {conv: {body: [relu]}}\n"
    assert len(load(f"use: [parts.yaml, other.yaml]\n{own}network: [conv]\n").graph.nodes) == 1


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("use: parts.yaml\nnetwork: [relu]\n", "NS201", "use"),
        ("use: [3]\nnetwork: [relu]\n", "NS201", "use"),
        ("use: [nosuch]\nnetwork: [relu]\n", "NS213", "no bundled spec `nosuch`"),
        ("use: [nosuch.yaml]\nnetwork: [relu]\n", "NS213", "no file nosuch.yaml"),
        ("use: [../parts.yaml]\nnetwork: [relu]\n", "NS213", "outside the folder"),
        ("use: [net.yaml]\nnetwork: [relu]\n", "NS212", "net.yaml -> net.yaml"),
        ("use: [round.yaml]\nnetwork: [relu]\n", "NS212", "round.yaml -> round.yaml"),
        ("use: [required.yaml]\nnetwork: [relu]\n", "NS208", "`size` has none"),
        ("use: [dynamic.yaml]\nblocks: {mine: {body: [relu]}}\nnetwork: [outer]\n", "NS203", "`mine`"),
        ("use: [within.yaml]\nnetwork: [relu]\n", "NS212", "`a` contains itself"),
        ("use: [parts.yaml]\nnetwork: [{conb: 4}]\n", "NS203", "did you mean `conv`?"),
    ],
)
def test_misuse(load: Load, text: str, code: str, words: str) -> None:
    head = "netspec: 1\nname: part\n"
    Path("round.yaml").write_text(head + "use: [round.yaml]\nblocks: {a: {body: [relu]}}\n")
    Path("required.yaml").write_text(head + "params: {size: int}\nblocks: {a: {body: [{linear: size}]}}\n")
    Path("dynamic.yaml").write_text(head + "blocks: {outer: {body: [mine]}}\n")
    Path("within.yaml").write_text(head + "blocks: {a: {body: [b]}, b: {body: [a]}}\n")
    found, said = refused(load, text)
    assert (found, words in said) == (code, True), said


def test_a_class_that_two_files_would_make(load: Load) -> None:
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(
            f"netspec: 1\nname: same\nblocks: {{conv: {{body: [relu]}}, {name}: {{body: [conv]}}}}\n"
        )
    code, text = refused(load, "use: [one.yaml, two.yaml]\nblocks: {conv: {body: [relu]}}\nnetwork: [one, two]\n")
    assert code == "NS210"
    assert "would be one class, `SameConv`" in text


def test_a_file_without_network_says_what_it_is_for(load: Load) -> None:
    with pytest.raises(NetspecError, match="a file of blocks alone is for other specs") as caught:
        netspec.load("parts.yaml")
    assert caught.value.diagnostics[0].code == "NS201"


def test_text_uses_bundled_specs_only() -> None:
    body = HEAD + "use: [{}]\nnetwork: [{{conv_bn: 4}}]\n".replace("{}", "resnet18").replace("{{", "{").replace(
        "}}", "}"
    )
    assert len(netspec.loads(body).graph.nodes) == 2
    with pytest.raises(NetspecError, match="bundled ones only"):
        netspec.loads(body.replace("resnet18", "parts.yaml"))


def test_many_files_are_refused(load: Load) -> None:
    for index in range(70):
        Path(f"f{index}.yaml").write_text(
            f"netspec: 1\nname: f{index}\nuse: [f{index + 1}.yaml]\nblocks: {{b{index}: {{body: [relu]}}}}\n"
        )
    code, text = refused(load, "use: [f0.yaml]\nnetwork: [relu]\n")
    assert (code, "at most 64 files" in text) == ("NS214", True)
