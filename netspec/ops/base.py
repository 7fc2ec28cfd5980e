"""Op, the base class of all ops: typed attributes, and rules that describe an op as plain data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict

from netspec.dims import Dim
from netspec.naming import check_module_name
from netspec.types import (
    Code,
    Helper,
    Layer,
    Memory,
    OnnxWriter,
    Precision,
    Printed,
    Reach,
    Tensor,
    Upsampling,
    Weight,
    Window,
)


class RuleError(Exception):
    """An op's inputs do not fit; its rules raise it. `at` is the attribute to blame, "" if none is."""

    def __init__(self, message: str, *, at: str = "", code: str = "NS304", help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.code = code
        self.help = help


@dataclass(frozen=True, slots=True)
class Example:
    """Attributes and inputs for an op: the contract test tries them, and the op reference shows them.

    An input is a shape, of floats, or a Tensor. The contract test fills integers with numbers from 1 to 3.
    """

    attributes: Mapping[str, Any]
    inputs: tuple[tuple[int, ...] | Tensor, ...]

    @property
    def types(self) -> tuple[Tensor, ...]:
        """The types of the inputs."""
        return tuple([x if isinstance(x, Tensor) else Tensor(x) for x in self.inputs])


def example(*inputs: tuple[int, ...] | Tensor, **attributes: Any) -> Example:
    """Create an Example from inputs and attributes.

    >>> example((2, 3), dim=1).types
    (Tensor(shape=(2, 3), dtype='float32'),)
    """
    return Example(attributes, inputs)


Seen = Window | Upsampling | Reach
"""The units of an input that one unit of an output sees."""
AxisOrigins = tuple[int | tuple[int, ...] | None, ...]
"""The origin of each axis of an output: an axis of the input, a tuple of merged axes, or None for neither."""
REGISTRY: dict[str, type[Op]] = {}
"""Every op by its name in the spec language."""


def all_axes(*xs: Tensor) -> tuple[int, ...]:
    """The rule `axes` of an op that keeps all axes, those of the input with the most."""
    return tuple(range(max([x.rank for x in xs])))


class Op(BaseModel):
    """One kind of node: typed attributes, and rules that describe it without running it.

    A concrete op is a class with a `name`; it may have `principal`, the attribute that a bare value sets, and `family`,
    its colour in diagrams. It defines every abstract rule: an op without costs says `return 0`, so that an unknown op
    never counts as free. Rules get the types of the op's inputs and return plain data; they never import torch. They
    raise RuleError if the inputs do not fit.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    opname: ClassVar[str] = ""
    principal: ClassVar[str | None] = None
    family: ClassVar[str] = ""
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """The smallest and largest number of inputs; None for no upper limit."""
    reads: ClassVar[int | None] = None
    """The number of leading inputs whose elements are read; only the sizes of the others count. None means all."""
    differentiable: ClassVar[int | None] = None
    """The number of leading inputs that get a gradient, of those that are read. None means all of these."""
    regions: ClassVar[int | None] = None
    """The number of the input with regions, rows of an image's number and two corners: image, x1, y1, x2, y2.

    No image of another number may be asked for, so that a network is tried on regions of the first image.
    """
    commutes: ClassVar[bool] = False
    """True if the order of the inputs does not matter."""
    precision: ClassVar[Precision] = "float32"
    """The floats in which the op computes in a model of half precision (`netspec export --fp16`).

    "half" means that float16 is precise enough. "float32", the default, casts the inputs to float32, as arithmetic with
    positions in pixels needs. "either" is for ops that only move values, or are as exact: they compute in float32 next
    to an op that needs it, else in half precision.
    """
    abbreviation: ClassVar[str | None] = None
    """Its name in the box of the op before it in a diagram; "" if it is not mentioned there, None for its label."""
    sign: ClassVar[str] = ""
    """The sign that a diagram has in place of its box, such as + for a sum; "" for a box."""
    output_names: ClassVar[tuple[str, ...]] = ("output",)
    """The names of the outputs; `names_for` says those of an op whose attributes decide how many there are."""
    data_symbols: ClassVar[tuple[str, ...]] = ()
    """The symbols for `data_size(0)`, ..., such as `R` for regions, where a graph has no other size of that name."""
    examples: ClassVar[tuple[Example, ...]] = ()

    def __init_subclass__(
        cls, *, name: str = "", principal: str | None = None, family: str = "", **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if family:
            cls.family = family
        if name:
            other = REGISTRY.get(check_module_name(name, "an op", None))
            if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"there is an op `{name}` already, {other.__module__}.{other.__qualname__}")
            cls.opname = name
            cls.principal = principal
            REGISTRY[name] = cls

    @classmethod
    def names_for(cls, attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The names of the outputs with these attributes; None if their number does not follow from them.

        A spec's names are resolved before its expressions have values: an attribute that is one is missing here, and a
        list with expressions has None for these.
        """
        return cls.output_names

    @property
    def named_outputs(self) -> tuple[str, ...]:
        """The names of this op's outputs."""
        return self.names_for(vars(self)) or self.output_names

    # A rule's arguments are the types of the inputs: `x`, or `*xs` for a merge. Their number is data (`inputs`), which
    # no annotation can express: `*args: Any, **kwargs: Any` lets type checkers accept rules that name them.

    @abstractmethod
    def infer(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor, ...]:
        """The type of each output."""

    @abstractmethod
    def weights(self, *args: Any, **kwargs: Any) -> tuple[Weight, ...]:
        """The parameters and buffers of the op, in the order of torch's state dict."""

    @abstractmethod
    def macs(self, *args: Any, **kwargs: Any) -> Dim | None:
        """The multiply-accumulates for the batch, from the types of the first output and the inputs; None: unknown."""

    @abstractmethod
    def window(self, *args: Any, **kwargs: Any) -> Seen | tuple[Seen, ...]:
        """The units of each input that one unit of the output sees; a tuple says it for each input that is read.

        A Window goes along the spatial axes of the input, also of an op that drops some or gives them other places: the
        index along each is that along the axis of the output that it became.
        """

    def axes(self, *args: Any, **kwargs: Any) -> AxisOrigins | None:
        """The origin of each axis of the output in the inputs; None where it is unknown.

        A number is the axis of the inputs with the same positions, one by one; a tuple has axes that are merged; None
        means other positions. With this rule, receptive fields follow axes that move, as in maps with channels last.

        >>> from netspec.ops.rearrange import Permute
        >>> Permute(dims=(0, 2, 3, 1)).axes(Tensor((2, 3, 8, 8)))
        (0, 2, 3, 1)
        """
        return None

    def mixed(self, *args: Any, **kwargs: Any) -> tuple[int, ...]:
        """The axes along which a unit of the output sees all positions of the input, such as those of a layer norm."""
        return ()

    def per_sample(self, *args: Any, **kwargs: Any) -> bool:
        """Return whether, at inference, sample n of each output depends on sample n of each input alone.

        Then a batch may be run in parts. By default an op is assumed to mix samples, as a softmax over the batch does.
        All sizes but that of the first axis may depend on any input.
        """
        return False

    def batch_axes(self, *args: Any, **kwargs: Any) -> tuple[int, ...] | None:
        """The axis of each output that has the samples, if that is the first of each input; None if samples may mix.

        As `per_sample`, which is enough for an op whose outputs all have the samples first.
        """
        return (0,) * len(self.named_outputs) if self.per_sample(*args, **kwargs) else None

    def detects(self, *args: Any, **kwargs: Any) -> Dim | None:
        """The number of classes of an op that detects objects in images, with the background; None for other ops.

        The outputs of such an op have a row for each detection: its corners `boxes` (x1, y1, x2, y2) in pixels of the
        input, `scores`, `labels` (the numbers of the classes) and `images` (the numbers of the samples). A model with
        these outputs is a detector, and a Session converts them to detections.
        """
        return None

    def needs_values(self) -> bool:
        """Whether PyTorch needs the elements of an input to run the op: it then can't run on the meta device."""
        return False

    def smallest(self, number: int, count: int) -> int:
        """The smallest integer that the op takes as an element of its input `number`, of `count` inputs."""
        return 0

    def nominal(self, *args: Any, **kwargs: Any) -> tuple[int, ...]:
        """The nominal sizes of `data_size(0)`, `data_size(1)`, ..., the sizes of the outputs that depend on the data.

        Totals and memory are told at these, such as at 300 proposals; without them they are unknown. The inputs have
        their nominal sizes, or those that a report is asked for, such as a larger batch.
        """
        return ()

    def memory(self, train: bool, *args: Any, **kwargs: Any) -> Memory | None:
        """The memory besides the inputs and the output, from the first output's and the inputs' types; None: unknown.

        The sizes in these types are numbers, never symbols, and the dtypes are those of the report.
        """
        return None

    @abstractmethod
    def torch(self, *args: Any, **kwargs: Any) -> Printed:
        """The op's form in PyTorch: a layer, a function call, an operator or an expression."""

    def borrowed(self, *args: Any, **kwargs: Any) -> Code | None:
        """The op's form in PyTorch with the weights of a layer of another kind, `{layer}`; None if it has none."""
        return None

    def onnx(self, g: OnnxWriter, *args: Any, **kwargs: Any) -> str | tuple[str, ...]:
        """Write the op's ONNX nodes for inference: takes the names of its inputs, and returns those of its outputs.

        This rule is optional for a user's op: without it, networks with the op can't be exported.
        """
        raise RuleError(f"`{self.opname}` has no rule for ONNX", code="NS401", help="give its class a rule `onnx`")

    def layer(
        self,
        target: str,
        *,
        call: Code | None = None,
        lists: tuple[str, ...] = (),
        helpers: tuple[Helper, ...] = (),
        unpack: str = "",
        **arguments: Any,
    ) -> Layer:
        """A Layer with `arguments` as positional arguments, and the remaining attributes as options by name."""
        options = {field: getattr(self, field) for field in type(self).model_fields if field not in arguments}
        both = {**arguments, **options}
        return Layer(target, both, len(arguments), call, lists=lists, helpers=helpers, unpack=unpack)

    def label(self) -> str:
        """A few words for tables and diagrams: the op's name, and the value of its principal attribute."""
        name = self.opname.replace("_", " ")
        value = getattr(self, self.principal) if self.principal else None
        return name if value is None or value == self.default(str(self.principal)) else f"{name}, {by(value)}"

    @classmethod
    def default(cls, attribute: str) -> Any:
        """The default of an attribute; `...` for a required one."""
        field = cls.model_fields.get(attribute)
        return ... if field is None or field.is_required() else field.default

    def __str__(self) -> str:
        shown = [
            f"{field}={getattr(self, field)!r}"
            for field in type(self).model_fields
            if getattr(self, field) != self.default(field)
        ]
        return f"{self.opname}({', '.join(shown)})"


def by(value: Any) -> str:
    """The numbers of all axes as `3x5`, and as `3` where they are equal; other values as they are."""
    if isinstance(value, tuple):
        numbers = cast("tuple[Any, ...]", value)
        return str(numbers[0]) if len(set(numbers)) == 1 else "x".join(str(v) for v in numbers)
    return str(value)


def by_all(window: tuple[int, ...]) -> str:
    """A window as `3x3`."""
    return "x".join(str(v) for v in window)


def known_int(size: Dim, what: str, *, at: str = "", help: str = "") -> int:
    """A size that has to be a number, such as that of a weight; raises RuleError for a symbolic one."""
    if isinstance(size, int):
        return size
    raise RuleError(f"{what} must be known, and is {size}", at=at, code="NS305", help=help)


def known_sizes(x: Tensor) -> tuple[int, ...]:
    """The sizes of a tensor that has no symbolic ones, as those that the rule `memory` gets."""
    sizes = tuple([size for size in x.shape if isinstance(size, int)])
    assert len(sizes) == x.rank
    return sizes


def count_elements(x: Tensor) -> int:
    """The number of elements of a tensor that has no symbolic sizes."""
    return prod(known_sizes(x))


def is_float(x: Tensor) -> bool:
    """Return whether a tensor has floats."""
    return x.dtype.startswith(("float", "bfloat"))


def need_floats(op: Op, x: Tensor) -> None:
    """Refuse a tensor of integers: the op's weights are floats."""
    if not is_float(x):
        raise RuleError(f"`{op.opname}` takes floats, and its input is {x.dtype}", code="NS302")


def axis_of(x: Tensor, axis: int, attribute: str) -> int:
    """An axis counted from the front; raises RuleError for an axis that the tensor lacks."""
    if not -x.rank <= axis < x.rank:
        raise RuleError(f"there is no axis {axis} in {x}", at=attribute, code="NS302")
    return axis % x.rank


def need_numbers(op: Op, x: Tensor) -> None:
    """Refuse a tensor of booleans, for which torch lacks the function."""
    if x.dtype == "bool":
        raise RuleError(f"`{op.opname}` takes numbers, and its input is bool", code="NS302")


def need_rank(op: Op, x: Tensor, rank: int, axes: str) -> None:
    """Refuse a tensor of another rank."""
    if x.rank != rank:
        help = "the batch is the first axis of an input, as in `[N, 3, 224, 224]`" if x.rank == rank - 1 else ""
        raise RuleError(f"`{op.opname}` takes {axes}, {rank} axes, and its input is {x}", code="NS302", help=help)


class Costless(Op):
    """The base of ops that have no weights and multiply nothing."""

    def weights(self, *args: Any, **kwargs: Any) -> tuple[Weight, ...]:
        return ()

    def macs(self, *args: Any, **kwargs: Any) -> Dim | None:
        return 0


class Elementwise(Costless):
    """The base of ops whose output has the shape of their input: no weights, no multiply-accumulates."""

    def infer(self, x: Tensor) -> Tensor:
        return x

    def window(self, x: Tensor) -> Window | Reach:
        return Reach.POINT


class Rearranging(Costless, family="shape"):
    """The base of ops that keep, drop or move elements by position: no weights, no multiply-accumulates."""

    precision = "either"

    @abstractmethod
    def axes(self, *args: Any, **kwargs: Any) -> tuple[int | None, ...]:
        """The axis of the first input that each axis of the output is; None for an axis with other positions."""

    def memory(self, train: bool, *args: Any, **kwargs: Any) -> Memory | None:
        return Memory(view=True, hands_on=True)

    def window(self, *args: Any, **kwargs: Any) -> Window | Upsampling | Reach:
        # The map stays in place if only batch and channels are swapped.
        x: Tensor = args[0]
        axes = self.axes(*args)
        return Reach.POINT if len(axes) == x.rank and axes[2:] == tuple(range(2, x.rank)) else Reach.UNPLACED


class Merge(Costless, family="merge"):
    """The base of ops that join branches: two inputs or more, no weights, no multiply-accumulates."""

    inputs: ClassVar[tuple[int, int | None]] = (2, None)

    def window(self, *xs: Tensor) -> Window | Reach:
        return Reach.POINT
