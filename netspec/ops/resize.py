"""Ops that change the size of a map, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from math import floor
from struct import pack, unpack
from typing import Annotated, ClassVar, Literal

from netspec.dims import Dim
from netspec.ops.adaptive_pooling import adaptive_pool
from netspec.ops.base import Costless, Rearranging, RuleError, by, example, known_int, need_floats, need_rank
from netspec.ops.fields import MAX_INT, Flag, Pair, ScaleFactor, Takes
from netspec.ops.writing import FLOAT32, INT64
from netspec.types import Code, Helper, Layer, Memory, OnnxWriter, Reach, Tensor, Upsampling, Window

_MODES = Literal["nearest", "bilinear", "bicubic", "area", "nearest-exact"]
_RESIZE = {
    "nearest": ("nearest", "asymmetric", "floor"),
    "nearest-exact": ("nearest", "half_pixel", "round_prefer_ceil"),
    "area": ("nearest", "asymmetric", "floor"),
    "bilinear": ("linear", "half_pixel", None),
    "bicubic": ("cubic", "half_pixel", None),
}
"""ONNX's mode, coordinate transformation and rounding of Resize for each mode; `area` is for larger maps alone."""
_MAX_FACTOR = 64
"""The largest factor of upsampling whose receptive field is computed."""


class Interpolate(Costless, name="interpolate", principal="scale_factor", family="pooling"):
    """A map of another size, as torch.nn.Upsample and torch.nn.functional.interpolate.

    The new size comes from one of three places: `size`, `scale_factor`, or a second input whose height and width the
    first one takes, as `from: [top, lateral]` in the top-down way of feature pyramids (Lin et al. 2017). What is given
    decides: with two inputs there is neither `size` nor `scale_factor`. Of the second input nothing else counts.
    """

    size: Pair | None = None
    scale_factor: ScaleFactor | None = None
    mode: Annotated[_MODES, Takes("`nearest`, `bilinear`, `bicubic`, `area` or `nearest-exact`")] = "nearest"
    align_corners: Flag | None = None

    inputs: ClassVar[tuple[int, int | None]] = (1, 2)
    reads: ClassVar[int | None] = 1
    precision = "half"
    examples = (
        example((1, 2, 4, 5), scale_factor=2),
        example((1, 2, 3, 4), scale_factor=[2, 3], mode="bilinear"),
        example((1, 2, 4, 5), size=[8, 15], mode="bicubic"),
        example((1, 2, 4, 5), (1, 3, 8, 10)),
        example((1, 2, 4, 5), size=7, mode="bilinear", align_corners=True),
        example((1, 2, 6, 5), scale_factor=0.5, mode="nearest-exact"),
        example((1, 2, 6, 4), size=[6, 8], mode="area"),
    )

    def infer(self, *xs: Tensor) -> Tensor:
        for x in xs:
            need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, xs[0])
        told = [self.size is not None, self.scale_factor is not None, len(xs) > 1]
        if sum(told) != 1:
            one = "`size`, `scale_factor`, or a second input that has the size"
            at = "size" if told[0] else "scale_factor" if told[1] else ""
            raise RuleError(f"`interpolate` takes one of {one}, not {sum(told) or 'none'}", at=at)
        if self.align_corners is not None and self.mode not in ("bilinear", "bicubic"):
            raise RuleError(f"`align_corners` goes with bilinear and bicubic, not with {self.mode}", at="align_corners")
        return xs[0].with_spatial(*self._spatial(*xs))

    def window(self, *xs: Tensor) -> Upsampling | Reach:
        factors = [_factor(big, small) for big, small in zip(self._spatial(*xs), xs[0].spatial, strict=True)]
        known = [factor for factor in factors if factor is not None]
        if self.align_corners or len(known) < len(factors):
            return Reach.VARIES
        return Upsampling(tuple(tuple(self._seen(place, factor) for place in range(factor)) for factor in known))

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        return Memory(inputs=(0,)) if self.mode == "area" else Memory()

    def torch(self, *xs: Tensor) -> Layer | Code:
        if len(xs) == 1:
            return self.layer("nn.Upsample")
        options = [f'mode="{self.mode}"'] if self.mode != "nearest" else []
        options += [f"align_corners={self.align_corners}"] if self.align_corners is not None else []
        return Code("nn.functional.interpolate(", ("{0}", "size={1}.shape[-2:]", *options))

    def onnx(self, g: OnnxWriter, x: str, *like: str) -> str:
        map, wanted = g.type(x).spatial, self._spatial(*[g.type(value) for value in (x, *like)])
        factors = [self._step(*axis) for axis in zip(wanted, map, self._factors(), strict=True)]
        times = [_times(*axis) for axis in zip(wanted, map, factors, strict=True)]
        if times == [1, 1]:
            return x
        if self.mode == "area" and not all(times):
            return adaptive_pool(g, x, wanted, "Average")
        if self.mode in ("nearest", "nearest-exact"):
            steps = list(zip(wanted, map, factors, strict=True))
            if not all(self._is_exact(*axis) for axis in steps):
                return self._gathered(g, x, like, steps)
        if self.mode == "bicubic" and tuple(wanted) == map:
            message = f"ONNX has no `bicubic` by {by(self.scale_factor)} from {map[0]} x {map[1]} to the same size"
            raise RuleError(message, code="NS401", help="take the step out, or another `mode`")
        known = [size for size in wanted if isinstance(size, int)]
        if all(times):
            target = [g.constant([1, 1, *[count or 1 for count in times]], "float32")]
        elif None not in factors or (self.scale_factor is not None and len(known) < 2):
            steps = [step or factor or 1 for step, factor in zip(factors, self._factors(), strict=True)]
            target = [g.constant([1, 1, *[_scale(*axis) for axis in zip(wanted, map, steps, strict=True)]], "float32")]
        else:
            sizes = g.constant(known) if len(known) == 2 else g.Shape(like[0], start=2, end=4)
            target = ["", g.Concat(g.Shape(x, start=0, end=2), sizes, axis=0)]
        return self._resized(g, x, target)

    def _is_exact(self, wanted: Dim, size: Dim, factor: float | None) -> bool:
        """Return whether ONNX's Resize picks the elements that torch picks along an axis.

        Resize divides positions by the factor; torch multiplies them by a float32. That of 1/41 is too small, so that
        torch picks row 0 for row 41 of a map 41 times as high. At integral positions, ONNX Runtime may round down to
        the element before.
        """
        if times := _times(wanted, size, factor):
            error = Fraction(_float32(1 / times)) * times - 1
            # A smaller error vanishes by rounding in every product with a position.
            return error >= -Fraction(1, 2**25) or self.mode == "nearest-exact"
        # Factors of symbolic sizes are integers or 1/2, 1/4, ..., which floats represent exactly.
        return factor is not None and not isinstance(size, int)

    def _gathered(
        self, g: OnnxWriter, x: str, like: tuple[str, ...], steps: Sequence[tuple[Dim, Dim, float | None]]
    ) -> str:
        """In ONNX, gather the nearest elements by their positions, along one axis after the other."""
        y = x
        for axis, (wanted, size, factor) in enumerate(steps, start=2):
            if _times(wanted, size, factor) == 1:
                continue
            places = self._places(wanted, size, factor)
            open_sizes = partial(self._open_places, g, x, like, axis, wanted, size, factor)
            y = g.Gather(y, g.constant(places) if places else open_sizes(), axis=axis)
        return y

    def _open_places(
        self, g: OnnxWriter, x: str, like: tuple[str, ...], axis: int, wanted: Dim, size: Dim, factor: float | None
    ) -> str:
        """In ONNX, compute `_places` for sizes that are known only when the model runs, in float32 as torch does."""
        before = g.Shape(x, start=axis, end=axis + 1)
        if isinstance(wanted, int):
            after = g.constant([wanted])
        elif like:
            after = g.Shape(like[0], start=axis, end=axis + 1)
        elif times := _times(wanted, size, factor):
            after = g.Mul(before, g.constant([times]))
        else:
            after = g.Div(before, g.constant([int(1 / (factor or 1))]))
        if factor:
            step = g.constant(_float32(1 / factor), "float32")
        else:
            step = g.Div(g.Cast(before, to=FLOAT32), g.Cast(after, to=FLOAT32))
        numbers = g.Range(g.constant(0), g.Squeeze(after), g.constant(1))
        centres = g.Cast(numbers, to=FLOAT32)
        if self.mode == "nearest-exact":
            centres = g.Add(centres, g.constant(0.5, "float32"))
        places = g.Cast(g.Floor(g.Mul(centres, step)), to=INT64)
        return g.Min(places, g.Sub(before, g.constant([1])))

    def _resized(self, g: OnnxWriter, x: str, target: list[str]) -> str:
        # The target has all axes: ONNX Runtime moves a Transpose past a Resize of some axes, and confuses them.
        mode, origin, rounding = _RESIZE[self.mode]
        return g.Resize(
            x,
            "",
            *target,
            mode=mode,
            coordinate_transformation_mode="align_corners" if self.align_corners else origin,
            nearest_mode=rounding,
            cubic_coeff_a=-0.75 if mode == "cubic" else None,
        )

    def label(self) -> str:
        words = ["upsample"]
        if self.scale_factor is not None:
            words.append(f"x{by(self.scale_factor)}")
        if self.size is not None:
            words.append(f"to {by(self.size)}")
        return ", ".join([*words, *([self.mode] if self.mode != "nearest" else [])])

    def _spatial(self, *xs: Tensor) -> list[Dim]:
        x, *like = xs
        if like:
            return list(like[0].spatial)
        if self.size is not None:
            return list(self.size)
        return [_scaled(size, factor or 1) for size, factor in zip(x.spatial, self._factors(), strict=True)]

    def _factors(self) -> tuple[float | None, float | None]:
        return self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor, self.scale_factor)

    def _step(self, wanted: Dim, size: Dim, factor: float | None) -> float | None:
        """The factor by which torch steps along an axis; None if it uses the ratio of the sizes."""
        if self.mode == "area" or self.align_corners:
            return None
        return 1 if self.mode == "bilinear" and wanted == size else factor

    def _places(self, wanted: Dim, size: Dim, factor: float | None) -> list[int]:
        """The position in the input of each element of the result, in torch's arithmetic; [] for symbolic sizes."""
        if not isinstance(size, int) or not isinstance(wanted, int):
            return []
        if self.mode == "nearest" and wanted in (size, 2 * size):
            return [place * size // wanted for place in range(wanted)]
        step = _float32(1 / factor if factor else size / wanted)
        shift = 0 if self.mode == "nearest" else 0.5
        return [min(int(_float32((place + shift) * step)), size - 1) for place in range(wanted)]

    def _seen(self, place: int, factor: int) -> tuple[int, int]:
        """The first and last unit of the input that the output unit at a position of its period sees.

        The centre of the output unit falls on a unit of the input, or between two.
        """
        if self.mode not in ("bilinear", "bicubic"):
            return 0, 0
        centre = Fraction(2 * place + 1, 2 * factor) - Fraction(1, 2)
        before = floor(centre)
        if centre == before:
            return before, before
        return (before, before + 1) if self.mode == "bilinear" else (before - 1, before + 2)


def _scaled(size: Dim, factor: float) -> Dim:
    if isinstance(size, int):
        scaled = floor(size * float(factor))
        if scaled < 1:
            raise RuleError(f"a map of {size} times {factor} is empty", at="scale_factor", code="NS303")
        return scaled
    share = 1 / factor
    if float(factor).is_integer():
        return size * int(factor)
    # 1/2, 1/4, ...: the only unit fractions that floats represent exactly.
    if share.is_integer() and int(share).bit_count() == 1:
        return size // int(share)
    return known_int(size, f"the size of a map that is scaled by {factor}", at="scale_factor")


def _float32(number: float) -> float:
    return unpack("f", pack("f", number))[0]


def _times(wanted: Dim, size: Dim, factor: float | None) -> int | None:
    """The integer factor by which an axis grows; None if it is no integer, or differs from `scale_factor`."""
    times = _factor(wanted, size)
    return times if factor in (None, times) else None


def _scale(wanted: Dim, size: Dim, factor: float) -> float:
    """A float32 equal or next to a factor, with which ONNX computes the same size as torch."""
    if not isinstance(size, int):
        return factor
    near = [_float32(factor * (1 + error)) for error in (0, 2**-23, -(2**-23), 2**-22, -(2**-22))]
    # ONNX Runtime multiplies in float32 in one place, and in float64 in another.
    return next(scale for scale in near if int(size * scale) == int(_float32(size * scale)) == wanted)


def _factor(big: Dim, small: Dim) -> int | None:
    """The ratio of two sizes, if it is an integer up to `_MAX_FACTOR`; else None."""
    if isinstance(big, int) and isinstance(small, int):
        return big // small if big % small == 0 and big <= _MAX_FACTOR * small else None
    return next((factor for factor in range(1, _MAX_FACTOR + 1) if big == small * factor), None)


class CenterCrop(Rearranging, name="center_crop"):
    """The middle of the first map, as large as the second (Ronneberger et al. 2015, Figure 1); (N, C, H, W) both.

    Where an odd number of rows goes, one more goes at the bottom than at the top; likewise columns. The second input
    gives nothing but its size.
    """

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    reads: ClassVar[int | None] = 1
    examples = (
        example((1, 2, 8, 9), (1, 3, 4, 4)),
        example((1, 2, 5, 6), (1, 2, 5, 5)),
        example((1, 2, 6, 6), (1, 2, 6, 6)),
    )

    def infer(self, x: Tensor, like: Tensor) -> Tensor:
        for each in (x, like):
            need_rank(self, each, 4, "(N, C, H, W)")
        for whole, part in zip(x.spatial, like.spatial, strict=True):
            spare = whole - part
            if isinstance(spare, int) and spare < 0:
                raise RuleError(
                    f"a map of {x.height} x {x.width} has no middle of {like.height} x {like.width}",
                    code="NS303",
                    help="the map to be cropped comes first",
                )
        return x.with_spatial(*like.spatial)

    def axes(self, x: Tensor, like: Tensor) -> tuple[int | None, ...]:
        return (0, 1, None, None)

    def window(self, x: Tensor, like: Tensor) -> Window | Reach:
        spare = [whole - part for whole, part in zip(x.spatial, like.spatial, strict=True)]
        start = tuple([size // 2 for size in spare if isinstance(size, int)])
        return Window((1, 1), (1, 1), start) if len(start) == len(spare) else Reach.UNPLACED

    def per_sample(self, x: Tensor, like: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor, like: Tensor) -> Memory:
        # An axis that keeps its size is not sliced. Two slices have a gradient between them.
        if y.shape == x.shape:
            return Memory(view=True, hands_on=True)
        between = x.with_spatial(y.height, x.width - y.width)
        return Memory(view=True, backward=(between,) if y.height != x.height else ())

    def torch(self, x: Tensor, like: Tensor) -> Code:
        return Code("center_crop(", ("{0}", "{1}"), helpers=(_CENTER_CROP,))

    def onnx(self, g: OnnxWriter, x: str, like: str) -> str:
        spare = [whole - part for whole, part in zip(g.type(x).spatial, g.type(like).spatial, strict=True)]
        if spare == [0, 0]:
            return x
        known = [size for size in spare if isinstance(size, int)]
        if len(known) == 2:
            starts = [size // 2 for size in known]
            ends = [start - size or MAX_INT for start, size in zip(starts, known, strict=True)]
            return g.Slice(x, g.constant(starts), g.constant(ends), g.constant([2, 3]))
        part = g.Shape(like, start=2, end=4)
        start = g.Div(g.Sub(g.Shape(x, start=2, end=4), part), g.constant([2]))
        return g.Slice(x, start, g.Add(start, part), g.constant([2, 3]))


_CENTER_CROP = Helper('''\
def center_crop(x: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as large as another one."""
    height, width = like.shape[-2:]
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]''')
