"""The command line in the tests' own process, with bounds on its time and memory."""

from __future__ import annotations

import io
import re
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netspec.cli.main import main

SECONDS = 60
"""What no spec of some kilobytes may take, even on a machine that is busy."""
BYTES = 2 << 30
"""What none may take on top of what is there already."""


@dataclass(frozen=True)
class Result:
    """What a run of the command left: exit status, standard output, standard error."""

    status: Any
    out: str
    err: str


def run(*arguments: str) -> Result:
    """Run the command; whatever but an exit comes out of it as it is."""
    out, err = io.StringIO(), io.StringIO()
    status: Any = 0
    with redirect_stdout(out), redirect_stderr(err), bounded():
        try:
            main(arguments)
        except SystemExit as stop:
            status = stop.code or 0
    return Result(status, out.getvalue(), err.getvalue())


@contextmanager
def bounded() -> Iterator[None]:
    """TimeoutError and MemoryError for what takes too much, where the system can tell."""
    if sys.platform != "linux":
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


_HEAD = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): error (?P<code>NS\d{3}): ")
_PLACELESS = re.compile(r"error (?P<code>NS\d{3}): ")
_NOTE = re.compile(r"   note: block `\w+` used at .+?:(\d+):\d+")


@dataclass(frozen=True)
class Error:
    """One error on standard error: where, its code, and the lines on which its notes say that a block is used."""

    file: str
    line: int
    column: int
    code: str
    text: str
    notes: frozenset[int] = frozenset()


def errors_in(err: str) -> list[Error]:
    """The errors printed; one without a place is in the file ""."""
    found: list[Error] = []
    for row in err.split("\n"):
        if head := _HEAD.match(row):
            found.append(Error(head["file"], int(head["line"]), int(head["column"]), head["code"], row))
        elif head := _PLACELESS.match(row):
            found.append(Error("", 0, 0, head["code"], row))
        elif found and (note := _NOTE.match(row)):
            found[-1] = replace(found[-1], notes=found[-1].notes | {int(note[1])})
    return found
