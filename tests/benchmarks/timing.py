"""Medians of things that take turns, so that both meet the same noise."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median


def interleaved(rounds: int, **tasks: Callable[[], object]) -> dict[str, float]:
    """The median seconds of each task; in every round each runs once."""
    for task in tasks.values():
        task()
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            gc.collect()
            start = time.perf_counter()
            task()
            found[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in found.items()}


def show(title: str, times: dict[str, float], ours: str) -> None:
    """Print each time and how often ours fits into it."""
    print(title)
    for name, seconds in times.items():
        ratio = "" if name == ours else f"   {seconds / times[ours]:6.2f} x ours"
        print(f"  {name:42s} {seconds * 1e3:9.1f} ms{ratio}")
