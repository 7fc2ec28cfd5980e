"""The `networks` of a spec: those of the file with the body, as the files that extend it change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.spec.read.extends import File
from netspec.spec.text.data import Entry, Map

_BY_KEY = ("inputs", "preprocess", "labels")
"""The sections of a network that an extending file changes key by key; it replaces others as a whole."""


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """A network as it is written: its sections, and the number of the file in the chain that has its body."""

    entry: Entry
    file: int
    inherited: frozenset[str] = frozenset()
    """The sections that come from a file that is extended."""


def networks_of_chain(files: Sequence[File], findings: Findings) -> dict[str, NetworkEntry]:
    """The networks of a chain of `extends` by name.

    A network with a `body` in an extending file replaces the one of its name, or is a further one. Without a body its
    sections change those of the extended network. Claims are replaced, and lapse where a file makes none.
    """
    networks: dict[str, NetworkEntry] = {}
    for number, file in reversed(list(enumerate(files))):
        networks = {name: _without_claims(network) for name, network in networks.items()}
        for name, entry in file.section("networks").items():
            data = entry.value
            if file.extends is None or not isinstance(data, Map) or "body" in data.entries:
                networks[name] = NetworkEntry(entry, number)
                continue
            try:
                networks[name] = _changed(name, entry, data, networks)
            except NetspecError as error:
                findings.extend(error)
                findings.check_full()
    return networks


def _without_claims(network: NetworkEntry) -> NetworkEntry:
    entry, data = network.entry, network.entry.value
    if not isinstance(data, Map):
        return network
    sections = {key: section for key, section in data.entries.items() if key != "expect"}
    return NetworkEntry(Entry(entry.key, entry.key_span, Map(sections, data.span)), network.file, frozenset(sections))


def _changed(name: str, entry: Entry, changes: Map, networks: dict[str, NetworkEntry]) -> NetworkEntry:
    """A network with the sections that an extending file has for it."""
    extended = networks.get(name)
    if extended is None:
        help = closest(name, networks) or (f"it has {choices(networks)}" if networks else "a new one needs a `body`")
        fail("NS213", f"the spec that this one extends has no network `{name}`", entry.key_span, help=help)
    if "outputs" in changes.entries:
        message = "`outputs` stand with the `body`: the extended network has both"
        fail("NS201", message, changes.entries["outputs"].key_span, help="with a `body` it is another network")
    data = extended.entry.value
    assert isinstance(data, Map)
    sections = {**data.entries, **changes.entries}
    for key in _BY_KEY:
        if key in data.entries and key in changes.entries and isinstance(changes.entries[key].value, Map):
            by_key = Map({**data.section(key), **changes.section(key)}, changes.entries[key].value.span)
            sections[key] = Entry(key, changes.entries[key].key_span, by_key)
    inherited = extended.inherited - changes.entries.keys()
    return NetworkEntry(Entry(name, entry.key_span, Map(sections, data.span)), extended.file, inherited)
