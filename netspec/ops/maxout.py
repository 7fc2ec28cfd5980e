"""Maxout, whose units are the largest of several linear pieces."""

from __future__ import annotations

from netspec.ops.base import AxisOrigins, Costless, RuleError, example, known_int, need_floats
from netspec.ops.fields import Positive
from netspec.ops.writing import reshape
from netspec.types import Helper, Layer, Memory, OnnxWriter, Reach, Tensor, Window


class Maxout(Costless, name="maxout", principal="pieces", family="activation"):
    """The largest of each `pieces` neighbouring channels: (N, U * pieces, ...) to (N, U, ...).

    After a linear layer or convolution with U * pieces outputs, each unit is the maximum of `pieces` linear functions
    of its input. Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, "Maxout Networks", arXiv:1302.4389,
    section 3.
    """

    pieces: Positive

    precision = "either"
    examples = (
        example((2, 12), pieces=3),
        example((2, 10, 3, 4), pieces=5),
        example((3, 6, 5), pieces=1),
        example((1, 4, 3, 2, 2), pieces=4),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 2:
            raise RuleError(f"`maxout` takes (N, C, ...), 2 axes or more, and its input is {x}", code="NS302")
        need_floats(self, x)
        channels = known_int(x.channels, "the number of channels of `maxout`")
        if channels % self.pieces:
            lower = channels - channels % self.pieces
            help = f"a layer with {lower or self.pieces} outputs before it would do"
            raise RuleError(f"{self.pieces} pieces do not divide {channels} channels", at="pieces", help=help)
        return Tensor((x.batch, channels // self.pieces, *x.shape[2:]), x.dtype)

    def window(self, x: Tensor) -> Window | Reach:
        return Reach.POINT

    def axes(self, x: Tensor) -> AxisOrigins:
        return (0, None, *range(2, x.rank))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # Backward, the gradient of a unit is divided among its largest pieces: which they are, how many, and a share.
        largest, count = Tensor(x.shape, "bool"), Tensor(y.shape, "int64")
        return Memory(inputs=(0,), output=True, backward=(largest, count, y))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("Maxout", helpers=(_MAXOUT,), pieces=self.pieces)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        y = self.infer(g.type(x))
        units = known_int(y.channels, "the number of units of `maxout`")
        grouped = g.Reshape(x, g.constant([0, units, self.pieces, *([-1] if y.rank > 2 else [])]))
        largest = g.ReduceMax(grouped, g.constant([2]), keepdims=0)
        return reshape(g, largest, y.shape, kept=2, of=x) if y.rank > 3 else largest


_MAXOUT = Helper(
    '''\
class Maxout(nn.Module):
    """The largest of each `pieces` neighbouring channels."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2)'''
)
