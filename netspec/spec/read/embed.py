"""`network: resnet50` as a step: reads the specs that a spec embeds, each once."""

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
_ChosenSteps = list[tuple[str, Span]]
"""The steps of an embedded spec that `outputs` beside `spec` names, each with the place of its name."""


class EmbeddedSpecs:
    """Reads the specs that a spec embeds, directly or through others, each once.

    `read(source, network, self)` reads one network of a spec, "" for the only one. It is passed in, since reading a
    spec embeds specs: the modules would import each other.
    """

    def __init__(self, source: Source, network: str, read: Callable[[Source, str, EmbeddedSpecs], Spec]) -> None:
        self.read = read
        self.specs: dict[_Key, Spec] = {}
        self.definitions: dict[tuple[int, tuple[str, ...]], BlockDefinition] = {}
        """The network as a target of steps, by the spec's `id` and the names of the chosen steps."""
        self._open = {_key(source, network): source.name}

    def embed(self, data: Data, span: Span, asker: Source) -> tuple[BlockDefinition, Data]:
        """Read `network: s`, or `network: {spec: s, params: ..., outputs: [...]}`: the network and its arguments.

        `asker` is the source of the file with the step; paths are relative to its folder.
        """
        chosen: _ChosenSteps | None = None
        arguments: Data = Scalar(None, data.span, False)
        if isinstance(data, Map):
            name, where = checked_model(EmbedOutline, data, "`network`").spec, data.entries["spec"].value.span
            if "params" in data.entries:
                arguments = data.entries["params"].value
            chosen = _chosen_steps(data)
        elif isinstance(data, Scalar) and isinstance(data.value, str):
            name, where = data.value, data.span
        else:
            help = "such as `network: resnet50`, or `network: {spec: resnet50, params: {classes: 10}}`"
            fail("NS211", f"`network` names a spec to embed, and this is {data_kind(data)}", data.span, help=help)
        spec = self._spec(name, where, asker)
        key = (id(spec), tuple(name for name, _ in chosen or ()))
        if key not in self.definitions:
            self.definitions[key] = _as_target(spec, chosen)
        return self.definitions[key], arguments

    def _spec(self, name: str, span: Span, asker: Source) -> Spec:
        """Read the spec of a name, or return it if it has been read."""
        file, network = named_network(name)
        source = find_beside(file, asker, span)
        key = _key(source, network)
        if key in self._open:
            names = [*self._open.values(), source.name]
            notes = [" -> ".join(names[names.index(self._open[key]) :])]
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


def _chosen_steps(data: Map) -> _ChosenSteps | None:
    """The steps that `outputs` beside `spec` names; None without `outputs`."""
    if "outputs" not in data.entries:
        return None
    items = data.entries["outputs"].value
    chosen = [(str(plain_data(item)), item.span) for item in items.items] if isinstance(items, Seq) else []
    if not chosen:
        fail("NS201", "`outputs` names no step of that network", items.span)
    return chosen


def _for_embedder(diagnostic: Diagnostic, span: Span) -> Diagnostic:
    """The diagnostic of an embedded spec, as the embedding spec reports it: with the place of the step."""
    if diagnostic.code == "NS212":
        return diagnostic
    if diagnostic.code == "NS213" and (diagnostic.span is None or diagnostic.span.text == "networks"):
        # The step that embeds the spec has to choose one of its networks.
        return replace(diagnostic, span=span)
    return replace(diagnostic, notes=(*diagnostic.notes, f"embedded at {span.place}"))


def _as_target(spec: Spec, chosen: _ChosenSteps | None) -> BlockDefinition:
    """A spec as the target of a step, which takes its parameters as arguments.

    Its outputs are those of the spec, or the values of the chosen steps.
    """
    if chosen is None:
        results = {o.name: o.value for o in spec.outputs if o.mode == "inference"}
    else:
        named = [step.name for step in spec.body.steps if step.named]
        for name, span in chosen:
            if name not in named:
                help = closest(name, named) or f"it has {choices(named)}"
                fail("NS209", f"`{spec.name}` has no step `{name}` with a name", span, help=help)
        results = {name: name for name, _ in chosen}
    names = tuple(results)
    if chosen is None and list(results.values()) == [step.name for step in spec.body.steps[-1:] if not step.named]:
        results = {}  # The only output is the value of the last step, which has no name.
    info = Block(spec.name, tuple(spec.parameters.values()), spec.body.span, tuple(spec.inputs), names)
    data = Map({}, spec.body.span)
    return BlockDefinition(spec.name, info, data, spec.body, spec.name, results, declared=spec.inputs, own=True)


def _key(source: Source, network: str) -> _Key:
    return os.path.realpath(source.name), source.text, network
