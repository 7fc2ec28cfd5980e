"""Value numbers of tensors: tensors with equal numbers come from equal calls on equal weights and inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

ValueNumber = tuple[Any, ...]

_NUMBER = "_netspec_number"
"""The attribute of a tensor that holds its number."""
_CALL = "call"
_RESULT = "result"
_NOT_TENSORS = frozenset(
    ("dim", "size", "numel", "is_floating_point", "stride", "is_contiguous", "__len__", "__bool__")
)
"""Methods whose results are no tensors."""


class Numbers:
    """Gives equal values equal numbers, as value numbering in compilers does.

    A key is `("input", name)`, `("weight", key)`, a call with the numbers of its argument tensors, or one of several
    results of a call. Keys are kept in the order of their numbers, so that each comes after the keys it refers to.
    """

    def __init__(self, shapes: dict[ValueNumber, Any] | None = None) -> None:
        self.of: dict[ValueNumber, int] = {}
        self.shapes: dict[ValueNumber, Any] = {} if shapes is None else shapes
        """A cache of calls on the meta device: shape, strides and dtype of the result, by function and arguments."""

    def __call__(self, *key: Any) -> int:
        return self.of.setdefault(key, len(self.of))

    def replay(self, other: Numbers, leaves: Mapping[ValueNumber, int]) -> list[int]:
        """The numbers in this table for all keys of another one; `leaves` are those of its inputs and weights."""
        here: list[int] = []
        for key in other.of:
            number = leaves.get(key)
            if number is None and key[0] == _CALL:
                taken: tuple[int, ...] = key[3]
                number = self(*key[:3], tuple([here[n] for n in taken]), key[4])
            elif number is None and key[0] == _RESULT:
                number = self(_RESULT, here[key[1]], key[2])
            here.append(number if number is not None else self(*key))
        return here


class Trace(TorchFunctionMode):
    """Numbers the results of all calls of torch's functions and methods while it is active.

    Nested calls are not seen: a layer such as `nn.Conv2d` is one call, of `F.conv2d`. On the meta device, where tensors
    have no data, a call is run once for each combination of shapes.
    """

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        self.numbers = numbers
        self.computed: set[int] = set()
        """The numbers of the results of all calls so far."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__" or name in _NOT_TENSORS:
            return self.read(func, args)
        taken: list[Tensor] = []
        constants = (_frozen(args, taken), _frozen(options, taken))
        if taken and all(tensor.dtype.is_floating_point for tensor in taken):
            constants = _whole_as_ints(constants)
        numbers = tuple([self.number_of(tensor) for tensor in taken])
        changes = name == "__setitem__" or (name.endswith("_") and not name.endswith("__")) or options.get("inplace")
        if changes or not all(tensor.is_meta for tensor in taken):
            result = func(*args, **options)
        else:
            result = self.shaped(func, constants, taken, args, options)
        results = _tensors(result)
        if changes and taken:
            number = self.numbers(_CALL, func, constants, numbers, ())
            mark(taken[0], number)
        elif results:
            number = self.numbers(_CALL, func, constants, numbers, tuple([tuple(tensor.shape) for tensor in results]))
            if isinstance(result, Tensor):
                # A function that returns its argument, such as dropout in evaluation, still computes another value.
                result = result.detach() if any(result is tensor for tensor in taken) else result
                mark(result, number)
            else:
                self.computed.update(self.mark_each(results, number))
        else:
            return result
        self.computed.add(number)
        return result

    def read(self, func: Callable[..., Any], args: Sequence[Any]) -> Any:
        """The value of a tensor's attribute: mostly a size; a tensor, such as `x.T`, gets a number."""
        result = func(*args)
        if isinstance(result, Tensor) and isinstance(args[0], Tensor):
            result = result.detach() if result is args[0] else result
            mark(result, self.numbers(_CALL, func, (), (self.number_of(args[0]),), (tuple(result.shape),)))
        return result

    def shaped(
        self,
        func: Callable[..., Any],
        constants: Any,
        taken: Sequence[Tensor],
        args: Sequence[Any],
        options: Mapping[str, Any],
    ) -> Any:
        """The result of a call on tensors of the meta device, from the cache if such a call was run before."""
        shapes = self.numbers.shapes
        key = (func, constants, *[(tensor.shape, tensor.stride(), tensor.dtype) for tensor in taken])
        if key in shapes:
            shape, strides, dtype = shapes[key]
            return torch.empty_strided(shape, strides, dtype=dtype, device="meta")
        result = func(*args, **options)
        if type(result) is Tensor and result.is_meta and taken:
            shapes[key] = result.shape, result.stride(), result.dtype
        return result

    def mark_each(self, results: Sequence[Tensor], number: int) -> list[int]:
        """Number the results of a call that returns several tensors, and return the numbers."""
        numbers = [self.numbers(_RESULT, number, place) for place in range(len(results))]
        for tensor, each in zip(results, numbers, strict=True):
            mark(tensor, each)
        return numbers

    def number_of(self, tensor: Tensor) -> int:
        """The number of a tensor; one that no traced call returned, such as a constant, is numbered by its type."""
        number = tensor.__dict__.get(_NUMBER)
        return number if number is not None else self.numbers("constant", tuple(tensor.shape), str(tensor.dtype))


def mark(tensor: Tensor, number: int) -> None:
    """Give a tensor its number."""
    setattr(tensor, _NUMBER, number)


def mark_weights(module: torch.nn.Module, numbers: Numbers, path: str = "") -> list[str]:
    """Number the parameters and buffers of a module by their keys below a path, and return their names in the module.

    A constant, which is a buffer that no state dict has, is numbered by its elements where it has any: modules that
    share weights may have one each.
    """
    weights = module.state_dict(keep_vars=True).keys()
    named = dict([*module.named_parameters(), *module.named_buffers()])
    for name, tensor in named.items():
        if name in weights or tensor.is_meta:
            mark(tensor, numbers("weight", ".".join(part for part in (path, name) if part)))
        else:
            elements = tuple(map(float, tensor.flatten()))
            mark(tensor, numbers("constant", tensor.dtype, tuple(tensor.shape), elements))
    return list(named)


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list):
        return [tensor for item in result for tensor in _tensors(item)]  # pyright: ignore[reportUnknownVariableType]
    return []


def _frozen(value: Any, taken: list[Tensor]) -> Any:
    """The arguments of a call as a hashable key; tensors are appended to `taken`.

    Lists of equal numbers become one number, since `kernel_size=(3, 3)` and `kernel_size=3` are the same call.
    """
    if isinstance(value, Tensor):
        taken.append(value)
        return Tensor
    if isinstance(value, list | tuple):
        items = tuple([_frozen(item, taken) for item in value])  # pyright: ignore[reportUnknownVariableType]
        first = items[0] if items and type(items[0]) in (int, tuple) else None
        return first if first is not None and all(item == first for item in items) else ("list", *items)
    if isinstance(value, dict):
        return tuple([(key, _frozen(item, taken)) for key, item in cast("dict[str, Any]", value).items()])
    if isinstance(value, slice):
        return "slice", value.start, value.stop, value.step  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(value, bool | float):
        return type(value).__name__, repr(value)
    return value if value is None or isinstance(value, int | str | torch.dtype | torch.device) else repr(value)


def _whole_as_ints(constant: Any) -> Any:
    """A constant of `_frozen` with 2 for 2.0, which are one among floats: an attribute may be written as either."""
    if not isinstance(constant, tuple):
        return constant
    parts = cast("tuple[Any, ...]", constant)
    if len(parts) == 2 and parts[0] == "float":
        number = float(parts[1])
        return int(number) if number.is_integer() else parts
    return tuple([_whole_as_ints(part) for part in parts])
