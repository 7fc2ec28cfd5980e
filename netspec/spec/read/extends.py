"""`extends`: the chain of files that a spec is made of, from the one that was asked for to the one with the body."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.errors import fail
from netspec.naming import check_class_name, check_name
from netspec.source import Source
from netspec.spec.limits import MAX_EXTENDS
from netspec.spec.read.body import FileContext
from netspec.spec.read.keys import outline
from netspec.spec.sources.find import find_beside
from netspec.spec.text.data import Entry, Map
from netspec.spec.text.parse import parse_text

_ONLY_WHERE_THE_BODY_IS = ("network", "networks", "outputs")


@dataclass(slots=True)
class File:
    """One file of a chain of `extends`: what it says, and the context its steps share."""

    data: Map
    source: Source
    context: FileContext

    def section(self, key: str) -> dict[str, Entry]:
        """The entries under a key of the file, none if it is not there."""
        return self.data.section(key)


def chain(source: Source, *, body: bool = True) -> list[File]:
    """The file and those it extends, the one with the body last; for blocks to use, there need be no `body`."""
    files: list[File] = []
    seen: list[tuple[str, str]] = []
    while True:
        data = parse_text(source)
        found = outline(data)
        assert isinstance(data, Map)
        check_name(found.name, "a network", data.entries["name"].value.span)
        check_class_name(found.name, "a network", data.entries["name"].value.span)
        files.append(File(data, source, FileContext()))
        seen.append((source.name, source.text))
        if found.extends is None:
            if body and not ("network" in data.entries or "networks" in data.entries):
                help = "or `networks`, several by their names; or `extends`, another spec's name"
                if len(files) == 1 and "blocks" in data.entries:
                    help += "; a file of blocks alone is for other specs, which name it in `use`"
                fail("NS201", "a spec needs `network`, a list of steps", data.span, help=help)
            return files
        entry = data.entries["extends"]
        for key in _ONLY_WHERE_THE_BODY_IS:
            if key in data.entries:
                where = data.entries[key].key_span
                fail("NS201", f"`{key}` can't stand beside `extends`: the extended spec has it", where)
        source = find_beside(found.extends, source, entry.value.span)
        if (source.name, source.text) in seen or len(files) >= MAX_EXTENDS:
            what = "extends itself" if (source.name, source.text) in seen else f"extends more than {MAX_EXTENDS} deep"
            way = " -> ".join(name for name, _ in [*seen, (source.name, "")])
            fail("NS212", f"`{files[0].source.name}` {what}", entry.value.span, notes=[way])
