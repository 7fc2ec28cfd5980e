"""Maps of one to three spatial axes, and the arithmetic of the windows that slide over them."""

from __future__ import annotations

from netspec.dims import Dim
from netspec.ops.base import REGISTRY, Op, RuleError, need_rank
from netspec.types import Reach, Tensor, Window

_MAPS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
"""The axes of a map, by the number of those that are spatial."""


def need_map(op: Op, x: Tensor, axes: int) -> None:
    """Refuse a tensor that is no map with this many spatial axes: two are those of (N, C, H, W).

    The help names the op for such a map, as `conv3d` in place of `conv2d` for (N, C, D, H, W).
    """
    alike = op.opname.replace(f"{axes}d", f"{x.rank - 2}d")
    if x.rank > axes + 2 and alike != op.opname and alike in REGISTRY:
        message = f"`{op.opname}` takes {_MAPS[axes]}, {axes + 2} axes, and its input is {x}"
        raise RuleError(message, code="NS302", help=f"`{alike}` takes {_MAPS[x.rank - 2]}")
    need_rank(op, x, axes + 2, _MAPS[axes])


def effective_size(kernel: int, dilation: int) -> int:
    """The number of positions from the first to the last that a dilated kernel reads."""
    return dilation * (kernel - 1) + 1


def along(x: Tensor, *axes: int) -> Window | Reach:
    """The rule `window` of an op that mixes all positions along some axes: if these are one spatial axis, a line."""
    mixed = {axis % x.rank for axis in axes}
    sizes = [size if axis in mixed else 1 for axis, size in enumerate(x.shape)][2:]
    numbers = tuple([size for size in sizes if isinstance(size, int)])
    if mixed >= set(range(2, x.rank)) or len(numbers) < len(sizes):
        return Reach.ALL
    return Window(numbers, tuple([int(axis not in mixed) for axis in range(2, x.rank)]), (0,) * len(numbers))


def ceil_padding(after: int, span: int, stride: int) -> int:
    """The padding after an axis for which floor mode has as many windows as ceil mode.

    In ceil mode, torch leaves out a last window that would start in the padding on the right (`pooling_output_shape`
    in ATen's Pool.h). The number of windows is the minimum of two floors with one stride, so it is a single floor.
    """
    return min(after + stride - 1, span - 1)


def slide(
    op: Op,
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    around: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    ceil_mode: bool = False,
) -> tuple[Dim, ...]:
    """The spatial sizes of the output of a sliding window, as torch computes them.

    `kernel`, `stride` and `dilation` are per axis; `around` is the padding before and after each axis. Raises RuleError
    for a window that is larger than the map.
    """
    sizes: list[Dim] = []
    for axis, size in enumerate(x.spatial):
        before, after = around[axis]
        span = effective_size(kernel[axis], dilation[axis])
        extra = before + (ceil_padding(after, span, stride[axis]) if ceil_mode else after) - span
        if isinstance(size, int) and size + extra < 0:
            padded = f" (with padding {size + before + after})" if before + after else ""
            help = "take a smaller kernel_size, more padding, or pool less before this step"
            if x.rank == 4 and x.shape[-1] in (1, 3, 4) and x.shape[1] == x.shape[2]:
                help = (
                    f"channels come before height and width: {x.shape[0]} x {x.shape[3]} x {x.shape[1]} x {x.shape[2]}"
                )
            message = f"a window of {span} is larger than the map of {size}{padded}"
            raise RuleError(message, at="kernel_size", code="NS303", help=help)
        sizes.append((size + extra) // stride[axis] + 1)
    return tuple(sizes)
