"""Memory of one pass through a network: what is held when, step by step, as eager PyTorch would.

Inference runs the nodes in order and frees a value after its last use. Training keeps what the backward pass needs
(docs/reports.md has the model). Sizes are exact; what an allocator rounds up to and the workspaces of convolution
libraries come on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from netspec.dims import symbols
from netspec.errors import fail
from netspec.graph.infer import check_sizes
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import live_nodes, outputs_of
from netspec.types import Memory, Tensor

DType = Literal["float32", "float16", "bfloat16", "float64"]
Optimizer = Literal["none", "sgd", "adam"]
BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2, "bool": 1}
WEIGHTS = ":weights"
OPTIMIZERS: dict[Optimizer, int] = {"none": 0, "sgd": 1, "adam": 2}
"""How many values an optimizer holds for each parameter: SGD's momentum, Adam's two moments."""


@dataclass(slots=True)
class NodeMemory:
    """A node's memory in bytes: `output` is made (0: a view), `kept` for the backward pass, `live` all there is."""

    output: int = 0
    kept: int = 0
    live: int = 0


@dataclass(slots=True)
class Ledger:
    """Bytes by what they stand for, each held by a number of holders, and the most there ever were."""

    sizes: dict[str, int] = field(default_factory=dict[str, int])
    holders: Counter[str] = field(default_factory=Counter[str])
    now: int = 0
    most: int = 0
    at: str = ""

    def hold(self, name: str, size: int) -> None:
        """Hold something, anew or once more."""
        if name not in self.sizes:
            self.sizes[name] = size
            self.now += size
        self.holders[name] += 1

    def drop(self, name: str) -> None:
        """Hold it no more; the last holder frees it."""
        self.holders[name] -= 1
        if not self.holders[name]:
            del self.holders[name]
            self.now -= self.sizes.pop(name)

    def mark(self, place: str, scratch: int = 0) -> int:
        """Note what is held at a place, with what is held there only for a moment."""
        live = self.now + scratch
        if live > self.most:
            self.most, self.at = live, place
        return live


@dataclass(slots=True)
class Pass:
    """One pass through a network: bytes of its weights and inputs, each node's use, and where most is held."""

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    inputs: int
    uses: dict[str, NodeMemory]
    peak: int
    at: str
    unknown: tuple[str, ...]

    @property
    def kept(self) -> int:
        """What is kept for the backward pass, values that several nodes keep counted once."""
        return sum(use.kept for use in self.uses.values())


class _Schedule:
    """The graph with sizes and dtypes, and which values are one memory."""

    def __init__(self, graph: Graph, mode: Mode, sizes: Mapping[str, int], dtype: DType) -> None:
        self.graph = graph
        self.train = mode == "train"
        self.nodes = live_nodes(graph, mode)
        self.outputs = outputs_of(graph, mode)
        self.types = {value: _as(type.at(sizes), dtype) for value, type in graph.types.items()}
        self.memories: dict[str, Memory] = {}
        self.unknown: list[str] = []
        self.root = {i.name: i.name for i in graph.inputs}
        for node in self.nodes:
            given = [self.types[value] for value in node.inputs]
            memory = node.op.memory(self.train, self.types[node.path], *given)
            if memory is None:
                self.unknown.append(node.path)
            self.memories[node.path] = memory or Memory()
            for value, _ in node.values():
                self.root[value] = self._root(node) if self.memories[node.path].view else value
        self.trained = self._trained()

    def _root(self, node: Node) -> str:
        """The memory that a view looks at: an input's, or that of weights where the op reads no input."""
        return WEIGHTS if node.op.reads == 0 else self.root[node.inputs[0]]

    def size(self, value: str) -> int:
        """Bytes of a value; weights are counted by themselves."""
        return 0 if value == WEIGHTS else size_of(self.types[value])

    def made(self, node: Node) -> list[str]:
        """The values for which a node takes new memory."""
        return [value for value, _ in node.values() if self.root[value] == value]

    def last_uses(self) -> dict[str, list[str]]:
        """By node, the memory that nothing reads after it."""
        last: dict[str, str] = {}
        for node in self.nodes:
            for value in [*self.made(node), *(self.root[value] for value in node.inputs)]:
                last[value] = node.path
        for value in [WEIGHTS, *(i.name for i in self.graph.inputs), *(self.root[value] for value in self.outputs)]:
            last.pop(value, None)
        found: dict[str, list[str]] = {}
        for value, path in last.items():
            found.setdefault(path, []).append(value)
        return found

    def _trained(self) -> set[str]:
        """The values that have a gradient: those that depend on a parameter, and that an output depends on."""
        found: set[str] = set()
        wanted = set(self.outputs)
        for node in reversed(self.nodes):
            if any(value in wanted for value, _ in node.values()):
                wanted.update(node.inputs[: node.op.reads])
        for node in self.nodes:
            if all(value not in wanted for value, _ in node.values()):
                continue
            own = any(w.kind == "parameter" for w in self.graph.weights(node))
            if own or any(value in found for value in node.inputs[: node.op.reads]):
                found.update(value for value, _ in node.values())
        return found


def memory(
    graph: Graph,
    mode: Mode = "inference",
    *,
    batch: int = 1,
    dtype: DType = "float32",
    optimizer: Optimizer = "none",
    at: Mapping[str, int] | None = None,
) -> Pass:
    """What one pass holds, in bytes: inference, or a training step with its backward pass and optimizer.

    `batch` is the size of the inputs' first axis, where that is symbolic; other symbols take their nominal sizes or
    those in `at`. `dtype` is that of weights and activations. Raises NetspecError NS305 where a size is open.
    """
    sizes = {**graph.nominal, **(at or {}), **_batch(graph, batch)}
    of_inputs = symbols([d for i in graph.inputs for d in i.type.shape])
    of_data = symbols([d for type in graph.types.values() for d in type.shape]) - of_inputs
    if of_data:
        names = ", ".join(sorted(of_data))
        fail("NS305", f"memory follows from sizes, and only the data tell {names} of `{graph.name}`")
    open_sizes = sorted(of_inputs - sizes.keys())
    if open_sizes:
        names = ", ".join(open_sizes) + f" of `{graph.name}` " + ("is" if len(open_sizes) == 1 else "are")
        fail("NS305", f"memory follows from sizes, and {names} open", help="fix them with `--input`")
    if at or batch != 1:
        check_sizes(graph, sizes)
    plan = _Schedule(graph, mode, sizes, dtype)
    parameters, buffers = _weights(graph, plan.nodes, dtype)
    ledger = Ledger()
    ledger.hold(WEIGHTS, parameters + buffers)
    if plan.train:
        ledger.hold(":optimizer", parameters * OPTIMIZERS[optimizer])
    for i in graph.inputs:
        ledger.hold(i.name, plan.size(i.name))
    uses = _forward(plan, ledger)
    if plan.train:
        _backward(plan, ledger, dtype)
    return Pass(
        parameters,
        buffers,
        parameters if plan.train else 0,
        parameters * OPTIMIZERS[optimizer] if plan.train else 0,
        sum(plan.size(i.name) for i in graph.inputs),
        uses,
        ledger.most,
        ledger.at,
        tuple(plan.unknown),
    )


def _forward(plan: _Schedule, ledger: Ledger) -> dict[str, NodeMemory]:
    uses: dict[str, NodeMemory] = {}
    freed = plan.last_uses()
    kept: set[str] = {i.name for i in plan.graph.inputs}
    for node in plan.nodes:
        memory = plan.memories[node.path]
        use = uses[node.path] = NodeMemory()
        for value in plan.made(node):
            ledger.hold(value, plan.size(value))
            use.output += plan.size(value)
        if plan.train and node.path in plan.trained:
            for name, size in _kept(plan, node):
                ledger.hold(name, size)
                use.kept += size if name not in kept else 0
                kept.add(name)
        # What nothing is trained by is kept by nobody, and made all the same.
        momentary = memory.scratch if node.path in plan.trained else (*memory.scratch, *memory.kept)
        use.live = ledger.mark(node.path, sum(map(size_of, momentary)))
        for value in freed.get(node.path, ()):
            ledger.drop(value)
    return uses


def _kept(plan: _Schedule, node: Node) -> Iterable[tuple[str, int]]:
    """What a node keeps for its backward pass: each with its bytes."""
    memory = plan.memories[node.path]
    values = [plan.root[node.inputs[place]] for place in memory.inputs]
    values += [plan.root[node.path]] if memory.output else []
    for value in dict.fromkeys(values):
        yield value, plan.size(value)
    for number, tensor in enumerate(memory.kept):
        yield f"{node.path}:kept {number}", size_of(tensor)


def _backward(plan: _Schedule, ledger: Ledger, dtype: DType) -> None:
    """Nodes in reverse: each takes the gradients of its outputs and gives those of its inputs and its weights."""
    gradients: dict[str, str] = {}
    for value in plan.outputs:
        if value in plan.trained:
            _give(plan, ledger, gradients, value, f"{value}:gradient")
    done: set[str] = set()
    for node in reversed(plan.nodes):
        if node.path not in plan.trained:
            continue
        given = [gradients.pop(value) for value, _ in node.values() if value in gradients]
        made = [value for value in dict.fromkeys(node.inputs[: node.op.reads]) if value in plan.trained]
        hands_on = plan.memories[node.path].hands_on
        places = range(len(node.inputs)) if hands_on is True else hands_on or ()
        handed = {node.inputs[place] for place in places} if given else set[str]()
        fresh = {value: given[0] if value in handed else f"{value}:gradient from {node.path}" for value in made}
        for value, name in fresh.items():
            ledger.hold(name, plan.size(value))
        for weight in plan.graph.weights(node):
            key = f"{weight.key(node.weights_of)}:gradient of a weight"
            if weight.kind == "parameter" and key not in done:
                done.add(key)
                ledger.hold(key, size_of(_as(Tensor(weight.shape, weight.dtype), dtype)))
        ledger.mark(f"{node.path} (backward)", sum(map(size_of, plan.memories[node.path].backward)))
        for name in given:
            ledger.drop(name)
        for name, _ in _kept(plan, node):
            ledger.drop(name)
        for value, name in fresh.items():
            _give(plan, ledger, gradients, value, name)
            ledger.drop(name)


def _give(plan: _Schedule, ledger: Ledger, gradients: dict[str, str], value: str, name: str) -> None:
    """A gradient for a value: the first, or added to one that is there."""
    first = gradients.get(value)
    if first is None:
        gradients[value] = name
        ledger.hold(name, plan.size(value))
    elif ledger.holders[first] > 1:
        # Others hold the first one too, so the sum is a new tensor.
        total = f"{value}:sum with {name}"
        ledger.hold(total, plan.size(value))
        ledger.mark(f"{value} (backward)")
        ledger.drop(first)
        gradients[value] = total


def _weights(graph: Graph, nodes: Iterable[Node], dtype: DType) -> tuple[int, int]:
    """Bytes of parameters and of buffers; a shared weight once."""
    sizes = {"parameter": 0, "buffer": 0}
    seen: set[str] = set()
    for node in nodes:
        for weight in graph.weights(node):
            key = weight.key(node.weights_of)
            if key not in seen:
                seen.add(key)
                sizes[weight.kind] += size_of(_as(Tensor(weight.shape, weight.dtype), dtype))
    return sizes["parameter"], sizes["buffer"]


def fixed_batch(graph: Graph) -> int | None:
    """The batch that all inputs have, where it is no symbol."""
    sizes = {i.type.shape[0] for i in graph.inputs}
    size = sizes.pop()
    return size if isinstance(size, int) and not sizes else None


def _batch(graph: Graph, batch: int) -> dict[str, int]:
    """The symbol that stands first in the inputs' shapes, with its size."""
    first = symbols([i.type.shape[0] for i in graph.inputs])
    if batch not in (1, fixed_batch(graph)) and not first:
        fail(
            "NS305", f"the batch of `{graph.name}` is fixed, and can't be {batch}", help="write `N` for it in the spec"
        )
    return dict.fromkeys(first, batch)


def _as(tensor: Tensor, dtype: DType) -> Tensor:
    """A tensor of floats in another precision."""
    return Tensor(tensor.shape, dtype) if tensor.dtype.startswith(("float", "bfloat")) else tensor


def size_of(tensor: Tensor) -> int:
    """Bytes of a tensor whose sizes are numbers."""
    count = BYTES[tensor.dtype]
    for size in tensor.shape:
        assert isinstance(size, int)
        count *= size
    return count
