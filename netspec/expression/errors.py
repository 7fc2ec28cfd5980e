"""What is wrong with an expression; who knows where it stands makes a diagnostic of it."""

from __future__ import annotations


class ExpressionError(Exception):
    """An expression that can't be parsed or evaluated; `at` is a character offset into its text, if known."""

    def __init__(self, message: str, at: int | None = None, length: int = 1, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.length = length
        self.help = help


class UnknownName(ExpressionError):
    """A name that stands for nothing here."""

    def __init__(self, name: str, at: int | None = None) -> None:
        super().__init__(f"`{name}` is not defined here", at, len(name))
        self.name = name
