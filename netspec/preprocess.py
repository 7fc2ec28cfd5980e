"""`Preprocess`: the settings by which an image becomes the input of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Channels = Literal["rgb", "bgr"]
ImageSize = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """The steps from an image to an input, in this order: resize, crop at the centre, convert to numbers, normalise.

    `resize` is the new length of the shorter side, or height and width; without it, the image just covers `crop`.
    `max_size` is the most that the longer side may become: if it would be longer, it gets this length.
    Numbers are from 0 to 1, or with `rescale=False` from 0 to 255. `mean` is subtracted from each channel, and the
    difference divided by `std`: one number for all channels, or one for each, in the order of `channels`.
    """

    resize: int | ImageSize | None = None
    max_size: int | None = None
    crop: ImageSize | None = None
    interpolation: Interpolation = "bilinear"
    channels: Channels = "rgb"
    rescale: bool = True
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0

    def for_size(self, new: ImageSize, old: ImageSize) -> Preprocess:
        """The settings for an input of another size: `crop` becomes that size, and `resize` is scaled with it.

        Images with a `max_size` are never cropped: they are stretched to that size.
        """
        if self.max_size is not None:
            return replace(self, resize=new, max_size=None, crop=new)
        ratios = [after / before for after, before in zip(new, old, strict=True)]
        resize = self.resize
        if isinstance(resize, int):
            resize = round(resize * max(ratios))
        elif resize is not None:
            resize = (round(resize[0] * ratios[0]), round(resize[1] * ratios[1]))
        return replace(self, resize=resize, crop=new)

    @property
    def covers(self) -> bool:
        """Whether a resized image is always large enough for the crop."""
        if self.resize is None or self.crop is None:
            return True
        if isinstance(self.resize, int):
            return self.resize >= min(self.crop)
        return self.resize[0] >= self.crop[0] and self.resize[1] >= self.crop[1]

    def to_dict(self) -> dict[str, Any]:
        """The settings that differ from their defaults; a square crop is one number, as in a spec."""
        settings: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                equal = field.name == "crop" and value[0] == value[1]
                settings[field.name] = value[0] if equal else [*value] if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType]
        return settings

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Preprocess:
        """The inverse of `to_dict`."""
        values: dict[str, Any] = {**settings}
        for name, value in settings.items():
            if isinstance(value, list):
                values[name] = tuple(value)  # pyright: ignore[reportUnknownArgumentType]
            elif name == "crop":
                values[name] = (value, value)
        return cls(**values)
