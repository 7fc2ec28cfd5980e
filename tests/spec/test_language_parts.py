"""Rules of the language: several values, steps as arguments, shared weights, networks as steps, embedded specs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import netspec
from netspec import NetspecError
from netspec.cli.main import main as command
from tests.spec.language import check_misuse, error, errors, nodes, shapes, spec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

PAIR = """{pair: {inputs: [a, b], outputs: {sum: s, first: x},
  body: [{tanh, from: a, name: x}, {add, from: [x, b], name: s}]}}"""


# Several values


def test_values_go_in_and_out_by_place_and_by_name() -> None:
    text = spec(
        "[{relu, name: r}, {pair, from: [r, image], name: p}, {multiply, from: [p.first, p, p.sum]}]", blocks=PAIR
    )
    assert nodes(text)[1:] == ["p.x = tanh(r)", "p.s = add(p.x, image)", "multiply = multiply(p.x, p.s, p.s)"]


def test_a_step_takes_as_many_values_of_the_one_before_as_it_needs() -> None:
    text = spec("[{relu, name: r}, {pair, from: [r, image]}, pair, relu]", blocks=PAIR)
    assert nodes(text)[3:] == ["pair_2.x = tanh(pair.s)", "pair_2.s = add(pair_2.x, pair.x)", "relu = relu(pair_2.s)"]


def test_copies_hand_all_their_values_on() -> None:
    text = spec(
        "[{relu, name: r}, {pair, from: [r, image], repeat: 2, name: p}, {add, from: [p.sum, p.first]}]", blocks=PAIR
    )
    assert nodes(text)[3:] == ["p.1.x = tanh(p.0.s)", "p.1.s = add(p.1.x, p.0.x)", "add = add(p.1.s, p.1.x)"]
    none = text.replace("repeat: 2", "repeat: 0")
    assert nodes(none) == ["r = relu(image)", "add = add(r, image)"]


def test_a_step_that_is_left_out_hands_its_values_on_by_place() -> None:
    text = spec(
        "[{relu, name: r}, {pair, from: [r, image], when: false, name: p}, {add, from: [p.first, p.sum]}]", blocks=PAIR
    )
    assert nodes(text) == ["r = relu(image)", "add = add(image, r)"]
    more = "{two: {outputs: {a: x, b: y}, body: [{relu, name: x}, {tanh, name: y}]}}"
    check_misuse(spec("[{two, when: false}]", blocks=more), "NS215", "false", "gives 2 values and takes 1")


def test_equal_uses_are_the_same_nodes_once_more_also_where_two_values_are_one() -> None:
    text = spec(
        "[{pair, from: [image, image]}, {relu, name: r}, {pair, from: [image, r]}, {pair, from: [r, r]}]", blocks=PAIR
    )
    assert [line for line in nodes(text) if "add" in line] == [
        "pair.s = add(pair.x, image)",
        "pair_2.s = add(pair_2.x, r)",
        "pair_3.s = add(pair_3.x, r)",
    ]


def test_expressions_read_the_sizes_of_named_inputs() -> None:
    body = "[{conv2d: {out_channels: like.channels, kernel_size: 1}, from: x, name: c}, {add, from: [c, like]}]"
    inputs = "{image: [N, 8, 9, 9], small: [N, 2, 9, 9]}"
    blocks = f"{{fit: {{inputs: [x, like], body: {body}}}}}"
    text = spec("[{fit, from: [small, image]}]", inputs=inputs, blocks=blocks)
    assert shapes(text)["fit.c"] == "N x 8 x 9 x 9"
    check_misuse(text.replace("like.channels", "input.channels"), "NS208", "input", "`input` is not defined")


def test_outputs_of_the_last_step_are_the_networks() -> None:
    net = netspec.loads(spec("[{relu, name: r}, {pair, from: [r, image]}]", blocks=PAIR))
    assert {o.name: o.value for o in net.graph.outputs} == {"sum": "pair.s", "first": "pair.x"}


# Steps as arguments

TWICE = "{twice: {params: {inner: body, width: 4}, body: [inner, {inner, name: more, when: width > 3}]}}"


def test_steps_see_the_parameters_of_their_place_and_the_value_that_enters() -> None:
    text = spec(
        "[{twice: {inner: [conv2d: {out_channels: width + index, kernel_size: input.channels}]}, repeat: 2}]",
        params="{width: 2}",
        blocks=TWICE,
    )
    assert [shape.split(" x ")[1] for shape in shapes(text).values()] == ["2", "2", "3", "3"]
    assert "kernel_size=(3, 3)" in str(netspec.loads(text).graph)
    blind = text.replace("params: {width: 2}\n", "")
    check_misuse(blind, "NS208", "width", "`width` is not defined here")


def test_steps_are_handed_on_and_repeated() -> None:
    blocks = "{in_: {params: {s: body}, body: [{s, repeat: 2}]}, out: {params: {s: body}, body: [in_: {s: [s, tanh]}]}}"
    assert nodes(spec("[out: {s: [relu]}]", blocks=blocks)) == [
        "out.in_.s.0.s.relu = relu(image)",
        "out.in_.s.0.tanh = tanh(out.in_.s.0.s.relu)",
        "out.in_.s.1.s.relu = relu(out.in_.s.0.tanh)",
        "out.in_.s.1.tanh = tanh(out.in_.s.1.s.relu)",
    ]


def test_no_steps_are_the_identity() -> None:
    assert nodes(spec("[{twice: {inner: []}}, relu]", blocks=TWICE)) == ["relu = relu(image)"]


# Shared weights


def test_shared_weights_count_once_and_their_work_each_time() -> None:
    conv = "conv2d: {out_channels: 3, kernel_size: 3, padding: 1}"
    text = spec(f"[{{{conv}, name: a}}, {{{conv}, share: a, repeat: 3, name: b}}, {{{conv}, share: a}}]")
    totals = netspec.loads(text).summary()["totals"]
    assert totals["parameters"] == 3 * 3 * 9 + 3
    assert totals["macs"] == 5 * 27 * 3 * 32 * 32
    module = netspec.loads(text).compile()
    assert list(module.state_dict()) == ["a.weight", "a.bias"]
    assert [node.weights_of for node in netspec.loads(text).graph] == ["a"] * 5


def test_a_gradient_comes_from_all_that_share() -> None:
    text = spec("[{linear: 4, name: a}, {linear: 4, share: a}]", inputs="{x: [N, 4]}")
    module = netspec.loads(text).compile()
    x = torch.randn(3, 4)
    module(x).sum().backward()
    layer = module.a
    assert isinstance(layer, torch.nn.Linear)
    assert layer.weight.grad is not None
    wanted = torch.autograd.grad(layer(layer(x)).sum(), layer.weight)[0]
    torch.testing.assert_close(layer.weight.grad, wanted)


def test_blocks_that_share_have_to_be_alike_inside() -> None:
    body = "[{conv2d: {out_channels: w, kernel_size: 1}, when: input.channels != w}, batch_norm]"
    blocks = f"{{b: {{params: {{w: int}}, body: {body}}}}}"
    text = spec("[{b: 8, name: one}, {b: 8, share: one}]", blocks=blocks)
    assert "`one` has other steps in it" in error(text).message
    again = text.replace("{b: 8, share: one}", "{b: 8, share: one, when: false}")
    assert len(nodes(again)) == 2


@pytest.mark.parametrize("share", ["b", "r", "x", "2"])
def test_only_earlier_steps_of_the_body_are_shared(share: str) -> None:
    found = errors(spec(f"[{{relu, name: r}}, {{linear: 4, share: {share}, name: b}}]"))
    assert {d.code for d in found} <= {"NS209", "NS302"}


# Networks

GAN = """
netspec: 1
name: gan
title: GAN
params: {hidden: 8}
networks:
  generator:
    inputs: {noise: [N, 4]}
    body: [{linear: hidden, name: fc1}, relu, {linear: 6, name: fc2}]
    expect: {parameters: 94}
  discriminator:
    inputs: {sample: [N, 6]}
    body: [{linear: hidden, name: fc1}, {linear: 1, name: fc2}]
    title: The judge
  generator_step:
    inputs: {noise: [N, 4]}
    body: [{generator, name: generator}, {discriminator, name: discriminator}]
    outputs: {score: discriminator, sample: {from: generator, mode: train}}
"""


def test_a_network_is_chosen_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "gan.yaml"
    file.write_text(GAN)
    net = netspec.load(f"{file}:generator")
    assert (net.name, net.title, net.check_expectations()[0]) == ("generator", "GAN: generator", 1)
    assert netspec.loads(GAN, network="discriminator").title == "The judge"
    assert netspec.loads(GAN, network="generator", params={"hidden": 3}).graph["fc1"].type.shape[-1] == 3
    for name, said in (("", "has several networks"), ("generater", "has no network"), ("fc1", "has no network")):
        with pytest.raises(NetspecError, match=said):
            netspec.loads(GAN, network=name)
    with pytest.raises(NetspecError, match="has no network `x`"):
        netspec.load("vgg_a:x")


def test_equal_paths_fit_equal_weights() -> None:
    step = netspec.loads(GAN, network="generator_step").compile()
    alone = netspec.loads(GAN, network="generator").compile()
    whole = {key: value for key, value in step.state_dict().items() if key.startswith("generator.")}
    assert [f"generator.{key}" for key in alone.state_dict()] == list(whole)


def test_what_a_network_gives_in_training_only_is_not_in_one_that_has_it_as_a_step() -> None:
    text = GAN + "  all: {inputs: {noise: [N, 4]}, body: [{generator_step, name: s}]}\n"
    assert [o.name for o in netspec.loads(text, network="all").graph.outputs] == ["score"]
    text = text.replace("{generator_step, name: s}", "{generator_step, name: s}, {relu, from: s.sample}")
    with pytest.raises(NetspecError, match=r"no value `s.sample`"):
        netspec.loads(text, network="all")


def test_a_network_takes_the_sizes_that_enter() -> None:
    networks = "{head: {inputs: {map: [N, 8, 7, 7]}, body: [{conv2d: {out_channels: 2, kernel_size: 3}}]}}"
    assert shapes(spec("[head]", networks=networks)) == {"head.conv2d": "N x 2 x 30 x 30"}


def test_a_file_of_one_network_needs_no_name() -> None:
    text = "netspec: 1\nname: file\nnetworks: {only: {inputs: {x: [N, 4]}, body: [linear: 2]}}\n"
    assert netspec.loads(text).name == "only"


def test_claims_of_networks_lapse_where_their_file_is_extended(tmp_path: Path) -> None:
    (tmp_path / "gan.yaml").write_text(GAN)
    (tmp_path / "wide.yaml").write_text("netspec: 1\nname: wide\nextends: gan.yaml\nparams: {hidden: 16}\n")
    net = netspec.load(f"{tmp_path / 'wide.yaml'}:generator")
    assert net.graph["fc1"].type.shape[-1] == 16
    assert net.check_expectations() == (0, [])


def test_which_network_of_a_spec_is_meant_is_said_where_it_is_embedded(tmp_path: Path) -> None:
    (tmp_path / "gan.yaml").write_text(GAN)
    main = tmp_path / "main.yaml"
    for name, said in (("gan.yaml", "several networks"), ("gan.yaml:generater", "no network `generater`")):
        main.write_text(spec(f"[network: '{name}']", inputs="{x: [N, 4]}"))
        with pytest.raises(NetspecError, match=rf"main.yaml:4:20: error NS213: .*{said}"):
            netspec.load(main)


def test_one_network_of_a_spec_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GAN.encode())))
    command(["params", "-:generator"])
    assert "generator: parameters by layer" in capsys.readouterr().out


# Other specs


def test_only_what_is_wanted_of_another_spec_is_there() -> None:
    text = spec("[{network: {spec: resnet18, outputs: [layer2]}, name: body}]", inputs="{image: [N, 3, H, W]}")
    graph = netspec.loads(text).graph
    assert {path.split(".")[1] for path in graph.by_path} == {"stem", "relu", "pool", "layer1", "layer2"}
    whole = netspec.load("resnet18").graph
    state = {f"body.{key}": weight.shape for key, weight in whole.state().items()}
    assert {key: weight.shape for key, weight in graph.state().items()}.items() <= state.items()


def test_the_auxiliary_classifiers_stay_behind() -> None:
    text = spec("[{network: googlenet, name: body}, softmax]", inputs="{image: [N, 3, 224, 224]}")
    totals = netspec.loads(text).summary(mode="train")["totals"]
    assert totals["parameters_training"] == 6_998_552


def test_another_spec_has_parameters_and_blocks_of_its_own() -> None:
    blocks = "{basic: {body: [relu]}, conv_bn: {body: [tanh]}}"
    text = spec(
        "[basic, conv_bn, {network: {spec: resnet18, params: {classes: classes + 1, stages: [1, 1, 1, 1]}}}]",
        params="{classes: 4, stages: 7}",
        blocks=blocks,
    )
    net = netspec.loads(text)
    assert net.graph["network.fc"].type.shape[-1] == 5
    source = net.to_source()
    assert "class Basic(nn.Module):" in source
    assert "class Resnet18Basic(nn.Module):" in source


def test_what_another_spec_expects_lapses() -> None:
    text = spec("[{network: {spec: vgg_a, params: {classes: 10}}}]", inputs="{image: [N, 3, 224, 224]}")
    assert netspec.loads(text).check_expectations() == (0, [])


def test_specs_beside_a_file_can_be_embedded_and_those_outside_cannot(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "gan.yaml").write_text(GAN)
    (tmp_path / "in" / "part.yaml").write_text(spec("[{linear: 6, name: fc}]", inputs="{x: [N, 4]}"))
    main = tmp_path / "main.yaml"
    main.write_text(spec("[network: in/part.yaml, network: 'gan.yaml:discriminator']", inputs="{x: [N, 4]}"))
    assert [node.path for node in netspec.load(main).graph] == ["network.fc", "network_2.fc1", "network_2.fc2"]
    (tmp_path / "in" / "part.yaml").write_text(spec("[network: ../gan.yaml]", inputs="{x: [N, 4]}"))
    with pytest.raises(NetspecError, match=r"outside the folder.*[\s\S]*embedded at .*main.yaml:4:20"):
        netspec.load(main)
    (tmp_path / "in" / "part.yaml").write_text(spec("[linear: 4.5]", inputs="{x: [N, 4]}"))
    with pytest.raises(NetspecError, match=r"part.yaml:4:19: error NS206"):
        netspec.load(main)


def test_a_round_of_specs_is_told(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(spec(f"[network: {other}.yaml]"))
    with pytest.raises(NetspecError, match=r"embeds itself[\s\S]*a.yaml -> .*b.yaml -> .*c.yaml -> .*a.yaml"):
        netspec.load(tmp_path / "a.yaml")


def test_many_specs_are_refused(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"n{number}.yaml").write_text(spec(f"[network: n{number + 1}.yaml]"))
    (tmp_path / "n70.yaml").write_text(spec("[relu]"))
    with pytest.raises(NetspecError, match="embeds at most 64 others"):
        netspec.load(tmp_path / "n0.yaml")


def test_blocks_that_are_used_can_embed(tmp_path: Path) -> None:
    blocks = spec("[relu]", blocks="{stem: {body: [network: {spec: resnet18, outputs: [pool]}]}}")
    (tmp_path / "blocks.yaml").write_text(blocks)
    (tmp_path / "main.yaml").write_text(spec("[stem]", use="[blocks.yaml]"))
    assert shapes((tmp_path / "main.yaml").read_text().replace("[stem]", "[relu]").replace("use: [blocks.yaml]\n", ""))
    assert netspec.load(tmp_path / "main.yaml").graph["stem.network.pool"].type.shape[1] == 64
