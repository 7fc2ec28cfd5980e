"""The entry of the command `netspec`, which imports nothing slow, so that Ctrl-C works from the beginning."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from netspec.cli.group import COMMANDS, LazyGroup, cli

__all__ = ["COMMANDS", "LazyGroup", "cli", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (None: that of this process).

    The exit status is 0, 1 (a spec is wrong), 2 (usage), 3 (a part is missing), or 128 and the number of a signal.
    """
    try:
        from netspec.cli import signals

        if arguments is None:
            signals.install()
        from netspec.cli.process import run

        run(arguments)
        signals.uninstall()
    except KeyboardInterrupt:
        # Ctrl-C came while the first modules were imported.
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def __getattr__(name: str) -> Any:
    # The group of commands is imported when it is asked for.
    if name in __all__:
        from netspec.cli import group

        return getattr(group, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
