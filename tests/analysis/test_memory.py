"""Memory: what ops say they hold and what reports add up, against every tensor that PyTorch makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest

import netspec
from netspec.analysis.memory_model import simulate_pass, size_of
from netspec.graph.walk import live_nodes
from netspec.ops.base import REGISTRY, Example, Op, is_float
from netspec.types import Layer, Tensor
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import torch
    from torch import nn

    from tests.analysis.allocations import excess
    from tests.analysis.live_memory import LiveMemory, Loss
    from tests.support.contract import flat
    from tests.support.printed import meaning

# torch's own remark on what the examples with an even kernel and `padding: same` are there for.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"
)

BATCH = 4


RECURRENT = {"recurrence", "rnn", "lstm", "gru"}
"""Ops whose kernels run step by step: test_recurrent_memory.py holds them against every allocation of a CPU."""
CHOOSING = {"proposals", "detections"}
"""Ops whose outputs depend on the data, which the meta device has not: see test_memory_of_boxes.py."""


def test_every_op_says_what_it_holds() -> None:
    assert not {name for name, cls in REGISTRY.items() if cls.memory is Op.memory}


def every_example() -> Iterator[Any]:
    for name, cls in REGISTRY.items():
        for number, example in enumerate(cls.examples, start=1):
            # A momentum of null asks for a number from a tensor, which the meta device does not have.
            # Dropout in attention has a fused kernel on GPUs alone.
            if name in RECURRENT | CHOOSING or {"dropout", "dropout_p"} & {*example.attributes}:
                continue
            if example.attributes.get("momentum", "") is not None:
                yield pytest.param(name, example, id=f"{name}-{number}")


each_example = pytest.mark.parametrize(("name", "example"), list(every_example()))


@pytest.fixture(autouse=True)
def no_fast_path() -> Iterator[None]:
    """Attention has one at inference, which shows no tensors of its own."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def alone(name: str, example: Example) -> tuple[netspec.Graph, nn.Module, list[torch.Tensor]]:
    """An op after linear layers, which hold their inputs and nothing else and make gradients flow; with all outputs."""
    builder = netspec.Builder("alone")
    xs = batches(example)
    inputs = [builder.input(f"x{n}", x.shape, x.dtype) for n, x in enumerate(xs)]
    before = [
        builder.add("linear", value, name=f"before{n}", out_features=x.features) if is_float(x) else value
        for n, (value, x) in enumerate(zip(inputs, xs, strict=True))
    ]
    builder.add(name, *before, name="op", **example.attributes)
    for value, _ in builder.nodes[-1].values():
        builder.output(value.replace(":", "_"), value)
    graph = builder.build()
    # Where the meta device has no kernel, it writes out what the kernels of other devices do not.
    device = "cpu" if "attention" in name or name in ("mish", "affine_grid") else "meta"
    given = [torch.ones(x.shape, dtype=getattr(torch, x.dtype), device=device) for x in xs]
    return graph, netspec.compile(graph).to(device), given


def batches(example: Example) -> list[Tensor]:
    """The types of an example's inputs, with as many samples as BATCH on the axis that the first one has first."""
    batch = example.types[0].shape[0]
    first = [0 if x.shape[0] == batch or batch not in x.shape else x.shape.index(batch) for x in example.types]
    sized = zip(example.types, first, strict=True)
    return [Tensor((*x.shape[:axis], BATCH, *x.shape[axis + 1 :]), x.dtype) for x, axis in sized]


def held(module: nn.Module, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers(), *inputs]


def inference(module: nn.Module, inputs: list[torch.Tensor]) -> int:
    module.eval()
    with torch.no_grad(), LiveMemory(held(module, inputs)) as live:
        module(*inputs)
    return live.peak


def training(module: nn.Module, inputs: list[torch.Tensor]) -> int:
    module.train()
    with LiveMemory(held(module, inputs)) as live:
        found = module(*inputs)  # held, as by one who computes a loss from it
        outputs = [y for y in ([found] if isinstance(found, torch.Tensor) else found) if y.requires_grad]
        losses: Any = [Loss.apply(output) for output in outputs]
        if losses:  # a mask has no gradient
            torch.autograd.backward(losses, [torch.empty(0, dtype=o.dtype, device=o.device) for o in outputs])
    return live.peak


VIEWS = [
    "chunk",
    "split",
    "identity",
    "flatten",
    "permute",
    "transpose",
    "unflatten",
    "select",
    "narrow",
    "center_crop",
    "parameter",
]


@each_example
def test_what_an_op_keeps_is_what_autograd_saves(name: str, example: Example) -> None:
    graph, module, inputs = alone(name, example)
    module.train()
    values = [getattr(module, f"before{n}", nn.Identity())(x) for n, x in enumerate(inputs)]
    names = {value.untyped_storage()._cdata: f"input {n}" for n, value in enumerate(values)}
    weights = {weight.untyped_storage()._cdata for weight in held(module, [])}
    saved: dict[int, Any] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    described = graph["op"].op.torch(*graph.input_types(graph["op"]))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        results = flat(meaning(described, getattr(module, "op", None))(*values))
    for number, result in enumerate(results):
        names.setdefault(result.untyped_storage()._cdata, f"output {number}")
    theirs = sorted(names.get(key, f"{t.untyped_storage().nbytes()} bytes") for key, t in saved.items())

    said = graph["op"].op.memory(True, graph["op"].type, *graph.input_types(graph["op"]))
    assert said is not None
    outputs = (0,) if said.output is True else said.output or ()
    ours = {f"input {place}" for place in said.inputs} | {f"output {place}" for place in outputs}
    kept = [f"{size_of(tensor)} bytes" for tensor in said.kept]
    assert sorted([*ours, *kept]) == theirs
    assert said.view == (name in VIEWS)


# Where an example's module is not what the graph says in order, or torch's path on the meta device differs.
# The padded input's gradient stands in for the input's: a border more.
PADS_APART = {(f"conv{axes}d", number) for axes in (1, 2, 3) for number in (4, 6, 7)}
COPIES = {
    *{("concat", 1), ("concat", 2), ("select_scatter", 3)},  # linear layers copy gradients that are slices of one
    ("einsum", 3),  # or one sum's, repeated
    *{
        (name, number) for name in ("permute", "transpose") for number in (1, 2, 3)
    },  # or have their axes in another order
    *{("sum", number) for number in (1, 2, 3, 4, 6, 7)},  # or are seen with strides of 0
}


UNSEEN = {"affine_grid"}
"""Ops with a tensor that lives inside of one kernel: `base_grid` in ATen's AffineGridGenerator."""
each_that_is_seen = [param for param in every_example() if param.values[0] not in UNSEEN]


@pytest.mark.parametrize(("name", "example"), each_that_is_seen)
def test_peaks_of_one_op(name: str, example: Example) -> None:
    graph, module, inputs = alone(name, example)
    number = REGISTRY[name].examples.index(example) + 1
    ours = simulate_pass(graph, "inference", batch=BATCH).peak
    theirs = inference(module, inputs)
    if name == "batch_norm":
        channels = example.types[0].shape[1]
        assert theirs - ours == 2 * 4 * channels  # statistics that the meta device makes at inference too
    elif name == "instance_norm" and "track_running_stats" in example.attributes:
        assert theirs - ours == 2 * 4 * BATCH * example.types[0].shape[1]
    elif name == "roll":
        assert ours - theirs == hidden_between_rolls(example)
    elif len(inputs) > 2:
        assert 0 <= ours - theirs <= 2 * 4 * BATCH * 3  # `f(a) + f(b) + f(c)` adds two before it makes the third
    else:
        assert ours == theirs
    ours, theirs = simulate_pass(graph, "train", batch=BATCH).peak, training(module, inputs)
    if (name, number) in PADS_APART | COPIES:
        assert ours <= theirs <= 1.5 * ours
    elif name == "multihead_attention" and len(inputs) > 2:
        width = example.types[0].features
        # The gradients of the projections' weights come after the most is held.
        assert 0 <= ours - theirs <= 4 * 3 * width * (width + example.attributes.get("bias", True))
    elif name == "roll":
        assert ours - theirs == hidden_between_rolls(example)
    elif len(inputs) > 2:
        assert 0 <= ours - theirs <= 2 * 4 * BATCH * 3
    else:
        assert ours == theirs


def hidden_between_rolls(example: Example) -> int:
    """The bytes between the rolls of several axes: torch makes them inside of one call, where no mode sees them."""
    dims = example.attributes["dims"]
    (x,) = batches(example)
    return size_of(x) * (len(dims) - 1 if isinstance(dims, list) else 0)


def by_nodes(graph: netspec.Graph, module: nn.Module, inputs: list[torch.Tensor]) -> int:
    """The peak of an inference that runs node by node, and lets go of every value after its last use."""
    module.eval()
    last = {value: node.path for node in live_nodes(graph, "inference") for value in node.inputs}
    kept = {i.name for i in graph.inputs} | {o.value for o in graph.outputs if o.mode == "inference"}
    with torch.no_grad(), LiveMemory(held(module, inputs)) as live:
        values = {i.name: x for i, x in zip(graph.inputs, inputs, strict=True)}
        for node in live_nodes(graph, "inference"):
            types, borrows = graph.input_types(node), node.weights_of != node.path
            described = (borrows and node.op.borrowed(*types)) or node.op.torch(*types)
            layer = attrgetter(node.weights_of)(module) if borrows or isinstance(described, Layer) else None
            values[node.path] = meaning(described, layer)(*[values[value] for value in node.inputs])
            for value in {*node.inputs, node.path}:
                if last.get(value, node.path) == node.path and value not in kept:
                    del values[value]
    return live.peak


SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {
        "params": {"vocabulary": 50, "positions": 16, "width": 16, "layers": 2, "heads": 2, "dropout": 0.0},
        "inputs": {"tokens": ["N", 16]},
    },
    "lstm_classifier": {"params": {"vocabulary": 50, "width": 16, "hidden": 32}, "inputs": {"tokens": ["N", 24]}},
    "vit_b_16": {"params": {"size": 64, "width": 16, "layers": 2, "heads": 2, "mlp_width": 32}},
}
"""Networks with attention, so small that they run on a CPU, where it is one kernel."""


# What detectors choose depends on the data: test_memory_of_boxes.py has their ops.
@pytest.mark.parametrize("name", [name for name in netspec.names() if "rcnn" not in name])
def test_bundled_networks_to_the_byte(name: str) -> None:
    hold_to_the_byte(netspec.load(name, **SMALL.get(name, {})))


@pytest.mark.parametrize("name", ["m5", "c3d"])
def test_networks_of_one_and_three_axes_to_the_byte(name: str) -> None:
    hold_to_the_byte(netspec.load(OTHER / f"{name}.yaml"))


def hold_to_the_byte(net: netspec.Network) -> None:
    """The memory of a network is that of its module, layer by layer and as eager PyTorch runs it."""
    if {node.op.opname for node in net.graph.nodes} & RECURRENT:
        types = [i.type.at({**net.graph.nominal, "N": BATCH}) for i in net.graph.inputs]
        inputs = [torch.full(x.shape, 24) for x in types]  # 24 words in each text, the number 24
        assert excess(net.graph, net.compile(), inputs, BATCH) == (0, 0)
        return
    device = "cpu" if net.name in SMALL else "meta"
    with torch.device(device):
        module = net.compile()
    module = module.to(device)
    types = [i.type.at({**net.graph.nominal, "N": BATCH}) for i in net.graph.inputs]
    inputs = [torch.ones(x.shape, dtype=getattr(torch, x.dtype), device=device) for x in types]
    ours = simulate_pass(net.graph, "inference", batch=BATCH)
    train = simulate_pass(net.graph, "train", batch=BATCH)
    assert train.parameters == sum(4 * p.numel() for p in module.parameters())
    assert train.buffers == sum(b.nbytes for b in module.buffers())
    assert train.inputs == ours.inputs == sum(x.nbytes for x in inputs)
    # Weights for training only are none of inference's, and the module has them.
    unused = train.parameters + train.buffers - ours.parameters - ours.buffers
    flat_peak = by_nodes(net.graph, module, inputs) - unused
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    normed = max((m.num_features for m in norms), default=0)
    assert 0 <= flat_peak - ours.peak <= 2 * 4 * normed  # statistics that the meta device makes
    # Eager also holds what enters a block until it returns: more than ours, and never much more.
    assert flat_peak <= inference(module, inputs) - unused <= 1.7 * flat_peak
    assert train.peak == training(module, inputs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions(dtype: Any) -> None:
    net = netspec.load("resnet18")
    with torch.device("meta"):
        module = net.compile()
    module = module.to("meta", getattr(torch, dtype))
    inputs = [torch.empty((2, 3, 224, 224), device="meta", dtype=getattr(torch, dtype))]
    ours = simulate_pass(net.graph, "train", batch=2, dtype=dtype)
    assert ours.parameters == sum(p.nbytes for p in module.parameters())
    assert ours.buffers == sum(b.nbytes for b in module.buffers())
    theirs = training(module, inputs)
    statistics = 2 * 8 * sum(m.num_features for m in module.modules() if isinstance(m, nn.BatchNorm2d))
    assert abs(theirs - ours.peak) <= statistics  # in the input's precision there, in float32 here


OPTIMIZERS: dict[str, Any] = {
    "none": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, foreach=False),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_holds(name: Any) -> None:
    net = netspec.load("resnet18", params={"classes": 2}, inputs={"image": ["N", 3, 32, 32]})
    module = net.compile()
    optimizer = OPTIMIZERS[name](module.parameters())
    module(torch.randn(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    tensors = [t for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    held_by_it = sum(t.nbytes for t in tensors if t.dim())
    assert simulate_pass(net.graph, "train", optimizer=name).optimizer == held_by_it


def test_a_shared_input_and_a_residual() -> None:
    """The gradient of a value that two branches read is added up; what both keep is kept once."""
    net = netspec.loads(
        """
netspec: 1
name: residual
inputs: {image: [N, 4, 8, 8]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: stem}
  - add:
      branches:
        left: [conv2d: {out_channels: 4, kernel_size: 1}, sigmoid]
        middle: []
        right: [conv2d: {out_channels: 4, kernel_size: 3, padding: 1}]
  - relu
"""
    )
    module = net.compile().to("meta")
    image = [torch.empty(BATCH, 4, 8, 8, device="meta")]
    found = simulate_pass(net.graph, "train", batch=BATCH)
    assert found.nodes["left.conv2d"].kept == 4 * BATCH * 4 * 64
    assert found.nodes["right.conv2d"].kept == 0
    # `left + x + right` makes one tensor more than the three it adds.
    assert abs(found.peak - training(module, image)) <= 4 * BATCH * 4 * 64


def test_the_report_adds_up() -> None:
    net = netspec.load("vgg_a")
    report = net.memory("train", batch=8, dtype="float16", optimizer="adam")
    totals = report["totals"]
    assert totals["parameters"] == totals["gradients"] == totals["optimizer"] / 2 == 2 * 132_863_336
    assert totals["inputs"] == 2 * 8 * 3 * 224 * 224
    assert totals["kept"] == sum(layer["kept"] for layer in report["layers"])
    assert max(layer["live"] for layer in report["layers"]) <= totals["peak"]
    assert report["complete"] is True
    assert json.loads(report.to("json")) == dict(report)
    first = report["layers"][0]
    assert (first["name"], first["new"]) == ("conv1.0.conv2d", 2 * 8 * 64 * 224 * 224)
    assert str(report).splitlines()[0].endswith("memory of training, Adam, batch 8, float16")
    inference_report = net.memory()
    assert inference_report["totals"]["kept"] == inference_report["totals"]["gradients"] == 0


OPEN = "netspec: 1\nname: net\ninputs: {x: [N, 3, H, W]}\nnetwork: [{conv2d: {out_channels: 2, kernel_size: 3}}]\n"


def test_open_sizes_are_refused() -> None:
    with pytest.raises(netspec.NetspecError, match="NS305: memory follows from sizes, and H, W of `net` are open"):
        netspec.loads(OPEN).memory()
    fixed = OPEN.replace("[N, 3, H, W]", "{shape: [N, 3, H, W], nominal: {H: 10, W: 12}}")
    assert netspec.loads(fixed).memory(batch=2)["totals"]["inputs"] == 4 * 2 * 3 * 10 * 12
    with pytest.raises(netspec.NetspecError, match="NS305: the batch of `net` is fixed, and can't be 2"):
        netspec.loads(OPEN.replace("[N, 3, H, W]", "[5, 3, 10, 12]")).memory(batch=2)
    assert netspec.loads(OPEN.replace("[N, 3, H, W]", "[5, 3, 9, 9]")).memory()["totals"]["inputs"] == 4 * 5 * 3 * 81


def test_an_op_that_does_not_say_makes_totals_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY["relu"], "memory", lambda self, train, y, x: None)  # pyright: ignore
    report = netspec.load("vgg_a").memory()
    assert report["complete"] is False
    assert "peak at least" in " ".join(str(report).split())


FIXED = "netspec: 1\nname: net\ninputs: {x: [4, 3, 8, 8]}\nnetwork: [{conv2d: {out_channels: 2, kernel_size: 3}}]\n"


def test_a_batch_that_the_spec_fixes() -> None:
    net = netspec.loads(FIXED)
    assert net.memory()["batch"] == net.memory(batch=4)["batch"] == 4
    assert net.memory()["totals"]["inputs"] == 4 * 3 * 64 * 4
    assert "batch 4" in str(net.memory()).splitlines()[0]
    with pytest.raises(netspec.NetspecError, match="NS305: the batch of `net` is fixed, and can't be 3"):
        net.memory(batch=3)


def test_small_networks_are_told_in_kilobytes() -> None:
    lines = str(netspec.loads(FIXED).memory()).splitlines()
    assert lines[2].split() == ["layer", "kind", "output", "new", "KB", "live", "KB"]
    # 4 x 2 x 6 x 6 floats come out, 4 x 3 x 8 x 8 go in, and 56 are weights.
    assert lines[4].split()[-3:-1] == ["1.2", "4.4"]
    assert "KB: 10^3 bytes." in "\n".join(lines)
