"""Recurrence without a matrix on what enters it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from netspec.dims import Dim
from netspec.ops.base import AxisOrigins, Op, example, known_int, known_sizes, need_floats, need_rank
from netspec.ops.fields import Flag, Takes
from netspec.ops.recurrent_memory import Heap
from netspec.ops.states import LENGTHS, need_lengths, need_states, onnx_lengths, split_inputs
from netspec.types import Code, Helper, Layer, Memory, OnnxWriter, Reach, Rows, Tensor, Weight, uniform

RECURRENCE = Helper(
    '''
class Recurrence(nn.Module):
    """h_t = f(x_t + W h_{t-1} + b) along axis 1 of (N, T, features).

    Behind the length of a sequence the state stays as it is, and the output is zero.
    """

    def __init__(
        self, features: int, nonlinearity: str = "relu", reverse: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, features))
        self.bias = nn.Parameter(torch.empty(features))
        self.nonlinearity = nonlinearity
        self.reverse = reverse
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(features**-0.5), features**-0.5)

    def forward(
        self, x: Tensor, h: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        activation = torch.relu if self.nonlinearity == "relu" else torch.tanh
        h = x.new_zeros(x.shape[0], x.shape[2]) if h is None else h
        outputs = []
        steps = range(x.shape[1])
        for t in reversed(steps) if self.reverse else steps:
            step = nn.functional.linear(h, self.weight, self.bias)
            new = activation(x[:, t] + step)
            if lengths is None:
                h = new
                outputs.append(h)
            else:
                inside = (t < lengths).unsqueeze(1)
                h = torch.where(inside, new, h)
                outputs.append(h * inside)
        return torch.stack(outputs[::-1] if self.reverse else outputs, 1), h
'''.strip()
)


class Recurrence(Op, name="recurrence", family="recurrent"):
    """h_t = f(x_t + W h_{t-1} + b) over (N, T, F): a recurrent layer that takes its input without a matrix.

    The outputs are the states at each step, (N, T, F), and the last one, (N, F); with `reverse` the last element comes
    first (Karpathy & Fei-Fei 2015, equations 3 and 4). The weights are those of a `linear` of the states.

    It takes the sequences, `x`, or `[x, h]` with the state to begin with, which is zero otherwise: with T = 1 that is
    one step of decoding. With `lengths: true` the last input is the length of each sequence, int64 (N,): behind it the
    state stays, and the output is zero.
    """

    nonlinearity: Annotated[Literal["relu", "tanh"], Takes("`relu` or `tanh`")] = "relu"
    reverse: Flag = False
    lengths: Flag = False

    inputs: ClassVar[tuple[int, int | None]] = (1, 3)
    output_names = ("output", "h_n")
    # Sums of ReLUs have no bound.
    precision = "float32"
    examples = (
        example((2, 5, 4)),
        example((2, 3, 4), (2, 4), nonlinearity="tanh"),
        example((3, 4, 2), LENGTHS, lengths=True, reverse=True),
        example((3, 3, 1), (3, 1), LENGTHS, lengths=True),
    )

    def infer(self, x: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        need_rank(self, x, 3, "(N, T, features)")
        need_floats(self, x)
        self._features(x)
        states, lengths = split_inputs(self, self.lengths, others)
        state = Tensor((x.batch, x.features), x.dtype)
        need_states(self, states, state, "(N, features)")
        need_lengths(self, lengths, x)
        return x, state

    def weights(self, x: Tensor, *others: Tensor) -> tuple[Weight, ...]:
        features = self._features(x)
        start = uniform(features**-0.5)
        return (Weight("weight", (features, features), start=start), Weight("bias", (features,), start=start))

    def macs(self, y: Tensor, x: Tensor, *others: Tensor) -> Dim:
        return x.batch * x.shape[1] * self._features(x) ** 2

    def window(self, x: Tensor, *others: Tensor) -> Reach:
        return Reach.ALL

    def axes(self, x: Tensor, *others: Tensor) -> AxisOrigins:
        return 0, 1, 2

    def mixed(self, x: Tensor, *others: Tensor) -> tuple[int, ...]:
        return 1, 2

    def per_sample(self, x: Tensor, *others: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor, *others: Tensor) -> Memory:
        batch, steps, features = known_sizes(x)
        state, given = batch * features, len(others) > self.lengths
        inside = (Tensor((steps, batch), "bool"),) * self.lengths
        if not train:
            # The states or, with lengths, the outputs of all steps, before they are one tensor.
            floats = state * (steps + 2 if self.lengths else max(steps, 2 - given))
            return Memory(scratch=(Tensor((floats,), y.dtype), *(Tensor((batch,), "bool") for _ in inside)))
        # Each state, and with lengths also what it would be without them. The last state is an output.
        kept = state * ((2 * steps - 1 if self.lengths else steps - 1) + (not given))
        early, late = self._backward(batch, steps, features, kept, given)
        return Memory(
            inputs=(1,) * given,
            output=() if self.lengths else (1,),
            kept=(Tensor((kept,), y.dtype), *inside),
            scratch=(Tensor((state * (1 + steps * self.lengths),), y.dtype),),
            backward=(Tensor((early - kept - state * (steps + 1),), y.dtype),),
            late=(Tensor((late,), y.dtype), *inside),
        )

    def _backward(self, batch: int, steps: int, features: int, kept: int, given: bool) -> tuple[int, int]:
        """The elements that are held at most until the gradient of the output is freed, and after that.

        These are with what is kept and all gradients.
        """
        heap, early, state, weight = Heap(), 0, batch * features, features**2
        output = steps * state
        heap.hold(kept, output, state)  # with the gradients of the output and the last state
        for step in range(steps):
            is_last = step == steps - 1
            before = given or not is_last  # there is a gradient for the state before
            if self.lengths:
                heap.pass_through(state, batch)  # the gradient of the output times the mask, as floats
                if is_last:
                    heap.free(output)
                    early = heap.begin()
                heap.hold(state * (1 + before))  # inside of the sequences, and behind them
                heap.free(state)
            elif not step:
                heap.pass_through(state)  # the gradients of the output and the last state together
            heap.hold(state)  # through the nonlinearity
            heap.free(state, state * (self.lengths or step > 0))
            heap.hold(output)  # the step's gradient of the input, with zeros for all others
            heap.free(output * (step > 0))
            heap.hold(state * before, weight, features)
            if self.lengths:
                heap.free(state, state * before, state * (not given or not is_last))
            else:
                heap.free(state, state * (is_last and not given))
                heap.pass_through(max(state * before, features * (step > 0)))
                if step == max(steps - 2, 0):
                    heap.free(output)
                    early = heap.begin()
            if step:
                heap.free(features)
                heap.pass_through(weight)  # the sum of two
                heap.free(weight)
        return early, heap.most

    def torch(self, x: Tensor, *others: Tensor) -> Layer:
        layer = self.layer("Recurrence", features=x.features)
        arguments = {name: value for name, value in layer.arguments.items() if name != "lengths"}
        states, _ = split_inputs(self, self.lengths, others)
        call = Code("{layer}(", ("{0}", "lengths={1}")) if self.lengths and not states else None
        return Layer("Recurrence", arguments, 1, call, helpers=(RECURRENCE,))

    def onnx(self, g: OnnxWriter, x: str, *others: str) -> tuple[str, str]:
        states, lengths = split_inputs(self, self.lengths, others)
        features = self._features(g.type(x))
        axis, weight = g.constant([0]), g.weight("weight")
        # Runtimes compute the identity once: it would be as large as the weight in the file.
        identity = g.Unsqueeze(g.EyeLike(weight), axis)
        bias = g.stacked("B", [Rows("bias", 0, features), Rows(None, 0, features)], 1)
        begin = [g.Unsqueeze(state, axis) for state in states]
        counts = onnx_lengths(g, x, lengths)
        steps, last = g.RNN(
            g.Transpose(x, perm=[1, 0, 2]),
            identity,
            g.Unsqueeze(weight, axis),
            bias,
            *([counts, *begin] if counts or begin else []),
            outputs=2,
            hidden_size=features,
            direction="reverse" if self.reverse else "forward",
            activations=[self.nonlinearity.capitalize()],
        )
        y = g.Transpose(g.Squeeze(steps, g.constant([1])), perm=[1, 0, 2])
        return y, g.Squeeze(last, axis)

    def label(self) -> str:
        return f"recurrence{', backwards' if self.reverse else ''}"

    def _features(self, x: Tensor) -> int:
        return known_int(x.features, f"the number of features of `{self.opname}`")
