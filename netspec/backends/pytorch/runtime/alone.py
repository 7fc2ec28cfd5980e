"""One node of a graph alone, as a call on tensors: what its op says of how PyTorch writes it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import nn

from netspec.graph.borrow import borrowed_form
from netspec.graph.model import Graph, Node
from netspec.ops.base import is_float
from netspec.types import Call, Infix, Layer, Printed

_ROOTS = {"nn": nn, "torch": torch, "math": math}


def module_alone(graph: Graph, node: Node) -> Any:
    """The module, or the parameter, that a node has where it has its own weights; None for a function."""
    printed = node.op.torch(*graph.input_types(node))
    if not isinstance(printed, Layer):
        return None
    arguments = list(printed.arguments.items())
    unnamed = [value for _, value in arguments[: printed.positional]]
    named = dict(arguments[printed.positional :])
    if printed.inside:
        return _named(printed.target)(_named(printed.inside)(*unnamed, **named).to(_precision(graph, node)))
    layer = _named(printed.target)(*unnamed, **named)
    return layer.eval().to(_precision(graph, node)) if isinstance(layer, nn.Module) else layer


def layer_alone(graph: Graph, node: Node, state: Mapping[str, torch.Tensor]) -> Any:
    """The module or parameter of a node with the weights that a state dict has for it; None for a function."""
    layer = module_alone(graph, node)
    if isinstance(layer, nn.Parameter):
        return nn.Parameter(state[node.weights_of], requires_grad=False)
    if layer is not None:
        own = {name: state.get(f"{node.weights_of}.{name}", tensor) for name, tensor in layer.state_dict().items()}
        layer.load_state_dict(own, assign=True)
    return layer


def call_alone(graph: Graph, node: Node, layer: Any, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The outputs of a node on these values, with its module or parameter, or with that whose weights it borrows."""
    call = meaning(borrowed_form(graph, node) or node.op.torch(*graph.input_types(node)), layer)
    result = call(*values)
    results: list[torch.Tensor] = [result] if isinstance(result, torch.Tensor) else list(result)
    return results[: len(node.types)]


def _precision(graph: Graph, node: Node) -> torch.dtype:
    """The dtype of floats that a node works in: torch makes weights in float32, and its user casts the module."""
    floats = [x.dtype for x in (*graph.input_types(node), node.type) if is_float(x)]
    return getattr(torch, floats[0] if floats else "float32")


def meaning(printed: Printed, layer: Any) -> Callable[..., Any]:
    """The function that a printed form stands for, with a module or a parameter as its layer."""
    if isinstance(printed, Infix):
        return lambda *values: _evaluated(f" {printed.operator} ".join(_names(len(values))), {}, values)
    if isinstance(printed, Call):
        called, options = _named(printed.function), printed.arguments
        return lambda *values: called(list(values), **options) if printed.listed else called(*values, **options)
    code = printed.call if isinstance(printed, Layer) else printed
    if code is None:
        return layer
    scope: dict[str, Any] = {**_ROOTS, "Tensor": torch.Tensor, "layer_of_the_node": layer}
    # The text is the op's own, and has values of a spec as literals: the source has the same.
    exec(code.helper, scope)
    text = str(code)
    return lambda *values: _evaluated(text.format(*_names(len(values)), layer="layer_of_the_node"), scope, values)


def _names(count: int) -> list[str]:
    return [f"value_{number}" for number in range(count)]


def _evaluated(text: str, scope: dict[str, Any], values: Sequence[Any]) -> Any:
    return eval(text, scope, dict(zip(_names(len(values)), values, strict=True)))


def _named(dotted: str) -> Any:
    """The object of a name in the source: torch's, or that of a module which the source imports."""
    root, _, path = dotted.partition(".")
    if root in _ROOTS:
        return operator.attrgetter(path)(_ROOTS[root])
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)
