"""Random specs: the generated module is what the graph says, and so is one made with other arguments."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import netspec
from tests.fuzz.lasting import COUNTS, forget_modules, hold
from tests.fuzz.sources import SOURCES, keep
from tests.support.lazy import lazy_imports
from tests.support.random_specs import random_spec

with lazy_imports():
    from tests.support.interpret import assert_means

MOST_CHANNELS, MOST_NODES = 200, 500
FUZZER = COUNTS["random specs compiled"]


def read(data: dict[str, Any], **params: Any) -> netspec.Network | None:
    """The network of a spec; None where the random widths do not go together, or come to too much."""
    try:
        net = netspec.loads(json.dumps(data), params=params)
    except netspec.NetspecError:
        return None
    widest = max(int(str(type.shape[1])) for type in net.graph.types.values() if type.rank == 4)
    return net if widest <= MOST_CHANNELS and len(net.graph) <= MOST_NODES else None


def test_module_is_what_the_graph_says() -> None:
    hold(random_spec, check_module, 120)


def check_module(data: dict[str, Any]) -> None:
    net = read(data)
    FUZZER["drawn"] += 1
    if net is None:
        return
    FUZZER["compiled"] += 1
    keep(net.to_source())
    assert_means(net.graph, net.compile())
    forget_modules()


def test_class_arguments_mean_the_parameters() -> None:
    hold(lambda choose: random_spec(choose, decisive=choose((True, False))), check_arguments, 100)


def check_arguments(data: dict[str, Any]) -> None:
    net = read(data)
    FUZZER["drawn for arguments"] += 1
    if net is None:
        return
    module = net.compile()
    keep(net.to_source())
    arguments = list(inspect.signature(type(module).__init__).parameters.values())[1:]
    for argument in arguments:
        value = argument.default
        numbers = [value / 2] if isinstance(value, float) else [value + 1, 2 * value]
        for other in [not value] if isinstance(value, bool) else numbers:
            changed = read(data, **{argument.name: other})
            if changed is not None:
                FUZZER["arguments changed"] += 1
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
