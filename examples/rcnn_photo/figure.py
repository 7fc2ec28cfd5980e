"""The picture of `rcnn_photo.py`: a row for each photograph, with the four steps of R-CNN's Figure 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

WIDTH, GAP, TILE, CAPTION, TITLES = 400, 16, 128, 18, 56
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
"""Of Okabe and Ito's, which all eyes can tell apart."""

Box = list[float]


class Detection(NamedTuple):
    """A region that is kept: its number and what it shows."""

    region: int
    label: str
    score: float


def draw_row(
    photograph: Image.Image,
    boxes: Sequence[Box],
    tiles: Sequence[tuple[Image.Image, str]],
    detections: Sequence[Detection],
) -> Image.Image:
    """A photograph, its regions, tiles of warped regions with what the classifier says of them, and what is kept."""
    scale = WIDTH / photograph.width
    small = photograph.resize((WIDTH, round(photograph.height * scale)), Image.Resampling.LANCZOS)
    boxes = [[scale * edge for edge in box] for box in boxes]
    warped = draw_tiles(tiles[: 3 * max(1, round(small.height / (TILE + CAPTION)))])
    row = Image.new("RGB", (4 * WIDTH + 3 * GAP, max(small.height, warped.height)), "white")
    for column, panel in enumerate((small, draw_regions(small, boxes), warped, draw_best(small, boxes, detections))):
        row.paste(panel, (column * (WIDTH + GAP), 0))
    return row


def draw_regions(photograph: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """All regions in thin lines."""
    picture = Image.blend(photograph, Image.new("RGB", photograph.size, "white"), 0.3)
    draw = ImageDraw.Draw(picture)
    for number, box in enumerate(boxes):
        draw.rectangle(box, outline=COLOURS[number % len(COLOURS)])
    return picture


def draw_tiles(tiles: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Images in three columns, each above its words."""
    picture = Image.new("RGB", (WIDTH, -(-len(tiles) // 3) * (TILE + CAPTION)), "white")
    draw = ImageDraw.Draw(picture)
    for place, (image, words) in enumerate(tiles):
        left, top = place % 3 * (WIDTH - TILE) // 2, place // 3 * (TILE + CAPTION)
        picture.paste(image.resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top))
        font = ImageFont.load_default(12)
        while font.getlength(words) > TILE:
            font = ImageFont.load_default(font.size - 0.5)
        draw.text((left, top + TILE + 1), words, "black", font)
    return picture


def draw_best(photograph: Image.Image, boxes: Sequence[Box], detections: Sequence[Detection]) -> Image.Image:
    """The regions that are kept, in a colour for each class: thick for the best of the class, thin for others."""
    picture = photograph.copy()
    draw = ImageDraw.Draw(picture)
    labels = list(dict.fromkeys(detection.label for detection in detections))
    for region, label, score in sorted(detections, key=lambda detection: detection.score):
        box, colour = boxes[region], COLOURS[labels.index(label) % len(COLOURS)]
        best = score == max(other.score for other in detections if other.label == label)
        draw.rectangle(box, outline=colour, width=4 if best else 2)
        words, font, place = (
            f"{label} {score:.2f}",
            ImageFont.load_default(15 if best else 12),
            (box[0] + 6, box[1] + 4),
        )
        draw.rectangle(draw.textbbox(place, words, font), fill=colour, outline=colour, width=3)
        draw.text(place, words, "white", font)
    return picture


def stack(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows below a line of titles."""
    titles = (
        "1. Photograph",
        "2. Regions of selective search",
        "3. Each is warped and classified",
        "4. The best regions",
    )
    size = (rows[0].width + 2 * GAP, TITLES + sum(row.height + GAP for row in rows))
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (WIDTH + GAP), GAP), title, "black", ImageFont.load_default(20))
    top = TITLES
    for row in rows:
        page.paste(row, (GAP, top))
        top += row.height + GAP
    return page
