"""An oracle for the whole compiler: a spec's plain data run step by step with torch, nothing of netspec in it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

import torch
from torch import nn

SIBLINGS = ("name", "from", "repeat", "when", "init", "expect")
WORDS = {"padding": ("same", "valid"), "padding_mode": ("zeros", "reflect", "replicate", "circular")}
WORDS["approximate"] = ("none", "tanh")
FUNCTIONS = {"min": min, "max": max, "ceil": math.ceil, "floor": math.floor, "len": len, "__builtins__": {}}
MERGES: dict[str, Callable[..., torch.Tensor]] = {
    "add": lambda xs, **_: reduce(operator.add, xs),
    "multiply": lambda xs, **_: reduce(operator.mul, xs),
    "concat": lambda xs, dim=1: torch.cat(xs, dim),
}

Layer = Callable[[str, str, torch.Tensor, dict[str, Any]], Callable[[torch.Tensor], torch.Tensor]]
"""Makes what stands for an op: from its path, its name, its input and its attributes."""


@dataclass(frozen=True)
class Kind:
    """An op that is a module: its class, its principal attribute, and what torch wants to know of its input."""

    cls: type[nn.Module]
    principal: str = ""
    axis: int | None = None


KINDS = {
    "conv2d": Kind(nn.Conv2d, "out_channels", 1),
    "linear": Kind(nn.Linear, "out_features", -1),
    "batch_norm": Kind(nn.BatchNorm2d, "", 1),
    "max_pool2d": Kind(nn.MaxPool2d, "kernel_size"),
    "avg_pool2d": Kind(nn.AvgPool2d, "kernel_size"),
    "adaptive_avg_pool2d": Kind(nn.AdaptiveAvgPool2d, "output_size"),
    "adaptive_max_pool2d": Kind(nn.AdaptiveMaxPool2d, "output_size"),
    "local_response_norm": Kind(nn.LocalResponseNorm, "size"),
    "dropout": Kind(nn.Dropout, "p"),
    "dropout2d": Kind(nn.Dropout2d, "p"),
    "leaky_relu": Kind(nn.LeakyReLU, "negative_slope"),
    "prelu": Kind(nn.PReLU, "num_parameters"),
    "softmax": Kind(nn.Softmax, "dim"),
    "log_softmax": Kind(nn.LogSoftmax, "dim"),
    "elu": Kind(nn.ELU, "alpha"),
    "gelu": Kind(nn.GELU, "approximate"),
    "softplus": Kind(nn.Softplus, "beta"),
    "flatten": Kind(nn.Flatten, "start_dim"),
    "relu": Kind(nn.ReLU),
    "relu6": Kind(nn.ReLU6),
    "silu": Kind(nn.SiLU),
    "sigmoid": Kind(nn.Sigmoid),
    "tanh": Kind(nn.Tanh),
    "hardswish": Kind(nn.Hardswish),
    "identity": Kind(nn.Identity),
}


def layer_of(path: str, op: str, x: torch.Tensor, attributes: dict[str, Any]) -> nn.Module:
    """The module that an op is, on the meta device: what it weighs, and no numbers."""
    kind = KINDS[op]
    first = () if kind.axis is None else (x.shape[kind.axis],)
    if "softmax" in op:
        attributes = {"dim": 1, **attributes}
    cls = nn.BatchNorm1d if op == "batch_norm" and x.dim() < 4 else kind.cls
    with torch.device("meta"):
        return cls(*first, **attributes).eval()


class Sizes:
    """What an expression may ask of the value that enters its body."""

    def __init__(self, x: torch.Tensor) -> None:
        self.channels, self.shape = x.shape[1], x.shape
        self.height, self.width = (x.shape[-2], x.shape[-1]) if x.dim() == 4 else (None, None)


@dataclass
class Place:
    """Where steps are run: the path above them, the names of expressions, the values that `from` reaches."""

    path: str
    names: Mapping[str, Any]
    values: dict[str, torch.Tensor]
    counts: dict[str, int] = field(default_factory=dict)

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


class Reference:
    """A spec's data, run: `values` and `layers` by path once it was called, in the order of their making."""

    def __init__(self, data: Mapping[str, Any], layer: Layer = layer_of) -> None:
        self.data = data
        self.layer = layer
        self.outputs: tuple[torch.Tensor, ...] = ()
        self.layers: dict[str, Any] = {}
        self.values: dict[str, torch.Tensor] = {}
        self.steps: list[tuple[str, str, dict[str, Any], list[torch.Tensor]]] = []
        """Path, op, attributes and inputs of every op, in order."""

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        (name,) = self.data["inputs"]
        values = {name: x, "input": x}
        names = {**self.data.get("params", {}), "input": Sizes(x)}
        last = self.body(self.data["network"], x, Place("", names, values))
        self.outputs = tuple(values[value] for value in self.data.get("outputs", {}).values()) or (last,)
        return self.outputs

    def live(self) -> set[str]:
        """The paths of the ops on which an output depends."""
        wanted = {id(output) for output in self.outputs}
        found: set[str] = set()
        for path, _, _, inputs in reversed(self.steps):
            if id(self.values[path]) in wanted:
                found.add(path)
                wanted |= {id(x) for x in inputs}
        return found

    def body(self, steps: list[Any], x: torch.Tensor, place: Place) -> torch.Tensor:
        for step in steps:
            step = {step: None} if isinstance(step, str) else step
            (op,) = (key for key in step if key not in SIBLINGS)
            name = step.get("name")
            if name is None:
                place.counts[op] = place.counts.get(op, 0) + 1
                name = op if place.counts[op] == 1 else f"{op}_{place.counts[op]}"
            sources = step.get("from")
            sources = [sources] if isinstance(sources, str) else sources
            xs = [place.values[source] for source in sources] if sources else [x]
            if "repeat" in step:
                x = xs[0]
                copies = evaluate(step["repeat"], place.names)
                if copies < 0:
                    raise RuntimeError(f"{copies} copies")
                for index in range(copies):
                    inner = Place(place.path, {**place.names, "index": index}, place.values)
                    x = self.once(op, step, [x], f"{place.at(name)}.{index}", inner, named=True)
            else:
                x = self.once(op, step, xs, place.at(name), place, named="name" in step)
            if "name" in step:
                place.values[step["name"]] = x
        return x

    def once(
        self, op: str, step: Mapping[str, Any], xs: list[torch.Tensor], path: str, place: Place, *, named: bool
    ) -> torch.Tensor:
        if "when" in step and not evaluate(step["when"], place.names):
            return xs[0]
        given = step[op]
        if op in self.data.get("blocks", {}):
            block = self.data["blocks"][op]
            declared = block.get("params", {})
            if given is not None and not isinstance(given, dict):
                needed = [name for name, default in declared.items() if default in ("int", "bool")] or [*declared]
                given = {needed[0]: given}
            arguments = {name: evaluate(value, place.names) for name, value in (given or {}).items()}
            names = {**self.data.get("params", {}), **declared, **arguments, "input": Sizes(xs[0])}
            return self.body(block["body"], xs[0], Place(path, names, {"input": xs[0]}))
        if isinstance(given, dict) and "branches" in given:
            around = path if named else place.path
            ends: list[torch.Tensor] = []
            for name, branch in given["branches"].items():
                names, values = {**place.names, "input": Sizes(xs[0])}, {**place.values, "input": xs[0]}
                inner = Place(f"{around}.{name}" if around else name, names, values)
                ends.append(self.body(branch, xs[0], inner))
            xs = ends
            given = {name: value for name, value in given.items() if name != "branches"}
        return self.op(op, given, xs, path, place.names)

    def op(self, op: str, given: Any, xs: list[torch.Tensor], path: str, names: Mapping[str, Any]) -> torch.Tensor:
        if op in MERGES:
            attributes = {"dim": given} if isinstance(given, int) else evaluated(given or {}, names)
            shapes = {tuple(x.shape) for x in xs}
            if op != "concat" and len(shapes) > 1:
                raise RuntimeError(f"{op} of {shapes}: torch would broadcast, specs do not")
            value = MERGES[op](xs, **attributes)
        else:
            if given is not None and not isinstance(given, dict):
                given = {KINDS[op].principal: given}
            attributes = evaluated(given or {}, names)
            self.layers[path] = layer = self.layer(path, op, xs[0], attributes)
            value = layer(xs[0])
            # Every value an object of its own, so that it is known which uses which.
            value = value.view_as(value) if value is xs[0] else value
        self.values[path] = value
        self.steps.append((path, op, attributes, xs))
        return value


def evaluated(given: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: evaluate(value, names, WORDS.get(name, ())) for name, value in given.items()}


def evaluate(value: Any, names: Mapping[str, Any], words: tuple[str, ...] = ()) -> Any:
    """A value of a spec: expressions mean what they mean in Python."""
    if isinstance(value, list):
        return tuple(evaluate(item, names) for item in value)
    if not isinstance(value, str) or value in words:
        return value
    return eval(_code(value), {**FUNCTIONS, **names})


@lru_cache(maxsize=4096)
def _code(text: str) -> Any:
    return compile(text, "<expression>", "eval")
