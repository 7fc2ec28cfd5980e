"""An op of one's own: squeeze-and-excitation, which neither torch.nn nor netspec has.

Hu, Shen, Albanie, Sun & Wu, "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3. Use it with

    netspec summary se_resnet50.yaml --ops squeeze_excitation.py
"""

from __future__ import annotations

from math import sqrt

from netspec.dims import Dim
from netspec.ops.base import Elementwise, RuleError, example, known_int, need_rank
from netspec.ops.fields import Positive
from netspec.ops.writing import KAIMING
from netspec.types import Layer, Reach, Tensor, Weight, uniform


class SqueezeExcitation(Elementwise, name="squeeze_excitation", principal="reduction", family="normalization"):
    """Channels scaled by what a small network makes of their means, as torchvision.ops.SqueezeExcitation.

    The network is two 1x1 convolutions with a ReLU between them, `reduction` times narrower inside.
    """

    reduction: Positive = 16

    precision = "half"
    examples = (
        example((2, 32, 5, 6)),
        example((2, 12, 4, 4), reduction=4),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        if self._channels(x) % self.reduction:
            raise RuleError(f"a reduction of {self.reduction} does not divide {x.channels} channels", at="reduction")
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        channels, narrow = self._channels(x), self._narrow(x)
        return (
            Weight("fc1.weight", (narrow, channels, 1, 1), start=KAIMING),
            Weight("fc1.bias", (narrow,), start=uniform(1 / sqrt(channels))),
            Weight("fc2.weight", (channels, narrow, 1, 1), start=KAIMING),
            Weight("fc2.bias", (channels,), start=uniform(1 / sqrt(narrow))),
        )

    def macs(self, y: Tensor, x: Tensor) -> Dim:
        return x.batch * (2 * self._channels(x) * self._narrow(x))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def window(self, x: Tensor) -> Reach:
        return Reach.ALL  # the means are over all positions

    def torch(self, x: Tensor) -> Layer:
        return Layer(
            "torchvision.ops.SqueezeExcitation",
            {"input_channels": x.channels, "squeeze_channels": self._narrow(x)},
            positional=2,
        )

    def _channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of channels of `squeeze_excitation`")

    def _narrow(self, x: Tensor) -> int:
        return self._channels(x) // self.reduction
