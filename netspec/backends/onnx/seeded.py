"""Draws weights from a seed without torch, by the spec's initialisers, or else by the defaults of the ops."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from netspec.backends.onnx.fillings import filled
from netspec.backends.onnx.narrow import Array
from netspec.errors import fail
from netspec.graph.model import Graph, Node
from netspec.lazy import LazyMapping
from netspec.shape_text import shape_text
from netspec.types import Filling, Weight


def seeded_weights(graph: Graph, seed: int) -> Mapping[str, Array]:
    """A state dict drawn from a seed. Each weight is drawn on access, and depends only on the seed and its key.

    Raises NetspecError NS501 if neither the spec nor a custom op says how a weight is filled.
    """
    sources: dict[str, tuple[Weight, Filling]] = {}
    for node in graph.nodes:
        for weight in graph.weights(node):
            if weight.key(node.weights_of) not in sources:
                sources[weight.key(node.weights_of)] = weight, _filling(node, weight)

    def make(key: str) -> Array:
        weight, filling = sources[key]
        generator = np.random.default_rng([seed, crc32(key.encode())])
        try:
            return filled(filling, weight.shape, generator).astype(weight.dtype, copy=False)
        except (LookupError, TypeError, ValueError) as error:
            # The spec's fillings were checked, but a custom op may have any.
            shape = shape_text(weight.shape)
            fail("NS501", f"`{key}` of {shape} can't begin as {filling}: {error}", help="its op says so in `start`")

    return LazyMapping(sources, make)


def _filling(node: Node, weight: Weight) -> Filling:
    """The filling of a weight: the spec's, or else its op's."""
    filling = node.init.get(weight.called, weight.start)
    if filling is None:
        message = f"op `{node.op.opname}` does not say what its weight `{weight.called}` begins as"
        ways = f"or `init: {{{weight.called}: ...}}` in the spec, or weights from a file"
        fail("NS501", message, node.span, help=f"`Weight({weight.name!r}, ..., start=...)` in its class, {ways}")
    return filling
