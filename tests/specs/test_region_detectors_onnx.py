"""Detectors of regions that are given: one model for any number of them, which finds what PyTorch finds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports
from tests.support.paths import SPECS

with lazy_imports():
    import torch

    from tests.support.detectors import Found, are_same, scenes, session_of, spread_weights

pytestmark = pytest.mark.usefixtures("no_grad", "one_thread")

SPREADS = {"fast_rcnn": {"head.logits": 2.0, "head.deltas": 0.1}, "rcnn": {"svm": 1.0, "deltas": 0.1}}
"""The standard deviations of outputs over regions."""

Runs = Callable[..., tuple[Found, Found]]


def smaller(name: str, folder: Path) -> netspec.Network:
    """A bundled detector whose linear layers have few units."""
    caffenet = (SPECS / "caffenet.yaml").read_text(encoding="utf-8")
    (folder / "caffenet.yaml").write_text(caffenet.replace("linear: 4096", "linear: 32"), encoding="utf-8")
    text = (SPECS / f"{name}.yaml").read_text(encoding="utf-8").partition("\nexpect:")[0]
    text = text.replace("classes: classes}", "classes: classes, hidden: 32}").replace("caffenet,", "./caffenet.yaml,")
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return netspec.load(folder / f"{name}.yaml")


def regions(count: int, images: int, height: int, width: int) -> torch.Tensor:
    """Random regions (count, 5) of 16 to 80 pixels, some of which reach beyond their image."""
    generator = torch.Generator().manual_seed(count)
    corners = torch.rand(count, 2, generator=generator) * torch.tensor([width - 32, height - 32])
    sizes = 16 + 64 * torch.rand(count, 2, generator=generator)
    numbers = torch.randint(images, (count, 1), generator=generator)
    return torch.cat([numbers, corners, corners + sizes], 1)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Runs]:
    """What a detector finds in images and regions: compiled, and in ONNX Runtime."""

    @cache
    def detector_of(name: str) -> Runs:
        folder = tmp_path_factory.mktemp(name)
        network = smaller(name, folder)
        module: Any = network.compile().eval()
        spread_weights(module, images(1, 120, 160), regions(16, 1, 120, 160), layers=SPREADS[name])
        network.to_onnx(folder / "model.onnx", module)
        session = session_of(folder / "model.onnx")

        def run(image: torch.Tensor, rois: torch.Tensor) -> tuple[Found, Found]:
            outputs = session.run(None, {"image": image.numpy(), "rois": rois.numpy()})
            return Found(*module(image, rois)[:4]), Found(*map(torch.from_numpy, outputs))

        return run

    return detector_of


def images(count: int, height: int, width: int) -> torch.Tensor:
    return scenes(count, height, width, torch.Generator().manual_seed(height))


@pytest.mark.parametrize(("count", "size"), [(1, (1, 120, 160)), (9, (2, 75, 101)), (16, (3, 90, 64))])
@pytest.mark.parametrize("name", SPREADS)
def test_both_find_the_same(detector: Callable[[str], Runs], name: str, count: int, size: tuple[int, int, int]) -> None:
    ours, theirs = detector(name)(images(*size), regions(count, *size))
    assert len(ours.labels.unique()) >= min(count, 5)
    assert ours.images.unique().tolist() == list(range(size[0]))
    assert are_same(ours, theirs)


@pytest.mark.parametrize("name", SPREADS)
def test_without_regions_nothing_is_found(detector: Callable[[str], Runs], name: str) -> None:
    ours, theirs = detector(name)(images(2, 64, 80), regions(0, 2, 64, 80))
    assert [tuple(value.shape) for value in ours] == [(0, 4), (0,), (0,), (0,)]
    assert are_same(ours, theirs)
    assert [value.shape for value in ours] == [value.shape for value in theirs]
