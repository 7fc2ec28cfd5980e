"""Helpers for the tests of the contract of ops: every op with its examples, and torch's results for them.

`@each_case` runs a test for each example of each op, `@each_op` for each op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, Example, Op, RuleError
from netspec.types import Layer, Tensor
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
        return tuple(Tensor(shape) for shape in self.example.inputs)

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


def every_case() -> Iterator[Any]:
    """Parametrise a test by every example of every op."""
    for name, cls in REGISTRY.items():
        for number, sample in enumerate(cls.examples, start=1):
            yield pytest.param(Case(op_of(cls, sample.attributes), sample), id=f"{name}-{number}")


each_case = pytest.mark.parametrize("case", list(every_case()))
each_op = pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in REGISTRY.items()])


# Torch's side of it.


def written(op: Any, xs: tuple[Tensor, ...], **to: Any) -> Callable[..., torch.Tensor]:
    """The callable that `op.torch` describes; `to` are arguments for the module's `to`, such as a dtype."""
    form = op.torch(*xs)
    return meaning(form, module(form).to(**to) if isinstance(form, Layer) else None)


def random(xs: tuple[Tensor, ...], **kind: Any) -> list[torch.Tensor]:
    """Inputs between 0.1 and 1: positive, so that no activation is flat there."""
    return [torch.empty(x.shape, **kind).uniform_(0.1, 1.0) for x in xs]


def type_of(value: torch.Tensor) -> Tensor:
    """The type of a tensor of torch."""
    return Tensor(tuple(value.shape), str(value.dtype).removeprefix("torch."))


def run(op: Any, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The types of torch's outputs."""
    outputs = written(op, xs)(*random(xs))
    return tuple(type_of(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,)))
