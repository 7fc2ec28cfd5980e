"""Op, the base of all ops: typed attributes, and rules that describe an op as plain data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict

from netspec.dims import Dim
from netspec.naming import check_module_name
from netspec.types import Code, Layer, Memory, OnnxWriter, Precision, Printed, Reach, Tensor, Upsampling, Weight, Window


class RuleError(Exception):
    """An op's inputs do not fit; raised by its rules. `at` is the attribute to blame, if one is."""

    def __init__(self, message: str, *, at: str = "", code: str = "NS304", help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.code = code
        self.help = help


@dataclass(frozen=True, slots=True)
class Example:
    """Attributes and input shapes on which the contract test tries an op, and the op reference shows it."""

    attributes: Mapping[str, Any]
    inputs: tuple[tuple[int, ...], ...]


def example(*inputs: tuple[int, ...], **attributes: Any) -> Example:
    """Shorthand: the input shapes, then the attributes."""
    return Example(attributes, inputs)


AxisOrigins = tuple[int | tuple[int, ...] | None, ...]
"""The origin of each axis of an output: an axis of the input, several that became one, or None for neither."""
REGISTRY: dict[str, type[Op]] = {}
"""Every op by its name in the spec language."""


def all_axes(*xs: Tensor) -> tuple[int, ...]:
    """The rule `axes` of an op that keeps all axes."""
    return tuple(range(xs[0].rank))


class Op(BaseModel):
    """One kind of node: typed attributes, and rules that describe it without running it.

    A concrete op gives `name` (and `principal`, the attribute a scalar argument stands for, and `family`,
    its colour in diagrams) and every abstract rule: what costs nothing says `return 0`, so that an unknown
    op can never count as nothing. Rules get the types of their inputs and return plain data; they never
    import torch. A rule raises RuleError where the inputs do not fit.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    opname: ClassVar[str] = ""
    principal: ClassVar[str | None] = None
    family: ClassVar[str] = ""
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """The least and the most inputs that the op takes; None where there is no most."""
    reads: ClassVar[int | None] = None
    """The number of inputs that the op reads, from the first; of the others it takes sizes alone. None: all."""
    commutes: ClassVar[bool] = False
    """Whether the inputs may change places."""
    precision: ClassVar[Precision] = "float32"
    """In which floats it computes where a model is in half precision (`netspec export --fp16`).

    An op says "half" if float16 is enough for what it takes and gives. "float32", as for arithmetic with positions in
    pixels, has its inputs cast before it; so has an op that says nothing. "either" is for ops that move values, or are
    as right as these: they compute in float32 beside an op that needs it, and else in half precision.
    """
    abbreviation: ClassVar[str | None] = None
    """Its name in the box of the op before it in a diagram; "" if it goes without saying, None for its label."""
    sign: ClassVar[str] = ""
    """The sign that stands for it in a diagram, in place of a box, such as + for a sum."""
    output_names: ClassVar[tuple[str, ...]] = ("output",)
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

    # A rule's arguments are the inputs' types: `x`, or `*xs` of a merge. How many there are is data (`inputs`), which
    # no type can say: `*args: Any, **kwargs: Any` lets type checkers accept rules that name them.

    @abstractmethod
    def infer(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor, ...]:
        """The type of each output."""

    @abstractmethod
    def weights(self, *args: Any, **kwargs: Any) -> tuple[Weight, ...]:
        """The parameters and buffers the op owns, in the order of torch's state dict."""

    @abstractmethod
    def macs(self, *args: Any, **kwargs: Any) -> Dim | None:
        """Multiply-accumulates for the whole batch, from the first output's type and the inputs'; None: unknown."""

    @abstractmethod
    def window(self, *args: Any, **kwargs: Any) -> Window | Upsampling | Reach:
        """The units of each input that one unit of the output sees."""

    def axes(self, *args: Any, **kwargs: Any) -> AxisOrigins | None:
        """The origin of each axis of the output in the inputs; None where it is unknown.

        A number is the axis of the inputs with the same places, one by one; a tuple, axes that became one; None, other
        places. With it receptive fields follow axes that move, as in maps with channels last.

        >>> Permute(dims=(0, 2, 3, 1)).axes(Tensor((2, 3, 8, 8)))
        (0, 2, 3, 1)
        """
        return None

    def mixed(self, *args: Any, **kwargs: Any) -> tuple[int, ...]:
        """The axes of the inputs of which a unit of the output sees every place, such as those of a layer norm."""
        return ()

    def per_sample(self, *args: Any, **kwargs: Any) -> bool:
        """Whether, at inference, place n of each output's first axis follows from place n of each input's alone.

        Then a batch may be run in parts. An op that says nothing of it is taken to mix samples, as a softmax over the
        batch does. Other sizes than that of the first axis may be read from anywhere in an input.
        """
        return False

    def memory(self, train: bool, *args: Any, **kwargs: Any) -> Memory | None:
        """The memory beside the inputs and the output, from the first output's type and the inputs'; None: unknown.

        Sizes are numbers here, never symbols, and dtypes those of the report.
        """
        return None

    @abstractmethod
    def torch(self, *args: Any, **kwargs: Any) -> Printed:
        """Its form in PyTorch."""

    def borrowed(self, *args: Any, **kwargs: Any) -> Code | None:
        """Its form in PyTorch with the weights of a layer of another kind, which is `{layer}`; None: it has none."""
        return None

    def onnx(self, g: OnnxWriter, *args: Any, **kwargs: Any) -> str | tuple[str, ...]:
        """Write its ONNX nodes for inference: from the names of its inputs, give those of its outputs.

        An op of one's own may lack this rule: then its networks can't be exported.
        """
        raise RuleError(f"`{self.opname}` has no rule for ONNX", code="NS401", help="give its class a rule `onnx`")

    def layer(self, target: str, *, call: Code | None = None, lists: tuple[str, ...] = (), **arguments: Any) -> Layer:
        """A Layer whose unnamed arguments are these and whose options are the remaining attributes."""
        options = {field: getattr(self, field) for field in type(self).model_fields if field not in arguments}
        return Layer(target, {**arguments, **options}, positional=len(arguments), call=call, lists=lists)

    def label(self) -> str:
        """A few words for tables and diagrams: the op, and what its principal attribute says."""
        name = self.opname.replace("_", " ")
        value = getattr(self, self.principal) if self.principal else None
        return name if value is None or value == self.default(str(self.principal)) else f"{name}, {by(value)}"

    @classmethod
    def default(cls, attribute: str) -> Any:
        """The value an attribute has when nothing is said; `...` where something must be."""
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
    """A pair as `3x5`, and as `3` where both are equal; other values as they are."""
    if isinstance(value, tuple):
        pair = cast("tuple[Any, ...]", value)
        return str(pair[0]) if len(set(pair)) == 1 else "x".join(str(v) for v in pair)
    return str(value)


def by_both(pair: tuple[int, ...]) -> str:
    """A window as `3x3`."""
    return "x".join(str(v) for v in pair)


def known_int(size: Dim, what: str, *, at: str = "", help: str = "") -> int:
    """A size that has to be a number, since weights have its shape."""
    if isinstance(size, int):
        return size
    raise RuleError(f"{what} must be known, and is {size}", at=at, code="NS305", help=help)


def is_float(x: Tensor) -> bool:
    """Whether a tensor holds floats."""
    return x.dtype.startswith(("float", "bfloat"))


def need_floats(op: Op, x: Tensor) -> None:
    """Refuse a tensor of integers: the op's weights are floats."""
    if not is_float(x):
        raise RuleError(f"`{op.opname}` takes floats, and its input is {x.dtype}", code="NS302")


def axis_of(x: Tensor, axis: int, attribute: str) -> int:
    """An axis counted from the front; refused where there is none."""
    if not -x.rank <= axis < x.rank:
        raise RuleError(f"there is no axis {axis} in {x}", at=attribute, code="NS302")
    return axis % x.rank


def need_numbers(op: Op, x: Tensor) -> None:
    """Refuse a tensor of booleans, which torch has no such function for."""
    if x.dtype == "bool":
        raise RuleError(f"`{op.opname}` takes numbers, and its input is bool", code="NS302")


def need_rank(op: Op, x: Tensor, rank: int, axes: str) -> None:
    """Refuse a tensor of another rank."""
    if x.rank != rank:
        help = "the batch is the first axis of an input, as in `[N, 3, 224, 224]`" if x.rank == rank - 1 else ""
        raise RuleError(f"`{op.opname}` takes {axes}, {rank} axes, and its input is {x}", code="NS302", help=help)


class Elementwise(Op):
    """Ops that treat every element alike: same shape, no weights, no multiply-accumulates."""

    def infer(self, x: Tensor) -> Tensor:
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Window | Reach:
        return Reach.POINT


class Rearranging(Op, family="shape"):
    """Ops that keep, drop or move elements by their place: no weights, no multiply-accumulates."""

    precision = "either"

    @abstractmethod
    def axes(self, *args: Any, **kwargs: Any) -> tuple[int | None, ...]:
        """For each axis of the output, the axis of the first input that it is; None where its places are others."""

    def memory(self, train: bool, *args: Any, **kwargs: Any) -> Memory | None:
        return Memory(view=True, hands_on=True)

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, *xs: Tensor) -> int:
        return 0

    def window(self, *args: Any, **kwargs: Any) -> Window | Upsampling | Reach:
        # Batch and channels may change places with each other, and the map stays.
        x: Tensor = args[0]
        axes = self.axes(*args)
        return Reach.POINT if len(axes) == x.rank and axes[2:] == tuple(range(2, x.rank)) else Reach.UNPLACED


class Merge(Op, family="merge"):
    """Ops that join branches: two inputs or more, no weights, no multiply-accumulates."""

    inputs: ClassVar[tuple[int, int | None]] = (2, None)

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, *xs: Tensor) -> int:
        return 0

    def window(self, *xs: Tensor) -> Window | Reach:
        return Reach.POINT
