"""Pre-training: the trunk and the hidden layers of a detector as a classifier of pictures of one object.

The papers begin with VGG-16 as a classifier of ImageNet. Its map of a picture of 224 pixels is as large as what RoI
pooling makes of a region, 7 x 7, so that its fully connected layers fit, too. Here it is the same with digits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from scenes import CLASSES, Scenes
from training import Budget, Losses, Worker, collate, train


class Classifier(nn.Module):
    """A trunk, the hidden layers of a head and a new last layer."""

    def __init__(self, trunk: nn.Module, *hidden: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.hidden = nn.Sequential(*hidden)
        self.last = nn.LazyLinear(len(CLASSES) - 1)

    def forward(self, images: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Losses:
        """The loss for scenes of one object each."""
        return {"classifier": cross_entropy(self.scores(images), torch.cat(labels) - 1)}

    def scores(self, images: Tensor) -> Tensor:
        return self.last(self.hidden(self.trunk(images).flatten(1)))


def pretrain(trunk: nn.Module, *hidden: nn.Module, side: int, budget: Budget, me: Worker, seed: int = 0) -> float:
    """Train a trunk and hidden layers in place, on pictures of `side` pixels; the accuracy on held-out ones."""
    sizes = (side // 2, side)
    model = Classifier(trunk, *hidden).to(me.device)
    held_out = Scenes(500, held_out=True, side=side, digits=(1, 1), sizes=sizes)
    images, _, labels = collate(list(held_out), me.device)
    model.eval().scores(images[:1])  # gives the last layer its size
    train(model, Scenes(10**9, seed=seed, side=side, digits=(1, 1), sizes=sizes), budget, me, batch=32, rate=2e-3)
    model.eval()
    with torch.inference_mode():
        return (model.scores(images).argmax(1) + 1 == torch.cat(labels)).float().mean().item()
