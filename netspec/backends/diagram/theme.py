"""The colours of the light and the dark theme; families of ops are also distinct in greyscale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark"]
FONT = "Helvetica"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme; `families` are the fills of boxes by the family of their op, "" for all others."""

    page: str
    text: str
    faint: str
    line: str
    cluster: str
    cluster_line: str
    highlight: str
    families: Mapping[str, str]

    def fill(self, family: str) -> str:
        """The fill colour for boxes of a family."""
        return self.families.get(family, self.families[""])


# From the darkest to the lightest (light theme), so that families can be told apart without colour.
_LIGHT = Palette(
    page="#ffffff",
    text="#1b1f24",
    faint="#4d5662",
    line="#4a5260",
    cluster="#f5f6f8",
    cluster_line="#b9c0ca",
    highlight="#c2410c",
    families={
        "convolution": "#a9c8ea",
        "pooling": "#f3c6a5",
        "reduction": "#f3c6a5",
        "linear": "#cfe6bf",
        "matrix": "#cfe6bf",
        "attention": "#d9d3b0",
        "recurrent": "#f0c3cf",
        "detection": "#e5b8d8",
        "embedding": "#c9e7e3",
        "parameter": "#c9e7e3",
        "normalization": "#e6dcf4",
        "activation": "#f7ecc8",
        "arithmetic": "#f7ecc8",
        "merge": "#ffffff",
        "block": "#dfe5ee",
        "": "#eef0f3",
    },
)
_DARK = Palette(
    page="#14181f",
    text="#eef1f5",
    faint="#bcc4cf",
    line="#8d97a6",
    cluster="#1c222b",
    cluster_line="#495261",
    highlight="#fb923c",
    families={
        "convolution": "#234a75",
        "pooling": "#77461f",
        "reduction": "#77461f",
        "linear": "#41702f",
        "matrix": "#41702f",
        "attention": "#5c5632",
        "recurrent": "#7a3350",
        "detection": "#6e2f62",
        "embedding": "#23605b",
        "parameter": "#23605b",
        "normalization": "#54457a",
        "activation": "#6a5a1e",
        "arithmetic": "#6a5a1e",
        "merge": "#14181f",
        "block": "#343d4b",
        "": "#2a313c",
    },
)
PALETTES: Mapping[Theme, Palette] = {"light": _LIGHT, "dark": _DARK}
