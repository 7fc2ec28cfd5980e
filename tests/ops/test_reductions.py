"""Reductions: axes that are refused, dtypes, labels, and sums that float16 has no numbers for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec import NetspecError
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op, run
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from onnx.reference import ReferenceEvaluator

    from netspec.backends.onnx.lower import OPSETS, lower
    from netspec.backends.onnx.write import model_of

REDUCTIONS = ["mean", "sum", "amax", "amin"]
HEAD = "netspec: 1\nname: net\ninputs: {x: [N, 3, 4, 4]}\n"


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dim", [4, -5, [1, 4], [1, 1], [1, -3], [2, -1, 3]])
def test_axes_that_torch_refuses_are_refused(name: str, dim: Any) -> None:
    op, x = named_op(name, dim=dim), Tensor((2, 3, 4, 4))
    with pytest.raises(RuleError) as raised:
        op.infer(x)
    assert (raised.value.code, raised.value.at) == ("NS302", "dim")
    with pytest.raises((RuntimeError, IndexError)):
        getattr(torch, name)(torch.zeros(x.shape), dim)


def test_dtypes_are_torchs() -> None:
    for dtype in ("int64", "int32", "bool", "float32"):
        x = Tensor((2, 3, 4), dtype)
        for name in REDUCTIONS:
            op = named_op(name, dim=[1, 2])
            if (name == "mean" and dtype != "float32") or (name.startswith("a") and dtype == "bool"):
                with pytest.raises(RuleError, match=f"`{name}` takes") as raised:
                    op.infer(x)
                assert raised.value.code == "NS302"
            else:
                value = getattr(torch.ones(x.shape, dtype=getattr(torch, dtype)), name)((1, 2))
                assert op.infer(x) == Tensor((2,), str(value.dtype).removeprefix("torch."))


def test_a_maximum_needs_a_value() -> None:
    x = Tensor((2, 0, 3))
    for name in ("amax", "amin"):
        with pytest.raises(RuleError, match="an axis of 0 has no value"):
            named_op(name, dim=1).infer(x)
        assert named_op(name, dim=2).infer(x).shape == (2, 0)
    assert (named_op("sum", dim=1).infer(x),) == run(named_op("sum", dim=1), (x,))


def test_a_list_is_named() -> None:
    """As of any other op: a list is never an argument."""
    with pytest.raises(NetspecError) as raised:
        netspec.loads(f"{HEAD}network: [mean: [2, 3]]\n")
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.code, diagnostic.help) == ("NS211", "name what it is: `mean: {dim: [2, 3]}`")


@pytest.mark.parametrize(
    ("name", "dim", "label"),
    [
        ("mean", 1, "mean over axis 1"),
        ("sum", [-1], "sum over axis -1"),
        ("amax", [2, 3], "max over axes 2 3"),
        ("amin", -2, "min over axis -2"),
    ],
)
def test_labels(name: str, dim: Any, label: str) -> None:
    assert named_op(name, dim=dim).label() == label


def test_the_source_is_what_a_person_writes() -> None:
    steps = "mean: {dim: [2, 3], keepdim: true}, sum: 1, amax: {dim: [-1]}"
    source = netspec.loads(f"{HEAD}network: [{steps}]\n").to_source()
    for line in ("x = x.mean((2, 3), keepdim=True)", "x = x.sum(1)", "return x.amax(-1)"):
        assert line in source


@pytest.mark.parametrize("name", ["sum", "mean"])
def test_many_numbers_are_summed_in_float32(name: str, tmp_path: Path) -> None:
    """The sum of 300 x 300 ones is beyond 65,504, the largest float16; its mean is behind it."""
    net = netspec.loads(
        "netspec: 1\nname: net\ninputs: {x: [N, 1, 300, 300]}\nnetwork:\n"
        f"  - {{relu, name: r}}\n  - {{{name}: {{dim: [2, 3]}}, name: y}}\n  - scale: 0.001\n"
    )
    lowered = lower(net.graph, OPSETS[-1], half=True)
    x = np.ones((1, 1, 300, 300), dtype="float32")
    (y,) = ReferenceEvaluator(model_of(lowered, "half", OPSETS[-1], {})).run(None, {"x": x})
    np.testing.assert_allclose(y, [[90.0 if name == "sum" else 0.001]], rtol=2e-3)
    assert x.sum() > np.finfo("float16").max
