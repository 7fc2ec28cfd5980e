"""Rules of ops that resize, rearrange, attend and learn, beyond their examples: what torch refuses, and how we do."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Layer, Reach, Tensor, Upsampling, Weight, Window
from tests.support.contract import named_op as op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.support.printed import made as built
    from tests.support.printed import meaning

Shape = tuple[int, ...]


def ours(made: Any, *shapes: Shape) -> Shape | RuleError:
    try:
        return made.infer(*map(Tensor, shapes)).shape
    except RuleError as error:
        return error


def torchs(made: Any, *shapes: Shape) -> Shape | None:
    """The shape that torch gives; None where it refuses."""
    form = made.torch(*map(Tensor, shapes))
    try:
        layer = built(form) if isinstance(form, Layer) else None
        return tuple(meaning(form, layer)(*map(torch.rand, shapes)).shape)
    except (RuntimeError, ValueError, IndexError, AssertionError):
        return None


def refusal(made: Any, *inputs: Shape | Tensor) -> tuple[str, str, str]:
    with pytest.raises(RuleError) as raised:
        made.infer(*(x if isinstance(x, Tensor) else Tensor(x) for x in inputs))
    return raised.value.code, raised.value.at, raised.value.message


# Transposed convolution.


def test_sizes_of_transposed_convolutions_are_torchs() -> None:
    refused = 0
    sizes = itertools.product((1, 2, 3), (1, 2, 3), (0, 1, 2), (0, 1, 2), (1, 2), (1, 4))
    for kernel, stride, padding, extra, dilation, size in sizes:
        attributes = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        made = op("conv_transpose2d", out_channels=2, output_padding=extra, **attributes)
        theirs, found = torchs(made, (1, 2, size, 3)), ours(made, (1, 2, size, 3))
        assert (theirs is None) == isinstance(found, RuleError), made
        assert theirs is None or theirs == found
        if isinstance(found, RuleError):
            refused += 1
            assert (found.at, found.code) in {("output_padding", "NS304"), ("padding", "NS303")}
    assert refused


def test_a_transposed_convolution_undoes_the_size_of_a_convolution() -> None:
    x = Tensor((symbol("N"), 4, symbol("H") * 2, symbol("W") * 2))
    down = op("conv2d", out_channels=4, kernel_size=2, stride=2).infer(x)
    assert op("conv_transpose2d", out_channels=4, kernel_size=2, stride=2).infer(down) == x


def test_groups_of_a_transposed_convolution() -> None:
    made = op("conv_transpose2d", out_channels=6, kernel_size=2, groups=3)
    assert made.weights(Tensor((1, 9, 4, 4)))[0] == Weight("weight", (9, 2, 2, 2))
    assert refusal(made, (1, 4, 4, 4)) == ("NS304", "groups", "3 groups do not divide 4 channels")
    made = op("conv_transpose2d", out_channels=4, kernel_size=2, groups=3)
    assert refusal(made, (1, 9, 4, 4)) == ("NS304", "groups", "3 groups do not divide 4 channels")
    made = op("conv_transpose2d", out_channels=4, kernel_size=2, output_padding=[0, 1])
    message = "output_padding of 1 is no smaller than stride 1 or dilation 1"
    assert refusal(made, (1, 9, 4, 4)) == ("NS304", "output_padding", message)
    made = op("conv_transpose2d", out_channels=4, kernel_size=1, padding=2)
    assert refusal(made, (1, 9, 4, 4))[2] == "padding of 2 leaves nothing of a map of 4"


def test_windows_of_transposed_convolutions() -> None:
    x = Tensor((1, 1, 4, 4))
    half = op("conv_transpose2d", out_channels=1, kernel_size=1, stride=2).window(x)
    assert half == Upsampling((((0, 0), None),) * 2)  # every other unit is bias alone
    assert op("conv_transpose2d", out_channels=1, kernel_size=[2, 3], stride=[2, 1]).window(x) == Upsampling(
        (((0, 0), (0, 0)), ((-2, 0),))
    )
    assert op("conv_transpose2d", out_channels=1, kernel_size=3, padding=1).window(x) == Window(
        (3, 3), (1, 1), (-1, -1)
    )
    assert op("conv_transpose2d", out_channels=1, kernel_size=3, stride=2**30).window(x) is Reach.VARIES


# Interpolation.


def test_sizes_of_interpolation_are_torchs() -> None:
    for size, scale in itertools.product((1, 2, 3, 5, 7), (0.3, 0.5, 0.75, 1, 1.5, 2, 2.6, 3)):
        made = op("interpolate", scale_factor=scale)
        theirs, found = torchs(made, (1, 2, size, 8)), ours(made, (1, 2, size, 8))
        assert (theirs is None) == isinstance(found, RuleError), (size, scale)
        assert theirs is None or theirs == found
        assert not isinstance(found, RuleError) or (found.code, found.at) == ("NS303", "scale_factor")


def test_interpolation_takes_its_size_from_one_place() -> None:
    x, like = (1, 2, 4, 4), (1, 3, 8, 8)
    what = "`interpolate` takes one of `size`, `scale_factor`, or a second input that has the size, not "
    assert refusal(op("interpolate"), x) == ("NS304", "", f"{what}none")
    assert refusal(op("interpolate", size=8, scale_factor=2), x) == ("NS304", "size", f"{what}2")
    assert refusal(op("interpolate", size=8), x, like) == ("NS304", "size", f"{what}2")
    assert refusal(op("interpolate", scale_factor=2), x, like) == ("NS304", "scale_factor", f"{what}2")
    assert refusal(op("interpolate"), x, (1, 3, 8))[0] == "NS302"


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area", "nearest-exact"])
@pytest.mark.parametrize("align", [None, True, False])
def test_corners_are_aligned_where_torch_can(mode: str, align: bool | None) -> None:
    made = op("interpolate", scale_factor=2, mode=mode, align_corners=align)
    found = ours(made, (1, 2, 3, 3))
    assert (torchs(made, (1, 2, 3, 3)) is None) == isinstance(found, RuleError)
    assert not isinstance(found, RuleError) or (found.code, found.at) == ("NS304", "align_corners")


def test_open_sizes_take_factors_that_are_exact() -> None:
    h, w = symbol("H"), symbol("W")
    x = Tensor((symbol("N"), 4, h, w))
    assert op("interpolate", scale_factor=[2, 0.25]).infer(x).spatial == (h * 2, w // 4)
    assert refusal(op("interpolate", scale_factor=1.5), x)[:2] == ("NS305", "scale_factor")
    assert op("interpolate").window(x, Tensor((1, 2, h * 2, w * 2))) == Upsampling((((0, 0), (0, 0)),) * 2)
    assert op("interpolate").window(x, Tensor((1, 2, h * 2 + 1, w * 2))) is Reach.VARIES
    assert op("interpolate", scale_factor=2, mode="bilinear", align_corners=True).window(x) is Reach.VARIES
    # Floor at each number is torch's.
    for size in range(4, 12):
        theirs = torchs(op("interpolate", scale_factor=0.25), (1, 1, size, 4))
        assert theirs is not None
        assert theirs[2] == size // 4


# Cropping.


def test_the_middle_of_a_map() -> None:
    form = op("center_crop").torch(Tensor((1, 1, 6, 7)), Tensor((1, 1, 2, 4)))
    x = torch.arange(42.0).reshape(1, 1, 6, 7)
    assert torch.equal(meaning(form)(x, torch.empty(1, 1, 2, 4)), x[:, :, 2:4, 1:5])
    code, _, message = refusal(op("center_crop"), (1, 1, 6, 7), (1, 1, 7, 4))
    assert (code, message) == ("NS303", "a map of 6 x 7 has no middle of 7 x 4")
    assert refusal(op("center_crop"), (1, 1, 6, 7), (1, 6))[0] == "NS302"
    assert op("center_crop").window(Tensor((1, 1, symbol("H"), 7)), Tensor((1, 1, 2, 4))) is Reach.UNPLACED


# Axes.


def test_axes_of_rearrangements_are_torchs() -> None:
    shape = (2, 3, 4, 6)
    for first, second in itertools.product(range(-5, 5), repeat=2):
        made = op("transpose", dim0=first, dim1=second)
        theirs, found = torchs(made, shape), ours(made, shape)
        assert (theirs is None) == isinstance(found, RuleError)
        assert theirs is None or theirs == found
        if isinstance(found, RuleError):
            outside = "dim0" if first not in range(-4, 4) else "dim1"
            assert (found.code, found.at) == ("NS302", outside)
    for dims in ([0, 1], [0, 1, 2, 2], [0, 1, 2, 3, 4], [0, -2, -1, 1], [3, 2, 1, 0], [0, 1, 2, 4], [-1, 2, 0, 1]):
        made = op("permute", dims=dims)
        theirs, found = torchs(made, shape), ours(made, shape)
        assert (theirs is None) == isinstance(found, RuleError), dims
        assert theirs is None or theirs == found
        assert not isinstance(found, RuleError) or (found.code, found.at) == ("NS302", "dims")


def test_places_of_axes_are_torchs() -> None:
    shape = (2, 3, 4)
    for axis, index in itertools.product(range(-4, 4), range(-6, 6)):
        made = op("select", dim=axis, index=index)
        theirs, found = torchs(made, shape), ours(made, shape)
        assert (theirs is None) == isinstance(found, RuleError), (axis, index)
        assert theirs is None or theirs == found
    for axis, start, length in itertools.product(range(-4, 4), range(5), range(1, 6)):
        made, found = (op("narrow", dim=axis, start=start, length=length), None)
        found = ours(made, shape)
        try:
            theirs = tuple(torch.narrow(torch.empty(shape), axis, start, length).shape)
        except (RuntimeError, IndexError):
            theirs = None
        assert (theirs is None) == isinstance(found, RuleError), (axis, start, length)
        if theirs is not None:
            assert theirs == found == torchs(made, shape)
    assert refusal(op("select", dim=1, index=3), shape) == ("NS303", "index", "there is no place 3 on an axis of 3")
    message = "2 places from place 2 are more than an axis of 3 has"
    assert refusal(op("narrow", dim=1, start=2, length=2), shape) == ("NS303", "length", message)


def test_parts_of_an_axis_are_torchs() -> None:
    for axis, parts in itertools.product((1, -1, 3), ([2, 6], [12], [-1, 3], [5, -1], [2, 2], [-1, 2, 2], [24])):
        made = op("unflatten", dim=axis, unflattened_size=parts)
        theirs, found = torchs(made, (2, 12, 12)), ours(made, (2, 12, 12))
        assert (theirs is None) == isinstance(found, RuleError), (axis, parts)
        assert theirs is None or theirs == found
    made = op("unflatten", dim=1, unflattened_size=[5, -1])
    assert refusal(made, (2, 12)) == ("NS304", "unflattened_size", "an axis of 12 can't be made 5 x -1")
    x = Tensor((symbol("N"), symbol("T") * 4))
    assert op("unflatten", dim=1, unflattened_size=[-1, 4]).infer(x).shape == (symbol("N"), symbol("T"), 4)
    assert refusal(made, x)[0] == "NS305"


def test_what_rearranging_keeps_in_place() -> None:
    x = Tensor((2, 3, 4, 5))
    point, lost = Reach.POINT, Reach.UNPLACED
    assert op("transpose", dim0=0, dim1=1).window(x) is point
    assert op("transpose", dim0=1, dim1=2).window(x) is lost
    assert op("transpose", dim0=2, dim1=3).window(x) is lost
    assert op("permute", dims=[1, 0, 2, 3]).window(x) is point
    assert op("select", dim=1, index=0).window(x) is lost
    assert op("narrow", dim=1, start=1, length=2).window(x) is point
    assert op("narrow", dim=-1, start=1, length=2).window(x) == Window((1, 1), (1, 1), (0, 1))


# Normalisation and attention.


def test_groups_divide_channels() -> None:
    assert refusal(op("group_norm", num_groups=3), (2, 16, 4)) == (
        "NS304",
        "num_groups",
        "3 groups do not divide 16 channels",
    )


def test_shapes_that_are_normalised_are_the_last_axes() -> None:
    for given in ([5], [4, 5], [3, 4, 5], [4], [2, 3, 4, 5], [5, 5]):
        made = op("layer_norm", normalized_shape=given)
        found = ours(made, (2, 3, 4, 5))
        # Over the batch too, torch would normalise, and the samples would not stand apart.
        fits = torchs(made, (2, 3, 4, 5)) is not None and len(given) < 4
        assert fits != isinstance(found, RuleError), given
    x = Tensor((2, 3, 4, 5))
    assert op("layer_norm").window(x) == Window((1, 5), (1, 0), (0, 0))
    assert op("layer_norm", normalized_shape=[4, 5]).window(x) is Reach.ALL
    assert refusal(op("layer_norm", normalized_shape=[4]), x) == (
        "NS304",
        "normalized_shape",
        "the last axes of 2 x 3 x 4 x 5 are not 4",
    )


@pytest.mark.parametrize(
    ("shapes", "code", "message"),
    [
        ([(2, 5, 8)] * 2, "NS302", "`multihead_attention` takes 1 input, or query, key and value, not 2"),
        ([(2, 5, 9)], "NS304", "2 heads do not divide 9 features"),
        ([(2, 5, 8), (2, 6, 10), (2, 6, 10)], "NS301", "query, key and value need one width, not 2 x 5 x 8"),
        ([(2, 5, 8), (3, 6, 8), (3, 6, 8)], "NS301", "query, key and value need one batch, not"),
        ([(2, 5, 8), (2, 6, 8), (2, 7, 8)], "NS301", "query, key and value need one length of key and value"),
        ([(2, 8)], "NS302", "`multihead_attention` takes (N, length, features), 3 axes, and its input is 2 x 8"),
    ],
)
def test_what_attention_refuses(shapes: list[Shape], code: str, message: str) -> None:
    found = refusal(op("multihead_attention", num_heads=2), *shapes)
    assert found[0] == code
    assert found[2].startswith(message)


def test_attention_over_an_open_length() -> None:
    n, t = symbol("N"), symbol("T")
    made = op("multihead_attention", num_heads=2)
    x = Tensor((n, t, 8))
    assert made.infer(x) == x
    assert made.macs(x, x) == n * t * (4 * 8 * 8) + n * t * t * (2 * 8)
    with pytest.raises(RuleError) as raised:
        made.infer(Tensor((n, t, symbol("E"))))
    assert raised.value.code == "NS305"


# Learned tensors.


def test_a_parameter_takes_a_batch_from_any_input() -> None:
    made = op("parameter", shape=[1, 8])
    assert made.infer(Tensor((symbol("N"), 3, 4, 4))).shape == (symbol("N"), 1, 8)
    assert made.infer(Tensor((2, 7), "int64")) == Tensor((2, 1, 8))
    assert made.infer(Tensor((2, 7), "bfloat16")) == Tensor((2, 1, 8), "bfloat16")
    assert refusal(made, ())[0] == "NS302"


def test_a_weight_without_a_name_is_its_op() -> None:
    (weight,) = op("parameter", shape=[1, 8]).weights(Tensor((2, 3)))
    assert (weight.key("a.b"), weight.called) == ("a.b", "weight")
    assert (Weight("out.bias", (3,)).key("a"), Weight("out.bias", (3,)).called) == ("a.out.bias", "out.bias")
