"""What several parts of the tests share: networks and modules that take time to make, made once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import netspec
from netspec.network import Network
from netspec.ops import own
from netspec.ops.base import REGISTRY
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core: threads of torch and of what the tests start would take that of the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.support.quick"]


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


@pytest.fixture
def no_grad() -> Iterator[None]:
    """Run a test without gradients."""
    with torch.no_grad():
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run a test of many tiny calls in one thread: several would wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own_ops_forgotten(tmp_path: Path) -> Iterator[None]:
    """Forget, after a test, the ops that it defines and the modules in its folder that it imports."""
    before, modules = dict(REGISTRY), set(sys.modules)
    own.announced.cache_clear()
    yield
    REGISTRY.clear()
    REGISTRY.update(before)
    own.announced.cache_clear()
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
