"""R-CNN's regions: parts of an image, each stretched to one size."""

from __future__ import annotations

from netspec.ops.base import RuleError, by, example
from netspec.ops.fields import Pair, Start
from netspec.ops.region_pooling import OfRegions, roi_align
from netspec.ops.writing import BOOL, FLOAT32
from netspec.types import Code, Helper, Memory, OnnxWriter, Tensor


class WarpRegions(OfRegions, name="warp_regions", principal="size"):
    """Each region of an image stretched to one `size`, with `context` pixels of what is around: (R, C, height, width).

    Inputs are images (N, C, H, W) and regions (R, 5). A region is a row (image, x1, y1, x2, y2), whose last pixel is
    (x2, y2). With `context`, it is first made larger, so that the region itself fills `size` but for that many pixels
    on each side, and its corners are rounded to whole pixels. Then each pixel of the output is one bilinear sample.
    What lies beyond the image is 0, which is the mean of images that have it subtracted. All of a region is 0 if it is
    empty or not finite, or if there is no image of its number.

    Girshick et al. 2014, "Rich feature hierarchies for accurate object detection and semantic segmentation",
    arXiv:1311.2524, appendix A. Boxes are those of its code, rcnn_im_crop. That code resizes the part of a box within
    the image to a whole number of pixels, so that the image may end one pixel of the output further in or out than
    here; and it repeats the last pixels of a box where a sample here also reads the pixels beside them.
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
            raise RuleError(message, at="context", help="R-CNN has 16 of 227")
        return super().infer(x, rois)

    def memory(self, train: bool, y: Tensor, x: Tensor, rois: Tensor) -> Memory:
        regions, (height, width) = rois.shape[0], self.size
        boxes, corners = Tensor((regions, 5), x.dtype), Tensor((regions, 2), x.dtype)
        mask = Tensor((regions, 1, height, width), "bool")
        samples = [Tensor((regions, side), dtype) for side in self.size for dtype in (x.dtype, "bool")]
        checks = [Tensor((regions, 1), "bool"), Tensor((regions, 2), "bool")]
        scratch = [corners, corners, *checks, *samples, mask]
        if self.context:
            scratch += [corners, corners, corners]
        if not train:
            return Memory(scratch=(boxes, mask, *scratch))
        return Memory(kept=(boxes, mask), scratch=tuple(scratch), backward=(y,), late=(y, boxes, x))

    def torch(self, *xs: Tensor) -> Code:
        return Code("warp_regions(", ("{0}", "{1}", str(self.size), str(self.context)), helpers=(_WARP_REGIONS,))

    def onnx(self, g: OnnxWriter, x: str, rois: str) -> str:
        zero = g.constant(0.0, "like")
        number, low, high = self._corners(g, rois)
        length = g.Sub(high, low)
        images = g.CastLike(g.Shape(x, start=0, end=1), number)
        is_image = g.And(g.GreaterOrEqual(number, zero), g.Less(number, images))
        is_region = g.And(is_image, g.And(g.Greater(length, zero), g.Not(g.IsInf(length))))
        is_region = g.ReduceMin(g.Cast(is_region, to=FLOAT32), g.constant([1]))
        boxes = g.Where(g.Cast(is_region, to=BOOL), g.Concat(number, low, high, axis=1), zero)
        _, x1, y1, x2, y2 = g.Split(boxes, outputs=5, num_outputs=5, axis=1)
        rows = self._are_inside(g, y1, y2, axis=0, limit=g.Shape(x, start=2, end=3))
        columns = self._are_inside(g, x1, x2, axis=1, limit=g.Shape(x, start=3, end=4))
        inside = g.And(g.Unsqueeze(rows, g.constant([1, 3])), g.Unsqueeze(columns, g.constant([1, 2])))
        warped = roi_align(g, x, boxes, self.size, sampling_ratio=1, aligned=True)
        return g.Where(inside, warped, zero)

    def _corners(self, g: OnnxWriter, rois: str) -> tuple[str, str, str]:
        """The numbers of the images (R, 1), and the corners (R, 2) of the larger boxes, the second one exclusive."""
        number, low, last = g.Split(rois, g.constant([1, 2, 2]), outputs=3, axis=1)
        one = g.constant(1.0, "like")
        high = g.Add(last, one)
        if not self.context:
            return number, low, high
        half = g.constant(0.5, "like")
        larger = g.constant([side / (side - 2 * self.context) for side in reversed(self.size)], "like")
        radius = g.Div(g.Sub(high, low), g.constant(2.0, "like"))
        center, radius = g.Add(low, radius), g.Mul(radius, larger)
        low = g.Floor(g.Add(g.Sub(center, radius), half))
        return number, low, g.Add(g.Floor(g.Add(g.Add(center, radius), half)), one)

    def _are_inside(self, g: OnnxWriter, low: str, high: str, axis: int, limit: str) -> str:
        """Whether samples along an axis are inside of an image that is `limit` long: (R, height) or (R, width)."""
        side = self.size[axis]
        places = g.constant([place + 0.5 for place in range(side)], "like")
        steps = g.Div(g.Mul(g.Sub(high, low), places), g.constant(float(side), "like"))
        at = g.Add(low, steps)
        return g.And(g.Greater(at, g.constant(0.0, "like")), g.Less(at, g.CastLike(limit, at)))

    def _size(self) -> tuple[int, int]:
        return self.size


_WARP_REGIONS = Helper(
    '''\
def warp_regions(
    image: Tensor, rois: Tensor, size: tuple[int, int], context: int
) -> Tensor:
    """Each region (image, x1, y1, x2, y2) at one size, with `context` pixels around.

    What lies beyond the image is zero.
    """
    height, width = size
    rois = rois.detach()
    number, low, high = rois[:, :1], rois[:, 1:3], rois[:, 3:] + 1
    if context > 0:
        pixels = rois.new_tensor([width, height])
        radius = (high - low) / 2
        center, radius = low + radius, radius * (pixels / (pixels - 2 * context))
        low = (center - radius + 0.5).floor()
        high = (center + radius + 0.5).floor() + 1
    length = high - low
    # Regions that are empty, not finite, or of no image become points at a corner.
    is_image = (number >= 0) & (number < image.shape[0])
    is_region = is_image & (length > 0) & (length < math.inf)
    boxes = torch.cat([number, low, high], 1)
    boxes = boxes.masked_fill(~is_region.all(1, keepdim=True), 0)
    warped = torchvision.ops.roi_align(
        image, boxes, size, sampling_ratio=1, aligned=True
    )
    # RoIAlign repeats the border of the image.
    x1, y1, x2, y2 = boxes[:, 1:].split(1, 1)
    x = x1 + (x2 - x1) * (torch.arange(width, device=x1.device) + 0.5) / width
    y = y1 + (y2 - y1) * (torch.arange(height, device=y1.device) + 0.5) / height
    columns = (x > 0) & (x < image.shape[3])
    rows = (y > 0) & (y < image.shape[2])
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    return warped.masked_fill_(~inside, 0)''',
    imports=("torchvision.ops",),
)
