"""`use`: the blocks that a spec's files declare, and those of the files that they use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from netspec.errors import Findings, NetspecError, fail
from netspec.graph.model import SpecParameter
from netspec.source import Source, Span
from netspec.spec.limits import MAX_USED_FILES
from netspec.spec.read.blocks import read_blocks
from netspec.spec.read.body import BlockDefinition
from netspec.spec.read.context import Declarations, FileContext
from netspec.spec.read.defaults import read_defaults
from netspec.spec.read.embed import EmbeddedSpecs
from netspec.spec.read.extends import File, chain
from netspec.spec.read.parameters import override, read_parameters
from netspec.spec.sources.find import find_beside
from netspec.spec.text.data import Seq, plain_data

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredBlocks:
    """The blocks that the files of a chain of `extends` can use; their bodies are read later."""

    blocks: dict[str, BlockDefinition]
    ambiguous: dict[str, list[str]]
    """By the name of a block that several used files declare, those files: the name alone can't be used."""
    owners: dict[BlockDefinition, File]
    """The file of the chain that declares a block; blocks of used files are not in it."""


class BlockLibrary:
    """Reads the blocks of a spec's files, and of all files that they use, each file once."""

    def __init__(self, spec: list[File], embedded: EmbeddedSpecs, findings: Findings) -> None:
        self.findings = findings
        self.embedded = embedded
        self.unread: dict[BlockDefinition, FileContext] = {}
        """All blocks of all files, each with the context in which its body is to be read."""
        self._files: dict[_Key, dict[str, BlockDefinition]] = {}
        self._open: dict[_Key, str] = {_key(file.source): file.source.name for file in spec}

    def declare(self, files: list[File], qualifier: str) -> DeclaredBlocks:
        """Read the heads of the blocks that a chain declares or uses; a file overrides those of the file it extends."""
        declared = DeclaredBlocks({}, {}, {})
        for file in reversed(files):
            self._add_used(file, declared)
            own = read_blocks(file.section("blocks"), qualifier, self.findings)
            for name in own:
                declared.ambiguous.pop(name, None)
            declared.blocks.update(own)
            declared.owners.update(dict.fromkeys(own.values(), file))
        return declared

    def contexts(self, files: list[File], declared: DeclaredBlocks, names: Declarations) -> list[FileContext]:
        """The context of each file of a chain, in which its bodies are read; `declared` is the result of `declare`."""
        contexts = [
            FileContext(
                names,
                read_defaults(file.section("defaults"), names, self.findings),
                partial(self.embedded.embed, asker=file.source),
            )
            for file in files
        ]
        for block in declared.blocks.values():
            if block in declared.owners:
                self.unread[block] = contexts[files.index(declared.owners[block])]
        return contexts

    def _add_used(self, file: File, declared: DeclaredBlocks) -> None:
        """Add the blocks of the files that a file uses; a name that two files declare becomes ambiguous."""
        owners: dict[str, str] = {}
        for name, span in _used_files(file):
            try:
                blocks = self._read(find_beside(name, file.source, span), span)
            except NetspecError as error:
                self.findings.extend(error)
                continue
            for block in blocks.values():
                owner = owners.setdefault(block.name, name)
                if owner != name and declared.blocks.get(block.name) is not block:
                    declared.blocks.pop(block.name, None)
                    declared.ambiguous.setdefault(block.name, [owner]).append(name)
                elif block.name not in declared.ambiguous:
                    declared.blocks[block.name] = block

    def _read(self, source: Source, span: Span) -> dict[str, BlockDefinition]:
        """The blocks that another file gets by `use` of a source: those that it declares or uses itself."""
        key = _key(source)
        if key in self._open:
            way = [*self._open.values(), source.name]
            fail("NS212", f"`{source.name}` uses itself", span, notes=[" -> ".join(way[way.index(self._open[key]) :])])
        if key in self._files:
            return self._files[key]
        if len(self._files) + len(self._open) >= MAX_USED_FILES:
            fail("NS214", f"a spec uses at most {MAX_USED_FILES} files", span)
        self._open[key] = source.name
        try:
            files = chain(source, needs_body=False)
            parameters = parameters_of(files, self.findings)
            declared = self.declare(files, files[0].name)
            constants = {p.name: p.default for p in parameters.values() if not p.required}
            required = frozenset(parameters.keys() - constants.keys())
            names = Declarations(declared.blocks, declared.ambiguous, frozenset(constants), constants, required)
            self.contexts(files, declared, names)
        finally:
            del self._open[key]
        self._files[key] = declared.blocks
        return declared.blocks


def parameters_of(files: list[File], findings: Findings) -> Mapping[str, SpecParameter]:
    """The parameters of a chain of `extends`; those of a file override those of the file it extends."""
    parameters: dict[str, SpecParameter] = {}
    for file in reversed(files):
        entries = file.section("params")
        for name, parameter in read_parameters(entries, findings).items():
            parameters[name] = override(parameter, parameters.get(name), entries[name], findings)
    return parameters


def _used_files(file: File) -> list[tuple[str, Span]]:
    """The names under `use` of a file, each with its place."""
    entry = file.data.entries.get("use")
    if entry is None or not isinstance(entry.value, Seq):
        return []
    return [(str(plain_data(item)), item.span) for item in entry.value.items]


def _key(source: Source) -> _Key:
    return os.path.realpath(source.name), source.text
