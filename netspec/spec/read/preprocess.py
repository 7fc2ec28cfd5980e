"""`preprocess`: reads how an image becomes an input."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from netspec.errors import Diagnostic, Findings, fail
from netspec.expression import show
from netspec.preprocess import ImageSize, Preprocess
from netspec.shape_text import shape_text
from netspec.source import Span
from netspec.spec.limits import MAX_IMAGE_SIDE, MAX_PIXEL_STATISTIC, MIN_PIXEL_STD
from netspec.spec.read.by_name import read_by_name
from netspec.spec.read.keys import PreprocessOutline, checked_model, place_of_keys
from netspec.spec.text.data import Entry, Map, plain_data
from netspec.spec.text.messages import data_kind
from netspec.types import Tensor

IMAGES = (1, 3)
"""The possible numbers of channels of an image."""
_DTYPES = ("float16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class PreprocessDefinition:
    """The preprocessing of an input; `inherited` is True if an extended file declares it."""

    value: Preprocess
    key_span: Span
    data: Map
    inherited: bool


def read_preprocess(
    entries: Mapping[str, Entry], inputs: Collection[str], inherited: bool, findings: Findings
) -> dict[str, PreprocessDefinition]:
    """Read `{image: {resize: 256, mean: 0.5, std: 0.5}}`: preprocessing by the names of inputs."""
    return read_by_name(entries, "input", inputs, lambda name, entry: _preprocess(name, entry, inherited), findings)


def fit_preprocess(name: str, type: Tensor, declared: ImageSize | None, definition: PreprocessDefinition) -> Preprocess:
    """The preprocessing for an input of this type, scaled if the input has another size than the spec declares.

    `declared` is the declared height and width, None where they are symbolic. Raises NetspecError NS206 for
    preprocessing that does not fit the input.
    """
    value = definition.value
    channels = type.shape[1] if type.rank == 4 else None
    if channels not in IMAGES or type.dtype not in _DTYPES:
        what = "`preprocess` is for images, floats of N x 3 x H x W or N x 1 x H x W"
        what += f", and `{name}` is {type}, {type.dtype}"
        fail("NS206", what, definition.key_span)
    for key, statistic in (("mean", value.mean), ("std", value.std)):
        if isinstance(statistic, tuple) and len(statistic) != channels:
            message = f"`{key}` has {len(statistic)} numbers, and `{name}` {channels} channels"
            fail("NS206", message, place_of_keys(definition.data, (key,)), help="or one number for all")
    height, width = type.spatial
    if isinstance(height, int) != isinstance(width, int):
        message = f"`preprocess` needs height and width that are both fixed or both open, and `{name}` is {type}"
        fail("NS206", message, definition.key_span)
    if isinstance(height, int) and isinstance(width, int):
        if value.max_size is not None and declared is not None:
            what = f"`max_size` is for images of any height and width, and `{name}` is {type}"
            help = f"such as `resize: {list(declared)}`"
            fail("NS206", what, place_of_keys(definition.data, ("max_size",)), help=help)
        value = value.for_size((height, width), value.crop or declared or (height, width))
        if not value.covers:
            what = f"images are resized to {_shown(value.resize)}, and `{name}` is {type}"
            fail("NS206", what, place_of_keys(definition.data, ("resize",)))
        if max(value.resize if isinstance(value.resize, tuple) else (value.resize or 0,)) > MAX_IMAGE_SIDE:
            what = f"for `{name}`, which is {type}, images would be resized to {_shown(value.resize)}"
            fail("NS206", what, place_of_keys(definition.data, ("resize",)), help=f"at most {MAX_IMAGE_SIDE:,}")
    return value


def _shown(size: int | ImageSize | None) -> str:
    return shape_text(size) if isinstance(size, tuple) else str(size)


def _preprocess(name: str, entry: Entry, inherited: bool) -> PreprocessDefinition:
    data = entry.value
    if not isinstance(data, Map):
        help = "such as `image: {resize: 256, mean: 0.5, std: 0.5}`"
        fail("NS201", f"`preprocess` of `{name}` is a mapping, not {data_kind(data)}", data.span, help=help)
    outline = checked_model(PreprocessOutline, data, f"`preprocess` of `{name}`")
    wrong = Findings()
    for key in ("resize", "crop"):
        if key in data.entries and not _is_size(getattr(outline, key)):
            value = data.entries[key].value
            message = f"`{key}` is an int from 1 to {MAX_IMAGE_SIDE:,}, or [height, width], not {data_kind(value)}"
            wrong.add(Diagnostic("NS206", message, value.span))
    if "max_size" in data.entries and not _is_side(outline.max_size):
        value = data.entries["max_size"].value
        message = f"`max_size` is an int from 1 to {MAX_IMAGE_SIDE:,}, not {data_kind(value)}"
        wrong.add(Diagnostic("NS206", message, value.span))
    for key in ("mean", "std"):
        if key in data.entries and not _is_numbers(getattr(outline, key), positive=key == "std"):
            value = data.entries[key].value
            number = "a number from 1e-6 to 1e6" if key == "std" else "a number from -1e6 to 1e6"
            message = f"`{key}` is {number}, or a list of one for each channel, not {show(plain_data(value))}"
            wrong.add(Diagnostic("NS206", message, value.span))
    wrong.check()
    preprocess = Preprocess.from_dict(plain_data(data))
    _check_max_size(preprocess, data)
    if not preprocess.covers:
        what = f"images are resized to {_shown(preprocess.resize)}, and {_shown(preprocess.crop)} are cropped from them"
        fail("NS206", what, data.entries["resize"].value.span)
    return PreprocessDefinition(preprocess, entry.key_span, data, inherited)


def _check_max_size(preprocess: Preprocess, data: Map) -> None:
    """Refuse a `max_size` that does not bound the longer side of images whose shorter side is resized."""
    if preprocess.max_size is None:
        return
    span = data.entries["max_size"].value.span
    if not isinstance(preprocess.resize, int):
        help = "such as `resize: 600, max_size: 1000`"
        fail("NS206", "`max_size` needs a `resize` that is one number, the shorter side", span, help=help)
    if preprocess.max_size <= preprocess.resize:
        what = f"`max_size` is {preprocess.max_size:,}, and the shorter side becomes {preprocess.resize:,}"
        fail("NS206", what, span, help="it bounds the longer side: take a larger number")
    if preprocess.crop is not None:
        fail("NS206", "nothing can be cropped from images with a `max_size`", data.entries["crop"].key_span)


def _is_size(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(map(_is_side, value))  # pyright: ignore[reportUnknownArgumentType]
    return _is_side(value)


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_IMAGE_SIDE


def _is_numbers(value: Any, *, positive: bool) -> bool:
    values = cast("list[Any]", value if isinstance(value, list) else [value])
    least = MIN_PIXEL_STD if positive else -MAX_PIXEL_STATISTIC
    return bool(values) and all(type(v) in (int, float) and least <= v <= MAX_PIXEL_STATISTIC for v in values)
