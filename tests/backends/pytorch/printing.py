"""Classes of small specs on their way to source, for tests of the printer's parts."""

from __future__ import annotations

import netspec
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody, bodies
from netspec.backends.pytorch.classes import Class, find_classes
from netspec.backends.pytorch.flows import SizeRules
from netspec.backends.pytorch.state import ClassState, WrittenClass, initial_state
from netspec.backends.pytorch.write import write_class
from netspec.expression import Expression, expression_text
from netspec.graph import Graph

CONV_BN = """
  conv_bn:
    params: {width: int, stride: 1}
    body:
      - {conv2d: {out_channels: width, kernel_size: 3, stride: stride, padding: 1, bias: false}, name: conv}
      - {batch_norm: {}, name: bn}
"""


def graph_of(network: str, blocks: str = "", params: str = "{}", image: str = "[N, 3, 8, 8]") -> Graph:
    """The graph of a spec with one input, `image`."""
    blocks = f"blocks:{blocks}\n" if blocks else ""
    return netspec.loads(
        f"netspec: 1\nname: net\nparams: {params}\ninputs: {{image: {image}}}\n{blocks}network: {network}\n"
    ).graph


def body_of(graph: Graph, path: str = "") -> ScopeBody:
    """The body of a scope."""
    body = bodies(graph)
    for name in path.split(".") if path else ():
        inner = item_of(body, name).body
        assert inner is not None
        body = inner
    return body


def item_of(body: ScopeBody, name: str) -> BodyItem:
    """The item of a body with a name."""
    return next(item for item in body.items if item.name == name)


def classes_of(graph: Graph) -> list[Class]:
    """The classes of a graph."""
    return find_classes(graph, bodies(graph))[0]


def state_of(graph: Graph, name: str, free: tuple[str, ...] = ()) -> ClassState:
    """The state in which the printing of a class begins; those that it uses are written."""
    classes, class_of = find_classes(graph, bodies(graph))
    written: dict[Class, WrittenClass] = {}
    rules = SizeRules()
    for cls in classes:
        state = initial_state(cls, graph, class_of, written, free if cls.name == name else (), rules)
        if cls.name == name:
            return state
        written[cls] = write_class(state)
    raise AssertionError(f"no class {name} among {[cls.name for cls in classes]}")


def written_class(graph: Graph, name: str, free: tuple[str, ...] = ()) -> WrittenClass:
    """A class as source."""
    return write_class(state_of(graph, name, free))


def text(tree: Expression | None) -> str | None:
    """An expression as text."""
    return None if tree is None else expression_text(tree)
