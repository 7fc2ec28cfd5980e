"""`use`: the blocks of other files, each seen as its own file means it."""

from __future__ import annotations

import os
from functools import partial

from netspec.errors import Findings, NetspecError, fail
from netspec.graph.model import SpecParameter
from netspec.source import Source, Span
from netspec.spec.limits import MAX_USED_FILES
from netspec.spec.read.blocks import read_blocks
from netspec.spec.read.body import BlockDefinition
from netspec.spec.read.defaults import read_defaults
from netspec.spec.read.extends import File, chain
from netspec.spec.read.networks import Embedded
from netspec.spec.read.parameters import read_parameters, replaced
from netspec.spec.sources.find import find_beside
from netspec.spec.text.data import Seq, plain_data

_Key = tuple[str, str]


class Blocks:
    """The blocks of a spec's files and of all files that those use, each file read once."""

    def __init__(self, spec: list[File], findings: Findings, embedded: Embedded) -> None:
        self.findings = findings
        self.embedded = embedded
        self.known: dict[_Key, dict[str, BlockDefinition]] = {}
        self.open: dict[_Key, str] = {_key(file.source): file.source.name for file in spec}
        self.all: dict[int, BlockDefinition] = {}

    def of(self, files: list[File]) -> dict[str, BlockDefinition]:
        """What the steps of a chain of `extends` can use; what a file says goes before what it extends."""
        found: dict[str, BlockDefinition] = {}
        unclear: dict[str, list[str]] = {}
        for file in reversed(files):
            self.used(file, found, unclear)
            own = read_blocks(file.section("blocks"), file.context, self.findings)
            for name in own:
                unclear.pop(name, None)
            found.update(own)
        for file in files:
            file.context.blocks, file.context.unclear = found, unclear
        for block in found.values():
            self.all.setdefault(id(block), block)
        return found

    def used(self, file: File, found: dict[str, BlockDefinition], unclear: dict[str, list[str]]) -> None:
        """Add the blocks of the files that a file uses; of two with one name, none can be named."""
        owners: dict[str, str] = {}
        for name, span in _used(file):
            try:
                blocks = self.file(find_beside(name, file.source, span), span)
            except NetspecError as error:
                self.findings.extend(error)
                continue
            for block in blocks.values():
                owner = owners.setdefault(block.name, name)
                if owner != name and found.get(block.name) is not block:
                    found.pop(block.name, None)
                    unclear.setdefault(block.name, [owner]).append(name)
                elif block.name not in unclear:
                    found[block.name] = block

    def file(self, source: Source, span: Span) -> dict[str, BlockDefinition]:
        """The blocks that a file has for those who use it."""
        key = _key(source)
        if key in self.open:
            way = [*self.open.values(), source.name]
            fail("NS212", f"`{source.name}` uses itself", span, notes=[" -> ".join(way[way.index(self.open[key]) :])])
        if key in self.known:
            return self.known[key]
        if len(self.known) + len(self.open) >= MAX_USED_FILES:
            fail("NS214", f"a spec uses at most {MAX_USED_FILES} files", span)
        self.open[key] = source.name
        try:
            files = chain(source, body=False)
            parameters = parameters_of(files, self.findings)
            constants = {p.name: p.default for p in parameters.values() if not p.required}
            required = parameters.keys() - constants.keys()
            for file in files:
                context = file.context
                context.name = str(plain_data(files[0].data.entries["name"].value))
                context.parameters, context.constants = frozenset(constants), constants
                context.required = frozenset(required)
                context.embed = partial(self.embedded.embed, asker=file.source)
            found = self.of(files)
            for file in files:
                read_defaults(file.section("defaults"), file.context, self.findings)
        finally:
            del self.open[key]
        self.known[key] = found
        return found


def parameters_of(files: list[File], findings: Findings) -> dict[str, SpecParameter]:
    """The parameters of a chain of `extends`; what a file says goes before what it extends."""
    found: dict[str, SpecParameter] = {}
    for file in reversed(files):
        entries = file.section("params")
        for name, parameter in read_parameters(entries, findings).items():
            found[name] = replaced(parameter, found.get(name), entries[name], findings)
    return found


def _used(file: File) -> list[tuple[str, Span]]:
    entry = file.data.entries.get("use")
    if entry is None or not isinstance(entry.value, Seq):
        return []
    return [(str(plain_data(item)), item.span) for item in entry.value.items]


def _key(source: Source) -> _Key:
    return os.path.realpath(source.name), source.text
