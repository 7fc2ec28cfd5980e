"""How fuzzers run: `interpret` of the PyTorch tests in reach, one thread, and the counts of a long run at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Thousands of tiny calls: threads would wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.fuzz.lasting import COUNTS, MINUTES, SEED

    if MINUTES:
        terminalreporter.section(f"counts of {MINUTES:g} minutes each, seed {SEED}")
        for fuzzer, counts in COUNTS.items():
            terminalreporter.line(f"{fuzzer}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
