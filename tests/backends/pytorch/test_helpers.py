"""Definitions that ops bring into generated source: functions and classes, printed once, with their imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.ops.base import REGISTRY, Elementwise, Op
from netspec.ops.fields import Positive
from netspec.passes import strip_dropout
from netspec.types import Code, Helper, Layer, Reach, Tensor
from tests.support.lazy import lazy_imports
from tests.support.own_gru import OwnGru
from tests.support.own_lstm import OwnLstm

with lazy_imports():
    import torch

    from netspec.backends.pytorch.runtime.prove import prove_module
    from netspec.backends.pytorch.runtime.prove_transform import prove_transform
    from netspec.backends.pytorch.source import to_source

pytestmark = pytest.mark.usefixtures("one_thread")

POOLED = Helper(
    '''\
class Pooled(nn.Module):
    """The largest of each group of channels, plus an offset that is no weight."""

    def __init__(self, in_channels: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        offset = torch.arange(in_channels // pieces)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2) + self.offset'''
)
HALVED = Helper("def halved(x: Tensor) -> Tensor:\n    return x / math.sqrt(4)")
QUARTERED = Helper("def quartered(x: Tensor) -> Tensor:\n    return halved(halved(x))")
BOXED = Helper(
    "def boxed(x: Tensor) -> Tensor:\n    return torchvision.ops.clip_boxes_to_image(x, (2, 2))", ("torchvision.ops",)
)
REDUCED = Helper("def reduced(x: Tensor) -> Tensor:\n    return functools.reduce(torch.add, [x, x])", ("functools",))


class Pool(Op, name="own_pool", principal="pieces"):
    """A class of the source as a layer."""

    pieces: Positive

    def infer(self, x: Tensor) -> Tensor:
        return Tensor((x.batch, x.channels // self.pieces))

    def weights(self, x: Tensor) -> tuple[()]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.ALL

    def torch(self, x: Tensor) -> Layer:
        return self.layer("Pooled", helpers=(POOLED,), in_channels=x.channels, pieces=self.pieces)


class SortedPool(Pool, name="own_sorted_pool", principal="pieces"):
    """A layer of which the elements of an input must be known, so that it is proved with numbers."""

    def needs_values(self) -> bool:
        return True


class Halve(Elementwise, name="own_halve"):
    def torch(self, x: Tensor) -> Code:
        return Code("halved(", ("{0}",), helpers=(HALVED,))


class Quarter(Elementwise, name="own_quarter"):
    def torch(self, x: Tensor) -> Code:
        return Code("quartered(", ("{0}",), helpers=(HALVED, QUARTERED))


class Box(Elementwise, name="own_box"):
    def torch(self, x: Tensor) -> Code:
        return Code("boxed(", ("{0}",), helpers=(BOXED,))


class Reduce(Elementwise, name="own_reduce"):
    def torch(self, x: Tensor) -> Code:
        return Code("reduced(", ("{0}",), helpers=(REDUCED,))


OPS = (Pool, SortedPool, Halve, Quarter, Box, Reduce)
for op in OPS:
    del REGISTRY[op.opname]


@pytest.fixture(autouse=True)
def ops(monkeypatch: pytest.MonkeyPatch) -> None:
    for op in (*OPS, OwnGru, OwnLstm):
        monkeypatch.setitem(REGISTRY, op.opname, op)


def network(steps: str, *, blocks: str = "", inputs: str = "{x: [N, 12]}", name: str = "net") -> netspec.Network:
    blocks = f"blocks:\n{blocks}\n" if blocks else ""
    return netspec.loads(f"netspec: 1\nname: {name}\ninputs: {inputs}\n{blocks}network: {steps}\n")


def proved(net: netspec.Network) -> str:
    """The source of a network, which is proved, and formatted as ruff formats."""
    source = to_source(net.graph)
    prove_module(net.graph, source)
    done = [
        subprocess.run([sys.executable, "-m", "ruff", *command, "-"], input=source, text=True, capture_output=True)
        for command in (["format", "--line-length=88", "--isolated"], ["check", "--isolated", "--select=I,F,E4,E7,E9"])
    ]
    assert done[0].stdout == source
    assert done[1].returncode == 0, done[1].stdout
    return source


POOL_BLOCK = """
  reduce:
    params: {groups: int}
    body: [{linear: 24}, {own_pool: groups}]"""


def test_a_class_takes_the_parameters_of_the_block_it_is_used_in() -> None:
    net = network("[reduce: 2, reduce: 3, own_pool: 4]", blocks=POOL_BLOCK)
    source = proved(net)
    assert source.count("class Pooled(nn.Module):") == 1
    assert source.count("class Reduce") == 1
    assert "self.own_pool = Pooled(24, groups)" in source
    assert "self.own_pool = Pooled(8, 4)" in source


def test_the_class_of_a_block_gets_another_name_than_a_helper() -> None:
    net = network("[{pooled: {}}, {own_pool: 2}]", blocks="  pooled: {body: [relu]}")
    source = proved(net)
    assert "class Pooled2(nn.Module):" in source
    assert "self.pooled = Pooled2()" in source


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: network("[own_pool: 2]", name="pooled"), "`Pooled` is a class in `pooled`"),
        (lambda: network("[own_halve]", inputs="{halved: [N, 12]}"), "`halved` is a name in `net`"),
        (lambda: network("[own_box]", inputs="{torchvision: [N, 4]}"), "`torchvision` is a name in `net`"),
    ],
)
def test_a_name_that_an_op_needs_is_refused(net: Any, message: str) -> None:
    with pytest.raises(netspec.NetspecError, match=message) as error:
        to_source(net().graph)
    assert error.value.diagnostics[0].code == "NS401"
    assert error.value.diagnostics[0].help == "rename it"


def test_a_helper_of_two_ops_is_printed_once_before_what_calls_it() -> None:
    source = proved(network("[own_quarter, own_halve]"))
    assert source.count("def halved(") == source.count("def quartered(") == 1
    assert source.index("def halved(") < source.index("def quartered(")


def test_two_helpers_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Helper("def halved(x: Tensor) -> Tensor:\n    return 0.5 * x")
    monkeypatch.setattr(Box, "torch", lambda self, x: Code("halved(", ("{0}",), helpers=(other,)))
    with pytest.raises(netspec.NetspecError, match="`own_box` needs a `halved` in the source, and another op a differ"):
        to_source(network("[own_halve, own_box]").graph)


def test_modules_that_helpers_read_are_imported() -> None:
    pytest.importorskip("torchvision")
    source = proved(network("[own_halve, own_box, own_reduce]", inputs="{x: [N, 4]}"))
    assert "\nimport functools\nimport math\n\nimport torch\nimport torchvision.ops\nfrom torch import" in source


def test_a_variable_is_not_named_as_a_helper() -> None:
    steps = "[{own_halve: {}, name: halved}, {relu: {}, name: a}, {add: {}, from: [halved, a]}]"
    assert "halved_2 = halved(x)" in proved(network(steps))


def test_buffers_that_are_no_weights_are_computed_where_weights_are_loaded(tmp_path: Path) -> None:
    net = network("[{linear: 6}, {own_pool: 2}]")
    original = net.compile()
    assert list(original.state_dict()) == ["linear.weight", "linear.bias"]
    torch.save(original.state_dict(), tmp_path / "net.pt")
    x = torch.randn(2, 12)
    assert torch.equal(net.compile(tmp_path / "net.pt")(x), original(x))


def test_buffers_that_are_no_weights_are_computed_where_a_transform_is_proved() -> None:
    net = network("[{linear: 6}, {own_pool: 2}, dropout]")
    proof = prove_transform(net.graph, strip_dropout(net.graph), net.graph.outputs)
    assert proof == "proved with random weights: outputs equal to 0e+00 of the largest value"


def test_each_use_of_shared_weights_has_buffers_of_its_own() -> None:
    steps = "[{reduce: 2, name: a}, {reduce: 2, from: x, name: b, share: a}, {add: {}, from: [a, b]}]"
    blocks = """
  reduce:
    params: {groups: int}
    body: [{linear: 24}, {own_sorted_pool: groups}]"""
    proved(network(steps, blocks=blocks))


def test_a_class_is_exported_and_compiled_by_torch() -> None:
    net = network("[reduce: 2, reduce: 3]", blocks=POOL_BLOCK)
    module, x = net.compile().eval(), torch.randn(3, 12)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("N", min=2)},))
    assert torch.equal(program.module()(x), module(x))
    whole = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(whole(x), module(x))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (".amax(2)", ".amin(2)"),
        (" + self.offset", ""),
        ("persistent=False", "persistent=True"),
        ("Pooled(8, 4)", "Pooled(8, 2)"),
        ("math.sqrt(4)", "math.sqrt(9)"),
    ],
)
def test_the_proof_reads_definitions_and_what_they_are_given(right: str, wrong: str) -> None:
    net = network("[reduce: 2, reduce: 3, own_pool: 4, own_halve]", blocks=POOL_BLOCK)
    source = to_source(net.graph)
    prove_module(net.graph, source)
    changed = wrong.join(source.rsplit(right, 1))
    assert changed != source
    with pytest.raises(netspec.NetspecError, match="NS402"):
        prove_module(net.graph, changed)
