"""Random specs: the generated module is what the graph says, and so is one made with other arguments."""

from __future__ import annotations

import inspect
import json
import linecache
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from interpret import assert_means
from random_specs import specs

import netspec

MOST_CHANNELS, MOST_NODES = 200, 500
LONG = int(os.environ.get("NETSPEC_RANDOM_SPECS", "0"))
"""How many random specs to try where somebody has the time."""

PROFILE = settings(
    max_examples=LONG or 250,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
)
COUNTS: Counter[str] = Counter()


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    if LONG:
        print("\n", dict(COUNTS))


def read(data: dict[str, Any], **params: Any) -> netspec.Network | None:
    """The network of a spec; None where the random widths do not go together, or come to too much."""
    try:
        net = netspec.loads(json.dumps(data), params=params)
    except netspec.NetspecError:
        return None
    widest = max(int(str(type.shape[1])) for type in net.graph.types.values() if type.rank == 4)
    return net if widest <= MOST_CHANNELS and len(net.graph) <= MOST_NODES else None


SOURCES: list[str] = []


def forget_modules() -> None:
    """Compiled modules stay for tracebacks and `pickle`; thousands of them are too many."""
    for name in [name for name in sys.modules if name.startswith("netspec_compiled.")]:
        del sys.modules[name]
    for file in [file for file in linecache.cache if file.startswith("<netspec ")]:
        del linecache.cache[file]


@PROFILE
@given(specs())
def test_module_is_what_the_graph_says(data: dict[str, Any]) -> None:
    net = read(data)
    COUNTS["drawn"] += 1
    assume(net is not None)
    assert net is not None
    COUNTS["compiled"] += 1
    SOURCES.append(net.to_source())
    assert_means(net.graph, net.compile())
    forget_modules()


@PROFILE
@given(specs(decisive=False) | specs())
def test_class_arguments_mean_the_parameters(data: dict[str, Any]) -> None:
    net = read(data)
    COUNTS["drawn for arguments"] += 1
    assume(net is not None)
    assert net is not None
    module = net.compile()
    SOURCES.append(net.to_source())
    arguments = list(inspect.signature(type(module).__init__).parameters.values())[1:]
    for argument in arguments:
        value = argument.default
        numbers = [value / 2] if isinstance(value, float) else [value + 1, 2 * value]
        for other in [not value] if isinstance(value, bool) else numbers:
            changed = read(data, **{argument.name: other})
            if changed is not None:
                COUNTS["arguments changed"] += 1
                assert_means(changed.graph, type(module)(**{argument.name: other}))
    forget_modules()


def test_sources_are_formatted(tmp_path: Path) -> None:
    """Runs after the others, on all that they wrote."""
    for number, source in enumerate(SOURCES):
        (tmp_path / f"net{number}.py").write_text(source)
    for command in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "-q", str(tmp_path)]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
