"""Local response normalisation, over neighbouring channels or within each map."""

from __future__ import annotations

from typing import Annotated, Literal

from netspec.ops.base import Elementwise, RuleError, example, known_int, need_floats
from netspec.ops.fields import Positive, Real, Takes
from netspec.ops.window import need_map
from netspec.ops.writing import reshape
from netspec.types import Helper, Layer, Memory, OnnxWriter, Reach, Tensor, Window


class LocalResponseNorm(Elementwise, name="local_response_norm", principal="size", family="normalization"):
    """Local response normalisation over channels, as torch.nn.LocalResponseNorm: alpha is divided by size.

    The sum of AlexNet's section 3.3 is not divided by n: its alpha of 1e-4 is 5e-4 here. With `norm_region:
    within_channel`, the mean of the squares is over a size x size window of each map, with zeros around it, as Caffe's
    WITHIN_CHANNEL has it.
    """

    size: Positive
    alpha: Real = 1e-4
    beta: Real = 0.75
    k: Real = 1.0
    norm_region: Annotated[
        Literal["across_channels", "within_channel"], Takes("`across_channels` or `within_channel`")
    ] = "across_channels"

    abbreviation = "LRN"
    precision = "half"
    examples = (
        example((2, 7, 5, 5), size=5, alpha=5e-4, k=2),
        example((2, 4, 3, 3), size=2),
        example((2, 3, 7, 6), size=3, alpha=0.5, norm_region="within_channel"),
        example((1, 2, 3, 2), size=5, alpha=5e-5, k=2, norm_region="within_channel"),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        if self._is_within():
            need_map(self, x, 2)
            if self.size % 2 == 0:
                raise RuleError(f"a window of {self.size} within a map has no middle: `size` is odd", at="size")
        elif x.rank < 3:
            raise RuleError(f"`local_response_norm` takes (N, C, ...), 3 axes or more, not {x}", code="NS302")
        return x

    def window(self, x: Tensor) -> Window | Reach:
        if not self._is_within():
            return Reach.POINT
        return Window((self.size, self.size), (1, 1), (-(self.size // 2), -(self.size // 2)))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch squares, pads by size - 1 channels, pools, scales, adds k, and divides by a power of the result.
        padding = 0 if self._is_within() else self.size - 1
        padded = x.with_channels(x.channels + padding)
        if train:
            return Memory((0,), kept=(padded, x, x), backward=(x, x, x))
        return Memory(scratch=(x, x) if known_int(x.channels, "") >= padding else (padded,))

    def torch(self, x: Tensor) -> Layer:
        arguments = {name: getattr(self, name) for name in ("size", "alpha", "beta", "k")}
        if self._is_within():
            return Layer(_WITHIN_CHANNEL.name, arguments, positional=1, helpers=(_WITHIN_CHANNEL,))
        return Layer("nn.LocalResponseNorm", arguments, positional=1)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        if self._is_within():
            return self._normalized(g, x, *self._means_within(g, x))
        if self.size % 2 and type.rank == 4 and self.alpha > 0 and self.beta > 0:
            return g.LRN(x, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
        # An even window of torch's begins one channel earlier than ONNX's.
        before, after = self.size // 2, (self.size - 1) // 2
        squares = g.Unsqueeze(g.Reshape(g.Mul(x, x), g.constant([0, 0, -1])), g.constant([1]))
        means = g.AveragePool(
            squares, kernel_shape=[self.size, 1], strides=[1, 1], pads=[before, 0, after, 0], count_include_pad=1
        )
        means = reshape(g, g.Squeeze(means, g.constant([1])), type.shape, kept=2, of=x)
        return self._normalized(g, x, means, self.alpha)

    def label(self) -> str:
        return f"{self.size}x{self.size} local response norm" if self._is_within() else super().label()

    def _is_within(self) -> bool:
        return self.norm_region == "within_channel"

    def _means_within(self, g: OnnxWriter, x: str) -> tuple[str, float]:
        """The means of the squares over windows of each map, and the factor that is alpha for them.

        The squares are of x / 256: those of x itself are infinite in half precision from 256 on.
        """
        small = g.Mul(x, g.constant(1 / 256, "like"))
        size, padding = [self.size] * 2, [self.size // 2] * 4
        means = g.AveragePool(g.Mul(small, small), kernel_shape=size, strides=[1, 1], pads=padding, count_include_pad=1)
        return means, self.alpha * 256**2

    def _normalized(self, g: OnnxWriter, x: str, means: str, alpha: float) -> str:
        scaled = g.Add(g.Mul(means, g.constant(alpha, "like")), g.constant(self.k, "like"))
        return g.Div(x, g.Pow(scaled, g.constant(self.beta, "like")))


_WITHIN_CHANNEL = Helper(
    '''\
class LocalResponseNormWithinChannel(nn.Module):
    """Local response normalisation over a size x size window of each map."""

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        scale = nn.functional.avg_pool2d(x * x, self.size, 1, self.size // 2)
        scale = scale.mul(self.alpha).add(self.k).pow(self.beta)
        return x / scale'''
)
