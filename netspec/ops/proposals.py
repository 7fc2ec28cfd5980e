"""The regions that a region proposal network proposes."""

from __future__ import annotations

import math
from typing import ClassVar

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
from netspec.ops.boxes import ANCHOR_BOXES, DECODE_BOXES, SUPPRESS, anchor_boxes, decoded, widths, with_edges
from netspec.ops.equal import need_equal_sizes
from netspec.ops.fields import Flag, NonNegativeReal, Overlap, Positive, PositiveReals
from netspec.ops.writing import FLOAT32, places
from netspec.types import DATA, Helper, Layer, Memory, OnnxWriter, Reach, Tensor

_LOWEST = -3.4e38
"""A score below that of all boxes but those that are left out, which have minus infinity."""


class Proposals(Costless, name="proposals", family="detection"):
    """The regions that a region proposal network proposes: `rois` (R, 5), and their `scores` (R,).

    From objectness (N, A, h, w), deltas (N, 4 A, h, w) and an image of which only the size counts. Around each
    position of the map stand A anchors, one for each ratio (height / width) and scale: windows of `base_size` pixels,
    `stride` pixels apart. Their deltas move and scale them; those that are less than `min_size` pixels wide or high
    are left out. Of the `pre_nms_top_n` with the highest objectness, non-maximum suppression keeps `post_nms_top_n` in
    each image, others in training. A region is a row (image, x1, y1, x2, y2), by image and then by score. With
    `inclusive`, x2 and y2 are a box's last pixels, and it is x2 - x1 + 1 wide, as in the authors' code; without, they
    are its edges. No gradient flows through it. Ren, He, Girshick & Sun 2015, "Faster R-CNN", arXiv:1506.01497,
    section 3.
    """

    scales: PositiveReals = (8, 16, 32)
    ratios: PositiveReals = (0.5, 1, 2)
    base_size: Positive = 16
    stride: Positive = 16
    pre_nms_top_n: Positive = 6000
    post_nms_top_n: Positive = 300
    pre_nms_top_n_train: Positive = 12000
    post_nms_top_n_train: Positive = 2000
    nms_thresh: Overlap = 0.7
    min_size: NonNegativeReal = 16
    inclusive: Flag = True

    inputs: ClassVar[tuple[int, int | None]] = (3, 3)
    reads: ClassVar[int | None] = 2
    differentiable: ClassVar[int | None] = 0
    precision = "float32"
    output_names = ("rois", "scores")
    data_symbols = ("R",)
    examples = (
        example((1, 9, 4, 5), (1, 36, 4, 5), (1, 3, 64, 80), pre_nms_top_n=60, post_nms_top_n=12),
        example((2, 6, 5, 7), (2, 24, 5, 7), (2, 3, 39, 55), scales=[1, 2], base_size=8, stride=8, min_size=3),
        example((3, 1, 6, 4), (3, 4, 6, 4), (3, 1, 24, 16), scales=[3], ratios=[1], stride=4, inclusive=False),
    )

    @property
    def anchors(self) -> int:
        """The number of anchors around each position."""
        return len(self.scales) * len(self.ratios)

    def infer(self, objectness: Tensor, deltas: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        for x in (objectness, deltas):
            need_rank(self, x, 4, "(N, C, H, W)")
            need_floats(self, x)
        for x, channels in ((objectness, self.anchors), (deltas, 4 * self.anchors)):
            if known_int(x.channels, "the number of channels of `proposals`") != channels:
                needed = f"{self.anchors} channels, one for each anchor, and deltas {4 * self.anchors}"
                message = f"objectness has {needed}: these have {objectness.channels} and {deltas.channels}"
                raise RuleError(message, at="scales", code="NS301")
        need_rank(self, image, 4, "an image (N, C, H, W)")
        for a, b in zip(objectness.shape, deltas.shape, strict=True):
            if a is not objectness.channels:
                need_equal_sizes(a, b, f"objectness and deltas need one batch and size, not {objectness} and {deltas}")
        need_equal_sizes(objectness.batch, image.batch, f"map and image need one batch, not {objectness} and {image}")
        return Tensor((DATA, 5), deltas.dtype), Tensor((DATA,), deltas.dtype)

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    def needs_values(self) -> bool:
        return True

    def nominal(self, objectness: Tensor, *xs: Tensor) -> tuple[int, ...]:
        return (self.post_nms_top_n * (objectness.batch if isinstance(objectness.batch, int) else 1),)

    def memory(self, train: bool, y: Tensor, objectness: Tensor, deltas: Tensor, image: Tensor) -> Memory:
        # Most is held when all anchors have been moved and are clipped; there are no outputs then.
        images, *map_sizes = known_sizes(objectness)
        decoding = (21 * images + 6) * math.prod(map_sizes)
        outputs = count_elements(y) + known_sizes(y)[0]
        return Memory(scratch=(Tensor((max(decoding - outputs, 0),)),))

    def torch(self, *xs: Tensor) -> Layer:
        helpers = (DECODE_BOXES, ANCHOR_BOXES, SUPPRESS, _PROPOSALS)
        return self.layer("Proposals", lists=("scales", "ratios"), helpers=helpers)

    def onnx(self, g: OnnxWriter, objectness: str, deltas: str, image: str) -> tuple[str, str]:
        offset = int(self.inclusive)
        moves = g.Reshape(g.Transpose(deltas, perm=[0, 2, 3, 1]), g.constant([0, -1, 4]))
        low, high = decoded(g, self._anchors_of_map(g, deltas), moves, image, offset)
        scores = g.Reshape(g.Transpose(objectness, perm=[0, 2, 3, 1]), g.constant([0, -1]))
        scores = self._scores_of_large(g, scores, widths(g, low, high, offset))
        most = g.Min(g.constant([self.pre_nms_top_n]), g.Shape(scores, start=1, end=2))
        scores, order = g.TopK(scores, most, outputs=2, axis=1)
        boxes = g.GatherND(g.Concat(low, high, axis=2), g.Unsqueeze(order, g.constant([2])), batch_dims=1)
        chosen = g.NonMaxSuppression(
            with_edges(g, boxes, offset),
            g.Unsqueeze(scores, g.constant([1])),
            g.constant([self.post_nms_top_n]),
            g.constant([self.nms_thresh], "float32"),
            g.constant([_LOWEST], "float32"),
        )
        rows = g.Gather(chosen, g.constant([0, 2]), axis=1)
        number = g.Cast(g.Slice(chosen, g.constant([0]), g.constant([1]), g.constant([1])), to=FLOAT32)
        return g.Concat(number, g.GatherND(boxes, rows), axis=1), g.GatherND(scores, rows)

    def _anchors_of_map(self, g: OnnxWriter, deltas: str) -> str:
        """The anchors (1, h w A, 4) of all positions of a map: by row, column, ratio, scale."""
        starts = [g.Mul(places(g, deltas, axis), g.constant(self.stride)) for axis in (2, 3)]
        sizes = g.Concat(g.Shape(deltas, start=2, end=4), g.constant([1]), axis=0)
        y = g.Expand(g.Unsqueeze(starts[0], g.constant([1, 2])), sizes)
        x = g.Expand(g.Unsqueeze(starts[1], g.constant([0, 2])), sizes)
        shifts = g.Cast(g.Unsqueeze(g.Concat(x, y, x, y, axis=2), g.constant([2])), to=FLOAT32)
        anchors = anchor_boxes(self.base_size, self.ratios, self.scales, int(self.inclusive))
        return g.Reshape(g.Add(shifts, g.constant(anchors, "float32")), g.constant([1, -1, 4]))

    def _scores_of_large(self, g: OnnxWriter, scores: str, size: str) -> str:
        """The scores of boxes that are large enough, and minus infinity for others and for those of NaN."""
        width, height = g.Split(size, outputs=2, num_outputs=2, axis=-1)
        least = g.constant(float(self.min_size), "float32")
        large = g.And(g.GreaterOrEqual(width, least), g.GreaterOrEqual(height, least))
        minus_infinity = g.constant(-math.inf, "float32")
        scores = g.Where(g.IsNaN(scores), minus_infinity, scores)
        return g.Where(g.Squeeze(large, g.constant([2])), scores, minus_infinity)

    def label(self) -> str:
        return f"proposals, {self.anchors} anchors, {self.post_nms_top_n} at most"


_PROPOSALS = Helper(
    '''\
class Proposals(nn.Module):
    """The regions (R, 5) that an RPN proposes, and their scores, by image and score.

    Anchors are moved and scaled by the RPN's deltas. Of those with the highest
    objectness, the ones that non-maximum suppression leaves are proposed.
    """

    anchors: Tensor

    def __init__(
        self,
        scales: tuple[float, ...] = (8, 16, 32),
        ratios: tuple[float, ...] = (0.5, 1, 2),
        base_size: int = 16,
        stride: int = 16,
        pre_nms_top_n: int = 6000,
        post_nms_top_n: int = 300,
        pre_nms_top_n_train: int = 12000,
        post_nms_top_n_train: int = 2000,
        nms_thresh: float = 0.7,
        min_size: float = 16,
        inclusive: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.top_n = (pre_nms_top_n, post_nms_top_n)
        self.top_n_train = (pre_nms_top_n_train, post_nms_top_n_train)
        self.nms_thresh = nms_thresh
        self.min_size = min_size
        self.offset = int(inclusive)
        anchors = anchor_boxes(base_size, ratios, scales, self.offset)
        self.register_buffer("anchors", anchors, persistent=False)

    @torch.no_grad()
    def forward(
        self, objectness: Tensor, deltas: Tensor, image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take objectness (N, A, h, w), deltas (N, 4 A, h, w) and images of a size."""
        scores = objectness.permute(0, 2, 3, 1).flatten(1)
        anchors = self.anchors_of_map(*deltas.shape[-2:])
        deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2)
        boxes = decode_boxes(
            anchors, deltas.flatten(1, 3), image.shape[-2:], self.offset
        )
        rois, roi_scores = [], []
        for number in range(len(boxes)):
            best, best_scores = self.best(boxes[number], scores[number])
            rois.append(nn.functional.pad(best, (1, 0), value=number))
            roi_scores.append(best_scores)
        return torch.cat(rois), torch.cat(roi_scores)

    def anchors_of_map(self, height: int, width: int) -> Tensor:
        """The anchors (height * width * A, 4) of all positions of a map."""
        y, x = torch.meshgrid(
            self.stride * torch.arange(height, device=self.anchors.device),
            self.stride * torch.arange(width, device=self.anchors.device),
            indexing="ij",
        )
        corners = torch.stack([x, y, x, y], -1)
        return (corners[:, :, None] + self.anchors).flatten(0, 2)

    def best(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The boxes of one image that are proposed, and their scores."""
        pre_nms, post_nms = self.top_n_train if self.training else self.top_n
        size = boxes[:, 2:] - boxes[:, :2] + self.offset
        valid = (size >= self.min_size).all(1) & (scores > -math.inf)  # not of NaN
        scores = scores.where(valid, -math.inf)
        scores, order = scores.sort(descending=True, stable=True)
        scores, order = scores[:pre_nms], order[:pre_nms]
        left = scores > -math.inf
        boxes, scores = boxes[order[left]], scores[left]
        edges = boxes.double()
        edges[:, 2:] += self.offset
        # The best boxes decide: where a few of them leave enough, more change nothing.
        few = pre_nms if torch.compiler.is_compiling() else 4 * post_nms
        kept = suppress(edges[:few], scores[:few], self.nms_thresh)
        if few < pre_nms and few < len(edges) and len(kept) < post_nms:
            kept = suppress(edges, scores, self.nms_thresh)
        kept = kept[:post_nms]
        return boxes[kept], scores[kept]''',
)
