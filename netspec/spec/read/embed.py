"""`network: resnet50` as a step: other specs that a spec embeds, each read once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from netspec.errors import Diagnostic, NetspecError, choices, closest, fail
from netspec.graph.model import Block
from netspec.source import Source, Span
from netspec.spec.limits import MAX_EMBEDDED_SPECS
from netspec.spec.read.body import BlockDefinition
from netspec.spec.read.keys import EmbedOutline, checked_model
from netspec.spec.read.spec import Spec
from netspec.spec.sources.find import find_beside, named_network
from netspec.spec.text.data import Data, Map, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind

_Key = tuple[str, str, str]
_Wanted = list[tuple[str, Span]]
"""The steps of an embedded spec whose values are wanted, with the places that name them."""


class EmbeddedSpecs:
    """The specs that a spec embeds, and those that they embed, each read once.

    `read` reads the network of a name, "" for the only one, of a source. It is handed in, since a spec that is
    embedded is read as any other.
    """

    def __init__(self, source: Source, network: str, read: Callable[[Source, str, EmbeddedSpecs], Spec]) -> None:
        self.read = read
        self.specs: dict[_Key, Spec] = {}
        self.definitions: dict[tuple[int, tuple[str, ...]], BlockDefinition] = {}
        """By a spec's identity, and the steps of it that are wanted: the network as a step."""
        self._open = {_key(source, network): source.name}

    def embed(self, data: Data, span: Span, asker: Source) -> tuple[BlockDefinition, Data]:
        """The network that `network: s` or `network: {spec: s, params: ..., outputs: [...]}` means, and its arguments.

        `asker` is the source of the file that says so, beside which the spec is looked for.
        """
        wanted: _Wanted | None = None
        arguments: Data = Scalar(None, data.span, False)
        if isinstance(data, Map):
            name, where = checked_model(EmbedOutline, data, "`network`").spec, data.entries["spec"].value.span
            if "params" in data.entries:
                arguments = data.entries["params"].value
            wanted = _wanted(data)
        elif isinstance(data, Scalar) and isinstance(data.value, str):
            name, where = data.value, data.span
        else:
            help = "such as `network: resnet50`, or `network: {spec: resnet50, params: {classes: 10}}`"
            fail("NS211", f"`network` names a spec to embed, and this is {data_kind(data)}", data.span, help=help)
        spec = self._spec(name, where, asker)
        key = (id(spec), tuple(name for name, _ in wanted or ()))
        if key not in self.definitions:
            self.definitions[key] = _as_step(spec, wanted)
        return self.definitions[key], arguments

    def _spec(self, name: str, span: Span, asker: Source) -> Spec:
        """The spec of a name, read."""
        file, network = named_network(name)
        source = find_beside(file, asker, span)
        key = _key(source, network)
        if key in self._open:
            way = [*self._open.values(), source.name]
            notes = [" -> ".join(way[way.index(self._open[key]) :])]
            fail("NS212", f"`{source.name}` embeds itself", span, notes=notes)
        if key in self.specs:
            return self.specs[key]
        if len(self.specs) + len(self._open) >= MAX_EMBEDDED_SPECS:
            fail("NS214", f"a spec embeds at most {MAX_EMBEDDED_SPECS} others", span)
        self._open[key] = source.name
        try:
            spec = self.read(source, network, self)
        except NetspecError as error:
            raise NetspecError(*(_for_embedder(d, span) for d in error.diagnostics)) from None
        finally:
            del self._open[key]
        self.specs[key] = spec
        return spec


def _wanted(data: Map) -> _Wanted | None:
    """The steps that `outputs` beside `spec` names; None without it."""
    if "outputs" not in data.entries:
        return None
    items = data.entries["outputs"].value
    wanted = [(str(plain_data(item)), item.span) for item in items.items] if isinstance(items, Seq) else []
    if not wanted:
        fail("NS201", "`outputs` names no step of that network", items.span)
    return wanted


def _for_embedder(diagnostic: Diagnostic, span: Span) -> Diagnostic:
    """A mistake in a spec, as those are told of it who embed the spec at a place."""
    if diagnostic.code == "NS212":
        return diagnostic
    if diagnostic.code == "NS213" and (diagnostic.span is None or diagnostic.span.text == "networks"):
        # Which network is meant is said where it is embedded.
        return replace(diagnostic, span=span)
    return replace(diagnostic, notes=(*diagnostic.notes, f"embedded at {span.place}"))


def _as_step(spec: Spec, wanted: _Wanted | None) -> BlockDefinition:
    """A spec as the target of a step: its parameters are arguments, and it gives its outputs, or the steps wanted."""
    if wanted is None:
        results = {o.name: o.value for o in spec.outputs if o.mode == "inference"}
    else:
        named = [step.called for step in spec.body.steps if step.named]
        for name, span in wanted:
            if name not in named:
                help = closest(name, named) or f"it has {choices(named)}"
                fail("NS209", f"`{spec.name}` has no step `{name}` with a name", span, help=help)
        results = {name: name for name, _ in wanted}
    names = tuple(results)
    if wanted is None and list(results.values()) == [step.called for step in spec.body.steps[-1:] if not step.named]:
        results = {}  # It gives the value of its last step, which has no name.
    info = Block(spec.name, tuple(spec.parameters.values()), spec.body.span, tuple(spec.inputs), names)
    data = Map({}, spec.body.span)
    return BlockDefinition(spec.name, info, data, spec.body, spec.name, results, declared=spec.inputs, own=True)


def _key(source: Source, network: str) -> _Key:
    return os.path.realpath(source.name), source.text, network
