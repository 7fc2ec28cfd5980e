"""Random boxes, regions and maps of a detector, for the tests of this folder."""

from __future__ import annotations

from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import Tensor


def random_boxes(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Boxes (count, 4) within an image, at least 8 pixels wide and high."""
    first, second = torch.rand(2, count, 2, generator=generator)
    low = first * torch.tensor([width - 10.0, height - 10.0])
    high = low + 8 + second * (torch.tensor([width - 1.0, height - 1.0]) - low - 8)
    return torch.cat([low, high], 1)


def random_scenes(counts: list[int], height: int, width: int, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """The boxes and labels (1 to 4) of images that have so many objects each."""
    generator = torch.Generator().manual_seed(seed)
    boxes = [random_boxes(count, height, width, generator) for count in counts]
    return boxes, [torch.randint(1, 5, (count,), generator=generator) for count in counts]


def regions_around(boxes: list[Tensor], per_object: int, seed: int = 0) -> Tensor:
    """Regions (R, 5) near the objects of each image, and as many that lie elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    rows: list[Tensor] = []
    for index, objects in enumerate(boxes):
        near = objects.repeat(per_object, 1)
        near = near + 6 * torch.randn(near.shape, generator=generator)
        regions = torch.cat([near, random_boxes(max(len(near), 5), 96, 144, generator)])
        regions[:, 2:] = regions[:, 2:].maximum(regions[:, :2] + 1)
        rows.append(torch.cat([torch.full((len(regions), 1), float(index)), regions], 1))
    return torch.cat(rows)
