"""Runs one node of a graph by itself, from the printed form of its op (`op.torch`), without generated source."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import nn

from netspec.graph.borrow import borrowed_form
from netspec.graph.model import Graph, Node
from netspec.ops.base import is_float
from netspec.types import Call, Helper, Infix, Layer, Printed, helpers_of

_ROOTS = {"nn": nn, "torch": torch, "math": math}


def module_alone(graph: Graph, node: Node) -> Any:
    """The module or parameter of a node, with freshly initialised weights; None for a function such as `relu`."""
    printed = node.op.torch(*graph.input_types(node))
    if not isinstance(printed, Layer):
        return None
    arguments = list(printed.arguments.items())
    unnamed = [value for _, value in arguments[: printed.positional]]
    named = dict(arguments[printed.positional :])
    scope = _scope(printed)
    if printed.inside:
        filled = _named(printed.inside, scope)(*unnamed, **named)
        return _named(printed.target, scope)(filled.to(_precision(graph, node)))
    layer = _named(printed.target, scope)(*unnamed, **named)
    return layer.eval().to(_precision(graph, node)) if isinstance(layer, nn.Module) else layer


def layer_alone(graph: Graph, node: Node, state: Mapping[str, torch.Tensor]) -> Any:
    """The module or parameter of a node, with its weights taken from a state dict; None for a function."""
    layer = module_alone(graph, node)
    if isinstance(layer, nn.Parameter):
        return nn.Parameter(state[node.weights_of], requires_grad=False)
    if layer is not None:
        weights = {name: state.get(f"{node.weights_of}.{name}", tensor) for name, tensor in layer.state_dict().items()}
        layer.load_state_dict(weights, assign=True)
    return layer


def call_alone(graph: Graph, node: Node, layer: Any, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The outputs of a node on input tensors.

    `layer` is its module or parameter, or that of the owner whose weights it borrows; None for a function.
    """
    printed = borrowed_form(graph, node) or node.op.torch(*graph.input_types(node))
    result = meaning(printed, layer)(*values)
    if isinstance(printed, Layer) and printed.unpack:
        names = _names(len(node.types))
        scope: dict[str, Any] = {"result": result}
        # Safe to run, as below: `unpack` is the op's.
        exec(f"{printed.unpack.format(*names)} = result", scope)
        return [scope[name] for name in names]
    results: list[torch.Tensor] = [result] if isinstance(result, torch.Tensor) else list(result)
    return results[: len(node.types)]


def _precision(graph: Graph, node: Node) -> torch.dtype:
    """The float dtype that a node computes in, to which its layer is cast, since torch creates weights in float32."""
    floats = [x.dtype for x in (*graph.input_types(node), node.type) if is_float(x)]
    return getattr(torch, floats[0] if floats else "float32")


def meaning(printed: Printed, layer: Any) -> Callable[..., Any]:
    """The callable that a printed form (`Layer`, `Call`, `Infix`, `Code`) stands for; `layer` is its module."""
    if isinstance(printed, Infix):
        constant = [printed.constant] if printed.constant else []
        return lambda *values: _evaluated(f" {printed.operator} ".join([*_names(len(values)), *constant]), {}, values)
    scope = _scope(printed)
    if isinstance(printed, Call):
        function, options = _named(printed.function, scope), printed.arguments
        return lambda *values: function(list(values), **options) if printed.listed else function(*values, **options)
    code = printed.call if isinstance(printed, Layer) else printed
    if code is None:
        return layer
    text = str(code)
    scope["layer_of_the_node"] = layer
    return lambda *values: _evaluated(text.format(*_names(len(values)), layer="layer_of_the_node"), scope, values)


def _scope(printed: Printed) -> dict[str, Any]:
    """The names that a printed form can read: torch's, and those that its helpers define."""
    return {**_ROOTS, "Tensor": torch.Tensor, **_defined(helpers_of(printed))}


@cache
def _defined(helpers: tuple[Helper, ...]) -> dict[str, Any]:
    """The objects that helpers define and import, by name."""
    scope: dict[str, Any] = {**_ROOTS, "Tensor": torch.Tensor}
    for helper in helpers:
        # Safe to run: the op wrote this text, a spec only adds literals to it, and generated source has the same text.
        exec("\n".join([*(f"import {module}" for module in helper.imports), helper.source]), scope)
    return scope


def _names(count: int) -> list[str]:
    return [f"value_{number}" for number in range(count)]


def _evaluated(text: str, scope: dict[str, Any], values: Sequence[Any]) -> Any:
    return eval(text, scope, dict(zip(_names(len(values)), values, strict=True)))


def _named(dotted: str, scope: Mapping[str, Any]) -> Any:
    """The object with a dotted name, such as `nn.Conv2d`, a helper's name, or `torchvision.ops.roi_align`."""
    root, _, path = dotted.partition(".")
    if root in scope:
        return operator.attrgetter(path)(scope[root]) if path else scope[root]
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)
