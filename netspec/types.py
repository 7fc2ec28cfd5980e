"""The data that rules of ops get and give: tensors, weights, windows, memory, and forms in PyTorch and ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from math import prod
from typing import Any, Literal, Protocol

from netspec.dims import Dim, substitute, symbol
from netspec.shape_text import shape_text


@dataclass(frozen=True, slots=True)
class Tensor:
    """The type of a value: its shape, batch first, and its dtype by torch's name."""

    shape: tuple[Dim, ...]
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def batch(self) -> Dim:
        return self.shape[0]

    @property
    def channels(self) -> Dim:
        """Axis 1 of (N, C, ...)."""
        return self.shape[1]

    @property
    def height(self) -> Dim:
        return self.shape[-2]

    @property
    def width(self) -> Dim:
        return self.shape[-1]

    @property
    def features(self) -> Dim:
        """The last axis, as `torch.nn.Linear` reads it."""
        return self.shape[-1]

    @property
    def spatial(self) -> tuple[Dim, ...]:
        """The axes after batch and channels."""
        return self.shape[2:]

    def at(self, sizes: Mapping[str, Dim]) -> Tensor:
        """The same type with symbols replaced by sizes."""
        return Tensor(tuple([d if isinstance(d, int) else substitute(d, sizes) for d in self.shape]), self.dtype)

    def with_channels(self, channels: Dim) -> Tensor:
        return Tensor((self.shape[0], channels, *self.shape[2:]), self.dtype)

    def with_spatial(self, *spatial: Dim) -> Tensor:
        return Tensor((*self.shape[:2], *spatial), self.dtype)

    def __str__(self) -> str:
        return shape_text(f"({d})" if " " in str(d) else d for d in self.shape)


DATA: Dim = symbol("Data")
"""A size that only the data tell, in the type that a rule gives; in a graph it is a symbol named after the node."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter or buffer that an op owns, by its name in a state dict; `""` is a weight that is the op itself.

    `start` is what PyTorch fills it with when the layer is made: a function of torch.nn.init, such as `uniform(0.25)`,
    or a number. None: the op does not say.
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["parameter", "buffer"] = "parameter"
    dtype: str = "float32"
    start: Filling | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def called(self) -> str:
        """Its name in `init` and in messages."""
        return self.name or "weight"

    def key(self, path: str) -> str:
        """Its key in a state dict, where the op that owns it stands at this path."""
        return f"{path}.{self.name}" if self.name else path


@dataclass(frozen=True, slots=True)
class Window:
    """The units of the input that one unit of the output sees: per spatial axis, `size` from `stride * index + start`.

    With `border`, units at the border see others too, in a padding that repeats places of the map.

    A 3x3 convolution with padding 1 and stride 2 is `Window((3, 3), (2, 2), (-1, -1))`.
    """

    size: tuple[int, ...]
    stride: tuple[int | Fraction, ...]
    start: tuple[int | Fraction, ...]
    border: bool = False


@dataclass(frozen=True, slots=True)
class Upsampling:
    """The units of the input that one unit of the output sees where the output has more units, per spatial axis.

    An axis repeats itself: of `n` pairs of `(first, last)`, unit `n * index + k` sees the input from `index + first` to
    `index + last` of pair `k`, and nothing where that pair is None. Nearest upsampling by 2 has the pairs
    `((0, 0), (0, 0))` for each axis.
    """

    axes: tuple[tuple[tuple[int, int] | None, ...], ...]


class Reach(Enum):
    """The units of the input that a unit of the output sees where they are no sliding window."""

    POINT = "the unit at its own position"
    ALL = "every position"
    UNPLACED = "one position, no longer told by the unit's index"
    VARIES = "windows of different sizes"
    DATA = "positions that depend on the data"


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of an op in eager PyTorch, beside its inputs and a new output.

    In training autograd keeps until the backward pass: the inputs at the places `inputs`, the `output`, and the further
    tensors `kept`. `scratch` are tensors that are there only while the op runs, `backward` only while its backward
    pass runs. With `view` the output is no new memory, but that of the first input the op reads, or of its weight if it
    reads none. With `hands_on` the gradient of the output serves as that of each input, or of those at these places,
    so that the backward pass makes none.
    """

    inputs: tuple[int, ...] = ()
    output: bool = False
    kept: tuple[Tensor, ...] = ()
    scratch: tuple[Tensor, ...] = ()
    backward: tuple[Tensor, ...] = ()
    view: bool = False
    hands_on: bool | tuple[int, ...] = False


@dataclass(frozen=True, slots=True)
class Code:
    """An expression that stands for an op: `head`, `items` with commas between them, `tail`.

    `{0}` in these is the first input, and `{layer}` the layer that is called. An input that occurs more than once
    becomes a variable. `helper` is the source of a function that the expression calls.

    `Code("{0}.transpose(", ("1", "2"))` is `x.transpose(1, 2)`.
    """

    head: str
    items: tuple[str, ...]
    tail: str = ")"
    helper: str = ""

    def __str__(self) -> str:
        return f"{self.head}{', '.join(self.items)}{self.tail}"


@dataclass(frozen=True, slots=True)
class Layer:
    """An `nn.Module` that stands for an op: arguments by torch's names, the first `positional` of them unnamed.

    `call` is how it is called, where that is not `layer(inputs)`. `inside` is the function within the target that takes
    the arguments, where one does: `nn.Parameter(torch.zeros(...))`. `lists` are arguments that are lists, so that
    (2, 2) is not printed as 2, as it is for a kernel.

    `Layer("nn.Linear", {"in_features": 8, "out_features": 4}, positional=2)` is `nn.Linear(8, 4)`.
    """

    target: str
    arguments: Mapping[str, Any]
    positional: int = 0
    call: Code | None = None
    inside: str = ""
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A function call that stands for an op: `function(inputs, ...)`, or `function([inputs], ...)` where `listed`."""

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Infix:
    """A binary operator between all inputs that stands for an op."""

    operator: str


Printed = Layer | Call | Infix | Code
"""The forms of an op in PyTorch."""

Precision = Literal["half", "float32", "either"]
"""The floats in which an op computes where a model is in half precision: see `Op.precision`."""


class OnnxWriter(Protocol):
    """The writer of ONNX nodes that a rule `onnx` gets: `g.Conv(x, g.weight("weight"), strides=[2, 2])` adds a node.

    Values are names: those that enter the rule, and those that these methods give. `g.Split(x, outputs=3)` gives
    three of them. Attributes are ONNX's; those that are None are left out.
    """

    opset: int

    def type(self, value: str) -> Tensor:
        """The type of a value that enters the rule."""
        ...

    def weight(self, name: str, plus: float = 0.0) -> str:
        """A weight of the op, by its name in the rule `weights`.

        `plus` is the number that ONNX's op adds to a variance: half precision must keep their sum.
        """
        ...

    def constant(
        self,
        value: float | Sequence[float] | Sequence[Sequence[float]],
        dtype: str = "int64",
        shape: tuple[int, ...] | None = None,
    ) -> str:
        """A constant: a number, a list, or a list of lists; with a shape, one that is filled with a number.

        `"like"` is the dtype of the op's first input.
        """
        ...

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        """The ONNX op of a name, as a function of its inputs and attributes."""
        ...


@dataclass(frozen=True, slots=True)
class Init:
    """A function of torch.nn.init, without its underscore, that fills a weight."""

    function: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def uniform(bound: float) -> Init:
    """The uniform distribution from -bound to bound."""
    return Init("uniform", {"a": -bound, "b": bound})


Filling = Init | float | tuple[float, ...]
"""The first values of a weight: a function of torch.nn.init, a constant, or a value for each element."""
