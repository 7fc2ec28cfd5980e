"""Pictures: boxes over scenes, several pictures as one, and curves of losses."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from scenes import CLASSES

COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff")
"""Okabe and Ito's colours, which all eyes can tell apart."""
SCALE = 2
"""Pixels of a picture for one of a scene."""


def as_picture(image: Tensor) -> Image.Image:
    """An image (3, H, W) of numbers from 0 to 1 as a picture."""
    return Image.fromarray((255 * image).round().byte().permute(1, 2, 0).numpy())


def draw_boxes(image: Tensor, boxes: Tensor, labels: Tensor | None = None, scores: Tensor | None = None) -> Image.Image:
    """A scene (3, H, W) with boxes (n, 4), in the colours of their labels and named by them."""
    height, width = image.shape[1:]
    picture = as_picture(image).resize((SCALE * width, SCALE * height), Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for index, (x1, y1, x2, y2) in enumerate((SCALE * boxes).tolist()):
        label = 0 if labels is None else int(labels[index])
        colour = COLOURS[1 + label % (len(COLOURS) - 1)]
        pen.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=colour, width=2)
        if labels is not None:
            text = CLASSES[label] if scores is None else f"{CLASSES[label]} {scores[index]:.2f}"
            place = (x1, y1 - 15) if y1 >= 15 else (x1, y2)
            pen.rectangle(pen.textbbox(place, text, font), fill=colour)
            pen.text(place, text, "black", font)
    return picture


def tile(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size, in rows."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (width + 4) - 4, rows * (height + 4) - 4), "white")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        page.paste(picture, (column * (width + 4), row * (height + 4)))
    return page


def draw_curves(losses: Sequence[dict[str, float]], window: int = 50) -> Figure:
    """The losses of each step, as means over `window` steps."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=f"loss, mean of {window} steps", yscale="log")
    for name in losses[0]:
        values = [step[name] for step in losses]
        starts = range(0, len(values), window)
        means = [sum(part := values[start : start + window]) / len(part) for start in starts]
        axes.plot([min(start + window, len(values)) for start in starts], means, label=name)
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
