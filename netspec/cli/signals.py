"""Handles Ctrl-C and other signals that end a process, so that temporary files are removed first."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
received: list[int] = []
"""The signals received so far."""


def install() -> None:
    """Install the signal handlers: the first signal ends the command with cleanup, the second at once."""
    for number in _numbers():
        # A signal that is ignored (`nohup`) stays ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            with suppress(ValueError):  # a thread gets no signals
                signal.signal(number, _stop)


def uninstall() -> None:
    """Stop handling signals at the end of a command, so that a signal during Python's exit prints nothing."""
    for number in _numbers():
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


def _stop(number: int, frame: FrameType | None) -> None:
    received.append(number)
    if len(received) > 1:
        from netspec.files import remove_temporaries

        remove_temporaries()
        os._exit(128 + received[0])
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
