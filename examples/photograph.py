"""Run a compiled network on a real photograph, and show which pixels its most active units look at.

The weights are those of the spec's initialisation: nothing is downloaded, and nothing is recognised. What the
run shows does not need training: the source that netspec wrote runs, the shapes are those of the analysis,
and a unit reads exactly the window that the analysis gives, which is checked here by greying out the rest.

    python examples/photograph.py
    python examples/photograph.py --network alexnet --set classes=10 -o alexnet.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

import netspec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#000000")
"""Okabe and Ito's colours, which all eyes can tell apart."""


@dataclass(frozen=True)
class Unit:
    """The most active unit of a layer: where it stands, how active it is, and the pixels it can see."""

    layer: str
    channel: int
    row: int
    column: int
    activation: float
    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels; past the photo's edge where the window reaches into the padding."""
    map: np.ndarray


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    options = parse(arguments)
    photo = open_photo(options.image, options.width)
    network = netspec.load(options.network, params=dict(options.settings))

    say(f"compiling {network.title or network.name}")
    torch.manual_seed(options.seed)
    module = network.compile().eval()

    scores = classify(network, module, photo)
    low, high = scores.softmax(dim=1).aminmax()
    print(f"{network.name}: scores {tuple(scores.shape)}, probabilities from {low:.4f} to {high:.4f}: untrained")

    fields = receptive_fields(network)
    layers = options.layers or [name for name in fields if fields[name]["macs"]]
    missing = [name for name in layers if name not in fields]
    if missing:
        sys.exit(f"{network.name} has no step `{missing[0]}` with a receptive field; there are {', '.join(fields)}")
    say(f"running {', '.join(layers)} on the whole photograph, {photo.width} x {photo.height}")
    units = most_active(module, to_tensor(photo), layers, fields)
    for unit in units:
        left, top, right, bottom = unit.box
        print(
            f"{unit.layer}: channel {unit.channel} at row {unit.row}, column {unit.column} is most active "
            f"and sees {right - left} x {bottom - top} pixels from ({left}, {top})"
        )

    say("checking the last window")
    kept, lost = check_window(module, photo, units[-1])
    print(f"{units[-1].layer} there gives {units[-1].activation:.6f};")
    print(f"  with the photo outside its window made grey {kept:.6f}, with the window made grey {lost:.6f}")

    figure(network, photo, units).save(options.output)
    print(f"wrote {options.output}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Show what the most active units of a network see of a photograph.")
    parser.add_argument("--network", default="vgg_e", help="a bundled spec or a file; a chain of steps (%(default)s)")
    parser.add_argument("--set", dest="settings", action="append", type=setting, default=[], metavar="NAME=INTEGER")
    parser.add_argument("--image", type=Path, help="a photograph (scikit-learn's sample image flower.jpg)")
    parser.add_argument("--width", type=int, help="scale the photograph to this width first")
    parser.add_argument("--layers", nargs="+", metavar="STEP", help="steps to look into (all with convolutions)")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=Path("photograph.png"), help="(%(default)s)")
    return parser.parse_args(arguments)


def setting(text: str) -> tuple[str, int]:
    """`classes=10` as a name and a number."""
    name, _, value = text.partition("=")
    return name, int(value)


def say(text: str) -> None:
    """Progress, apart from what the example prints."""
    print(f"{text} ...", file=sys.stderr)


def open_photo(path: Path | None, width: int | None) -> Image.Image:
    """The photograph, in colour, scaled if asked."""
    photo = Image.open(path).convert("RGB") if path else Image.fromarray(load_sample_image("flower.jpg"))
    if width:
        photo = photo.resize((width, round(photo.height * width / photo.width)), Image.Resampling.LANCZOS)
    return photo


def to_tensor(photo: Image.Image) -> Tensor:
    """Pixels as (1, 3, H, W), with about mean 0 and deviation 1."""
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1) / 255
    return ((pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[None]


def classify(network: netspec.Network, module: nn.Module, photo: Image.Image) -> Tensor:
    """The scores for the middle of the photograph, in the size that the network takes."""
    height, width = network.graph.inputs[0].type.spatial
    scale = max(height / photo.height, width / photo.width)
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
    left, top = (small.width - width) // 2, (small.height - height) // 2
    with torch.inference_mode():
        return module(to_tensor(small.crop((left, top, left + width, top + height))))


def receptive_fields(network: netspec.Network) -> dict[str, dict[str, Any]]:
    """For every step of the network that slides over the photograph: its receptive field and its MACs.

    A step that is a block or a repeat stands for the last value in it, and for the MACs of all that is in it.
    """
    graph, layers = network.graph, network.summary()["layers"]
    by_name = {layer["name"]: layer for layer in layers}
    found: dict[str, dict[str, Any]] = {}
    for step in dict.fromkeys(layer["name"].split(".")[0] for layer in layers):
        value = graph.scopes[step].output if step in graph.scopes else step
        field = by_name[value]["receptive_field"]
        if field and all(field["stride"]):  # None is no window, and 0 one that does not slide
            macs = sum(layer["macs"] for layer in layers if layer["name"].split(".")[0] == step)
            found[step] = {**field, "macs": macs}
    return found


def activations(module: nn.Module, x: Tensor, last: str) -> dict[str, Tensor]:
    """What each step gives, up to `last`. Convolutions take any size, so they run on the photograph as it is."""
    found: dict[str, Tensor] = {}
    with torch.inference_mode():
        for name, step in module.named_children():
            x = found[name] = step(x)
            if name == last:
                break
    return found


def most_active(module: nn.Module, x: Tensor, layers: Sequence[str], fields: dict[str, dict[str, Any]]) -> list[Unit]:
    """The most active unit of each layer, with its window."""
    order = [name for name in fields if name in layers]
    maps = activations(module, x, order[-1])
    units: list[Unit] = []
    for name in order:
        values, field = maps[name][0], fields[name]
        channel, row, column = (int(i) for i in np.unravel_index(int(values.argmax()), values.shape))
        # The analysis: a unit sees `size` pixels from `start + stride * index`, on each axis.
        top, left = (s + t * i for s, t, i in zip(field["start"], field["stride"], (row, column), strict=True))
        box = (left, top, left + field["size"][1], top + field["size"][0])
        activation = float(values[channel, row, column])
        units.append(Unit(name, channel, row, column, activation, box, values[channel].numpy()))
    return units


def check_window(module: nn.Module, photo: Image.Image, unit: Unit) -> tuple[float, float]:
    """The unit's activation with all but its window made grey, and with the window made grey."""
    grey = tuple(round(255 * mean) for mean in MEAN)
    results: list[float] = []
    for outside in (True, False):
        changed = Image.new("RGB", photo.size, grey) if outside else photo.copy()
        window = photo.crop(clip(unit.box, photo)) if outside else grey
        changed.paste(window, clip(unit.box, photo))
        values = activations(module, to_tensor(changed), unit.layer)[unit.layer]
        results.append(float(values[0, unit.channel, unit.row, unit.column]))
    return results[0], results[1]


def clip(box: tuple[int, int, int, int], photo: Image.Image) -> tuple[int, int, int, int]:
    """A box without what is past the photograph's edge."""
    left, top, right, bottom = box
    return max(0, left), max(0, top), min(photo.width, right), min(photo.height, bottom)


# The figure: the photograph with the windows drawn in it; below, for each layer, its map and what its unit sees.

MARGIN, GAP, TILE = 28, 16, 196


def figure(network: netspec.Network, photo: Image.Image, units: Sequence[Unit]) -> Image.Image:
    """The photograph with every window, and a column for each layer."""
    columns = max(len(units), 3)
    inner = columns * TILE + (columns - 1) * GAP
    shown = photo.resize((inner, round(photo.height * inner / photo.width)), Image.Resampling.LANCZOS)
    tall = round(TILE * photo.height / photo.width)
    below = MARGIN + 56 + shown.height + 2 * GAP
    page = Image.new("RGB", (inner + 2 * MARGIN, below + 58 + tall + 34 + TILE + MARGIN), "white")
    draw = ImageDraw.Draw(page)
    text(draw, (MARGIN, MARGIN), f"{network.title or network.name}: what its most active units see", 22)
    note = "weights as initialised, untrained; windows as the analysis of the spec gives them"
    text(draw, (MARGIN, MARGIN + 30), note, 15, "#666666")
    page.paste(shown, (MARGIN, MARGIN + 56))
    scale = inner / photo.width
    for unit, colour in reversed(list(zip(units, colours(units), strict=True))):
        box = tuple(round(v * scale) for v in clip(unit.box, photo))
        place = (MARGIN + box[0], MARGIN + 56 + box[1], MARGIN + box[2] - 1, MARGIN + 56 + box[3] - 1)
        draw.rectangle([place[0] - 2, place[1] - 2, place[2] + 2, place[3] + 2], outline="white", width=6)
        draw.rectangle([place[0] - 1, place[1] - 1, place[2] + 1, place[3] + 1], outline=colour, width=4)
    for number, (unit, colour) in enumerate(zip(units, colours(units), strict=True)):
        left = MARGIN + number * (TILE + GAP)
        size = f"{unit.box[2] - unit.box[0]} x {unit.box[3] - unit.box[1]} pixels"
        draw.rectangle([left, below, left + TILE - 1, below + 5], fill=colour)
        text(draw, (left, below + 12), unit.layer, 19)
        text(draw, (left, below + 36), f"map {unit.channel}, {unit.map.shape[0]} x {unit.map.shape[1]}", 14, "#666666")
        top = below + 58
        page.paste(heat(unit.map).resize((TILE, tall), Image.Resampling.NEAREST), (left, top))
        text(draw, (left, top + tall + 10), f"sees {size}", 14, "#666666")
        page.paste(window(photo, unit), (left, top + tall + 34))
        draw.rectangle([left, top + tall + 34, left + TILE - 1, top + tall + 33 + TILE], outline=colour, width=3)
    return page


def colours(units: Sequence[Unit]) -> list[str]:
    """A colour for each unit."""
    return [COLOURS[number % len(COLOURS)] for number in range(len(units))]


def window(photo: Image.Image, unit: Unit) -> Image.Image:
    """The unit's window, cut from the photograph and scaled to a tile; padding is light grey."""
    box = clip(unit.box, photo)
    whole = Image.new("RGB", (unit.box[2] - unit.box[0], unit.box[3] - unit.box[1]), "#e8e8e8")
    if box[0] < box[2] and box[1] < box[3]:
        whole.paste(photo.crop(box), (box[0] - unit.box[0], box[1] - unit.box[1]))
    sampling = Image.Resampling.NEAREST if max(whole.size) < TILE // 2 else Image.Resampling.LANCZOS
    return whole.resize((TILE, TILE), sampling)


def heat(values: np.ndarray) -> Image.Image:
    """A map of activations in shades from white to dark blue; the most active hundredth is darkest."""
    most = float(np.quantile(values, 0.99)) or 1.0
    level = np.clip(values / most, 0, 1)[..., None] ** 0.7
    light, dark = np.array([247, 250, 253]), np.array([8, 48, 107])
    return Image.fromarray((light + (dark - light) * level).astype(np.uint8))


def text(draw: ImageDraw.ImageDraw, place: tuple[int, int], words: str, size: int, colour: str = "black") -> None:
    """Words in Pillow's own font."""
    draw.text(place, words, fill=colour, font=ImageFont.load_default(size))


if __name__ == "__main__":
    main()
