"""Normalisation and dropout."""

from __future__ import annotations

from netspec.dims import Symbolic
from netspec.expression import python_literal
from netspec.ops.base import AxisOrigins, Elementwise, RuleError, all_axes, example, known_int, need_floats
from netspec.ops.fields import Flag, Positive, PositiveReal, Probability, Real, Sizes
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import along
from netspec.ops.writing import per_channel, reshape, scale_and_shift, weight_and_bias
from netspec.shape_text import shape_text
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Weight, Window


class BatchNorm(Elementwise, name="batch_norm", family="normalization"):
    """Batch normalisation of each channel of (N, C) or of a map with up to three spatial axes (Ioffe & Szegedy 2015).

    By its input, it is torch.nn.BatchNorm1d for (N, C) and (N, C, L), BatchNorm2d for (N, C, H, W), and BatchNorm3d for
    (N, C, D, H, W).
    """

    eps: PositiveReal = 1e-5
    momentum: Probability | None = 0.1
    affine: Flag = True
    track_running_stats: Flag = True

    abbreviation = "bn"
    precision = "half"
    examples = (
        example((2, 3, 4, 5)),
        example((4, 6), eps=1e-3),
        example((4, 6, 5), affine=False),
        example((2, 3, 4, 4), momentum=None),
        example((2, 3, 4, 4), track_running_stats=False),
        example((2, 3, 2, 4, 3)),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank not in (2, 3, 4, 5):
            shapes = "(N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W)"
            raise RuleError(f"`batch_norm` takes {shapes}, not {x}", code="NS302")
        need_floats(self, x)
        self._channels(x)
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        channels = self._channels(x)
        weights = scale_and_shift((channels,)) if self.affine else ()
        if not self.track_running_stats:
            return weights
        return (
            *weights,
            Weight("running_mean", (channels,), "buffer", start=0.0),
            Weight("running_var", (channels,), "buffer", start=1.0),
            Weight("num_batches_tracked", (), "buffer", "int64", start=0.0),
        )

    def window(self, x: Tensor) -> Window | Reach:
        # Without running statistics, those of the batch are used, at inference, too.
        return Reach.POINT if self.track_running_stats else Reach.ALL

    def axes(self, x: Tensor) -> AxisOrigins | None:
        return all_axes(x) if self.track_running_stats else None

    def per_sample(self, x: Tensor) -> bool:
        return self.track_running_stats

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The mean and deviation of the batch are in float32 for all inputs.
        statistics = (Tensor((self._channels(x),)),) * 2
        return Memory((0,), kept=statistics) if train else Memory()

    def torch(self, x: Tensor) -> Layer:
        return self.layer(f"nn.BatchNorm{max(x.rank - 2, 1)}d", num_features=x.channels)

    def borrowed(self, x: Tensor) -> Code | None:
        if self.momentum is None:
            return None  # A cumulative average depends on how many batches the layer has seen.
        statistics = weights_of_layer("running_mean", "running_var", when=self.track_running_stats)
        scale = weights_of_layer("weight", "bias", when=self.affine)
        training = f"training={'{layer}.training' if self.track_running_stats else 'True'}"
        options = {"momentum": self.momentum, "eps": self.eps}
        return functional(self, "batch_norm", "{0}", *statistics, *scale, training, **options)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)

        def filled(number: int) -> str:
            return g.constant(number, "like", (self._channels(type),))

        scale = weight_and_bias(g, True) if self.affine else [filled(1), filled(0)]
        if self.track_running_stats:
            statistics = [g.weight("running_mean"), g.weight("running_var", plus=self.eps)]
        else:
            # The statistics of the batch, from which the mean is subtracted first.
            axes = g.constant([axis for axis in range(type.rank) if axis != 1])
            x = g.Sub(x, g.ReduceMean(x, axes))
            statistics = [filled(0), g.ReduceMean(g.Mul(x, x), axes, keepdims=0)]
        return g.BatchNormalization(x, *scale, *statistics, epsilon=self.eps)

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

    abbreviation = "LRN"
    precision = "half"
    examples = (
        example((2, 7, 5, 5), size=5, alpha=5e-4, k=2),
        example((2, 4, 3, 3), size=2),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 3:
            raise RuleError(f"`local_response_norm` takes (N, C, ...), 3 axes or more, not {x}", code="NS302")
        need_floats(self, x)
        return x

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch squares, pads by size - 1 channels, pools, scales, adds k, and divides by a power of the result.
        padded = x.with_channels(x.channels + (self.size - 1))
        if train:
            return Memory((0,), kept=(padded, x, x), backward=(x, x, x))
        return Memory(scratch=(x, x) if known_int(x.channels, "") >= self.size - 1 else (padded,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.LocalResponseNorm", size=self.size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        if self.size % 2 and type.rank == 4 and self.alpha > 0 and self.beta > 0:
            return g.LRN(x, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
        # An even window of torch's begins one channel earlier than ONNX's.
        before, after = self.size // 2, (self.size - 1) // 2
        squares = g.Unsqueeze(g.Reshape(g.Mul(x, x), g.constant([0, 0, -1])), g.constant([1]))
        means = g.AveragePool(
            squares, kernel_shape=[self.size, 1], strides=[1, 1], pads=[before, 0, after, 0], count_include_pad=1
        )
        means = reshape(g, g.Squeeze(means, g.constant([1])), type.shape, kept=2, of=x)
        scaled = g.Add(g.Mul(means, g.constant(self.alpha, "like")), g.constant(self.k, "like"))
        return g.Div(x, g.Pow(scaled, g.constant(self.beta, "like")))


class LayerNorm(Elementwise, name="layer_norm", family="normalization"):
    """Normalisation over the last axis of each sample (Ba, Kiros & Hinton 2016), as torch.nn.LayerNorm.

    `normalized_shape` follows from the input; given, it is the last axes of the input, and all of them are normalised.
    """

    normalized_shape: Sizes | None = None
    eps: PositiveReal = 1e-5
    elementwise_affine: Flag = True
    bias: Flag = True

    precision = "half"
    examples = (
        example((2, 5, 8)),
        example((2, 3, 4, 5), eps=1e-6),
        example((2, 3, 4, 5), normalized_shape=[3, 4, 5]),
        example((2, 6), bias=False),
        example((2, 3, 4, 5, 2), normalized_shape=[5, 2], elementwise_affine=False),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 2:
            raise RuleError(f"`layer_norm` takes (N, ..., features), 2 axes or more, not {x}", code="NS302")
        need_floats(self, x)
        shape = self.normalized_shape
        if shape is not None and (len(shape) >= x.rank or x.shape[-len(shape) :] != shape):
            is_symbolic = any(isinstance(size, Symbolic) for size in x.shape[-len(shape) :])
            code = "NS305" if is_symbolic else "NS304"
            raise RuleError(f"the last axes of {x} are not {shape_text(shape)}", at="normalized_shape", code=code)
        self._shape(x)
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return scale_and_shift(self._shape(x), self.bias) if self.elementwise_affine else ()

    def window(self, x: Tensor) -> Window | Reach:
        return along(x, *range(x.rank - len(self._shape(x)), x.rank))

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return tuple(range(x.rank - len(self._shape(x)), x.rank))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # A mean and a deviation for each position; at inference, too, while the op runs.
        axes = len(self._shape(x))
        statistics = (Tensor((*x.shape[:-axes], *[1] * axes), x.dtype),) * 2
        return Memory((0,), kept=statistics) if train else Memory(scratch=statistics)

    def torch(self, x: Tensor) -> Layer:
        # torch takes a number for the last axis alone.
        if self.normalized_shape is None:
            return self.layer("nn.LayerNorm", normalized_shape=x.features)
        return self.layer("nn.LayerNorm", lists=("normalized_shape",), normalized_shape=self.normalized_shape)

    def borrowed(self, x: Tensor) -> Code:
        affine = self.elementwise_affine
        scale = (*weights_of_layer("weight", when=affine), *weights_of_layer("bias", when=affine and self.bias))
        return functional(self, "layer_norm", "{0}", python_literal(self._shape(x)), *scale, eps=self.eps)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        shape = self._shape(g.type(x))
        scale = weight_and_bias(g, self.bias) if self.elementwise_affine else [g.constant(1, "like", shape)]
        return g.LayerNormalization(x, *scale, axis=-len(shape), epsilon=self.eps)

    def label(self) -> str:
        return "layer norm"

    def _shape(self, x: Tensor) -> tuple[int, ...]:
        return self.normalized_shape or (known_int(x.features, "the last axis of the input of `layer_norm`"),)


class GroupNorm(Elementwise, name="group_norm", principal="num_groups", family="normalization"):
    """Normalisation over groups of channels of each sample of (N, C, ...) (Wu & He 2018), as torch.nn.GroupNorm."""

    num_groups: Positive
    eps: PositiveReal = 1e-5
    affine: Flag = True

    precision = "half"
    examples = (
        example((2, 6, 4, 5), num_groups=3),
        example((2, 6, 4, 5), num_groups=2, affine=False),
        example((2, 6, 7), num_groups=6, eps=1e-3),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 2:
            raise RuleError(f"`group_norm` takes (N, C, ...), 2 axes or more, not {x}", code="NS302")
        need_floats(self, x)
        if self._channels(x) % self.num_groups:
            raise RuleError(f"{self.num_groups} groups do not divide {x.channels} channels", at="num_groups")
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        channels = self._channels(x)
        return scale_and_shift((channels,)) if self.affine else ()

    def window(self, x: Tensor) -> Window | Reach:
        return Reach.ALL

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return tuple(range(1, x.rank))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # A mean and a deviation for each group; at inference, too, while the op runs.
        statistics = (Tensor((x.batch, self.num_groups), x.dtype),) * 2
        return Memory((0,), kept=statistics) if train else Memory(scratch=statistics)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.GroupNorm", num_groups=self.num_groups, num_channels=x.channels)

    def borrowed(self, x: Tensor) -> Code:
        scale = weights_of_layer("weight", "bias", when=self.affine)
        return functional(self, "group_norm", "{0}", str(self.num_groups), *scale, eps=self.eps)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        # The weights of ONNX's GroupNormalization changed in opset 21; these nodes work in all opsets.
        type, groups = g.type(x), (self.num_groups,)
        ones, zeros = g.constant(1, "like", groups), g.constant(0, "like", groups)
        grouped = g.Reshape(x, g.constant([0, self.num_groups, -1]))
        y = reshape(g, g.InstanceNormalization(grouped, ones, zeros, epsilon=self.eps), type.shape, kept=1, of=x)
        if not self.affine:
            return y
        weight, bias = [per_channel(g, x, name) for name in weight_and_bias(g, True)]
        return g.Add(g.Mul(y, weight), bias)

    def _channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of channels of `group_norm`")
