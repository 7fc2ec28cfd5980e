"""Imports packages that only some commands need, when such a command runs."""

from __future__ import annotations

from importlib import import_module
from typing import NoReturn

from netspec.cli.progress import working


def require(module: str) -> None:
    """Import a module that a command requires. Raises MissingPart with the command that installs it."""
    with working(f"loading {module}"):
        try:
            import_module(module)
        except Exception as error:
            # An installed package may fail in any way, for example if shared libraries are missing.
            _refuse(module, error)


def _refuse(module: str, error: Exception) -> NoReturn:
    from netspec.errors import MissingPart

    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == module:
        raise MissingPart(f"this command needs {module}, which is not installed", f"pip install {module}") from None
    reason = " ".join((str(error) or type(error).__name__).split())
    way = f"pip install --force-reinstall {module}"
    if isinstance(error, MemoryError) or "memory" in reason or "failed to map" in reason:
        way = f"give it more memory (`ulimit -v unlimited`); if that is not it, {way}"
    raise MissingPart(f"{module} is installed, and can't be imported: {reason}", way) from None
