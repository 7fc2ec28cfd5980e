"""`truncate_svd`: two layers for one, equal at full rank, and below it the nearest matrix of that rank."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import netspec
from netspec.errors import NetspecError
from netspec.graph import Builder, Graph
from netspec.passes import Transformed, fully_convolutional, strip_dropout, truncate_svd
from netspec.passes.truncate_svd import truncated_svd
from tests.support.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import torch
    from torch import Tensor

    from netspec.backends.pytorch.runtime.prove_transform import measure_transform
    from tests.passes.modules import assert_same, assert_whole, images, made_of, run, trained

HEADS = """
netspec: 1
name: heads
params: {hidden: 20}
inputs: {image: [N, 3, 8, 8]}
blocks:
  fc:
    params: {width: int}
    body: [linear: width, relu]
network:
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: conv}
  - {max_pool2d: 2, name: pool}
  - flatten
  - {fc: hidden, name: fc6}
  - dropout
  - {fc: hidden, name: fc7}
  - {fc: hidden, name: again, share: fc7}
  - {linear: 20, name: copies, repeat: 2}
  - {linear: 30, name: out}
outputs: {logits: out}
"""


@pytest.fixture(scope="module")
def heads() -> Graph:
    """Layers of more columns than rows, of as many, and of fewer; in blocks, shared, in copies and alone."""
    return netspec.loads(HEADS).graph


def low_rank(transformed: Transformed, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The old weights with the matrices that torch's own SVD cuts off at the ranks of the new layers."""
    state = dict(state)
    for key, derived in transformed.approximated.items():
        rank = transformed.graph.state()[derived.keys[1]].shape[0]
        u, s, v = torch.linalg.svd(state[key], full_matrices=False)
        state[key] = u[:, :rank] @ torch.diag(s[:rank]) @ v[:rank]
    return state


@pytest.mark.parametrize("ranks", [{"fc6": 20}, {"out": 20}, {"fc6": 20, "fc7": 20, "out": 20}])
def test_equal_at_full_rank(heads: Graph, ranks: dict[str, int]) -> None:
    before, made = trained(heads), truncate_svd(heads, ranks)
    assert_whole(made.graph)
    assert made.equal
    assert made.errors(before.state_dict()) == {}
    image = images(heads)
    assert_same(run(made_of(before, made), *image), run(before, *image))


def test_below_it_computes_with_the_nearest_matrices(heads: Graph) -> None:
    before, made = trained(heads), truncate_svd(heads, {"fc6": 7, "fc7": 3, "out": 5})
    assert not made.equal
    assert made.done == (
        "`fc6.linear` split at rank 7 of 20: 1,280 -> 588 weights",
        "`fc7.linear`, `again.linear` split at rank 3 of 20: 400 -> 120 weights",
        "`out` split at rank 5 of 20: 600 -> 250 weights",
    )
    image, after = images(heads), made_of(before, made)
    exact = run(before, *image)
    before.load_state_dict(low_rank(made, before.state_dict()))
    assert_same(run(after, *image), run(before, *image))
    assert not torch.allclose(run(before, *image)[0], exact[0], rtol=0.01)


def test_what_is_lost_are_the_singular_values_that_are_dropped(heads: Graph) -> None:
    state, ranks = trained(heads).state_dict(), {"fc6.linear": 7, "fc7.linear": 3, "out": 5}
    lost = truncate_svd(heads, ranks).errors(state)
    assert list(lost) == [f"{path}.weight" for path in ranks]
    for path, rank in ranks.items():
        values = torch.linalg.svdvals(state[f"{path}.weight"]) ** 2
        assert lost[f"{path}.weight"] == pytest.approx((values[rank:].sum() / values.sum()).sqrt().item(), rel=1e-9)


def test_the_factors_are_those_of_the_paper(heads: Graph) -> None:
    """The first is S V^T without bias, the second U with the old bias."""
    state, made = trained(heads).state_dict(), truncate_svd(heads, {"fc6": 7})
    new = made.weights(state)
    assert [key for key in new if key.startswith("fc6")] == [
        "fc6.linear_v.weight",
        "fc6.linear.weight",
        "fc6.linear.bias",
    ]
    u, s, v = torch.linalg.svd(state["fc6.linear.weight"], full_matrices=False)
    first, second = new["fc6.linear_v.weight"], new["fc6.linear.weight"]
    signs = torch.sign((u[:, :7] * second).sum(0))
    torch.testing.assert_close(second * signs, u[:, :7])
    torch.testing.assert_close(first * signs[:, None], s[:7, None] * v[:7])
    assert new["fc6.linear.bias"] is state["fc6.linear.bias"]


def test_parameters_and_macs_are_t_times_u_plus_v() -> None:
    graph = netspec.load("vgg_d").graph
    before, after = (
        netspec.summary(g)["totals"] for g in (graph, truncate_svd(graph, {"fc6": 1024, "fc7": 256}).graph)
    )
    saved = 4096 * 25088 - 1024 * (4096 + 25088) + 4096 * 4096 - 256 * (4096 + 4096)
    assert before["parameters"] - after["parameters"] == saved
    assert before["macs"] - after["macs"] == saved


def test_the_papers_own_network() -> None:
    """Fast R-CNN's layers stand in blocks of its head, and are named as the paper names them."""
    made = truncate_svd(netspec.load("fast_rcnn").graph, {"fc6": 1024, "fc7": 256})
    assert [key for key in made.derived if key.endswith("_v.weight")] == [
        "head.fc6.linear_v.weight",
        "head.fc7.linear_v.weight",
    ]


def test_names_blocks_and_sharing_stay(heads: Graph) -> None:
    made = truncate_svd(heads, {"fc6": 7, "again": 3})
    assert made.graph.scopes.keys() == heads.scopes.keys()
    assert [node.path for node in made.graph if node.path not in heads.by_path] == [
        "fc6.linear_v",
        "fc7.linear_v",
        "again.linear_v",
    ]
    assert made.graph["again.linear_v"].weights_of == "fc7.linear_v"
    text = netspec.to_yaml(made.graph)
    assert "- {linear: {out_features: out_features, bias: false}, name: linear_v}" in text
    assert "- {fc: {width: hidden, out_features: 3}, name: again, share: fc7}" in text


def test_a_name_that_is_taken_is_left_alone() -> None:
    body = "[{linear: 4, name: a}, {relu, name: a_v}, {linear: 3, name: b}]"
    graph = netspec.loads(f"netspec: 1\nname: taken\ninputs: {{x: [N, 5]}}\nnetwork: {body}").graph
    assert [node.path for node in truncate_svd(graph, {"a": 2}).graph] == ["a_v_2", "a", "a_v", "b"]


def test_how_layers_begin() -> None:
    """Both follow the rule of the matrix; lists and constants, which say nothing of factors, are gone."""
    text = """
netspec: 1
name: begun
inputs: {x: [N, 6]}
network:
  - {linear: 5, name: a, init: {weight: xavier_uniform, bias: 1}}
  - {linear: 4, name: b, init: {weight: 0.5, bias: 2}}
"""
    made = truncate_svd(netspec.loads(text).graph, {"a": 2, "b": 2})
    assert {node.path: [*node.init] for node in made.graph} == {
        "a_v": ["weight"],
        "a": ["weight", "bias"],
        "b_v": [],
        "b": ["bias"],
    }


def test_it_follows_other_passes_and_is_followed(heads: Graph) -> None:
    before = trained(heads)
    made = strip_dropout(heads).then(truncate_svd, {"fc6": 7})
    whole = made.then(strip_dropout)
    assert not whole.equal
    state = before.state_dict()
    assert whole.errors(state) == made.errors(state) != {}
    image = images(heads)
    assert_same(run(made_of(before, whole), *image), run(made_of(before, made), *image))


def test_split_layers_slide_over_larger_images(heads: Graph) -> None:
    before, image, made = trained(heads), images(heads), truncate_svd(heads, {"fc6": 7, "out": 5})
    dense = made.then(fully_convolutional)
    assert [dense.graph[f"fc6.linear{end}"].op.label() for end in ("_v", "")] == ["4x4 conv, 7", "1x1 conv, 20"]
    assert_same([run(made_of(before, dense), *image)[0].flatten(1)], run(made_of(before, made), *image))


def test_each_decomposition_is_computed_once(heads: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    eigh = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: calls.append(len(matrix)) or eigh(matrix))
    truncate_svd(heads, {"fc6": 7, "out": 5}).weights(trained(heads).state_dict())
    assert calls == [20, 20]


def test_no_layers_is_no_change(heads: Graph) -> None:
    made = truncate_svd(heads, {})
    assert (made.done, made.equal, str(made.graph)) == ((), True, str(heads))


# The factors themselves.


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40), (1, 9), (9, 1)])
@pytest.mark.parametrize("library", ["torch", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_tensors_and_arrays(library: str, dtype: str, shape: tuple[int, int]) -> None:
    matrix: Any = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    rank = min(shape) // 2 + 1
    u, s, v = np.linalg.svd(matrix.astype("float64"), full_matrices=False)
    best = (u[:, :rank] * s[:rank]) @ v[:rank]
    first, second = truncated_svd(torch.from_numpy(matrix) if library == "torch" else matrix, rank)
    for factor in (first, second):
        assert str(factor.dtype).removeprefix("torch.") == dtype
        assert factor.is_contiguous() if library == "torch" else factor.flags.c_contiguous
    assert (tuple(first.shape), tuple(second.shape)) == ((rank, shape[1]), (shape[0], rank))
    product = np.asarray(second).astype("float64") @ np.asarray(first).astype("float64")
    assert np.abs(product - best).max() < 100 * np.finfo(dtype).eps * np.abs(best).max()


@pytest.mark.parametrize("shape", [(8, 12), (12, 8)])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_matrices_of_lower_rank_than_asked_for(shape: tuple[int, int], scale: float) -> None:
    """The factors of a singular matrix are finite, and their product is the matrix."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape[0], 2, generator=generator) @ torch.randn(2, shape[1], generator=generator) * scale
    for weight in (matrix, torch.zeros(shape)):
        first, second = truncated_svd(weight, 6)
        torch.testing.assert_close(second @ first, weight, rtol=0, atol=1e-5 * weight.abs().max().item())


def test_a_zero_matrix_loses_nothing(heads: Graph) -> None:
    state = trained(heads).state_dict()
    state["out.weight"].zero_()
    assert truncate_svd(heads, {"out": 5}).errors(state) == {"out.weight": 0.0}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(heads: Graph, value: float) -> None:
    state = trained(heads).state_dict()
    state["out.weight"][3, 2] = value
    with pytest.raises(NetspecError, match="NS501: a matrix with numbers that are not finite has no singular value"):
        truncate_svd(heads, {"out": 5}).weights(state)


# Names and ranks that are wrong.


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        ({"fc9": 3}, "NS209: `heads` has no linear layer `fc9`\n   help: did you mean `fc7`?"),
        ({"fc": 3}, "NS209: `heads` has no linear layer `fc`\n   help: it is a block, used as `fc6`, `fc7`, `again`"),
        ({"linear": 3}, "NS209: `linear` is 3 linear layers\n   help: name one of `fc6.linear`, `fc7.linear`, "),
        ({"copies": 3}, "NS209: `copies` is 2 linear layers\n   help: name one of `copies.0`, `copies.1`"),
        (
            {"conv": 3},
            "NS401: `conv` is no linear layer, and has none in it\n   help: linear layers are `fc6.linear`, ",
        ),
        ({"relu": 3}, "NS401: `relu` is no linear layer, and has none in it"),
        ({"fc7": 3, "again": 3}, "NS210: `fc7` and `again` have the same weights: name one of them"),
        ({"fc6": 3, "fc6.linear": 3}, "NS210: `fc6` and `fc6.linear` have the same weights: name one of them"),
        ({"fc6": 0}, "NS206: the rank of `fc6`, a matrix of 20 x 64, is an integer from 1 to 20, not 0"),
        ({"fc6": 21}, "NS206: the rank of `fc6`, a matrix of 20 x 64, is an integer from 1 to 20, not 21"),
        ({"out": 21}, "NS206: the rank of `out`, a matrix of 30 x 20, is an integer from 1 to 20, not 21"),
        ({"fc6": 2.0}, "NS206: the rank of `fc6`, a matrix of 20 x 64, is an integer from 1 to 20, not 2.0"),
        ({"fc6": True}, "NS206: the rank of `fc6`, a matrix of 20 x 64, is an integer from 1 to 20, not True"),
        ({"copies.0": 3}, "NS401: `copies.0` can't be split: each copy of a repeat is one step"),
    ],
)
def test_what_is_wrong_is_said(heads: Graph, ranks: dict[str, Any], said: str) -> None:
    with pytest.raises(NetspecError) as caught:
        truncate_svd(heads, ranks)
    assert said in str(caught.value)


def tied(b: Builder) -> str:
    words = b.add("embedding", b.input("words", ["N", 4], "int64"), name="words_in", num_embeddings=9, embedding_dim=6)
    return b.add("linear", words, name="head", out_features=9, bias=False, weights_of="words_in")


def no_linear(b: Builder) -> str:
    return b.add("relu", b.input("x", ["N", 4]))


@pytest.mark.parametrize(
    ("build", "name", "said"),
    [
        (tied, "head", "NS401: `head` can't be split: `words_in` has its weights, and is no linear layer"),
        (no_linear, "fc", "NS209: `other` has no linear layer `fc`\n   help: `other` has none"),
    ],
)
def test_other_graphs(build: Callable[[Builder], str], name: str, said: str) -> None:
    builder = Builder("other")
    builder.output("y", build(builder))
    with pytest.raises(NetspecError) as caught:
        truncate_svd(builder.build(), {name: 2})
    assert said in str(caught.value)


DETECTOR = """
netspec: 1
name: detector
inputs: {x: {shape: [R, 12], nominal: {R: 30}}, rois: [R, 5], image: [1, 3, 40, 60]}
network:
  - {linear: 4, from: x, name: logits}
  - {linear: 16, from: x, name: deltas}
  - {detections: {score_thresh: 0, nms_thresh: 1}, from: [rois, logits, deltas, image], name: found}
outputs: {logits: logits, labels: found.labels}
"""


def test_another_number_of_detections_is_told() -> None:
    graph = netspec.loads(DETECTOR).graph
    transformed = truncate_svd(graph, {"logits": 1})
    state = trained(graph).state_dict()
    told = measure_transform(graph, transformed, graph.outputs, state, transformed.weights(state))
    numbers = re.search(r"inputs: outputs differ by up to \de-\d+ of .*; `labels` is (\d+), and was (\d+)$", told)
    assert numbers
    assert numbers[1] != numbers[2]
