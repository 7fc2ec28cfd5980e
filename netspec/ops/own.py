"""Loads a user's ops: from a Python file that the user names, or from installed packages. See docs/own-ops.md.

A spec never names a file of code. It can use an op that an installed package announces in the entry-point group
`netspec.ops`, under the op's name; the package is imported when a spec first uses the op.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.errors import NetspecError, fail
from netspec.files import no_file
from netspec.ops.base import REGISTRY, Op
from netspec.ops.check import check_op, said

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "netspec.ops"
"""The entry-point group: `squeeze_excitation = "my_package.ops:SqueezeExcitation"`."""


def find_op(name: str) -> type[Op] | None:
    """The op of a name: built in, registered in this process, or announced by an installed package; else None.

    Raises NetspecError NS218 if the package can't be used.
    """
    cls = REGISTRY.get(name)
    if cls is None and name in announced():
        cls = _load_announced(announced()[name])
    return cls


def op_names() -> list[str]:
    """The names of all ops: the registered ones, and those that installed packages announce."""
    return list(dict.fromkeys((*REGISTRY, *announced())))


@cache
def announced() -> dict[str, EntryPoint]:
    """The entry points of the ops that installed packages announce; no package is imported."""
    from importlib.metadata import entry_points  # slow to import, and few specs need it

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load_ops(file: str | os.PathLike[str]) -> list[type[Op]]:
    """Run a Python file, register the ops in it, and return them.

    The file becomes a module named after its stem, so that generated source can import from it. Raises NetspecError
    NS218 for a file or an op that can't be used.
    """
    file = Path(file)
    with _or_nothing(str(file)):
        if file.suffix != ".py":
            fail("NS218", f"{file} is no Python file", help="ops stand in a file whose name ends with `.py`")
        if not file.is_file():
            what = no_file(file)
            fail("NS218", f"{file} is no file: it is {what}" if what else f"there is no file {file}")
        if not file.stem.isidentifier():
            fail("NS218", f"{file} can't be imported: `{file.stem}` is no name of a module", help="rename the file")
        spec = importlib.util.spec_from_file_location(file.stem, file.resolve())
        assert spec is not None
        _need_free(spec, file)
        _run(spec)
    ops = [cls for cls in REGISTRY.values() if cls.__module__ == file.stem]
    if not ops:
        help = "an op is a class that inherits from `netspec.Op` and has a `name`"
        fail("NS218", f"{file} defines no op", help=help)
    return ops


def _need_free(spec: ModuleSpec, file: Path) -> None:
    loaded = sys.modules.get(spec.name)
    origin = (
        getattr(loaded, "__file__", None) if loaded else getattr(importlib.util.find_spec(spec.name), "origin", None)
    )
    if origin is not None and Path(origin).resolve() != file.resolve():
        fail("NS218", f"{file} would hide the module `{spec.name}`, {origin}", help="rename the file")


def _run(spec: ModuleSpec) -> None:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise


def _load_announced(entry: EntryPoint) -> type[Op]:
    package = entry.dist.name if entry.dist else entry.value
    with _or_nothing(f"`{entry.name}` of {package}"):
        entry.load()
        if entry.name not in REGISTRY:
            fail("NS218", f"{package} announces an op `{entry.name}`, and {entry.value} defines none of that name")
    return REGISTRY[entry.name]


@contextmanager
def _or_nothing(what: str) -> Generator[None]:
    """Register all ops that are defined inside the `with`, or none after an error; `what` is their origin in errors."""
    before = dict(REGISTRY)
    try:
        yield
        for name, cls in REGISTRY.items():
            if before.get(name) is not cls:
                check_op(cls)
    except BaseException as error:
        REGISTRY.clear()
        REGISTRY.update(before)
        # Without this, `sys.exit()` in such a file would end netspec silently.
        if isinstance(error, NetspecError) or not isinstance(error, Exception | SystemExit):
            raise
        fail("NS218", f"{what} can't be used: {said(error)}")
