"""The entry of the command `netspec`: it imports nothing that takes time, so Ctrl-C is told from the beginning."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from netspec.cli.group import COMMANDS, LazyGroup, cli

__all__ = ["COMMANDS", "LazyGroup", "cli", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: that of this process, where no arguments are given.

    The exit status is 0, 1 (a spec is wrong), 2 (usage), 3 (a part is missing), or 128 and the number of a signal.
    """
    try:
        from netspec.cli import signals

        if arguments is None:
            signals.take()
        from netspec.cli.process import run

        run(arguments)
        signals.leave()
    except KeyboardInterrupt:
        # While the first modules were imported.
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def __getattr__(name: str) -> Any:
    # The group of commands comes in when it is asked for.
    if name in __all__:
        from netspec.cli import group

        return getattr(group, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
