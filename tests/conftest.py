"""What several parts of the tests share: networks and modules that take time to make, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import nn

import netspec
from netspec.network import Network


@cache
def _bundled(name: str) -> Network:
    return netspec.load(name)


@cache
def _compiled(name: str) -> nn.Module:
    with torch.device("meta"):
        return _bundled(name).compile().eval()


@pytest.fixture(scope="session")
def bundled() -> Callable[[str], Network]:
    """A bundled network by name."""
    return _bundled


@pytest.fixture(scope="session")
def compiled() -> Callable[[str], nn.Module]:
    """The module of a bundled network by name, in eval mode on the meta device: shapes, and no memory for weights."""
    return _compiled
