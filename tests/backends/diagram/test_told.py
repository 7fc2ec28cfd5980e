"""What pictures say of copies that differ, of closed boxes, of shapes, and of values whose size alone counts."""

from __future__ import annotations

import time
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest

import netspec
from netspec.backends.diagram.copy_texts import differing, shapes_across, times, varying, which
from netspec.backends.diagram.fold import fold
from netspec.backends.diagram.picture import Box, Picture


def spec(network: str, blocks: str = "", shape: str = "[N, 8, 32, 32]", more: str = "") -> netspec.Graph:
    text = f"netspec: 1\nname: x\ninputs: {{image: {shape}}}\n{more}"
    return netspec.loads(text + (f"blocks:\n{blocks}" if blocks else "") + f"network:\n{network}").graph


def only_box(picture: Picture, kind: str) -> Box:
    (box,) = [box for box in picture.boxes.values() if box.kind == kind]
    return box


def lines(picture: Picture) -> dict[tuple[str, str], str]:
    return {(edge.tail, edge.head): edge.only for edge in picture.edges}


# Closed boxes.

INNER_SUM = """\
  b:
    body:
      - {conv2d: {out_channels: 8, kernel_size: 1}, name: a}
      - {conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: c}
      - {add, from: [c, a]}
      - {conv2d: {out_channels: 8, kernel_size: 1}, name: last}
"""
RESIDUAL = """\
  b:
    params: {widen: false}
    body:
      - add:
          branches:
            f: [{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}}, batch_norm]
            x: [{conv2d: {out_channels: 8, kernel_size: 1}, when: widen}]
      - relu
"""
TWO_SUMS = """\
  b:
    body:
      - {add: {branches: {f: [batch_norm, conv2d: {out_channels: 8, kernel_size: 1}], x: []}}, name: one}
      - {add: {branches: {f: [batch_norm, conv2d: {out_channels: 8, kernel_size: 1}], x: []}}, name: two}
"""


@pytest.mark.parametrize(
    ("blocks", "use", "said"),
    [
        (INNER_SUM, "b", ""),
        (INNER_SUM, "{b, repeat: 3, name: s}", "s"),
        (RESIDUAL, "b", "residual"),
        (RESIDUAL, "{b, repeat: 3, name: s}", "s · residual"),
        (RESIDUAL, "{b: {widen: index == 0}, repeat: 3, name: s}", "s · residual (not first)"),
        (RESIDUAL, "{b: {widen: true}, repeat: 3, name: s}", "s"),
        (RESIDUAL, "{b: {widen: index == 1}, repeat: 3, name: s}", "s · residual (in 2 of 3)"),
        (TWO_SUMS, "b", "residual"),
    ],
)
def test_a_closed_box_is_closed(blocks: str, use: str, said: str) -> None:
    """No way leads round it and no sum stands behind it; that it is residual is said where it is."""
    graph = spec(f"  - {{conv2d: {{out_channels: 8, kernel_size: 1}}, name: stem}}\n  - {use}\n  - sigmoid\n", blocks)
    drawn = netspec.diagram(graph, 0)
    assert [box.kind for box in drawn.picture.boxes.values()] == ["input", "op", "block", "op", "output"]
    assert len(drawn.picture.edges) == 4
    assert only_box(drawn.picture, "block").subtitle == said
    assert "<B>+</B>" not in drawn.dot
    assert drawn.dot.count("->") - drawn.dot.count("style=invis") == 4


def test_resnet34_closed() -> None:
    drawn = netspec.load("resnet34").diagram(0)
    keys = list(drawn.picture.boxes)
    assert list(lines(drawn.picture)) == list(pairwise(keys))
    assert "<B>+</B>" not in drawn.dot
    said = {box.key: (box.count, box.subtitle) for box in drawn.picture.boxes.values() if box.kind == "block"}
    assert said["layer1"] == (3, "layer1 · residual")
    assert said["layer2"] == (4, "layer2 · residual (not first)")


# Lines of some copies.


def test_an_identity_beside_a_projection_of_the_first_copy() -> None:
    drawn = netspec.load("resnet34").diagram()
    for number in (2, 3, 4):
        before, here = f"layer{number - 1}.*", f"layer{number}.*"
        told = lines(drawn.picture)
        assert told[f"{before}.add", f"{here}.add"] == "not first"
        assert told[f"{before}.add", f"{here}.shortcut.conv_bn.conv2d"] == "first only"
        assert told[f"{here}.shortcut.conv_bn.conv2d", f"{here}.add"] == "first only"
        assert told[f"{before}.add", f"{here}.residual.conv_bn.conv2d"] == ""
    assert told["pool", "layer1.*.add"] == ""
    assert drawn.dot.count(">others<") == 3


def test_when_in_branches_and_behind_them() -> None:
    blocks = """\
  b:
    params: {n: int}
    body:
      - add:
          branches:
            f: [{conv2d: {out_channels: 8, kernel_size: 1}, when: n > 0}, {sigmoid, when: n == 1}]
            x: []
      - {max_pool2d: {kernel_size: 3, stride: 1, padding: 1}, when: n < 2, name: pool}
      - {conv2d: {out_channels: 8, kernel_size: 1}, name: last}
"""
    told = lines(fold(spec("  - {b: index, repeat: 3, name: s}\n", blocks)))
    assert told == {
        ("from image", "s.*.f.conv2d"): "not first",
        ("s.*.f.conv2d", "s.*.add"): "not first",
        ("from image", "s.*.add"): "",
        ("s.*.add", "s.*.pool"): "not last",
        ("s.*.pool", "s.*.last"): "not last",
        ("s.*.add", "s.*.last"): "last only",
        ("s.*.last", "to output"): "",
    }


def test_ops_of_one_name_that_differ_are_drawn_apart() -> None:
    """Specs have no such copies, but graphs that are built in Python may."""
    builder = netspec.Builder("x")
    value = builder.input("image", ["N", 4, 32, 32])
    with builder.scope("s", "repeat"):
        for number in range(3):
            with builder.scope(f"copy{number}", "block", "b"):
                value = builder.add("conv2d", value, name="a", out_channels=4, kernel_size=1)
                made: dict[str, Any] = {"out_channels": 4} if number else {}
                value = builder.add("conv2d" if number else "max_pool2d", value, name="either", kernel_size=3, **made)
    builder.output("y", value)
    picture = fold(builder.build())
    assert [(box.key, box.label, box.only) for box in picture.boxes.values() if box.cluster] == [
        ("s.*.a", "1x1 conv, 4", ""),
        ("s.*.either", "3x3 max pool, /3", "first only"),
        ("s.*.either~2", "3x3 conv, 4", "not first"),
    ]
    assert lines(picture)["s.*.either~2", "to y"] == "not first"


def test_a_frame_that_only_some_copies_have() -> None:
    blocks = """\
  inner: {body: [{conv2d: {out_channels: 8, kernel_size: 1}}, {conv2d: {out_channels: 8, kernel_size: 1}}]}
  b:
    params: {n: int}
    body: [{inner, name: extra, when: n == 0}, {conv2d: {out_channels: 8, kernel_size: 1}, name: last}]
"""
    drawn = netspec.diagram(spec("  - {b: index, repeat: 3, name: s}\n", blocks))
    assert [(f.key, f.count, f.only) for f in drawn.picture.clusters.values()] == [
        ("s", 3, ""),
        ("s.*.extra", 1, "first only"),
    ]
    assert 'style="rounded,filled,dashed"' in drawn.dot.partition("cluster_1")[2].partition("[")[0] + drawn.dot


def test_followers_that_differ() -> None:
    blocks = """\
  b:
    params: {n: int}
    body: [{conv2d: {out_channels: 8, kernel_size: 1}}, {batch_norm, when: n > 0}, relu, {dropout: 0.5, when: n == 1}]
"""
    (box,) = [b for b in fold(spec("  - {b: index, repeat: 3, name: s}\n", blocks)).boxes.values() if b.kind == "op"]
    assert box.subtitle == "s · bn (not first), relu, dropout (in 1 of 3)"


def test_followers_that_differ_in_numbers_are_one() -> None:
    blocks = """\
  b:
    params: {p: float}
    body: [{conv2d: {out_channels: 8, kernel_size: 1}}, {dropout: p, when: p > 0}, relu, {dropout: 0.25}]
"""
    picture = fold(spec("  - {b: index / 10, repeat: 4, name: s}\n", blocks))
    (box,) = [box for box in picture.boxes.values() if box.kind == "op"]
    assert box.subtitle == "s · dropout, {0.1, 0.2, 0.3} (not first), relu, dropout, 0.25"


def test_copies_of_a_frame_in_a_repeat_are_those_of_the_repeat() -> None:
    picture = fold(netspec.load("rir").graph, 2)
    assert picture.boxes["stage2.*.first.shortcut"].only == "first only"
    assert lines(picture)["stage1.*.r_out", "stage2.*.first.r_sum"] == "not first"


# Counts, arguments and shapes.

NESTED = """\
  unit:
    params: {width: int, stride: 1}
    body: [{conv2d: {out_channels: width, kernel_size: 3, padding: 1, stride: stride}}, relu]
  stage:
    params: {width: int, depth: int}
    body: [{unit: {width: width, stride: 2 if index == 0 else 1}, repeat: depth, name: units}]
"""
TRUNK = '  - {stage: {width: 8 * (index + 1), depth: "depths[index]"}, repeat: len(depths), name: trunk}\n'


def test_counts_that_differ() -> None:
    drawn = netspec.diagram(spec(TRUNK, NESTED, more="params: {depths: [1, 2, 3]}\n"))
    box = only_box(drawn.picture, "op")
    assert (box.counts, box.label) == ((1, 2, 3), "3x3 conv, {8, 16, 24}, first /2")
    assert "× 1, 2, 3" in drawn.dot
    assert drawn.picture.clusters["trunk"].details == ("width {8, 16, 24}, depth {1, 2, 3}",)
    closed = only_box(fold(spec(TRUNK, NESTED, more="params: {depths: [1, 2, 3]}\n"), 0), "block")
    assert (closed.label, closed.counts, closed.details) == ("stage", (3,), ("width {8, 16, 24}, depth {1, 2, 3}",))
    alike = only_box(fold(spec(TRUNK, NESTED, more="params: {depths: [2, 2]}\n")), "op")
    assert alike.counts == (2,)


def test_arguments_that_differ() -> None:
    blocks = """\
  squeeze:
    params: {width: int}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - relu
      - {conv2d: {out_channels: input.channels, kernel_size: 1}}
  unit:
    params: {width: int}
    body: [conv2d: {out_channels: width, kernel_size: 3, padding: 1}, squeeze: input.channels // 4]
"""
    graph = spec("  - {unit: 64, repeat: 3, name: stage}\n", blocks, "[N, 16, 32, 32]")
    box = only_box(fold(graph, 1), "block")
    assert (box.label, box.details, box.subtitle) == ("squeeze", ("width 16 (first 4)",), "64 × 32 × 32")
    assert fold(graph, 2).clusters["stage.*.squeeze"].details == ("width 16 (first 4)",)


def test_names_of_arguments() -> None:
    """One is told by its value, several by their names."""
    picture = fold(netspec.load("googlenet").graph, 0)
    box = picture.boxes["inception3a"]
    assert (box.label, box.details) == (
        "inception",
        ("n1x1=64, reduce3x3=96, n3x3=128, reduce5x5=16, n5x5=32, pool_proj=32",),
    )
    assert fold(netspec.load("resnet50").graph, 0).boxes["layer1"].label == "bottleneck 64"


@pytest.mark.parametrize(
    ("steps", "shape"),
    [
        ("{norm2d, name: n}, relu", "8 × 32 × 32"),
        ("{permute: {dims: [0, 2, 3, 1]}}, layer_norm", "32 × 32 × 8"),
        ("{adaptive_avg_pool2d: 1}, flatten", "8"),
        ("{conv2d: {out_channels: 4, kernel_size: 1}}, batch_norm, relu, flatten", "4096"),
        ("{permute: {dims: [1, 0, 2, 3]}}, relu", "8 × N × 32 × 32"),
    ],
)
def test_the_shape_of_a_box_is_that_of_what_leaves_it(steps: str, shape: str) -> None:
    blocks = "  norm2d: {body: [permute: {dims: [0, 2, 3, 1]}, layer_norm, permute: {dims: [0, 3, 1, 2]}]}\n"
    picture = fold(spec(f"  [{steps}]\n", blocks))
    box = only_box(picture, "op")
    assert (box.shape, box.figures.partition("\n")[0]) == (shape, shape)


def test_a_further_output_is_told_by_its_name() -> None:
    picture = fold(netspec.load("lstm_classifier").graph)
    assert picture.boxes["lstm"].shape == "h_n 4 × N × 256"


def test_the_second_operand_has_a_number_where_the_order_counts() -> None:
    """Of `a + b` it has none, and of `a - a` neither."""
    steps = """
  - {relu, name: a}
  - {tanh, from: image, name: b}
  - {subtract, from: [b, a], name: difference}
  - {add, from: [difference, a], name: sum}
  - {divide, from: [sum, sum], name: one}
"""
    drawn = netspec.diagram(spec(steps))
    assert [(edge.tail, edge.head) for edge in drawn.picture.edges if edge.is_second] == [("a", "difference")]
    assert drawn.dot.count("headlabel=2") == 1
    assert "2: the second operand" in drawn.dot


def test_a_part_has_its_inputs_by_name() -> None:
    picture = fold(netspec.load("unet").graph, part="up4")
    assert [box.label for box in picture.boxes.values() if box.kind == "input"] == ["below", "left"]


# Sizes.


def test_no_line_leads_into_a_learned_tensor() -> None:
    picture = fold(netspec.load("vit_b_16").graph)
    learned = {box.key for box in picture.boxes.values() if box.label.startswith("parameter")}
    assert len(learned) == 2
    assert not learned & {edge.head for edge in picture.edges}
    assert learned < {edge.tail for edge in picture.edges}


def test_a_value_whose_size_alone_counts_is_dotted() -> None:
    graph = spec(
        "  - {max_pool2d: 2, name: low}\n  - {interpolate: {}, from: [low, image], name: up}\n  - {relu, name: end}\n"
    )
    drawn = netspec.diagram(graph)
    assert [(edge.tail, edge.size_only) for edge in drawn.picture.edges if edge.head == "up"] == [
        ("low", False),
        ("from image", True),
    ]
    assert "style=dotted" in drawn.dot
    assert "dotted: its size alone" in drawn.dot


# Where lines begin.


def test_skips_begin_inside_their_frame() -> None:
    drawn = netspec.load("resnet18").diagram()
    ids = {key: f"n{number}" for number, key in enumerate(drawn.picture.boxes)}
    ways = [line.strip().split(" [")[0] for line in drawn.dot.splitlines() if "->" in line and "invis" not in line]
    assert f"{ids['pool']} -> g0" in ways
    assert f"g0 -> {ids['layer1.*.add']}" in ways
    assert f"{ids['pool']} -> {ids['layer1.*.add']}" not in ways
    cluster = drawn.dot.partition("cluster_0")[2].partition("cluster_1")[0]
    assert "\t\tg0 [" in cluster


def test_a_dashed_line_is_dashed_on_its_way_to_another_column() -> None:
    """The sum of a stage of MobileNetV2 that its first copy lacks."""
    drawn = netspec.load("mobilenet_v2").diagram(1)
    (way,) = [line for line in drawn.dot.splitlines() if "-> end1 " in line]
    assert "style=dashed" in way


# Words.


def test_words_for_copies() -> None:
    assert differing(["4"] * 3) == "4"
    assert differing(["4", "16", "16"]) == "16 (first 4)"
    assert differing(["4", "4", "16"]) == "4 (last 16)"
    assert differing(["64", "256", "64"]) == "{64, 256, 64}"
    assert differing([str(n) for n in range(8, 97, 8)]) == "8 … 96"
    assert differing(["1", "9", "2", "8", "3"]) == "1 to 9"
    assert differing(["a", "b", "c", "d", "e"]) == "{a, b, c, …}"
    assert differing(["1", "2", "1", "2"], ["p", "p", "q", "q"]) == "{1, 2}"
    assert varying(["3x3 conv, 8, dilation 1", "3x3 conv, 8, dilation 2"]) == "3x3 conv, 8, dilation {1, 2}"
    assert times([1]) == ""
    assert times([4, 4]) == "× 4"
    assert times([1, 2, 3]) == "× 1, 2, 3"
    assert times(range(1, 25)) == "× 1, 2, 3, …, 24 (1 to 24)"
    assert shapes_across(["8 × 4", "16 × 2"]) == "8 × 4, then 16 × 2"
    assert shapes_across(["8", "16", "8"]) == "shape varies"
    assert which([True, False, True, False], ["p", "p", "q", "q"]) == "first only"
    assert which([False, True, True], [0, 0, 0]) == "not first"
    assert which([False, True, False], [0, 0, 0]) == "in 1 of 3"


# Parts.


def test_a_part_by_the_name_of_its_block() -> None:
    graph = netspec.load("googlenet").graph
    assert fold(graph, part="inception").title == "GoogLeNet: inception3a"
    with pytest.raises(netspec.NetspecError, match="did you mean `inception`"):
        fold(graph, part="incepton")
    with pytest.raises(netspec.NetspecError, match="it is a single `linear`"):
        fold(graph, part="fc")
    with pytest.raises(netspec.NetspecError, match="it is a block: name one of its uses, such as `inception3a`"):
        fold(graph, expand=("inception",))


# Time.


def seconds(copies: int, view: Any = ()) -> float:
    blocks = "  r: {body: [add: {branches: {a: [{conv2d: {out_channels: 8, kernel_size: 1}}, relu], b: []}}]}\n"
    graph = spec(f"  - {{r, repeat: {copies}}}\n", blocks)
    begin = time.process_time()
    with pytest.raises(netspec.NetspecError, match="NS401") if view else nullcontext():
        fold(graph, *view)
    return time.process_time() - begin


@pytest.mark.parametrize("view", [(), (None, ("all",))], ids=["folded", "refused"])
def test_time_grows_as_the_copies_do(view: Any) -> None:
    few, many = (min(seconds(copies, view) for _ in range(2)) for copies in (3_100, 12_400))
    assert many < 12 * few


def test_what_only_the_last_copy_gives_enters_all_copies_of_what_follows() -> None:
    """In the second cluster each copy takes what enters it, so that no line there is dashed or says `last`."""
    drawn = spec(
        "  - {u: {skip: index < 3}, repeat: 4, name: s}\n  - {u: {}, repeat: 4, name: t}\n",
        "  u:\n    params: {skip: true}\n    body:\n"
        "      - {conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: c}\n"
        "      - {add, from: [c, input], when: skip}\n",
    )
    dot = netspec.diagram(drawn).dot
    ways = dict(line.strip().partition(" [")[::2] for line in dot.splitlines() if "->" in line and "invis" not in line)
    # n1 and n2 are the convolution and the sum of the first cluster, n3 and n4 of the second.
    assert "dashed" in ways["n1 -> n2"]
    assert "dashed" in ways["n1 -> g1"]
    assert "dashed" not in ways["g1 -> n3"] + ways["g1 -> n4"]
    assert ">last<" not in dot


def test_a_box_is_called_after_a_norm_rather_than_the_permute_that_it_needs() -> None:
    steps = "permute: {dims: [0, 2, 3, 1]}}, {layer_norm: {}, name: norm}, {permute: {dims: [0, 3, 1, 2]}"
    text = f"netspec: 1\nname: n\ninputs: {{x: [N, 3, 8, 8]}}\nnetwork: [{{{steps}}}, {{relu: {{}}}}]\n"
    boxes = [b for b in fold(netspec.loads(text).graph).boxes.values() if b.kind == "op"]
    assert [(box.label, box.subtitle, box.family) for box in boxes] == [("layer norm", "norm · relu", "normalization")]
