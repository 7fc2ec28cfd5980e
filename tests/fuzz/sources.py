"""Sources that fuzzers made, for the formatter to look at together."""

from __future__ import annotations

SOURCES: list[str] = []


def keep(source: str) -> None:
    """Keep a source for the formatter, and no more of them than it can take at once."""
    if len(SOURCES) < 2_000:
        SOURCES.append(source)
