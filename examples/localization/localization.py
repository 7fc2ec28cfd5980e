"""Localisation as regression, as VGG does it (Simonyan & Zisserman 2014, arXiv:1409.1556, appendix A), on a CPU.

    python examples/localization/localization.py [--quick] [--output DIR]

Scenes have one digit each. A classifier is trained first. Then its last layer is replaced by one that predicts a box,
for each class (per-class regression, PCR) or one for all (single-class regression, SCR), and the network is fine-tuned:
its fully connected layers alone, or all layers. A table like the paper's Table 8 tells the errors on held-out scenes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torchvision.ops import box_convert, box_iou

import netspec

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "detection"))

from scenes import Scenes  # noqa: E402

SIDE, CROP = 56, 48
"""Pixels of a scene and of a crop: the paper's 256 and 224, in proportion."""
BATCH = 64


class Data:
    """Scenes of one digit: images (n, 3, SIDE, SIDE), boxes (n, 4) as x1, y1, x2, y2, and digits (n,)."""

    def __init__(self, count: int, *, held_out: bool) -> None:
        scenes = Scenes(count, held_out, side=SIDE, digits=(1, 1), sizes=(14, 32))
        self.images = torch.stack([scene.image for scene in scenes])
        # The boxes of scenes end with their last pixel, and these behind it.
        self.boxes = torch.cat([scene.boxes for scene in scenes]) + torch.tensor([0, 0, 1, 1])
        self.digits = torch.cat([scene.labels for scene in scenes]) - 1

    def crops(self, chosen: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
        """Crops of some scenes whose upper left corners (n, 2) are given, and the targets (n, 4) in them.

        A target is the centre, width and height of a box, in sides of the crop.
        """
        pairs = zip(self.images[chosen], corners.tolist(), strict=True)
        crops = torch.stack([image[:, y : y + CROP, x : x + CROP] for image, (x, y) in pairs])
        boxes = self.boxes[chosen] - corners.repeat(1, 2)
        return crops - 0.5, box_convert(boxes, "xyxy", "cxcywh") / CROP


Loss = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""The loss of a module on crops, with their targets and digits."""


def classification(module: nn.Module, crops: Tensor, targets: Tensor, digits: Tensor) -> Tensor:
    return nn.functional.cross_entropy(module(crops), digits)


def localization(module: nn.Module, crops: Tensor, targets: Tensor, digits: Tensor) -> Tensor:
    """The squared Euclidean distance of the box of the true class and the true box."""
    return (boxes_of(module(crops), digits) - targets).square().sum(1).mean()


def boxes_of(boxes: Tensor, digits: Tensor) -> Tensor:
    """The box of each digit's class, of (n, classes, 4), or the one that all classes share, of (n, 1, 4)."""
    return boxes[range(len(boxes)), digits if boxes.shape[1] > 1 else 0]


def train(module: nn.Module, parameters: Iterable[nn.Parameter], loss: Loss, data: Data, steps: int) -> None:
    """Train some parameters of a module on random crops of random scenes."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(data.images), (BATCH,), generator=generator)
        corners = torch.randint(SIDE - CROP + 1, (BATCH, 2), generator=generator)
        crops, targets = data.crops(chosen, corners)
        optimizer.zero_grad()
        loss(module, crops, targets, data.digits[chosen]).backward()
        optimizer.step()
        schedule.step()


def central(data: Data) -> tuple[Tensor, Tensor]:
    """The central crops of all scenes, and their corners."""
    corners = torch.full((len(data.images), 2), (SIDE - CROP) // 2)
    return data.crops(torch.arange(len(data.images)), corners)[0], corners


@torch.inference_mode()
def predict(module: nn.Module, data: Data) -> Tensor:
    """Boxes (n, 4) in the scenes, as x1, y1, x2, y2, from their central crops and true digits."""
    crops, corners = central(data)
    boxes = boxes_of(module.eval()(crops), data.digits)
    return box_convert(boxes * CROP, "cxcywh", "xyxy") + corners.repeat(1, 2)


def error(boxes: Tensor, data: Data) -> float:
    """The part of the boxes whose intersection over union with the true box is not above 0.5."""
    return 1 - (box_iou(boxes, data.boxes).diagonal() > 0.5).float().mean().item()


def localizer(classifier: nn.Module, *, per_class: bool) -> nn.Module:
    """A network for boxes with the weights of a classifier, but for the last layer, which begins at random."""
    torch.manual_seed(0)
    module = netspec.load(f"{HERE / 'localization.yaml'}:localizer", params={"per_class": per_class}).compile()
    state = {key: value for key, value in classifier.state_dict().items() if not key.startswith("fc8")}
    module.load_state_dict(state, strict=False)
    return module


def fine_tune(module: nn.Module, data: Data, steps: int, *, all_layers: bool) -> None:
    """Train a localizer: all of it, or its fully connected layers."""
    module.train()
    if not all_layers:
        for name, layer in module.features.named_children():
            if name.startswith("conv"):
                layer.eval()  # batch norms keep their statistics
    names = [name for name, _ in module.named_parameters() if all_layers or "fc" in name]
    train(module, [module.get_parameter(name) for name in names], localization, data, steps)


def draw(data: Data, boxes: Tensor, columns: int = 8, rows: int = 4, scale: int = 3) -> Image.Image:
    """The first scenes with the true box in green and the predicted one in orange."""
    page = Image.new("RGB", (columns * SIDE * scale, rows * SIDE * scale))
    pixels = (255 * data.images).round().byte().permute(0, 2, 3, 1).numpy()
    for index in range(min(len(pixels), columns * rows)):
        picture = Image.fromarray(pixels[index]).resize((SIDE * scale, SIDE * scale), Image.Resampling.LANCZOS)
        pen = ImageDraw.Draw(picture)
        for box, colour in ((data.boxes[index], "#00c853"), (boxes[index], "#ff9100")):
            x1, y1, x2, y2 = (scale * box).tolist()
            pen.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=colour, width=2)
        row, column = divmod(index, columns)
        page.paste(picture, (column * SIDE * scale, row * SIDE * scale))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few scenes and steps, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("localization"), metavar="DIR")
    options = parser.parse_args()
    count, held_out, steps = (128, 64, 4) if options.quick else (2000, 500, 400)
    start = time.perf_counter()
    training, testing = Data(count, held_out=False), Data(held_out, held_out=True)
    print(f"{count} scenes for training, {held_out} held out, in {time.perf_counter() - start:.0f} s")

    torch.manual_seed(0)
    classifier = netspec.load(f"{HERE / 'localization.yaml'}:classifier").compile()
    train(classifier, classifier.parameters(), classification, training, steps)
    with torch.inference_mode():
        wrong = classifier.eval()(central(testing)[0]).argmax(1) != testing.digits
    print(f"classifier: error {wrong.float().mean():.1%}")

    print("fine-tuned layers   regression   error")
    for all_layers, per_class in ((False, False), (False, True), (True, False), (True, True)):
        module = localizer(classifier, per_class=per_class)
        fine_tune(module, training, steps, all_layers=all_layers)
        boxes = predict(module, testing)
        layers, kind = "all" if all_layers else "fully connected", "PCR" if per_class else "SCR"
        print(f"{layers:<20s}{kind:<13s}{error(boxes, testing):.1%}", flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    draw(testing, boxes).save(options.output / "boxes.png")
    print(f"wrote {options.output / 'boxes.png'}, {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
