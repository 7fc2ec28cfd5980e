"""Fine-tune a network on images of digits: load weights, train, save, and load what was saved.

The network is the bundled ResNet-18 with ten classes, the images are scikit-learn's digits: nothing is downloaded.
From `net.compile()` on it is plain PyTorch, and nothing below would be otherwise for a module written by hand.

    python examples/finetune/finetune.py
    python examples/finetune/finetune.py --weights resnet18.pth        # torchvision's, with another number of classes
    torchrun --nproc-per-node 2 examples/finetune/finetune.py          # the same, in two processes

Under torchrun each process takes its share of every batch, and the first one reports and saves.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import netspec
from netspec.backends.pytorch.runtime.weights import save_weights

CLASSES, SIZE = 10, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels: what published weights were trained on."""


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together; the only one, unless torchrun started it."""

    rank: int
    count: int
    device: torch.device

    @property
    def reports(self) -> bool:
        return self.rank == 0

    def say(self, text: str) -> None:
        """Print, once for all processes."""
        if self.reports:
            print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    options = parse(arguments)
    with worker() as me:
        try:
            finetune(options, me)
        except netspec.NetspecError as error:
            sys.exit(str(error) if me.reports else 1)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Fine-tune ResNet-18 on scikit-learn's digits.")
    parser.add_argument("--epochs", type=positive, default=8, help="times to see every image (%(default)s)")
    parser.add_argument("--batch", type=positive, default=32, help="images in a step, all processes (%(default)s)")
    parser.add_argument("--rate", type=float, default=1e-3, help="first learning rate of fresh weights (%(default)s)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights to start from, but for what doesn't fit")
    parser.add_argument("--seed", type=int, default=0, help="of fresh weights and the order of images (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("finetuned"), metavar="DIR", help="(%(default)s)")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A number from 1 on."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


@contextmanager
def worker() -> Iterator[Worker]:
    """This process, joined with those that torchrun started beside it: what torchrun says is in the environment."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local, here = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    gpus = torch.cuda.is_available() and torch.cuda.device_count() >= here
    device = torch.device("cuda", local) if gpus else torch.device("cpu")
    if count > 1:
        dist.init_process_group("nccl" if gpus else "gloo")
    try:
        yield Worker(rank, count, device)
    finally:
        if count > 1:
            dist.destroy_process_group()


def finetune(options: argparse.Namespace, me: Worker) -> nn.Module:
    """Train, save, load again, and say how well it reads digits that it has not seen."""
    torch.manual_seed(options.seed)
    network = netspec.load("resnet18", params={"classes": CLASSES}, inputs={"image": ["N", 3, SIZE, SIZE]})
    module, fresh = start(network, options.weights, me)
    training, held_out = digits()
    me.say(f"{len(training)} images to train on, {len(held_out)} held out")

    began = time.monotonic()
    train(module, fresh, training, options, me)
    me.say(f"trained for {options.epochs} epochs in {time.monotonic() - began:.0f} s")
    if not me.reports:
        return module

    counts = confusion(module, held_out, me.device)
    print(f"accuracy on the images held out: {accuracy(counts):.4f}")

    options.output.mkdir(parents=True, exist_ok=True)
    weights, picture = options.output / "resnet18.safetensors", options.output / "confusion.png"
    save_weights(module.state_dict(), weights, network.params)
    print(f"wrote {weights}")
    again = confusion(network.compile(weights).to(me.device), held_out, me.device)
    if not torch.equal(again, counts):
        sys.exit(f"loaded from {weights}, the accuracy is another: {accuracy(again):.4f}")
    print(f"accuracy with the weights in that file: {accuracy(again):.4f}")
    draw(counts).save(picture)
    print(f"wrote {picture}")
    return module


def start(network: netspec.Network, weights: Path | None, me: Worker) -> tuple[nn.Module, set[str]]:
    """The network as a module with what fits of a file of weights, and the keys of the weights that begin afresh."""
    own = network.graph.state()
    if weights is None:
        me.say(f"{network.title}: {len(own)} weights, all fresh")
        return network.compile().to(me.device), set(own)
    module = network.compile(weights, partial=True).to(me.device)
    _, found = network.fit_weights(weights)
    fresh = [key for key in own if key not in found.pairs]
    me.say(f"{network.title}: {len(found.pairs)} of {len(own)} weights from {weights}, by {found.origin}")
    if fresh:
        me.say(f"fresh: {', '.join(fresh)}")
    return module, set(fresh)


def digits() -> tuple[TensorDataset, TensorDataset]:
    """The digits as a network for photographs takes them, four fifths to train on and one held out."""
    found = load_digits()
    grey = torch.from_numpy(found.images).float()[:, None] / 16
    images = functional.interpolate(grey, size=(SIZE, SIZE), mode="bilinear").expand(-1, 3, -1, -1)
    images = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    labels = torch.from_numpy(found.target)
    training, held_out = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    return TensorDataset(images[training], labels[training]), TensorDataset(images[held_out], labels[held_out])


def train(module: nn.Module, fresh: set[str], data: TensorDataset, options: argparse.Namespace, me: Worker) -> None:
    """Train a module in place, together with the other processes; every step uses `batch` images of them all."""
    sampler = DistributedSampler(data, me.count, me.rank, seed=options.seed)
    share = options.batch // me.count
    if not 2 <= share <= len(sampler):
        sys.exit(f"a batch of {options.batch} gives each process {share} images: from 2 to {len(sampler)} will do")
    # What is left over may be one image, which is too few for batch norms: it has its turn in another epoch.
    loader = DataLoader(data, share, sampler=sampler, drop_last=True)
    steps = options.epochs * len(loader)
    optimizer = torch.optim.AdamW(groups(module, fresh, options.rate), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model = DistributedDataParallel(module) if me.count > 1 else module
    model.train()
    with progress(me) as bar:
        task = bar.add_task("training", total=steps, loss="")
        for epoch in range(options.epochs):
            sampler.set_epoch(epoch)
            for images, labels in loader:
                loss = functional.cross_entropy(model(images.to(me.device)), labels.to(me.device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update(task, advance=1, loss=f"epoch {epoch + 1}, loss {loss.item():.3f}")


def groups(module: nn.Module, fresh: set[str], rate: float) -> list[dict[str, object]]:
    """Parameters for an optimizer: those that were loaded learn at a tenth of the rate of fresh ones."""
    split: dict[float, list[nn.Parameter]] = {rate: [], rate / 10: []}
    for key, parameter in module.named_parameters():
        split[rate if key in fresh else rate / 10].append(parameter)
    return [{"params": parameters, "lr": lr} for lr, parameters in split.items() if parameters]


def progress(me: Worker) -> Progress:
    """A progress bar of one process, where someone may be looking."""
    columns = (BarColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not (me.reports and sys.stderr.isatty()))


@torch.inference_mode()
def confusion(module: nn.Module, data: TensorDataset, device: torch.device) -> Tensor:
    """How many images of each class (rows) were taken for each class (columns)."""
    module.eval()
    counts = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    for images, labels in DataLoader(data, batch_size=128):
        guesses = module(images.to(device)).argmax(dim=1).cpu()
        counts += torch.bincount(CLASSES * labels + guesses, minlength=CLASSES**2).view(CLASSES, CLASSES)
    return counts


def accuracy(counts: Tensor) -> float:
    """The share of images that were taken for what they are."""
    return float(counts.trace() / counts.sum())


CELL, EDGE = 44, 60


def draw(counts: Tensor) -> Image.Image:
    """A confusion matrix as a picture: right answers in blue, wrong ones in orange."""
    side = EDGE + CLASSES * CELL + CELL // 2
    page = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(page)
    font, small = ImageFont.load_default(18), ImageFont.load_default(15)
    middle = EDGE + CLASSES * CELL / 2
    pen.text((middle, 14), "taken for", "#666666", small, anchor="mm")
    pen.text((EDGE - 24, 36), "digit", "#666666", small, anchor="mm")
    for row in range(CLASSES):
        along = EDGE + (row + 0.5) * CELL
        pen.text((along, 38), str(row), "black", font, anchor="mm")
        pen.text((EDGE - 24, along), str(row), "black", font, anchor="mm")
        for column in range(CLASSES):
            count = int(counts[row, column])
            left, top = EDGE + column * CELL, EDGE + row * CELL
            colour = "#f5f5f5" if not count else "#0072b2" if row == column else "#e69f00"
            pen.rectangle([left + 1, top + 1, left + CELL - 2, top + CELL - 2], fill=colour)
            if count:
                ink = "white" if row == column else "black"
                pen.text((left + CELL / 2, top + CELL / 2), str(count), ink, font, anchor="mm")
    return page


if __name__ == "__main__":
    main()
