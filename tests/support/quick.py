"""`pytest --quick`: runs as many cases of each test function as fit into a fixed time per function.

    pytest --quick               leaves out what is slow, and most cases of what has many
    pytest --record              runs what is asked for, and records what it costs

`tests/durations.txt` holds, for each test function that costs more than `WORTH_A_LINE`, the seconds of processor time
of one of its cases. `--quick` gives each function `SHARE` seconds: it keeps as many cases, spread evenly, as fit in
them, and none where one case does not. What is not in the file counts as quick, so a new test is run at once. The rules
of the house hold for every change, and always run.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

DURATIONS = Path(__file__).parents[1] / "durations.txt"
SHARE = 0.1
"""The seconds of processor time for each test function in a quick run."""
MOST_CASES = 12
"""Cases of one function in a quick run: those of 10 ms and less are not in the file."""
WORTH_A_LINE = 0.01
ALWAYS = ("tests/test_architecture.py", "tests/test_house.py")

_left_out = pytest.StashKey[int]()
_spent = pytest.StashKey[dict[str, list[float]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netspec")
    group.addoption("--quick", action="store_true", help="leave out what is slow by tests/durations.txt")
    group.addoption("--record", action="store_true", help="record in tests/durations.txt what the tests cost")


def function_of(nodeid: str) -> str:
    """The test function of a test: `tests/x.py::test_y` for `tests/x.py::test_y[case]`."""
    return nodeid.partition("[")[0]


def file_of(function: str) -> str:
    return function.partition("::")[0]


def recorded() -> dict[str, float]:
    """The seconds that a case of each slow test function takes."""
    lines = DURATIONS.read_text(encoding="utf-8").splitlines() if DURATIONS.exists() else []
    return {function: float(seconds) for seconds, function in map(str.split, lines)}


def spread(count: int, kept: int) -> set[int]:
    """Evenly spread numbers of `range(count)`, including the first and the last.

    >>> sorted(spread(10, 4))
    [0, 3, 6, 9]
    """
    if kept >= count:
        return set(range(count))
    return {round(n * (count - 1) / max(1, kept - 1)) for n in range(kept)}


def quick(nodeids: Iterable[str], seconds: dict[str, float]) -> set[str]:
    """The tests that a quick run keeps."""
    cases: dict[str, list[str]] = defaultdict(list)
    for nodeid in nodeids:
        cases[function_of(nodeid)].append(nodeid)
    kept: set[str] = set()
    for function, names in cases.items():
        most = min(MOST_CASES, int(SHARE / max(seconds.get(function, 0), WORTH_A_LINE)))
        most = len(names) if file_of(function) in ALWAYS else most
        kept.update(names[n] for n in spread(len(names), most))
    return kept


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        names = quick([item.nodeid for item in items], recorded())
        left_out = [item for item in items if item.nodeid not in names]
        config.stash[_left_out] = len(left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid in names]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    before = sum(os.times()[:4])
    result = yield
    spent = item.config.stash.setdefault(_spent, {})
    spent.setdefault(function_of(item.nodeid), []).append(sum(os.times()[:4]) - before)
    return result


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("--record"):
        import torch  # noqa: F401  # else the first test that needs it pays for it


def pytest_sessionfinish(session: pytest.Session) -> None:
    stash, output = session.config.stash, getattr(session.config, "workeroutput", None)
    if output is not None:
        output.update(left_out=stash.get(_left_out, 0), spent=stash.get(_spent, {}))
    elif session.config.getoption("--record"):
        means = {function: sum(seconds) / len(seconds) for function, seconds in stash.get(_spent, {}).items()}
        there = {name: cost for name, cost in recorded().items() if (DURATIONS.parents[1] / file_of(name)).exists()}
        costs = sorted({**there, **means}.items())
        lines = [f"{mean:.2f} {function}\n" for function, mean in costs if mean >= WORTH_A_LINE]
        DURATIONS.write_text("".join(lines), encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the times of a worker of pytest-xdist, and the tests it left out, which are the same for all."""
    output, stash = getattr(node, "workeroutput", {}), node.config.stash
    stash[_left_out] = output.get("left_out", 0)
    for function, seconds in output.get("spent", {}).items():
        stash.setdefault(_spent, {}).setdefault(function, []).extend(seconds)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--quick"):
        count = config.stash.get(_left_out, 0)
        terminalreporter.line(f"a quick run: {count:,} tests left out, which `make test` runs")
