"""Prints a graph as text, one line for each node, for people and for golden tests."""

from __future__ import annotations

from netspec.graph.dag import Dag


def graph_text(graph: Dag) -> str:
    """A graph as text: inputs, nodes as `path = op(inputs; attributes): shape`, and outputs."""
    lines = [f"graph {graph.name}"]
    lines += [f"  input {i.name}: {i.type}" for i in graph.inputs]
    for node in graph.nodes:
        attributes = str(node.op).partition("(")[2]
        arguments = ", ".join(node.inputs) + ("; " if attributes != ")" else "") + attributes
        types = ", ".join(str(t) for t in node.types)
        shared = f"  weights of {node.weights_of}" if node.weights_of != node.path else ""
        lines.append(f"  {node.path} = {node.op.opname}({arguments}: {types}{shared}")
    lines += [f"  output {o.name} = {o.value}{' in training' if o.mode == 'train' else ''}" for o in graph.outputs]
    return "\n".join(lines)
