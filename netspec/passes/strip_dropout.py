"""Removes dropout from a network, for inference."""

from __future__ import annotations

from netspec.graph.model import Graph, Node
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.attention import MultiheadAttention
from netspec.ops.dropout import Dropping
from netspec.passes.base import Transformed, counted


def strip_dropout(graph: Graph) -> Transformed:
    """Remove every dropout and stochastic depth, and set the dropout within attention to 0.

    In inference, the result equals the graph.

    Nodes and outputs that read a dropout then read its input. Before, and after:

        relu = relu(fc6)
        dropout = dropout(relu)
        fc7 = linear(dropout; out_features=4096)

        relu = relu(fc6)
        fc7 = linear(relu; out_features=4096)
    """
    dropped, attentions = 0, 0

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        nonlocal dropped, attentions
        if isinstance(node.op, Dropping):
            dropped += 1
            return inputs[0]
        if isinstance(node.op, MultiheadAttention) and node.op.dropout:
            attentions += 1
            written = {name: tree for name, tree in node.written.items() if name != "dropout"}
            return editor.keep(node, inputs, node.op.model_copy(update={"dropout": 0.0}), written=written)
        return editor.keep(node, inputs)

    stripped = rebuild(graph, visit)
    done = [f"{counted(dropped, 'dropout')} dropped"] if dropped else []
    done += [f"the dropout within {counted(attentions, 'attention')} set to 0"] if attentions else []
    return Transformed(stripped, tuple(done))
