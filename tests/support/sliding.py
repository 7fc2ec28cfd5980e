"""Bundled networks that can't be made fully convolutional, with the reason that is given."""

from __future__ import annotations

CANNOT_SLIDE = {
    "convnext_tiny": "`stem_norm.permute`: it moves axes",
    "vit_b_16": "`flatten`: it makes N x 768 x 196 of N x 768 x 14 x 14",
}
