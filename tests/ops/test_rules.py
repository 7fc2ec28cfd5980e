"""Rules of ops beyond their examples: what torch refuses, keeps and sees, and labels as papers write them."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest

from netspec.dims import symbol
from netspec.errors import choices
from netspec.ops.attributes import literal_words, make_op, takes
from netspec.ops.base import REGISTRY, Op, RuleError, is_float
from netspec.ops.equal import UnequalShapes
from netspec.types import Layer, Reach, Tensor, Weight, Window
from tests.support.contract import data_sizes, infer, random, type_of, written
from tests.support.contract import named_op as op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

    from tests.support.printed import made as built
    from tests.support.printed import meaning

Shape = tuple[int, ...]


def module(made: Any, x: Tensor) -> nn.Module:
    form = made.torch(x)
    assert isinstance(form, Layer)
    return built(form)


def torchs(made: Any, *shapes: Shape, dtype: str = "float32") -> torch.Tensor | None:
    """What torch makes of inputs of these shapes; None where it refuses them."""
    kind: torch.dtype = getattr(torch, dtype)
    values = [torch.rand(shape).to(kind) for shape in shapes]
    form = made.torch(*(Tensor(shape) for shape in shapes))
    try:
        layer = built(form) if isinstance(form, Layer) else None
        return meaning(form, layer.to(kind) if layer is not None and kind.is_floating_point else layer)(*values)
    except (RuntimeError, ValueError, IndexError):
        return None


def ours(made: Any, *shapes: Shape, dtype: str = "float32") -> Tensor | RuleError:
    try:
        return made.infer(*(Tensor(shape, dtype) for shape in shapes))
    except RuleError as error:
        return error


def refusal(made: Any, *inputs: Tensor) -> tuple[str, str]:
    with pytest.raises(RuleError) as raised:
        made.infer(*inputs)
    return raised.value.code, raised.value.at


# Sizes.


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_is_refused_where_torch_refuses_it(mode: str) -> None:
    """Reflected and circular padding needs a map to take it from."""
    refused = 0
    for padding in itertools.product((0, 1, 2, 3), (0, 2)):
        made = op("conv2d", out_channels=2, kernel_size=1, padding=list(padding), padding_mode=mode)
        for size in itertools.product((1, 2, 3, 4), (2, 3, 4)):
            shape = (1, 2, *size)
            theirs, found = torchs(made, shape), ours(made, shape)
            if isinstance(found, RuleError):
                assert theirs is None
                assert (found.code, found.at) == ("NS304", "padding")
                refused += 1
            else:
                assert theirs is not None
                assert tuple(theirs.shape) == found.shape
    assert bool(refused) == (mode in ("reflect", "circular"))


@pytest.mark.filterwarnings("ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("kernel", [[2, 5], [4, 3], [5, 2], [6, 1]])
def test_same_padding_of_any_mode_is_as_torchs(mode: str, kernel: list[int]) -> None:
    """The larger of the two sides counts: after the map where a kernel is even."""
    made = op("conv2d", out_channels=2, kernel_size=kernel, padding="same", padding_mode=mode)
    for size in itertools.product((1, 2, 3, 4), (2, 3)):
        theirs, found = torchs(made, (1, 2, *size)), ours(made, (1, 2, *size))
        assert (theirs is None) == isinstance(found, RuleError), size
        if theirs is not None:
            assert isinstance(found, Tensor)
            assert found.shape == tuple(theirs.shape)
        if isinstance(found, RuleError):
            short = [(k // 2, n) for k, n in zip(kernel, size, strict=True) if k // 2 > n - (mode == "reflect")]
            assert found.message == "`{}` padding of {} is more than a map of {} has".format(mode, *short[0])


def test_same_padding_takes_a_stride_of_one_only() -> None:
    for stride in itertools.product((1, 2, 3), (1, 2)):
        made = op("conv2d", out_channels=2, kernel_size=3, stride=list(stride), padding="same")
        if stride == (1, 1):
            assert made.infer(Tensor((1, 2, 5, 6))) == Tensor((1, 2, 5, 6))
        else:
            assert refusal(made, Tensor((1, 2, 5, 6))) == ("NS304", "padding")
            with pytest.raises(ValueError):  # noqa: PT011
                nn.Conv2d(2, 2, 3, stride, "same")


def test_a_window_that_is_too_large_says_by_how_much() -> None:
    made = op("conv2d", out_channels=2, kernel_size=5, dilation=2, padding=[1, 3])
    with pytest.raises(RuleError, match=r"^a window of 9 is larger than the map of 6 \(with padding 8\)$"):
        made.infer(Tensor((1, 2, 6, 6)))
    with pytest.raises(RuleError, match=r"^a window of 9 is larger than the map of 2 \(with padding 8\)$"):
        made.infer(Tensor((1, 2, 7, 2)))
    with pytest.raises(RuleError, match=r"^a window of 3 is larger than the map of 2$"):
        op("max_pool2d", kernel_size=3).infer(Tensor((1, 2, 2, 5)))


PRINCIPALS_OF_AXES = {
    "conv": "out_channels",
    "conv_transpose": "out_channels",
    "max_pool": "kernel_size",
    "avg_pool": "kernel_size",
    "adaptive_avg_pool": "output_size",
    "adaptive_max_pool": "output_size",
}
"""Ops that there are for one, two and three spatial axes, and their principal attributes."""
RANKS = {
    **{f"{name}{axes}d": (axes + 2,) for name in PRINCIPALS_OF_AXES for axes in (1, 2, 3)},
    "interpolate": (4,),
    "multihead_attention": (3,),
    "layer_norm": (2, 3, 4, 5),
    "group_norm": (2, 3, 4, 5),
    "dropout2d": (4,),
    "linear": (2, 3, 4, 5),
    "batch_norm": (2, 3, 4, 5),
    "local_response_norm": (3, 4, 5),
}
"""Those with a batch: torch's modules also take one sample alone."""


@pytest.mark.parametrize("name", RANKS)
def test_ranks_that_are_taken(name: str) -> None:
    made = op(name, **REGISTRY[name].examples[0].attributes)
    sizes = (2, 3, 8, 7, 6)
    for rank in range(1, 6):
        shape = sizes[:rank]
        found = ours(made, shape)
        if rank in RANKS[name]:
            theirs = torchs(made, shape)
            assert theirs is not None
            assert not isinstance(found, RuleError)
            assert found.shape == tuple(theirs.shape)
        else:
            assert isinstance(found, RuleError)
            assert found.code == "NS302"


@pytest.mark.parametrize(
    ("name", "shape", "help"),
    [
        ("conv2d", (2, 3, 8, 7, 6), "`conv3d` takes (N, C, D, H, W)"),
        ("max_pool1d", (2, 3, 8, 7), "`max_pool2d` takes (N, C, H, W)"),
        ("adaptive_avg_pool1d", (2, 3, 8, 7, 6), "`adaptive_avg_pool3d` takes (N, C, D, H, W)"),
        ("conv2d", (2, 3, 8, 7, 6, 5), ""),
        ("pixel_shuffle", (2, 8, 8, 7, 6), ""),
        ("pixel_unshuffle", (2, 8, 8, 8, 6, 6, 2, 2, 2), ""),
        ("conv3d", (2, 3, 8, 7), "the batch is the first axis of an input, as in `[N, 3, 224, 224]`"),
    ],
)
def test_the_op_for_a_map_of_more_axes(name: str, shape: tuple[int, ...], help: str) -> None:
    with pytest.raises(RuleError) as raised:
        op(name, **REGISTRY[name].examples[0].attributes).infer(Tensor(shape))
    assert (raised.value.code, raised.value.help) == ("NS302", help)


def test_a_mean_over_three_axes_takes_no_smaller_map() -> None:
    """torch refuses it, also where padding makes up for it; of one and two axes it does not."""
    shape: tuple[int, ...] = (1, 2, 1)
    for axes in (1, 2, 3):
        made = op(f"avg_pool{axes}d", kernel_size=2, padding=1)
        refused = isinstance(ours(made, shape), RuleError)
        assert refused == (axes == 3) == (torchs(made, shape) is None)
        shape = (*shape, 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_prelu_fits_its_slopes_to_channels_as_torch_does(count: int) -> None:
    made = op("prelu", num_parameters=count)
    for shape in [(3,), (2, 3), (2, 2), (3, 2), (2, 3, 4), (2, 1, 3), (2, 3, 2, 2), (2, 2, 3, 3)]:
        theirs, found = torchs(made, shape), ours(made, shape)
        assert (theirs is None) == isinstance(found, RuleError), shape
        assert not isinstance(found, RuleError) or found.at == "num_parameters"


def test_groups_divide_what_enters_and_what_leaves() -> None:
    for groups, channels, width in [(2, 4, 6), (2, 3, 4), (2, 4, 3), (3, 3, 6), (4, 2, 4), (4, 4, 2)]:
        made = op("conv2d", out_channels=width, kernel_size=1, groups=groups)
        if channels % groups or width % groups:
            assert refusal(made, Tensor((1, channels, 4, 4))) == ("NS304", "groups")
            with pytest.raises(ValueError):  # noqa: PT011
                nn.Conv2d(channels, width, 1, groups=groups)
        else:
            (weight, _) = made.weights(Tensor((1, channels, 4, 4)))
            assert weight == Weight("weight", tuple(nn.Conv2d(channels, width, 1, groups=groups).weight.shape))


# Dtypes.

FLOATS_ONLY = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "linear",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "multihead_attention",
]


@pytest.mark.parametrize("name", FLOATS_ONLY)
def test_integers_are_refused_where_weights_are_floats(name: str) -> None:
    cls = REGISTRY[name]
    made, shape = op(name, **cls.examples[0].attributes), cls.examples[0].inputs[0]
    for dtype in ("int64", "int32", "bool"):
        assert refusal(made, Tensor(shape, dtype)) == ("NS302", "")
        assert torchs(made, shape, dtype=dtype) is None


READ_FLOATS = [
    name for name, cls in REGISTRY.items() if any(map(is_float, cls.examples[-1].types[: cls.reads or None]))
]


@pytest.mark.parametrize("name", READ_FLOATS)
def test_every_precision_is_kept(name: str) -> None:
    """The floats of all outputs are those of the inputs; integers and booleans stay as torch has them."""
    for example in REGISTRY[name].examples:
        made = op(name, **example.attributes)
        for dtype in ("float64", "bfloat16"):
            outputs = infer(made, as_wide(example.types, dtype))
            assert {y.dtype for y in outputs if is_float(y)} <= {dtype}
    xs = as_wide(example.types, "float64")
    theirs = written(made, xs, dtype=torch.float64)(*random(xs))
    assert data_sizes(infer(made, xs), tuple(map(type_of, theirs))) is not None


def as_wide(xs: tuple[Tensor, ...], dtype: str) -> tuple[Tensor, ...]:
    """Types with another dtype for floats."""
    return tuple([Tensor(x.shape, dtype) if is_float(x) else x for x in xs])


# Axes.


def seen(made: Any, shape: Shape) -> Iterator[tuple[Shape, set[Shape]]]:
    """By unit of the output's map, the positions of the input's map that change it."""
    function = module(made, Tensor(shape))
    x = torch.rand(shape)
    before = function(x)
    found: dict[Shape, set[Shape]] = {}
    for place in itertools.product(*(range(size) for size in shape[2:])):
        changed = x.clone()
        changed[:, :, *place] += 10.0
        moved = (function(changed) != before).flatten(0, 1).any(0)
        for unit in moved.nonzero().tolist():
            found.setdefault(tuple(unit), set()).add(place)
    yield from found.items()


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (2, 3, 2, 4, 3)], ids=str)
@pytest.mark.parametrize(("name", "axis"), [("softmax", n) for n in (0, 1, 2, 3, -1, -2)] + [("linear", -1)])
def test_an_axis_that_is_mixed_is_seen_whole(shape: Shape, name: str, axis: int) -> None:
    if axis >= len(shape):
        return
    made = op(name, dim=axis) if name == "softmax" else op(name, out_features=4)
    window = made.window(Tensor(shape))
    assert len(shape) > 3 or isinstance(window, Reach)
    for unit, places in seen(made, shape):
        boxes = [range(size) for size in shape[2:]]
        if window is Reach.POINT:
            boxes = [range(n, n + 1) for n in unit]
        elif isinstance(window, Window):
            assert len(window.size) == len(window.stride) == len(window.start) == len(unit)
            boxes = [
                range(step * n + begin, step * n + begin + size)
                for n, size, step, begin in zip(unit, window.size, window.stride, window.start, strict=True)
            ]
        else:
            assert window is Reach.ALL
        assert places == set(itertools.product(*boxes)), unit


def test_an_axis_of_unknown_size_is_seen_whole() -> None:
    x = Tensor((symbol("N"), 3, symbol("H"), symbol("W")))
    assert op("softmax", dim=2).window(x) is Reach.ALL
    assert op("softmax", dim=1).window(x) is Reach.POINT


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_axes_of_softmax_are_torchs(name: str) -> None:
    for axis in range(-5, 5):
        made = op(name, dim=axis)
        theirs, found = torchs(made, (2, 3, 4, 5)), ours(made, (2, 3, 4, 5))
        assert (theirs is None) == isinstance(found, RuleError)
        assert not isinstance(found, RuleError) or (found.code, found.at) == ("NS302", "dim")


def test_axes_of_flatten_are_torchs() -> None:
    shape = (2, 3, 4, 5)
    for first, last in itertools.product(range(-5, 5), repeat=2):
        theirs, found = torchs(made := op("flatten", start_dim=first, end_dim=last), shape), ours(made, shape)
        assert (theirs is None) == isinstance(found, RuleError), (first, last)
        if theirs is not None:
            assert isinstance(found, Tensor)
            assert found.shape == tuple(theirs.shape)
        else:
            outside = [name for name, n in (("start_dim", first), ("end_dim", last)) if n not in range(-4, 4)]
            expected = ("NS302", outside[0]) if outside else ("NS304", "start_dim")
            assert refusal(made, Tensor(shape)) == expected


@pytest.mark.parametrize(
    ("shape", "axes", "reach"),
    [
        ((2, 3, 1, 4), (1, -1), Reach.UNPLACED),
        ((2, 3, 4, 1), (1, -1), Reach.UNPLACED),
        ((2, 3, 4, 1), (2, -1), Reach.UNPLACED),
        ((2, 3, 1, 1), (1, -1), Reach.POINT),
        ((2, 3, 1, 4), (1, 2), Reach.POINT),
        ((2, 3, 4, 4), (1, 2), Reach.UNPLACED),
        ((2, 3, 4, 4), (0, 1), Reach.POINT),
    ],
)
def test_flatten_keeps_the_place_of_single_units(shape: Shape, axes: tuple[int, int], reach: Reach) -> None:
    assert op("flatten", start_dim=axes[0], end_dim=axes[1]).window(Tensor(shape)) is reach


def test_units_laid_end_to_end_lose_their_place() -> None:
    xs = (Tensor((2, 3, 4, 5)),) * 2
    places = {axis: op("concat", dim=axis).window(*xs) for axis in (0, 1, 2, 3, -1, -4)}
    point, lost = Reach.POINT, Reach.UNPLACED
    assert places == {0: point, 1: point, 2: lost, 3: lost, -1: lost, -4: point}


def test_adaptive_pools_see_everything_only_where_both_sizes_are_one() -> None:
    x = Tensor((1, 2, 6, 4))
    assert op("adaptive_avg_pool2d", output_size=[1, 2]).window(x) == Window((6, 2), (6, 2), (0, 0))
    assert op("adaptive_avg_pool2d", output_size=[2, 1]).window(x) == Window((3, 4), (3, 4), (0, 0))
    assert op("adaptive_avg_pool2d", output_size=[None, 1]).window(x) == Window((1, 4), (1, 4), (0, 0))
    assert op("adaptive_avg_pool2d", output_size=1).window(x) is Reach.ALL
    assert op("adaptive_avg_pool2d", output_size=2).window(Tensor((1, 2, symbol("H") * 2, 4))) is Reach.VARIES


def test_statistics_of_the_batch_are_seen_from_everywhere() -> None:
    made = op("batch_norm", track_running_stats=False)
    assert made.window(Tensor((2, 3, 2, 2))) is Reach.ALL
    units = list(itertools.product((0, 1), repeat=2))
    assert dict(seen(made, (2, 3, 2, 2))) == {unit: set(units) for unit in units}


# Merges.


def test_shapes_that_merge_are_those_that_torch_merges() -> None:
    shapes = [(2, 3), (2, 4), (2, 3, 4), (2, 3, 5), (2, 4, 4)]
    for name, axes in {"concat": (-4, -3, -2, -1, 0, 1, 2, 3), "add": (None,), "multiply": (None,)}.items():
        for axis, count in itertools.product(axes, (2, 3)):
            made = op(name) if axis is None else op(name, dim=axis)
            for given in itertools.product(shapes, repeat=count):
                if axis is None and len({*given}) > 1:
                    assert refusal(made, *map(Tensor, given)) == ("NS301", "")  # torch may broadcast: we never do
                    continue
                theirs, found = torchs(made, *given), ours(made, *given)
                assert (theirs is None) == isinstance(found, RuleError), (axis, given)
                if theirs is not None:
                    assert isinstance(found, Tensor)
                    assert found.shape == tuple(theirs.shape)


def test_inputs_that_differ_are_counted() -> None:
    """The first is 0: messages name them by it."""
    for name in ("add", "multiply", "concat"):
        for place in (1, 2, 3):
            xs = [Tensor((2, 3, 4, 4))] * 4
            xs[place] = Tensor((2, 3, 4, 5))
            with pytest.raises(UnequalShapes) as raised:
                op(name).infer(*xs)
            assert (raised.value.first, raised.value.other) == (0, place)
            xs[place] = Tensor((2, 3, 4, 4), "int64")
            assert refusal(op(name), *xs) == ("NS302", "")


def test_the_way_to_equal_shapes_leads_there() -> None:
    """A way out that says what to add is followed: torch's 1x1 convolution makes the shapes equal."""
    ways = 0
    for a, b in itertools.product([(1, 2, 8, 8), (1, 3, 4, 4), (1, 3, 8, 8), (1, 2, 2, 2), (1, 5, 3, 3)], repeat=2):
        if a == b:
            continue
        with pytest.raises(UnequalShapes) as raised:
            op("add").infer(Tensor(a), Tensor(b))
        way = raised.value.help
        small, large = sorted((a, b), key=lambda shape: shape[2])
        if a[2:] == b[2:]:
            assert way == f"give one branch a 1x1 `conv2d`, so that both have {a[1]} channels"
        elif a[1] == b[1] or large[2] % small[2]:
            assert way == "give both the same strides and paddings"
        else:
            said = re.fullmatch(r"give the larger one a 1x1 `conv2d` with out_channels (\d+) and stride (\d+)", way)
            assert said, way
            projection = nn.Conv2d(large[1], int(said[1]), 1, int(said[2]))
            assert projection(torch.rand(large)).shape == small
            ways += 1
    assert ways == 6
    for a, b, way in [
        ((2, 3), (2, 3, 4), "bring both to 2 axes"),
        ((2, 3), (2, 4), "give both the same shape"),
        ((2, 3, 4), (2, 3, 5), "give both the same shape"),
    ]:
        with pytest.raises(UnequalShapes) as raised:
            op("add").infer(Tensor(a), Tensor(b))
        assert raised.value.help == way


def test_no_condition_is_named_where_none_is_enough() -> None:
    n, h = symbol("N"), symbol("H")
    x = Tensor((n, 3, h, 4))
    for other, way in [
        (Tensor((n, 3, h // 2 * 2, 4)), "it holds only if H % 2 == 0"),
        (Tensor((n, 3, h // 2 * 2, 5)), "give both the same shape"),
        (Tensor((n, 4, h, 4)), "give one branch a 1x1 `conv2d`, so that both have 3 channels"),
    ]:
        with pytest.raises(UnequalShapes) as raised:
            op("add").infer(x, other)
        assert raised.value.help == way


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "linear", "batch_norm", "group_norm", "layer_norm"])
def test_what_weights_are_made_for_must_be_known(name: str) -> None:
    example = REGISTRY[name].examples[0]
    made, shape = op(name, **example.attributes), example.inputs[0]
    axis = len(shape) - 1 if name in ("linear", "layer_norm") else 1
    assert refusal(made, Tensor((*shape[:axis], symbol("C"), *shape[axis + 1 :]))) == ("NS305", "")


# Labels, and how a person writes a module.


@pytest.mark.parametrize(
    ("name", "attributes", "unnamed"),
    [
        ("conv2d", {"out_channels": 4, "kernel_size": 3}, ["in_channels", "out_channels", "kernel_size"]),
        ("linear", {"out_features": 4}, ["in_features", "out_features"]),
        ("batch_norm", {}, ["num_features"]),
        ("max_pool2d", {"kernel_size": 2}, ["kernel_size"]),
        ("avg_pool2d", {"kernel_size": 2}, ["kernel_size"]),
        ("adaptive_avg_pool2d", {"output_size": 2}, ["output_size"]),
        ("adaptive_max_pool2d", {"output_size": 2}, ["output_size"]),
        ("local_response_norm", {"size": 5}, ["size"]),
        ("leaky_relu", {"negative_slope": 0.2}, ["negative_slope"]),
        ("leaky_relu", {}, []),
        ("prelu", {"num_parameters": 6}, ["num_parameters"]),
        ("prelu", {}, []),
        ("dropout", {"p": 0.2}, ["p"]),
        ("dropout", {}, []),
        ("dropout2d", {"p": 0.2}, ["p"]),
        ("dropout2d", {}, []),
        ("elu", {"alpha": 0.5}, []),
        ("conv_transpose2d", {"out_channels": 4, "kernel_size": 3}, ["in_channels", "out_channels", "kernel_size"]),
        ("group_norm", {"num_groups": 3}, ["num_groups", "num_channels"]),
        ("layer_norm", {}, ["normalized_shape"]),
    ],
)
def test_arguments_that_go_without_a_name(name: str, attributes: dict[str, Any], unnamed: list[str]) -> None:
    x = Tensor((2, 6, 4, 4))
    made = op(name, **attributes)
    form = made.torch(x)
    assert list(form.arguments)[: form.positional] == unnamed
    follow_from_input = {"in_channels", "in_features", "num_features", "num_channels"}
    decide_on_the_module = {"norm_region"}
    assert {*form.arguments} - follow_from_input == {*type(made).model_fields} - decide_on_the_module
    assert module(made, x)


@pytest.mark.parametrize(
    ("name", "attributes", "label"),
    [
        ("max_pool2d", {"kernel_size": 2}, "2x2 max pool, /2"),
        ("max_pool2d", {"kernel_size": 3, "stride": 1}, "3x3 max pool"),
        ("avg_pool2d", {"kernel_size": 3, "stride": [1, 2]}, "3x3 average pool, /1x2"),
        ("avg_pool2d", {"kernel_size": [2, 3], "stride": [2, 1]}, "2x3 average pool, /2x1"),
        ("adaptive_avg_pool2d", {"output_size": 1}, "global average pool"),
        ("adaptive_max_pool2d", {"output_size": 1}, "global max pool"),
        ("adaptive_avg_pool2d", {"output_size": 7}, "adaptive average pool, 7"),
        ("adaptive_max_pool2d", {"output_size": [1, 7]}, "adaptive max pool, 1x7"),
        ("conv2d", {"out_channels": 64, "kernel_size": [1, 3]}, "1x3 conv, 64"),
        (
            "conv2d",
            {"out_channels": 8, "kernel_size": 3, "stride": 2, "groups": 2, "dilation": [1, 2]},
            "3x3 conv, 8, /2, 2 groups, dilation 1x2",
        ),
        ("conv1d", {"out_channels": 8, "kernel_size": 3, "stride": 2}, "3 conv, 8, /2"),
        ("conv3d", {"out_channels": 8, "kernel_size": 3, "stride": [1, 2, 2]}, "3x3x3 conv, 8, /1x2x2"),
        ("max_pool3d", {"kernel_size": [1, 2, 2]}, "1x2x2 max pool, /1x2x2"),
        ("adaptive_avg_pool3d", {"output_size": [2, None, 4]}, "adaptive average pool, 2xHx4"),
        ("linear", {"out_features": 10}, "linear, 10"),
        ("dropout", {}, "dropout"),
        ("dropout", {"p": 0.2}, "dropout, 0.2"),
        ("leaky_relu", {"negative_slope": 0.2}, "leaky relu, 0.2"),
        ("local_response_norm", {"size": 5}, "local response norm, 5"),
        ("local_response_norm", {"size": 3, "norm_region": "within_channel"}, "3x3 local response norm"),
        ("instance_norm", {}, "instance norm"),
        ("rms_norm", {}, "rms norm"),
        ("channel_shuffle", {"groups": 2}, "channel shuffle, 2"),
        ("pixel_shuffle", {"upscale_factor": 2}, "pixel shuffle, 2"),
        ("roll", {"shifts": [-3, 3], "dims": [2, 3]}, "roll, -3 3 of axis 2 3"),
        ("flatten", {}, "flatten"),
        ("conv_transpose2d", {"out_channels": 8, "kernel_size": 2, "stride": 2}, "2x2 up-conv, 8, x2"),
        (
            "conv_transpose2d",
            {"out_channels": 8, "kernel_size": 3, "groups": 2, "dilation": 2},
            "3x3 up-conv, 8, 2 groups, dilation 2",
        ),
        ("interpolate", {"scale_factor": 2}, "upsample, x2"),
        ("interpolate", {"size": [4, 6], "mode": "bilinear"}, "upsample, to 4x6, bilinear"),
        ("interpolate", {}, "upsample"),
        ("layer_norm", {}, "layer norm"),
        ("group_norm", {"num_groups": 32}, "group norm, 32"),
        ("multihead_attention", {"num_heads": 12}, "12-head attention"),
        ("parameter", {"shape": [197, 768]}, "parameter, 197x768"),
        ("permute", {"dims": [0, 2, 1]}, "permute, 0 2 1"),
        ("transpose", {"dim0": 1, "dim1": 2}, "transpose, 1 2"),
        ("unflatten", {"dim": 1, "unflattened_size": [2, -1]}, "unflatten, 2x-1"),
        ("select", {"dim": 1, "index": 0}, "select, 0 of axis 1"),
        ("narrow", {"dim": 1, "start": 2, "length": 3}, "narrow, 2 to 4 of axis 1"),
        ("center_crop", {}, "center crop"),
    ],
)
def test_labels(name: str, attributes: dict[str, Any], label: str) -> None:
    assert op(name, **attributes).label() == label


def test_an_op_prints_what_was_said() -> None:
    assert str(op("conv2d", out_channels=4, kernel_size=3)) == "conv2d(out_channels=4, kernel_size=(3, 3))"
    assert str(op("relu")) == "relu()"


# What is said of attributes.


@pytest.mark.parametrize(
    ("name", "wrong", "help"),
    [
        ("conv2d", "strid", "did you mean `stride`?"),
        ("conv2d", "kernel", "did you mean `kernel_size`?"),
        ("conv2d", "mode", "did you mean `padding_mode`?"),
        ("avg_pool2d", "override", "did you mean `divisor_override`?"),
        ("linear", "xyz", f"it takes {choices(['out_features', 'bias'])}"),
        ("relu", "xyz", "it takes no arguments"),
    ],
)
def test_the_way_to_a_right_attribute(name: str, wrong: str, help: str) -> None:
    made, problems = make_op(REGISTRY[name], {**REGISTRY[name].examples[0].attributes, wrong: 1})
    assert made is None
    assert [(p.attribute, p.code, p.help) for p in problems] == [(wrong, "NS204", help)]


class Plain(Op):
    """An op of one's own, with attributes of Python's own types."""

    count: int
    rate: float | None = None
    word: Literal["left", "right"] | int = "left"
    names: Annotated[bool, "anything"] = True
    other: bytes = b""
    maybe: Annotated[int, "anything"] | None = None
    side: Annotated[Literal["top", 3], "anything"] | None = None

    infer = weights = macs = window = torch = lambda self, *xs: None  # pyright: ignore


def test_attributes_of_plain_types_in_words() -> None:
    words = {name: takes(Plain, name) for name in Plain.model_fields}
    assert words == {
        "count": "an integer",
        "rate": "a number, or null",
        "word": f"{choices(['left', 'right'])}, or an integer",
        "names": "true or false",
        "other": "another kind of value",
        "maybe": "an integer, or null",
        "side": f"{choices(['top', '3'])}, or null",
    }
    made, problems = make_op(Plain, {"count": 1.5, "rate": "x"})
    assert made is None
    assert [(p.attribute, p.code) for p in problems] == [("count", "NS206"), ("rate", "NS206")]
    _, problems = make_op(Plain, {"count": 2**31 - 1, "rate": 2**31 - 1, "word": None})
    assert [p.attribute for p in problems] == ["word"]


def test_words_that_stand_for_themselves() -> None:
    conv, gelu = REGISTRY["conv2d"], REGISTRY["gelu"]
    assert literal_words(conv, "padding") == {"same", "valid"}
    assert literal_words(conv, "padding_mode") == {"zeros", "reflect", "replicate", "circular"}
    assert literal_words(gelu, "approximate") == {"none", "tanh"}
    assert literal_words(Plain, "side") == {"top"}
    assert literal_words(Plain, "word") == {"left", "right"}
    assert literal_words(conv, "kernel_size") == literal_words(conv, "bias") == literal_words(conv, "no_such") == set()


# What classes say.

PRINCIPALS = {
    "linear": "out_features",
    **{f"{name}{axes}d": principal for name, principal in PRINCIPALS_OF_AXES.items() for axes in (1, 2, 3)},
    "local_response_norm": "size",
    "scale": "factor",
    **dict.fromkeys(("mean", "sum", "amax", "amin"), "dim"),
    "dropout": "p",
    "dropout2d": "p",
    "leaky_relu": "negative_slope",
    "prelu": "num_parameters",
    "elu": "alpha",
    "celu": "alpha",
    "gelu": "approximate",
    "hardshrink": "lambd",
    "softshrink": "lambd",
    "softplus": "beta",
    "softmax": "dim",
    "log_softmax": "dim",
    "concat": "dim",
    "flatten": "start_dim",
    "group_norm": "num_groups",
    "channel_shuffle": "groups",
    "pixel_shuffle": "upscale_factor",
    "pixel_unshuffle": "downscale_factor",
    "interpolate": "scale_factor",
    "multihead_attention": "num_heads",
}
FAMILIES = {
    "activation": (
        "relu relu6 leaky_relu prelu elu selu celu gelu silu mish sigmoid logsigmoid tanh hardtanh hardsigmoid "
        "hardswish softplus softsign threshold hardshrink softshrink softmax log_softmax"
    ),
    "attention": "multihead_attention",
    "convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear": "linear",
    "arithmetic": "scale",
    "reduction": "mean sum amax amin",
    "merge": "add multiply subtract divide concat",
    "normalization": "instance_norm rms_norm batch_norm local_response_norm layer_norm group_norm",
    "parameter": "parameter",
    "pooling": "interpolate "
    + " ".join(f"{name}{axes}d" for name in PRINCIPALS_OF_AXES if "pool" in name for axes in (1, 2, 3)),
    "regularization": "dropout dropout2d",
    "shape": "identity flatten permute transpose unflatten select narrow center_crop "
    "channel_shuffle pixel_shuffle pixel_unshuffle roll",
}


def test_principals_and_families() -> None:
    for family, names in FAMILIES.items():
        for name in names.split():
            cls = REGISTRY[name]
            assert (cls.opname, cls.family, cls.principal) == (name, family, PRINCIPALS.get(name))


@pytest.mark.parametrize("name", [name for names in FAMILIES.values() for name in names.split()])
def test_defaults_are_those_of_torchs_signature(name: str) -> None:
    cls = REGISTRY[name]
    example = cls.examples[0]
    form = op(name, **example.attributes).torch(*example.types)
    if not isinstance(form, Layer) or form.inside:
        return
    theirs = inspect.signature(getattr(nn, form.target.removeprefix("nn."))).parameters
    for field in cls.model_fields:
        if field == "norm_region":
            continue  # it decides on the module
        if name == "multihead_attention" and field in ("key_padding_mask", "attn_mask", "is_causal"):
            continue  # arguments of its call
        said, default = cls.default(field), theirs[field].default
        if said is ...:
            assert default is inspect.Parameter.empty
        elif name in ("softmax", "log_softmax"):
            assert (said, default) == (1, None)  # torch guesses an axis, and warns
        elif field == "normalized_shape":
            assert (said, default) == (None, inspect.Parameter.empty)  # it follows from the input
        else:
            assert (said[0] if isinstance(said, tuple) else said) == default, field
