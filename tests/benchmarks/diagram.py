"""The diagram of ResNet-34, against torchview's of torchvision's module on the meta device; and the form of both.

torchview is no dependency of netspec: `pip install torchview`.
"""

from __future__ import annotations

import re

import torchvision
from timing import interleaved, show
from torchview import draw_graph

from netspec.backends.diagram.render import render
from netspec.network import from_source
from netspec.spec.sources.find import find

SOURCE = find("resnet34")


def ours() -> str:
    """From the text of the spec to DOT."""
    return from_source(SOURCE).diagram().dot


def theirs() -> str:
    """From a module to DOT."""
    module = torchvision.models.resnet34()
    return str(draw_graph(module, input_size=(1, 3, 224, 224), device="meta", expand_nested=True).visual_graph.source)


def form(dot: str) -> str:
    """Width and height of the picture."""
    found = re.search(rb'<svg width="([\d.]+)pt" height="([\d.]+)pt"', render(dot, "svg"))
    assert found is not None
    width, height = float(found[1]), float(found[2])
    return f"{width:.0f} x {height:.0f} pt, {height / width:.2f} times as high as wide"


if __name__ == "__main__":
    drawn = from_source(SOURCE)
    drawn.diagram()
    made, other = ours(), theirs()
    print(f"netspec:   {form(made)}, {made.count('label=')} labels")
    print(f"torchview: {form(other)}, {other.count('label=')} labels")
    times = interleaved(
        9,
        netspec=ours,
        torchview=theirs,
        the_diagram_of_a_loaded_network=lambda: drawn.diagram().dot,
        layout_of_netspec=lambda: render(made, "svg"),
        layout_of_torchview=lambda: render(other, "svg"),
    )
    show("ResNet-34, to DOT", times, "netspec")
