"""Detectors with weights on which they find things, and whether two runs of one find the same.

Detection decides: is a score above its limit, an overlap, which of two scores is larger. Where PyTorch and ONNX Runtime
decide otherwise, `Pair.compare` says which decision lay within rounding of its limit; if none did, they are wrong.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

import netspec
from netspec.detection import anchors_of_map, box_iou, clip_boxes, decode_boxes
from netspec.network import Network
from netspec.ops.detections import Detections
from netspec.ops.proposals import Proposals

PIXELS = 1e-3
"""How far corners of a box may be apart, in pixels."""
ROUNDING = 1e-5
"""How far scores and overlaps may be apart."""
SPREADS = {"rpn.logits": 2.0, "rpn.deltas": 0.1, "head.logits": 2.0, "head.deltas": 0.05}
"""The standard deviation, over positions or regions, that each output of a layer gets: about that of trained ones."""
BACKGROUND = 3.0
"""By how much background is likelier than each class, as it is in most regions."""


class Found(NamedTuple):
    """What a detector finds: boxes (D, 4), scores, labels and images (D,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    images: Tensor


def scenes(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Random images (count, 3, height, width) with structures of 4 to 64 pixels, as bright as networks take them."""
    images = torch.zeros(count, 3, height, width)
    for size in (4, 16, 64):
        coarse = torch.randn(count, 3, -(-height // size), -(-width // size), generator=generator)
        images += 40 * nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return images


def spread_weights(module: nn.Module, *inputs: Tensor, layers: Mapping[str, float] = SPREADS) -> None:
    """Give a detector random weights on which regions differ, as they do after training.

    Layers have He's variance and no biases. Then `layers` are turned one after the other until each output has mean 0
    over the positions or regions of these inputs, and scaled to its standard deviation. Most regions are background.
    """
    generator = torch.Generator().manual_seed(0)
    for value in module.state_dict().values():
        deviation = (2 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.0
        value.copy_(deviation * torch.randn(value.shape, generator=generator))
    for name, deviation in layers.items():
        layer: Any = module.get_submodule(name)
        weight: Tensor = layer.weight.flatten(1)
        read = inputs_of(layer, lambda: module(*inputs))[0].transpose(0, 1).flatten(1)
        mean = read.mean(1)
        weight -= torch.outer(weight @ mean, mean) / mean.square().sum()
        weight *= deviation / (weight @ read).std(1, keepdim=True)
    if "head.logits" in layers:
        module.get_parameter("head.logits.bias")[0] = BACKGROUND


def inputs_of(layer: nn.Module, run: Callable[[], object]) -> list[Tensor]:
    """The inputs that a layer gets in a run."""
    inputs: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _layer, xs: inputs.extend(xs))
    run()
    handle.remove()
    return inputs


@dataclass(frozen=True)
class Candidates:
    """Boxes (M, 4) of one image among which non-maximum suppression chooses, and its limits."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    nms_thresh: float
    score_thresh: float
    most: int
    spare: Tensor
    """By how many pixels (M,) a box is larger than it must be."""
    inclusive: bool

    def judge(self, boxes: Tensor, labels: Tensor, scores: Tensor | None = None) -> tuple[list[str], list[str]]:
        """The decisions within rounding of their limits by which these boxes (K, 4) are chosen, and the wrong ones."""
        apart = (boxes[:, None] - self.boxes).abs().amax(-1)
        apart[labels[:, None] != self.labels] = torch.inf
        nearest, _ = apart.min(1)
        # Of boxes that are equal, such as those that were clipped to the whole image, the best is chosen.
        chosen = torch.where(apart <= nearest[:, None] + PIXELS, self.scores, -torch.inf).argmax(1)
        wrong = ["a box that is elsewhere"] * int((nearest > PIXELS).sum())
        if scores is not None:
            wrong += ["another score"] * int(((scores - self.scores[chosen]).abs() > ROUNDING).sum())
        return self.broken(chosen, slack=False), wrong + self.broken(chosen, slack=True)

    def broken(self, chosen: Tensor, slack: bool) -> list[str]:
        """The rules of non-maximum suppression that a choice (K,) breaks, by more than rounding if it has slack."""
        near, pixels = (ROUNDING, PIXELS) if slack else (0.0, 0.0)
        scores, spare = self.scores[chosen], self.spare[chosen]
        overlaps = box_iou(self.boxes[chosen].double(), self.boxes.double(), inclusive=self.inclusive)
        overlaps[self.labels[chosen][:, None] != self.labels] = 0
        among = overlaps[:, chosen].triu(1)
        broken = Counter(
            {
                "two scores": int((scores[1:] > scores[:-1] + near).sum()),
                "an overlap": int((among > self.nms_thresh + near).sum()),
                "a score and its limit": int((scores <= self.score_thresh - near).sum()),
                "a size and its limit": int((spare < -pixels).sum()),
            }
        )
        better = scores[:, None] >= self.scores - near
        suppressed = (better & (overlaps > self.nms_thresh - near)).any(0)
        out = ~suppressed & (self.scores > self.score_thresh + near) & (self.spare >= pixels)
        if len(chosen) == self.most:
            out &= self.scores > scores.min() + near
        out[chosen] = False
        broken["a box that nothing suppresses"] = int(out.sum())
        return list(broken.elements())


@dataclass
class Comparison:
    """What two runs on the same images have in common."""

    images: int = 0
    detections: int = 0
    differing: int = 0
    pixels: float = 0.0
    """The largest distance of corners in images where both found the same."""
    scores: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter[str])
    """The decisions within rounding of their limits, in images where they differ."""
    unexplained: list[str] = field(default_factory=list[str])
    """Images where they differ without such a decision."""

    def add(self, other: Comparison) -> None:
        self.images += other.images
        self.detections += other.detections
        self.differing += other.differing
        self.pixels, self.scores = max(self.pixels, other.pixels), max(self.scores, other.scores)
        self.reasons.update(other.reasons)
        self.unexplained += other.unexplained


@dataclass
class Matches:
    """How far detections are from the right ones, where label and image are the same and the overlap is above 0.9."""

    detections: int = 0
    matched: int = 0
    pixels: list[Tensor] = field(default_factory=list[Tensor])
    scores: list[Tensor] = field(default_factory=list[Tensor])

    @property
    def share(self) -> float:
        return self.matched / self.detections

    def add(self, right: Found, found: Found) -> None:
        overlaps = box_iou(right.boxes, found.boxes)
        for a, b in ((right.labels, found.labels), (right.images, found.images)):
            overlaps[a[:, None] != b] = 0
        best, number = overlaps.max(1) if len(found.scores) else (right.scores.new_zeros(0), right.labels[:0])
        close = best > 0.9
        self.detections += len(right.scores)
        self.matched += int(close.sum())
        self.pixels.append((right.boxes - found.boxes[number])[close].abs().amax(1))
        self.scores.append((right.scores - found.scores[number])[close].abs())


def rounded_to_half(module: nn.Module) -> nn.Module:
    """A copy of a detector whose weights, inputs and values have half precision; boxes and regions keep theirs."""
    module = copy.deepcopy(module)
    for value in module.state_dict().values():
        value.copy_(value.half())
    for layer in module.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda _module, _inputs, y: y.half().float() if isinstance(y, Tensor) else y)
    return module


class Pair:
    """A detector with `trunk`, `rpn` and `head`: compiled, and as an ONNX model with the same weights."""

    def __init__(self, network: Network, module: nn.Module, path: Path) -> None:
        self.module: Any = module
        self.path = path
        ops = [node.op for node in network.graph.nodes]
        (self.proposals,) = [op for op in ops if isinstance(op, Proposals)]
        (self.limits,) = [op for op in ops if isinstance(op, Detections)]
        self.session = session_of(path)

    @cached_property
    def with_regions(self) -> Any:
        """A session that gives the regions after the detections."""
        model = onnx.load(self.path)
        model.graph.output.append(onnx.helper.make_tensor_value_info("rpn.proposals", 1, ["R", 5]))
        return session_of(model.SerializeToString())

    def by_torch(self, image: Tensor) -> Found:
        return Found(*self.module(image)[:4])

    def by_runtime(self, image: Tensor) -> Found:
        return Found(*map(torch.from_numpy, self.session.run(None, {"image": image.numpy()})))

    def compare(self, image: Tensor) -> Comparison:
        """What both runtimes find in images (N, 3, H, W)."""
        ours, theirs = self.by_torch(image), self.by_runtime(image)
        result = Comparison(len(image))
        for number in range(len(image)):
            a, b = of_image(ours, number), of_image(theirs, number)
            result.detections += len(a.scores)
            if are_same(a, b):
                result.pixels = max(result.pixels, largest(a.boxes - b.boxes))
                result.scores = max(result.scores, largest(a.scores - b.scores))
            else:
                result.differing += 1
                reasons, wrong = self.explain(image, number, b)
                result.reasons.update(reasons)
                if wrong or not reasons:
                    apart = (
                        f"{largest(a.boxes - b.boxes):.1e} pixels" if len(a.scores) == len(b.scores) else "in number"
                    )
                    result.unexplained.append(f"image {number} of {tuple(image.shape)}: {wrong}, {apart}")
        return result

    def explain(self, image: Tensor, number: int, found: Found) -> tuple[list[str], list[str]]:
        """Why ONNX Runtime `found` something else in an image: near their limits, and wrong ones."""
        (rois,) = self.with_regions.run(["rpn.proposals"], {"image": image.numpy()})
        features = self.module.trunk(image)
        own = self.module.rpn(features, image)[0]
        own, rois = (x[x[:, 0] == number] for x in (own, torch.from_numpy(rois)))
        # Each choice is held against PyTorch's numbers: that of regions, and on these regions that of detections.
        proposed, detected = self.anchors(features, image, number), self.moved(features, rois, image)
        judged = {
            "RPN": proposed.judge(rois[:, 1:], torch.zeros(len(rois))),
            "head": detected.judge(found.boxes, found.labels, found.scores),
        }
        near = [f"{part}: {decision}" for part, (decisions, _) in judged.items() for decision in decisions]
        wrong = [f"{part}: {decision}" for part, (_, decisions) in judged.items() for decision in decisions]
        if len(own) == len(rois) and largest(own - rois) <= PIXELS:
            units = self.module.head.pool.spatial_scale * torch.stack([own, rois])[..., 1:]
            # RoI pooling rounds the corners of regions.
            near += ["head: a corner and half a unit"] * int((units[0].round() != units[1].round()).any(1).sum())
        return near, wrong

    def anchors(self, features: Tensor, image: Tensor, number: int) -> Candidates:
        """Among what the RPN chooses in an image."""
        op, rpn = self.proposals, self.module.rpn
        objectness, deltas, _ = inputs_of(rpn.proposals, lambda: rpn(features, image))
        scores = objectness[number].permute(1, 2, 0).flatten()
        moves = deltas[number].unflatten(0, (-1, 4)).permute(2, 3, 0, 1).flatten(0, 2)
        anchors = anchors_of_map(
            *deltas.shape[-2:],
            stride=op.stride,
            scales=op.scales,
            ratios=op.ratios,
            base_size=op.base_size,
            inclusive=op.inclusive,
        )
        boxes = self.inside(decode(anchors, moves, op.inclusive), image)
        spare = (boxes[:, 2:] - boxes[:, :2] + int(op.inclusive)).amin(1) - op.min_size
        ranked = scores[spare >= 0].sort(descending=True).values[op.pre_nms_top_n - 1 : op.pre_nms_top_n + 1]
        least = float(ranked.mean()) if len(ranked) == 2 else -1.0
        labels = torch.zeros(len(boxes))
        return Candidates(boxes, scores, labels, op.nms_thresh, least, op.post_nms_top_n, spare, op.inclusive)

    def moved(self, features: Tensor, rois: Tensor, image: Tensor) -> Candidates:
        """Among what the head chooses of regions."""
        op = self.limits
        scores, _, deltas = self.module.head(features, rois)
        boxes = self.inside(decode(rois[:, None, 1:], deltas.unflatten(1, (-1, 4)), op.inclusive), image)
        labels = torch.arange(scores.shape[1]).expand_as(scores)
        real = labels >= int(op.background)
        boxes, scores, labels = boxes[real], scores[real], labels[real]
        spare = torch.full_like(scores, torch.inf)
        most = op.detections_per_image
        return Candidates(boxes, scores, labels, op.nms_thresh, op.score_thresh, most, spare, op.inclusive)

    def inside(self, boxes: Tensor, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        return clip_boxes(boxes, (height, width), inclusive=self.limits.inclusive)


def decode(boxes: Tensor, deltas: Tensor, inclusive: bool) -> Tensor:
    return decode_boxes(boxes, deltas, inclusive=inclusive)


def small_network(**options: Any) -> Network:
    """A Faster R-CNN that takes a moment and finds tens of boxes, read with these options of `load`."""
    return netspec.load("faster_rcnn_zf", params={"width": 64, "hidden": 64}, **options)


def small_detector(folder: Path, **options: Any) -> Pair:
    """The small network, exported with these options of `to_onnx`."""
    network = small_network()
    module = network.compile().eval()
    with torch.no_grad():
        spread_weights(module, scenes(1, 160, 200, torch.Generator().manual_seed(0)))
    path = folder / "detector.onnx"
    network.to_onnx(path, module, **options)
    return Pair(network, module, path)


def session_of(model: Path | bytes) -> Any:
    """A session on one core."""
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    data = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def of_image(found: Found, number: int) -> Found:
    """What is found in one image of several."""
    return Found(*[value[found.images == number] for value in found])


def are_same(a: Found, b: Found) -> bool:
    """Whether boxes, their order and labels are the same, and scores but for rounding."""
    return (
        torch.equal(a.labels, b.labels)
        and torch.equal(a.images, b.images)
        and largest(a.boxes - b.boxes) <= PIXELS
        and largest(a.scores - b.scores) <= ROUNDING
    )


def largest(differences: Tensor) -> float:
    return float(differences.abs().max()) if differences.numel() else 0.0
