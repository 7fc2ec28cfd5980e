"""What there is to say of one part of a network, as plain data and as a table: `explain`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

from netspec.analysis.receptive_field import is_one_field
from netspec.analysis.shapes import plain_shape
from netspec.analysis.summary import summary
from netspec.dims import Symbolic
from netspec.errors import closest, fail
from netspec.explain.places import Places
from netspec.explain.values import Origin, ValueOrigins, place_text
from netspec.expression import show
from netspec.graph.model import Graph, Input, Node, Scope
from netspec.graph.tree import Group, tree, uses_hint
from netspec.graph.walk import live_nodes
from netspec.report import Report
from netspec.shape_text import shape_text
from netspec.spec.read.body import Step
from netspec.spec.read.read_spec import Spec
from netspec.spec.text.data import plain_data
from netspec.tables import Cell, Table
from netspec.types import Filling, Init

SCOPE_WORDS = {
    "block": "a use of block",
    "network": "a use of network",
    "branch": "a branch",
    "merge": "a merge",
    "repeat": "the copies of",
    "body": "the steps that a block was given",
}


def explain(spec: Spec, graph: Graph, path: str = "", given: Collection[str] = ()) -> Report:
    """Where a part of a network comes from: its step, what enters and leaves it, and the origin of every value.

    `path` names an op, a block's use, a branch, a repeat, an input, an output, a weight, a parameter of the spec, or
    a step that was left out; "" is the network itself. `given` are the parameters that were set from outside.
    Raises NetspecError NS209 where there is no such part.
    """
    data = _Explainer(spec, graph, given).part(path)
    return Report(data, lambda: _table(graph, data))


class _Explainer:
    def __init__(self, spec: Spec, graph: Graph, given: Collection[str]) -> None:
        self.spec = spec
        self.graph = graph
        self.places = Places(spec, graph)
        self.values = ValueOrigins(self.places, given)
        self.layers = {layer["name"]: layer for layer in summary(graph, "train")["layers"]}

    def part(self, path: str) -> dict[str, Any]:
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
            return self._data(path, "a parameter of the spec", origin.place, values=[origin])
        around = [node for node in graph if path.startswith(f"{node.path}.")]
        owner = next((node for node in around if any(w.key(node.path) == path for w in graph.weights(node))), None)
        if owner is not None:
            return self.node(owner)
        found = self.left_out(path)
        if found is None:
            known = {*graph.by_path, *graph.scopes, *self.spec.parameters, *(i.name for i in graph.inputs)}
            known |= {absent for absent, _, _ in self.places.left_out(self._around(path))}
            other = closest(path, known) or "`netspec explain` without a part lists what stands at the top"
            help = uses_hint(graph, path) or other
            fail("NS209", f"`{graph.name}` has no part `{path}`", help=help)
        return found

    def network(self) -> dict[str, Any]:
        # As the summary counts: what is built in training only tells its own costs.
        nodes = [node.path for node in live_nodes(self.graph, "inference")]
        values = [self.values.of_spec(name) for name in self.spec.parameters]
        inputs = {i.name: i.name for i in self.graph.inputs}
        output = self.graph.outputs[0].value
        what = f"a network that extends {self.spec.extends}" if self.spec.extends else "a network"
        data = self._data(
            self.graph.name, what, self.spec.source.name, inputs, output, nodes, values, self._items(None)
        )
        data["outputs"] = self._outputs({o.name: o.value for o in self.graph.outputs})
        # What owns weights that others share may be built in training only.
        data["parameters"] = summary(self.graph)["totals"]["parameters"]
        return data

    def node(self, node: Node) -> dict[str, Any]:
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
        return self._data(node.path, what, place_text(node.span), inputs, node.path, [node.path], values, [], weights)

    def scope(self, scope: Scope) -> dict[str, Any]:
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
        nodes = [node.path for node in self.graph.nodes if node.path.startswith(f"{scope.path}.")]
        what = SCOPE_WORDS.get(scope.kind, scope.kind)
        if scope.block is not None:
            what += f" `{scope.block.name}`"
        if scope.kind == "repeat" and step is not None:
            what += f" `{step.uses}`"
        if scope.weights_of:
            what += f", with the weights of `{scope.weights_of}`"
        items = self._items(scope)
        # The only value that enters is `input` too.
        inputs = {name: v for name, v in scope.inputs.items() if name != "input" or len(scope.inputs) == 1}
        data = self._data(scope.path, what, place_text(scope.span), inputs, scope.output, nodes, values, items)
        if scope.block is not None and len(scope.outputs) > 1:
            data["outputs"] = self._outputs(dict(zip(scope.block.outputs, scope.outputs, strict=False)))
        return data

    def input(self, i: Input) -> dict[str, Any]:
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
        return self._data(i.name, f"an input, {i.type.dtype}", place_text(i.span), output=i.name, values=values)

    def _preprocess(self, i: Input) -> Iterable[Origin]:
        """What becomes of an image; what the spec does not say in these words follows from the size of the input."""
        definition = self.spec.preprocess.get(i.name)
        if definition is None or i.preprocess is None:
            return
        said = definition.data.entries
        for key, value in i.preprocess.to_dict().items():
            given = said[key].value if key in said else None
            if given is not None and plain_data(given) == value:
                yield Origin(f"preprocess.{key}", value, "spec", "", given.span.place)
            else:
                yield Origin(f"preprocess.{key}", value, "its size", "", "")

    def _siblings(self, part: Node | Scope, step: Step | None) -> Iterable[Origin]:
        """`when` of what is there, and `repeat` of copies."""
        if step is None or (isinstance(part, Scope) and part.kind == "branch"):
            return
        copies = isinstance(part, Scope) and part.kind == "repeat"
        if step.repeat is not None and copies:
            count = len(_find(tree(self.graph), part.path).items)
            yield from self.values.of_argument("repeat", count, step.repeat, part)
        if step.when is not None and not copies:
            yield from self.values.of_argument("when", True, step.when, part)

    def _items(self, scope: Scope | None) -> list[dict[str, Any]]:
        """What stands directly in a scope, and what was left out of it."""
        group = _find(tree(self.graph), scope.path if scope else "")
        found: list[dict[str, Any]] = []
        for item in group.items:
            if isinstance(item, Node):
                found.append({"name": item.name, "what": item.op.opname, "left_out": False})
            elif item.scope is not None:
                block = item.scope.block
                what = block.name if block else item.scope.kind
                found.append({"name": item.scope.name, "what": what, "left_out": False})
        lead = len(scope.path) + 1 if scope else 0
        for path, step, _ in self.places.left_out(scope):
            found.append({"name": path[lead:], "what": step.uses, "left_out": True})
        return found

    def left_out(self, path: str) -> dict[str, Any] | None:
        """A step that is not there, and why; None where the spec has no such step."""
        around = self._around(path)
        # A branch of which nothing is there has no scope: what was left out of it is found from further out.
        for scope in (around, *self.places.around(around), None) if around else (None,):
            for absent, step, entry in self.places.left_out(scope):
                if absent == path:
                    argument = step.when if step.when is not None else step.repeat
                    assert argument is not None
                    values = list(self.values.condition(argument, scope.path if scope else "", path, entry))
                    return self._data(path, "a step that was left out", step.span.place, values=values)
        return None

    def _around(self, path: str) -> Scope | None:
        """The innermost scope that a path which is not there would stand in."""
        while path:
            path = path.rpartition(".")[0]
            if path in self.graph.scopes:
                return self.graph.scopes[path]
        return None

    def _outputs(self, values: Mapping[str, str]) -> list[dict[str, Any]]:
        types = self.graph.types
        return [{"name": name, "value": v, "shape": plain_shape(types[v])} for name, v in values.items()]

    def _data(
        self,
        path: str,
        what: str,
        where: str,
        inputs: Mapping[str, str] | None = None,
        output: str = "",
        nodes: Collection[str] = (),
        values: Iterable[Origin] = (),
        items: list[dict[str, Any]] | None = None,
        weights: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        layers = [self.layers[name] for name in nodes if name in self.layers]
        macs = [layer["macs"] for layer in layers]
        types = self.graph.types
        return {
            "network": self.graph.name,
            "part": path,
            "what": what,
            "place": where,
            "inputs": [{"name": n, "value": v, "shape": plain_shape(types[v])} for n, v in (inputs or {}).items()],
            "output": {"value": output, "shape": plain_shape(types[output])} if output in types else None,
            "ops": len(layers),
            "parameters": sum(layer["parameters"] for layer in layers),
            "macs": sum(macs) if all(isinstance(m, int) for m in macs) else None,
            "receptive_field": self.layers[output]["receptive_field"] if output in self.layers else None,
            "values": [_plain(origin) for origin in values],
            "weights": weights or [],
            "holds": items or [],
        }


def _filling(filling: Filling | None) -> str | None:
    """How a weight is filled, as specs say it; None where torch's own way stands."""
    if isinstance(filling, Init):
        options = ", ".join(f"{name}: {show(value)}" for name, value in filling.options.items())
        return f"{filling.function} {{{options}}}" if options else filling.function
    return None if filling is None else show(filling)


def _plain(origin: Origin) -> dict[str, Any]:
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


def _find(group: Group, path: str) -> Group:
    while group.path != path:
        inner = [item for item in group.items if isinstance(item, Group)]
        group = next(item for item in inner if item.path == path or path.startswith(f"{item.path}."))
    return group


def _table(graph: Graph, data: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for value in data["values"]:
        name = "  " * value["depth"] + value["name"]
        shown = value["value"] if isinstance(value["value"], str) else show(value["value"])
        rows.append([name, shown, value["from"], value["written"], _at(value["place"], data["place"])])
    headings = ["value of", "is", "from", "written", "at"]
    return Table(headings, [list(row) for row in rows], _title(graph, data))


def _at(place: str, title: str) -> str:
    """A place, without its file where that is the title's."""
    file, _, position = place.rpartition(":")
    file, _, line = file.rpartition(":")
    return f"{line}:{position}" if file and title.startswith(file) else place


def _title(graph: Graph, data: Mapping[str, Any]) -> list[str]:
    of = f" ({graph.title})" if graph.title else ""
    of = of if data["part"] == graph.name else f" of {graph.title or graph.name}"
    lines = [f"{data['part']}{of}: {data['what']}" + (f", {data['place']}" if data["place"] else "")]
    for entry in data["inputs"]:
        source = f" from {entry['value']}" if entry["value"] != entry["name"] else ""
        lines.append(f"{entry['name']}: {shape_text(entry['shape'])}{source}")
    if len(data.get("outputs", ())) > 1:
        for entry in data["outputs"]:
            lines.append(f"output {entry['name']}: {shape_text(entry['shape'])} from {entry['value']}")
    elif data["output"]:
        lines.append(f"output: {shape_text(data['output']['shape'])}")
    if data["ops"]:
        ops = "" if data["ops"] == 1 else f"{data['ops']} ops, "
        macs = "unknown MACs" if data["macs"] is None else f"{data['macs']:,} MACs"
        lines.append(f"costs: {ops}{data['parameters']:,} parameters, {macs}")
    if data["receptive_field"]:
        lines.append(f"sees: {_field(data['receptive_field'])}")
    if data["weights"]:
        lines.append("weights: " + ", ".join(map(_weight, data["weights"])))
    there = [item for item in data["holds"] if not item["left_out"]]
    absent = [item for item in data["holds"] if item["left_out"]]
    for label, items in (("holds", there), ("left out", absent)):
        if items:
            names = [n if n == w else f"{n} ({w})" for n, w in ((item["name"], item["what"]) for item in items)]
            lines.append(f"{label}: {', '.join(names)}")
    return lines


def _weight(weight: Mapping[str, Any]) -> str:
    init = f" ({weight['init']})" if weight["init"] is not None else ""
    return f"{weight['name']} {shape_text(weight['shape'], scalar='scalar')}{init}"


def _field(field: Mapping[str, Any]) -> str:
    """A receptive field in words; one for each input where there are several."""
    if not is_one_field(field):
        return "; ".join(f"of {name} {_field(inner)}" for name, inner in field.items())
    if field["size"] and field["size"][0] is None:
        return str(field["note"])
    if not any(field["stride"]):
        return f"all, {shape_text(field['size'])}" if field["size"] else "all"
    axes = [shape_text(field[key]) for key in ("size", "stride", "start")]
    return f"windows of {axes[0]}, stride {axes[1]}, from {axes[2]}"
