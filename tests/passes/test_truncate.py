"""`truncate`: names and what they mean, what stays, what is told, and what can't be named."""

from __future__ import annotations

import pytest

import netspec
from netspec.graph import Builder, Graph
from netspec.passes import Transformed, truncate
from tests.passes.truncated import PARTS, check, graph_of
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch


def outputs(made: Transformed) -> dict[str, str]:
    return {o.name: o.value for o in made.graph.outputs}


def test_outputs_are_named_after_what_was_asked() -> None:
    made = truncate(graph_of("googlenet"), ["inception3a.b3x3", "aux1", "logits", "conv1", "pool1", "aux2.relu"])
    assert outputs(made) == {
        "inception3a_b3x3": "inception3a.b3x3.conv_2.relu",
        "aux1": "aux1.fc2",
        "logits": "fc",
        "conv1": "conv1.relu",
        "pool1": "pool1",
        "aux2_relu": "aux2.relu",
    }
    assert all(o.mode == "inference" for o in made.graph.outputs)


def test_a_further_output_of_a_block() -> None:
    graph = graph_of("rir")
    made = truncate(graph, ["stage1.t", "stage1.0.second.r", "stage1.1", "stage1.1.r"])
    assert list(outputs(made)) == ["stage1_t", "stage1_0_second_r", "stage1_1", "stage1_1_r"]
    assert list(outputs(made).values()) == [
        graph.scopes["stage1"].outputs[1],
        graph.scopes["stage1.0.second"].outputs[0],
        "stage1.1.r_out",
        "stage1.1.r_out",
    ]


def test_names_are_made_unique() -> None:
    b = Builder("names")
    x = b.input("image", ["N", 4])
    with b.scope("a"):
        x = b.add("relu", x, name="b")
    x = b.add("relu", x, name="a_b")
    y = b.add("relu", x, name="else_")
    b.output("a_b_2", x)
    b.output("a", y)
    graph = b.build()
    assert outputs(truncate(graph, ["a.b", "a_b"])) == {"a_b": "a.b", "a_b_2": "a_b"}
    assert outputs(truncate(graph, ["a.b", "a_b", "a_b_2"])) == {"a_b": "a.b", "a_b_3": "a_b", "a_b_2": "a_b"}
    # An output's name comes before a path.
    assert outputs(truncate(graph, ["a"])) == {"a": "else_"}


def test_a_name_that_is_too_long() -> None:
    b = Builder("long")
    x = b.input("image", ["N", 4])
    with b.scope("s" * 90), b.scope("t" * 90):
        x = b.add("relu", x, name="u" * 10)
    b.output("x", x)
    (name,) = outputs(truncate(b.build(), [x]))
    assert len(name) <= 100
    assert name.endswith("t_" + "u" * 10)


def test_what_is_told() -> None:
    made = truncate(graph_of("resnet18"), ["layer2", "layer1.0"])
    nodes = len(made.graph)
    kept = sum(w.size for w in made.graph.state().values() if w.kind == "parameter")
    assert made.done == (f"{nodes} of 69 nodes kept, {kept:,} of 11,689,512 parameters: outputs `layer2`, `layer1_0`",)
    assert (made.declined, dict(made.derived), made.fresh) == ({}, {}, frozenset())


def test_what_the_graph_keeps() -> None:
    graph = graph_of("resnet18")
    made = truncate(graph, ["layer2"]).graph
    assert (made.name, made.title, made.source, made.params) == (graph.name, graph.title, graph.source, graph.params)
    assert made.inputs == graph.inputs
    assert set(made.scopes) == {path for path in graph.scopes if path.split(".")[0] in ("stem", "layer1", "layer2")}
    assert [made.scopes[path] for path in made.scopes] == [graph.scopes[path] for path in made.scopes]
    assert list(made.nodes) == list(graph.nodes[: len(made.nodes)])


def test_a_block_cut_in_two_gives_what_is_left_of_it() -> None:
    made = truncate(graph_of("resnet18"), ["layer2.1.residual.relu"]).graph
    wanted = "layer2.1.residual.relu"
    assert made.scopes["layer2.1"].outputs == made.scopes["layer2"].outputs == (wanted,)
    assert made.scopes["layer2.0"] == graph_of("resnet18").scopes["layer2.0"]
    two = truncate(graph_of("rir"), ["stage1.0.first.r_sum", "stage1.0.first.t_to_t"]).graph
    block = two.scopes["stage1.0.first"].block
    assert block is not None
    # Neither of the block's two outputs is there: it gives what was asked of it.
    assert dict(zip(block.outputs, two.scopes["stage1.0.first"].outputs, strict=True)) == {
        "r_sum": "stage1.0.first.r_sum",
        "t_to_t": "stage1.0.first.t_to_t",
    }
    one = truncate(graph_of("rir"), ["stage1.0.second.t_out.batch_norm", "stage1.0.first.t"]).graph
    first = one.scopes["stage1.0.first"]
    assert first.block is not None
    assert (first.block.outputs, first.outputs) == (("r", "t"), graph_of("rir").scopes["stage1.0.first"].outputs)


def test_all_that_there_is() -> None:
    graph = graph_of("resnet18")
    made = truncate(graph, ["logits"])
    assert str(made.graph) == str(graph)
    assert made.done[0].startswith("69 of 69 nodes kept, 11,689,512 of 11,689,512 parameters: output `logits`")


# Several inputs, and weights that are shared.


def siamese() -> Graph:
    return netspec.loads(PARTS["shared on two inputs"]).graph


def test_inputs_that_nothing_needs_go_and_the_sharer_owns_the_weights() -> None:
    made = truncate(siamese(), ["other"])
    assert [i.name for i in made.graph.inputs] == ["right"]
    assert made.done[1] == "input `left` dropped"
    assert made.graph.scopes["other"].weights_of == ""
    assert all(key.startswith("other.") for key in made.graph.state())
    assert {key: derived.keys for key, derived in made.derived.items()} == {
        key: (key.replace("other.", "tower."),) for key in made.graph.state()
    }
    assert check(siamese(), [["other"], ["tower"], ["tower", "other"], ["other.relu", "tower.relu"], ["linear"]]) == 5


def test_a_part_of_a_shared_step_alone() -> None:
    """One class gives what is asked of either call. Where a call would be of a part of it, it can't be said."""
    assert check(siamese(), [["tower.relu", "linear"], ["tower", "other.conv2d", "other"]]) == 2
    with pytest.raises(netspec.NetspecError, match=r"NS401: `other\.conv2d` shares the weights of `tower\.conv2d`"):
        netspec.to_source(truncate(siamese(), ["tower", "other.relu"]).graph)


@pytest.mark.parametrize("step", ["conv2d: {out_channels: 3, kernel_size: 1}", "parameter: {shape: [3, 1, 1]}", "unit"])
def test_copies_that_share_with_a_step_that_is_gone(step: str) -> None:
    """The first copy has the weights of all then: source gave each copy its own, or looked for the owner for ever."""
    head = "netspec: 1\nname: tied\ninputs: {x: [N, 3, 8, 8]}\nblocks: {unit: {body: [{linear: 8}, relu]}}\n"
    steps = f"  - {{{step}, name: a}}\n  - {{{step}, share: a, from: x, repeat: 2, name: b}}\n"
    made = truncate(netspec.loads(f"{head}network:\n{steps}").graph, ["b"])
    assert {key.split(".")[1] for key in made.graph.state()} == {"0"}
    for write in (netspec.to_source, netspec.to_yaml):
        with pytest.raises(netspec.NetspecError, match=r"NS401: .* (a spec|PyTorch source) can.t say that"):
            write(made.graph)


def test_owners_among_several() -> None:
    b = Builder("tied")
    x, y, z = (b.input(name, ["N", 4]) for name in "xyz")
    b.output("one", b.add("linear", x, name="a", out_features=3))
    op = b.nodes[0].op
    b.output("two", b.node("b", op, (y,), weights_of="a"))
    b.output("three", b.node("c", op, (z,), weights_of="a"))
    made = truncate(b.build(), ["three", "two"])
    assert [(node.path, node.weights_of) for node in made.graph] == [("b", "b"), ("c", "b")]
    assert list(made.graph.state()) == ["b.weight", "b.bias"]
    weights = made.weights({"a.weight": torch.ones(3, 4), "a.bias": torch.zeros(3)})
    assert list(weights) == ["b.weight", "b.bias"]


# What can't be named.


@pytest.mark.parametrize(
    ("names", "code", "said"),
    [
        (["layer9"], "NS209", "`resnet18` has no value `layer9`\n   help: did you mean `layer4`?"),
        (["layer1.0.residul"], "NS209", "did you mean `layer1.0.residual`?"),
        (["nothing"], "NS209", "there are `logits`, `stem`, `relu`, `pool`, `layer1`,"),
        (["image"], "NS209", "`image` is an input: there is nothing to compute"),
        (["layer1", "layer1"], "NS210", "`layer1` is named twice"),
        ([], "NS209", "nothing of `resnet18` is named"),
    ],
)
def test_names_of_nothing(names: list[str], code: str, said: str) -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        truncate(graph_of("resnet18"), names)
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)


def test_a_block_that_hands_on_an_input() -> None:
    graph = netspec.loads(
        "netspec: 1\nname: net\ninputs: {a: [N, 4], b: [N, 4]}\n"
        "blocks: {swap: {inputs: [x, y], outputs: {one: y, two: s}, body: [{relu, from: x, name: s}]}}\n"
        "network: [{swap, from: [a, b], name: s}, {add, from: [s.one, s.two]}]\n"
    ).graph
    with pytest.raises(netspec.NetspecError, match="`s` is the input `b` as it is: there is nothing to compute"):
        truncate(graph, ["s"])
    assert outputs(truncate(graph, ["s.two"])) == {"s_two": "s.s"}


def test_one_name_is_no_list() -> None:
    with pytest.raises(TypeError, match=r"it takes a list of names, as \['layer1'\]"):
        truncate(graph_of("resnet18"), "layer1")


SHARED = """
netspec: 1
name: net
inputs: {image: [N, 4, 8, 8]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: a}
  - {conv_transpose2d: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}, from: image, share: a, name: b}
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, share: a, name: c}
"""


def test_an_owner_of_more_weights_than_the_next_one_has_is_kept_by_name() -> None:
    """Without `a`, `b` would own the weights, and has no bias for `c`."""
    graph = netspec.loads(SHARED).graph
    with pytest.raises(netspec.NetspecError, match=r"NS401: `a` is dropped, and `b`.*\n.*\n.*\n.*keep `a`"):
        truncate(graph, ["c"])
    made = truncate(graph, ["c", "a"])
    assert {node.path: node.weights_of for node in made.graph} == {"a": "a", "b": "a", "c": "a"}
    assert truncate(graph, ["b"]).graph["b"].weights_of == "b"
