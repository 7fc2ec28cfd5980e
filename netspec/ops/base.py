"""What an op is: one class that says everything about itself as plain data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, ClassVar, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from netspec.dims import Dim
from netspec.errors import choices, closest
from netspec.naming import check_module_name
from netspec.ops.fields import MAX_INT, Takes
from netspec.types import Code, Layer, Memory, OnnxWriter, Precision, Printed, Reach, Tensor, Upsampling, Weight, Window


class RuleError(Exception):
    """What an op's rule raises when its inputs do not fit; `at` names the attribute to blame, if one is."""

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
"""What the axes of an output are: axes of the input, several made one, or neither."""
REGISTRY: dict[str, type[Op]] = {}
"""Every op by its name in the spec language."""


def all_axes(*xs: Tensor) -> tuple[int, ...]:
    """The rule `axes` of an op that leaves all axes as they are."""
    return tuple(range(xs[0].rank))


class Op(BaseModel):
    """One kind of node: typed attributes, and the rules that tell all about it without running it.

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
    """How many inputs the op takes, least and most; None where there is no most."""
    reads: ClassVar[int | None] = None
    """How many of its inputs the op reads, from the first; of those after it only the sizes count. None: all."""
    commutes: ClassVar[bool] = False
    """Whether the inputs may change places."""
    precision: ClassVar[Precision] = "float32"
    """In which floats it computes where a model is in half precision (`netspec export --fp16`).

    An op says "half" if float16 is enough for what it takes and gives. "float32", as for arithmetic with positions in
    pixels, has its inputs cast before it; so has an op that says nothing. "either" is for ops that move values, or are
    as right as these: they compute in float32 beside an op that needs it, and else in half precision.
    """
    abbreviation: ClassVar[str | None] = None
    """What a diagram calls it in the box of the op before it; "" if it goes without saying, None for its label."""
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

    # A rule's arguments are the inputs' types: `x`, or `*xs` of a merge. `*args: Any, **kwargs: Any` is how
    # type checkers are told that a subclass may name them.

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
        """What one unit of the output sees of each input that the op reads."""

    def axes(self, *args: Any, **kwargs: Any) -> AxisOrigins | None:
        """For each axis of the output, the axis of the inputs whose places it has, one by one; None: nothing known.

        None for an axis: its places are others. Several axes: they are one there. A rule of ops whose inputs may have
        moved axes, as maps that are channels last.
        """
        return None

    def mixed(self, *args: Any, **kwargs: Any) -> tuple[int, ...]:
        """The axes of `axes` of which a unit sees every place, as those over which a norm is taken."""
        return ()

    def per_sample(self, *args: Any, **kwargs: Any) -> bool:
        """Whether, at inference, place n of each output's first axis follows from place n of each input's alone.

        Then a batch may be run in parts. An op that says nothing of it is taken to mix samples, as a softmax over the
        batch does. Other sizes than that of the first axis may be read from anywhere in an input.
        """
        return False

    def memory(self, train: bool, *args: Any, **kwargs: Any) -> Memory | None:
        """What is held beside the inputs and the output, from the first output's type and the inputs'; None: unknown.

        Sizes are numbers here, and dtypes those of the report.
        """
        return None

    @abstractmethod
    def torch(self, *args: Any, **kwargs: Any) -> Printed:
        """How PyTorch writes it."""

    def borrowed(self, *args: Any, **kwargs: Any) -> Code | None:
        """How PyTorch writes it with the weights of a layer of another kind, which is `{layer}`; None: it can't."""
        return None

    def onnx(self, g: OnnxWriter, *args: Any, **kwargs: Any) -> str | tuple[str, ...]:
        """Writes its ONNX nodes for inference, from its inputs' values, which go by name; gives its outputs' values.

        An op of one's own may be without: then its networks can't be exported.
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


class AttributeProblem(Exception):
    """An attribute that an op can't take: its name, what is wrong, and a way out."""

    def __init__(self, attribute: str, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.attribute = attribute
        self.code = code
        self.message = message
        self.help = help


def make_op(cls: type[Op], attributes: Mapping[str, Any]) -> tuple[Op | None, list[AttributeProblem]]:
    """An op with these attributes, or all that is wrong with them."""
    try:
        return cls.model_validate(dict(attributes)), []
    except ValidationError as error:
        problems: dict[str, AttributeProblem] = {}
        for detail in error.errors(include_url=False, include_context=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            # What is missing inside a value (`[1]` for a pair) makes the value wrong.
            kind = detail["type"] if len(detail["loc"]) == 1 else "wrong"
            problems.setdefault(name, _problem(cls, name, kind, attributes.get(name)))
        return None, list(problems.values())


def _problem(cls: type[Op], name: str, kind: str, value: Any) -> AttributeProblem:
    if kind == "missing":
        return AttributeProblem(name, "NS205", f"`{cls.opname}` needs `{name}`, {takes(cls, name)}")
    if kind == "extra_forbidden":
        known = list(cls.model_fields)
        part = [field for field in known if name in field.split("_")]
        help = f"did you mean `{part[0]}`?" if len(part) == 1 else closest(name, known)
        help = help or (f"it takes {choices(known)}" if known else "it takes no arguments")
        return AttributeProblem(name, "NS204", f"`{cls.opname}` has no attribute `{name}`", help)
    from netspec.expression import show, way_to_bool

    most = "; the largest number is 2**31 - 1" if type(value) is int and value > MAX_INT else ""
    whole = isinstance(value, float) and value.is_integer() and "integer" in takes(cls, name)
    flag = way_to_bool(value) if "true or false" in takes(cls, name) else ""
    help = f"write {value:.0f}" if whole else flag
    return AttributeProblem(name, "NS206", f"`{name}` takes {takes(cls, name)}, not {show(value)}{most}", help)


def takes(cls: type[Op], attribute: str) -> str:
    """What an attribute takes, in words."""
    field = cls.model_fields[attribute]
    said = next((extra.words for extra in field.metadata if isinstance(extra, Takes)), None)
    return said or _in_words(field.annotation)


_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def _in_words(annotation: Any) -> str:
    """A type of a field in words: those it says itself, else those of Python's own types."""
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Takes):
            return extra.words
    if get_origin(annotation) is Literal:
        return choices(str(word) for word in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return ", or ".join(_in_words(part) for part in get_args(annotation))
    if hasattr(annotation, "__metadata__"):
        return _in_words(annotation.__origin__)
    return _WORDS.get(annotation, "another kind of value")


@lru_cache(maxsize=1024)
def literal_words(cls: type[Op], attribute: str) -> frozenset[str]:
    """The words an attribute takes as they stand, such as `same`; other text is an expression."""
    field = cls.model_fields.get(attribute)
    return frozenset() if field is None else frozenset(_words(field.annotation))


def _words(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return {word for word in get_args(annotation) if isinstance(word, str)}
    if get_origin(annotation) in (Union, UnionType):
        return set[str]().union(*(_words(part) for part in get_args(annotation)))
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__)
    return set()


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
