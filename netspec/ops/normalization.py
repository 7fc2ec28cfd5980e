"""Normalisation and dropout."""

from __future__ import annotations

from netspec.ops.base import AxisOrigins, Elementwise, RuleError, all_axes, example, known_int, need_floats
from netspec.ops.fields import Flag, Positive, PositiveReal, Probability
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.writing import per_channel, reshape, scale_and_shift, weight_and_bias
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
        return (*weights, *running_statistics(channels)) if self.track_running_stats else weights

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


class InstanceNorm(Elementwise, name="instance_norm", family="normalization"):
    """Normalisation of each channel of each sample over its map (Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022).

    By its input, it is torch.nn.InstanceNorm1d for (N, C, L), InstanceNorm2d for (N, C, H, W), and InstanceNorm3d for
    (N, C, D, H, W). With `track_running_stats`, inference uses running statistics, as a batch norm does.
    """

    eps: PositiveReal = 1e-5
    momentum: Probability = 0.1
    affine: Flag = False
    track_running_stats: Flag = False

    precision = "half"
    examples = (
        example((2, 6, 4, 5)),
        example((2, 3, 7), affine=True, eps=1e-3),
        example((3, 4, 3, 2, 3), affine=True),
        example((2, 3, 4, 5), affine=True, track_running_stats=True),
        example((2, 3, 5), track_running_stats=True, momentum=0.2),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank not in (3, 4, 5):
            shapes = "(N, C, L), (N, C, H, W) or (N, C, D, H, W)"
            raise RuleError(f"`instance_norm` takes {shapes}, not {x}", code="NS302")
        need_floats(self, x)
        if not self.track_running_stats and set(x.spatial) == {1}:
            help = "normalise before the map is pooled to one position"
            raise RuleError("one position of a channel has no variance", code="NS303", help=help)
        self._channels(x)
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        weights = scale_and_shift((self._channels(x),)) if self.affine else ()
        return (*weights, *running_statistics(self._channels(x))) if self.track_running_stats else weights

    def window(self, x: Tensor) -> Window | Reach:
        return Reach.POINT if self.track_running_stats else Reach.ALL

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return () if self.track_running_stats else tuple(range(2, x.rank))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch makes a batch norm of it, over one sample of N * C channels, and repeats weights and statistics N times.
        channels = self._channels(x)
        each = Tensor((x.batch, channels))
        affine, tracked = (each,) * self.affine, (each, each) * self.track_running_stats
        if not train:
            return Memory(scratch=(*affine * 2, *(tracked or (each, each))))
        mean_of_running = (Tensor((channels,)),) * self.track_running_stats
        # Backward, there are gradients for the weights of each sample, before they are summed up.
        gradients = (Tensor((x.batch - 1, 2 * channels)),) * self.affine
        kept = (*affine, *tracked, each, each)
        return Memory((0,), kept=kept, scratch=(*affine, *mean_of_running), backward=gradients)

    def torch(self, x: Tensor) -> Layer:
        return self.layer(f"nn.InstanceNorm{x.rank - 2}d", num_features=x.channels)

    def borrowed(self, x: Tensor) -> Code:
        if not self.track_running_stats:
            scale = weights_of_layer("weight", "bias") if self.affine else ()
            named = [f"{name}={weight}" for name, weight in zip(("weight", "bias"), scale, strict=False)]
            return functional(self, "instance_norm", "{0}", *named, eps=self.eps)
        statistics = weights_of_layer("running_mean", "running_var")
        scale = weights_of_layer("weight", "bias", when=self.affine)
        training = "use_input_stats={layer}.training"
        options = {"momentum": self.momentum, "eps": self.eps}
        return functional(self, "instance_norm", "{0}", *statistics, *scale, training, **options)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        channels = (self._channels(g.type(x)),)
        ones_and_zeros = [g.constant(number, "like", channels) for number in (1, 0)] if not self.affine else []
        scale = ones_and_zeros or weight_and_bias(g, True)
        if not self.track_running_stats:
            return g.InstanceNormalization(x, *scale, epsilon=self.eps)
        statistics = [g.weight("running_mean"), g.weight("running_var", plus=self.eps)]
        return g.BatchNormalization(x, *scale, *statistics, epsilon=self.eps)

    def _channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of channels of `instance_norm`")


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


def running_statistics(channels: int) -> tuple[Weight, ...]:
    """The buffers of a norm that follows the statistics of its batches."""
    return (
        Weight("running_mean", (channels,), "buffer", start=0.0),
        Weight("running_var", (channels,), "buffer", start=1.0),
        Weight("num_batches_tracked", (), "buffer", "int64", start=0.0),
    )
