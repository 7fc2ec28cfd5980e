"""Random specs of values that are used again: steps that print as expressions, repeats and shares of every kind of op.

What fits is not known beforehand: each step is tried, and kept where the compiler takes it. What it refuses is counted.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import netspec
from netspec.types import Tensor
from tests.fuzz.lasting import COUNTS
from tests.support.random_specs import Choose

FUZZER = COUNTS["random uses"]
Step = dict[str, Any]
Shape = tuple[int, ...]
"""The sizes after the batch, open ones at their nominal size."""

NAMES = tuple(
    """
    first size shape x out layer copy_of_a_layer start note math input_1 a b c relu conv2d add permute center_crop
    index_ tuple P WholeOutput l I T x_2 layer_2 copy0 with_add weight bias range init_weights in_channels width null
    """.split()  # noqa: SIM905
)
"""What is called like attributes, variables, functions and classes of generated code."""
SHAPES: tuple[Shape, ...] = ((3, 8, 8), (3, 8, 8), (4, 8, 8), (4, 6, 5), (4, 6), (6,), (4, 4, 4), (2, 1, 1))
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "silu", "hardswish", "relu6", "elu", "leaky_relu", "softplus")
OPEN = {"H": 8, "W": 8}
MERGES = ("add", "multiply", "concat")


@dataclass
class Part:
    """A block that is made: the shapes its body was made for, and the names of what it gives."""

    shapes: list[Shape]
    inputs: list[str]
    outputs: list[str]
    params: dict[str, Any]


@dataclass
class Body:
    """The steps of a network, or of a block that is still one, with the types of all that has a name."""

    inputs: dict[str, Any]
    params: dict[str, Any]
    steps: list[Step] = field(default_factory=list)
    types: dict[str, Tensor] = field(default_factory=dict)
    last: list[Tensor] = field(default_factory=list)
    named: list[Step] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    """Of a block's body, what it gives by name."""


class UsesMaker:
    """Makes one spec."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.blocks: dict[str, Any] = {}
        self.parts: dict[str, Part] = {}

    def pick(self, *options: Any) -> Any:
        return self.choose(options)

    def chance(self, p: float) -> bool:
        return self.choose(range(100)) < 100 * p

    def spec(self) -> dict[str, Any]:
        for number in range(self.pick(0, 1, 1, 2)):
            self.block(f"block{number}")
        names = self.some_names(self.pick(1, 1, 2, 2, 3))
        opened = self.chance(0.25)
        inputs = {name: self.input(self.choose(SHAPES), opened) for name in names}
        params = {"wide": self.pick(2, 4), "deep": self.chance(0.5), "rate": 0.5}
        body = self.body(Body(inputs, params), self.pick(2, 3, 4, 5, 6, 7, 8))
        found = self.whole(body, self.blocks)
        values = [*body.types]
        if body.steps and self.chance(0.6):
            outputs: dict[str, Any] = {name: self.choose(values) for name in self.some_names(self.pick(1, 2, 2, 3))}
            if len(outputs) > 1 and self.chance(0.3):
                late = next(reversed(outputs))
                outputs[late] = {"from": outputs[late], "mode": "train"}
            if self.taken({**found, "outputs": outputs}) is not None:
                found["outputs"] = outputs
        return found

    def input(self, shape: Shape, opened: bool) -> Any:
        """An input as a spec declares it, its map open or not."""
        sizes: list[Any] = ["N", *shape]
        if self.chance(0.08):
            return {"shape": sizes, "dtype": self.pick("int64", "int32", "bool", "float64")}
        if not opened or len(shape) != 3:
            return sizes
        sizes[2:] = ["H", self.pick("W", shape[2])]
        return {"shape": sizes, "nominal": {name: shape[1 + "HW".index(name)] for name in ("H", "W") if name in sizes}}

    def some_names(self, number: int) -> list[str]:
        found: list[str] = []
        while len(found) < number:
            name = self.choose(NAMES)
            if name not in found:
                found.append(name)
        return found

    def whole(self, body: Body, blocks: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"netspec": 1, "name": "whole", "params": body.params, "inputs": body.inputs}
        if blocks:
            found["blocks"] = blocks
        return {**found, "network": body.steps or [{"identity": None, "from": next(iter(body.inputs))}]}

    def taken(self, data: dict[str, Any]) -> netspec.Network | None:
        """The network of a spec, None where it is refused; anything else than a refusal is a fault."""
        try:
            return netspec.loads(json.dumps(data))
        except netspec.NetspecError as error:
            FUZZER["steps refused"] += 1
            for diagnostic in error.diagnostics:
                FUZZER[f"{diagnostic.code}"] += 1
            return None
        except Exception as error:
            error.add_note(f"the spec: {data}")
            raise

    # A block is made as a network, of which the body is kept.

    def block(self, name: str) -> None:
        number = self.pick(1, 1, 1, 2, 2, 3)
        shapes = [self.choose(SHAPES) for _ in range(number)]
        if self.chance(0.4):
            shapes = [shapes[0]] * number
        names = ["input"] if number == 1 and self.chance(0.6) else self.some_names(number)
        called = ["entering"] if names == ["input"] else names
        params = {"w": self.pick(2, 3, 4), "flag": self.chance(0.5), "k": 1, "n": 2}
        inputs = {name: ["N", *shape] for name, shape in zip(called, shapes, strict=True)}
        body = self.body(Body(inputs, params), self.pick(1, 2, 2, 3, 4))
        if not body.steps:
            return
        steps = json.loads(json.dumps(body.steps).replace('"entering', '"input'))
        found: dict[str, Any] = {"params": params, "body": steps}
        outputs = ["output"]
        if names != ["input"]:
            found["inputs"] = names
        values = [*body.types] if names != ["input"] else [v for v in body.types if v != "entering"] or ["input"]
        if self.chance(0.5):
            outputs = self.some_names(self.pick(1, 2, 2, 3))
            found["outputs"] = {output: self.choose(values) for output in outputs}
        self.blocks[name] = found
        self.parts[name] = Part(shapes, names, outputs, params)

    def body(self, body: Body, steps: int) -> Body:
        """Steps that are taken, one after the other."""
        net = self.taken(self.whole(body, self.blocks))
        assert net is not None
        body.types = {i.name: i.type for i in net.graph.inputs}
        body.last = [i.type for i in net.graph.inputs] if len(body.types) == 1 else []
        for _ in range(steps):
            for _ in range(4):
                step = self.step(body)
                if step is not None and self.kept(body, step):
                    break
        return body

    def kept(self, body: Body, step: Step) -> bool:
        """Try a step; where it is taken it is the body's, with what it gives."""
        tried = Body(body.inputs, body.params, [*body.steps, step])
        net = self.taken(self.whole(tried, self.blocks))
        if net is None:
            return False
        FUZZER["steps taken"] += 1
        body.steps.append(step)
        outputs = [o.value for o in net.graph.outputs]
        body.last = [net.graph.types[value] for value in outputs]
        if "name" in step:
            body.named.append(step)
            body.types[step["name"]] = body.last[0]
            op = next(iter(step))
            for output in self.parts[op].outputs[1:] if op in self.parts else ():
                named = {**self.whole(tried, self.blocks), "outputs": {"it": f"{step['name']}.{output}"}}
                if (other := self.taken(named)) is not None:
                    body.types[f"{step['name']}.{output}"] = other.graph.types[other.graph.outputs[0].value]
        return True

    def step(self, body: Body) -> Step | None:
        """A step that may fit."""
        if body.named and self.chance(0.15):
            return self.share(body)
        kinds = ["unary"] * 5 + ["same"] * 3 + ["join"] * 4 + ["two"] * 3 + ["branches"] * 2 + ["parameter"]
        kinds += ["use"] * 5 if self.parts else []
        kind = self.choose(kinds)
        sources = [name for name, type in body.types.items()]
        follows = bool(body.last) and self.chance(0.6)
        name = self.choose(sources)
        shape = _sizes(body.last[0] if follows else body.types[name])
        step: Step
        match kind:
            case "unary":
                step = self.unary(shape, body)
            case "same":
                step = {self.choose(ACTIVATIONS): None}
            case "join" | "two":
                return self.finished(self.join(body) if kind == "join" else self.two(body), body)
            case "branches":
                step = self.branches(body, shape)
            case "parameter":
                step = {"parameter": {"shape": [*self.pick(shape, shape, shape[:1], (4, 1, 1))]}}
            case _:
                return self.finished(self.use(body), body)
        if not follows:
            step["from"] = name
        if self.chance(0.25):
            step["repeat"] = self.pick(1, 2, 2, 3, 0, "wide - 1" if "wide" in body.params else "n")
        if self.chance(0.15):
            step["when"] = self.condition(body, "repeat" in step)
        return self.finished(step, body)

    def finished(self, step: Step | None, body: Body) -> Step | None:
        if step is not None and "name" not in step and self.chance(0.7):
            step["name"] = self.name(body)
        return step

    def name(self, body: Body) -> str:
        free = [name for name in NAMES if name not in body.types]
        return self.choose([name for name in free if name not in ("range", "null", "l")] or free)

    def condition(self, body: Body, copies: bool) -> Any:
        names = [name for name in body.types if "." not in name]
        options: list[Any] = [True, False, f"{self.choose(names)}.channels > 3"]
        options += ["deep", "not deep"] if "deep" in body.params else ["flag", "not flag", "n > 1"]
        options += ["index > 0", "index % 2 == 0"] * 2 if copies else []
        return self.choose(options)

    def share(self, body: Body) -> Step | None:
        """An earlier step once more, on any value."""
        step = copy.deepcopy(self.choose(body.named))
        made = {key: value for key, value in step.items() if key not in ("name", "from", "repeat", "when")}
        if "share" not in made:
            made["share"] = step["name"]
        if "repeat" in step or self.chance(0.3):
            made["repeat"] = step.get("repeat", 2)
        number = len(step["from"]) if isinstance(step.get("from"), list) else 1
        if self.chance(0.6) or number > 1:
            names = [self.choose([*body.types]) for _ in range(number)]
            made["from"] = names if number > 1 else names[0]
        return self.finished(made, body)

    def unary(self, shape: Shape, body: Body) -> Step:
        """An op of one input that may fit a shape, printed as a module or as an expression."""
        if not shape:
            return {self.choose(ACTIVATIONS): None}
        wide = "wide" if "wide" in body.params else "w"
        axis = self.choose(range(1, len(shape) + 1))
        size = shape[axis - 1]
        if len(shape) == 3:
            options = [*self.of_maps(shape, wide)]
        else:
            options = [{"linear": self.pick(wide, 3, shape[-1])}, {"batch_norm": None}]
            options += [{"multihead_attention": 2}] if len(shape) == 2 else []
        options += [
            {"permute": {"dims": [0, *self.order(len(shape))]}},
            {"transpose": {"dim0": axis, "dim1": self.pick(*range(1, len(shape) + 1), -1)}},
            {"select": {"dim": axis, "index": self.pick(0, -1, size - 1)}},
            {"narrow": {"dim": axis, "start": self.pick(0, 0, 1), "length": self.pick(size, max(1, size // 2), 1)}},
            {"flatten": self.pick(None, 2, {"start_dim": 1, "end_dim": 2})},
            {"unflatten": {"dim": axis, "unflattened_size": self.pick([size, 1], [1, size], [2, -1])}},
            {"layer_norm": self.pick(None, {"elementwise_affine": False}, {"normalized_shape": [*shape[-2:]]})},
            {"softmax": self.pick(None, {"dim": -1}, {"dim": axis})},
            {"dropout": self.pick("rate" if "rate" in body.params else 0.5, 0.1)},
            {"identity": None},
        ]
        return self.choose(options)

    def of_maps(self, shape: Shape, wide: str) -> Iterator[Step]:
        kernel = self.pick(1, 3, [1, 3])
        padding = 0 if kernel == 1 else [0, 1] if isinstance(kernel, list) else 1
        mode = self.pick("zeros", "zeros", "reflect", "circular")
        width = self.pick(wide, wide, 3, shape[0])
        yield {"conv2d": {"out_channels": width, "kernel_size": kernel, "padding": padding, "padding_mode": mode}}
        yield {"conv2d": {"out_channels": width, "kernel_size": 3, "stride": self.pick(2, [2, 1]), "padding": "same"}}
        yield {"conv2d": {"out_channels": shape[0], "kernel_size": 3, "padding": "same", "groups": shape[0]}}
        yield {"conv_transpose2d": {"out_channels": width, "kernel_size": 2, "stride": self.pick(1, 2)}}
        yield {"batch_norm": self.pick(None, {"momentum": None}, {"affine": False, "track_running_stats": False})}
        yield {"group_norm": self.pick(1, 2, shape[0])}
        yield {"avg_pool2d": {"kernel_size": self.pick(1, 2, [1, 2]), "stride": self.pick(None, 1, 2)}}
        yield {"max_pool2d": {"kernel_size": self.pick(2, 3), "stride": self.pick(None, 1), "padding": 1}}
        sizes = (1, 2, [None, 3], [2, None], [None, None], [1, None])
        yield {self.pick("adaptive_avg_pool2d", "adaptive_max_pool2d"): {"output_size": self.choose(sizes)}}
        yield {"interpolate": self.pick(2, {"size": [5, 7]}, {"scale_factor": [1, 2], "mode": "bilinear"}, 0.5)}
        yield {"pad": {"padding": self.pick([1, 1], [0, 1, 2, 0], [0, 0, 0, 0, 1, 1]), "value": self.pick(0, 1.5)}}
        yield {"local_response_norm": self.pick(2, 3)}
        yield {"prelu": self.pick(None, shape[0])}

    def order(self, axes: int) -> list[int]:
        left, found = [*range(1, axes + 1)], list[int]()
        while left:
            found.append(left.pop(self.choose(range(len(left)))))
        return found

    def join(self, body: Body) -> Step | None:
        """A merge of values that have names: of one of them twice, or of some as large."""
        names = [*body.types]
        name = self.choose(names)
        alike = [other for other in names if body.types[other].shape == body.types[name].shape]
        others = [self.choose(alike) for _ in range(self.pick(1, 1, 2))]
        return {self.choose(MERGES): None, "from": [name, *others]}

    def two(self, body: Body) -> Step | None:
        """An op of two or three inputs, of which the first may come from far above."""
        maps = [name for name, type in body.types.items() if type.rank == 4]
        rows = [name for name, type in body.types.items() if type.rank == 3]
        if rows and (not maps or self.chance(0.4)):
            return {"multihead_attention": self.pick(1, 2), "from": [self.choose(rows) for _ in range(self.pick(2, 3))]}
        if not maps:
            return None
        mode = self.pick(None, None, {"mode": "bilinear"}, {"mode": "bicubic", "align_corners": True})
        op = self.pick("interpolate", "interpolate", "center_crop")
        return {op: mode if op == "interpolate" else None, "from": [self.choose(maps), self.choose(maps)]}

    def branches(self, body: Body, shape: Shape) -> Step:
        made: dict[str, list[Any]] = {}
        for name in self.some_names(self.pick(2, 2, 3)):
            steps: list[Any] = []
            for _ in range(self.pick(0, 1, 1, 2)):
                step: Step = self.unary(shape, body) if self.chance(0.4) else {self.choose(ACTIVATIONS): None}
                if self.chance(0.2):
                    step = {"add": {"branches": {"left": [self.choose(ACTIVATIONS)], "right": []}}}
                if self.chance(0.2):
                    step["from"] = self.choose(["input", *body.types])
                if self.chance(0.2):
                    step["repeat"] = 2
                steps.append(step)
            made[name] = steps
        return {self.choose(MERGES): {"branches": made}}

    def use(self, body: Body) -> Step | None:
        """A use of a block, on values as its body was made for, or on any."""
        name = self.choose([*self.parts])
        part = self.parts[name]
        arguments: dict[str, Any] = {}
        for parameter, value in part.params.items():
            if self.chance(0.3):
                arguments[parameter] = not value if isinstance(value, bool) else self.pick(1, 2, 3)
        step: Step = {name: arguments or None}
        sources: list[str] = []
        for shape in part.shapes:
            alike = [v for v, type in body.types.items() if _sizes(type) == shape]
            sources.append(self.choose(alike if alike and self.chance(0.8) else [*body.types]))
        if len(sources) > 1 or not body.last or self.chance(0.5):
            step["from"] = sources if len(sources) > 1 else sources[0]
        if len(part.inputs) == len(part.outputs) and self.chance(0.35):
            step["repeat"] = self.pick(1, 2, 3)
        if self.chance(0.15):
            step["when"] = self.condition(body, "repeat" in step)
        return step


def _sizes(type: Tensor) -> Shape:
    return tuple(size if isinstance(size, int) else 8 for size in type.at(OPEN).shape[1:])


def random_uses(choose: Choose) -> dict[str, Any]:
    """A random spec whose values are used again."""
    return UsesMaker(choose).spec()
