"""One feature map of many, as a DeconvNet follows back into the image."""

from __future__ import annotations

from typing import ClassVar

from netspec.dims import always_equal
from netspec.ops.base import Costless, RuleError, example, need_floats, need_rank
from netspec.ops.fields import Flag
from netspec.ops.writing import places
from netspec.types import Code, Helper, Memory, OnnxWriter, Reach, Tensor


class KeepChannel(Costless, name="keep_channel", principal="strongest", family="shape"):
    """A map (N, C, H, W) in which one channel of each sample is left, by its number (N,) of int64; all others are 0.

    With `strongest`, only the largest unit of the channel is left, the first of equal ones. A number that no channel
    has leaves nothing. So a DeconvNet begins: Zeiler & Fergus 2013, arXiv:1311.2901, section 2.1.
    """

    strongest: Flag = False

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    precision = "either"
    examples = (
        example((2, 4, 3, 5), Tensor((2,), "int64")),
        example((3, 5, 4, 4), Tensor((3,), "int64"), strongest=True),
    )

    def infer(self, x: Tensor, channel: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        if channel.dtype != "int64" or channel.rank != 1 or not always_equal(channel.shape[0], x.batch):
            help = "`inputs: {feature: {shape: [N], dtype: int64}}` is one"
            raise RuleError(
                f"`keep_channel` takes an int64 for each of {x.batch} samples, and has {channel} of {channel.dtype}",
                code="NS302",
                help=help,
            )
        return x

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA if self.strongest else Reach.POINT

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor, channel: Tensor) -> Memory:
        chosen = Tensor(x.shape[:2], "bool")
        if not self.strongest:
            return Memory(kept=(chosen,)) if train else Memory(scratch=(chosen,))
        value, place = Tensor((*x.shape[:2], 1), x.dtype), Tensor((*x.shape[:2], 1), "int64")
        scratch = (value, value, x)
        return Memory(kept=(place, chosen), scratch=scratch) if train else Memory(scratch=(place, chosen, *scratch))

    def torch(self, *xs: Tensor) -> Code:
        helper = _KEEP_STRONGEST if self.strongest else _KEEP_CHANNEL
        return Code("keep_strongest(" if self.strongest else "keep_channel(", ("{0}", "{1}"), helpers=(helper,))

    def onnx(self, g: OnnxWriter, x: str, channel: str) -> str:
        chosen = g.Equal(places(g, x, axis=1), g.Unsqueeze(channel, g.constant([1])))
        zero = g.constant(0.0, "like")
        if not self.strongest:
            return g.Where(g.Unsqueeze(chosen, g.constant([2, 3])), x, zero)
        flat = g.Reshape(x, g.constant([0, 0, -1]))
        place = g.ArgMax(flat, axis=2, keepdims=1)
        value = g.Where(g.Unsqueeze(chosen, g.constant([2])), g.GatherElements(flat, place, axis=2), zero)
        zeros = g.Expand(zero, g.Shape(flat))
        return g.Reshape(g.ScatterElements(zeros, place, value, axis=2), g.Shape(x))

    def label(self) -> str:
        return "keep strongest unit" if self.strongest else "keep channel"


_KEEP_CHANNEL = Helper('''\
def keep_channel(x: Tensor, channel: Tensor) -> Tensor:
    """Each sample's channel of this number as it is; all others are zero."""
    chosen = torch.arange(x.shape[1], device=x.device) == channel[:, None]
    return x * chosen[:, :, None, None]''')

_KEEP_STRONGEST = Helper('''\
def keep_strongest(x: Tensor, channel: Tensor) -> Tensor:
    """The largest unit of each sample's channel of this number; all others are zero."""
    chosen = torch.arange(x.shape[1], device=x.device) == channel[:, None]
    value, place = x.flatten(2).max(2, keepdim=True)
    kept = torch.zeros_like(x).flatten(2).scatter(2, place, value * chosen[:, :, None])
    return kept.view_as(x)''')
