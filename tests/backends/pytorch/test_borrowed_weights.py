"""Ops with the weights of a layer of another kind: what is printed, and what it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.graph.model import Node
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, Example, Op
from netspec.types import Layer
from tests.support.lazy import lazy_imports
from tests.support.round_trip import round_trip

with lazy_imports():
    import torch

    from netspec.backends.onnx.export import export
    from netspec.backends.pytorch.runtime.prove import prove_module
    from tests.support.contract import random
    from tests.support.interpret import assert_means, example_inputs, outputs_of, randomize
    from tests.support.printed import made, meaning

Step = tuple[str, dict[str, Any]]

CASES: dict[str, tuple[list[Any], list[Step], str]] = {
    "transposed": (
        [4, 8, 8],
        [
            ("conv2d", {"out_channels": 6, "kernel_size": 3, "stride": 2, "padding": 1}),
            ("conv_transpose2d", {"out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1, "bias": False}),
        ],
        "nn.functional.conv_transpose2d(x, self.owner.weight, stride=2, padding=1)",
    ),
    "transposed in groups": (
        [4, 8, 8],
        [
            ("conv2d", {"out_channels": 6, "kernel_size": [3, 2], "groups": 2, "bias": False}),
            (
                "conv_transpose2d",
                {
                    "out_channels": 4,
                    "kernel_size": [3, 2],
                    "groups": 2,
                    "stride": [2, 1],
                    "output_padding": [1, 0],
                    "bias": False,
                    "dilation": 2,
                },
            ),
        ],
        "output_padding=(1, 0)",
    ),
    "and back": (
        [4, 8, 8],
        [
            ("conv_transpose2d", {"out_channels": 6, "kernel_size": 3, "bias": False}),
            ("conv2d", {"out_channels": 4, "kernel_size": 3, "bias": False}),
        ],
        "nn.functional.conv2d(x, self.owner.weight)",
    ),
    "transposed along one axis": (
        [4, 9],
        [
            ("conv1d", {"out_channels": 6, "kernel_size": 3, "stride": 2, "padding": 1}),
            ("conv_transpose1d", {"out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 1, "bias": False}),
        ],
        "nn.functional.conv_transpose1d(x, self.owner.weight, stride=2, padding=1)",
    ),
    "transposed along three axes": (
        [4, 3, 5, 4],
        [
            ("conv3d", {"out_channels": 6, "kernel_size": [1, 3, 2], "bias": False}),
            ("conv_transpose3d", {"out_channels": 4, "kernel_size": [1, 3, 2], "stride": [1, 2, 1], "bias": False}),
        ],
        "nn.functional.conv_transpose3d(x, self.owner.weight, stride=(1, 2, 1))",
    ),
    "padded along three axes": (
        [4, 3, 5, 4],
        [
            ("conv3d", {"out_channels": 4, "kernel_size": 3, "padding": 1, "bias": False}),
            (
                "conv3d",
                {
                    "out_channels": 4,
                    "kernel_size": 3,
                    "padding": [2, 0, 1],
                    "padding_mode": "replicate",
                    "bias": False,
                },
            ),
        ],
        'nn.functional.pad(x, (1, 1, 0, 0, 2, 2), mode="replicate")',
    ),
    "another stride": (
        [4, 8, 8],
        [
            ("conv2d", {"out_channels": 4, "kernel_size": 3, "padding": 1}),
            ("conv2d", {"out_channels": 4, "kernel_size": 3, "padding": 1, "stride": 2}),
        ],
        "nn.functional.conv2d(x, self.owner.weight, self.owner.bias, stride=2, padding=1)",
    ),
    "without the bias": (
        [4, 8, 8],
        [
            ("conv2d", {"out_channels": 4, "kernel_size": 3}),
            ("conv2d", {"out_channels": 4, "kernel_size": 3, "bias": False, "padding": "same"}),
        ],
        'nn.functional.conv2d(x, self.owner.weight, padding="same")',
    ),
    "padded by reflection": (
        [4, 8, 8],
        [
            ("conv2d", {"out_channels": 4, "kernel_size": 3}),
            ("conv2d", {"out_channels": 4, "kernel_size": 3, "padding": [1, 2], "padding_mode": "reflect"}),
        ],
        'nn.functional.pad(x, (2, 2, 1, 1), mode="reflect")',
    ),
    "the same size, circular": (
        [4, 8, 8],
        [
            ("conv2d", {"out_channels": 4, "kernel_size": 4}),
            ("conv2d", {"out_channels": 4, "kernel_size": 4, "padding": "same", "padding_mode": "circular"}),
        ],
        'nn.functional.pad(x, (1, 2, 1, 2), mode="circular")',
    ),
    "linear": (
        [6],
        [("linear", {"out_features": 6}), ("linear", {"out_features": 6, "bias": False})],
        "nn.functional.linear(x, self.owner.weight)",
    ),
    "batch norm": (
        [6, 4, 4],
        [("batch_norm", {}), ("batch_norm", {"eps": 0.1, "momentum": 0.3})],
        "training=self.owner.training",
    ),
    "batch norm of the batch": (
        [6, 4, 4],
        [("batch_norm", {}), ("batch_norm", {"track_running_stats": False})],
        "nn.functional.batch_norm(x, None, None, self.owner.weight, self.owner.bias, training=True)",
    ),
    "batch norm without weights": (
        [6, 4, 4],
        [("batch_norm", {}), ("batch_norm", {"affine": False})],
        "self.owner.running_var, None, None, training=self.owner.training",
    ),
    "layer norm": (
        [5, 6],
        [("layer_norm", {}), ("layer_norm", {"eps": 0.1, "bias": False})],
        "nn.functional.layer_norm(x, (6,), self.owner.weight, None, eps=0.1)",
    ),
    "rms norm": (
        [5, 6],
        [("rms_norm", {}), ("rms_norm", {"eps": 0.1})],
        "nn.functional.rms_norm(x, (6,), self.owner.weight, eps=0.1)",
    ),
    "instance norm": (
        [6, 4, 4],
        [("instance_norm", {"affine": True}), ("instance_norm", {"affine": True, "eps": 0.1})],
        "x, weight=self.owner.weight, bias=self.owner.bias, eps=0.1",
    ),
    "group norm": (
        [6, 4, 4],
        [("group_norm", {"num_groups": 3}), ("group_norm", {"num_groups": 2})],
        "nn.functional.group_norm(x, 2, self.owner.weight, self.owner.bias)",
    ),
    "prelu of a norm": (
        [6, 4, 4],
        [("group_norm", {"num_groups": 3}), ("prelu", {"num_parameters": 6})],
        "nn.functional.prelu(x, self.owner.weight)",
    ),
}


def graph_of(shape: list[Any], steps: list[Step], *, between: bool = True) -> netspec.Graph:
    (first, given), (second, others) = steps
    b = netspec.Builder("borrowing")
    x = b.add(first, b.input("image", ["N", *shape]), name="owner", **given)
    x = b.add("sigmoid", x) if between else x
    b.output("y", b.add("relu", b.add(second, x, name="borrower", weights_of="owner", **others)))
    return b.build()


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_computes_what_the_graph_says(name: str, tmp_path: Path) -> None:
    shape, steps, said = CASES[name]
    graph = graph_of(shape, steps)
    source = netspec.to_source(graph)
    flat = "".join(source.split()).replace("self.owner(image)", "x").replace("self.sigmoid(x)", "x").replace(",)", ")")
    assert "".join(said.split()).replace(",)", ")") in flat
    assert "self.borrower" not in source
    prove_module(graph, source)
    module = netspec.compile(graph)
    assert_means(graph, module)
    pytest.importorskip("onnxruntime")
    state = {key: value.numpy() for key, value in module.state_dict().items()}
    export(graph, state, tmp_path / "m.onnx")
    (image,) = example_inputs(graph)
    (wanted,) = outputs_of(module, [image])
    found = netspec.Session(tmp_path / "m.onnx").run(image.numpy())
    torch.testing.assert_close(torch.as_tensor(next(iter(found.values()))), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("train", [False, True])
def test_batch_norms_that_share_statistics_update_them(train: bool) -> None:
    graph = graph_of([6, 4, 4], [("batch_norm", {}), ("batch_norm", {"eps": 0.1, "momentum": 0.3})])
    module = netspec.compile(graph).train(train)
    randomize(module)
    owner = torch.nn.BatchNorm2d(6)
    owner.load_state_dict({k.removeprefix("owner."): v for k, v in module.state_dict().items()})
    owner.train(train)
    x = torch.randn(3, 6, 4, 4)
    found = module(x)
    middle = owner(x).sigmoid()
    other = torch.nn.BatchNorm2d(6, eps=0.1, momentum=0.3).train(train)
    other.load_state_dict(owner.state_dict())
    torch.testing.assert_close(found, other(middle).relu())
    torch.testing.assert_close(module.get_buffer("owner.running_mean"), other.running_mean)


def test_a_deconvnet_of_stages() -> None:
    """The owner stands in copies and blocks below the body that borrows."""
    spec = netspec.loads(
        "netspec: 1\nname: stages\ninputs: {image: [N, 3, 16, 16]}\n"
        "blocks: {stage: {params: {width: int}, body: [{conv2d: {out_channels: width, kernel_size: 3}}, relu]}}\n"
        "network:\n  - {stage: 8, name: layer, repeat: 3}\n"
        "  - {conv2d: {out_channels: 8, kernel_size: 3, bias: false}}\n"
    ).graph

    def visit(editor: Any, node: Any, inputs: tuple[str, ...]) -> str:
        if node.path != "conv2d":
            return editor.keep(node, inputs)
        op = REGISTRY["conv_transpose2d"].model_validate({"out_channels": 8, "kernel_size": (3, 3), "bias": False})
        return editor.keep(node, inputs, op=op, weights_of="layer.1.conv2d", written={})

    graph = rebuild(spec, visit)
    source = netspec.to_source(graph)
    assert "self.layer[1].conv2d.weight" in source
    prove_module(graph, source)
    assert_means(graph, netspec.compile(graph))


def test_a_borrower_in_a_block_of_its_own_is_refused() -> None:
    b = netspec.Builder("apart")
    x = b.add("linear", b.input("x", ["N", 4]), name="owner", out_features=4)
    with b.scope("block"):
        x = b.add("linear", x, name="borrower", weights_of="owner", out_features=4, bias=False)
    b.output("y", x)
    with pytest.raises(netspec.NetspecError, match=r"NS401: `block.borrower` is another op than `owner`"):
        netspec.to_source(b.build())


@pytest.mark.parametrize("name", CASES)
def test_a_spec_says_it(name: str) -> None:
    shape, steps, _ = CASES[name]
    graph = graph_of(shape, steps)
    assert "share: owner" in netspec.to_yaml(graph)
    round_trip(graph)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("conv2d", {"kernel_size": 3}), ("conv2d", {"kernel_size": 5}), r"NS302: the weights of `owner` do not fit"),
        (("conv2d", {"kernel_size": 3, "bias": False}), ("conv2d", {"kernel_size": 3}), "no weight `bias`"),
        (("conv2d", {"kernel_size": 3}), ("relu", {}), "`relu` has none"),
        (("batch_norm", {}), ("batch_norm", {"momentum": None}), "NS401: `borrower`: .*no rule"),
    ],
)
def test_weights_that_do_not_fit(first: Step, second: Step, said: str) -> None:
    ways = [{**a, **({"out_channels": 4} if name == "conv2d" else {})} for name, a in (first, second)]
    with pytest.raises(netspec.NetspecError, match=said):
        graph_of([4, 8, 8], [(first[0], ways[0]), (second[0], ways[1])])


def test_an_owner_that_is_not_there() -> None:
    b = netspec.Builder("nobody")
    x = b.input("x", ["N", 4])
    x = b.add("linear", x, name="first", out_features=4)
    with pytest.raises(
        netspec.NetspecError, match=r"NS209: no node before `second` is called `frst`.*\n.*did you mean"
    ):
        b.add("linear", x, name="second", weights_of="frst", out_features=4)
    with pytest.raises(netspec.NetspecError, match="NS209"):
        b.add("linear", x, name="third", weights_of="x", out_features=4)


def test_the_owner_of_an_owner() -> None:
    b = netspec.Builder("three")
    x = b.input("x", ["N", 4])
    x = b.add("linear", x, name="first", out_features=4)
    x = b.add("linear", x, name="second", weights_of="first", out_features=4)
    b.output("y", b.add("linear", x, name="third", weights_of="second", out_features=4))
    graph = b.build()
    assert graph["third"].weights_of == "first"
    assert list(graph.state()) == ["first.weight", "first.bias"]
    assert_means(graph, netspec.compile(graph))


def examples() -> list[Any]:
    return [
        pytest.param(cls, example, id=f"{name}-{number}")
        for name, cls in REGISTRY.items()
        if cls.borrowed is not Op.borrowed and cls.__module__.startswith("netspec.")
        for number, example in enumerate(cls.examples)
    ]


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize(("cls", "example"), examples())
@pytest.mark.parametrize("train", [False, True])
def test_the_expression_is_the_module(cls: type[Op], example: Example, train: bool) -> None:
    """What an op says of itself with another's weights is what it is with its own."""
    op, _ = make_op(cls, dict(example.attributes))
    assert op is not None
    code, printed = op.borrowed(*example.types), op.torch(*example.types)
    assert isinstance(printed, Layer)
    if code is None:
        assert example.attributes == {"momentum": None}
        return
    layers = [made(printed).train(train) for _ in range(2)]
    randomize(layers[0])
    layers[1].load_state_dict(layers[0].state_dict())
    values = random(example.types)
    torch.testing.assert_close(meaning(code, layers[0])(*values), meaning(printed, layers[1])(*values))
    for name, tensor in layers[0].state_dict().items():
        # The module counts batches, which nothing but a mean of all of them reads.
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(tensor, layers[1].state_dict()[name])


def two_uses() -> netspec.Graph:
    b = netspec.Builder("two")
    x = b.input("x", ["N", 4, 8, 8])
    for name in ("one", "two"):
        with b.scope(name, block="pair"):
            x = b.add("conv2d", x, name="conv", out_channels=4, kernel_size=3, padding=1)
            x = b.add("tanh", x)
            x = b.add("conv2d", x, weights_of=f"{name}.conv", out_channels=4, kernel_size=3, padding=2)
    b.output("y", x)
    return b.build()


def test_uses_of_one_block_are_one_class() -> None:
    graph = two_uses()
    source = netspec.to_source(graph)
    assert source.count("class ") == 2
    prove_module(graph, source)
    assert_means(graph, netspec.compile(graph))


def test_a_step_that_shares_a_block_which_borrows() -> None:
    """Both calls of the one module read the weights of its own layer."""
    spec = netspec.loads(
        "netspec: 1\nname: shared\ninputs: {x: [N, 4, 16, 16]}\n"
        "blocks:\n  pair:\n    body:\n      - {conv2d: {out_channels: 4, kernel_size: 3}, name: a}\n"
        "      - {conv2d: {out_channels: 4, kernel_size: 3}, name: b, share: a}\n"
        "network:\n  - {pair, name: p}\n  - {pair, share: p}\n"
    ).graph

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        op = node.op.model_copy(update={"dilation": (2, 2)}) if node.name == "b" else node.op
        return editor.keep(node, inputs, op=op, written={})

    graph = rebuild(spec, visit)
    assert list(graph.state()) == ["p.a.weight", "p.a.bias"]
    source = netspec.to_source(graph)
    assert "self.a.weight" in source
    prove_module(graph, source)
    assert_means(graph, netspec.compile(graph))


def test_copies_that_borrow_are_written_one_by_one() -> None:
    """As a repeat that shares, once its arguments are others: the first copy is a call of the module still."""
    spec = netspec.loads(
        "netspec: 1\nname: copies\ninputs: {x: [N, 4, 8, 8]}\nnetwork:\n"
        "  - {conv2d: {out_channels: 4, kernel_size: 3}, name: a}\n"
        "  - {conv2d: {out_channels: 4, kernel_size: 3}, share: a, repeat: 2}\n"
    ).graph

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        op = node.op.model_copy(update={"padding": (1, 1)}) if node.path == "conv2d.1" else node.op
        return editor.keep(node, inputs, op=op, written={})

    graph = rebuild(spec, visit)
    source = netspec.to_source(graph)
    assert "self.a(self.a(x))" in source
    assert "nn.functional.conv2d(x, self.a.weight, self.a.bias, padding=1)" in source
    prove_module(graph, source)
    assert_means(graph, netspec.compile(graph))
    round_trip(graph)


def test_one_of_two_steps_that_are_no_longer_alike() -> None:
    """A pass that edits one of two calls leaves two modules, and no module has the weights of another."""
    spec = netspec.loads(
        "netspec: 1\nname: shared\ninputs: {x: [N, 4, 16, 16]}\n"
        "blocks: {pair: {body: [{conv2d: {out_channels: 4, kernel_size: 3}}, relu]}}\n"
        "network: [{pair, name: p}, {pair, name: q, share: p}]\n"
    ).graph

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        op = node.op.model_copy(update={"dilation": (2, 2)}) if node.path == "q.conv2d" else node.op
        return editor.keep(node, inputs, op=op, written={})

    graph = rebuild(spec, visit)
    with pytest.raises(netspec.NetspecError, match="NS401: `q` is no second call of `p`, whose weights it uses"):
        netspec.to_source(graph)
    assert "share: p" in netspec.to_yaml(graph)
    round_trip(graph)
