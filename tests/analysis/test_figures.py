"""Figures of the analyses, reckoned by hand or taken from torch, where the bundled networks do not reach."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import pytest

import netspec
from netspec.analysis.compare import compare
from netspec.analysis.cost import costs
from netspec.analysis.field import DATA_DEPENDENT, MISALIGNED, TOO_LARGE, UNPLACED, VARIES, Field
from netspec.analysis.field_propagation import propagate_fields
from netspec.analysis.memory import memory
from netspec.analysis.memory_model import simulate_pass
from netspec.analysis.parameters import parameters
from netspec.analysis.receptive_fields import receptive_fields
from netspec.analysis.summary import summary
from netspec.dims import MAX_DIM
from netspec.ops.base import REGISTRY, Op
from netspec.report import plain
from netspec.types import Call, Reach, Tensor, Weight, Window
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

    from tests.analysis.live_memory import LiveMemory, Loss

LOST = Field((None, None), (None, None), (None, None))


def net(network: str, shape: str = "[N, 2, 8, 8]", head: str = "") -> netspec.Network:
    return netspec.loads(f"netspec: 1\nname: example\n{head}inputs: {{image: {shape}}}\nnetwork: {network}\n")


def last(made: netspec.Network) -> Field:
    return propagate_fields(made.graph)[made.graph.outputs[0].value]["image"]


def lost(note: str) -> Field:
    return Field(LOST.size, LOST.stride, LOST.start, note)


# Receptive fields.

EVERY = "{softmax: 2}, {softmax: 3}"
SLIDE = "{max_pool2d: {kernel_size: %d, stride: %d}}"
PARTED = f"{{concat: {{branches: {{a: [{SLIDE % (1, 2)}], b: [{SLIDE % (5, 1)}]}}}}}}"


@pytest.mark.parametrize("more", ["flatten", "{adaptive_avg_pool2d: 3}", "{max_pool2d: 3}", "{flatten: 2}"])
def test_what_sees_everything_goes_on_to_see_it(more: str) -> None:
    """Two softmaxes, down and across, mix the whole map; what follows can't see less."""
    assert last(net(f"[{EVERY}]")) == last(net(f"[{EVERY}, {more}]")) == Field((8, 8), (0, 0), (0, 0))


@pytest.mark.parametrize(
    ("network", "note"),
    [
        (f"[{PARTED}, flatten]", MISALIGNED),
        (f"[{PARTED}, {{max_pool2d: 2}}]", MISALIGNED),
        ("[{adaptive_avg_pool2d: 3}, {max_pool2d: 2}]", VARIES),
        ("[{adaptive_avg_pool2d: 3}, flatten]", VARIES),
        (f"[{{add: {{branches: {{a: [{{adaptive_avg_pool2d: 3}}], b: [{SLIDE % (6, 1)}]}}}}}}]", VARIES),
        (f"[{{add: {{branches: {{a: [{SLIDE % (6, 1)}], b: [{{adaptive_avg_pool2d: 3}}]}}}}}}]", VARIES),
        ("[{add: {branches: {a: [{conv2d: [2, 3]}, flatten], b: [flatten]}}}]", UNPLACED),
    ],
)  # fmt: skip
def test_what_lost_its_place_stays_lost(network: str, note: str) -> None:
    network = network.replace("{conv2d: [2, 3]}", "{conv2d: {out_channels: 2, kernel_size: 3, padding: 1}}")
    assert last(net(network)) == lost(note)


def test_a_merge_of_flat_values_that_saw_alike_keeps_their_size() -> None:
    made = net("[{add: {branches: {a: [{max_pool2d: 2}, flatten], b: [{avg_pool2d: 2}, flatten]}}}]")
    assert last(made) == Field((2, 2), (None, None), (None, None), UNPLACED)


def test_one_branch_that_sees_everything_is_enough() -> None:
    for order in (EVERY, "{relu}"), ("{relu}", EVERY):
        a, b = (branch.replace("{relu}", "relu") for branch in order)
        assert last(net(f"[{{add: {{branches: {{a: [{a}], b: [{b}]}}}}}}]")) == Field((8, 8), (0, 0), (0, 0))


def test_a_branch_that_sees_more_on_both_sides() -> None:
    for branches in ("a: [], b: [{SLIDE}]", "a: [{SLIDE}], b: []"):
        three = "{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}"
        made = net(f"[{{add: {{branches: {{{branches.replace('{SLIDE}', three)}}}}}}}]")
        assert last(made) == Field((3, 3), (1, 1), (-1, -1))


def test_a_map_of_fewer_axes_has_no_place() -> None:
    """Three axes of a volume, two of them 1, are flattened to two: a window of two then fits none of the three."""
    made = net("[{flatten: {start_dim: 3, end_dim: 4}}, {max_pool2d: 1}]", "[N, 2, 6, 1, 1]")
    none = (None,) * 3
    assert last(made) == Field(none, none, none, UNPLACED)


def test_fields_up_to_the_largest_size() -> None:
    """n windows of 3 with a stride of 2 see 2**(n + 1) - 1 with a stride of 2**n: a map of one unit, padded again."""

    def chain(count: int, step: str) -> Field:
        return last(net(f"[{', '.join([step] * count)}]", "[N, 2, 1, 1]"))

    three = "{max_pool2d: {kernel_size: 3, stride: 2, padding: 1}}"
    assert chain(62, three) == Field((MAX_DIM,) * 2, (2**62,) * 2, (1 - 2**62,) * 2)
    assert chain(63, three) == lost(TOO_LARGE)
    assert chain(63, SLIDE % (1, 2)) == lost(TOO_LARGE)
    assert chain(62, SLIDE % (1, 2)) == Field((1, 1), (2**62,) * 2, (0, 0))


def test_windows_of_half_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling a map halves the stride (Araujo, Norris & Sim 2019): 3 + 1/2 * (3 - 1) = 4 pixels, each pixel anew."""
    half = Window((1, 1), (Fraction(1, 2), Fraction(1, 2)), (Fraction(-1, 4), Fraction(1, 2)))
    monkeypatch.setattr(REGISTRY["relu"], "window", lambda self, x: half)  # pyright: ignore
    made = net(f"[{SLIDE % (3, 1)}, relu, {{max_pool2d: {{kernel_size: 3, stride: 2}}, name: last}}]", "[N, 2, H, W]")
    fields = propagate_fields(made.graph)
    assert fields["relu"]["image"] == Field((3, 3), half.stride, half.start)
    assert fields["last"]["image"] == Field((4, 4), (1, 1), half.start)
    assert not any(isinstance(entry, Fraction) for entry in (*fields["last"]["image"].size, *last(made).stride))
    wanted = {"size": [3, 3], "stride": ["1/2", "1/2"], "start": ["-1/4", "1/2"]}
    assert plain(fields["relu"]["image"].public()) == wanted


def test_what_depends_on_the_data_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY["relu"], "window", lambda self, x: Reach.DATA)  # pyright: ignore
    assert last(net("[{max_pool2d: 2}, relu]")) == lost(DATA_DEPENDENT)
    assert last(net("[relu, {max_pool2d: 2}]")) == lost(DATA_DEPENDENT)


# Memory.


def peak(made: netspec.Network, batch: int, train: bool) -> int:
    """The most that torch holds, at inference or in a training step."""
    module = made.compile().to("meta").train(train)
    inputs = [torch.empty((batch, *i.type.shape[1:]), device="meta") for i in made.graph.inputs]  # pyright: ignore
    held = [*module.parameters(), *module.buffers(), *inputs]
    with torch.set_grad_enabled(train), LiveMemory(held) as live:
        output = module(*inputs)
        if train:
            Loss.apply(output).backward(torch.empty(0, device="meta"))
    return live.peak


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_response_norm_of_any_width_to_the_byte(size: int, channels: int) -> None:
    made = net(f"[{{local_response_norm: {size}}}]", f"[N, {channels}, 3, 4]")
    assert simulate_pass(made.graph, batch=3).peak == peak(made, 3, train=False)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_products_of_several_to_the_byte(count: int) -> None:
    branches = ", ".join(f"b{n}: [{{conv2d: {{out_channels: 2, kernel_size: 1}}}}]" for n in range(count))
    made = net(f"[{{multiply: {{branches: {{{branches}}}}}}}]")
    nodes = simulate_pass(made.graph, "train", batch=3).nodes
    value = 4 * 3 * 2 * 8 * 8
    # The image is an input, held anyway; autograd saves all factors, and the products between them.
    assert nodes[made.graph.outputs[0].value].kept == value * (count + count - 2)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("name", ["add", "multiply"])
def test_merges_of_several_to_the_byte(name: str, count: int) -> None:
    """Two at a time: what is between them is held for a moment."""
    inputs = [f"x{n}" for n in range(count)]
    shapes = ", ".join(f"{x}: [N, 2, 3, 5]" for x in inputs)
    text = f"netspec: 1\nname: merge\ninputs: {{{shapes}}}\nnetwork: [{{{name}, from: [{', '.join(inputs)}]}}]\n"
    made = netspec.loads(text)
    assert simulate_pass(made.graph, batch=3).peak == peak(made, 3, train=False)


@pytest.mark.filterwarnings("ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device")
@pytest.mark.parametrize("kernel", [[3, 3], [4, 3], [3, 4], [2, 4]])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_same_padding_to_the_byte(mode: str, kernel: list[int]) -> None:
    """torch pads the odd row or column first, in a tensor of its own, where one axis has one."""
    options = f"kernel_size: {kernel}, padding: same, padding_mode: {mode}"
    made = net(f"[{{conv2d: {{out_channels: 3, {options}}}}}]", "[N, 2, 6, 9]")
    assert simulate_pass(made.graph, batch=3).peak == peak(made, 3, train=False)


@pytest.mark.parametrize(("optimizer", "moments"), [("none", 0), ("sgd", 1), ("adam", 2)])
def test_an_optimizer_is_held_all_the_time(optimizer: Any, moments: int) -> None:
    made = net("[{conv2d: {out_channels: 4, kernel_size: 3}}, batch_norm, flatten, {linear: 5}]")
    parameters = sum(4 * p.numel() for p in made.compile().parameters())
    plain, found = (simulate_pass(made.graph, "train", batch=3, optimizer=name) for name in ("none", optimizer))
    assert found.parameters == found.gradients == parameters
    assert found.optimizer == moments * parameters
    assert found.peak - plain.peak == moments * parameters
    assert plain.peak == peak(made, 3, train=True)
    inference = simulate_pass(made.graph, "inference", batch=3, optimizer=optimizer)
    assert (inference.optimizer, inference.gradients, inference.kept) == (0, 0, 0)
    assert inference.peak == simulate_pass(made.graph, "inference", batch=3).peak


# Parameters and multiply-accumulates.


def test_costs_are_those_of_one_sample() -> None:
    """A layer of 6 x 4 weights makes 24 products for each sample, however many there are; an odd batch as well."""
    for batch in ("N", "1", "2", "3", "5"):
        made = net("[{linear: {out_features: 4, bias: false}}]", f"[{batch}, 6]")
        (cost,) = costs(made.graph).values()
        assert (cost.parameters, cost.buffers, cost.macs) == (24, 0, 24)


def test_inputs_of_several_batches_have_no_one_sample() -> None:
    """Then costs are those of the whole: 2 * 24 and 3 * 24 products."""
    made = netspec.loads(
        "netspec: 1\nname: two\ninputs: {a: [2, 6], b: [3, 6]}\nnetwork:\n"
        "  - {linear: {out_features: 4}, from: a, name: one}\n  - {linear: {out_features: 4}, from: b, name: other}\n"
        "outputs: {one: one, other: other}\n"
    )
    assert {name: cost.macs for name, cost in costs(made.graph).items()} == {"one": 48, "other": 72}


def test_a_shared_weight_counts_once() -> None:
    builder = netspec.Builder("shared")
    first = builder.add("linear", builder.input("x", ["N", 6]), name="first", out_features=6)
    normed = builder.add("batch_norm", first)
    linear = REGISTRY["linear"].model_validate({"out_features": 6})
    second = builder.node("second", linear, (normed,), weights_of="first")
    builder.output("y", builder.add("linear", second, name="third", out_features=6))
    graph = builder.build()
    found = {name: (cost.parameters, cost.buffers, cost.macs) for name, cost in costs(graph).items()}
    own = 6 * 6 + 6
    assert found == {"first": (own, 0, 36), "batch_norm": (12, 13, 0), "second": (0, 0, 36), "third": (own, 0, 36)}
    held = simulate_pass(graph, "train")
    normed = netspec.Builder("statistics")
    plain = REGISTRY["batch_norm"].model_validate({"affine": False})
    value = normed.node("one", plain, (normed.input("x", ["N", 6]),))
    normed.output("y", normed.node("two", plain, (value,), weights_of="one"))
    assert [(cost.parameters, cost.buffers) for cost in costs(normed.build()).values()] == [(0, 13), (0, 0)]
    assert (held.parameters, held.buffers) == (4 * (own + 12 + own), 4 * 12 + 8)
    assert summary(graph)["totals"]["parameters"] == 2 * own + 12


def test_sizes_that_are_asked_for_take_the_place_of_nominal_ones() -> None:
    made = net("[{conv2d: {out_channels: 5, kernel_size: 3}}]", "{shape: [N, 2, H, W], nominal: {H: 5, W: 6}}")
    (nominal,), (asked,) = costs(made.graph).values(), costs(made.graph, at={"H": 4}).values()
    assert nominal.macs == 5 * 2 * 9 * 3 * 4
    assert asked.macs == 5 * 2 * 9 * 2 * 4
    data = summary(made.graph, at={"H": 4})
    assert data["at"] == {"N": 1, "H": 4, "W": 6}
    assert data["totals"]["macs"] == asked.macs
    with pytest.raises(ValueError, match=r"^`example` has no symbolic size A, K$"):
        summary(made.graph, at={"K": 4, "A": 3})


# Networks side by side.


def depth(network: str) -> int:
    return compare([net(network).graph])["networks"][0]["depth"]


def test_depth_is_that_of_the_longest_way() -> None:
    """Layers with weights, as He et al. count 18 and 152, and pools count for nothing."""
    conv = "{conv2d: {out_channels: 2, kernel_size: 1}}"
    assert depth("[relu, {max_pool2d: 2}]") == 0
    assert depth(f"[{conv}, relu, {conv}]") == 2
    branches = f"{{add: {{branches: {{a: [{conv}, {conv}, {conv}], b: [{conv}], c: []}}}}}}"
    assert depth(f"[{conv}, {branches}, flatten, {{linear: 2}}]") == 5
    names = ["vgg_a", "vgg_d", "vgg_e", "resnet18", "resnet50"]
    rows = compare([netspec.load(name).graph for name in names])["networks"]
    # The shortcut of a stage's first block has no more layers than what it goes around.
    assert [row["depth"] for row in rows] == [11, 16, 19, 18, 50]


def test_the_module_holds_what_the_table_counts() -> None:
    module = net("[{conv2d: {out_channels: 3, kernel_size: 2}}, batch_norm]")
    totals = summary(module.graph)["totals"]
    built = module.compile()
    assert isinstance(built, nn.Module)
    assert totals["parameters"] == totals["parameters_training"] == sum(p.numel() for p in built.parameters())
    assert totals["buffers"] == sum(b.numel() for b in built.buffers())


# Values of several outputs, several modes, and ops that do not say.


class Halves(Op):
    """The two halves of the channels, each of which sees its own position alone."""

    output_names: ClassVar[tuple[str, ...]] = ("first", "second")

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(x.channels, int)
        return x.with_channels(x.channels // 2), x.with_channels(x.channels - x.channels // 2)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def torch(self, x: Tensor) -> Call:
        return Call("torch.tensor_split", {"indices_or_sections": 2, "dim": 1})


def test_every_output_of_a_node_has_its_field_and_depth() -> None:
    builder = netspec.Builder("halves")
    conv = builder.add("conv2d", builder.input("x", ["N", 2, 8, 8]), out_channels=4, kernel_size=3)
    first = builder.node("halves", Halves(), (conv,))
    (second,) = [value for value, _ in builder.nodes[-1].values() if value != first]
    builder.output("y", builder.add("conv2d", second, name="last", out_channels=1, kernel_size=3))
    graph = builder.build()
    fields = propagate_fields(graph)
    assert fields[first] == fields[second] == fields[conv] == {"x": Field((3, 3), (1, 1), (0, 0))}
    assert fields["last"] == {"x": Field((5, 5), (1, 1), (0, 0))}
    assert compare([graph])["networks"][0]["depth"] == 2


def trained() -> netspec.Graph:
    """A network with a head that is built in training only: 76 and 25 parameters, and 15 of that."""
    builder = netspec.Builder("trained")
    image = builder.input("image", ["N", 2, "H", 8], nominal={"H": 8})
    stem = builder.add("conv2d", image, name="stem", out_channels=4, kernel_size=3)
    aux = builder.add("conv2d", stem, name="aux", out_channels=3, kernel_size=1)
    builder.output("y", builder.add("conv2d", stem, name="head", out_channels=5, kernel_size=1))
    builder.output("aux", aux, mode="train")
    return builder.build()


@pytest.mark.parametrize("mode", ["inference", "train"])
def test_what_is_there_in_training_only(mode: Any) -> None:
    graph, train = trained(), mode == "train"
    count, products = (116, 104) if train else (101, 92)
    names = ["stem", "aux", "head"] if train else ["stem", "head"]
    for height in (8, 10):
        data = summary(graph, mode, {"H": height})
        assert (data["totals"]["parameters"], data["totals"]["parameters_training"]) == (count, 116)
        assert data["totals"]["macs"] == products * 6 * (height - 2)
        assert set(data["outputs"]) == ({"y", "aux"} if train else {"y"})
    assert simulate_pass(graph, mode).parameters == 4 * count
    assert compare([graph], mode)["networks"][0]["parameters"] == count
    assert parameters(graph, mode=mode)["total"] == count
    report = memory(graph, mode)
    assert [row["name"] for row in report["layers"]] == names
    table = summary(graph, mode).table()
    assert any("116 in training" in note for note in table.notes) != train
    assert [row[0] for row in table.rows] == ["image", *names]
    assert ("\naux  " in str(report)) == train


def test_a_mode_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"^the mode is \"inference\" or \"train\", not 'training'$"):
        summary(trained(), "training")  # pyright: ignore


def test_products_that_are_unknown_make_totals_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY["relu"], "macs", lambda self, y, x: None)  # pyright: ignore
    made, other = net("[relu, {conv2d: {out_channels: 1, kernel_size: 1}}]"), net("[sigmoid]")
    data = summary(made.graph)
    assert (data["complete"], data["totals"]["macs"]) == (False, 128)
    assert "; at least 128 MACs at N = 1." in str(made.summary())
    assert "totals with such ops are at least" in str(compare([other.graph, made.graph]))
    assert "at least" not in str(compare([other.graph]))


def test_what_a_network_sees_is_its_last_window() -> None:
    def sees(network: str) -> str:
        return str(compare([net(network).graph])).splitlines()[2].split("  ")[-1].strip()

    for last_one in ("{adaptive_avg_pool2d: 3}", "flatten", "{adaptive_avg_pool2d: 1}", "{softmax: 2}", "{softmax: 3}"):
        assert sees(f"[{{max_pool2d: 2}}, {last_one}]") == "2 /2", last_one
    assert sees("[{max_pool2d: {kernel_size: [2, 3]}}]") == "2x3 /2x3"
    # Behind a gate each unit of the map sees all, which the window before it would hide; a mean is no map.
    gate = "{adaptive_avg_pool2d: 1, from: input, name: mean}, {multiply, from: [map, mean]}"
    assert sees(f"[{{max_pool2d: 2, name: map}}, {gate.replace('input', 'map')}]") == "all"
    assert sees("[{max_pool2d: 2}, {adaptive_avg_pool2d: 1}, {permute: {dims: [0, 2, 3, 1]}}]") == "2 /2"
    assert sees("[{max_pool2d: 2}, {interpolate: 3}, {max_pool2d: {kernel_size: 2, stride: 1}}]") == "4 /2/3"
    flat = compare([net("[{linear: 3}]", "[N, 4]").graph])
    assert flat["networks"][0]["receptive_field"] is None


def test_fields_without_a_place_in_tables() -> None:
    made = net("[{adaptive_avg_pool2d: 3}, {max_pool2d: 2, name: pool}]")
    report = receptive_fields(made.graph)
    assert report["layers"][0]["share"] == [None, None]
    assert str(report).splitlines()[4].split()[-4:] == ["varies", "-", "-", "-"]
    assert "  varies" in str(made.summary())
    wide = receptive_fields(net("[{conv2d: {out_channels: 1, kernel_size: 7, padding: 3}}]", "[N, 2, 4, 5]").graph)
    assert wide["layers"][0]["share"] == [1.0, 1.0]


def test_networks_without_anything_to_hold() -> None:
    nothing = net("[identity]")
    assert "peak" in str(memory(nothing.graph))
    assert parameters(nothing.graph)["rows"] == []
    assert str(parameters(nothing.graph)).splitlines()[-1].split() == ["total", "0"]
    title = {"none": "no optimizer", "sgd": "SGD with momentum", "adam": "Adam"}
    for optimizer, words in title.items():
        report = memory(nothing.graph, "train", optimizer=optimizer)  # pyright: ignore
        assert str(report).splitlines()[0] == f"example: memory of training, {words}, batch 1, float32"
        assert memory(nothing.graph, optimizer=optimizer)["optimizer"] == "none"  # pyright: ignore


@pytest.mark.parametrize(("dtype", "size"), [("int64", 8), ("int32", 4), ("bfloat16", 4), ("float64", 4)])
def test_inputs_of_other_dtypes(dtype: str, size: int) -> None:
    """Floats are all of the precision that is asked for; integers stay what they are."""
    made = net("[identity]", f"{{shape: [N, 7], dtype: {dtype}}}")
    assert simulate_pass(made.graph, batch=3).inputs == 3 * 7 * size


def test_memory_at_sizes_that_are_asked_for() -> None:
    made = net("[relu]", "{shape: [N, 2, H, 8], nominal: {H: 5}}")
    assert simulate_pass(made.graph).inputs == 4 * 2 * 5 * 8
    assert simulate_pass(made.graph, at={"H": 9}).inputs == 4 * 2 * 9 * 8


CONV = "{conv2d: {out_channels: 2, kernel_size: 1}}"
TRAINING = {
    "nothing-trained-before": f"[relu, {{avg_pool2d: 2}}, {CONV}, batch_norm, relu]",
    "residual": f"[{CONV}, {{add: {{branches: {{a: [{CONV}, batch_norm], b: []}}}}}}, relu, {CONV}]",
    "residual-twice": f"[{CONV}, {{add: {{branches: {{a: [{CONV}, sigmoid], b: []}}}}, name: p}}, sigmoid,"
    f" {{add: {{branches: {{a: [{CONV}, tanh], b: []}}}}, name: q}}, tanh, {CONV}]",
    "untrained-branch": f"[{{add: {{branches: {{a: [{CONV}], b: [sigmoid]}}}}}}, {CONV}]",
}


@pytest.mark.parametrize("name", TRAINING)
def test_training_steps_to_the_byte(name: str) -> None:
    made = net(TRAINING[name])
    assert simulate_pass(made.graph, "train", batch=3).peak == peak(made, 3, train=True)


def test_what_summaries_say_below_and_beside() -> None:
    def table(network: str, shape: str) -> Any:
        made = net(network, shape)
        return summary(made.graph).table()

    conv = "{conv2d: {out_channels: 1, kernel_size: 1}}"
    assert table(f"[{conv}]", "[1, 2, 8, 8]").notes[0].endswith("; 128 MACs.")
    nominal = "{shape: [N, 2, H, 8], nominal: {H: 8}}"
    assert table(f"[{conv}]", nominal).notes[0].endswith("; 128 MACs at N = 1, H = 8.")
    assert table("[{softmax: 2}]", "[N, 2, 8, 8]").rows[1][-1] == "8x1 /0x1"
    assert table("[{linear: 3}]", "[N, 2]").headings[-1] == "MACs"  # no column for what no input of features has
    assert table("[{adaptive_avg_pool2d: 3}]", "[N, 2, 8, 8]").rows[1][-1] == "varies"


def test_keys_and_titles_of_reports() -> None:
    graph = net("[{max_pool2d: 2}, batch_norm]").graph
    fields, held, counts = receptive_fields(graph), memory(graph), parameters(graph)
    assert fields["network"] == held["network"] == counts["network"] == "example"
    assert (fields["layers"][0]["op"], held["layers"][0]["op"]) == ("max_pool2d", "max_pool2d")
    assert fields["layers"][0]["output_shape"] == held["layers"][0]["output_shape"] == ["N", 2, 4, 4]
    assert str(counts).splitlines()[0] == "example: parameters by layer"
    many = memory(net("[batch_norm]", "[N, 1000000]").graph, batch=2)
    # 4 values of 4 bytes for each channel and one of 8: 16 MB.
    rows = {line.split()[0]: line.split()[-1] for line in str(many).splitlines() if line}
    assert (rows["weights"], rows["inputs"], rows["peak"]) == ("16.0", "8.0", "32.0")
    nothing = [line.split()[0] for line in str(memory(net("[identity]").graph)).splitlines() if line]
    assert nothing[nothing.index("weights") :][:3] == ["weights", "inputs", "peak"]


def test_the_positions_of_a_sequence_of_features_are_its_steps() -> None:
    """A linear layer sees one step of (N, T, F) and an LSTM all; a convolution slides along (N, C, L)."""

    def sees(network: str) -> list[str]:
        table = summary(net(network, "[N, 7, 6]").graph).table()
        return [str(row[-1]) for row in table.rows[1:]]

    assert sees("[{linear: 5}, {lstm: {hidden_size: 3}}, {linear: 2}]") == ["1 /1", "all", "all"]
    assert sees("[{layer_norm: {}}, {linear: 5}]") == ["1 /1", "1 /1"]
    assert sees("[{conv1d: {out_channels: 4, kernel_size: 3}}]") == ["3 /1"]
    assert sees("[{softmax: 2}]") == ["all"]
    report = receptive_fields(net("[{linear: 5}, {lstm: {hidden_size: 3}}]", "[N, 7, 6]").graph)
    assert [row[2:] for row in report.table().rows] == [["7", "7", "0", "0", "100 %"]]
