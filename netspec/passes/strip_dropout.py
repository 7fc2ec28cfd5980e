"""A network without dropout, for inference."""

from __future__ import annotations

from netspec.graph.model import Graph, Node
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.attention import MultiheadAttention
from netspec.ops.normalization import Dropout, Dropout2d
from netspec.passes.base import Transformed, counted


def strip_dropout(graph: Graph) -> Transformed:
    """Drop every dropout, and that within attention: the result equals the graph in inference.

    What read a dropout reads its input, and so does an output.
    """
    dropped, quiet = 0, 0

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        nonlocal dropped, quiet
        if isinstance(node.op, Dropout | Dropout2d):
            dropped += 1
            return inputs[0]
        if isinstance(node.op, MultiheadAttention) and node.op.dropout:
            quiet += 1
            written = {name: tree for name, tree in node.written.items() if name != "dropout"}
            return editor.keep(node, inputs, node.op.model_copy(update={"dropout": 0.0}), written=written)
        return editor.keep(node, inputs)

    made = rebuild(graph, visit)
    done = [f"{counted(dropped, 'dropout')} dropped"] if dropped else []
    done += [f"the dropout within {counted(quiet, 'attention')} set to 0"] if quiet else []
    return Transformed(made, tuple(done))
