"""Shows progress on a terminal, and never on standard output."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from netspec.printable import printable


@contextmanager
def working(words: str) -> Generator[None]:
    """Show a spinner with a few words during a `with` block that takes some seconds."""
    if sys.stderr is None or not sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        yield
        return
    from rich.console import Console
    from rich.text import Text

    # `Text` is not parsed: in a plain string, rich takes `[red]` in a file's name for a style.
    with Console(stderr=True).status(Text(printable(words, ""))):
        yield
