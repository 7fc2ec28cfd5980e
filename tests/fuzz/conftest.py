"""How fuzzers run: in one thread, and the counts of a long run at its end."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Every fuzzer makes thousands of tiny calls."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.fuzz.lasting import COUNTS, MINUTES, SEED

    if MINUTES:
        terminalreporter.section(f"counts of {MINUTES:g} minutes each, seed {SEED}")
        for fuzzer, counts in COUNTS.items():
            terminalreporter.line(f"{fuzzer}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
