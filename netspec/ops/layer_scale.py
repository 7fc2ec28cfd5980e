"""Layer scale, a learned factor for each channel at the end of a residual branch."""

from __future__ import annotations

from netspec.ops.base import AxisOrigins, Elementwise, all_axes, axis_of, example, known_int, need_floats
from netspec.ops.fields import Axis
from netspec.types import Helper, Layer, Memory, OnnxWriter, Tensor, Weight


class LayerScale(Elementwise, name="layer_scale", principal="dim", family="normalization"):
    """Product with a learned factor for each position along `dim`, the channels unless said.

    The weight of (N, C, H, W) is (C, 1, 1), and with `dim: -1` that of (N, L, F) is (F,). It begins as 1e-6, so that a
    residual branch begins as almost nothing. Touvron, Cord, Sablayrolles, Synnaeve & Jegou 2021, "Going deeper with
    Image Transformers", arXiv:2103.17239, section 2; as in torchvision.models.convnext.
    """

    dim: Axis = 1

    precision = "half"
    examples = (
        example((2, 3, 4, 5)),
        example((2, 7, 6), dim=-1),
        example((3, 5)),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        self._shape(x)
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return (Weight("weight", self._shape(x), start=1e-6),)

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def per_sample(self, x: Tensor) -> bool:
        return axis_of(x, self.dim, "dim") > 0

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The gradient of the weight is computed at full size before it is summed.
        return Memory(inputs=(0,), backward=(x,))

    def torch(self, x: Tensor) -> Layer:
        sizes = {"num_channels": self._shape(x)[0], **dict.fromkeys("12345678"[: len(self._shape(x)) - 1], 1)}
        return Layer("LayerScale", sizes, positional=len(sizes), helpers=(_LAYER_SCALE,))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Mul(x, g.weight("weight"))

    def _shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of the weight: 1 for each axis after `dim`."""
        axis = axis_of(x, self.dim, "dim")
        size = known_int(x.shape[axis], "the number of channels of `layer_scale`", at="dim")
        return (size, *[1] * (x.rank - axis - 1))


_LAYER_SCALE = Helper(
    '''\
class LayerScale(nn.Module):
    """Scales each channel by a learned factor, at first close to 0."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x'''
)
