"""Ops that give a map another size without weights."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Annotated, ClassVar, Literal

from netspec.dims import Dim
from netspec.ops.base import Op, Rearranging, RuleError, by, example, known_int, need_floats, need_rank
from netspec.ops.fields import Flag, Pair, Scale, Takes
from netspec.types import Code, Layer, Memory, Reach, Tensor, Upsampling, Weight, Window

_MODES = Literal["nearest", "bilinear", "bicubic", "area", "nearest-exact"]
MOST = 64
"""Up to which factor the receptive field of a larger map is told."""


class Interpolate(Op, name="interpolate", principal="scale_factor", family="pooling"):
    """A map of another size, as torch.nn.Upsample and torch.nn.functional.interpolate.

    The new size comes from one of three places: `size`, `scale_factor`, or a second input whose height and width the
    first one takes, as `from: [top, lateral]` in the top-down way of feature pyramids (Lin et al. 2017). What is given
    decides: with two inputs there is neither `size` nor `scale_factor`. Of the second input nothing else counts.
    """

    size: Pair | None = None
    scale_factor: Scale | None = None
    mode: Annotated[_MODES, Takes("`nearest`, `bilinear`, `bicubic`, `area` or `nearest-exact`")] = "nearest"
    align_corners: Flag | None = None

    inputs: ClassVar[tuple[int, int | None]] = (1, 2)
    reads: ClassVar[int | None] = 1
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

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, *xs: Tensor) -> int:
        return 0

    def window(self, *xs: Tensor) -> Upsampling | Reach:
        factors = [_factor(big, small) for big, small in zip(self._spatial(*xs), xs[0].spatial, strict=True)]
        known = [factor for factor in factors if factor is not None]
        if self.align_corners or len(known) < len(factors):
            return Reach.VARIES
        return Upsampling(tuple(tuple(self._seen(place, factor) for place in range(factor)) for factor in known))

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        return Memory(inputs=(0,)) if self.mode == "area" else Memory()

    def torch(self, *xs: Tensor) -> Layer | Code:
        if len(xs) == 1:
            return self.layer("nn.Upsample")
        options = [f'mode="{self.mode}"'] if self.mode != "nearest" else []
        options += [f"align_corners={self.align_corners}"] if self.align_corners is not None else []
        return Code("nn.functional.interpolate(", ("{0}", "size={1}.shape[-2:]", *options))

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
        assert self.scale_factor is not None
        scale = self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor,) * 2
        return [_scaled(size, factor) for size, factor in zip(x.spatial, scale, strict=True)]

    def _seen(self, place: int, factor: int) -> tuple[int, int]:
        """What a unit at a place in its period sees: its centre falls on a unit of the input, or between two."""
        if self.mode not in ("bilinear", "bicubic"):
            return 0, 0
        centre = Fraction(2 * place + 1, 2 * factor) - Fraction(1, 2)
        before = floor(centre)
        if centre == before:
            return before, before
        return (before, before + 1) if self.mode == "bilinear" else (before - 1, before + 2)


def _scaled(size: Dim, factor: float) -> Dim:
    if isinstance(size, int):
        made = floor(size * float(factor))
        if made < 1:
            raise RuleError(f"a map of {size} times {factor} is empty", at="scale_factor", code="NS303")
        return made
    share = 1 / factor
    if float(factor).is_integer():
        return size * int(factor)
    # A half, a quarter, ...: the only ones that floats hold exactly.
    if share.is_integer() and int(share).bit_count() == 1:
        return size // int(share)
    return known_int(size, f"the size of a map that is scaled by {factor}", at="scale_factor")


def _factor(big: Dim, small: Dim) -> int | None:
    """How many times as large a size is."""
    if isinstance(big, int) and isinstance(small, int):
        return big // small if big % small == 0 and big <= MOST * small else None
    return next((factor for factor in range(1, MOST + 1) if big == small * factor), None)


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

    def memory(self, train: bool, y: Tensor, x: Tensor, like: Tensor) -> Memory:
        # An axis that stays as it is, is not sliced. Behind two slices there is a gradient between them.
        if y.shape == x.shape:
            return Memory(view=True, hands_on=True)
        between = x.with_spatial(y.height, x.width - y.width)
        return Memory(view=True, backward=(between,) if y.height != x.height else ())

    def torch(self, x: Tensor, like: Tensor) -> Code:
        return Code("center_crop(", ("{0}", "{1}"), helper=_CENTER_CROP)


_CENTER_CROP = '''\
def center_crop(x: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as large as another one."""
    height, width = like.shape[-2:]
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]'''
