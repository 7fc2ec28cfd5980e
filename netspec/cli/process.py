"""One run of the command line: whatever ends it is told in words, and as an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspec.cli import signals
from netspec.cli.terminal import drop_output, echo, echo_error, prepare_streams
from netspec.files import keeping_inputs, reason_of, remove_temporaries

if TYPE_CHECKING:
    from click import UsageError

INTERRUPTED = 130


def run(arguments: Sequence[str] | None) -> None:
    """Run a command by its arguments, those of this process where there are none given; sys.exit unless all is fine."""
    prepare_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # One network of a spec on standard input looks like an option.
    given = [f"<stdin>{each[1:]}" if each.startswith("-:") else each for each in given]
    try:
        with keeping_inputs():
            _command(given)
            if signals.received:
                raise KeyboardInterrupt
    except BaseException as error:
        # Code of others, interrupted, may raise anything.
        if signals.received:
            _end(128 + signals.received[0])
        status = _status(error)
        if status is None:
            raise
        sys.exit(status)


def _command(given: list[str]) -> None:
    from netspec.cli.completion import complete
    from netspec.cli.group import cli

    complete(cli)
    with cli.make_context("netspec", given) as context:
        cli.invoke(context)


def _end(status: int) -> None:
    """End now: what a library would still do after an interrupt helps nobody."""
    remove_temporaries()
    if status == INTERRUPTED:
        echo_error("interrupted")
    os._exit(status)


def _status(error: BaseException) -> int | None:
    """Tell an error, and give the exit status that it means; None for what is a fault of the program."""
    if isinstance(error, KeyboardInterrupt):
        echo_error("interrupted")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has enough of it (`| head`).
        drop_output()
        return 0
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        echo_error(f"Error: {place}{reason_of(error)}")
        drop_output()
        return 1
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # which torch says with a RuntimeError
        echo_error("Error: there is not enough memory")
        return 1
    if isinstance(error, RecursionError):
        echo_error("Error: something in it is nested too deep")
        return 1
    return _status_of_ours(error)


def _status_of_ours(error: BaseException) -> int | None:
    from click import Abort, ClickException, UsageError
    from click.exceptions import Exit

    from netspec.errors import MissingPart, NetspecError

    if isinstance(error, Exit):
        return error.exit_code
    if isinstance(error, NetspecError):
        echo_error(str(error))
        return 3 if isinstance(error, MissingPart) else 1
    if isinstance(error, Abort):
        echo_error("interrupted")
        return INTERRUPTED
    if type(error).__name__ == "NoArgsIsHelpError" and isinstance(error, UsageError):  # which not every click has
        echo(error.format_message(), err=True)
        return error.exit_code
    if isinstance(error, ClickException):
        echo_error(f"{_usage(error) if isinstance(error, UsageError) else ''}Error: {error.format_message()}")
        return error.exit_code
    return None


def _usage(error: UsageError) -> str:
    if error.ctx is None:
        return ""
    option = max(error.ctx.help_option_names, key=len)
    return f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} {option}' for help.\n\n"
