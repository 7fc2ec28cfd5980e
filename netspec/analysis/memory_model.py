"""Simulates the memory of one pass through a network: which tensors are held at each step, as in eager PyTorch.

Inference runs the nodes in order and frees a value after its last use. Training keeps what the backward pass needs
(docs/reports.md has the model). Sizes are exact, but leave out what an allocator rounds up and the workspaces of
convolution libraries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from netspec.dims import symbols
from netspec.errors import fail
from netspec.graph.infer import check_sizes
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import differentiable_inputs, live_nodes, outputs_of
from netspec.ops.base import is_float, known_sizes
from netspec.types import Memory, Tensor, Weight

DType = Literal["float32", "float16", "bfloat16", "float64"]
Optimizer = Literal["none", "sgd", "adam"]
BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2, "bool": 1}
"""The size of an element in bytes, by dtype."""
OPTIMIZERS: dict[Optimizer, int] = {"none": 0, "sgd": 1, "adam": 2}
"""The number of values that an optimizer holds for each parameter: SGD's momentum, Adam's two moments."""

_WEIGHTS = ":weights"
"""The ledger's name for all weights together."""


@dataclass(slots=True)
class NodeMemory:
    """A node's memory in bytes: of its `output` (0 for a view), `kept` for backward, and all that is `live`."""

    output: int = 0
    kept: int = 0
    live: int = 0


@dataclass(frozen=True, slots=True)
class PassMemory:
    """The memory of one pass: bytes of weights and inputs, of each node, and the peak with its place.

    `unknown` are the paths of the nodes whose ops do not say what they hold.
    """

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    inputs: int
    nodes: Mapping[str, NodeMemory]
    peak: int
    peak_at: str
    unknown: tuple[str, ...]

    @property
    def kept(self) -> int:
        """The bytes kept for the backward pass; a value that several nodes keep is counted once."""
        return sum(node.kept for node in self.nodes.values())


def simulate_pass(
    graph: Graph,
    mode: Mode = "inference",
    *,
    batch: int = 1,
    dtype: DType = "float32",
    optimizer: Optimizer = "none",
    at: Mapping[str, int] | None = None,
) -> PassMemory:
    """The memory of one pass in bytes: of inference, or of a training step with its backward pass and optimizer.

    `batch` is the size of the inputs' first axis if that is symbolic; other symbols have their nominal sizes, or those
    in `at`. `dtype` is that of weights and activations. Raises NetspecError NS305 if a size is open.
    """
    schedule = _Schedule(graph, mode, _sizes(graph, batch, at or {}), dtype)
    parameters, buffers = _weight_bytes(schedule)
    optimizer_state = parameters * OPTIMIZERS[optimizer] if schedule.train else 0
    ledger = _Ledger()
    ledger.hold(_WEIGHTS, parameters + buffers)
    ledger.hold(":optimizer", optimizer_state)
    for i in graph.inputs:
        ledger.hold(i.name, schedule.size(i.name))
    nodes = _forward(schedule, ledger)
    if schedule.train:
        _backward(schedule, ledger)
    return PassMemory(
        parameters=parameters,
        buffers=buffers,
        gradients=parameters if schedule.train else 0,
        optimizer=optimizer_state,
        inputs=sum(schedule.size(i.name) for i in graph.inputs),
        nodes=nodes,
        peak=ledger.most,
        peak_at=ledger.most_at,
        unknown=tuple(schedule.unknown),
    )


# Sizes.


def _sizes(graph: Graph, batch: int, at: Mapping[str, int]) -> dict[str, int]:
    """The size of every symbol. Raises NetspecError NS305 if one is open, or the error of an op that refuses a size."""
    sizes = graph.sizes({**at, **batch_sizes(graph, batch)})
    of_inputs = symbols([d for i in graph.inputs for d in i.type.shape])
    of_data = graph.symbols - of_inputs - sizes.keys()
    if of_data:
        names = ", ".join(sorted(of_data))
        fail("NS305", f"memory follows from sizes, and only the data tell {names} of `{graph.name}`")
    open_sizes = sorted(of_inputs - sizes.keys())
    if open_sizes:
        names = ", ".join(open_sizes) + f" of `{graph.name}` " + ("is" if len(open_sizes) == 1 else "are")
        fail("NS305", f"memory follows from sizes, and {names} open", help="fix them with `--input`")
    if at or batch != 1:
        check_sizes(graph, sizes)
    return sizes


def batch_sizes(graph: Graph, batch: int) -> dict[str, int]:
    """The sizes of the symbols in the inputs' first axes that are the batch.

    A first axis with a nominal size beside another without one is no batch: that of regions, beside that of images.
    """
    first = symbols([i.type.shape[0] for i in graph.inputs])
    first = first - {symbol for i in graph.inputs for symbol in i.nominal} or first
    if batch not in (1, fixed_batch(graph)) and not first:
        message = f"the batch of `{graph.name}` is fixed, and can't be {batch}"
        fail("NS305", message, help="write `N` for it in the spec")
    return dict.fromkeys(first, batch)


def fixed_batch(graph: Graph) -> int | None:
    """The batch size of all inputs, if it is one number; else None."""
    sizes = {i.type.shape[0] for i in graph.inputs}
    size = sizes.pop()
    return size if isinstance(size, int) and not sizes else None


def size_of(*tensors: Tensor) -> int:
    """The bytes of tensors without symbolic sizes."""
    return sum([BYTES[tensor.dtype] * prod(known_sizes(tensor)) for tensor in tensors])


def _weight_bytes(schedule: _Schedule) -> tuple[int, int]:
    """Bytes of parameters and of buffers; a shared weight once."""
    weights = {weight.key(node.weights_of): weight for node in schedule.nodes for weight in schedule.weights(node)}
    sizes = {"parameter": 0, "buffer": 0}
    for weight in weights.values():
        sizes[weight.kind] += schedule.weight_size(weight)
    return sizes["parameter"], sizes["buffer"]


# What is held, and by how many.


@dataclass(slots=True)
class _Ledger:
    """A ledger of reference-counted memory: bytes by name, the sum held now, and its maximum so far."""

    sizes: dict[str, int] = field(default_factory=dict[str, int])
    holders: Counter[str] = field(default_factory=Counter[str])
    now: int = 0
    most: int = 0
    most_at: str = ""

    def hold(self, name: str, size: int) -> None:
        """Add a holder of a name; the first one allocates its bytes."""
        if name not in self.sizes:
            self.sizes[name] = size
            self.now += size
        self.holders[name] += 1

    def drop(self, name: str) -> None:
        """Remove a holder of a name; the last one frees its bytes."""
        self.holders[name] -= 1
        if not self.holders[name]:
            del self.holders[name]
            self.now -= self.sizes.pop(name)

    def mark(self, place: str, scratch: int = 0) -> int:
        """Note the bytes held at a place, plus `scratch` bytes that are held only for a moment, and return them."""
        live = self.now + scratch
        if live > self.most:
            self.most, self.most_at = live, place
        return live


class _Schedule:
    """The nodes of a mode in order, with the sizes of all values, and which values share memory.

    `root` maps each value to the value that owns its memory: itself, or for a view the value that it views. `trained`
    are the values with a gradient, and `unknown` the paths of nodes whose ops do not say what they hold.
    """

    def __init__(self, graph: Graph, mode: Mode, sizes: Mapping[str, int], dtype: DType) -> None:
        self.graph = graph
        self.train = mode == "train"
        self.nodes = _as_run(graph, mode)
        self.outputs = outputs_of(graph, mode)
        self.root = {i.name: i.name for i in graph.inputs}
        self.unknown: list[str] = []
        self._dtype: DType = dtype
        # Few types are different objects.
        distinct = {id(type): type for type in graph.types.values()}
        sized = {key: self._in_dtype(type.at(sizes)) for key, type in distinct.items()}
        self._types = {value: sized[id(type)] for value, type in graph.types.items()}
        self.weights = NodeMemo(graph, lambda node, inputs: node.op.weights(*inputs))
        memory_of = NodeMemo(
            graph,
            lambda node, inputs: node.op.memory(self.train, self._types[node.path], *[sized[id(x)] for x in inputs]),
        )
        self._memories: dict[str, Memory] = {}
        for node in self.nodes:
            memory = memory_of(node)
            if memory is None:
                self.unknown.append(node.path)
            self._memories[node.path] = memory or Memory()
            for value, _ in node.values():
                self.root[value] = self._viewed(node) if self.memory(node).view else value
        self.trained = self._trained()

    def memory(self, node: Node) -> Memory:
        """The result of the rule `memory` of a node's op."""
        return self._memories[node.path]

    def size(self, value: str) -> int:
        """The bytes of a value; 0 for the weights, which are counted separately."""
        return 0 if value == _WEIGHTS else size_of(self._types[value])

    def weight_size(self, weight: Weight) -> int:
        """The bytes of a weight."""
        return size_of(self._in_dtype(Tensor(weight.shape, weight.dtype)))

    def new_values(self, node: Node) -> list[str]:
        """The outputs of a node that are no views."""
        return [value for value, _ in node.values() if self.root[value] == value]

    def kept(self, node: Node) -> Iterable[tuple[str, int]]:
        """The names and bytes of the tensors that a node keeps for its backward pass."""
        memory = self.memory(node)
        values = [self.root[node.inputs[place]] for place in memory.inputs]
        outputs = (0,) if memory.output is True else memory.output or ()
        values += [self.root[node.values()[place][0]] for place in outputs]
        for value in dict.fromkeys(values):
            yield value, self.size(value)
        for number, tensor in enumerate(memory.kept):
            yield f"{node.path}:kept {number}", size_of(tensor)

    def freed_after(self) -> dict[str, list[str]]:
        """For each node, the values that own their memory and that no later node reads."""
        last: dict[str, str] = {}
        for node in self.nodes:
            for value in [*self.new_values(node), *(self.root[value] for value in node.inputs)]:
                last[value] = node.path
        for value in [_WEIGHTS, *(i.name for i in self.graph.inputs), *(self.root[value] for value in self.outputs)]:
            last.pop(value, None)
        freed: dict[str, list[str]] = {}
        for value, path in last.items():
            freed.setdefault(path, []).append(value)
        return freed

    def _viewed(self, node: Node) -> str:
        """The owner of the memory that a view shows: an input, or the weights if the op reads no input."""
        return _WEIGHTS if node.op.reads == 0 else self.root[node.inputs[0]]

    def _in_dtype(self, tensor: Tensor) -> Tensor:
        """A type of floats in the dtype of the pass; any other type unchanged."""
        return Tensor(tensor.shape, self._dtype) if tensor.dtype.startswith(("float", "bfloat")) else tensor

    def _trained(self) -> set[str]:
        """The values with a gradient: those that depend on a parameter, and that an output depends on."""
        needed = set(self.outputs)
        for node in reversed(self.nodes):
            if any(value in needed for value, _ in node.values()):
                needed.update(differentiable_inputs(node))
        trained: set[str] = set()
        for node in self.nodes:
            if all(value not in needed for value, _ in node.values()):
                continue
            has_parameters = any(w.kind == "parameter" for w in self.weights(node))
            if has_parameters or any(value in trained for value in differentiable_inputs(node)):
                trained.update(value for value, type in node.values() if is_float(type))
        return trained


# The two halves of a pass.


def _as_run(graph: Graph, mode: Mode) -> list[Node]:
    """The nodes that the outputs of a mode need, in the order in which a module runs them.

    What only outputs of training need is run last, wherever it stands, and so its gradients come first.
    """
    first = {node.path for node in live_nodes(graph, "inference")}
    return sorted(live_nodes(graph, mode), key=lambda node: node.path not in first)


def _forward(schedule: _Schedule, ledger: _Ledger) -> dict[str, NodeMemory]:
    """Simulate the nodes in order, and free values after their last use."""
    nodes: dict[str, NodeMemory] = {}
    freed = schedule.freed_after()
    kept: set[str] = {i.name for i in schedule.graph.inputs}
    for node in schedule.nodes:
        memory = schedule.memory(node)
        use = nodes[node.path] = NodeMemory()
        for value in schedule.new_values(node):
            ledger.hold(value, schedule.size(value))
            use.output += schedule.size(value)
        if schedule.train and node.path in schedule.trained:
            for name, size in schedule.kept(node):
                ledger.hold(name, size)
                use.kept += size if name not in kept else 0
                kept.add(name)
        # Without a gradient, tensors that would be kept, such as the indices of a max pool, are computed and dropped.
        scratch = memory.scratch if node.path in schedule.trained else (*memory.scratch, *memory.kept)
        use.live = ledger.mark(node.path, size_of(*scratch))
        for value in freed.get(node.path, ()):
            ledger.drop(value)
    return nodes


def _backward(schedule: _Schedule, ledger: _Ledger) -> None:
    """Simulate the nodes in reverse: each turns the gradients of its outputs into those of its inputs and weights."""
    gradients = _Gradients(schedule, ledger)
    for value in schedule.outputs:
        if value in schedule.trained:
            gradients.give(value, f"{value}:gradient")
    for node in reversed(schedule.nodes):
        if node.path not in schedule.trained:
            continue
        memory, moment = schedule.memory(node), f"{node.path} (backward)"
        of_outputs = gradients.take(node)
        passed_on = range(len(node.inputs)) if memory.hands_on is True else memory.hands_on or ()
        same = {node.inputs[place] for place in passed_on} if of_outputs else set[str]()
        of_inputs = {
            value: of_outputs[0] if value in same else f"{value}:gradient from {node.path}"
            for value in differentiable_inputs(node)
            if value in schedule.trained
        }
        if memory.late:  # it has gradients of its own, one after another
            ledger.mark(moment, size_of(*memory.backward))
            while of_outputs:
                ledger.drop(of_outputs.pop())
            ledger.mark(moment, size_of(*memory.late) - size_of(*memory.kept))
        for value, name in of_inputs.items():
            ledger.hold(name, schedule.size(value))
        gradients.hold_weights(node)
        if not memory.late:
            ledger.mark(moment, size_of(*memory.backward))
        for name in of_outputs:
            ledger.drop(name)
        for name, _ in schedule.kept(node):
            ledger.drop(name)
        for value, name in of_inputs.items():
            gradients.give(value, name)
            ledger.drop(name)


class _Gradients:
    """The gradients of values during the backward pass, by their names in the ledger."""

    def __init__(self, schedule: _Schedule, ledger: _Ledger) -> None:
        self._schedule = schedule
        self._ledger = ledger
        self._names: dict[str, str] = {}
        self._weights: set[str] = set()

    def give(self, value: str, name: str) -> None:
        """Set the gradient of a value, or add to the gradient that it has."""
        ledger, size = self._ledger, self._schedule.size(value)
        first = self._names.get(value)
        if first is None:
            self._names[value] = name
            ledger.hold(name, size)
        elif ledger.holders[first] > 1:
            # The first gradient is also held elsewhere, so the sum is a new tensor.
            total = self._names[value] = f"{value}:sum with {name}"
            ledger.hold(total, size)
            ledger.mark(f"{value} (backward)")
            ledger.drop(first)

    def take(self, node: Node) -> list[str]:
        """Remove and return the gradients of a node's outputs; the caller drops them from the ledger."""
        return [self._names.pop(value) for value, _ in node.values() if value in self._names]

    def hold_weights(self, node: Node) -> None:
        """Hold the gradients of a node's parameters until the end; those of shared ones once."""
        for weight in self._schedule.weights(node):
            key = f"{weight.key(node.weights_of)}:gradient of a weight"
            if weight.kind == "parameter" and key not in self._weights:
                self._weights.add(key)
                self._ledger.hold(key, self._schedule.weight_size(weight))
