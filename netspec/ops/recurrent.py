"""Recurrent layers: Elman networks, LSTMs and GRUs over (N, T, F), with torch's weights and states."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, ClassVar, Literal

from netspec.dims import Dim
from netspec.ops.base import AxisOrigins, Op, example, known_int, known_sizes, need_floats, need_rank
from netspec.ops.fields import Flag, Positive, Probability, Takes
from netspec.ops.recurrent_memory import ELMAN, GRU, LSTM, RecurrentMemory, StepMemory
from netspec.ops.states import LENGTHS, need_lengths, need_states, onnx_lengths, split_inputs
from netspec.types import Code, Helper, Layer, Memory, OnnxWriter, Reach, Rows, Tensor, Weight, uniform

RUN_PACKED = Helper(
    '''
def run_packed(
    layer: nn.RNNBase,
    x: Tensor,
    lengths: Tensor,
    states: Tensor | tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """Run a recurrent layer over each sequence up to its length.

    Behind its end a sequence has zeros, and its states are those at its end.
    """
    packed = nn.utils.rnn.pack_padded_sequence(
        x, lengths.cpu(), batch_first=True, enforce_sorted=False
    )
    packed, states = layer(packed, states)
    output, _ = nn.utils.rnn.pad_packed_sequence(
        packed, batch_first=True, total_length=x.shape[1]
    )
    return output, states
'''.strip()
)


class Recurrent(Op, family="recurrent"):
    """The base of torch's recurrent layers: (N, T, F) -> (N, T, hidden), and the last state of each layer."""

    hidden_size: Positive
    num_layers: Positive = 1
    bias: Flag = True
    dropout: Probability = 0.0
    bidirectional: Flag = False
    lengths: Flag = False

    precision = "half"
    cell: ClassVar[StepMemory]
    """The memory of a step."""
    kind: ClassVar[str]
    """The name of the layer in torch.nn, and of the op in ONNX."""
    gates: ClassVar[tuple[int, ...]] = (0,)
    """ONNX's gates, each as the number of the gate in torch's weights."""

    def infer(self, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        need_rank(self, x, 3, "(N, T, features)")
        need_floats(self, x)
        self._in_features(x)
        states, lengths = split_inputs(self, self.lengths, others)
        state = Tensor((self.num_layers * self._directions, x.batch, self.hidden_size), x.dtype)
        need_states(self, states, state, "(layers, N, hidden)")
        need_lengths(self, lengths, x)
        output = Tensor((x.batch, x.shape[1], self._directions * self.hidden_size), x.dtype)
        return (output, *[state] * (len(self.output_names) - 1))

    def weights(self, x: Tensor, *others: Tensor) -> tuple[Weight, ...]:
        start = uniform(self.hidden_size**-0.5)
        return tuple([Weight(name, shape, start=start) for name, shape in self._shapes(x).items()])

    def macs(self, y: Tensor, x: Tensor, *others: Tensor) -> Dim:
        # Of sequences that are as long as the batch is.
        matrices = [prod(shape) for shape in self._shapes(x).values() if len(shape) == 2]
        return x.batch * x.shape[1] * sum(matrices)

    def window(self, x: Tensor, *others: Tensor) -> Reach:
        return Reach.ALL

    def axes(self, x: Tensor, *others: Tensor) -> AxisOrigins:
        return 0, 1, None

    def mixed(self, x: Tensor, *others: Tensor) -> tuple[int, ...]:
        return 1, 2

    def batch_axes(self, x: Tensor, *others: Tensor) -> tuple[int, ...] | None:
        # States have the layers first; those that are given have no samples there.
        return None if len(others) > self.lengths else (0, *[1] * (len(self.output_names) - 1))

    def memory(self, train: bool, y: Tensor, x: Tensor, *others: Tensor) -> Memory:
        # That of ATen's own kernels, with sequences that are as long as the batch is. cuDNN and oneDNN have their own.
        batch, steps, features = known_sizes(x)
        run = RecurrentMemory(
            cell=self.cell,
            batch=batch,
            steps=steps,
            features=features,
            hidden=self.hidden_size,
            layers=self.num_layers,
            directions=self._directions,
            bias=self.bias,
            dropout=bool(self.dropout) and self.num_layers > 1,
            given=len(others) > self.lengths,
            packed=self.lengths,
            dtype=y.dtype,
        )
        return run.memory(train)

    def needs_values(self) -> bool:
        return self.lengths

    def smallest(self, number: int, count: int) -> int:
        return int(self.lengths and number == count - 1)

    def torch(self, x: Tensor, *others: Tensor) -> Layer:
        layer = self.layer(f"nn.{self.kind}", input_size=x.features, hidden_size=self.hidden_size)
        arguments = {name: value for name, value in layer.arguments.items() if name != "lengths"}
        unpack = "{0}, ({1}, {2})" if len(self.output_names) == 3 else ""
        return Layer(layer.target, {**arguments, "batch_first": True}, 2, self._call(others), unpack=unpack)

    def _call(self, others: tuple[Tensor, ...]) -> Code | None:
        """The call of the layer; None if it takes one input."""
        states, _ = split_inputs(self, self.lengths, others)
        values = [f"{{{number}}}" for number in range(1, 1 + len(states))]
        given = [f"({', '.join(values)})" if len(values) > 1 else value for value in values[:1]]
        if self.lengths:
            return Code("run_packed(", ("{layer}", "{0}", f"{{{len(others)}}}", *given), helpers=(RUN_PACKED,))
        return Code("{layer}(", ("{0}", *given)) if given else None

    def onnx(self, g: OnnxWriter, x: str, *others: str) -> tuple[str, ...]:
        given, lengths = split_inputs(self, self.lengths, others)
        directions, hidden = self._directions, self.hidden_size
        counts = onnx_lengths(g, x, lengths)
        begin = [self._of_each_layer(g, state) for state in given]
        ends: list[tuple[str, ...]] = []
        y = g.Transpose(x, perm=[1, 0, 2])  # ONNX has time first
        for layer in range(self.num_layers):
            weights = [self._stacked(g, "W", layer, "weight_ih"), self._stacked(g, "R", layer, "weight_hh")]
            weights.append(self._stacked(g, "B", layer, "bias_ih", "bias_hh") if self.bias else "")
            states = [each[layer] for each in begin]
            steps, *last = getattr(g, self.kind)(
                *_without_end([y, *weights, counts, *states]),
                outputs=len(self.output_names),
                hidden_size=hidden,
                direction="bidirectional" if self.bidirectional else "forward",
                **self._onnx_attributes(),
            )
            ends.append(tuple(last))
            # (T, directions, N, hidden); the last layer's batch comes first again.
            is_last = layer == self.num_layers - 1
            if directions == 1:
                # Squeezed first and then transposed, it crashes ONNX Runtime 1.31 before a MatMul in float16.
                y = g.Transpose(steps, perm=[2, 0, 1, 3]) if is_last else steps
                y = g.Squeeze(y, g.constant([2 if is_last else 1]))
            else:
                y = g.Transpose(steps, perm=[2, 0, 1, 3] if is_last else [0, 2, 1, 3])
                y = g.Reshape(y, g.constant([0, 0, directions * hidden]))
        states = [each[0] if len(each) == 1 else g.Concat(*each, axis=0) for each in zip(*ends, strict=True)]
        return y, *states

    def _of_each_layer(self, g: OnnxWriter, state: str) -> tuple[str, ...]:
        """In ONNX, the part of a state that each layer begins with."""
        layers = self.num_layers
        return (state,) if layers == 1 else g.Split(state, outputs=layers, num_outputs=layers, axis=0)

    def _stacked(self, g: OnnxWriter, name: str, layer: int, *weights: str) -> str:
        """In ONNX, weights of a layer in both directions as one, with the gates in ONNX's order."""
        hidden = self.hidden_size
        rows = [
            Rows(f"{weight}_l{layer}{direction}", gate * hidden, (gate + 1) * hidden)
            for direction in ("", "_reverse")[: self._directions]
            for weight in weights
            for gate in self.gates
        ]
        return g.stacked(f"{name}_l{layer}", rows, self._directions)

    def _onnx_attributes(self) -> dict[str, Any]:
        """The attributes of the op in ONNX that only this kind of layer has."""
        return {}

    def label(self) -> str:
        layers = f"{self.num_layers}-layer " if self.num_layers > 1 else ""
        return f"{layers}{'bidirectional ' if self.bidirectional else ''}{self.kind}, {self.hidden_size}"

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _in_features(self, x: Tensor) -> int:
        return known_int(x.features, f"the number of input features of `{self.opname}`")

    def _shapes(self, x: Tensor) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by torch's names, in the order of its state dict."""
        shapes: dict[str, tuple[int, ...]] = {}
        rows, hidden = len(self.gates) * self.hidden_size, self.hidden_size
        for layer in range(self.num_layers):
            width = self._directions * hidden if layer else self._in_features(x)
            for direction in ("", "_reverse")[: self._directions]:
                end = f"l{layer}{direction}"
                shapes |= {f"weight_ih_{end}": (rows, width), f"weight_hh_{end}": (rows, hidden)}
                shapes |= {f"bias_ih_{end}": (rows,), f"bias_hh_{end}": (rows,)} if self.bias else {}
        return shapes


def _without_end(values: list[str]) -> list[str]:
    """The inputs of an ONNX node without the missing ones at the end."""
    while not values[-1]:
        values.pop()
    return values


class Rnn(Recurrent, name="rnn", principal="hidden_size"):
    """Elman network over (N, T, F), as torch.nn.RNN with `batch_first`: h_t = tanh(W x_t + b + U h_{t-1} + c).

    The outputs are the last layer's states at each step, (N, T, hidden), and the last state of each layer and
    direction, (layers, N, hidden) (Elman 1990).

    It takes the sequences, `x`, or `[x, h]` with the states to begin with, which are zero otherwise. With
    `lengths: true` the last input is the length of each sequence, int64 (N,), at least 1: behind it the output is zero,
    and the last states are those at it.
    """

    nonlinearity: Annotated[Literal["tanh", "relu"], Takes("`tanh` or `relu`")] = "tanh"

    kind = "RNN"
    cell = ELMAN
    inputs: ClassVar[tuple[int, int | None]] = (1, 3)
    output_names = ("output", "h_n")
    examples = (
        example((2, 5, 4), hidden_size=3),
        example((3, 5, 4), (2, 3, 6), hidden_size=6, bidirectional=True, nonlinearity="relu"),
        example((3, 4, 2), (2, 3, 5), LENGTHS, hidden_size=5, num_layers=2, bias=False, lengths=True),
    )

    def _onnx_attributes(self) -> dict[str, Any]:
        return {"activations": [self.nonlinearity.capitalize()] * self._directions}


class Lstm(Recurrent, name="lstm", principal="hidden_size"):
    """Long short-term memory over (N, T, F), as torch.nn.LSTM with `batch_first`.

    The outputs are the last layer's hidden states at each step, (N, T, hidden), and the last hidden and cell states of
    each layer and direction, (layers, N, hidden) (Hochreiter & Schmidhuber 1997, with the forget gates of Gers,
    Schmidhuber & Cummins 2000).

    It takes the sequences, `x`, or `[x, h, c]` with the states to begin with, which are zero otherwise. With
    `lengths: true` the last input is the length of each sequence, int64 (N,), at least 1: behind it the output is zero,
    and the last states are those at it.
    """

    kind = "LSTM"
    cell = LSTM
    gates = (0, 3, 1, 2)
    inputs: ClassVar[tuple[int, int | None]] = (1, 4)
    output_names = ("output", "h_n", "c_n")
    examples = (
        example((2, 5, 4), hidden_size=3),
        example((2, 3, 4), (4, 2, 3), (4, 2, 3), hidden_size=3, num_layers=2, bidirectional=True),
        example((3, 4, 2), LENGTHS, hidden_size=2, bidirectional=True, lengths=True),
        example((3, 5, 1), (1, 3, 2), (1, 3, 2), LENGTHS, hidden_size=2, bias=False, lengths=True),
    )


class Gru(Recurrent, name="gru", principal="hidden_size"):
    """Gated recurrent units over (N, T, F), as torch.nn.GRU with `batch_first`.

    The outputs are the last layer's states at each step, (N, T, hidden), and the last state of each layer and
    direction, (layers, N, hidden) (Cho et al. 2014, with the reset gate behind the product, as in cuDNN).

    It takes the sequences, `x`, or `[x, h]` with the states to begin with, which are zero otherwise. With
    `lengths: true` the last input is the length of each sequence, int64 (N,), at least 1: behind it the output is zero,
    and the last states are those at it.
    """

    kind = "GRU"
    cell = GRU
    gates = (1, 0, 2)
    inputs: ClassVar[tuple[int, int | None]] = (1, 3)
    output_names = ("output", "h_n")
    examples = (
        example((2, 5, 4), hidden_size=3),
        example((3, 2, 4), (2, 3, 5), hidden_size=5, num_layers=2, bias=False),
        example((3, 4, 2), LENGTHS, hidden_size=2, num_layers=2, bidirectional=True, lengths=True),
    )

    def _onnx_attributes(self) -> dict[str, Any]:
        return {"linear_before_reset": 1}
