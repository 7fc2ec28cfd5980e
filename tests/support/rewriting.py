"""Rewrites networks without blocks, under other names, and in another order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import netspec
from netspec.graph import Graph


def flat_spec(graph: Graph, chance: random.Random) -> dict[str, Any]:
    """A spec of the same network: no blocks, no repeats, other names, and steps in another order."""
    paths = sorted({*(i.name for i in graph.inputs), *graph.by_path})
    names = {path: f"x{number}" for number, path in enumerate(chance.sample(paths, len(paths)))}
    names |= {value: value.replace(path, names[path]).replace(":", ".") for path, value in _further(graph)}
    todo, done, steps = list(graph.nodes), {i.name for i in graph.inputs}, list[dict[str, Any]]()
    while todo:
        # Not the whole list is looked through for what may come next: that would take quadratic time.
        ready = [n for n in todo[:50] if done.issuperset(n.inputs) and n.weights_of in (n.path, *done)]
        node = chance.choice(ready)
        todo.remove(node)
        done.update(value for value, _ in node.values())
        inputs = list(node.inputs)
        if node.op.commutes:
            chance.shuffle(inputs)
        attributes = {k: v for k, v in node.op.model_dump(mode="json").items() if v is not None}
        if getattr(node.op, "broadcast", False):
            attributes["broadcast"] = True  # it changes nothing that is computed, and is no part of a dump
        step = {node.op.opname: attributes or None, "name": names[node.path], "from": [names[v] for v in inputs]}
        steps.append(step if node.weights_of == node.path else {**step, "share": names[node.weights_of]})
    inputs = {
        names[i.name]: {
            "shape": [str(d) if not isinstance(d, int) else d for d in i.type.shape],
            "dtype": i.type.dtype,
            "nominal": dict(i.nominal),
        }
        for i in graph.inputs
    }
    outputs = {f"o{n}": {"from": names[o.value], "mode": o.mode} for n, o in enumerate(graph.outputs)}
    return {"netspec": 1, "name": "flat", "inputs": inputs, "network": steps, "outputs": outputs}


def _further(graph: Graph) -> Iterator[tuple[str, str]]:
    """The values of further outputs, each with the path of its node."""
    return ((node.path, value) for node in graph.nodes for value, _ in node.values()[1:])


def flat(graph: Graph, chance: random.Random) -> netspec.Network:
    """The network of `flat_spec`."""
    return netspec.loads(json.dumps(flat_spec(graph, chance)))
