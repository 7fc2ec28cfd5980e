"""The memory of recurrent layers: a replay of what torch's own kernels allocate and free, those of ATen's RNN.cpp.

These run on CPUs, save where oneDNN does: LSTMs of float32 (or bfloat16) whose sequences are equally long. oneDNN, and
cuDNN on GPUs, keep one workspace instead, of another size. All sequences are taken to be as long as the batch is.
"""

from __future__ import annotations

from dataclasses import dataclass

from netspec.types import Memory, Tensor


class Heap:
    """The elements that are held now, and the most so far."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def begin(self) -> int:
        """Begin a new maximum with what is held now, and return the one before."""
        before, self.most = self.most, self.now
        return before

    def hold(self, *sizes: int) -> None:
        """Allocate tensors."""
        self.now += sum(sizes)
        self.most = max(self.most, self.now)

    def free(self, *sizes: int) -> None:
        """Free tensors."""
        self.now -= sum(sizes)

    def pass_through(self, *sizes: int) -> None:
        """Allocate tensors, and free them."""
        self.hold(*sizes)
        self.free(*sizes)


@dataclass(frozen=True, slots=True)
class StepMemory:
    """The memory of one step of a cell, as multiples of a state of one layer, (N, hidden).

    The cell has `states` states, and its weights have `gates` times the rows of a state. Autograd keeps `kept` of a
    step, with the states before it or, of an Elman network, the one that it makes; without autograd a step holds
    `running` at most, with the states that it makes. In the backward pass the first step and later ones hold `first`
    and `later` more at most until the gradients of their gates are there, and `product` more beside those of weights.
    """

    states: int
    gates: int
    kept: int
    running: int
    first: int
    later: int
    product: int


ELMAN = StepMemory(states=1, gates=1, kept=1, running=2, first=2, later=1, product=0)
"""Kept: the state, from which the gradient of tanh or ReLU follows."""
GRU = StepMemory(states=1, gates=3, kept=7, running=5, first=4, later=3, product=4)
"""Kept: three gates, what two products in place overwrite, the new gate, and the state before."""
LSTM = StepMemory(states=2, gates=4, kept=7, running=7, first=5, later=3, product=0)
"""Kept: four gates, the hyperbolic tangent of the cell state, and both states before."""


@dataclass(frozen=True, slots=True)
class RecurrentMemory:
    """The memory of a recurrent layer by its sizes; `given` if it has states to begin with, `packed` if it has lengths.

    The other sizes are numbers of elements.
    """

    cell: StepMemory
    batch: int
    steps: int
    features: int
    hidden: int
    layers: int
    directions: int
    bias: bool
    dropout: bool
    given: bool
    packed: bool
    dtype: str

    @property
    def state(self) -> int:
        """One state of one layer in one direction."""
        return self.batch * self.hidden

    @property
    def states(self) -> int:
        """The states of all layers and directions."""
        return self.cell.states * self.layers * self.directions * self.state

    @property
    def input(self) -> int:
        """The input of the first layer."""
        return self.steps * self.batch * self.features

    @property
    def output(self) -> int:
        """The output of a layer."""
        return self.steps * self.directions * self.state

    @property
    def gates(self) -> int:
        """The gates of all steps of a layer in one direction."""
        return self.steps * self.cell.gates * self.state

    @property
    def bias_size(self) -> int:
        """One of the two biases of a layer in one direction."""
        return self.cell.gates * self.hidden * self.bias

    @property
    def copies(self) -> bool:
        """Whether each direction of the first layer copies the input, to have time first."""
        return not self.packed and self.batch > 1 and self.steps > 1

    @property
    def kept(self) -> int:
        """The elements that autograd keeps, besides the input and the states to begin with."""
        of_steps = self.steps * self.cell.kept * self.state - self.before
        copies = self.input * (self.directions * self.copies + self.packed)
        between = (self.layers - 1) * self.output * (1 + self.dropout)
        return self.layers * self.directions * of_steps + copies + between

    @property
    def before(self) -> int:
        """The states to begin with, of one layer in one direction, if a step keeps the states before it."""
        return 0 if self.cell is ELMAN else self.cell.states * self.state

    @property
    def order(self) -> int:
        """The elements that are as large as an order of the samples, of int64."""
        return self.batch * {"float64": 1, "float32": 2}.get(self.dtype, 4)

    @property
    def initial(self) -> int:
        """The layer's own states to begin with: zeros, or with lengths those that are given, sorted."""
        return self.states if self.packed or not self.given else 0

    def memory(self, train: bool) -> Memory:
        """The memory of the layer besides its inputs and outputs."""
        outputs, most = self.output + self.states, self.forward(train)
        indices = (Tensor((self.batch,), "int64"), Tensor((self.batch,), "int64"), Tensor((self.steps,), "int64"))
        indices *= self.packed
        if not train:
            return Memory(scratch=(Tensor((most - outputs,), self.dtype), *indices))
        kept, (early, late) = self.kept + self.initial, self.backward()
        sequences = (0,) * (not self.packed and not self.copies)
        states = () if self.initial else tuple(range(1, 1 + self.cell.states))
        return Memory(
            (*sequences, *states),
            kept=(Tensor((kept,), self.dtype), *indices),
            scratch=(Tensor((most - outputs - kept,), self.dtype),),
            backward=(Tensor((early - outputs - kept,), self.dtype),),
            late=(Tensor((late,), self.dtype), *indices),
        )

    def forward(self, train: bool) -> int:
        """The elements that are held at most in the forward pass, besides the inputs."""
        heap = Heap()
        if self.packed:
            # Sorted by length, and then step by step.
            steps_first = self.input if self.batch > 1 and self.steps > 1 else 0
            heap.hold(self.input, steps_first, self.input)
            heap.free(steps_first)
            heap.pass_through(2 * self.order)
            heap.free(self.input)
        heap.hold(self.initial)
        for layer in range(self.layers):
            self._forward_layer(heap, layer, train)
        heap.hold(self.states)
        if self.packed:
            heap.free(0 if train and self.cell is ELMAN else self.states)  # of each layer
            heap.hold(self.states)  # with the samples in order
            heap.free(self.states)
            if not train:
                heap.free(self.initial, self.input)
            heap.hold(self.output, self.output, 2 * self.order)  # padded, and with the samples in order
        return heap.most

    def _forward_layer(self, heap: Heap, layer: int, train: bool) -> None:
        """Run a layer: its output is held then, with what is kept in training, else with its last states."""
        copied = self.input if layer == 0 and self.copies else 0
        until_output = 0  # what both directions hold until the layer's output is there
        for direction in range(self.directions):
            heap.hold(copied, self.gates)
            if not train:
                heap.free(copied)
            if direction and not self.packed:
                heap.free(self.gates)  # of the other direction
            outputs = self._forward_steps(heap, train)
            heap.hold(self.steps * self.state)  # the states of all steps as one tensor
            if self.packed:
                heap.pass_through(0 if direction else self.cell.states * self.state)  # and the last ones
                heap.free(self.gates, outputs)
            else:
                until_output += outputs
        if self.directions == 2:
            heap.hold(self.output)
            until_output += self.output
        heap.free(until_output, 0 if self.packed else self.gates)
        if layer and not train:
            heap.free(self.output)  # of the layer before
        if train and self.dropout and layer < self.layers - 1:
            heap.hold(self.output, self.output)  # the noise, and the product
            heap.free(self.output)

    def _forward_steps(self, heap: Heap, train: bool) -> int:
        """Run the steps, and return the elements of their outputs, if nothing else holds these."""
        cell, state = self.cell, self.state
        if train:
            heap.hold(self.steps * cell.kept * state)
            return 0
        outputs = (self.steps - 1) * state
        cell_state = (cell.states - 1) * state
        before = outputs + (cell_state if self.steps > 1 else 0)
        heap.hold(before)
        heap.pass_through(cell.running * state)
        heap.hold(outputs + state + cell_state - before)
        return outputs

    def backward(self) -> tuple[int, int]:
        """The elements that are held at most in the backward pass, until the gradient of the output is freed and then.

        These are with what is kept and all gradients.
        """
        heap, early = Heap(), 0
        heap.hold(self.kept, self.initial, self.output, self.states)
        if self.packed:
            heap.pass_through(self.output, self.output)
            heap.pass_through(self.states // self.cell.states)
            heap.free(self.order)
        for layer in reversed(range(self.layers)):
            for direction in reversed(range(self.directions)):
                early = self._backward_steps(heap, layer, direction) or early
                self._backward_input(heap, layer, direction)
            if layer and self.dropout:
                heap.hold(self.output)
                heap.free(self.output, self.output)  # the noise, and the gradient of the product
        if self.packed:
            heap.pass_through(self.input)
        if self.given:
            heap.pass_through(self.states)
        return early, heap.most

    def _backward_steps(self, heap: Heap, layer: int, direction: int) -> int:
        """Run the steps backward: the gradients of all gates and of the weights for the states are held then.

        The last layer's last direction frees the gradient of the output, and returns what was held at most until then.
        """
        early = 0
        cell, state, bias = self.cell, self.state, self.bias_size
        weight, of_gates, of_states = cell.gates * self.hidden**2, cell.gates * state, cell.states * state
        if not layer and not direction:
            heap.free(self.states)  # the gradients of the last states
        for step in range(self.steps):
            is_last = step == self.steps - 1
            heap.pass_through((cell.later if step else cell.first) * state)
            heap.free(cell.kept * state - (self.before if is_last else 0), of_states if step else 0)
            heap.hold(of_gates, 0 if is_last and not self.given else of_states)
            heap.hold(weight, bias)
            heap.pass_through(max((cell.product + (not is_last)) * state, bias if step else 0))
            if not direction and step == max(self.steps - 2, 0):
                heap.free(self.output)  # the gradient of the layer's output
                early = heap.begin() if layer == self.layers - 1 else 0
            if not direction and not layer and is_last:
                heap.free(self.initial)
            if step:
                heap.free(bias)
                heap.pass_through(weight)  # the sum of two
                heap.free(weight)
            if self.packed:
                heap.hold(self.gates)  # a step's gradients, with zeros for all others
                heap.free(of_gates, self.gates if step else 0)
        return early

    def _backward_input(self, heap: Heap, layer: int, direction: int) -> None:
        """Compute the gradients of a layer's input and of the weights for it."""
        width = self.directions * self.hidden if layer else self.features
        of_input = self.steps * self.batch * width
        if not self.packed:
            heap.hold(self.gates)
            heap.free(self.gates)
        heap.hold(of_input, self.cell.gates * self.hidden * width, self.bias_size)
        heap.free(self.gates, self.input if not layer and self.copies else 0)
        if not direction:
            heap.free(self.output if layer else self.input * self.packed)  # the layer's input
        if self.directions == 2 and not direction:
            heap.pass_through(of_input)  # the sum of both directions
            heap.free(of_input)
