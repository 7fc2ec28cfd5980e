"""Whether the samples of a batch meet, as each op says: torch is given them together and one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from netspec.dims import symbol
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, Elementwise, Merge, Op, Rearranging, RuleError
from netspec.types import Tensor
from tests.support.contract import infer, inferred, random, written
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),
    # On one row or column its positions mean something else since torch 1.3; ours are the same.
    pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior:UserWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.nn.modules.rnn"),
]

BATCH = 3
AXES = [*itertools.permutations(range(4)), *itertools.permutations(range(3)), (1, 0), (-1, 0), (0, -1)]
ONES: list[Any] = [0, 1, 2, 3, -1, -2, -3, -4, True, False, "circular", "reflect", "area", "bilinear"]
VALUES: list[Any] = [*ONES, *map(list, AXES), [3], [3, 1], [1, 3], [1, 2], [2, 1], [4, 5], [5]]
"""What any attribute may be, tried on all of them: axes most of all."""


def variants(cls: type[Op]) -> Iterator[tuple[Op, tuple[Tensor, ...]]]:
    """An op as in its examples and with one or two attributes changed, on inputs of three samples."""
    for sample in cls.examples:
        own = tuple([(BATCH, *x.shape[1:]) for x in sample.types])
        for shapes in {own, *[(shape,) * len(own) for shape in [(BATCH, 4, 5), (BATCH, 3), (BATCH,)]]}:
            types = tuple([Tensor(shape, x.dtype) for shape, x in zip(shapes, sample.types, strict=True)])
            for attributes in changed(cls, dict(sample.attributes)):
                op, _ = make_op(cls, attributes)
                if op is not None and not isinstance(inferred(op, types), RuleError):
                    yield op, types


def changed(cls: type[Op], given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield given
    for name in cls.model_fields:
        yield from ({**given, name: value} for value in VALUES)
    axes = [name for name in cls.model_fields if "dim" in name]
    if len(axes) == 2:
        for pair in itertools.product(range(-4, 4), repeat=2):
            yield {**given, **dict(zip(axes, pair, strict=True))}


def meet(op: Op, xs: tuple[Tensor, ...]) -> bool:
    """Whether torch gives the samples other values together than one by one."""
    torch.manual_seed(0)
    function = written(op, xs, dtype=torch.float64)
    values = of_both_signs(op, xs)
    try:
        together = function(*values)
    except IndexError:
        # A smaller table lacks these integers.
        return not op.per_sample(*xs)
    for n in range(BATCH):
        try:
            alone = function(*[value[n : n + 1] for value in values])
        except ValueError:
            # Torch takes no variance of one value.
            return not op.per_sample(*xs)
        except (RuntimeError, IndexError):
            return True
        for whole, part in zip(together, alone, strict=True):
            if not whole.ndim or part.shape != (1, *whole.shape[1:]) or whole.shape[0] != BATCH:
                return True
            if not torch.allclose(whole[n : n + 1], part, rtol=1e-9, atol=1e-12, equal_nan=True):
                return True
    return False


def does_nothing(op: Op, xs: tuple[Tensor, ...]) -> bool:
    """Whether an op leaves its input as it is: an axis made one, all of an axis taken."""
    values = of_both_signs(op, xs)
    return torch.equal(written(op, xs, dtype=torch.float64)(*values)[0], values[0])


def of_both_signs(op: Op, xs: tuple[Tensor, ...]) -> list[torch.Tensor]:
    """Random inputs whose floats are positive and negative; regions are of the first image."""
    values = random(xs, dtype=torch.float64)
    values = [torch.randn_like(value) if value.is_floating_point() else value for value in values]
    if op.regions is not None:
        values[op.regions] = torch.tensor([[0.0, 0.0, 1.0, 5.0, 6.0]], dtype=torch.float64).repeat(BATCH, 1)
    return values


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in REGISTRY.items()])
def test_an_op_says_whether_samples_meet(cls: type[Op]) -> None:
    tried = 0
    for op, xs in variants(cls):
        opened = tuple([Tensor((symbol("N"), *x.shape[1:]), x.dtype) for x in xs])
        try:
            infer(op, opened)
        except RuleError:
            # An axis of a batch that is open can't be made several, say.
            opened = xs
        said = op.per_sample(*xs)
        assert op.per_sample(*opened) == said
        assert said != meet(op, xs) or does_nothing(op, xs), (op, [x.shape for x in xs])
        tried += 1
    assert tried >= len(cls.examples)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("lengths", [False, True])
def test_states_have_the_samples_on_their_second_axis(name: str, lengths: bool) -> None:
    op, _ = make_op(REGISTRY[name], {"hidden_size": 4, "num_layers": 2, "bidirectional": True, "lengths": lengths})
    assert op is not None
    types = (Tensor((BATCH, 5, 2)), *(Tensor((BATCH,), "int64"),) * lengths)
    values = random(types, dtype=torch.float64)
    function = written(op, types, dtype=torch.float64)
    axes = op.batch_axes(*types)
    assert axes is not None
    for n in range(BATCH):
        alone = function(*[value[n : n + 1] for value in values])
        for whole, part, axis in zip(function(*values), alone, axes, strict=True):
            assert torch.allclose(whole.narrow(axis, n, 1), part)
    states = (Tensor((4, BATCH, 4)),) * (2 if name == "lstm" else 1)
    assert op.batch_axes(types[0], *states, *types[1:]) is None


MIXING = {
    "softmax",
    "log_softmax",
    "concat",
    "batch_norm",
    "permute",
    "transpose",
    "unflatten",
    "select",
    "select_scatter",
    "narrow",
    "flatten",
    "roll",
    "chunk",
    "split",
    "matmul",
    "einsum",
    "parameter",
    "arange",
    "mean",
    "sum",
    "amax",
    "amin",
    *("roi_pool", "roi_align", "warp_regions", "detections"),  # whose samples are regions, of any image
    "proposals",  # which gives as many of an image as it finds
    *("rnn", "lstm", "gru"),  # whose states have the layers first
}


def test_the_variants_reach_the_ops_that_mix() -> None:
    """Without this, variants that keep all samples apart would prove nothing."""
    mixing = {name for name, cls in REGISTRY.items() if any(not op.per_sample(*xs) for op, xs in variants(cls))}
    assert mixing == MIXING


@pytest.mark.parametrize("base", [Op, Elementwise, Merge, Rearranging])
def test_an_op_that_says_nothing_mixes(base: Any) -> None:
    """The bases that ops of one's own inherit from do not say it for them: a batch norm is elementwise by its shape."""
    assert base.per_sample(object(), Tensor((2, 3))) is False
