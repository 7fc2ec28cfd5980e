"""The proof of a printed module: what is right is proved, and a wrong print is seen, whatever its shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.graph import Graph
from netspec.network import names
from netspec.ops.base import REGISTRY
from tests.support.lazy import lazy_imports
from tests.support.specs_of_every_form import FORMS as FORMS_OF_STEPS
from tests.support.specs_of_parts import PARTS

with lazy_imports():
    import torch

    from netspec.backends.pytorch.runtime import numeric, prove
    from netspec.backends.pytorch.runtime.examples import sizes_for
    from netspec.backends.pytorch.runtime.prove import prove_module
    from netspec.backends.pytorch.runtime.trace import Numbers, Trace, mark


FORMS = {**FORMS_OF_STEPS, **PARTS}


def spec(steps: str, inputs: str = "image: [N, 4, 8, 8]", more: str = "") -> Graph:
    return netspec.loads(f"netspec: 1\nname: proved\ninputs: {{{inputs}}}\n{more}network:\n{steps}").graph


def borrowing() -> Graph:
    b = netspec.Builder("proved")
    x = b.input("image", ["N", 4, 8, 8])
    x = b.add("conv2d", x, name="conv", out_channels=4, kernel_size=3, padding=1, bias=False)
    x = b.add("relu", x, name="act")
    attributes = {"out_channels": 4, "kernel_size": 3, "padding": 1, "bias": False}
    b.output("output", b.add("conv_transpose2d", x, weights_of="conv", **attributes))
    return b.build()


TWO = """\
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, from: image, name: a}
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, from: image, name: b}
"""
CHAIN = """\
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: a}
  - {relu, name: act}
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: b}
  - {add, from: [b, input]}
"""
SCALED = """\
  - {parameter: {shape: [4, 8, 8]}, from: image, name: gamma}
  - {parameter: {shape: [4, 8, 8]}, from: image, name: beta}
  - {multiply, from: [image, gamma], name: scaled}
  - {add, from: [scaled, beta]}
"""
BLOCKS = """\
  - {pair: {width: 4, first: 1}, name: one}
  - {pair: {width: 4, first: 3}, name: two}
"""
PAIR = """\
blocks:
  pair:
    params: {width: int, first: int}
    body:
      - {conv2d: {out_channels: width, kernel_size: 3, padding: first, dilation: first}}
      - {conv2d: {out_channels: width, kernel_size: 3, padding: 1}}
"""

MISPRINTS: dict[str, tuple[Callable[[], Graph], str, str]] = {
    "inputs that change places": (
        lambda: spec(f"{TWO}  - {{concat, from: [a, b]}}\n"),
        r"torch.cat\(\[self.a\(image\), self.b\(image\)\]",
        "torch.cat([self.b(image), self.a(image)]",
    ),
    "an axis": (lambda: spec(f"{TWO}  - {{concat: {{dim: 2}}, from: [a, b]}}\n"), "dim=2", "dim=-2 if False else 3"),
    "another module of equal shape": (lambda: spec(CHAIN), r"self\.b\(x\)", "self.a(x)"),
    "modules that change places": (lambda: spec(CHAIN), r"self\.(a|b)\(", "self.SWAP("),
    "an activation that is lost": (lambda: spec(CHAIN), r"self.act\((x|self\.a\(image\))\)", r"\1"),
    "an activation more": (lambda: spec(CHAIN), "return ", "return nn.functional.relu(x) + "),
    "a value from before": (lambda: spec(CHAIN), r"\+ image", "+ x"),
    "a value that is doubled": (lambda: spec(CHAIN), r"\+ image", "+ image + image"),
    "an activation that is another": (lambda: spec(CHAIN), r"nn.ReLU\(\)", "nn.SiLU()"),
    "a convolution for a transposed one": (
        borrowing,
        r"nn.functional.conv_transpose2d\((.*), self.conv.weight, padding=1\)",
        r"self.conv(\1)",
    ),
    "another padding and dilation": (
        lambda: spec(CHAIN),
        r"self.b = nn.Conv2d\(4, 4, 3, padding=1",
        "self.b = nn.Conv2d(4, 4, 3, padding=2, dilation=2",
    ),
    "a stride of one unit": (
        lambda: spec("  - {conv2d: {out_channels: 4, kernel_size: 1}}\n", "image: [N, 4, 1, 1]"),
        r"nn.Conv2d\(4, 4, 1",
        r"\g<0>, stride=2",
    ),
    "an eps": (lambda: spec("  - {batch_norm: {eps: 0.001}}\n"), ", eps=0.001", ""),
    "a momentum": (lambda: spec("  - {batch_norm: {momentum: 0.2}}\n"), ", momentum=0.2", ""),
    "a probability": (lambda: spec("  - {dropout: 0.3}\n"), "0.3", "0.4"),
    "a dropout that is lost": (lambda: spec("  - {dropout: 0.3}\n  - relu\n"), r"self.dropout\(image\)", "image"),
    "parameters that change places": (lambda: spec(SCALED), r"self\.(gamma|beta)\.", "self.SWAP."),
    "axes that are equal": (
        lambda: spec("  - {permute: {dims: [0, 1, 3, 2]}}\n"),
        r"permute\(0, 1, 3, 2\)",
        "permute(0, 1, 2, 3)",
    ),
    "arguments of one class": (
        lambda: spec(BLOCKS, more=PAIR),
        r"first=3|4, 3\)",
        "4, 5)",
    ),
    "uses that change places": (lambda: spec(BLOCKS, more=PAIR), r"self\.(one|two)\(", "self.SWAP("),
    "an average for a maximum": (lambda: spec("  - {max_pool2d: 2}\n"), "nn.MaxPool2d", "nn.AvgPool2d"),
    "a shortcut of nothing": (
        lambda: spec("  - add: {branches: {a: [{batch_norm, name: n}], b: []}}\n"),
        r"\+ image",
        "+ torch.zeros_like(image)",
    ),
}
OTHERS = {"a": "b", "b": "a", "gamma": "beta", "beta": "gamma", "one": "two", "two": "one"}


def misprinted(source: str, pattern: str, wrong: str) -> str:
    """A source in which all that matches a pattern reads otherwise; SWAP is the other of two names."""

    def other(match: re.Match[str]) -> str:
        return match.group(0).replace(match.group(1), OTHERS[match.group(1)])

    head, _, body = source.partition("def forward") if "SWAP" in wrong else ("", "", source)
    changed = head + ("def forward" if head else "") + re.sub(pattern, other if "SWAP" in wrong else wrong, body)
    assert changed != source, source
    return changed if "torch." not in wrong else changed.replace("from torch import", "import torch\nfrom torch import")


@pytest.mark.parametrize("name", MISPRINTS)
def test_a_misprint_is_seen(name: str) -> None:
    build, pattern, wrong = MISPRINTS[name]
    graph = build()
    source = netspec.to_source(graph)
    prove_module(graph, source)
    with pytest.raises(netspec.NetspecError, match="NS402"):
        prove_module(graph, misprinted(source, pattern, wrong))


def test_what_is_wrong_is_said_of_the_first_node() -> None:
    graph = spec(CHAIN)
    wrong = misprinted(netspec.to_source(graph), r"nn.ReLU\(\)", "nn.SiLU()")
    with pytest.raises(netspec.NetspecError, match="NS402: the module does not compute `act`, which is relu"):
        prove_module(graph, wrong)


def test_an_output_of_training_alone() -> None:
    graph = netspec.loads(
        "netspec: 1\nname: aux\ninputs: {x: [N, 4]}\nnetwork:\n  - {linear: 4, name: a}\n  - {linear: 4, name: b}\n"
        "  - {linear: 4, from: a, name: c}\noutputs: {y: b, z: {from: c, mode: train}}\n"
    ).graph
    source = netspec.to_source(graph)
    prove_module(graph, source)
    lines = source.splitlines()
    number = next(n for n, line in enumerate(lines) if "self.c(" in line)
    lines[number] = lines[number].replace("self.c(", "self.b(")
    with pytest.raises(netspec.NetspecError, match="NS402: the module does not compute `c`"):
        prove_module(graph, "\n".join(lines))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_proved(name: str) -> None:
    graph = netspec.loads(FORMS[name]).graph
    prove_module(graph, netspec.to_source(graph))


@pytest.mark.parametrize("name", names())
def test_bundled_networks_are_proved(name: str) -> None:
    graph = netspec.load(name).graph
    prove_module(graph, netspec.to_source(graph))


def test_calls_are_told_apart_by_all_that_they_are_given() -> None:
    x = (2, 4, 4)
    numbers = Numbers()
    tensor = torch.empty(x, device="meta")
    mark(tensor, numbers("input", "x"))
    with torch.no_grad(), Trace(numbers) as trace:
        ways = [
            tensor.transpose(1, 2),
            tensor.flip(1),
            tensor.flip(2),
            tensor + 1,
            tensor + 1.5,
            tensor[:, :2].repeat(1, 2, 1),
            tensor[:, 2:].repeat(1, 2, 1),
            tensor.chunk(2, 1)[0].repeat(1, 2, 1),
            tensor.chunk(2, 1)[1].repeat(1, 2, 1),
            torch.nn.functional.dropout(tensor, 0.5, training=False),
            torch.nn.functional.dropout(tensor, 0.4, training=False),
            torch.nn.functional.pad(tensor, (1, 0)),
            torch.nn.functional.pad(tensor, (0, 1)),
            tensor.mT,
        ]
        again = [tensor.transpose(1, 2), tensor.flip(1)]
    found = [trace.number_of(way) for way in ways]
    assert len({*found, trace.number_of(tensor)}) == len(ways) + 1
    assert [trace.number_of(way) for way in again] == found[:2]


def test_an_integer_may_stand_for_a_float() -> None:
    """A parameter that is an int is written where an op takes a float; among floats it is the same constant."""
    text = "netspec: 1\nname: net\nparams: {slope: 1}\ninputs: {image: [N, 3]}\nnetwork: [leaky_relu: slope]\n"
    graph = netspec.loads(text).graph
    source = netspec.to_source(graph)
    assert "nn.LeakyReLU(slope)" in source
    assert "proved Net" in prove_module(graph, source)
    with pytest.raises(netspec.NetspecError, match="does not compute `leaky_relu`"):
        prove_module(graph, source.replace("LeakyReLU(slope)", "LeakyReLU(slope + 1)"))


def test_what_is_changed_in_place_is_another_value() -> None:
    numbers = Numbers()
    tensor = torch.zeros(2, 3)
    mark(tensor, numbers("input", "x"))
    with torch.no_grad(), Trace(numbers) as trace:
        before = trace.number_of(tensor)
        tensor.add_(1)
        after = trace.number_of(tensor)
        tensor[:, 1] = 0
        last = trace.number_of(tensor)
    assert len({before, after, last}) == 3


def test_shapes_are_those_of_calls_that_are_made() -> None:
    """A call that was made before on tensors of these shapes is not made again, and gives what it would."""
    numbers = Numbers()
    x = torch.empty(2, 3, 8, 6, device="meta")
    with torch.no_grad(), Trace(numbers):
        first, second = x.permute(0, 2, 3, 1), x.permute(0, 2, 3, 1)
        assert first is not second
        assert (first.shape, first.stride()) == (second.shape, second.stride())
        half = x[:, :, ::2].permute(0, 2, 3, 1)
        assert half.shape == (2, 4, 6, 3)


NONZERO = '''
from netspec import Op
from netspec.types import DATA, Call, Reach, Tensor


class Nonzero(Op, name="nonzero_here", family="shape"):
    """Where a tensor is not zero, as torch.nonzero."""

    def infer(self, x):
        return Tensor((DATA, x.rank), "int64")

    def weights(self, x):
        return ()

    def macs(self, y, x):
        return 0

    def window(self, x):
        return Reach.DATA

    def torch(self, x):
        return Call("torch.nonzero")
'''


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Graph]:
    """A graph with sizes that only the data tell, and with weights before and after."""
    path = tmp_path / "nonzero_here_ops.py"
    path.write_text(NONZERO)
    netspec.load_ops(path)
    yield spec(
        "  - {conv2d: {out_channels: 4, kernel_size: 3}, name: a}\n  - {relu, name: act}\n"
        "  - {nonzero_here, name: one}\n  - {nonzero_here, from: a, name: two}\n"
        "  - {concat: {dim: 0}, from: [one, two]}\n"
    )
    REGISTRY.pop("nonzero_here")


def test_sizes_that_only_the_data_tell(places: Graph) -> None:
    source = netspec.to_source(places)
    assert "proved Proved: 2 weights" in prove_module(places, source)
    wrong = misprinted(source, r"self\.act\(a\)", "a")
    with pytest.raises(netspec.NetspecError, match="NS402: the module does not compute `act`"):
        prove_module(places, wrong)


def test_norms_of_one_op_that_are_written_in_two_ways() -> None:
    """The same op on values of the same type: once a module of its own, once a function with the weights of another."""
    b = netspec.Builder("proved")
    x = b.add("batch_norm", b.input("image", ["N", 4, 2, 2]), name="map")
    x = b.add("batch_norm", b.add("adaptive_avg_pool2d", x, output_size=1), name="other")
    x = b.add("flatten", x)
    op = b.nodes[0].op
    x = b.add(op, x, name="own")
    b.output("y", b.add(op, x, weights_of="map"))
    graph = b.build()
    source = netspec.to_source(graph)
    assert "self.map.weight" in source
    prove_module(graph, source)


def test_a_proof_costs_few_calls_on_the_meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are made once for each set of shapes, so that the proof of a deep network costs less than a run of it."""
    graph = netspec.load("resnet152").graph
    source = netspec.to_source(graph)
    calls = 0
    norm = torch.batch_norm

    def counted(*args: Any, **kwargs: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return norm(*args, **kwargs)

    monkeypatch.setattr(torch, "batch_norm", counted)
    prove_module(graph, source)
    assert 0 < calls < 40


# Numbers


def test_the_line_says_what_was_run() -> None:
    graph = spec(CHAIN)
    line = prove_module(graph, netspec.to_source(graph))
    assert line.endswith("parameters, output (2, 4, 8, 8), numbers equal to 1e-05 on image (2, 4, 8, 8)")


ONLY_NUMBERS = {
    "a change through a view": "image.flatten(1).zero_()",
    "a change of a weight": "self.b.weight.data.mul_(2)",
}


@pytest.mark.parametrize("name", ONLY_NUMBERS)
def test_a_misprint_that_only_numbers_see(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace takes what is changed through another tensor for what it was."""
    graph = spec(CHAIN)
    source = misprinted(netspec.to_source(graph), r"( +)x = self\.act\(", rf"\1{ONLY_NUMBERS[name]}\n\g<0>")
    with pytest.raises(
        netspec.NetspecError, match=r"NS402: output `output` of the module differs .* on random numbers"
    ):
        prove_module(graph, source)
    monkeypatch.setattr(prove, "prove_numbers", lambda *_: "")
    prove_module(graph, source)


def test_numbers_leave_torch_as_it_was() -> None:
    graph = spec(f"{CHAIN}  - {{dropout: 0.5}}\n  - {{batch_norm, name: norm}}\n")
    source = netspec.to_source(graph)
    before = torch.random.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    try:
        assert "numbers equal" in prove_module(graph, source)
    finally:
        torch.set_default_dtype(torch.float32)
    after = torch.random.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize("name", names())
def test_networks_that_might_take_longer_are_not_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numeric, "_evaluated", lambda *_: pytest.fail("it was run"))
    graph = netspec.load(name).graph
    figures = netspec.load(name).summary()["totals"]
    if 2 * figures["macs"] <= 1_000_000_000 and figures["parameters"] <= 5_000_000:
        return
    assert numeric.prove_numbers(graph, "", sizes_for(graph)) == ""


@pytest.mark.parametrize(
    ("steps", "inputs"),
    [
        ("  - {conv2d: {out_channels: 4, kernel_size: 1}}\n", "image: [N, 4, 3000, 3000]"),
        ("  - {linear: 3000}\n", "x: [N, 3000]"),
        ("  - {relu, repeat: 1001}\n", "x: [N, 3]"),
    ],
    ids=["values", "weights", "nodes"],
)
def test_what_makes_a_network_large(steps: str, inputs: str) -> None:
    graph = spec(steps, inputs)
    assert "numbers" not in prove_module(graph, netspec.to_source(graph))


def test_outputs_of_training_are_compared_in_numbers() -> None:
    steps = "  - {linear: 4, name: a}\n  - {linear: 3, name: b}\n  - {linear: 2, from: a, name: c}\n"
    graph = spec(f"{steps}outputs: {{z: {{from: c, mode: train}}, y: b}}\n", "x: [N, 4]")
    source = netspec.to_source(graph)
    assert "numbers equal" in prove_module(graph, source)
    wrong = misprinted(source, r"def forward.*\n", r"\g<0>        self.c.bias.data.mul_(2)\n")
    with pytest.raises(netspec.NetspecError, match="NS402: output `z`"):
        prove_module(graph, wrong)
