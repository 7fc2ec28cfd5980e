"""The functions of `torch.nn.init`, implemented with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from netspec.backends.onnx.narrow import Array
from netspec.types import Filling, Init

_PIECE = 2**20
"""The number of random numbers that are drawn at a time."""


def filled(filling: Filling, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """An array in float32, filled by a function of `torch.nn.init`, with a number, or with given numbers."""
    if isinstance(filling, Init):
        numbers = _FUNCTIONS[filling.function](shape, generator, **filling.options)
        if filling.zero_row is not None:
            numbers[filling.zero_row] = 0
        return numbers
    return np.broadcast_to(np.asarray(filling, dtype="float32"), shape)


def _drawn(shape: tuple[int, ...], draw: Callable[[int], Array]) -> Array:
    """Random numbers in float32, drawn in float64 piece by piece, so that a large weight needs no float64 copy."""
    numbers = np.empty(prod(shape), dtype="float32")
    for start in range(0, numbers.size, _PIECE):
        piece = numbers[start : start + _PIECE]
        piece[:] = draw(piece.size)
    return numbers.reshape(shape)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """`fan_in` and `fan_out`: the numbers of inputs and outputs of a unit, as torch counts them."""
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
        numbers = g.normal(mean, std, n)
        for _ in range(100):
            outside = (numbers < a) | (numbers > b)
            if not outside.any():
                break
            numbers[outside] = g.normal(mean, std, int(outside.sum()))
        # If the bounds are far from the mean, drawing again hardly ever succeeds.
        return numbers.clip(a, b)

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
    """Random numbers with mean 0 and a standard deviation, normal or uniform."""
    return _normal(shape, g, 0.0, std) if normal else _uniform(shape, g, -sqrt(3) * std, sqrt(3) * std)


def _orthogonal(shape: tuple[int, ...], g: np.random.Generator, gain: float = 1.0) -> Array:
    rows, columns = shape[0], prod(shape[1:])
    q, r = np.linalg.qr(g.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return gain * (q if rows >= columns else q.T).reshape(shape)


def _dirac(shape: tuple[int, ...], g: np.random.Generator, groups: int = 1) -> Array:
    weights = np.zeros(shape)
    per_group = shape[0] // groups
    middle = tuple([size // 2 for size in shape[2:]])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            weights[(group * per_group + channel, channel, *middle)] = 1
    return weights


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
"""The implementations, by names of functions of `torch.nn.init` without the underscore."""
