"""The data that rules of ops take and return: tensors, weights, windows, memory, and forms in PyTorch and ONNX."""

from __future__ import annotations

import re
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
        """The type with sizes in place of symbols."""
        return Tensor(tuple([d if isinstance(d, int) else substitute(d, sizes) for d in self.shape]), self.dtype)

    def with_channels(self, channels: Dim) -> Tensor:
        return Tensor((self.shape[0], channels, *self.shape[2:]), self.dtype)

    def with_spatial(self, *spatial: Dim) -> Tensor:
        return Tensor((*self.shape[:2], *spatial), self.dtype)

    def __str__(self) -> str:
        return shape_text(f"({d})" if " " in str(d) else d for d in self.shape)


MOST_DATA_SIZES = 4
"""The number of sizes that depend on the data that an op may have."""


def data_size(number: int = 0) -> Dim:
    """A size that depends on the data, in the types that a rule returns; an op with several of them numbers them.

    A graph has symbols for them that are named after the node.
    """
    if not 0 <= number < MOST_DATA_SIZES:
        raise ValueError(f"an op has up to {MOST_DATA_SIZES} sizes that depend on the data, numbered from 0")
    return symbol(f"Data_{number}" if number else "Data")


DATA: Dim = data_size()
"""The only size of an op that depends on the data."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter or buffer of an op, by its name in the state dict; "" for a weight whose key is the op's path alone.

    `start` is PyTorch's initial value of it: a function of torch.nn.init, such as `uniform(0.25)`, or a number; None
    if the op does not tell.
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
        """The weight's name in `init` and in messages: `weight` if its name is ""."""
        return self.name or "weight"

    def key(self, path: str) -> str:
        """The weight's key in a state dict, for an owner at this path."""
        return f"{path}.{self.name}" if self.name else path


@dataclass(frozen=True, slots=True)
class Window:
    """The units of the input that one unit of the output sees: per spatial axis, `size` from `stride * index + start`.

    With `border`, units at the border also see others: through padding that repeats positions of the map, or because
    the map was rolled, so that positions of the other side came around.

    A 3x3 convolution with padding 1 and stride 2 is `Window((3, 3), (2, 2), (-1, -1))`.
    """

    size: tuple[int, ...]
    stride: tuple[int | Fraction, ...]
    start: tuple[int | Fraction, ...]
    border: bool = False


@dataclass(frozen=True, slots=True)
class Upsampling:
    """The units of the input that one unit of the output sees, for an output with more units than the input.

    Each spatial axis has `n` pairs `(first, last)`, one for each position in a period: unit `n * index + k` sees the
    input from `index + first` to `index + last` of pair `k`, or nothing if that pair is None. Nearest upsampling by 2
    has the pairs `((0, 0), (0, 0))` for each axis.
    """

    axes: tuple[tuple[tuple[int, int] | None, ...], ...]


class Reach(Enum):
    """The units of the input that a unit of the output sees, for ops without a sliding window."""

    POINT = "the unit at its own position"
    ALL = "every position"
    UNPLACED = "one position, no longer told by the unit's index"
    VARIES = "windows of different sizes"
    DATA = "positions that depend on the data"


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of an op in eager PyTorch, besides its inputs and a new output.

    In training, autograd keeps for the backward pass: the inputs with the numbers `inputs`, the first output if
    `output` is True or the outputs with the numbers `output`, and the further tensors `kept`. The tensors `scratch`
    exist only while the op runs, `backward` only while its backward pass runs. With `view`, the output needs no new
    memory: it is a view of the first input that the op reads, or of its weight if it reads none. With `hands_on`, the
    gradient of the output is also that of each input, or of those with these numbers, so that the backward pass
    allocates none.

    The gradients of all inputs and weights come on top of `backward`. An op with `late` computes them one after another
    instead, and frees `kept` bit by bit: `backward` counts those that come before the gradient of the first output is
    freed, and `late` is held after that, in place of `kept` and with all gradients.
    """

    inputs: tuple[int, ...] = ()
    output: bool | tuple[int, ...] = False
    kept: tuple[Tensor, ...] = ()
    scratch: tuple[Tensor, ...] = ()
    backward: tuple[Tensor, ...] = ()
    view: bool = False
    hands_on: bool | tuple[int, ...] = False
    late: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Helper:
    """A function or class that stands once at the top of generated source, however many ops use it.

    `source` defines it, formatted as `ruff format` does at 88 columns. It may read `torch`, `nn`, `Tensor` and `math`;
    `imports` are the other modules that it reads, such as `torchvision.ops`.
    """

    source: str
    imports: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that it defines.

        >>> Helper("def halved(x: Tensor) -> Tensor:\\n    return x / 2").name
        'halved'
        """
        definition = re.search(r"^(?:def|class) (\w+)", self.source, re.MULTILINE)
        return definition.group(1) if definition else ""


@dataclass(frozen=True, slots=True)
class Code:
    """An op printed as an expression: `head`, then `items` joined by commas, then `tail`.

    In these, `{0}` is the first input, and `{layer}` the layer that is called. An input that occurs more than once
    becomes a variable. `helpers` are the functions and classes that the expression uses.

    `Code("{0}.transpose(", ("1", "2"))` is `x.transpose(1, 2)`.
    """

    head: str
    items: tuple[str, ...]
    tail: str = ")"
    helpers: tuple[Helper, ...] = ()

    def __str__(self) -> str:
        return f"{self.head}{', '.join(self.items)}{self.tail}"


@dataclass(frozen=True, slots=True)
class Layer:
    """An op printed as an `nn.Module`: arguments by torch's names, of which the first `positional` are positional.

    `call` is the expression of its call, if that is not `layer(inputs)`. `inside` is a function that takes the
    arguments inside of the target, such as `torch.zeros` in `nn.Parameter(torch.zeros(...))`. `lists` are the names of
    arguments that are lists: their (2, 2) is not printed as 2, as that of a kernel is. `helpers` are definitions that
    the source needs: a target may be a class among them. `unpack` says how several outputs come out of the call where
    they are nested: `"{0}, ({1}, {2})"` for `output, (h_n, c_n) = self.lstm(x)`.

    `Layer("nn.Linear", {"in_features": 8, "out_features": 4}, positional=2)` is `nn.Linear(8, 4)`.
    """

    target: str
    arguments: Mapping[str, Any]
    positional: int = 0
    call: Code | None = None
    inside: str = ""
    lists: tuple[str, ...] = ()
    helpers: tuple[Helper, ...] = ()
    unpack: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """An op printed as a function call: `function(inputs, ...)`, or `function([inputs], ...)` if `listed`."""

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Infix:
    """An op printed as a binary operator between all inputs, and `constant` after them, unless it is "".

    `Infix("*", "0.5")` is `x * 0.5`.
    """

    operator: str
    constant: str = ""


Printed = Layer | Call | Infix | Code
"""The forms of an op in PyTorch."""


def helpers_of(printed: Printed) -> tuple[Helper, ...]:
    """The definitions that a printed form needs in the source."""
    if isinstance(printed, Layer):
        return (*printed.helpers, *(printed.call.helpers if printed.call is not None else ()))
    return printed.helpers if isinstance(printed, Code) else ()


Precision = Literal["half", "float32", "either"]
"""The floats in which an op computes in a model of half precision: see `Op.precision`."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows from `start` to before `stop` of a weight, by its name; as many rows of zeros if `weight` is None."""

    weight: str | None
    start: int
    stop: int


class OnnxWriter(Protocol):
    """The writer of ONNX nodes that a rule `onnx` gets: `g.Conv(x, g.weight("weight"), strides=[2, 2])` adds a node.

    Values are names: the rule's inputs, and the results of these methods. `g.Split(x, outputs=3)` returns three of
    them. Attributes are ONNX's; those that are None are left out.
    """

    opset: int

    def type(self, value: str) -> Tensor:
        """The type of an input of the rule."""
        ...

    def weight(self, name: str, plus: float = 0.0) -> str:
        """A weight of the op, by its name in the rule `weights`.

        `plus` is the number that ONNX's op adds to a variance: half precision must keep their sum.
        """
        ...

    def stacked(self, name: str, rows: Sequence[Rows], groups: int) -> str:
        """A weight of the model that consists of rows of the op's weights, in `groups` of equally many.

        Its shape is (groups, rows, ...). `name` is its name in the model, where the weights themselves have no place.
        """
        ...

    def constant(
        self,
        value: float | Sequence[float] | Sequence[Sequence[float]],
        dtype: str = "int64",
        shape: tuple[int, ...] | None = None,
    ) -> str:
        """A constant: a number, a list, or a list of lists; with `shape`, a tensor filled with the number.

        The dtype `"like"` is that of the op's first input.
        """
        ...

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        """The ONNX op of a name, as a function of its inputs and attributes."""
        ...


@dataclass(frozen=True, slots=True)
class Init:
    """A function of torch.nn.init, without its underscore, that fills a weight.

    Row `zero_row` of the weight, such as that of a padding token, is zero.
    """

    function: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    zero_row: int | None = None


def uniform(bound: float) -> Init:
    """The uniform distribution from -bound to bound."""
    return Init("uniform", {"a": -bound, "b": bound})


Filling = Init | float | tuple[float, ...]
"""The initial values of a weight: a function of torch.nn.init, a constant, or a value for each element."""
