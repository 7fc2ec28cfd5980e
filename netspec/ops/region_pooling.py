"""Regions of a feature map at one size each: RoI pooling and RoIAlign.

A region is a row (image, x1, y1, x2, y2): the number of its image in the batch, and its corners in pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field

from netspec.ops.base import Costless, RuleError, by, example, need_floats, need_rank
from netspec.ops.fields import Flag, Pair, PositiveReal, Takes
from netspec.ops.regions import need_regions
from netspec.ops.writing import INT64
from netspec.types import Layer, Memory, OnnxWriter, Reach, Tensor


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
        need_regions(self, rois)
        if x.dtype != rois.dtype:
            raise RuleError(f"map and regions need one dtype, not {x.dtype} and {rois.dtype}", code="NS302")
        return Tensor((rois.shape[0], x.channels, *self._size()), x.dtype)

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    @abstractmethod
    def _size(self) -> tuple[int, int]:
        """The height and width of a region in the output."""


class RegionPool(OfRegions):
    """The base of ops that pool regions of a feature map, which is `spatial_scale` times as large as the image."""

    output_size: Pair
    spatial_scale: PositiveReal = 1.0

    def _size(self) -> tuple[int, int]:
        return self.output_size


class RoiPool(RegionPool, name="roi_pool", principal="output_size"):
    """The largest value of each part of a region, as torchvision.ops.roi_pool: (R, C, height, width).

    Inputs are a map (N, C, H, W) and regions (R, 5). The corners of a region, times `spatial_scale`, are rounded to
    units of the map, halves away from zero. The last unit counts, so that a region has one at least. A part that lies
    beyond the map is 0. A region must be of an image that is there: torchvision does not check it, and reads other
    memory. Girshick 2015, "Fast R-CNN", arXiv:1504.08083, section 2.1.
    """

    examples = (
        example((2, 3, 8, 9), (4, 5), output_size=2, spatial_scale=0.5),
        example((1, 2, 5, 4), (3, 5), output_size=[3, 2]),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor, rois: Tensor) -> Memory:
        places = Tensor(y.shape, "int32")  # of the largest values; their gradient is zeros
        return Memory(inputs=(1,), kept=(places,), backward=(places,)) if train else Memory(scratch=(places,))

    def torch(self, *xs: Tensor) -> Layer:
        return self.layer("torchvision.ops.RoIPool", output_size=self.output_size, spatial_scale=self.spatial_scale)

    def onnx(self, g: OnnxWriter, x: str, rois: str) -> str:
        dtype = g.type(x).dtype
        if dtype != "float32":
            raise RuleError(f"ONNX Runtime pools regions of float32 alone, and the map is {dtype}", code="NS401")
        return g.MaxRoiPool(x, rois, pooled_shape=self.output_size, spatial_scale=self.spatial_scale)

    def label(self) -> str:
        return f"RoI pool, {by(self.output_size)}"


class RoiAlign(RegionPool, name="roi_align", principal="output_size"):
    """The mean of bilinear samples of each part of a region, as torchvision.ops.roi_align: (R, C, height, width).

    Inputs are a map (N, C, H, W) and regions (R, 5). A part has `sampling_ratio` samples along each axis; with -1 or 0,
    as many as it has units. With `aligned`, the first pixel of an image reaches from 0 to 1; without, from -0.5 to 0.5,
    and a region is at least one unit large. A region must be finite, and of an image that is there: torchvision does
    not check it, and crashes. With `aligned` and a `sampling_ratio` of -1 it must not be inverted. He et al. 2017,
    "Mask R-CNN", arXiv:1703.06870, section 3.
    """

    sampling_ratio: Annotated[int, Field(ge=-1, le=64), Takes("an integer from -1 to 64")] = -1
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
        ratio = max(self.sampling_ratio, 0)
        return roi_align(g, x, rois, self.output_size, self.spatial_scale, sampling_ratio=ratio, aligned=self.aligned)

    def label(self) -> str:
        return f"RoIAlign, {by(self.output_size)}"


def roi_align(
    g: OnnxWriter,
    x: str,
    rois: str,
    size: tuple[int, int],
    spatial_scale: float = 1.0,
    *,
    sampling_ratio: int,
    aligned: bool,
) -> str:
    """In ONNX, the RoIAlign of a map and its regions; a sampling ratio of 0 takes as many samples as fit."""
    number, boxes = g.Split(rois, g.constant([1, 4]), outputs=2, axis=1)
    return g.RoiAlign(
        x,
        boxes,
        g.Cast(g.Squeeze(number, g.constant([1])), to=INT64),
        output_height=size[0],
        output_width=size[1],
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )
