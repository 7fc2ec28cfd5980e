"""What others write for true and false, which is text in a spec."""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE = ("yes", "on", "y", "true"), ("no", "off", "n", "false")


def as_bool(word: str) -> str:
    """`true` for `yes` and `false` for `no`, as YAML 1.1 and other tools have it; an empty text for other words."""
    return "true" if word.lower() in _TRUE else "false" if word.lower() in _FALSE else ""


def way_to_bool(value: Any) -> str:
    """The way out for those who write `yes` where true or false is wanted; an empty text for others."""
    meant = as_bool(value) if isinstance(value, str) else ""
    return f"write {meant}: {value!r} is text" if meant else ""
