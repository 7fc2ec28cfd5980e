"""Weights from a seed, without torch: what the spec says fills them, else what their ops say they begin as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod, sqrt
from zlib import crc32

import numpy as np

from netspec.backends.onnx.lower import Array
from netspec.errors import fail
from netspec.graph.model import Graph, Node
from netspec.lazy import LazyMapping
from netspec.shape_text import shape_text
from netspec.types import Filling, Init, Weight


def seeded_weights(graph: Graph, seed: int) -> Mapping[str, Array]:
    """A state dict from a seed, each weight made when it is asked for: it depends on the seed and its key alone.

    Raises NetspecError NS501 where neither the spec nor an op of one's own says what a weight begins as.
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
            # What a spec says was checked; an op of one's own may say anything.
            shape = shape_text(weight.shape)
            fail("NS501", f"`{key}` of {shape} can't begin as {filling}: {error}", help="its op says so in `start`")

    return LazyMapping(sources, make)


def _filling(node: Node, weight: Weight) -> Filling:
    """What the spec says fills a weight, else what its op says."""
    filling = node.init.get(weight.called, weight.start)
    if filling is None:
        message = f"op `{node.op.opname}` does not say what its weight `{weight.called}` begins as"
        ways = f"or `init: {{{weight.called}: ...}}` in the spec, or weights from a file"
        fail("NS501", message, node.span, help=f"`Weight({weight.name!r}, ..., start=...)` in its class, {ways}")
    return filling


def filled(filling: Filling, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """An array filled as a function of torch.nn.init fills a tensor, or with a number or numbers, in float32."""
    if isinstance(filling, Init):
        return _FUNCTIONS[filling.function](shape, generator, **filling.options)
    return np.broadcast_to(np.asarray(filling, dtype="float32"), shape)


def _drawn(shape: tuple[int, ...], draw: Callable[[int], Array]) -> Array:
    """Random numbers, drawn in float64 piece by piece, so that a large weight is held once and in float32."""
    found = np.empty(prod(shape), dtype="float32")
    for start in range(0, found.size, _PIECE):
        piece = found[start : start + _PIECE]
        piece[:] = draw(piece.size)
    return found.reshape(shape)


_PIECE = 2**20


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs a unit has, and how many outputs, as torch counts them."""
    size = prod(shape[2:])
    return shape[1] * size, shape[0] * size


def _uniform(shape: tuple[int, ...], g: np.random.Generator, a: float = 0.0, b: float = 1.0) -> Array:
    return _drawn(shape, lambda n: g.uniform(a, b, n))


def _normal(shape: tuple[int, ...], g: np.random.Generator, mean: float = 0.0, std: float = 1.0) -> Array:
    return _drawn(shape, lambda n: g.normal(mean, std, n))


def _trunc_normal(
    shape: tuple[int, ...],
    g: np.random.Generator,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> Array:
    def draw(n: int) -> Array:
        found = g.normal(mean, std, n)
        for _ in range(100):
            outside = (found < a) | (found > b)
            if not outside.any():
                break
            found[outside] = g.normal(mean, std, int(outside.sum()))
        # Bounds far from the mean hold next to nothing of a normal distribution.
        return found.clip(a, b)

    return _drawn(shape, draw)


def _xavier(normal: bool) -> Callable[..., Array]:
    def fill(shape: tuple[int, ...], g: np.random.Generator, gain: float = 1.0) -> Array:
        return _spread(shape, g, gain * sqrt(2 / sum(_fans(shape))), normal)

    return fill


def _kaiming(normal: bool) -> Callable[..., Array]:
    def fill(
        shape: tuple[int, ...],
        g: np.random.Generator,
        a: float = 0.0,
        mode: str = "fan_in",
        nonlinearity: str = "leaky_relu",
    ) -> Array:
        gains = {"tanh": 5 / 3, "relu": sqrt(2), "leaky_relu": sqrt(2 / (1 + a * a)), "selu": 0.75}
        fan = _fans(shape)[mode == "fan_out"]
        return _spread(shape, g, gains.get(nonlinearity, 1.0) / sqrt(fan), normal)

    return fill


def _spread(shape: tuple[int, ...], g: np.random.Generator, std: float, normal: bool) -> Array:
    return _normal(shape, g, 0.0, std) if normal else _uniform(shape, g, -sqrt(3) * std, sqrt(3) * std)


def _orthogonal(shape: tuple[int, ...], g: np.random.Generator, gain: float = 1.0) -> Array:
    rows, columns = shape[0], prod(shape[1:])
    q, r = np.linalg.qr(g.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return gain * (q if rows >= columns else q.T).reshape(shape)


def _dirac(shape: tuple[int, ...], g: np.random.Generator, groups: int = 1) -> Array:
    found = np.zeros(shape)
    per_group = shape[0] // groups
    middle = tuple([size // 2 for size in shape[2:]])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            found[(group * per_group + channel, channel, *middle)] = 1
    return found


def _eye(shape: tuple[int, ...], g: np.random.Generator) -> Array:
    rows, columns = shape
    return np.eye(rows, columns)


def _constant(value: float) -> Callable[..., Array]:
    def fill(shape: tuple[int, ...], g: np.random.Generator) -> Array:
        return np.full(shape, value)

    return fill


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "uniform": _uniform,
    "normal": _normal,
    "trunc_normal": _trunc_normal,
    "xavier_uniform": _xavier(False),
    "xavier_normal": _xavier(True),
    "kaiming_uniform": _kaiming(False),
    "kaiming_normal": _kaiming(True),
    "orthogonal": _orthogonal,
    "dirac": _dirac,
    "eye": _eye,
    "ones": _constant(1.0),
    "zeros": _constant(0.0),
}
"""The functions of torch.nn.init that specs name, without the underscore."""
