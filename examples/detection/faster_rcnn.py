"""Train Faster R-CNN on digits over photographs: a spec, four losses, and plain PyTorch.

The detector is `digits.yaml`, which is the bundled `faster_rcnn` with a small trunk; netspec compiles it. Its trunk
and hidden layers learn to classify single digits first, and then all of it to detect, by approximate joint training
(Ren et al. 2015, section 3.2). Nothing is downloaded.

    python examples/detection/faster_rcnn.py --out detector
    torchrun --nproc-per-node 2 examples/detection/faster_rcnn.py      # in two processes, each with its own scenes
    netspec run detector/faster_rcnn.onnx --image detector/scene.png   # what was trained, by ONNX Runtime
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import netspec
from classifier import pretrain
from draw import as_picture, draw_boxes, draw_curves, tile
from evaluate import Detections, detect, object_recall
from netspec.detection import anchor_targets, anchors_of_map, head_losses, roi_targets, rpn_losses
from reports import check_onnx, draw_detections, print_precisions
from scenes import Scene, Scenes
from training import Budget, Losses, Worker, train, worker

SPEC = Path(__file__).with_name("digits.yaml")


class JointTraining(nn.Module):
    """The four losses of a Faster R-CNN for a batch: those of the proposals, and those of the detections."""

    def __init__(self, network: netspec.Network, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.anchors = {name: network.params[name] for name in ("stride", "base_size", "scales", "ratios")}

    def forward(self, images: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> Losses:
        """Take images (N, 3, H, W), and for each the boxes (n, 4) and labels (n,) of its objects."""
        features = self.detector.trunk(images)

        # The RPN says of each anchor whether it is an object, and how it has to move to be one.
        rois, logits, deltas = self.detector.rpn(features, images)
        height, width = features.shape[-2:]
        anchors = anchors_of_map(height, width, **self.anchors, device=images.device)
        objectness, moves = rpn_losses(logits, deltas, anchor_targets(anchors, boxes, images.shape[-2:]))

        # The head says the same of a sample of the proposals, for each class. It takes their boxes as given: no
        # gradient flows through them to the RPN, which is what makes joint training approximate.
        sample = roi_targets(rois, boxes, labels, background=(0, 0.5))
        _, logits, deltas = self.detector.head(features, sample.rois)
        classes, refined = head_losses(logits, deltas, sample)
        return {"RPN objectness": objectness, "RPN boxes": moves, "classes": classes, "boxes": refined}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    options = parse(arguments)
    with worker() as me:
        torch.manual_seed(options.seed)  # weights begin alike in all processes
        network = netspec.load(str(SPEC))
        detector = network.compile().to(me.device)
        me.say(f"{network.title}: {sum(weight.numel() for weight in detector.parameters()):,} parameters")
        torch.manual_seed(options.seed + me.rank)
        losses = learn(network, detector, options, me)
        if me.reports:
            options.out.mkdir(parents=True, exist_ok=True)
            held_out = list(Scenes(options.scenes, held_out=True))
            results = evaluate(detector, held_out, me)
            draw_curves(losses).savefig(options.out / "faster_rcnn_losses.png")
            draw_detections(held_out, results, options.out / "faster_rcnn_detections.png")
            draw_proposals(detector, held_out[0], options.out / "faster_rcnn_proposals.png", me)
            torch.save(detector.state_dict(), options.out / "faster_rcnn.pt")
            as_picture(held_out[0].image).save(options.out / "scene.png")
            inputs = [{"image": scene.image[None]} for scene in held_out[:50]]
            check_onnx(network, detector, inputs, options.out / "faster_rcnn.onnx")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train Faster R-CNN on digits over photographs.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive, default=4000, help="of joint training (%(default)s)")
    length.add_argument("--minutes", type=float, default=0, help="to train, instead of a number of steps")
    length.add_argument("--quick", action="store_true", help="a few steps and scenes, to see that it runs")
    parser.add_argument("--batch", type=positive, default=4, help="scenes in a step of each process (%(default)s)")
    parser.add_argument("--scenes", type=positive, default=300, help="held-out scenes to evaluate on (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, scenes and samples (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("detector"), metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.steps, options.batch, options.scenes = 4, 2, 8
    if options.minutes > 0:
        options.steps = 0
    return options


def positive(text: str) -> int:
    """A number from 1 on."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def learn(
    network: netspec.Network, detector: nn.Module, options: argparse.Namespace, me: Worker
) -> list[dict[str, float]]:
    """Train a detector in place, as a classifier first; the losses of each step of joint training."""
    began = time.monotonic()
    first = Budget(me, -(-options.steps // 4), options.minutes / 8)
    side = network.params["stride"] * network.params["pooled"]
    hidden = (detector.head.fc6, detector.head.fc7)
    accuracy = pretrain(detector.trunk, *hidden, side=side, budget=first, me=me, seed=options.seed + 1)
    me.say(f"a classifier after {time.monotonic() - began:.0f} s: accuracy {accuracy:.3f} on held-out digits")

    rest = Budget(me, options.steps, options.minutes * 7 / 8)
    scenes = Scenes(10**9, seed=options.seed)
    losses = train(JointTraining(network, detector), scenes, rest, me, batch=options.batch)
    count, seconds = len(losses) * options.batch * me.count, time.monotonic() - began
    me.say(f"a detector after {seconds:.0f} s, {len(losses)} steps and {count} scenes")
    return losses


def evaluate(detector: nn.Module, scenes: Sequence[Scene], me: Worker) -> list[Detections]:
    """Print the measures of the paper for held-out scenes; the detections in each."""
    results, seconds = detect(detector, scenes, me.device)
    print_precisions(results, scenes, seconds)
    regions = [propose(detector, scene.image.to(me.device)).cpu()[:, 1:] for scene in scenes]
    count, recall = sum(map(len, regions)) / len(regions), object_recall(regions, scenes)
    print(f"{count:.0f} proposals per image, which overlap {recall:.1%} of the digits by half or more")
    return results


@torch.inference_mode()
def propose(detector: nn.Module, image: Tensor) -> Tensor:
    """The regions (R, 5) that the RPN proposes for an image (3, H, W), by descending objectness."""
    rois, _, _ = detector.eval().rpn(detector.trunk(image[None]), image[None])
    return rois


def draw_proposals(detector: nn.Module, scene: Scene, picture: Path, me: Worker) -> None:
    """Draw the first 10 and 50 proposals of a scene, and all."""
    boxes = propose(detector, scene.image.to(me.device)).cpu()[:, 1:]
    tile([draw_boxes(scene.image, boxes[:count].flip(0)) for count in (10, 50, len(boxes))], 3).save(picture)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main()
