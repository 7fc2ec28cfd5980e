"""A training loop for detectors and classifiers of scenes, in one process or in several that torchrun starts."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from scenes import Scene

Losses = dict[str, Tensor]
Join = Callable[[Sequence[Any], torch.device], tuple[Any, ...]]


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


class Budget:
    """How long to train: a number of steps, or of minutes. `spent` goes from 0 to 1, and the learning rate with it."""

    def __init__(self, me: Worker, steps: int = 0, minutes: float = 0) -> None:
        self.me, self.steps, self.seconds = me, steps, 60 * minutes
        self.began = time.monotonic()

    def spent(self, step: int) -> float:
        """The part of the budget that is used up before a step, the same in all processes."""
        if self.steps:
            return step / self.steps
        part = torch.tensor((time.monotonic() - self.began) / self.seconds, device=self.me.device)
        if self.me.count > 1:
            dist.broadcast(part, 0)
        return part.item()


def train(
    model: nn.Module,
    scenes: Sequence[Any] | Dataset[Any],
    budget: Budget,
    me: Worker,
    *,
    batch: int,
    join: Join | None = None,
    rate: float = 1e-3,
    warm_up: float = 0.04,
) -> list[dict[str, float]]:
    """Minimise the sum of the losses that a model returns for images, boxes and labels; the losses of each step.

    `join` makes the model's arguments of a batch, where they are others than those of `collate`.

    Adam's learning rate rises to `rate` in the first part of the budget, `warm_up`, and falls as a cosine. Every
    process takes `batch` scenes of its own for a step, and gradients are averaged.
    """
    optimizer = torch.optim.Adam(model.parameters(), rate)
    join = join or collate
    shared = DistributedDataParallel(model) if me.count > 1 else model
    model.train()
    history: list[dict[str, float]] = []
    while (spent := budget.spent(step := len(history))) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, spent / warm_up + 0.01) * (1 + math.cos(math.pi * spent)) / 2
        first = (step * me.count + me.rank) * batch
        samples = [scenes[index % len(scenes)] for index in range(first, first + batch)]
        losses: Losses = shared(*join(samples, me.device))
        optimizer.zero_grad()
        torch.stack(tuple(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
        show_progress(history, spent, me)
    if shows_progress(me):
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return history


def collate(scenes: Sequence[Scene], device: torch.device) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Images as one tensor (N, 3, H, W), boxes and labels as a tensor for each image."""
    images = torch.stack([scene.image for scene in scenes]).to(device)
    return images, [scene.boxes.to(device) for scene in scenes], [scene.labels.to(device) for scene in scenes]


def shows_progress(me: Worker) -> bool:
    """Whether someone may be looking."""
    return me.reports and sys.stderr.isatty()


def show_progress(history: Sequence[dict[str, float]], spent: float, me: Worker) -> None:
    """Write how far it is, and the losses of late, over what stands in the line."""
    if not shows_progress(me) or len(history) % 10:
        return
    last = history[-50:]
    means = ", ".join(f"{name} {sum(step[name] for step in last) / len(last):.3f}" for name in last[0])
    print(f"\r{spent:4.0%}, step {len(history)}: {means}\033[K", end="", file=sys.stderr, flush=True)
