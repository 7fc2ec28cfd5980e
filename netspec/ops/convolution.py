"""Convolutions."""

from __future__ import annotations

from math import prod

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, by, by_both, example, known_int, need_floats, need_rank
from netspec.ops.fields import Flag, Padding, PaddingMode, Pair, Positive
from netspec.ops.window import effective_size, slide
from netspec.types import Layer, Memory, Tensor, Weight, Window


class Conv2d(Op, name="conv2d", principal="out_channels", family="convolution"):
    """2-D convolution over (N, C, H, W), as torch.nn.Conv2d."""

    out_channels: Positive
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0)
    dilation: Pair = (1, 1)
    groups: Positive = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"

    examples = (
        example((2, 3, 8, 9), out_channels=4, kernel_size=3),
        example((1, 4, 11, 10), out_channels=6, kernel_size=[3, 5], stride=2, padding=[1, 2], groups=2, bias=False),
        example((1, 2, 9, 9), out_channels=3, kernel_size=3, padding="same", dilation=2),
        example((1, 2, 9, 8), out_channels=2, kernel_size=4, padding="same"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=1, stride=2, padding="valid"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=3, padding=1, padding_mode="circular"),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        channels = self._in_channels(x)
        for attribute, count in (("groups", channels), ("groups", self.out_channels)):
            if count % self.groups:
                raise RuleError(f"{self.groups} groups do not divide {count} channels", at=attribute)
        if self.padding == "same" and self.stride != (1, 1):
            raise RuleError("`padding: same` goes with stride 1 only", at="padding")
        if self.padding_mode in ("reflect", "circular"):
            self._need_map_to_pad_from(x)
        spatial = slide(self, x, self.kernel_size, self.stride, self._around(), self.dilation)
        return x.with_channels(self.out_channels).with_spatial(*spatial)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.out_channels, self._in_channels(x) // self.groups, *self.kernel_size))
        return (weight, Weight("bias", (self.out_channels,))) if self.bias else (weight,)

    def macs(self, y: Tensor, x: Tensor) -> Dim:
        # prod() starts from 1, so it takes symbolic sizes too.
        per_output = self._in_channels(x) // self.groups * prod(self.kernel_size)
        return prod(y.shape, start=per_output)

    def window(self, x: Tensor) -> Window:
        return Window(
            tuple(effective_size(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True)),
            self.stride,
            tuple(-before for before, _ in self._around()),
        )

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # What a convolution can't pad by itself, torch pads first, in a tensor of its own: the odd row or column of
        # `same`, and all that is not zeros.
        zeros = self.padding_mode == "zeros"
        extra = [after - before if zeros else before + after for before, after in self._around()]
        if not any(extra):
            return Memory(inputs=(0,))
        padded = (x.with_spatial(*(size + more for size, more in zip(x.spatial, extra, strict=True))),)
        return Memory(kept=padded) if train else Memory(scratch=padded)

    def torch(self, x: Tensor) -> Layer:
        return self.layer(
            "nn.Conv2d", in_channels=x.channels, out_channels=self.out_channels, kernel_size=self.kernel_size
        )

    def label(self) -> str:
        words = [f"{by_both(self.kernel_size)} conv", str(self.out_channels)]
        if self.stride != (1, 1):
            words.append(f"/{by(self.stride)}")
        if self.groups > 1:
            words.append(f"{self.groups} groups")
        if self.dilation != (1, 1):
            words.append(f"dilation {by(self.dilation)}")
        return ", ".join(words)

    def _in_channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of input channels of `conv2d`")

    def _around(self) -> tuple[tuple[int, int], ...]:
        """Padding before and after, per axis; `same` puts the odd one after, as torch does."""
        if self.padding == "valid":
            return ((0, 0), (0, 0))
        if self.padding == "same":
            totals = [effective_size(k, d) - 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        return tuple((p, p) for p in self.padding)

    def _need_map_to_pad_from(self, x: Tensor) -> None:
        for size, (before, after) in zip(x.spatial, self._around(), strict=True):
            most = size if self.padding_mode == "circular" else size - 1
            if isinstance(most, int) and max(before, after) > most:
                raise RuleError(
                    f"`{self.padding_mode}` padding of {max(before, after)} is more than a map of {size} has",
                    at="padding",
                )
