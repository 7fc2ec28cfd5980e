"""Runs the command line once, and turns its errors into messages and exit statuses."""

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

_INTERRUPTED = 130


def run(arguments: Sequence[str] | None) -> None:
    """Run a command by its arguments (None: those of this process), and exit with its status unless that is 0."""
    prepare_streams()
    words = [_stdin_network(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    try:
        with keeping_inputs():
            _run_command(words)
            if signals.received:
                raise KeyboardInterrupt
    except BaseException as error:
        # Libraries may raise any error when they are interrupted.
        if signals.received:
            _end(128 + signals.received[0])
        status = _status(error)
        if status is None:
            raise
        sys.exit(status)


def _stdin_network(word: str) -> str:
    """`-:NAME`, a network of a spec on standard input, as `<stdin>:NAME`, which does not look like an option."""
    return f"<stdin>{word[1:]}" if word.startswith("-:") else word


def _run_command(words: list[str]) -> None:
    from netspec.cli.completion import answer_shell
    from netspec.cli.group import cli

    answer_shell(cli)
    with cli.make_context("netspec", words) as context:
        cli.invoke(context)


def _end(status: int) -> None:
    """End the process at once, without the exit handlers of libraries."""
    remove_temporaries()
    if status == _INTERRUPTED:
        echo_error("interrupted")
    os._exit(status)


def _status(error: BaseException) -> int | None:
    """Print an error, and return its exit status; None for an unexpected error, which is a bug."""
    if isinstance(error, KeyboardInterrupt):
        echo_error("interrupted")
        return _INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader of the output has closed it (`| head`).
        drop_output()
        return 0
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        echo_error(f"Error: {place}{reason_of(error)}")
        drop_output()
        return 1
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # torch raises a RuntimeError
        echo_error("Error: there is not enough memory")
        return 1
    if isinstance(error, RecursionError):
        echo_error("Error: something in it is nested too deep")
        return 1
    return _status_of_command_error(error)


def _status_of_command_error(error: BaseException) -> int | None:
    """Print an error of netspec or click, and return its exit status; None for any other error."""
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
        return _INTERRUPTED
    if type(error).__name__ == "NoArgsIsHelpError" and isinstance(error, UsageError):  # not in every version of click
        echo(error.format_message(), err=True)
        return error.exit_code
    if isinstance(error, ClickException):
        echo_error(f"{_usage(error) if isinstance(error, UsageError) else ''}Error: {error.format_message()}")
        return error.exit_code
    return None


def _usage(error: UsageError) -> str:
    """The lines above a usage error: the command's usage, and a hint at `--help`."""
    if error.ctx is None:
        return ""
    option = max(error.ctx.help_option_names, key=len)
    return f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} {option}' for help.\n\n"
