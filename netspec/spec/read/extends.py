"""`extends`: the chain of files of a spec, from the outermost file to the one with the body."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.errors import fail
from netspec.naming import check_class_name, check_name
from netspec.source import Source, Span
from netspec.spec.limits import MAX_EXTENDS
from netspec.spec.read.keys import outline
from netspec.spec.sources.find import find_beside
from netspec.spec.text.data import Entry, Map, plain_data
from netspec.spec.text.parse import parse_text

_ONLY_WHERE_THE_BODY_IS = ("network", "outputs")


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """One file of a chain of `extends`, its keys checked."""

    data: Map
    source: Source

    def section(self, key: str) -> dict[str, Entry]:
        """The entries under a key of the file; empty without the key."""
        return self.data.section(key)

    @property
    def name(self) -> str:
        """The value of the file's `name`."""
        return str(plain_data(self.data.entries["name"].value))

    @property
    def extends(self) -> str | None:
        """The spec that the file extends; None for the file with the body."""
        entry = self.data.entries.get("extends")
        value = plain_data(entry.value) if entry is not None else None
        return None if value is None else str(value)


def chain(source: Source, *, needs_body: bool = True) -> list[File]:
    """Read the file of a source and the files that it extends, in this order: the one with the body comes last.

    A file that is only used for its blocks needs no body. Raises NetspecError for errors in a file, and for a chain
    that extends itself.
    """
    files = [_read_file(source)]
    while (extended := files[-1].extends) is not None:
        file = files[-1]
        entry = file.data.entries["extends"]
        for key in _ONLY_WHERE_THE_BODY_IS:
            if key in file.data.entries:
                where = file.data.entries[key].key_span
                fail("NS201", f"`{key}` can't stand beside `extends`: the extended spec has it", where)
        source = find_beside(extended, file.source, entry.value.span)
        _check_chain(files, source, entry.value.span)
        files.append(_read_file(source))
    if needs_body:
        _check_body(files)
    return files


def _read_file(source: Source) -> File:
    data = parse_text(source)
    name = outline(data).name
    assert isinstance(data, Map)
    check_name(name, "a network", data.entries["name"].value.span)
    check_class_name(name, "a network", data.entries["name"].value.span)
    return File(data, source)


def _check_chain(files: list[File], extended: Source, span: Span) -> None:
    """Refuse a chain that returns to one of its files, or is too long."""
    is_cycle = any((file.source.name, file.source.text) == (extended.name, extended.text) for file in files)
    if is_cycle or len(files) >= MAX_EXTENDS:
        what = "extends itself" if is_cycle else f"extends more than {MAX_EXTENDS} deep"
        names = " -> ".join([*(file.source.name for file in files), extended.name])
        fail("NS212", f"`{files[0].source.name}` {what}", span, notes=[names])


def _check_body(files: list[File]) -> None:
    """Refuse a spec without a network."""
    data = files[-1].data
    if not ("network" in data.entries or "networks" in data.entries):
        help = "or `networks`, several by their names; or `extends`, another spec's name"
        if len(files) == 1 and "blocks" in data.entries:
            help += "; a file of blocks alone is for other specs, which name it in `use`"
        fail("NS201", "a spec needs `network`, a list of steps", data.span, help=help)
