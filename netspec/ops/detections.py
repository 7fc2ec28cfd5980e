"""The objects that a detector finds in images: boxes, scores and labels."""

from __future__ import annotations

import math
from typing import ClassVar

from netspec.dims import Dim
from netspec.ops.base import (
    Costless,
    RuleError,
    count_elements,
    example,
    known_int,
    known_sizes,
    need_floats,
    need_rank,
)
from netspec.ops.boxes import DECODE_BOXES, SUPPRESS, decoded, with_edges
from netspec.ops.equal import need_equal_sizes
from netspec.ops.fields import MAX_INT, Flag, Overlap, Positive, Real
from netspec.ops.regions import need_regions
from netspec.ops.writing import BOOL, INT32, INT64, places
from netspec.types import DATA, Code, Helper, Memory, OnnxWriter, Reach, Tensor

_BYTES_OF_A_BOX, _BYTES_OF_PADDING, _BYTES_OF_OUTPUTS = 158, 98, 36
"""What is held while boxes are suppressed: of each, and besides; and what the outputs take of each."""


class Detections(Costless, name="detections", family="detection"):
    """The objects found in images, the best of each first: `boxes` (D, 4), `scores`, `labels` and `images` (D,).

    From regions (R, 5), scores (R, classes), deltas (R, 4 classes) and an image of which only the size counts. The
    deltas of each class move and scale its regions. Of the boxes with a score above `score_thresh`, non-maximum
    suppression by class keeps the best, and of these `detections_per_image`. Class 0 is the background and is never
    found, unless `background` is false. With `inclusive`, x2 and y2 are a box's last pixels, and it is x2 - x1 + 1
    wide, as in the authors' code; without, they are its edges. No gradient flows through it. Girshick 2015,
    "Fast R-CNN", arXiv:1504.08083, section 3.
    """

    score_thresh: Real = 0.05
    nms_thresh: Overlap = 0.3
    detections_per_image: Positive = 100
    background: Flag = True
    inclusive: Flag = True

    inputs: ClassVar[tuple[int, int | None]] = (4, 4)
    reads: ClassVar[int | None] = 3
    differentiable: ClassVar[int | None] = 0
    regions: ClassVar[int | None] = 0
    precision = "float32"
    output_names = ("boxes", "scores", "labels", "images")
    data_symbols = ("D",)
    examples = (
        example((6, 5), (6, 4), (6, 16), (1, 3, 64, 80)),
        example((9, 5), (9, 3), (9, 12), (2, 3, 40, 30), score_thresh=0.2, nms_thresh=0.5, detections_per_image=3),
        example((7, 5), (7, 2), (7, 8), (3, 1, 32, 32), background=False, inclusive=False),
    )

    def infer(self, rois: Tensor, scores: Tensor, deltas: Tensor, image: Tensor) -> tuple[Tensor, ...]:
        need_regions(self, rois)
        for x, axes in ((scores, "scores (R, classes)"), (deltas, "deltas (R, 4 classes)")):
            need_rank(self, x, 2, axes)
            need_floats(self, x)
            need_equal_sizes(x.batch, rois.batch, f"regions, scores and deltas need one number, not {rois} and {x}")
        need_rank(self, image, 4, "an image (N, C, H, W)")
        classes = known_int(scores.shape[1], "the number of classes")
        if known_int(deltas.shape[1], "the number of deltas") != 4 * classes:
            raise RuleError(f"{classes} classes have {4 * classes} deltas, and these are {deltas}", code="NS301")
        if classes <= self.background:
            help = "`background: false` makes it a class like others"
            raise RuleError("the only class is the background", at="background", code="NS301", help=help)
        integers = Tensor((DATA,), "int64")
        return Tensor((DATA, 4), rois.dtype), Tensor((DATA,), scores.dtype), integers, integers

    def detects(self, rois: Tensor, scores: Tensor, deltas: Tensor, image: Tensor) -> Dim:
        return scores.shape[1]

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    def needs_values(self) -> bool:
        return True

    def nominal(self, rois: Tensor, scores: Tensor, deltas: Tensor, image: Tensor) -> tuple[int, ...]:
        return (self.detections_per_image * (image.batch if isinstance(image.batch, int) else 1),)

    def memory(self, train: bool, y: Tensor, rois: Tensor, scores: Tensor, deltas: Tensor, image: Tensor) -> Memory:
        # Most is held while boxes are suppressed; there are no outputs then. As many are taken as are kept, since how
        # many are suppressed only the data tell. Of each box there are its deltas, itself, its numbers, and itself and
        # its score once more in float64, padded by two.
        count = known_sizes(y)[0]
        suppressing = count_elements(scores) + _BYTES_OF_A_BOX * count + _BYTES_OF_PADDING
        return Memory(scratch=(Tensor((max(suppressing - _BYTES_OF_OUTPUTS * count, 0),), "bool"),))

    def torch(self, *xs: Tensor) -> Code:
        options = [f"{name}={getattr(self, name)!r}" for name in type(self).model_fields if self._is_set(name)]
        return Code(
            "detections(", ("{0}", "{1}", "{2}", "{3}", *options), helpers=(DECODE_BOXES, SUPPRESS, _DETECTIONS)
        )

    def _is_set(self, name: str) -> bool:
        return getattr(self, name) != self.default(name)

    def onnx(self, g: OnnxWriter, rois: str, scores: str, deltas: str, image: str) -> tuple[str, ...]:
        classes, background = known_int(g.type(scores).shape[1], "the number of classes"), int(self.background)
        number, regions = g.Split(rois, g.constant([1, 4]), outputs=2, axis=1)
        moves = g.Reshape(deltas, g.constant([-1, classes, 4]))
        corners = decoded(g, g.Unsqueeze(regions, g.constant([1])), moves, image, int(self.inclusive))
        low, high = (g.Transpose(_real(g, corner, background, classes), perm=[1, 0, 2]) for corner in corners)
        scores = g.Transpose(_real(g, scores, background, classes), perm=[1, 0])
        boxes = g.Concat(low, high, axis=2)
        numbers, images = places(g, image, 0), g.Squeeze(g.Cast(number, to=INT64), g.constant([1]))
        chosen = self._suppressed(
            g,
            with_edges(g, boxes, int(self.inclusive)),
            g.Where(_are_boxes(g, low, high), scores, g.constant(-math.inf, "float32")),
            g.Equal(g.Unsqueeze(numbers, g.constant([1, 2])), images),
        )
        # Non-maximum suppression has one group for each class of each image.
        group, region = (g.Gather(chosen, g.constant(column), axis=1) for column in (0, 2))
        count = g.constant(classes - background)
        images, label = g.Div(group, count), g.Mod(group, count)
        rows = g.Concat(*[g.Unsqueeze(index, g.constant([1])) for index in (label, region)], axis=1)
        left = g.GatherND(scores, rows)
        order = self._best(g, left) if g.type(image).batch == 1 else self._best_of_each(g, left, images, numbers)
        rows = g.Gather(rows, order)
        return (
            g.GatherND(boxes, rows),
            g.GatherND(scores, rows),
            g.Add(g.Gather(label, order), g.constant(background)),
            g.Gather(images, order),
        )

    def _suppressed(self, g: OnnxWriter, boxes: str, scores: str, of_image: str) -> str:
        """The chosen (K, 3): group, 0 and region, by group and score; a group is a class of an image.

        From boxes (classes, R, 4), scores (classes, R), and whether a region is of an image (N, 1, R).
        """
        scores = g.Where(of_image, scores, g.constant(-math.inf, "float32"))
        shape = g.Shape(scores)
        groups = g.ReduceProd(g.Slice(shape, g.constant([0]), g.constant([2])), keepdims=1)
        regions = g.Slice(shape, g.constant([2]), g.constant([3]))
        boxes = g.Expand(boxes, g.Concat(shape, g.constant([4]), axis=0))
        return g.NonMaxSuppression(
            g.Reshape(boxes, g.Concat(groups, regions, g.constant([4]), axis=0), allowzero=1),
            g.Reshape(scores, g.Concat(groups, g.constant([1]), regions, axis=0), allowzero=1),
            g.constant([MAX_INT]),
            g.constant([self.nms_thresh], "float32"),
            g.constant([self.score_thresh], "float32"),
        )

    def _best(self, g: OnnxWriter, scores: str) -> str:
        """The detections of a single image that are kept, by score."""
        count = g.Min(g.Shape(scores), g.constant([self.detections_per_image]))
        return g.TopK(scores, count, outputs=2, axis=0)[1]

    def _best_of_each(self, g: OnnxWriter, scores: str, images: str, numbers: str) -> str:
        """The detections that are kept, by image and then by score.

        From the scores and images (K,) of those that non-maximum suppression left, and the numbers (N,) of all images.
        """
        count = g.Shape(scores)
        # A TopK of all sorts, and leaves equal elements in their order.
        _, by_score = g.TopK(scores, count, outputs=2, axis=0)
        images, by_image = g.TopK(g.Gather(images, by_score), count, outputs=2, axis=0, largest=0)
        same = g.Equal(g.Unsqueeze(numbers, g.constant([1])), images)
        counts = g.ReduceSum(g.Cast(same, to=INT64), g.constant([1]), keepdims=0)
        starts = g.CumSum(counts, g.constant(0), exclusive=1)
        limit = g.constant([self.detections_per_image])
        rank = g.Sub(g.Range(g.constant(0), g.Squeeze(count), g.constant(1)), g.Gather(starts, images))
        return g.Compress(g.Gather(by_score, by_image), g.Less(rank, limit), axis=0)

    def label(self) -> str:
        return f"detections, NMS {self.nms_thresh}, {self.detections_per_image} at most"


def _real(g: OnnxWriter, x: str, first: int, classes: int) -> str:
    """The classes of a value (R, classes, ...) from the first that is not the background."""
    return g.Slice(x, g.constant([first]), g.constant([classes]), g.constant([1])) if first else x


def _are_boxes(g: OnnxWriter, low: str, high: str) -> str:
    """Whether a box (..., 4) has its second corner after its first, which NaN has not."""
    x, y = g.Split(g.Cast(g.GreaterOrEqual(high, low), to=INT32), outputs=2, num_outputs=2, axis=-1)
    return g.Cast(g.Squeeze(g.Mul(x, y), g.constant([2])), to=BOOL)


_DETECTIONS = Helper(
    '''\
@torch.no_grad()
def detections(
    rois: Tensor,
    scores: Tensor,
    deltas: Tensor,
    image: Tensor,
    score_thresh: float = 0.05,
    nms_thresh: float = 0.3,
    detections_per_image: int = 100,
    background: bool = True,
    inclusive: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The boxes (D, 4), scores, labels and images of what is found, by image and score.

    Take regions (R, 5), scores (R, classes), deltas (R, 4 classes), and images of a
    size.
    """
    offset = int(inclusive)
    above = scores > score_thresh
    if background:
        above[:, 0] = False
    labels, regions = above.T.nonzero(as_tuple=True)
    deltas = deltas.unflatten(1, (-1, 4))[regions, labels]
    boxes = decode_boxes(rois[regions, 1:], deltas, image.shape[-2:], offset)
    valid = (boxes[:, 2:] >= boxes[:, :2]).all(1)  # not of NaN
    boxes, labels, regions = boxes[valid], labels[valid], regions[valid]
    scores, images = scores[regions, labels], rois[regions, 0].long()
    # The classes of all images are moved apart, so that boxes of one alone overlap;
    # in float64, where that costs no digits.
    group = images * above.shape[1] + labels
    apart = boxes.double() + group[:, None] * (max(image.shape[-2:]) + 1)
    apart[:, 2:] += offset
    kept = suppress(apart, scores, nms_thresh)
    by_image = [kept[images[kept] == number] for number in range(len(image))]
    kept = torch.cat([each[:detections_per_image] for each in by_image])
    return boxes[kept], scores[kept], labels[kept], images[kept]''',
)
