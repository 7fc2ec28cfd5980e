"""Errors of expressions, with their offset in the text; callers that know the file turn them into diagnostics."""

from __future__ import annotations


class ExpressionError(Exception):
    """An expression that can't be parsed or evaluated; `at` is a character offset into its text, if known."""

    def __init__(self, message: str, at: int | None = None, length: int = 1, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.length = length
        self.help = help


class NoTruth(ExpressionError):
    """A value that is neither true nor false is used as a condition."""

    def __init__(self, value: str) -> None:
        super().__init__(f"{value} is neither true nor false: compare it with something")


class UnknownName(ExpressionError):
    """A name has no value here."""

    def __init__(self, name: str, at: int | None = None) -> None:
        super().__init__(f"`{name}` is not defined here", at, len(name))
        self.name = name
