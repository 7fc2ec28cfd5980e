"""Ops that move values between channels and places, or around an axis."""

from __future__ import annotations

from netspec.dims import Dim
from netspec.ops.base import Rearranging, RuleError, axis_of, example, known_int, need_floats
from netspec.ops.fields import MAX_INT, Dims, Positive, Shifts
from netspec.ops.rearrange import exact_quotient
from netspec.ops.window import need_map
from netspec.ops.writing import reshape
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Upsampling, Window


class _Copying(Rearranging):
    """The base of ops that move elements into a new tensor: none is a view."""

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory()

    def _channels(self, x: Tensor) -> int:
        return known_int(x.channels, f"the number of channels of `{self.opname}`")


class ChannelShuffle(_Copying, name="channel_shuffle", principal="groups"):
    """Channels of (N, C, ...) dealt out among groups, as torch.nn.ChannelShuffle (ShuffleNet: Zhang et al. 2017).

    Channel `i` of group `g` becomes channel `i * groups + g`, so that a grouped convolution after it reads all groups.
    """

    groups: Positive

    examples = (
        example((2, 6, 4, 5), groups=2),
        example((1, 6, 7), groups=3),
        example((2, 4, 2, 3, 2), groups=2),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 3:
            raise RuleError(f"`channel_shuffle` takes (N, C, ...), 3 axes or more, not {x}", code="NS302")
        if self._channels(x) % self.groups:
            raise RuleError(f"{self.groups} groups do not divide {x.channels} channels", at="groups")
        return x

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        return (0, None, *range(2, x.rank))

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.ChannelShuffle", groups=self.groups)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        grouped = g.Reshape(x, g.constant([0, self.groups, self._channels(type) // self.groups, -1]))
        return reshape(g, g.Transpose(grouped, perm=[0, 2, 1, 3]), type.shape, kept=2, of=x)


class PixelShuffle(_Copying, name="pixel_shuffle", principal="upscale_factor"):
    """(N, C * r * r, H, W) made (N, C, H * r, W * r), as torch.nn.PixelShuffle (Shi et al. 2016, arXiv:1609.05158).

    Each r * r channels become an r x r patch of one channel.
    """

    upscale_factor: Positive

    examples = (
        example((2, 8, 3, 4), upscale_factor=2),
        example((1, 9, 2, 5), upscale_factor=3),
        example((2, 3, 4, 4), upscale_factor=1),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_map(self, x, 2)
        need_floats(self, x)
        patch = self.upscale_factor**2
        if self._channels(x) % patch:
            message = f"{x.channels} channels are no multiple of {patch}, which a patch of {self.upscale_factor} takes"
            raise RuleError(message, at="upscale_factor")
        spatial = [size * self.upscale_factor for size in x.spatial]
        return x.with_channels(self._channels(x) // patch).with_spatial(*spatial)

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        return (0, None, None, None)

    def window(self, x: Tensor) -> Upsampling:
        return Upsampling((((0, 0),) * self.upscale_factor,) * 2)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.PixelShuffle", upscale_factor=self.upscale_factor)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.DepthToSpace(x, blocksize=self.upscale_factor, mode="CRD")


class PixelUnshuffle(_Copying, name="pixel_unshuffle", principal="downscale_factor"):
    """(N, C, H * r, W * r) made (N, C * r * r, H, W), as torch.nn.PixelUnshuffle: the inverse of `pixel_shuffle`."""

    downscale_factor: Positive

    examples = (
        example((2, 3, 4, 6), downscale_factor=2),
        example((1, 1, 9, 6), downscale_factor=3),
        example((2, 3, 5, 4), downscale_factor=1),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_map(self, x, 2)
        need_floats(self, x)
        factor = self.downscale_factor
        spatial = [exact_quotient(size, factor, "downscale_factor", f"patches of {factor}") for size in x.spatial]
        return x.with_channels(self._channels(x) * factor**2).with_spatial(*spatial)

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        return (0, None, None, None)

    def window(self, x: Tensor) -> Window:
        return Window((self.downscale_factor,) * 2, (self.downscale_factor,) * 2, (0, 0))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.PixelUnshuffle", downscale_factor=self.downscale_factor)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        channels, patch = self._channels(g.type(x)), self.downscale_factor**2
        y = g.SpaceToDepth(x, blocksize=self.downscale_factor)
        if 1 in (channels, patch):
            return y
        # ONNX puts the places of a patch before the channels, and torch after them.
        order = [place * channels + channel for channel in range(channels) for place in range(patch)]
        return g.Gather(y, g.constant(order), axis=1)


class Roll(_Copying, name="roll"):
    """Elements moved along axes by `shifts`, and at the end of an axis around to its beginning, as torch.roll."""

    shifts: Shifts
    dims: Dims

    examples = (
        example((2, 3, 5, 6), shifts=[-2, 1], dims=[2, 3]),
        example((2, 3, 7), shifts=3, dims=-1),
        example((2, 5, 4), shifts=-7, dims=1),
        example((3, 2), shifts=1, dims=0),
    )

    def infer(self, x: Tensor) -> Tensor:
        self._shift_of(x)
        return x

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        shift_of = self._shift_of(x)
        return tuple([None if shift_of.get(axis) else axis for axis in range(x.rank)])

    def window(self, x: Tensor) -> Window | Reach:
        shift_of = self._shift_of(x)
        start = tuple([-shift_of.get(axis, 0) for axis in range(2, x.rank)])
        # The units that came around see places at the other side.
        return Window((1,) * len(start), (1,) * len(start), start, border=True) if any(start) else Reach.POINT

    def per_sample(self, x: Tensor) -> bool:
        return 0 not in self._shift_of(x)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch rolls one axis after the other, and holds the results between until the last one is there.
        between = (x,) * (len(self.dims) - 1)
        return Memory(scratch=between, backward=between)

    def torch(self, x: Tensor) -> Code:
        shifts, dims = (repr(value[0] if len(value) == 1 else value) for value in (self.shifts, self.dims))
        return Code("torch.roll(", ("{0}", f"shifts={shifts}", f"dims={dims}"))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        y = x
        for axis, shift in self._shift_of(type).items():
            if not shift:
                continue
            size = type.shape[axis]
            if isinstance(size, int):
                cut = g.constant([-shift % size])
            else:
                cut = g.Mod(g.constant([-shift]), g.Shape(x, start=axis, end=axis + 1))
            axes = g.constant([axis])
            begin, end = g.Slice(y, g.constant([0]), cut, axes), g.Slice(y, cut, g.constant([MAX_INT]), axes)
            y = g.Concat(end, begin, axis=axis)
        return y

    def label(self) -> str:
        return f"roll, {' '.join(map(str, self.shifts))} of axis {' '.join(map(str, self.dims))}"

    def _shift_of(self, x: Tensor) -> dict[int, int]:
        """The shift of each axis that is rolled, less than half the axis where its size is known."""
        if len(self.shifts) != len(self.dims):
            message = f"{len(self.shifts)} shifts are not one for each of {len(self.dims)} axes"
            raise RuleError(message, at="shifts", code="NS302")
        shift_of: dict[int, int] = {}
        for shift, dim in zip(self.shifts, self.dims, strict=True):
            axis = axis_of(x, dim, "dims")
            shift_of[axis] = _shortest(shift_of.get(axis, 0) + shift, x.shape[axis])
        return shift_of


def _shortest(shift: int, size: Dim) -> int:
    """The shift of the least length that moves the elements of an axis to the same places."""
    if not isinstance(size, int):
        return shift
    rest = shift % size
    return rest if 2 * rest <= size else rest - size
