"""Prepares images as inputs of networks, as `preprocess` says: read, resize, crop, convert, normalise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from netspec.backends.onnx.narrow import Array
from netspec.errors import NetspecError, choices, fail
from netspec.files import no_file, reason_of
from netspec.preprocess import ImageSize, Preprocess
from netspec.shape_text import shape_text

ImageLike = str | os.PathLike[str] | Image.Image | Array
"""A file, a Pillow image, or an array of pixels: height x width, or height x width x 3, of uint8."""

_IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""The formats that are read, by Pillow's names. Pillow also reads others, such as EPS, which starts Ghostscript."""
_MAX_PIXELS = 2**26
"""The largest number of pixels after resizing: a long and thin image would become very large."""
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image as an input, without the batch: channels x height x width; and the sizes that lead back to the image.

    `size` is that of the image, upright, `resized` its size before the crop, and `corner` the crop's first row and
    column.
    """

    pixels: Array
    size: ImageSize
    resized: ImageSize
    corner: ImageSize

    def boxes_in_image(self, boxes: Array) -> Array:
        """Boxes (D, 4) of the input, as x1, y1, x2, y2, in pixels of the image, and cut off at its border."""
        (height, width), (top, left) = self.size, self.corner
        ratio = np.array([width / self.resized[1], height / self.resized[0]] * 2)
        return np.clip((boxes + np.array([left, top] * 2)) * ratio, 0, np.array([width, height] * 2))


def prepare_image(image: ImageLike, preprocess: Preprocess, channels: int = 3, dtype: str = "float32") -> Array:
    """Convert an image to an array of channels x height x width, which is an input without the batch.

    Raises NetspecError NS503 as `prepare` does.
    """
    return prepare(image, preprocess, channels, dtype).pixels


def prepare(image: ImageLike, preprocess: Preprocess, channels: int = 3, dtype: str = "float32") -> PreparedImage:
    """Convert an image to an input, with the sizes that lead back to the image.

    Photographs are turned upright by their EXIF data. Raises NetspecError NS503 for anything that is no image, and for
    an image that is smaller than the crop once resized.
    """
    original = read_image(image, "RGB" if channels == 3 else "L")
    name = _name_of(image)
    resized = _resized(original, preprocess, name)
    picture, corner = _cropped(resized, preprocess, name)
    pixels = np.asarray(picture, dtype="float32")
    pixels = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    if preprocess.channels == "bgr":
        pixels = pixels[::-1]
    if preprocess.rescale:
        pixels = pixels / np.float32(255)
    mean, std = (np.asarray(each, dtype="float32").reshape(-1, 1, 1) for each in (preprocess.mean, preprocess.std))
    pixels = np.ascontiguousarray((pixels - mean) / std, dtype=dtype)
    return PreparedImage(pixels, (original.height, original.width), (resized.height, resized.width), corner)


def read_image(image: ImageLike, mode: str = "RGB") -> Image.Image:
    """Read an image, turn it upright by its EXIF data, and convert it to a mode of Pillow."""
    if not isinstance(image, str | os.PathLike | Image.Image | np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance]
        what = f"an image is a file, one of Pillow's, or an array of pixels, not {type(image).__name__}"
        fail("NS503", what)
    name = _name_of(image)
    if isinstance(image, np.ndarray):
        _check_pixels(image)
        return Image.fromarray(image).convert(mode)
    try:
        if isinstance(image, Image.Image):
            return _as_bytes(ImageOps.exif_transpose(image), name).convert(mode)
        if what := no_file(image):
            _refuse(name, f"is {what}")
        with Path(image).open("rb") as file, Image.open(file, formats=_IMAGE_FORMATS) as picture:
            return _as_bytes(ImageOps.exif_transpose(picture), name).convert(mode)
    except NetspecError:
        raise
    except UnidentifiedImageError:
        _refuse(name, "it is no image", f"{choices(_IMAGE_FORMATS)} are read")
    except Image.DecompressionBombError as error:
        _refuse(name, "it is too large", error)
    except Exception as error:
        # Pillow's readers raise errors of any kind for a damaged file.
        if isinstance(error, OSError) and error.errno is not None:
            _refuse(name, reason_of(error))
        _refuse(name, "it is cut off, or damaged", error)


def _name_of(image: ImageLike) -> str:
    """The name of an image in errors."""
    return "the image" if isinstance(image, Image.Image | np.ndarray) else os.fspath(image)


def _as_bytes(picture: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit pixels to bytes, since Pillow's conversion clips them. Raises NS503 for pixels without a scale."""
    if 0 in picture.size:
        _refuse(name, "it is empty")
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) // 257).astype("uint8"))
    if picture.mode in ("I", "F"):
        _refuse(name, f"its pixels are no bytes (mode {picture.mode}), and what is white is not said")
    return picture


def _check_pixels(array: Array) -> None:
    if array.dtype != np.uint8 or array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        help = "height x width x 3, or height x width, of uint8; what is prepared already goes to `run`"
        fail("NS503", f"this is no array of pixels: {shape_text(array.shape)}, {array.dtype}", help=help)


def _resized(picture: Image.Image, preprocess: Preprocess, name: str) -> Image.Image:
    width, height = picture.size
    if isinstance(preprocess.resize, tuple):
        new = preprocess.resize
    elif preprocess.resize is not None:
        short, long = sorted((width, height))
        # The longer side is rounded down, as torchvision does.
        shorter, longer = preprocess.resize, int(preprocess.resize * long / short)
        if preprocess.max_size is not None and longer > preprocess.max_size:
            # A long and thin image keeps one row of pixels.
            shorter, longer = max(1, int(preprocess.max_size * shorter / longer)), preprocess.max_size
        new = (shorter, longer) if height < width else (longer, shorter)
    elif preprocess.crop is not None:
        scale = max(preprocess.crop[0] / height, preprocess.crop[1] / width)
        new = (max(round(height * scale), preprocess.crop[0]), max(round(width * scale), preprocess.crop[1]))
    else:
        return picture
    if new[0] * new[1] > _MAX_PIXELS:
        _refuse(name, f"it is {height:,} x {width:,}, and would be {new[0]:,} x {new[1]:,} once resized")
    return (
        picture.resize((new[1], new[0]), _RESAMPLING[preprocess.interpolation]) if new != (height, width) else picture
    )


def _cropped(picture: Image.Image, preprocess: Preprocess, name: str) -> tuple[Image.Image, ImageSize]:
    """The centre of a picture, and its first row and column there."""
    if preprocess.crop is None:
        return picture, (0, 0)
    (height, width), (has_width, has_height) = preprocess.crop, picture.size
    if has_height < height or has_width < width:
        message = f"{name} is {has_height} x {has_width} once resized, and {height} x {width} are cropped from it"
        fail("NS503", message, help="without `resize` in `preprocess`, an image is resized to cover the crop")
    top, left = round((has_height - height) / 2), round((has_width - width) / 2)
    return picture.crop((left, top, left + width, top + height)), (top, left)


def _refuse(name: str, why: str, note: Exception | str = "") -> NoReturn:
    line = str(note).partition("\n")[0][:200]
    fail("NS503", f"{name} can't be used: {why}", notes=[line] if line else ())
