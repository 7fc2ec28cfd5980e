"""Regions of a map or an image at one size each: RoI pooling, RoIAlign, and R-CNN's warp.

A region is a row (image, x1, y1, x2, y2): the number of its image in the batch, and its corners in pixels.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from netspec.ops.base import Costless, RuleError, by, example, is_float, known_int, need_floats, need_rank
from netspec.ops.fields import MAX_INT, Flag, Pair, PositiveReal, Start, Takes
from netspec.ops.writing import INT64
from netspec.types import Code, Helper, Layer, Memory, OnnxWriter, Reach, Tensor


class OfRegions(Costless, family="detection"):
    """The base of ops that give each region (R, 5) of a map (N, C, H, W) one size: (R, C, height, width)."""

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    differentiable: ClassVar[int | None] = 1
    regions: ClassVar[int | None] = 1
    # From 1,024 pixels on, float16 has whole numbers alone.
    precision = "float32"

    def infer(self, x: Tensor, rois: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        if rois.rank != 2 or known_int(rois.shape[1], "the number of columns of regions") != 5:
            help = "a row is the number of an image and two corners: image, x1, y1, x2, y2"
            raise RuleError(
                f"`{self.opname}` takes regions (R, 5), and its second input is {rois}", code="NS302", help=help
            )
        if x.dtype != rois.dtype:
            what = "map" if is_float(rois) else "map of floats"
            message = f"{what} and regions need one dtype, not {x.dtype} and {rois.dtype}"
            raise RuleError(message, code="NS302")
        return Tensor((rois.shape[0], x.channels, *self._size()), x.dtype)

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    def _size(self) -> tuple[int, int]:
        """The height and width of a region in the output."""
        raise NotImplementedError


class RegionPool(OfRegions):
    """The base of ops that pool regions of a feature map, which is `spatial_scale` times as large as the image."""

    output_size: Pair
    spatial_scale: PositiveReal = 1.0

    def _size(self) -> tuple[int, int]:
        return self.output_size


class RoiPool(RegionPool, name="roi_pool", principal="output_size"):
    """The largest value of each part of a region, as torchvision.ops.roi_pool: (R, C, height, width).

    Inputs are a map (N, C, H, W) and regions (R, 5). Girshick 2015, "Fast R-CNN", arXiv:1504.08083, section 2.1.
    """

    examples = (
        example((2, 3, 8, 9), (4, 5), output_size=2, spatial_scale=0.5),
        example((1, 2, 5, 4), (3, 5), output_size=[3, 2]),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor, rois: Tensor) -> Memory:
        return Memory(inputs=(1,), kept=(Tensor(y.shape, "int32"),))

    def torch(self, *xs: Tensor) -> Layer:
        return self.layer("torchvision.ops.RoIPool", output_size=self.output_size, spatial_scale=self.spatial_scale)

    def onnx(self, g: OnnxWriter, x: str, rois: str) -> str:
        return g.MaxRoiPool(x, rois, pooled_shape=self.output_size, spatial_scale=self.spatial_scale)

    def label(self) -> str:
        return f"RoI pool, {by(self.output_size)}"


class RoiAlign(RegionPool, name="roi_align", principal="output_size"):
    """The mean of bilinear samples of each part of a region, as torchvision.ops.roi_align: (R, C, height, width).

    Inputs are a map (N, C, H, W) and regions (R, 5). He et al. 2017, "Mask R-CNN", arXiv:1703.06870, section 3.
    """

    sampling_ratio: Annotated[
        int, Field(ge=-1, le=MAX_INT), Takes("the number of samples along a part of a region, or -1 for as many as fit")
    ] = -1
    aligned: Flag = False

    examples = (
        example((2, 3, 8, 9), (4, 5), output_size=2, spatial_scale=0.5),
        example((1, 2, 5, 4), (3, 5), output_size=[3, 2], sampling_ratio=2, aligned=True),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor, rois: Tensor) -> Memory:
        return Memory(inputs=(1,))

    def torch(self, *xs: Tensor) -> Layer:
        # torchvision has defaults for the function alone, and not for the module.
        required = {name: getattr(self, name) for name in ("output_size", "spatial_scale", "sampling_ratio")}
        return self.layer("torchvision.ops.RoIAlign", **required)

    def onnx(self, g: OnnxWriter, x: str, rois: str) -> str:
        number, boxes = g.Split(rois, g.constant([1, 4]), outputs=2, axis=1)
        return g.RoiAlign(
            x,
            boxes,
            g.Cast(g.Squeeze(number, g.constant([1])), to=INT64),
            output_height=self.output_size[0],
            output_width=self.output_size[1],
            sampling_ratio=max(self.sampling_ratio, 0),
            spatial_scale=self.spatial_scale,
            coordinate_transformation_mode="half_pixel" if self.aligned else "output_half_pixel",
        )

    def label(self) -> str:
        return f"RoIAlign, {by(self.output_size)}"


class WarpRegions(OfRegions, name="warp_regions", principal="size"):
    """Each region of an image stretched to one size, with `context` pixels of what is around it: (R, C, height, width).

    Inputs are images (N, C, H, W) and regions (R, 5). What is outside of the image is 0. Girshick et al. 2014, "Rich
    feature hierarchies", arXiv:1311.2524, appendix A.
    """

    size: Pair
    context: Start = 0

    examples = (
        example((2, 3, 20, 30), (4, 5), size=9, context=1),
        example((1, 2, 7, 5), (3, 5), size=[4, 6]),
    )

    def infer(self, x: Tensor, rois: Tensor) -> Tensor:
        if 2 * self.context >= min(self.size):
            message = f"{self.context} pixels of context on each side leave nothing of {by(self.size)}"
            raise RuleError(message, at="context")
        return super().infer(x, rois)

    def torch(self, *xs: Tensor) -> Code:
        return Code("warp_regions(", ("{0}", "{1}", str(self.size), str(self.context)), helpers=(_WARP_REGIONS,))

    def onnx(self, g: OnnxWriter, x: str, rois: str) -> str:
        height, width = self.size
        number, low, last = g.Split(rois, g.constant([1, 2, 2]), outputs=3, axis=1)
        half, one, two = (g.constant(value, "like") for value in (0.5, 1.0, 2.0))
        high = g.Add(last, one)
        if self.context:
            scale = g.constant([side / (side - 2 * self.context) for side in (width, height)], "like")
            radius = g.Div(g.Sub(high, low), two)
            center, radius = g.Add(low, radius), g.Mul(radius, scale)
            low = g.Floor(g.Add(g.Sub(center, radius), half))
            high = g.Add(g.Floor(g.Add(g.Add(center, radius), half)), one)
        return g.RoiAlign(
            x,
            g.Concat(low, high, axis=1),
            g.Cast(g.Squeeze(number, g.constant([1])), to=INT64),
            output_height=height,
            output_width=width,
            sampling_ratio=1,
            coordinate_transformation_mode="half_pixel",
        )

    def _size(self) -> tuple[int, int]:
        return self.size


_WARP_REGIONS = Helper(
    '''\
def warp_regions(
    image: Tensor, rois: Tensor, size: tuple[int, int], context: int
) -> Tensor:
    """Each region (image, x1, y1, x2, y2) at one size, with `context` pixels around."""
    number, low, high = rois[:, :1], rois[:, 1:3], rois[:, 3:] + 1
    if context > 0:
        pixels = rois.new_tensor([size[1], size[0]])
        radius = (high - low) / 2
        center, radius = low + radius, radius * (pixels / (pixels - 2 * context))
        low = (center - radius + 0.5).floor()
        high = (center + radius + 0.5).floor() + 1
    boxes = torch.cat([number, low, high], 1)
    return torchvision.ops.roi_align(
        image, boxes, size, sampling_ratio=1, aligned=True
    )''',
    imports=("torchvision.ops",),
)
