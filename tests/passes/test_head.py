"""`replace_head`: another number of classes, all else as it was, and the graph that the spec's own parameter gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import netspec
from netspec.graph import Builder, Graph, Scope
from netspec.network import Network, names
from netspec.passes import Transformed, replace_head, truncate
from tests.support.lazy import lazy_imports
from tests.support.networks import BOXES, TIED

with lazy_imports():
    import torch

    from tests.passes.modules import assert_same, assert_whole, images, run, trained

CLASSES = 7


def plain(scope: Scope) -> tuple[Any, ...]:
    """A scope without its place in a file."""
    flow = scope.path, scope.kind, scope.parent, scope.inputs, scope.outputs, scope.weights_of
    return *flow, dict(scope.params), dict(scope.written), scope.when, scope.count


@pytest.mark.parametrize("name", [name for name in names() if name not in TIED | BOXES])
def test_what_the_specs_own_parameter_gives(name: str) -> None:
    """The same graph, parameters and source as `--set classes=7`."""
    wanted = netspec.load(name, params={"classes": CLASSES})
    graph = netspec.load(name).graph
    made = replace_head(graph, CLASSES)
    assert made.declined == {}
    assert made.graph.params == wanted.params
    assert str(made.graph) == str(wanted.graph)
    assert [plain(scope) for scope in made.graph.scopes.values()] == [
        plain(scope) for scope in wanted.graph.scopes.values()
    ]
    assert [dict(node.written) for node in made.graph] == [dict(node.written) for node in wanted.graph]
    assert [node.init for node in made.graph] == [node.init for node in wanted.graph]
    if "110" not in name and "1202" not in name:
        assert netspec.to_source(made.graph) == wanted.to_source()
    old, new = graph.state(), made.graph.state()
    assert made.fresh == {key for key in new if new[key].shape != old[key].shape}


@pytest.mark.parametrize(
    ("load", "heads"),
    [
        (lambda: netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]}), ["fc"]),
        (lambda: netspec.load("rir", params={"width": 8}), ["classifier"]),
        (lambda: netspec.load("googlenet"), ["fc", "aux1.fc2", "aux2.fc2"]),
        (lambda: netspec.load("mobilenet_v2", inputs={"image": ["N", 3, 64, 64]}), ["fc"]),
    ],
    ids=["resnet18", "rir", "googlenet", "mobilenet_v2"],
)
def test_the_first_classes_of_the_old_ones(load: Callable[[], Network], heads: list[str]) -> None:
    """With some rows of the old layers as the new ones, the new network gives these scores of the old."""
    graph = load().graph
    before, made = trained(graph), replace_head(graph, CLASSES)
    state = before.state_dict()
    weights = made.weights(state)
    assert made.fresh == {f"{head}.{weight}" for head in heads for weight in ("weight", "bias")}
    assert made.fresh.isdisjoint(weights)
    assert {*made.fresh, *weights} == made.graph.state().keys()
    assert all(torch.equal(value, state[key]) for key, value in weights.items())
    after = netspec.compile(made.graph).double().eval()
    rows = {key: state[key][:CLASSES] for key in made.fresh}
    after.load_state_dict({**weights, **rows}, strict=True)
    # Training outputs too; layers stay in evaluation.
    before.training = after.training = True
    image = images(graph)
    assert_same(run(after, *image), [scores[:, :CLASSES] for scores in run(before, *image)])


def test_what_is_told() -> None:
    made = replace_head(netspec.load("googlenet").graph, 10)
    assert made.done == ("10 classes instead of 1,000, with fresh weights: `fc`, `aux1.fc2`, `aux2.fc2`",)
    assert [str(made.graph.types[o.value]) for o in made.graph.outputs] == ["N x 10"] * 3
    again = replace_head(made.graph, 10)
    assert (again.done, again.fresh) == ((), frozenset())
    assert again.declined["aux1"] == "`aux1.fc2` gives it 10 already"
    assert str(again.graph) == str(made.graph)


def test_passes_after_each_other() -> None:
    graph = netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]}).graph
    made = Transformed(graph).then(replace_head, 5).then(truncate, ["logits", "layer3"])
    assert made.fresh == {"fc.weight", "fc.bias"}
    assert [str(made.graph.types[o.value]) for o in made.graph.outputs] == ["N x 5", "N x 256 x 4 x 4"]


# What may stand behind the layer, and what must not.

HEAD = """
netspec: 1
name: small
params: {classes: 6, width: 4}
inputs: {image: [N, 3, 8, 8]}
"""


def made(body: str, classes: int = 3) -> tuple[Graph, Transformed]:
    graph = netspec.loads(HEAD + body).graph
    found = replace_head(graph, classes)
    assert_whole(found.graph)
    netspec.compile(found.graph)(torch.randn(2, 3, 8, 8))
    return graph, found


KEPT = {
    "softmax": ("[flatten, {linear: classes, name: l}, softmax]", {"l"}),
    "all of the pointwise": (
        "[flatten, {linear: classes, name: l}, relu, gelu, dropout: 0.5, identity, {log_softmax: -1}]",
        {"l"},
    ),
    "a map": ("[{conv2d: {out_channels: classes, kernel_size: 3}, name: l}, {max_pool2d: 2}, dropout2d: 0.1]", {"l"}),
    "pooled and flat": (
        "[{conv2d: {out_channels: classes, kernel_size: 1}, name: l}, adaptive_avg_pool2d: 1, flatten]",
        {"l"},
    ),
    "larger": ("[{conv2d: {out_channels: classes, kernel_size: 1}, name: l}, {interpolate: 2}]", {"l"}),
    "transposed": ("[{conv_transpose2d: {out_channels: classes, kernel_size: 2, stride: 2}, name: l}, tanh]", {"l"}),
    "channels last": (
        "[{conv2d: {out_channels: classes, kernel_size: 1}, name: l}, {permute: {dims: [0, 2, 3, 1]}}]",
        {"l"},
    ),
    "places in a row": ("[{conv2d: {out_channels: classes, kernel_size: 1}, name: l}, {flatten: 2}]", {"l"}),
    "batch norm": ("[{conv2d: {out_channels: classes, kernel_size: 1}, name: l}, {batch_norm, name: n}]", {"l", "n"}),
    "layer norm": ("[flatten, {linear: classes, name: l}, {layer_norm, name: n}]", {"l", "n"}),
    "shared slope": ("[flatten, {linear: classes, name: l}, {prelu, name: n}]", {"l"}),
    "scores and their softmax": (
        "[flatten, {linear: classes, name: l}, {softmax, name: s}]\noutputs: {logits: l, p: s}",
        {"l"},
    ),
    "two heads of one layer": (
        "[{conv2d: {out_channels: 4, kernel_size: 8}}, {flatten, name: f}, {linear: classes, name: l},"
        " {linear: classes, from: f, share: l, name: m}]\noutputs: {a: l, b: m}",
        {"l"},
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_width_that_is_kept_apart(case: str) -> None:
    body, changed = KEPT[case]
    graph, found = made(f"network: {body}\n")
    assert found.declined == {}
    assert {key.rpartition(".")[0] for key in found.fresh} - {"n"} == {"l"}
    assert {key.rpartition(".")[0] for key in found.fresh} == changed
    for old, new in zip(graph.outputs, found.graph.outputs, strict=True):
        sizes = zip(graph.types[old.value].shape, found.graph.types[new.value].shape, strict=True)
        assert [pair for pair in sizes if pair[0] != pair[1]] == [(6, 3)]
    assert found.graph.params == {"classes": 3, "width": 4}
    assert str(found.graph) == str(netspec.loads(f"{HEAD}network: {body}\n", params={"classes": 3}).graph)


REFUSED = {
    "no layer": ("[relu]", "no linear layer or convolution makes `image`"),
    "a merge": (
        "[{conv2d: {out_channels: 3, kernel_size: 1}, name: c}, {add, from: [c, image]}]",
        "it comes from `add`, which is neither linear",
    ),
    "a flattened map": (
        "[{conv2d: {out_channels: 6, kernel_size: 1}}, flatten]",
        "`flatten` mixes its channels with other axes",
    ),
    "groups": (
        "[{conv2d: {out_channels: 6, kernel_size: 1, groups: 3}, name: c}]",
        "`c` can't have 4 classes: 3 groups do not divide 4 channels",
    ),
    "slopes": (
        "[flatten, {linear: 6}, {prelu: 6, name: p}]",
        "`p` can't have 4 classes: `prelu` has 6 slopes for an input of N x 4",
    ),
    "a tensor": (
        "[{parameter: {shape: [4]}, name: p}]",
        "it comes from `p`, which is neither linear",
    ),
    "several users": (
        "[flatten, {linear: 6, name: l}, {relu, name: r}, {linear: 2, name: m}]\noutputs: {a: r}",
        "`m` reads `r` too",
    ),
    "a sharer": (
        "[flatten, {linear: 192, name: l}, {linear: 192, share: l, name: m}]",
        "`l` has the weights of `m` too",
    ),
    "attention": (
        "[{flatten: 2}, {linear: 8}, {multihead_attention: 2, name: a}]",
        "it comes from `a`, which is neither linear",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_width_that_is_not(case: str) -> None:
    body, reason = REFUSED[case]
    text = HEAD + f"network: {body}\n"
    with pytest.raises(netspec.NetspecError) as caught:
        replace_head(netspec.loads(text).graph, 4)
    assert caught.value.diagnostics[0].code == "NS401"
    assert reason in str(caught.value)
    assert "no output of `small` can get 4 classes" in str(caught.value)


def test_one_output_changes_and_another_does_not() -> None:
    body = (
        "network: [{conv2d: {out_channels: 5, kernel_size: 1}, name: features}, flatten, {linear: classes, name: fc}]\n"
        "outputs: {logits: fc, features: features}\n"
    )
    graph, found = made(body)
    assert found.declined == {"features": "`flatten` reads `features` too"}
    assert str(found.graph.types["features"]) == str(graph.types["features"])
    assert found.fresh == {"fc.weight", "fc.bias"}


def test_a_refusal_takes_along_what_shares_with_it() -> None:
    body = (
        "network: [{conv2d: {out_channels: 8, kernel_size: 8}}, flatten, {linear: 8, name: a},"
        " {linear: 8, share: a, name: b}]\noutputs: {x: a, y: b}\n"
    )
    with pytest.raises(
        netspec.NetspecError, match=r"(?s)output `x`: `b` reads `a` too.*output `y`: `a` has the weights"
    ):
        replace_head(netspec.loads(HEAD + body).graph, 4)


@pytest.mark.parametrize("classes", [True, False, 0, -3, 2.0, "10", 2**31])
def test_what_is_no_number_of_classes(classes: Any) -> None:
    with pytest.raises(netspec.NetspecError, match="NS206: the number of classes is a positive integer, not"):
        replace_head(netspec.load("resnet18").graph, classes)


# Parameters of the spec.


def arguments(graph: Graph) -> str:
    return "".join(re.findall(r"class Small\(.*?__init__\(([^)]*)", netspec.to_source(graph), re.DOTALL))


def test_a_parameter_that_says_something_else_too_stays() -> None:
    """The trunk has as many channels as there were classes, and keeps them."""
    body = (
        "network: [{conv2d: {out_channels: classes, kernel_size: 8}, name: c}, flatten, {linear: classes, name: l}]\n"
    )
    _, found = made(body)
    assert found.graph.params["classes"] == 6
    assert (found.graph["c"].type.channels, found.graph["l"].type.features) == (6, 3)
    assert (set(found.graph["c"].written), set(found.graph["l"].written)) == ({"out_channels"}, set())
    assert "nn.Linear(classes, 3)" in netspec.to_source(found.graph)


def test_an_expression_that_is_no_name_goes() -> None:
    _, found = made("network: [flatten, {linear: classes + 1, name: l}]\n")
    assert found.graph.params["classes"] == 6
    assert found.graph["l"].written == {}
    assert "nn.Linear(192, 3)" in netspec.to_source(found.graph)


BLOCKS = """
blocks:
  head:
    params: {n: int, hidden: 5}
    body: [flatten, {linear: hidden, name: a}, {linear: n, name: b}]
"""


@pytest.mark.parametrize(
    ("body", "classes", "argument"),
    [
        ("[{head: classes, name: h}]", 3, {"n": 3, "hidden": 5}),
        ("[{head: 6, name: h}]", 6, {"n": 3, "hidden": 5}),
        ("[{head: {n: classes, hidden: classes}, name: h}]", 6, {"n": 3, "hidden": 6}),
        ("[{head: 2 * classes, name: h}]", 6, {"n": 3, "hidden": 5}),
        # It decides what is there, and says the width as well.
        ("[{relu, when: classes > 9}, {head: classes, name: h}]", 6, {"n": 3, "hidden": 5}),
        ("[{relu, when: classes > 5}, {head: classes, name: h}]", 6, {"n": 3, "hidden": 5}),
        ("[{relu, repeat: classes}, {head: classes, name: h}]", 6, {"n": 3, "hidden": 5}),
    ],
)
def test_arguments_of_blocks(body: str, classes: int, argument: dict[str, int]) -> None:
    graph, found = made(f"{BLOCKS}network: {body}\n")
    assert found.graph.params == {"classes": classes, "width": 4}
    assert found.graph.scopes["h"].params == argument
    assert set(found.graph.scopes["h"].written) <= set(graph.scopes["h"].written)
    assert ("n" in found.graph.scopes["h"].written) == (classes == 3)
    assert set(found.graph["h.b"].written) == {"out_features"}
    assert ("classes" in arguments(found.graph)) == (classes == 3 or argument["hidden"] == classes)


def test_a_block_that_reads_its_argument_twice() -> None:
    body = "blocks: {head: {params: {n: int}, body: [flatten, {linear: n, name: a}, relu, {linear: n, name: b}]}}\n"
    _, found = made(body + "network: [{head: classes, name: h}]\n")
    assert found.graph.params["classes"] == 6
    assert found.graph.scopes["h"].params == {"n": 6}
    assert (found.graph["h.a"].type.features, found.graph["h.b"].type.features) == (6, 3)
    assert found.graph["h.b"].written == {}


def test_steps_that_a_block_was_given() -> None:
    body = (
        "blocks: {around: {params: {steps: body}, body: [flatten, {steps, name: s}]}}\n"
        "network: [{around: {steps: [{linear: classes, name: l}]}, name: a}]\n"
    )
    _, found = made(body)
    # They read the parameters of the place that they were written in.
    assert found.graph.params["classes"] == 3
    assert set(found.graph["a.s.l"].written) == {"out_features"}


def test_steps_that_a_block_of_the_same_parameter_was_given() -> None:
    body = (
        "blocks: {around: {params: {classes: int, steps: body}, body: [flatten, {steps, name: s}, linear: classes]}}\n"
        "network: [{around: {classes: 5, steps: [{linear: classes, name: l}]}, name: a}, relu, {linear: classes}]\n"
    )
    graph = netspec.loads(HEAD + body).graph
    found = replace_head(graph, 3).graph
    # The steps read the file's, which the new head can't have.
    assert found.params["classes"] == 6
    assert (found["a.linear"].op, found["a.s.l"].op) == (graph["a.linear"].op, graph["a.s.l"].op)


def test_a_network_within() -> None:
    text = """
netspec: 1
name: small
inputs: {image: [N, 3, 32, 32]}
network: [{network: {spec: resnet20_cifar, params: {n: 1, classes: 6}}, name: inner}, softmax]
"""
    graph = netspec.loads(text).graph
    found = replace_head(graph, 3).graph
    assert found.scopes["inner"].params == {"classes": 3, "n": 1}
    assert set(found.scopes["inner"].written) == set(graph.scopes["inner"].written) - {"classes"}
    assert set(found["inner.fc"].written) == {"out_features"}
    netspec.compile(found)(torch.randn(2, 3, 32, 32))


def test_initialisers_stay_but_for_lists() -> None:
    body = "network: [flatten, {linear: 3, name: l, init: {weight: xavier_uniform, bias: [1, 2, 3]}}]\n"
    _, found = made(body, 5)
    assert set(found.graph["l"].init) == {"weight"}


@pytest.mark.parametrize("build", [lambda b, x: b.add("linear", b.add("flatten", x), out_features=6)])
def test_a_graph_without_a_spec(build: Callable[[Builder, str], str]) -> None:
    b = Builder("built")
    b.output("out", build(b, b.input("image", ["N", 3, 4, 4])))
    assert str(replace_head(b.build(), 2).graph.types["linear"]) == "N x 2"
