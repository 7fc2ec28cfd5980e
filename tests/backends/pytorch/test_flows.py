"""How the sizes of an op's output depend on constructor arguments."""

from __future__ import annotations

from netspec.backends.pytorch.flows import SHAPE, Flow, SizeRules, after
from netspec.expression import Literal, Name, parse
from netspec.graph import Builder
from netspec.ops.probe import AxisSize
from tests.backends.pytorch.printing import text

BATCH = AxisSize(0, (0,))
WIDTH = frozenset(("width",))
STRIDE = frozenset(("stride",))


def test_channels_of_an_attribute_are_its_expression() -> None:
    axes = [BATCH, AxisSize("out_channels"), AxisSize(others=frozenset((2, "stride")))]
    flow = after([axes], [3], [Flow(Name("in_channels"))], {"out_channels": Name("width"), "stride": Name("stride")})
    assert (flow.channels, flow.assumed, flow.others) == (Name("width"), frozenset(), STRIDE)


def test_channels_that_an_op_keeps_are_those_of_its_input() -> None:
    before = Flow(Name("width"), STRIDE, frozenset((SHAPE,)))
    flow = after([[BATCH, AxisSize(1, (0,)), AxisSize(2, (0,))]], [3], [before], {})
    assert (flow.channels, flow.assumed, flow.others) == (Name("width"), STRIDE, frozenset((SHAPE,)))


def test_channels_of_a_concatenation_are_a_sum() -> None:
    axes = [BATCH, AxisSize(1, (0, 1), summed=True)]
    flow = after([axes], [2, 2], [Flow(Name("width")), Flow(Literal(16))], {})
    assert text(flow.channels) == "width + 16"
    unknown = after([axes], [2, 2], [Flow(Name("width")), Flow(None, STRIDE, STRIDE)], {})
    assert (unknown.channels, unknown.others) == (None, WIDTH | STRIDE)


def test_nothing_is_known_of_a_size_that_is_neither_an_input_nor_an_attribute() -> None:
    # A flattened map: channels times places.
    axes = [BATCH, AxisSize(others=frozenset((1, 2, 3)))]
    flow = after([axes], [4], [Flow(Name("width"), others=STRIDE)], {})
    assert (flow.channels, flow.dependencies) == (None, WIDTH | STRIDE)


def test_what_follows_from_unknown_channels_depends_on_all_that_they_assume() -> None:
    unknown = Flow(None, STRIDE, frozenset((SHAPE,)))
    flow = after([[BATCH, AxisSize(others=frozenset((1,)))]], [3], [unknown], {})
    assert flow.dependencies == {"stride", SHAPE}


def test_features_are_the_last_axis_of_a_sequence() -> None:
    axes = [BATCH, AxisSize(1, (0,)), AxisSize("out_features")]
    flow = after([axes], [3], [Flow(Literal(5), features=Name("in_features"))], {"out_features": parse("2*wide")})
    assert (text(flow.channels), text(flow.features)) == ("5", "2 * wide")
    assert flow.dependencies == {"wide"}


def test_uses_that_disagree_leave_a_size_open() -> None:
    keeps, sets = AxisSize(1, (0,)), AxisSize("out_channels", others=frozenset((2,)))
    flow = after([[BATCH, keeps], [BATCH, sets]], [3], [Flow(Name("width"), others=STRIDE)], {})
    assert (flow.channels, flow.others) == (None, STRIDE)


def test_uses_of_several_ranks_have_nothing_but_channels() -> None:
    flat, map = [BATCH, AxisSize(1, (0,))], [BATCH, AxisSize(1, (0,)), AxisSize(2, (0,))]
    flow = after([flat, map], [3], [Flow(Name("width"), others=STRIDE)], {})
    assert (flow.channels, flow.others) == (Name("width"), WIDTH | STRIDE)


def test_dependencies_are_all_names_of_a_flow() -> None:
    flow = Flow(parse("2*width"), STRIDE, frozenset((SHAPE,)), Name("in_features"))
    assert flow.dependencies == {"width", "stride", SHAPE, "in_features"}


def test_ops_are_asked_once_for_each_kind_of_layer() -> None:
    builder = Builder("net")
    x = builder.input("image", ["N", 3, 8, 8])
    for width in (8, 16):
        x = builder.add("conv2d", x, name=f"conv{width}", out_channels=width, kernel_size=3)
    builder.output("y", x)
    graph, rules = builder.build(), SizeRules()
    first, second = (rules.outputs(node, graph, frozenset(("out_channels",))) for node in graph.nodes)
    assert first is second
    assert first[0][1] == AxisSize("out_channels")
    arguments = rules.arguments(graph["conv8"], graph)
    assert arguments == {"in_channels": frozenset((1,))}
    assert rules.arguments(graph["conv16"], graph) is arguments
