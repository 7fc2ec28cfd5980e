"""The bundled networks, by what they take."""

from __future__ import annotations

import netspec

TEXTS = frozenset(("gpt2", "lstm_classifier"))
"""Networks of words: their inputs are no maps, and their outputs no classes of ImageNet."""

TIED = frozenset(("gpt2",))
"""Networks whose head has the weights of an embedding, and so is never another one."""


def of_images() -> list[str]:
    """The names of the bundled networks of images."""
    return [name for name in netspec.names() if name not in TEXTS]
