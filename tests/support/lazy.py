"""Delays imports until the first use, so that collecting the tests loads neither torch nor ONNX Runtime.

    from tests.support.lazy import lazy_imports

    with lazy_imports():
        import torch
        from netspec.backends.pytorch.runtime.prove import prove_module

Each name in the block stands for the module, class, function or table of that name, which is imported when a test first
asks it for an attribute or an item, calls it, or compares a type with it. A type checker and an editor see plain
imports. This is what `lazy import` does in Python 3.15 (PEP 810).
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_ASKED_WHILE_COLLECTING = {"__bases__", "__test__", "__wrapped__", "_mock_name"}
"""Attributes that pytest asks of every name in a module to find tests and fixtures; lazy objects lack them."""


class _Lazy:
    """A module, or a name of a module, that is imported at first use."""

    # Without a `__dict__` of its own, it is the module's that `monkeypatch` reads and restores.
    __slots__ = ("__module", "__name")

    def __init__(self, module: str, name: str = "") -> None:
        object.__setattr__(self, "_Lazy__module", module)
        object.__setattr__(self, "_Lazy__name", name)

    def __load(self) -> Any:
        module = import_module(self.__module)
        if not self.__name:
            return module
        if not hasattr(module, self.__name):
            import_module(f"{self.__module}.{self.__name}")  # a submodule that its package does not import
        return getattr(module, self.__name)

    def __getattr__(self, name: str) -> Any:
        if name in _ASKED_WHILE_COLLECTING:
            raise AttributeError(name)
        return getattr(self.__load(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__load(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__load(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__load()(*args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.__load()[key]

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.__load())


class _LazyNames:
    """Stands for the module in `from module import ...`: every name in it is imported at first use."""

    def __init__(self, module: str) -> None:
        self.__module = module

    def __getattr__(self, name: str) -> _Lazy:
        return _Lazy(self.__module, name)


@contextmanager
def lazy_imports() -> Iterator[None]:
    """Make the import statements of a `with` block lazy: `import a` and `from a.b import c`."""

    def lazy_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if fromlist:
            return _LazyNames(name)
        if "." in name:
            raise ImportError(f"write `from {name.rpartition('.')[0]} import {name.rpartition('.')[2]}`")
        return _Lazy(name)

    eager = builtins.__import__
    builtins.__import__ = lazy_import
    try:
        yield
    finally:
        builtins.__import__ = eager
