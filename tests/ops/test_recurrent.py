"""Recurrent layers beyond their examples: states and lengths, in torch and in ONNX, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

import netspec
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import OPSETS
from tests.support.contract import named_op as op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import onnx
    import onnxruntime
    import torch

    from netspec.backends.onnx.imported import import_model
    from netspec.backends.onnx.lower import lower
    from tests.ops.onnx_models import by_torch, check, graph_of, model_for, runtime, same

STATES = {"rnn": 1, "lstm": 2, "gru": 1}
BATCH, LONGEST = 4, 7


def inputs_of(name: str, layers: int, hidden: int, *, states: bool, lengths: bool) -> tuple[Tensor, ...]:
    """The types of the inputs of a layer: sequences, and states or lengths."""
    state = Tensor((layers, BATCH, hidden))
    last = (Tensor((BATCH,), "int64"),) if lengths else ()
    return (Tensor((BATCH, LONGEST, 3)), *[state] * (STATES[name] if states else 0), *last)


def values_of(xs: tuple[Tensor, ...]) -> list[Any]:
    """Random numbers, and lengths from 1 to the longest, which occurs."""
    values = [torch.randn(x.shape) for x in xs]
    if xs[-1].dtype == "int64":
        values[-1] = torch.tensor([4, LONGEST, 1, 6])
    return values


# Lengths.


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("name", STATES)
def test_each_sequence_of_a_padded_batch_is_as_it_is_alone(name: str, states: bool) -> None:
    """In both directions: a reversed pass begins at the last element of its sequence, and not in the padding."""
    torch.manual_seed(0)
    made = op(name, hidden_size=5, num_layers=2, bidirectional=True, lengths=True)
    xs = inputs_of(name, 4, 5, states=states, lengths=True)
    right = by_torch(made, xs)
    unpadded = op(name, hidden_size=5, num_layers=2, bidirectional=True)
    alone = by_torch(unpadded, xs[:-1])
    for key, weight in alone.weights.items():
        weight.copy_(right.weights[key])
    x, *begin, lengths = values_of(xs)
    output, *ends = right(x, *begin, lengths)
    for n, length in enumerate(lengths.tolist()):
        own, *own_ends = alone(x[n : n + 1, :length], *[state[:, n : n + 1] for state in begin])
        np.testing.assert_allclose(output[n : n + 1, :length], own, atol=1e-5)
        assert not output[n, length:].any()
        for end, own_end in zip(ends, own_ends, strict=True):
            np.testing.assert_allclose(end[:, n : n + 1], own_end, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_recurrence_is_its_equation(reverse: bool) -> None:
    """Each sequence alone, step by step, in NumPy."""
    torch.manual_seed(0)
    xs = (Tensor((BATCH, LONGEST, 3)), Tensor((BATCH, 3)), Tensor((BATCH,), "int64"))
    right = by_torch(op("recurrence", lengths=True, reverse=reverse), xs)
    w, b = (right.weights[f"node.{name}"].detach().numpy() for name in ("weight", "bias"))
    x, begin, lengths = values_of(xs)
    output, last = right(x, begin, lengths)
    for n, length in enumerate(lengths.tolist()):
        h = begin[n].numpy()
        for t in reversed(range(length)) if reverse else range(length):
            h = np.maximum(0, x[n, t].numpy() + w @ h + b)
            np.testing.assert_allclose(output[n, t], h, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(last[n], h, rtol=1e-4, atol=1e-5)
        assert not output[n, length:].any()


@pytest.mark.parametrize("name", [*STATES, "recurrence"])
def test_a_sequence_in_steps_is_the_whole(name: str) -> None:
    """States in and out: with T = 1 the layer is a step of decoding."""
    torch.manual_seed(0)
    attributes = {} if name == "recurrence" else {"hidden_size": 3}
    state = Tensor((BATCH, 3)) if name == "recurrence" else Tensor((1, BATCH, 3))
    xs = (Tensor((BATCH, LONGEST, 3)), *[state] * STATES.get(name, 1))
    right = by_torch(op(name, **attributes), xs)
    x, *states = values_of(xs)
    whole, *ends = right(x, *states)
    steps: list[Any] = []
    for t in range(LONGEST):
        y, *given = right(x[:, t : t + 1], *states)
        states = [torch.from_numpy(state) for state in given]
        steps.append(y)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, rtol=1e-5, atol=1e-5)
    for end, state in zip(ends, states, strict=True):
        np.testing.assert_allclose(end, state, rtol=1e-5, atol=1e-5)


# ONNX.


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("name", STATES)
def test_onnx_with_states_and_lengths(name: str, states: bool, lengths: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    rng = Random(f"{name}{states}{lengths}")
    for number in range(6):
        layers, both, hidden = rng.choice([1, 2, 3]), rng.choice([False, True]), rng.choice([1, 4])
        options = {
            "hidden_size": hidden,
            "num_layers": layers,
            "bidirectional": both,
            "bias": rng.choice([True, False]),
        }
        xs = inputs_of(name, layers * (1 + both), hidden, states=states, lengths=lengths)
        made = op(name, **options, lengths=lengths)
        graph, right, values = graph_of(made, xs), by_torch(made, xs), values_of(xs)
        model = model_for(graph, right.weights, tmp_path, OPSETS[number % 2])
        check(model, graph)
        same(runtime(model)(values), right(*values))


def test_lengths_beyond_the_sequence_are_its_length(tmp_path: Path) -> None:
    """ONNX Runtime alone would refuse them; torch does."""
    torch.manual_seed(0)
    xs = inputs_of("gru", 2, 4, states=False, lengths=True)
    made = op("gru", hidden_size=4, bidirectional=True, lengths=True)
    right, (x, lengths) = by_torch(made, xs), values_of(xs)
    run = runtime(model_for(graph_of(made, xs), right.weights, tmp_path, OPSETS[0]))
    same(run([x, lengths + 10 * (lengths == LONGEST)]), right(x, lengths))


def test_models_hold_the_weights_as_onnx_has_them() -> None:
    """One node of a layer, and three initializers, with no nodes that would put them together at each run."""
    xs = (Tensor((2, 5, 3)),)
    lowered = lower(graph_of(op("lstm", hidden_size=4, num_layers=2, bidirectional=True), xs))
    kinds = [node.op_type for node in lowered.nodes]
    layer = ["LSTM", "Transpose", "Reshape"]
    assert kinds == ["Transpose", *layer, *layer, "Concat", "Concat"]
    assert {key: weight.shape for key, weight in lowered.weights.items()} == {
        "node.W_l0": (2, 16, 3),
        "node.R_l0": (2, 16, 4),
        "node.B_l0": (2, 32),
        "node.W_l1": (2, 16, 8),
        "node.R_l1": (2, 16, 4),
        "node.B_l1": (2, 32),
    }


BOTH = """
netspec: 1
name: both
inputs: {x: [N, T, 6], lengths: {shape: [N], dtype: int64}}
network:
  - {lstm: {hidden_size: 3, bidirectional: true, lengths: true}, from: [x, lengths], name: words}
  - {lstm: {hidden_size: 3, bidirectional: true, lengths: true}, from: [words, lengths], name: again, share: words}
  - {recurrence: {reverse: true, lengths: true}, from: [again, lengths], name: last}
outputs: {y: last, state: last.h_n}
"""


@pytest.mark.parametrize("fp16", [False, True])
def test_a_model_can_be_imported_again(fp16: bool, tmp_path: Path) -> None:
    """Its weights are the module's, although ONNX has their gates in another order, and shares them."""
    torch.manual_seed(0)
    net = netspec.loads(BOTH)
    module, file = net.compile(), tmp_path / "both.onnx"
    net.to_onnx(file, module, fp16=fp16)
    imported = import_model(file)
    assert [node.op for node in imported.graph.nodes] == [node.op for node in net.graph.nodes]
    state = module.state_dict()
    assert imported.weights.keys() == state.keys()
    for key, weight in imported.weights.items():
        np.testing.assert_allclose(weight.astype("float32"), state[key].numpy(), rtol=1e-3 if fp16 else 0)
    x, lengths = torch.randn(3, 5, 6), torch.tensor([5, 2, 3])
    found = onnxruntime.InferenceSession(str(file)).run(None, {"x": x.numpy(), "lengths": lengths.numpy()})
    for y, right in zip(found, module(x, lengths), strict=True):
        np.testing.assert_allclose(y, right.detach().numpy(), atol=1e-2 if fp16 else 1e-5)
    assert len([t for t in onnx.load(file).graph.initializer if t.name.startswith("words.")]) == 3


# What they refuse.

X = Tensor((4, 7, 3))
STATE = Tensor((1, 4, 5))
COUNTS = Tensor((4,), "int64")


@pytest.mark.parametrize(
    ("name", "attributes", "xs", "code", "at", "message"),
    [
        ("rnn", {}, (Tensor((4, 3)),), "NS302", "", "`rnn` takes (N, T, features), 3 axes, and its input is 4 x 3"),
        ("gru", {}, (Tensor((4, 7, 3), "int64"),), "NS302", "", "`gru` takes floats, and its input is int64"),
        ("lstm", {}, (X, STATE), "NS302", "", "`lstm` takes [x] or [x, h, c], and has 2 inputs"),
        (
            "lstm",
            {"lengths": True},
            (X, STATE, COUNTS),
            "NS302",
            "lengths",
            "`lstm` takes [x, lengths] or [x, h, c, lengths], and has 3 inputs",
        ),
        ("gru", {"lengths": True}, (X,), "NS302", "lengths", "`gru` takes [x, lengths] or [x, h, lengths], and has 1"),
        ("gru", {}, (X, COUNTS), "NS301", "", "a state of `gru` is (layers, N, hidden), here 1 x 4 x 5, not 4"),
        (
            "rnn",
            {"num_layers": 2},
            (X, STATE),
            "NS301",
            "",
            "a state of `rnn` is (layers, N, hidden), here 2 x 4 x 5, not 1 x 4 x 5",
        ),
        (
            "rnn",
            {},
            (X, Tensor((1, 4, 5), "float64")),
            "NS301",
            "",
            "a state of `rnn` is (layers, N, hidden), here 1 x 4 x 5 of float32, not float64",
        ),
        (
            "rnn",
            {"lengths": True},
            (X, Tensor((4,))),
            "NS302",
            "lengths",
            "`lengths` of `rnn` are int64, one for each of 4 sequences, not 4 of float32",
        ),
        (
            "lstm",
            {"lengths": True},
            (X, Tensor((3,), "int64")),
            "NS302",
            "lengths",
            "`lengths` of `lstm` are int64, one for each of 4 sequences, not 3 of int64",
        ),
        ("recurrence", {}, (X, Tensor((4, 5))), "NS301", "", "a state of `recurrence` is (N, features), here 4 x 3"),
    ],
)
def test_misuse(name: str, attributes: Any, xs: tuple[Tensor, ...], code: str, at: str, message: str) -> None:
    size = {} if name == "recurrence" else {"hidden_size": 5}
    with pytest.raises(RuleError) as raised:
        op(name, **size, **attributes).infer(*xs)
    assert (raised.value.code, raised.value.at) == (code, at)
    assert raised.value.message.startswith(message)


def test_lengths_without_the_attribute_are_explained() -> None:
    text = BOTH.replace("bidirectional: true, lengths: true", "bidirectional: true")
    with pytest.raises(netspec.NetspecError, match="`lengths: true` takes the length of each sequence as the last"):
        netspec.loads(text)


# The source.


def test_the_source_is_what_a_person_writes() -> None:
    source = netspec.loads(BOTH).to_source()
    assert "words = nn.LSTM(6, 3, bidirectional=True, batch_first=True)" in source
    assert source.count("def run_packed(") == source.count("class Recurrence(nn.Module):") == 1
    assert "self.last = Recurrence(6, reverse=True)" in source


DECODER = """
netspec: 1
name: decoder
inputs: {tokens: {shape: [N, T], dtype: int64, nominal: {T: 1}}, h: [2, N, 8], c: [2, N, 8]}
blocks:
  cell:
    params: {width: int}
    inputs: [x, h, c]
    outputs: {y: rnn, h: rnn.h_n, c: rnn.c_n}
    body:
      - {lstm: {hidden_size: width, num_layers: 2}, from: [x, h, c], name: rnn}
network:
  - {embedding: {num_embeddings: 9, embedding_dim: 8}, from: tokens, name: words}
  - {cell: 8, from: [words, h, c], name: one}
  - {linear: {out_features: 9, bias: false}, from: one.y, name: scores, share: words}
outputs: {scores: scores, h_next: one.h, c_next: one.c}
"""


def test_a_block_says_where_its_states_have_the_batch() -> None:
    source = netspec.loads(DECODER).to_source()
    said = " ".join(source.partition("class Cell(nn.Module):")[2].split('"""')[1].split())
    assert said == "Maps (N, L, x_features) and (2, N, 8) and (2, N, 8) to (N, L, 8) and (2, N, 8) and (2, N, 8)."
    assert "output, (h_n, c_n) = self.rnn(x, (h, c))" in source


def test_a_decoder_in_steps_is_the_whole_in_onnx_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, file = netspec.loads(DECODER), tmp_path / "decoder.onnx"
    module = net.compile().eval()
    net.to_onnx(file, module)
    session = onnxruntime.InferenceSession(str(file))
    tokens, h, c = torch.randint(0, 9, (3, 5)), torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    with torch.no_grad():
        whole = module(tokens, h, c)
    state = {"h": h.numpy(), "c": c.numpy()}
    for t in range(5):
        scores, *ends = session.run(None, {"tokens": tokens[:, t : t + 1].numpy(), **state})
        np.testing.assert_allclose(scores[:, 0], whole.scores[:, t].numpy(), rtol=1e-4, atol=1e-5)
        state = dict(zip(state, ends, strict=True))
    np.testing.assert_allclose(state["c"], whole.c_next.numpy(), rtol=1e-4, atol=1e-5)


# Torch's compilers.


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*STATES, "recurrence"])
def test_it_compiles(name: str) -> None:
    """Dynamo takes no RNN of torch's into a full graph: it breaks the graph there. Our recurrence it does."""
    torch.manual_seed(0)
    step = name if name == "recurrence" else f"{name}: 6"
    text = f"netspec: 1\nname: one\ninputs: {{x: [N, T, 6]}}\nnetwork: [{{{step}, name: r}}]\n"
    module = netspec.loads(f"{text}outputs: {{y: r, h: r.h_n}}\n").compile().eval()
    compiled = torch.compile(module, fullgraph=name == "recurrence", backend="aot_eager")
    x = torch.randn(2, 5, 6)
    for y, right in zip(compiled(x), module(x), strict=True):
        torch.testing.assert_close(y, right)


@pytest.mark.filterwarnings("ignore")
def test_it_exports_with_an_open_batch() -> None:
    """The length is fixed, as torch.export does with a loop over time; an ONNX model of ours has it open."""
    module = (
        netspec.loads("netspec: 1\nname: one\ninputs: {x: [N, T, 6]}\nnetwork: [{gru: 4, name: r}]\n").compile().eval()
    )
    batch = torch.export.Dim("N", min=2, max=64)
    exported = torch.export.export(module, (torch.randn(3, 5, 6),), dynamic_shapes={"x": {0: batch}})
    x = torch.randn(7, 5, 6)
    torch.testing.assert_close(exported.module()(x)[0], module(x)[0])
