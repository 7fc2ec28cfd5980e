"""Images as inputs: held against torchvision's transforms, pixel by pixel, and what is no image."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.preprocess import Preprocess
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torchvision.models import GoogLeNet_Weights, googlenet
    from torchvision.transforms import v2

    from netspec.backends.images import Array, prepare_image
    from tests.support.photographs import images, photographs

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("image", ["china", "flower", "portrait", "small"])
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("resnet18", "ResNet18_Weights"),
        ("resnet50", "ResNet50_Weights"),
        ("vgg_d", "VGG16_Weights"),
        ("vgg_e", "VGG19_BN_Weights"),
        ("alexnet_owt", "AlexNet_Weights"),
    ],
)
def test_bundled_networks_get_what_torchvision_gives_its_own(name: str, weights: str, image: str) -> None:
    how = netspec.load(name).graph.inputs[0].preprocess
    assert how is not None
    theirs = getattr(torchvision.models, weights).IMAGENET1K_V1
    expected = theirs.transforms()(Image.fromarray(images()[image]))
    np.testing.assert_allclose(prepare_image(images()[image], how), expected.numpy(), atol=2e-6)


def test_googlenets_own_normalisation() -> None:
    """torchvision's GoogLeNet with weights makes other means and deviations of those that its transforms gave."""
    how = netspec.load("googlenet_bn").graph.inputs[0].preprocess
    assert how is not None
    theirs = googlenet(transform_input=True, init_weights=False, aux_logits=False)
    given = GoogLeNet_Weights.DEFAULT.transforms()(Image.fromarray(photographs()[0]))
    expected = theirs._transform_input(given[None])[0]
    np.testing.assert_allclose(prepare_image(photographs()[0], how), expected.numpy(), atol=2e-6)


def torchvisions(steps: list[Any]) -> Callable[[Image.Image], torch.Tensor]:
    """An image as torchvision makes it a tensor, after these steps."""
    return v2.Compose([*steps, v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


def resized(size: int | tuple[int, int], crop: Any = None, way: str = "bilinear") -> list[Any]:
    """torchvision's steps that resize, and crop where a crop is given."""
    steps: list[Any] = [v2.Resize(size, v2.InterpolationMode(way))]
    return [*steps, v2.CenterCrop(crop)] if crop else steps


@pytest.mark.parametrize("image", ["china", "flower", "portrait", "small"])
@pytest.mark.parametrize(
    ("how", "steps"),
    [
        (Preprocess(resize=64, crop=(48, 48)), (64, 48)),
        (Preprocess(resize=65, crop=(48, 61)), (65, (48, 61))),
        (Preprocess(resize=(40, 70)), ((40, 70),)),
        (Preprocess(resize=33), (33,)),
        (Preprocess(resize=64, crop=(64, 64), interpolation="bicubic"), (64, 64, "bicubic")),
        (Preprocess(resize=64, crop=(63, 63), interpolation="nearest"), (64, 63, "nearest")),
        (Preprocess(), ()),
    ],
    ids=str,
)
def test_every_way_is_torchvisions(how: Preprocess, steps: tuple[Any, ...], image: str) -> None:
    expected = torchvisions(resized(*steps) if steps else [])(Image.fromarray(images()[image]))
    np.testing.assert_allclose(prepare_image(images()[image], how), expected.numpy(), atol=1e-6)


SIDES = (1, 2, 3, 16, 40, 59, 60, 61, 99, 100, 101, 160, 299)


@pytest.mark.parametrize("height", SIDES)
def test_the_longer_side_is_bounded_as_torchvision_does(height: int) -> None:
    how = Preprocess(resize=60, max_size=100)
    resize = torchvisions([v2.Resize(60, max_size=100)])
    for width in SIDES:
        pixels = np.resize(photographs()[0], (height, width, 3))
        # Of an image that is longer than max_size times as wide, torchvision leaves no pixel.
        if max(height, width) < 100 * min(height, width):
            expected = resize(Image.fromarray(pixels))
            np.testing.assert_allclose(prepare_image(pixels, how), expected.numpy(), atol=1e-6)
        else:
            assert sorted(prepare_image(pixels, how).shape) == [1, 3, 100]


def test_numbers() -> None:
    pixels = np.array([[[0, 51, 255], [255, 102, 0]]], "uint8")
    plain = prepare_image(pixels, Preprocess())
    np.testing.assert_allclose(plain, np.array([[[0, 1]], [[0.2, 0.4]], [[1, 0]]]), atol=1e-7)
    np.testing.assert_allclose(prepare_image(pixels, Preprocess(channels="bgr")), plain[::-1])
    caffe = prepare_image(pixels, Preprocess(channels="bgr", rescale=False, mean=(104, 117, 123)))
    np.testing.assert_allclose(caffe, [[[151, -104]], [[-66, -15]], [[-123, 132]]])
    halves = prepare_image(pixels, Preprocess(mean=0.5, std=(0.5, 1, 2)))
    np.testing.assert_allclose(halves, (plain - 0.5) / np.array([0.5, 1, 2]).reshape(3, 1, 1), atol=1e-7)


def test_without_resize_an_image_covers_the_crop() -> None:
    for image in images().values():
        for crop in ((32, 32), (100, 20), (20, 100), (700, 700)):
            assert prepare_image(image, Preprocess(crop=crop)).shape == (3, *crop)
    wide = np.zeros((10, 40, 3), "uint8")
    wide[:, 15:25] = 255
    # As high as the crop, and of its width the middle.
    np.testing.assert_array_equal(prepare_image(wide, Preprocess(crop=(10, 10))), np.ones((3, 10, 10)))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_of_every_kind(mode: str, channels: int, tmp_path: Path) -> None:
    picture = Image.fromarray(photographs()[0][:40, :40]).convert(mode)
    path = tmp_path / ("x.tiff" if mode == "CMYK" else "x.png")
    picture.save(path)
    expected = torchvisions(resized(32, 32))(picture.convert("RGB" if channels == 3 else "L"))
    for image in (path, picture):
        found = prepare_image(image, Preprocess(resize=32, crop=(32, 32)), channels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_files_of_sixteen_bits(tmp_path: Path) -> None:
    """White is 65535; Pillow's own conversion makes white of all above 255."""
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype("uint16")
    Image.fromarray(ramp).save(tmp_path / "x.png")
    np.testing.assert_allclose(prepare_image(tmp_path / "x.png", Preprocess(), 1)[0], (ramp // 257) / 255, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_pixels_that_are_no_bytes(dtype: str, tmp_path: Path) -> None:
    Image.fromarray(np.ones((8, 8), dtype)).save(tmp_path / "x.tiff")
    with refused("x.tiff can't be used: its pixels are no bytes"):
        prepare_image(tmp_path / "x.tiff", Preprocess())


def test_a_photograph_that_lies_on_its_side(tmp_path: Path) -> None:
    picture = Image.fromarray(photographs()[0])
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: show it turned by 90 degrees
    picture.save(tmp_path / "x.png", exif=exif)
    found = prepare_image(tmp_path / "x.png", Preprocess(resize=32))
    np.testing.assert_array_equal(found, prepare_image(np.rot90(photographs()[0], -1).copy(), Preprocess(resize=32)))
    with Image.open(tmp_path / "x.png") as opened:
        np.testing.assert_array_equal(prepare_image(opened, Preprocess(resize=32)), found)


def refused(words: str) -> pytest.RaisesExc[netspec.NetspecError]:
    return pytest.raises(netspec.NetspecError, match=f"(?s)error NS503: .*{words}")


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("not an image")
    with refused("x.jpg can't be used: it is no image"):
        prepare_image(tmp_path / "x.jpg", Preprocess())
    with refused(f"y.jpg can't be used: {os.strerror(errno.ENOENT).lower()}"):
        prepare_image(tmp_path / "y.jpg", Preprocess())
    with refused(f"can't be used: {os.strerror(errno.EISDIR).lower()}"):
        prepare_image(tmp_path, Preprocess())


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff", "ppm"])
def test_the_formats_that_are_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(photographs()[0]).save(path)
    with Image.open(path) as picture:
        expected = prepare_image(picture, Preprocess(resize=32))
    path.rename(path := tmp_path / "named_otherwise")
    np.testing.assert_array_equal(prepare_image(path, Preprocess(resize=32)), expected)


@pytest.mark.parametrize("format", ["EPS", "ICO", "TGA", "JPEG2000", "PCX", "ICNS", "SGI", "PDF"])
def test_other_formats_are_not_opened(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow starts Ghostscript for EPS, and has readers that few have tried to break."""
    Image.fromarray(photographs()[0][:64, :64]).save(tmp_path / "x.png", format)
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was started"))
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    with refused("x.png can't be used: it is no image.*`PNG`, `JPEG`, .* are read"):
        prepare_image(tmp_path / "x.png", Preprocess())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """To open a pipe that no one writes to would last for ever."""
    os.mkfifo(tmp_path / "x.png")
    (tmp_path / "link.png").symlink_to("x.png")
    for name in ("x.png", "link.png"):
        with refused(f"{name} can't be used: is a pipe"):
            prepare_image(tmp_path / name, Preprocess())
    with refused("can't be used: is a device"):
        prepare_image("/dev/zero", Preprocess())
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        with refused("can't be used: is a socket"):
            prepare_image(tmp_path / "s", Preprocess())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "gif"])
def test_an_image_that_is_cut_off(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(photographs()[0]).save(path)
    whole = path.read_bytes()
    for cut in (1, 3, 10, 100, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with refused(f"x.{suffix} can't be used: it "):
            prepare_image(path, Preprocess(crop=(32, 32)))


def test_an_image_that_is_open_and_cut_off(tmp_path: Path) -> None:
    Image.fromarray(photographs()[0]).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:10_000])
    with Image.open(tmp_path / "x.png") as picture, refused("the image can't be used: it is cut off"):
        prepare_image(picture, Preprocess(crop=(32, 32)))


def test_an_image_made_to_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("1", (80, 80)).save(tmp_path / "bomb.png")
    with refused("bomb.png can't be used: it is too large.*decompression bomb"):
        prepare_image(tmp_path / "bomb.png", Preprocess())


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8, 3)), np.zeros((3, 8, 8), "uint8"), np.zeros((1, 8, 8, 3), "uint8"), np.zeros(8, "uint8")],
)
def test_an_array_that_is_no_image(pixels: Array) -> None:
    with refused("this is no array of pixels"):
        prepare_image(pixels, Preprocess())


def test_a_long_thin_image_that_would_fill_the_memory(tmp_path: Path) -> None:
    Image.new("RGB", (60_000, 1)).save(tmp_path / "x.png")
    with refused("x.png can't be used: it is 1 x 60,000, and would be 256 x 15,360,000 once resized"):
        prepare_image(tmp_path / "x.png", Preprocess(resize=256, crop=(224, 224)))


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, MemoryError, KeyError])
def test_whatever_a_reader_of_a_format_raises(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photographs()[0]).save(tmp_path / "x.png")

    def broken(self: Image.Image) -> None:
        raise error("damaged")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", broken)
    with refused("x.png can't be used: it is cut off, or damaged"):
        prepare_image(tmp_path / "x.png", Preprocess())


def test_images_of_nothing() -> None:
    with refused("the image can't be used: it is empty"):
        prepare_image(Image.new("RGB", (0, 0)), Preprocess())
    with refused("this is no array of pixels: 0 x 5"):
        prepare_image(np.zeros((0, 5), "uint8"), Preprocess())


def test_an_image_that_is_smaller_than_the_crop() -> None:
    with refused("the image is 20 x 40 once resized, and 32 x 32 are cropped from it"):
        prepare_image(np.zeros((10, 20, 3), "uint8"), Preprocess(resize=20, crop=(32, 32)))
