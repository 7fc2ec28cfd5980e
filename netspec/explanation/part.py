"""`explain` reports on a part of a network: its step in the spec, its inputs and outputs, and its values' origins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Protocol, cast

from netspec.analysis.summary import summary
from netspec.dims import Symbolic
from netspec.errors import closest, fail
from netspec.explanation.places import Places
from netspec.explanation.table import explanation_table
from netspec.explanation.values import Origin, ValueOrigins, place_text
from netspec.expression import show
from netspec.graph.model import Graph, Input, Node, Scope
from netspec.graph.paths import is_below
from netspec.graph.tree import Group, tree, uses_hint
from netspec.graph.walk import live_nodes
from netspec.report import Report, plain
from netspec.spec.read.body import Step
from netspec.spec.read.spec import Spec
from netspec.spec.text.data import plain_data
from netspec.types import Filling, Init

_SCOPE_WORDS = {
    "block": "a use of block",
    "network": "a use of network",
    "branch": "a branch",
    "merge": "a merge",
    "repeat": "the copies of",
    "body": "the steps that a block was given",
}


class HasSpec(Protocol):
    """An object with a spec and the graph that it was elaborated to, such as a Network."""

    @property
    def spec(self) -> Spec: ...
    @property
    def graph(self) -> Graph: ...
    @property
    def overridden(self) -> frozenset[str]: ...


def explain(network: HasSpec, path: str = "") -> Report:
    """Explain where a part of a network comes from: its step, inputs and outputs, and the origin of every value.

    `path` names an op, a use of a block, a branch, a repeat, an input, an output, a weight, a parameter of the spec, or
    a step that was left out; "" is the network itself. Raises NetspecError NS209 for other names.
    """
    data = _Explainer(network.spec, network.graph, network.overridden).part(path)
    return Report(data, partial(explanation_table, network.graph, data))


@dataclass(slots=True)
class _Part:
    """A part of a network, with the data of its report."""

    path: str
    what: str
    """Its kind, in words: `op `conv2d``."""
    place: str
    """The place of its step in the spec."""
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    """The values that enter it, by their names in it."""
    output: str = ""
    """The value that leaves it; "" without one."""
    nodes: Sequence[str] = ()
    """The paths of its nodes, whose costs are added up."""
    values: Iterable[Origin] = ()
    items: Sequence[Mapping[str, Any]] = ()
    """The parts directly in it, and the steps that were left out."""
    weights: Sequence[Mapping[str, Any]] = ()


class _Explainer:
    """Explains the parts of one network; it has a method for each kind of part."""

    def __init__(self, spec: Spec, graph: Graph, overridden: Collection[str]) -> None:
        self.spec = spec
        self.graph = graph
        self.places = Places(spec, graph)
        self.values = ValueOrigins(self.places, overridden)
        self.layers = {layer["name"]: layer for layer in summary(graph, "train")["layers"]}

    def part(self, path: str) -> dict[str, Any]:
        """The report of the part at a path. Raises NetspecError NS209 if there is none."""
        graph = self.graph
        if not path or path == graph.name:
            return self.network()
        if path in graph.by_path:
            return self.node(graph.by_path[path])
        if path in graph.scopes:
            return self.scope(graph.scopes[path])
        for i in graph.inputs:
            if i.name == path:
                return self.input(i)
        for o in graph.outputs:
            if o.name == path:
                return self.part(o.value)
        if path in self.spec.parameters:
            origin = self.values.of_spec(path)
            return self._data(_Part(path, "a parameter of the spec", origin.place, values=[origin]))
        owner = self._owner_of_weight(path)
        if owner is not None:
            return self.node(owner)
        return self.left_out(path) or self._refuse(path)

    def _owner_of_weight(self, key: str) -> Node | None:
        """The node whose weight has this key in the state dict; None if there is none."""
        nodes = [node for node in self.graph if is_below(key, node.path)]
        return next((node for node in nodes if any(w.key(node.path) == key for w in self.graph.weights(node))), None)

    def _refuse(self, path: str) -> NoReturn:
        """Raise the error for a path that is no part, with a hint at a similar one."""
        graph = self.graph
        names = {*graph.by_path, *graph.scopes, *self.spec.parameters, *(i.name for i in graph.inputs)}
        names |= {absent.path for absent in self.places.left_out(self._innermost_scope(path))}
        hint = self._owner_hint(path) or closest(path, names)
        hint = hint or "`netspec explain` without a part lists what stands at the top"
        fail("NS209", f"`{graph.name}` has no part `{path}`", help=uses_hint(graph, path) or hint)

    def _owner_hint(self, path: str) -> str:
        """A hint at the part of which a path names an output, such as `rpn` for `rpn.rois`; "" for other paths."""
        owner, _, name = path.rpartition(".")
        node, scope = self.graph.by_path.get(owner), self.graph.scopes.get(owner)
        outputs = node.op.named_outputs if node is not None else scope.block.outputs if scope and scope.block else ()
        return f"`{name}` is an output of `{owner}`, which is a part" if name in outputs else ""

    def network(self) -> dict[str, Any]:
        """The report of the network."""
        # The costs are those of the summary, without nodes for training alone.
        nodes = [node.path for node in live_nodes(self.graph, "inference")]
        values = [self.values.of_spec(name) for name in self.spec.parameters]
        inputs = {i.name: i.name for i in self.graph.inputs}
        what = f"a network that extends {self.spec.extends}" if self.spec.extends else "a network"
        part = _Part(
            self.graph.name,
            what,
            place=self.spec.source.name,
            inputs=inputs,
            output=self.graph.outputs[0].value,
            nodes=nodes,
            values=values,
            items=self._items(None),
        )
        data = self._data(part)
        data["outputs"] = self._named_values({o.name: o.value for o in self.graph.outputs})
        # Weights that inference shares may be owned by a node for training alone.
        data["parameters"] = summary(self.graph)["totals"]["parameters"]
        return data

    def node(self, node: Node) -> dict[str, Any]:
        """The report of an op."""
        step = self.places.step(node)
        values: list[Origin] = []
        for name in type(node.op).model_fields:
            value = getattr(node.op, name)
            argument = step.arguments.get(name) if step else None
            if argument is not None:
                values += self.values.of_argument(name, value, argument, node)
            else:
                values.append(Origin(name, value, "default" if step else "graph"))
        values += self._siblings(node, step)
        inputs = {f"input {n}" if len(node.inputs) > 1 else "input": value for n, value in enumerate(node.inputs)}
        weights = [
            {"name": w.called, "shape": list(w.shape), "kind": w.kind, "init": _filling(node.init.get(w.called))}
            for w in self.graph.weights(node)
        ]
        what = f"op `{node.op.opname}`"
        if node.weights_of != node.path:
            what += f", with the weights of `{node.weights_of}`"
        part = _Part(
            node.path,
            what,
            place=place_text(node.span),
            inputs=inputs,
            output=node.path,
            nodes=[node.path],
            values=values,
            weights=weights,
        )
        return self._data(part)

    def scope(self, scope: Scope) -> dict[str, Any]:
        """The report of a block's use, a branch, a merge, a repeat, or an embedded network."""
        step = self.places.step(scope)
        values: list[Origin] = []
        for parameter in scope.block.parameters if scope.block else ():
            value = scope.params[parameter.name]
            argument = step.arguments.get(parameter.name) if step else None
            if argument is not None:
                values += self.values.of_argument(parameter.name, value, argument, scope)
            else:
                values.append(Origin(parameter.name, value, "default", "", place_text(parameter.span)))
        values += self._siblings(scope, step)
        part = _Part(
            scope.path,
            _kind_of_scope(scope, step),
            place=place_text(scope.span),
            # A single input is also called `input`: list it once, under its own name.
            inputs={name: v for name, v in scope.inputs.items() if name != "input" or len(scope.inputs) == 1},
            output=scope.output,
            nodes=[node.path for node in self.graph.nodes if is_below(node.path, scope.path)],
            values=values,
            items=self._items(scope),
        )
        data = self._data(part)
        if scope.block is not None and len(scope.outputs) > 1:
            data["outputs"] = self._named_values(dict(zip(scope.block.outputs, scope.outputs, strict=False)))
        return data

    def input(self, i: Input) -> dict[str, Any]:
        """The report of an input."""
        values: list[Origin] = []
        for axis, (dim, span) in enumerate(self.spec.inputs[i.name].dims):
            size, name = i.type.shape[axis], f"axis {axis}"
            if isinstance(dim, int | str):
                origin = "spec" if str(dim) == str(size) else "--input"
                values.append(Origin(name, size, origin, "", span.place))
            else:
                values.append(Origin(name, size, "spec", span.text.strip("\"'"), span.place))
                values += self.values.of_names(dim, "", "", 1)
        values += self._preprocess(i)
        return self._data(_Part(i.name, f"an input, {i.type.dtype}", place_text(i.span), output=i.name, values=values))

    def _preprocess(self, i: Input) -> Iterable[Origin]:
        """The origins of the preprocessing of an input: the spec, or the size of the input."""
        definition = self.spec.preprocess.get(i.name)
        if definition is None or i.preprocess is None:
            return
        entries = definition.data.entries
        for key, value in i.preprocess.to_dict().items():
            written = entries[key].value if key in entries else None
            if written is not None and plain_data(written) == value:
                yield Origin(f"preprocess.{key}", value, "spec", "", written.span.place)
            else:
                yield Origin(f"preprocess.{key}", value, "its size", "", "")

    def _siblings(self, part: Node | Scope, step: Step | None) -> Iterable[Origin]:
        """The origin of `when`, or of `repeat` if the part is a repeat."""
        if step is None or (isinstance(part, Scope) and part.kind == "branch"):
            return
        copies = isinstance(part, Scope) and part.kind == "repeat"
        if step.repeat is not None and copies:
            count = len(_group_at(tree(self.graph), part.path).items)
            yield from self.values.of_argument("repeat", count, step.repeat, part)
        if step.when is not None and not copies:
            yield from self.values.of_argument("when", True, step.when, part)

    def _items(self, scope: Scope | None) -> list[dict[str, Any]]:
        """The parts directly in a scope (None means the network), and the steps that were left out of it."""
        group = _group_at(tree(self.graph), scope.path if scope else "")
        items: list[dict[str, Any]] = []
        for item in group.items:
            if isinstance(item, Node):
                items.append({"name": item.name, "what": item.op.opname, "left_out": False})
            elif item.scope is not None:
                block = item.scope.block
                what = block.name if block else item.scope.kind
                items.append({"name": item.scope.name, "what": what, "left_out": False})
        lead = len(scope.path) + 1 if scope else 0
        for absent in self.places.left_out(scope):
            items.append({"name": absent.path[lead:], "what": absent.step.uses, "left_out": True})
        return items

    def left_out(self, path: str) -> dict[str, Any] | None:
        """The report of a step that was left out, with the origins of its condition; None if there is no such step."""
        innermost = self._innermost_scope(path)
        # A branch without nodes has no scope: its steps are found in a scope further out.
        for scope in (innermost, *self.places.scopes_around(innermost), None) if innermost else (None,):
            for absent in self.places.left_out(scope):
                if absent.path == path:
                    step = absent.step
                    argument = step.when if step.when is not None else step.repeat
                    assert argument is not None
                    values = self.values.condition(argument, scope.path if scope else "", path, absent.input)
                    return self._data(_Part(path, "a step that was left out", step.span.place, values=values))
        return None

    def _innermost_scope(self, path: str) -> Scope | None:
        """The innermost scope around a path, which may be no part; None for the network itself."""
        while path:
            path = path.rpartition(".")[0]
            if path in self.graph.scopes:
                return self.graph.scopes[path]
        return None

    def _named_values(self, values: Mapping[str, str]) -> list[dict[str, Any]]:
        """The data of values with names: the name, the value, and its shape."""
        types = self.graph.types
        return [{"name": name, "value": v, "shape": plain(types[v].shape)} for name, v in values.items()]

    def _data(self, part: _Part) -> dict[str, Any]:
        """The data of a part, with its costs and receptive field."""
        layers = [self.layers[name] for name in part.nodes if name in self.layers]
        macs = [layer["macs"] for layer in layers]
        types, output = self.graph.types, part.output
        return {
            "network": self.graph.name,
            "part": part.path,
            "what": part.what,
            "place": part.place,
            "inputs": self._named_values(part.inputs),
            "output": {"value": output, "shape": plain(types[output].shape)} if output in types else None,
            "ops": len(layers),
            "parameters": sum(layer["parameters"] for layer in layers),
            "macs": sum(macs) if all(isinstance(m, int) for m in macs) else None,
            "receptive_field": self.layers[output]["receptive_field"] if output in self.layers else None,
            "values": [_plain(origin) for origin in part.values],
            "weights": [*part.weights],
            "holds": [*part.items],
        }


def _kind_of_scope(scope: Scope, step: Step | None) -> str:
    """The kind of a scope, in words: "the copies of `conv`"."""
    kind = _SCOPE_WORDS.get(scope.kind, scope.kind)
    if scope.block is not None:
        kind += f" `{scope.block.name}`"
    if scope.kind == "repeat" and step is not None:
        kind += f" `{step.uses}`"
    return f"{kind}, with the weights of `{scope.weights_of}`" if scope.weights_of else kind


def _filling(filling: Filling | None) -> str | None:
    """The initialiser of a weight, as a spec writes it; None for PyTorch's default."""
    if isinstance(filling, Init):
        options = ", ".join(f"{name}: {show(value)}" for name, value in filling.options.items())
        return f"{filling.function} {{{options}}}" if options else filling.function
    return None if filling is None else show(filling)


def _plain(origin: Origin) -> dict[str, Any]:
    """An origin as plain data for JSON."""
    value: Any = origin.value
    if isinstance(value, tuple):
        value = list(cast("tuple[Any, ...]", value))
    return {
        "name": origin.name,
        "value": str(value) if isinstance(value, Symbolic) else value,
        "from": origin.origin,
        "written": origin.written,
        "place": origin.place,
        "depth": origin.depth,
    }


def _group_at(group: Group, path: str) -> Group:
    """The group at a path inside of another group."""
    while group.path != path:
        inner = [item for item in group.items if isinstance(item, Group)]
        group = next(item for item in inner if item.path == path or is_below(path, item.path))
    return group
