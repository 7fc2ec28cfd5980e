"""Normalisation and dropout."""

from __future__ import annotations

from netspec.ops.base import Elementwise, RuleError, example, known_int, need_floats, need_rank
from netspec.ops.fields import Flag, Positive, PositiveReal, Probability, Real
from netspec.types import Layer, Memory, Reach, Tensor, Weight, Window


class BatchNorm(Elementwise, name="batch_norm", family="normalization"):
    """Batch normalisation per channel of (N, C), (N, C, L) or (N, C, H, W), as torch.nn.BatchNorm1d and 2d."""

    eps: PositiveReal = 1e-5
    momentum: Probability | None = 0.1
    affine: Flag = True
    track_running_stats: Flag = True

    examples = (
        example((2, 3, 4, 5)),
        example((4, 6), eps=1e-3),
        example((4, 6, 5), affine=False),
        example((2, 3, 4, 4), momentum=None),
        example((2, 3, 4, 4), track_running_stats=False),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank not in (2, 3, 4):
            raise RuleError(f"`batch_norm` takes (N, C), (N, C, L) or (N, C, H, W), not {x}", code="NS302")
        need_floats(self, x)
        self._channels(x)
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        channels = self._channels(x)
        found: list[Weight] = []
        if self.affine:
            found += [Weight("weight", (channels,)), Weight("bias", (channels,))]
        if self.track_running_stats:
            found += [
                Weight("running_mean", (channels,), "buffer"),
                Weight("running_var", (channels,), "buffer"),
                Weight("num_batches_tracked", (), "buffer", "int64"),
            ]
        return tuple(found)

    def window(self, x: Tensor) -> Window | Reach:
        # Without running statistics it takes those of the batch, at inference too.
        return Reach.POINT if self.track_running_stats else Reach.ALL

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # Mean and deviation of the batch, in float32 also where the input is not.
        statistics = (Tensor((self._channels(x),)),) * 2
        return Memory((0,), kept=statistics) if train else Memory()

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.BatchNorm2d" if x.rank == 4 else "nn.BatchNorm1d", num_features=x.channels)

    def _channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of channels of `batch_norm`")


class LocalResponseNorm(Elementwise, name="local_response_norm", principal="size", family="normalization"):
    """Local response normalisation over channels, as torch.nn.LocalResponseNorm: alpha is divided by size.

    The sum of AlexNet's section 3.3 is not divided by n: its alpha of 1e-4 is 5e-4 here.
    """

    size: Positive
    alpha: Real = 1e-4
    beta: Real = 0.75
    k: Real = 1.0

    examples = (
        example((2, 7, 5, 5), size=5, alpha=5e-4, k=2),
        example((2, 4, 3, 3), size=2),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 3:
            raise RuleError(f"`local_response_norm` takes (N, C, ...), 3 axes or more, not {x}", code="NS302")
        need_floats(self, x)
        return x

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch squares, pads by size - 1 channels, pools, scales, adds k, and divides by a power of that.
        padded = x.with_channels(x.channels + (self.size - 1))
        if train:
            return Memory((0,), kept=(padded, x, x), backward=(x, x, x))
        return Memory(scratch=(x, x) if known_int(x.channels, "") >= self.size - 1 else (padded,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.LocalResponseNorm", size=self.size)


class Dropout(Elementwise, name="dropout", principal="p", family="regularization"):
    """Zeroes elements with probability p in training and scales the rest, as torch.nn.Dropout."""

    p: Probability = 0.5

    examples = (example((2, 8), p=0.3),)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(kept=(x,)) if train else Memory(view=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Dropout", p=self.p) if self.p != 0.5 else self.layer("nn.Dropout")


class Dropout2d(Elementwise, name="dropout2d", principal="p", family="regularization"):
    """Zeroes whole channels with probability p in training and scales the rest, as torch.nn.Dropout2d."""

    p: Probability = 0.5

    examples = (example((2, 8, 3, 3), p=0.3),)

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        return x

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(kept=(x.with_spatial(1, 1),)) if train else Memory(view=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Dropout2d", p=self.p) if self.p != 0.5 else self.layer("nn.Dropout2d")
