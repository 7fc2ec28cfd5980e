"""The bundled networks, by what they take."""

from __future__ import annotations

import netspec

TEXTS = frozenset(("gpt2", "lstm_classifier"))
"""Networks of words: their inputs are no maps, and their outputs no classes of ImageNet."""

TIED = frozenset(("gpt2",))
"""Networks whose head has the weights of an embedding, and so is never another one."""

BOXES = frozenset(("fast_rcnn", "faster_rcnn", "faster_rcnn_zf", "rcnn", "vgg_localization"))
"""Networks that give boxes or features of regions: their outputs are no classes that another head could have."""


def of_images() -> list[str]:
    """The names of the bundled networks of images."""
    return [name for name in netspec.names() if name not in TEXTS]


def classifiers() -> list[str]:
    """The names of the bundled networks that give one class for an image, or for each of its pixels."""
    return [name for name in of_images() if name not in BOXES]
