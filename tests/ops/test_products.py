"""Products without weights: what they refuse, count and keep apart, held against torch where it can tell."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Reach, Tensor, Window
from tests.support.contract import inferred, named_op, random, run, written
from tests.support.lazy import lazy_imports
from tests.support.round_trip import assert_same, round_trip

with lazy_imports():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

N, T = symbol("N"), symbol("T")


def refusal(name: str, *shapes: tuple[Any, ...], dtypes: tuple[str, ...] = (), **attributes: Any) -> RuleError:
    dtypes = dtypes or ("float32",) * len(shapes)
    xs = tuple(Tensor(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True))
    error = inferred(named_op(name, **attributes), xs)
    assert isinstance(error, RuleError)
    return error


@pytest.mark.parametrize(
    ("shapes", "code", "message"),
    [
        (((2, 3), (2, 3, 4)), "NS302", "takes two inputs of one rank, 2 axes or more, not 2 x 3 and 2 x 3 x 4"),
        (((3,), (3,)), "NS302", "2 axes or more"),
        (((2, 3, 4), (2, 5, 6)), "NS301", "the columns of 2 x 3 x 4 and the rows of 2 x 5 x 6 are multiplied"),
        (((2, 3, 4), (3, 4, 6)), "NS301", "needs axes 0 of 2 x 3 x 4 and 3 x 4 x 6 to be equal, or one of them 1"),
        (((N, 3, T), (N, 4, 6)), "NS305", "the columns of N x 3 x T"),
        (((N, 3, T), (N, T + 1, 6)), "NS305", "the columns of N x 3 x T"),
    ],
)
def test_matrices_that_do_not_fit(shapes: Any, code: str, message: str) -> None:
    error = refusal("matmul", *shapes)
    assert (error.code, message in error.message) == (code, True), error.message


def test_matrices_of_one_dtype() -> None:
    assert refusal("matmul", (2, 3), (3, 2), dtypes=("float32", "int64")).code == "NS302"
    assert refusal("matmul", (2, 3), (3, 2), dtypes=("bool", "bool")).code == "NS302"
    error = refusal("einsum", (2, 3), (3, 2), dtypes=("float64", "float32"), equation="ij,jk")
    assert error.message == "`einsum` takes inputs of one dtype, not float64 and float32"


@pytest.mark.parametrize("shapes", [((5, 6), (6, 3)), ((1, 3, 4), (2, 4, 5)), ((2, 1, 1, 3, 4), (1, 3, 2, 4, 5))])
def test_shapes_of_matrices_are_torchs(shapes: Any) -> None:
    op, xs = named_op("matmul"), tuple(map(Tensor, shapes))
    assert (op.infer(*xs),) == run(op, xs)
    assert not op.per_sample(*xs)


def test_a_unit_sees_a_row_and_a_column() -> None:
    windows = named_op("matmul").window(Tensor((2, 3, 4, 6)), Tensor((2, 3, 6, 5)))
    assert windows == (Window((1, 6), (1, 0), (0, 0)), Window((6, 1), (0, 1), (0, 0)))


@pytest.mark.parametrize(
    ("equation", "shapes", "code", "message"),
    [
        ("nqd,nkd->nqk", ((2, 3, 4), (2, 3, 5)), "NS301", "the letter `d` of `nqd,nkd->nqk` is 4 and 5"),
        ("nqd,nkd->nqk", ((N, 3, 4), (N, 3, T)), "NS305", "the letter `d` of `nqd,nkd->nqk` is 4 and T"),
        ("nqd,nkd->nqk", ((2, 3, 4),), "NS302", "`nqd,nkd->nqk` takes 2 inputs, and there are 1"),
        ("nm->m", ((2, 3), (2, 3)), "NS302", "`nm->m` takes 1 input, and there are 2"),
        ("nqd,nd->nq", ((2, 3, 4), (2, 3, 4)), "NS302", "`nd` names 2 axes, and input 2 is 2 x 3 x 4"),
        ("nm,mk->nz", ((2, 3), (3, 4)), "NS304", "has the letter `z` that no input has"),
        ("nm,mk->nn", ((2, 3), (3, 4)), "NS304", "has the letter `n` twice"),
        ("nmm->n", ((2, 3, 4),), "NS301", "the letter `m` of `nmm->n` is 3 and 4"),
    ],
)
def test_equations_that_do_not_fit(equation: str, shapes: Any, code: str, message: str) -> None:
    error = refusal("einsum", *shapes, equation=equation)
    assert (error.code, message in error.message) == (code, True), error.message


EQUATIONS: list[tuple[str, list[tuple[int, ...]], bool]] = [
    ("nhqd,nhkd->nhqk", [(2, 3, 4, 5), (2, 3, 6, 5)], True),
    ("nqd,kd->nqk", [(2, 3, 4), (6, 4)], False),
    ("nd,md->nm", [(2, 3), (4, 3)], False),
    ("ij,jk", [(2, 3), (3, 4)], False),
    ("ba", [(2, 3)], False),
    ("nii->ni", [(2, 3, 3)], True),
    ("nin->n", [(2, 3, 2)], False),
    ("nd,nd->", [(2, 3), (2, 3)], False),
    ("nab,nbc,ncd->nad", [(2, 3, 4), (2, 4, 5), (2, 5, 6)], True),
    ("nB,nA", [(2, 3), (2, 4)], False),
]


@pytest.mark.parametrize(("equation", "shapes", "apart"), EQUATIONS, ids=[each[0] for each in EQUATIONS])
def test_equations_are_torchs(equation: str, shapes: list[tuple[int, ...]], apart: bool) -> None:
    op, xs = named_op("einsum", equation=equation), tuple(map(Tensor, shapes))
    assert (op.infer(*xs),) == run(op, xs)
    assert op.per_sample(*xs) == apart


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("nqd,nkd->nqk", [(2, 3, 4), (2, 5, 4)], 2 * 3 * 4 * 5),
        ("nhqd,nkd->nhqk", [(2, 3, 4, 5), (2, 6, 5)], 2 * 3 * 4 * 5 * 6),
        ("ij,jk", [(2, 3), (3, 4)], 24),
    ],
)
def test_macs_of_two_are_the_product_of_all_letters(equation: str, shapes: Any, macs: int) -> None:
    op, xs = named_op("einsum", equation=equation), tuple(map(Tensor, shapes))
    with FlopCounterMode(display=False) as counter:
        written(op, xs)(*random(xs))
    assert op.macs(op.infer(*xs), *xs) == macs == counter.get_total_flops() / 2


def test_macs_without_a_matrix_product() -> None:
    """Products element by element are multiplications all the same, which torch's counter leaves out; sums are none."""
    x = Tensor((2, 3))
    hadamard, total = named_op("einsum", equation="nd,nd->nd"), named_op("einsum", equation="nd->n")
    assert hadamard.macs(x, x, x) == 6
    assert total.macs(Tensor((2,)), x) == 0


def test_an_axis_that_moves_is_told_or_given_up() -> None:
    x = Tensor((2, 3, 4, 5))
    swap = named_op("einsum", equation="nchw->ncwh")
    assert swap.window(x) == (Reach.UNPLACED,)
    assert swap.axes(x) == (0, 1, 3, 2)
    moved = named_op("einsum", equation="nhqd,nhkd->nhqk")
    assert moved.window(x, x) == (Window((1, 5), (1, 0), (0, 0)), Reach.ALL)


SPEC = """
netspec: 1
name: scores
inputs: {q: [N, L, 8], k: [N, S, 8]}
network:
  - {einsum: "nqd, nkd -> nqk", from: [q, k], name: scores}
"""


def test_an_equation_is_text_and_no_expression() -> None:
    net = netspec.loads(SPEC)
    assert 'torch.einsum("nqd, nkd -> nqk", q, k)' in net.to_source()
    assert_same(net.graph, round_trip(net.graph))
    assert str(net.graph["scores"].type) == "N x L x S"
    q, k = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    torch.testing.assert_close(net.compile()(q, k), q @ k.transpose(1, 2))


def test_a_misprinted_equation_has_a_place() -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.loads(SPEC.replace("->", "..."))
    assert "`equation` takes letters for the axes of inputs and output" in str(caught.value)
