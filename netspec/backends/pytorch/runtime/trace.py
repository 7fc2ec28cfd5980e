"""Value numbers of tensors: equal numbers are computed by equal calls from equal weights and inputs."""

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

    A key is `("input", name)`, `("weight", key)`, a call with the numbers of the tensors that it takes, or one of the
    results of a call. Keys stand in the order in which they were first met, each after those it is made of.
    """

    def __init__(self, known: dict[ValueNumber, Any] | None = None) -> None:
        self.of: dict[ValueNumber, int] = {}
        self.known: dict[ValueNumber, Any] = {} if known is None else known
        """The results of calls on the meta device, by the call and the shapes that it took: it is not made again."""

    def __call__(self, *key: Any) -> int:
        return self.of.setdefault(key, len(self.of))

    def replay(self, other: Numbers, given: Mapping[ValueNumber, int]) -> list[int]:
        """The numbers here for all keys of another table, of which some are `given`: its inputs and weights."""
        here: list[int] = []
        for key in other.of:
            number = given.get(key)
            if number is None and key[0] == _CALL:
                taken: tuple[int, ...] = key[3]
                number = self(*key[:3], tuple([here[n] for n in taken]), key[4])
            elif number is None and key[0] == _RESULT:
                number = self(_RESULT, here[key[1]], key[2])
            here.append(number if number is not None else self(*key))
        return here


class Trace(TorchFunctionMode):
    """While it is active, numbers the results of all calls of torch's functions and methods on tensors.

    Calls within such a call are not seen: a layer is one call, of the function that it stands for. On the meta device,
    where tensors have shapes alone, a call is made once for each set of shapes.
    """

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        self.numbers = numbers
        self.computed: set[int] = set()
        """The numbers of the results of all calls while it was active."""

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
                # What a function gives back as it was, as dropout does in evaluation, is another value all the same.
                result = result.detach() if any(result is tensor for tensor in taken) else result
                mark(result, number)
            else:
                self.computed.update(self.mark_each(results, number))
        else:
            return result
        self.computed.add(number)
        return result

    def read(self, func: Callable[..., Any], args: Sequence[Any]) -> Any:
        """The value of an attribute of a tensor: a size mostly, or another view of it, which gets a number."""
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
        """The result of a call on tensors that have shapes alone."""
        known = self.numbers.known
        key = (func, constants, *[(tensor.shape, tensor.stride(), tensor.dtype) for tensor in taken])
        if key in known:
            shape, strides, dtype = known[key]
            return torch.empty_strided(shape, strides, dtype=dtype, device="meta")
        result = func(*args, **options)
        if type(result) is Tensor and result.is_meta and taken:
            known[key] = result.shape, result.stride(), result.dtype
        return result

    def mark_each(self, results: Sequence[Tensor], number: int) -> list[int]:
        """Number several results of a call; their numbers."""
        numbers = [self.numbers(_RESULT, number, place) for place in range(len(results))]
        for tensor, each in zip(results, numbers, strict=True):
            mark(tensor, each)
        return numbers

    def number_of(self, tensor: Tensor) -> int:
        """The number of a tensor; one that no call gave is told by its type."""
        number = tensor.__dict__.get(_NUMBER)
        return number if number is not None else self.numbers("constant", tuple(tensor.shape), str(tensor.dtype))


def mark(tensor: Tensor, number: int) -> None:
    """Give a tensor its number."""
    setattr(tensor, _NUMBER, number)


def mark_weights(module: torch.nn.Module, numbers: Numbers) -> None:
    """Give the parameters and buffers of a module the numbers of their keys in the state dict."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        mark(tensor, numbers("weight", name))


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list):
        return [tensor for item in result for tensor in _tensors(item)]  # pyright: ignore[reportUnknownVariableType]
    return []


def _frozen(value: Any, taken: list[Tensor]) -> Any:
    """The arguments of a call as a key; tensors go into a list. A pair of equal numbers is as good as one number."""
    if isinstance(value, Tensor):
        taken.append(value)
        return Tensor
    if isinstance(value, list | tuple):
        items = tuple([_frozen(item, taken) for item in value])  # pyright: ignore[reportUnknownVariableType]
        one = items[0] if len(items) > 1 and type(items[0]) in (int, tuple) else None
        return one if one is not None and all(item == one for item in items) else ("list", *items)
    if isinstance(value, dict):
        return tuple([(key, _frozen(item, taken)) for key, item in cast("dict[str, Any]", value).items()])
    if isinstance(value, slice):
        return "slice", value.start, value.stop, value.step  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(value, bool | float):
        return type(value).__name__, repr(value)
    return value if value is None or isinstance(value, int | str | torch.dtype | torch.device) else repr(value)
