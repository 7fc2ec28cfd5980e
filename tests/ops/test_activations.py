"""Activations far from 0 and at the ends of their pieces, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.ops.activation import Activation
from netspec.ops.base import REGISTRY, RuleError
from netspec.types import Tensor
from tests.support.contract import OPSETS, named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.ops.onnx_models import by_torch, graph_of, model_for, runtime

ENDS = [-1e4, -200.0, -100.0, -90.0, -20.0, -6.0, -3.0, -1.0, -0.5, -1e-3, 0.0]
CASES = [
    (name, dict(example.attributes))
    for name, cls in REGISTRY.items()
    if issubclass(cls, Activation) and "dim" not in cls.model_fields
    for example in cls.examples
]


@pytest.mark.parametrize(("name", "attributes"), CASES)
def test_far_from_zero_and_where_pieces_meet(name: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    """Exponentials of large numbers overflow, and both sides of a corner are the neighbour's."""
    values = torch.tensor([[*ENDS, *[-value for value in ENDS], 0.2, 0.3, -0.2]])
    op, xs = named_op(name, **attributes), (Tensor(tuple(values.shape)),)
    (right,) = by_torch(op, xs)(values)
    for opset in OPSETS:
        (y,) = runtime(model_for(graph_of(op, xs), {}, tmp_path, opset))([values])
        np.testing.assert_allclose(y, right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(1.0, -1.0), (2.0, 2.0), (1.0, 1.0)])
def test_hardtanh_has_room_between_its_ends(low: float, high: float) -> None:
    with pytest.raises(RuleError, match="`max_val` is more than `min_val`") as raised:
        named_op("hardtanh", min_val=low, max_val=high).infer(Tensor((2, 3)))
    assert (raised.value.code, raised.value.at) == ("NS304", "max_val")
    with pytest.raises((AssertionError, ValueError)):
        torch.nn.Hardtanh(low, high)


@pytest.mark.parametrize("name", ["mish", "softsign", "logsigmoid", "hardsigmoid", "selu", "celu"])
def test_integers_have_no_smooth_activation(name: str) -> None:
    with pytest.raises(RuleError, match="takes floats") as raised:
        named_op(name).infer(Tensor((2, 3), "int64"))
    assert raised.value.code == "NS302"
