"""Pictures of detections: frames where boxes are, plates that can be read, on any picture."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.backends import detection_picture
from netspec.backends.marks import PICTURE_MARK
from tests.support.lazy import lazy_imports

with lazy_imports():
    from netspec.backends.detection_picture import draw_detections, encode_picture
    from netspec.backends.onnx.detections import Detection
    from tests.support.photographs import photographs

GREY = (127, 127, 127)


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def drawn(picture: Image.Image, *detections: Any) -> Any:
    """Where a drawing of detections, each a box or arguments, is not the picture."""
    objects = [each if isinstance(each, Detection) else Detection("cat", 8, 0.9, each) for each in detections]
    after = draw_detections(picture, objects)
    before = picture.resize(after.size, Image.Resampling.NEAREST)
    return (np.asarray(after) != np.asarray(before)).any(2)


def test_without_detections_nothing_is_drawn() -> None:
    picture = Image.fromarray(photographs()[0])
    assert not drawn(picture).any()


def test_a_frame_stands_on_its_box() -> None:
    """On the border of the box, and not inside nor outside of it, but for the plate above."""
    changed = drawn(grey(600, 400), (100, 200, 301, 350))
    rows, columns = np.nonzero(changed[199:])
    assert (rows.min() + 199, rows.max() + 199, columns.min(), columns.max()) == (199, 350, 99, 301)
    assert not changed[210:340, 110:290].any()
    assert changed[200:350, 100].all()
    assert changed[349, 100:301].all()
    plate = np.nonzero(changed[:199])
    assert plate[0].min() > 200 - 40
    assert (plate[1].min(), plate[1].max() < 220) == (100, True)


@pytest.mark.parametrize("size", [(1, 1), (20, 30), (319, 5), (600, 400), (4000, 3000), (3000, 1), (1, 3000)])
def test_any_size(size: tuple[int, int]) -> None:
    """Lines and text grow with the picture; a small one is enlarged by a whole number until a side has 320 pixels."""
    width, height = size
    picture = draw_detections(grey(*size), [Detection("cat", 8, 0.9, (0, 0, width, height))])
    scale = picture.width // width
    assert picture.size == (scale * width, scale * height)
    assert (max(picture.size) >= 320) == (scale == 1 or (scale - 1) * max(size) < 320)
    changed = np.asarray(picture) != GREY
    assert changed[:, 0].any(1).all()
    assert changed[-1].any(1).all()
    if min(picture.size) >= 320:
        line = changed[picture.height // 2, : picture.width // 2].any(1).sum()
        assert 2 <= line <= 0.02 * min(picture.size) + 2


@pytest.mark.parametrize(
    "box",
    [(5, 5, 5, 5), (600, 400, 600, 400), (0, 0, 0.1, 0.1), (599.5, 0, 600, 400), (10.2, 10.2, 11.9, 390)],
)
def test_boxes_without_an_extent(box: tuple[float, ...]) -> None:
    assert drawn(grey(600, 400), box).any()


def plates(*detections: Detection, size: tuple[int, int] = (600, 400)) -> list[tuple[int, int, int, int]]:
    """The places of the plates of detections."""
    places: list[tuple[int, int, int, int]] = []
    draw = detection_picture._draw_plate  # pyright: ignore[reportPrivateUsage]

    def note(canvas: Any, plate: Any, style: Any) -> None:
        places.append(plate.place)
        draw(canvas, plate, style)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection_picture, "_draw_plate", note)
        draw_detections(grey(*size), detections)
    return places[::-1]


def test_a_plate_is_inside_the_picture() -> None:
    boxes = [(0, 0, 600, 400), (500, 0, 600, 20), (0, 390, 10, 400), (590, 390, 600, 400), (590, 100, 600, 110)]
    for box in boxes:
        ((left, top, right, bottom),) = plates(Detection("motorbike", 1, 0.9, box))
        assert 0 <= left < right <= 600
        assert 0 <= top < bottom <= 400


def test_plates_of_objects_in_one_place_stand_apart() -> None:
    objects = [Detection("cat", 1, 0.9 - i / 10, (100, 100 + i, 400, 300 + i)) for i in range(6)]
    places = plates(*objects)
    assert len({*places}) == 6
    for one in places:
        for other in places:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart or one == other


@pytest.mark.parametrize("label", ["a" * 300, "a very long name of many words " * 9, "W" * 40])
def test_long_names_are_cut_off(label: str) -> None:
    ((left, _, right, _),) = plates(Detection(label, 1, 0.9, (550, 100, 600, 200)))
    assert right - left <= 300
    ((left, _, right, _),) = plates(Detection(label, 1, 0.9, (0, 100, 600, 200)))
    assert 300 < right - left <= 600


def texts(*detections: Detection) -> list[str]:
    drawn_texts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection_picture, "_draw_plate", lambda _, plate, __: drawn_texts.append(plate.text))
        draw_detections(grey(600, 400), detections)
    return drawn_texts


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("cat", "cat 0.90"),
        ("crème brûlée", "creme brulee 0.90"),
        ("柴犬", "class 7 0.90"),
        ("кот", "class 7 0.90"),
        ("", "class 7 0.90"),
    ],
)
def test_letters_that_the_font_lacks(label: str, text: str) -> None:
    assert texts(Detection(label, 7, 0.9, (10, 50, 300, 200))) == [text]


def test_each_class_has_a_colour() -> None:
    """Of seven classes in a picture no two have one colour; a class alone has the same in each picture."""
    colours_of = detection_picture._colours_of  # pyright: ignore[reportPrivateUsage]
    for classes in ({1, 2, 3, 4, 5, 6, 7}, {1, 8, 15}, {2, 9}, {20, 13}):
        assert len({*colours_of(classes).values()}) == len(classes)
    assert colours_of({8, 3})[8] == colours_of({8})[8]
    assert colours_of({*range(30)}).keys() == {*range(30)}


def luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_text_is_read_on_its_plate() -> None:
    """A contrast of 3, what WCAG 2 asks of large text, and the better of black and white but for a shade."""
    from PIL import ImageColor

    for colour in detection_picture._COLOURS:  # pyright: ignore[reportPrivateUsage]
        text = detection_picture._text_colour(colour)  # pyright: ignore[reportPrivateUsage]
        dark, light = sorted(luminance(ImageColor.getrgb(each)) for each in (colour, text))
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


def test_the_file_has_the_mark() -> None:
    picture = Image.fromarray(photographs()[0])
    for format in ("PNG", "JPEG", "WEBP"):
        data = encode_picture(picture, format)
        assert PICTURE_MARK.encode() in data[:4096] + data[-4096:]
        with Image.open(BytesIO(data)) as opened:
            assert (opened.format, opened.size, opened.getexif()[0x0131]) == (format, picture.size, PICTURE_MARK)


def test_a_picture_that_is_too_large_for_its_format() -> None:
    with pytest.raises(netspec.NetspecError, match=r"(?s)NS503.*too large for WEBP.*at most 16,383 pixels"):
        encode_picture(grey(16_384, 1), "WEBP")
