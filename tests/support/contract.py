"""Helpers for the tests of the contract of ops: every op with its examples, and torch's results for them.

`@each_case` runs a test for each example of each op, `@each_op` for each op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from netspec.dims import Dim, symbol
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, Example, Op, RuleError
from netspec.types import MOST_DATA_SIZES, Layer, Tensor, data_size
from tests.support.choose import Choose
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.support.printed import made as module
    from tests.support.printed import meaning

OPSETS = (20, 21)
"""The opsets of ONNX that netspec writes: a test of the ONNX contract holds this to `onnx.lower`."""


@dataclass(frozen=True)
class Case:
    """An op, built from one of its examples."""

    op: Any
    example: Example

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.example.types

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return infer(self.op, self.inputs)


def op_of(cls: type[Op], attributes: Any) -> Any:
    """An op of a class with valid attributes."""
    op, problems = make_op(cls, attributes)
    assert op is not None, [problem.message for problem in problems]
    return op


def named_op(name: str, **attributes: Any) -> Any:
    """An op with a name and valid attributes."""
    return op_of(REGISTRY[name], attributes)


def infer(op: Any, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The types of the outputs, always as a tuple."""
    types = op.infer(*xs)
    return types if isinstance(types, tuple) else (types,)


def inferred(op: Any, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | RuleError:
    """The types of the outputs, or the RuleError if there are none; any other exception fails the test."""
    try:
        return infer(op, xs)
    except RuleError as error:
        return error


def data_sizes(types: tuple[Tensor, ...], actual: tuple[Tensor, ...]) -> dict[str, Dim] | None:
    """The sizes that depend on the data, by symbol, if that makes the types the actual ones; else None."""
    symbolic = {size for type in types for size in type.shape} & {data_size(n) for n in range(MOST_DATA_SIZES)}
    sizes = {
        str(size): real
        for type, found in zip(types, actual, strict=False)
        for size, real in zip(type.shape, found.shape, strict=False)
        if size in symbolic
    }
    return sizes if tuple([type.at(sizes) for type in types]) == actual else None


def every_case() -> Iterator[Any]:
    """Parametrise a test by every example of every op, and of one that netspec has not."""
    for name, cls in [*REGISTRY.items(), ("choose", Choose)]:
        for number, sample in enumerate(cls.examples, start=1):
            yield pytest.param(Case(op_of(cls, sample.attributes), sample), id=f"{name}-{number}")


each_case = pytest.mark.parametrize("case", list(every_case()))
each_op = pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in REGISTRY.items()])


# Torch's side of it.


def written(op: Any, xs: tuple[Tensor, ...], **to: Any) -> Callable[..., tuple[torch.Tensor, ...]]:
    """The function that `op.torch` describes, of the inputs: it returns all outputs, also of an op with one.

    `to` are arguments for the module's `to`, such as a dtype.
    """
    form = op.torch(*xs)
    function = meaning(form, module(form).to(**to) if isinstance(form, Layer) else None)
    return lambda *values: flat(function(*values))


def flat(outputs: Any) -> tuple[torch.Tensor, ...]:
    """The tensors of an output of torch, which may be nested, as `output, (h_n, c_n)` is."""
    if isinstance(outputs, torch.Tensor):
        return (outputs,)
    return tuple([tensor for part in outputs for tensor in flat(part)])


def random(xs: tuple[Tensor, ...], *, dtype: torch.dtype | None = None, device: str = "cpu") -> list[torch.Tensor]:
    """Inputs: floats between 0.1 and 1, positive, so that no activation is flat there; integers from 1 to 3; booleans.

    `dtype` is another one for the floats.
    """
    return [random_tensor(x, dtype or torch.float32, device) for x in xs]


def random_tensor(x: Tensor, floats: torch.dtype, device: str) -> torch.Tensor:
    kind = getattr(torch, x.dtype)
    if kind.is_floating_point:
        return torch.empty(x.shape, dtype=floats if x.dtype == "float32" else kind, device=device).uniform_(0.1, 1.0)
    first, last = (0, 1) if kind is torch.bool else (1, 3)
    return torch.randint(first, last + 1, x.shape, device=device).to(kind)


def with_open_batch(x: Tensor, batch: Dim) -> Tensor:
    """A type whose batch is a symbol: the first axis of this size, which in the states of an LSTM is the second."""
    axis = x.shape.index(batch) if batch in x.shape else 0
    return Tensor((*x.shape[:axis], symbol("N"), *x.shape[axis + 1 :]), x.dtype)


def type_of(value: torch.Tensor) -> Tensor:
    """The type of a tensor of torch."""
    return Tensor(tuple(value.shape), str(value.dtype).removeprefix("torch."))


def run(op: Any, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The types of torch's outputs."""
    return tuple(type_of(y) for y in written(op, xs)(*random(xs)))
