"""Bundled networks that can't be made fully convolutional, with the reason that is given."""

from __future__ import annotations

CANNOT_SLIDE = {
    "convnext_tiny": "`stem_norm.permute`: it moves axes",
    "efficientnet_b0": "`stage1.se.multiply`: it joins maps of 1 x 1 and 112 x 112",
}
