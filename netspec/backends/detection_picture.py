"""Pictures of detections: a frame around each object, with a plate that says its class and score."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageDraw, ImageFont

from netspec.backends.marks import PICTURE_MARK
from netspec.errors import fail

if TYPE_CHECKING:
    from netspec.backends.onnx.detections import Detection

_MAX_SIDES = {"JPEG": 65_500, "WEBP": 16_383}
"""The longest side that a format has, in pixels."""
_SMALL_SIDE = 320
"""A picture whose sides are both shorter is enlarged, so that there is room for text."""
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Colours that people with any kind of colour vision tell apart (Okabe & Ito 2008, "Color Universal Design")."""
_ON_DARK = ("#0072B2", "#D55E00", "#009E73")
"""Those of these colours on which white is read better than black."""

_Rectangle = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom are the first that do not belong to it."""


@dataclass(frozen=True, slots=True)
class _Style:
    """The measures of a drawing in pixels, and its font: all follow from the size of the picture."""

    line: int
    halo: int
    pad: int
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont

    @classmethod
    def of(cls, picture: Image.Image) -> _Style:
        """The style for a picture: text is as high as 1/40 of a side, and at least 12 pixels."""
        size = max(12, round(sqrt(picture.width * picture.height) / 40))
        line = max(2, round(size / 6))
        return cls(line, max(1, round(line / 3)), max(2, size // 5), ImageFont.load_default(size))


@dataclass(frozen=True, slots=True)
class _Plate:
    """A text on a coloured ground, and where it stands."""

    text: str
    colour: str
    place: _Rectangle


def draw_detections(picture: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    """A copy of a picture of bytes, RGB, with the detections in it; the one with the best score is on top.

    Lines and text follow the size of the picture, and a small picture is enlarged by a whole number. Each class has a
    colour of its own, up to seven; a plate stands where no other one does, if there is such a place.
    """
    scale = max(1, ceil(_SMALL_SIDE / max(picture.size)))
    canvas = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    draw, style = ImageDraw.Draw(canvas), _Style.of(canvas)
    colours = _colours_of({each.index for each in detections})
    plates: list[_Plate] = []
    best_first = sorted(detections, key=lambda each: -each.score)
    for each in best_first:
        plates.append(_plate(each, scale, colours[each.index], canvas.size, style, [other.place for other in plates]))
    for each, plate in zip(reversed(best_first), reversed(plates), strict=True):
        _draw_frame(draw, _pixels_of(each, scale, canvas.size), plate.colour, style)
    for plate in reversed(plates):
        _draw_plate(draw, plate, style)
    return canvas


def encode_picture(picture: Image.Image, format: str) -> bytes:
    """A picture in one of Pillow's formats, with the mark. Raises NetspecError NS503 for one that is too large."""
    if max(picture.size) > _MAX_SIDES.get(format, max(picture.size)):
        what = f"a picture of {picture.height:,} x {picture.width:,} is too large for {format}"
        fail("NS503", what, help=f"a side has at most {_MAX_SIDES[format]:,} pixels there; a PNG takes it")
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = PICTURE_MARK
    file = BytesIO()
    # Without subsampling of colours, thin lines keep theirs.
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {"quality": 95} if format == "WEBP" else {}
    picture.save(file, format, exif=exif, **options)
    return file.getvalue()


def _colours_of(classes: set[int]) -> dict[int, str]:
    """A colour for each class: the same from picture to picture, unless another class of this picture has it."""
    colours: dict[int, str] = {}
    for index in sorted(classes):
        start = index % len(_COLOURS)
        turned = _COLOURS[start:] + _COLOURS[:start]
        colours[index] = next((colour for colour in turned if colour not in colours.values()), turned[0])
    return colours


def _pixels_of(detection: Detection, scale: int, size: tuple[int, int]) -> _Rectangle:
    """The pixels that a box covers, at least one."""
    left, top = (min(floor(detection.box[i] * scale), size[i] - 1) for i in (0, 1))
    right, bottom = (min(max(ceil(detection.box[i + 2] * scale), (left, top)[i] + 1), size[i]) for i in (0, 1))
    return left, top, right, bottom


def _draw_frame(draw: ImageDraw.ImageDraw, place: _Rectangle, colour: str, style: _Style) -> None:
    """Draw a frame between two thin lines of black or white, which set it off from any ground."""
    left, top, right, bottom = place
    halo = style.halo
    outer = (left - halo, top - halo, right - 1 + halo, bottom - 1 + halo)
    draw.rectangle(outer, outline=_text_colour(colour), width=style.line + 2 * halo)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=style.line)


def _plate(
    detection: Detection, scale: int, colour: str, size: tuple[int, int], style: _Style, taken: Sequence[_Rectangle]
) -> _Plate:
    """The plate of a detection, in the first place that is free; else over the upper edge of its frame."""
    frame = _pixels_of(detection, scale, size)
    room = max(frame[2] - frame[0], size[0] // 2) - 2 * style.pad
    text = _shortened(_name_of(detection, style), f" {detection.score:.2f}", room, style)
    left, top, right, bottom = _measure(text, style)
    width, height = right - left + 2 * style.pad, bottom - top + 2 * style.pad
    places = list(_places(frame, width, height, size))
    free = (place for place in places if not any(_overlap(place, other) for other in taken))
    return _Plate(text, colour, next(free, places[0]))


def _places(frame: _Rectangle, width: int, height: int, size: tuple[int, int]) -> Iterator[_Rectangle]:
    """The places of a plate by preference: above the frame, inside it, below it; at its left, then at its right.

    A place above or below the picture is none; to the side, a place is moved into the picture. At least one is left.
    """
    left, top, right, bottom = frame
    for y in (top - height, top, bottom, bottom - height):
        for x in (left, right - width):
            inside = max(0, min(x, size[0] - width))
            if y == top or 0 <= y <= size[1] - height:
                yield inside, y, inside + width, y + height


def _overlap(a: _Rectangle, b: _Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_plate(draw: ImageDraw.ImageDraw, plate: _Plate, style: _Style) -> None:
    left, top, right, bottom = plate.place
    draw.rectangle((left, top, right - 1, bottom - 1), fill=plate.colour)
    x, y = _measure(plate.text, style)[:2]
    draw.text((left + style.pad - x, top + style.pad - y), plate.text, _text_colour(plate.colour), style.font)


def _text_colour(ground: str) -> str:
    return "white" if ground in _ON_DARK else "black"


def _measure(text: str, style: _Style) -> _Rectangle:
    """The rectangle of a text that is drawn at 0, 0; as high as any line, so that all plates are."""
    left, _, right, _ = style.font.getbbox(text)
    _, top, _, bottom = style.font.getbbox("Apg")
    return floor(left), floor(top), ceil(right), ceil(bottom)


def _name_of(detection: Detection, style: _Style) -> str:
    """The label, without accents, or the number of the class if the font lacks letters of the label."""
    letters = [c for c in unicodedata.normalize("NFKD", detection.label) if not unicodedata.combining(c)]
    missing = _glyph("\U0010ffff", style)
    known = all(c.isspace() or _glyph(c, style) != missing for c in letters)
    return "".join(letters) if letters and known else f"class {detection.index}"


def _glyph(letter: str, style: _Style) -> bytes:
    """The pixels of a letter."""
    right, bottom = style.font.getbbox(letter)[2:]
    cell = Image.new("L", (ceil(right) + 1, ceil(bottom) + 1))
    ImageDraw.Draw(cell).text((0, 0), letter, "white", style.font)
    return cell.tobytes()


def _shortened(name: str, score: str, width: int, style: _Style) -> str:
    """A name and a score in so many pixels: the name is cut off, or left out."""
    for length in range(len(name), 0, -1):
        text = (name if length == len(name) else f"{name[:length].rstrip()}…") + score
        if style.font.getlength(text) <= width:
            return text
    return score.strip()
