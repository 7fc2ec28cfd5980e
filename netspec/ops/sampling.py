"""Sampling of maps at positions that the network computes: the grid and the sampler of Spatial Transformers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from netspec.dims import always_equal
from netspec.ops.base import Costless, RuleError, by, example, known_int, need_floats, need_rank
from netspec.ops.fields import Flag, Pair, Takes
from netspec.types import Call, Code, Memory, OnnxWriter, Reach, Tensor


class AffineGrid(Costless, name="affine_grid", principal="size", family="pooling"):
    """The positions at which to sample, one for each place of a map of `size`: theta (N, 2, 3) to (N, H, W, 2).

    An affine map theta takes a place of the output, with coordinates from -1 to 1, to a position (x, y) in the input,
    as torch.nn.functional.affine_grid. With `align_corners`, -1 and 1 are the centres of the outermost units, as
    Jaderberg et al. 2015, "Spatial Transformer Networks", arXiv:1506.02025, equation 1, have it; else their outer
    edges. Multiply-accumulates are counted for values, not for positions: 0.
    """

    size: Pair
    align_corners: Flag = False

    precision = "float32"
    examples = (
        example((2, 2, 3), size=[4, 6]),
        example((1, 2, 3), size=2, align_corners=True),
        example((3, 2, 3), size=[8, 2], align_corners=True),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        sizes = [known_int(size, "a size of theta") for size in x.shape[1:]]
        if sizes != [2, 3]:
            help = "`unflatten: {dim: 1, unflattened_size: [2, 3]}` makes it of 6 features"
            raise RuleError(f"`affine_grid` takes theta (N, 2, 3), and its input is {x}", code="NS302", help=help)
        return Tensor((x.batch, *self.size, 2), x.dtype)

    def window(self, x: Tensor) -> Reach:
        return Reach.ALL

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The places of the output, as (x, y, 1), are made again for the backward pass.
        places = Tensor((x.batch, *self.size, 3), x.dtype)
        return Memory(scratch=(places,), backward=(places,))

    def torch(self, x: Tensor) -> Code:
        height, width = self.size
        size = f"({{0}}.shape[0], 1, {height}, {width})"
        return Code("nn.functional.affine_grid(", ("{0}", size, f"align_corners={self.align_corners}"))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        # ONNX's own AffineGrid has no CUDA kernel in ONNX Runtime: a product with constant places has.
        height, width = self.size
        rows, columns = (_places(size, self.align_corners) for size in self.size)
        places = g.constant([[x, y, 1.0] for y in rows for x in columns], "like")
        positions = g.MatMul(places, g.Transpose(x, perm=[0, 2, 1]))
        return g.Reshape(positions, g.constant([0, height, width, 2]))

    def label(self) -> str:
        return f"affine grid, {by(self.size)}"


def _places(count: int, align_corners: bool) -> list[float]:
    """The coordinates of units along an axis from -1 to 1, which are the outermost centres or the outer edges."""
    if align_corners:
        return [2 * place / (count - 1) - 1 if count > 1 else 0.0 for place in range(count)]
    return [(2 * place + 1) / count - 1 for place in range(count)]


class GridSample(Costless, name="grid_sample", family="pooling"):
    """A map (N, C, H, W) sampled at the positions of a grid (N, H_out, W_out, 2), as torch.nn.functional.grid_sample.

    A position is (x, y), from -1 to 1; between units `mode` interpolates, and beyond the map `padding_mode` says what
    is there. Jaderberg et al. 2015, arXiv:1506.02025, section 3.3.
    """

    mode: Annotated[Literal["bilinear", "nearest", "bicubic"], Takes("`bilinear`, `nearest` or `bicubic`")] = "bilinear"
    padding_mode: Annotated[Literal["zeros", "border", "reflection"], Takes("`zeros`, `border` or `reflection`")] = (
        "zeros"
    )
    align_corners: Flag = False

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    precision = "float32"
    examples = (
        example((2, 3, 5, 6), (2, 4, 5, 2)),
        example((2, 3, 5, 6), (2, 2, 7, 2), align_corners=True, padding_mode="border"),
        example((1, 2, 4, 3), (1, 3, 3, 2), mode="nearest", padding_mode="reflection"),
        example((1, 2, 6, 7), (1, 3, 2, 2), mode="bicubic"),
    )

    def infer(self, x: Tensor, grid: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        if grid.rank != 4 or known_int(grid.shape[-1], "the number of coordinates of a grid") != 2:
            help = "`affine_grid` makes one of (N, 2, 3)"
            raise RuleError(
                f"the grid of `grid_sample` is (N, H, W, 2), and the second input is {grid}", code="NS302", help=help
            )
        if not always_equal(x.batch, grid.batch):
            raise RuleError(f"map and grid need one batch, not {x} and {grid}", code="NS301")
        if x.dtype != grid.dtype:
            raise RuleError(f"map and grid need one dtype, not {x.dtype} and {grid.dtype}", code="NS302")
        return x.with_spatial(*grid.shape[1:3])

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        return Memory(inputs=(0, 1))

    def torch(self, *xs: Tensor) -> Call:
        names = [name for name in ("mode", "padding_mode") if getattr(self, name) != self.default(name)]
        options = {name: getattr(self, name) for name in names}
        # torch warns where this is left out.
        return Call("nn.functional.grid_sample", {**options, "align_corners": self.align_corners})

    def onnx(self, g: OnnxWriter, x: str, grid: str) -> str:
        mode = {"bilinear": "linear", "bicubic": "cubic"}.get(self.mode, self.mode)
        return g.GridSample(x, grid, mode=mode, padding_mode=self.padding_mode, align_corners=int(self.align_corners))
