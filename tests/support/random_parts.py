"""Random specs whose parts have several values, share weights, take steps, or are networks; right by their making.

The maker knows the width of every value by a mark: two values of one mark have equally many channels wherever the body
is used, whatever its parameters are. All maps have one size.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.random_specs import Choose

Marks = list[str]
Give = Callable[[Marks], Marks]
"""A function from the widths of a step's inputs to those of its outputs."""
Step = dict[str, Any]

INIT = ({"weight": {"normal": {"std": 0.1}}}, {"bias": 0.5}, {"weight": "xavier_uniform", "bias": 0})
SAME = ("relu", "tanh", "batch_norm", "sigmoid")


@dataclass
class Place:
    """The surroundings of a step: parameters, values by name, values whose sizes can be read, and the depth."""

    params: dict[str, Any]
    values: dict[str, str]
    sizes: dict[str, str]
    depth: int
    index: bool = False
    bodies: tuple[str, ...] = ()
    earlier: list[tuple[Step, Marks, Give]] = field(default_factory=list)


@dataclass
class Part:
    """A block or network that is made: its inputs and parameters, and the marks of what it gives, by their names."""

    inputs: list[str]
    params: dict[str, Any]
    gives: dict[str, str]


class PartsMaker:
    """Generates one spec."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.parts: dict[str, Part] = {}
        self.blocks: dict[str, Any] = {}
        self.networks: dict[str, Any] = {}
        self.count = 0
        self.open = self.chance(0.4)
        self.bias = self.pick("none", "none", True, "deep")

    def pick(self, *options: Any) -> Any:
        return self.choose(options)

    def chance(self, p: float) -> bool:
        return self.choose(range(100)) < 100 * p

    def number(self) -> int:
        self.count += 1
        return self.count

    def fresh(self) -> str:
        """A new mark, which stands for an unknown width."""
        return f"?{self.number()}"

    def spec(self) -> dict[str, Any]:
        for number in range(self.pick(1, 2, 3, 4)):
            if self.chance(0.35):
                self.network(f"net{number}")
            else:
                self.block(f"block{number}")
        found: dict[str, Any] = {
            "netspec": 1,
            "name": "whole",
            "params": {"wide": self.pick(2, 4), "deep": self.chance(0.5), "rate": 0.5, "widths": [2, 5, 3]},
        }
        if self.bias != "none":
            found["defaults"] = {"conv2d": {"bias": self.bias, "init": {"weight": {"normal": {"std": 0.1}}}}}
        if self.blocks:
            found["blocks"] = self.blocks
        if self.networks:
            found["networks"] = self.networks
        if not self.networks or self.chance(0.8):
            found |= self.main("network")
        return found

    def main(self, key: str) -> dict[str, Any]:
        """Inputs, body and outputs of a network; its part is left in `parts`."""
        names = self.pick(["x"], ["x"], ["x", "y"])
        shape = ["N", "C", "H", "W"] if self.open else ["N", "C", 6, 5]
        inputs: dict[str, Any] = {}
        for name in names:
            sizes = [self.pick(3, 4) if size == "C" else size for size in shape]
            inputs[name] = {"shape": sizes, "nominal": {"H": 6, "W": 5}} if self.open else sizes
        place, steps, last = self.whole({}, names, most=5)
        found = {"inputs": inputs, key: steps}
        gives = {"output": last[0]}
        if (values := self.chosen(place)) and self.chance(0.6):
            found["outputs"] = values
            gives = {name: place.values[value] for name, value in values.items()}
            if self.chance(0.2) and len(values) > 1:
                late = next(reversed(values))
                values[late] = {"from": values[late], "mode": "train"}
                del gives[late]
        self.made = Part(names, {}, gives)
        return found

    def network(self, name: str) -> None:
        self.networks[name] = self.main("body")
        self.parts[name] = self.made

    def block(self, name: str) -> None:
        params: dict[str, Any] = {}
        for parameter, kinds in (
            ("w", ("int", "int", 3)),
            ("k", (1, 3)),
            ("n", ("int", 2)),
            ("flag", (True, False, "bool")),
            ("mode", ("str", "reflect")),
            ("wide", ("int",)),
            ("inner", ("body",)),
            ("then", ("body",)),
        ):
            if self.chance(0.35):
                params[parameter] = self.pick(*kinds)
        inputs = self.pick(["input"], ["input"], ["a"], ["a", "b"], ["a", "b", "c"])
        place, steps, last = self.whole(params, inputs, most=4)
        found: dict[str, Any] = {"params": params} if params else {}
        if inputs != ["input"] or self.chance(0.2):
            found["inputs"] = inputs
        gives = {"output": last[0]}
        if (values := self.chosen(place)) and self.chance(0.6):
            found["outputs"] = values
            gives = {output: place.values[value] for output, value in values.items()}
        self.blocks[name] = {**found, "body": steps}
        self.parts[name] = Part(inputs, params, gives)

    def chosen(self, place: Place) -> dict[str, str]:
        """Some values of a body, as its outputs; an output may be called like an input, or like another step."""
        named = [*place.values]
        names = self.pick(["r"], ["r", "t"], ["a", "b"], ["s0", "s1"], ["r", "a", "output"])
        return {name: self.choose(named) for name in names}

    def whole(self, params: dict[str, Any], inputs: list[str], most: int) -> tuple[Place, list[Any], Marks]:
        """The body of a block or network."""
        marks = {name: f"in:{name}" for name in inputs}
        if len(inputs) == 1:
            marks["input"] = marks[inputs[0]]
        bodies = tuple(name for name, kind in params.items() if kind == "body")
        place = Place(params, dict(marks), dict(marks), 2, bodies=bodies)
        steps, last = self.body(place, [marks[inputs[0]]] if len(inputs) == 1 else [], 1, most)
        return place, steps, last

    def body(self, place: Place, marks: Marks, least: int, most: int) -> tuple[list[Any], Marks]:
        """Steps, and the widths of what the last gives."""
        steps: list[Any] = []
        for _ in range(self.choose(range(least, most + 1))):
            step, marks = self.step(place, marks)
            steps.append(step)
            if self.chance(0.15) and "name" not in step and len(step) == 1 and step[next(iter(step))] is None:
                steps[-1] = next(iter(step))
        return steps, marks

    def step(self, place: Place, before: Marks) -> tuple[Step, Marks]:
        if place.earlier and self.chance(0.25) and (shared := self.share(place, before)):
            return shared
        repeated = self.chance(0.2)
        inner = replace(place, index=place.index or repeated)
        step, takes, give = self.kind(inner)
        marks = self.sources(step, place, before, takes) if "from" not in step else self.named(step, place)
        gives = len(give(marks))
        if repeated and len(marks) != gives:
            return self.step(place, before)
        if repeated:
            step["repeat"] = self.pick(1, 2, 3, 2, 0, "wide - 1", *(["n", "n - 1"] if "n" in place.params else []))
            give = self.copies(give, step["repeat"])
        if self.chance(0.2) and gives <= len(marks):
            step["when"] = self.condition(inner if "repeat" in step else place)
            give = self.perhaps(give)
        if self.chance(0.55):
            step["name"] = self.name(place)
        return step, self.done(step, place, marks, give)

    def done(self, step: Step, place: Place, marks: Marks, give: Give) -> Marks:
        """Add the outputs of a step under its name."""
        found = give(marks)
        if "name" in step:
            place.values[step["name"]] = found[0]
            for output, mark in zip(self.outputs(step), found, strict=False):
                place.values[f"{step['name']}.{output}"] = mark
            place.earlier.append((step, marks, give))
        return found

    def outputs(self, step: Step) -> list[str]:
        """The names of a step's outputs, if it has any."""
        op = next(iter(step))
        if op == "network":
            return step[op]["outputs"]
        gives = [*self.parts[op].gives] if op in self.parts else []
        return gives if gives != ["output"] else []

    def name(self, place: Place) -> str:
        """A name that no step of this body has; a step of an outer body may have it."""
        taken = {step["name"] for step, _, _ in place.earlier}
        free = [name for name in ("s0", "s1", "s2", "main", "last", "conv", "x1") if name not in taken]
        return self.choose(free) if free else f"s{self.number() + 10}"

    def share(self, place: Place, before: Marks) -> tuple[Step, Marks] | None:
        """A step that shares the weights of an earlier step, on values of the same widths."""
        step, marks, give = self.choose(place.earlier)
        if next(iter(step)) in ("add", "concat", "multiply"):
            return None
        made = {
            key: copy.deepcopy(value) for key, value in step.items() if key not in ("name", "from", "init", "share")
        }
        names = [[name for name, mark in place.values.items() if mark == wanted] for wanted in marks]
        if not all(names):
            return None
        if before[: len(marks)] != marks or self.chance(0.3):
            made["from"] = [self.choose(found) for found in names]
            made["from"] = made["from"][0] if len(names) == 1 else made["from"]
        if "repeat" not in step and give(marks) == marks and "index" not in json.dumps(made) and self.chance(0.5):
            made["repeat"] = self.pick(1, 2, 3, 0)
        made["share"] = step["name"]
        if self.chance(0.5):
            made["name"] = self.name(place)
        return made, self.done(made, place, marks, give)

    def sources(self, step: Step, place: Place, before: Marks, takes: int) -> Marks:
        """The inputs of a step: the values before it, or some values by name."""
        if len(before) >= takes and self.chance(0.75):
            return before[:takes]
        names = [self.choose([*place.values]) for _ in range(takes)]
        step["from"] = names[0] if takes == 1 else names
        return [place.values[name] for name in names]

    def named(self, step: Step, place: Place) -> Marks:
        names = step["from"] if isinstance(step["from"], list) else [step["from"]]
        return [place.values[name] for name in names]

    def copies(self, give: Give, count: Any) -> Give:
        def chained(marks: Marks) -> Marks:
            if isinstance(count, int):
                for _ in range(count):
                    marks = give(marks)
                return marks
            once = give(marks)
            return once if once == marks == give(once) else [self.fresh() for _ in marks]

        return _steady(chained)

    def perhaps(self, give: Give) -> Give:
        def left_out(marks: Marks) -> Marks:
            found = give(marks)
            return [new if new == old else self.fresh() for new, old in zip(found, marks, strict=False)]

        return _steady(left_out)

    def kind(self, place: Place) -> tuple[Step, int, Give]:
        """A step without siblings (but for `from` of merges), how many values it takes, and what it gives."""
        kinds = ["conv", "conv", "same", "same", *(["join", "join"] if place.values else [])]
        kinds += ["use"] * 4 if self.parts and place.depth else []
        kinds += ["branches", "branches"] if place.depth else []
        kinds += ["given"] * 3 if place.bodies else []
        kinds += ["embed"] if place.depth == 2 and self.chance(0.15) else []
        match self.choose(kinds):
            case "conv":
                return self.conv(place)
            case "join":
                return self.join(place)
            case "use":
                return self.use(place)
            case "branches":
                return self.branches(place)
            case "given":
                return {self.choose(place.bodies): None}, 1, _steady(lambda _: [self.fresh()])
            case "embed":
                return self.embed()
            case _:
                plain = {self.choose(SAME): None}
                return self.pick(plain, plain, {"dropout": "rate"}, {"leaky_relu": 0.2}), 1, lambda marks: marks

    def conv(self, place: Place) -> tuple[Step, int, Give]:
        text, mark = self.width(place)
        kernel = self.pick(1, 3, *(["k"] if "k" in place.params else []))
        made = {"out_channels": text, "kernel_size": kernel, "padding": "k // 2" if kernel == "k" else kernel // 2}
        if "mode" in place.params and self.chance(0.5):
            made["padding_mode"] = "$mode"
        step: Step = {"conv2d": made}
        if self.chance(0.15):
            step["init"] = copy.deepcopy(self.choose(INIT[: 1 if self.bias == "deep" else 3]))
        return step, 1, _steady(lambda _: [mark or self.fresh()])

    def width(self, place: Place) -> tuple[Any, str]:
        """The text for a number of channels, and its mark; no mark if the number is unknown."""
        options: list[tuple[Any, str]] = [(2, "2"), (5, "5"), ("wide", self.mark(place, "wide")), ("widths[1]", "5")]
        options += [(f"{name}.channels", mark) for name, mark in place.sizes.items()]
        if "w" in place.params:
            options += [("w", "p:w"), ("w", "p:w"), ("w + 1", "")]
        if "flag" in place.params:
            options += [("3 if flag else 2", "")]
        if place.index:
            options += [("index + 1", ""), ("widths[index % 3]", "")]
        return self.choose(options)

    def mark(self, place: Place, name: str) -> str:
        return f"p:{name}" if name in place.params else f"f:{name}"

    def condition(self, place: Place) -> Any:
        options: list[Any] = [True, False, "deep", "not deep", "wide > 2"]
        options += [f"{name}.channels > 3" for name in place.sizes]
        options += ["flag", "not flag"] if "flag" in place.params else []
        options += ["index > 0", "index % 2 == 0"] if place.index else []
        return self.choose(options)

    def join(self, place: Place) -> tuple[Step, int, Give]:
        name = self.choose([*place.values])
        alike = [other for other, mark in place.values.items() if mark == place.values[name]]
        if self.chance(0.5):
            others = [self.choose(alike) for _ in range(self.pick(1, 2))]
            return {self.pick("add", "multiply"): None, "from": [name, *others]}, 2, lambda marks: marks[:1]
        others = [self.choose([*place.values]) for _ in range(self.pick(1, 2))]
        return {"concat": None, "from": [name, *others]}, 2, _steady(lambda _: [self.fresh()])

    def branches(self, place: Place) -> tuple[Step, int, Give]:
        text, mark = self.width(place) if self.chance(0.7) else (None, "")
        whole = self.fresh()
        made: dict[str, list[Any]] = {}
        for _ in range(self.pick(2, 2, 3)):
            values = {**place.values, "input": whole}
            sizes = {**place.sizes, "input": whole}
            inner = replace(place, values=values, sizes=sizes, depth=place.depth - 1, earlier=[])
            steps, last = self.body(inner, [whole], 0, 2)
            if text is None and last[0] != whole:
                steps = steps if steps and self.chance(0.5) else ["relu"]
                steps.append({"conv2d": {"out_channels": "input.channels", "kernel_size": 1}})
            elif text is not None:
                # `input` is another value in here.
                wanted = {"out_channels": self.inside(text), "kernel_size": 1}
                if wanted["out_channels"] is None:
                    return self.conv(place)
                steps.append({"conv2d": wanted})
            made[f"b{self.number()}"] = steps
        op = "add" if (mark or text is None) and self.chance(0.6) else "concat"
        give: Give = _steady(lambda _: [self.fresh()])
        if op == "add":
            give = (lambda marks: marks[:1]) if text is None else _steady(lambda _: [mark])
        return {op: {"branches": made}}, 1, give

    def inside(self, text: Any) -> Any:
        """The text for a width inside a branch; None if the text would mean another value there."""
        return None if isinstance(text, str) and text.startswith("input.") else text

    def use(self, place: Place) -> tuple[Step, int, Give]:
        name = self.choose([*self.parts])
        part = self.parts[name]
        arguments: dict[str, Any] = {}
        marks = {f"f:{p}": f"f:{p}" for p in ("wide",)}
        for parameter, default in part.params.items():
            marks[f"p:{parameter}"] = str(default)
            if default not in ("int", "bool", "str", "body") and self.chance(0.4):
                continue
            match parameter:
                case "w" | "wide":
                    arguments[parameter], marks[f"p:{parameter}"] = self.width(place)
                case "k":
                    arguments[parameter] = self.pick(1, 3)
                case "n":
                    arguments[parameter] = self.pick(1, 2, *(["n"] if "n" in place.params else []))
                case "flag":
                    arguments[parameter] = self.pick(
                        True, False, "deep", *(["not flag"] if "flag" in place.params else [])
                    )
                case "mode":
                    arguments[parameter] = self.pick("zeros", *(["$mode"] if "mode" in place.params else ["replicate"]))
                case _:
                    arguments[parameter] = self.steps(place)
        if "wide" in place.params:
            # The file's parameter, which is hidden here.
            marks["f:wide"] = "f:wide"

        def give(entering: Marks) -> Marks:
            known = {**marks, **{f"in:{n}": mark for n, mark in zip(part.inputs, entering, strict=True)}}
            return [known.get(mark) or (mark if mark.isdigit() else self.fresh()) for mark in part.gives.values()]

        return {name: arguments or None}, len(part.inputs), _steady(give)

    def steps(self, place: Place) -> list[Any]:
        """Steps as an argument: of values they see only what enters."""
        whole = self.fresh()
        own = {"input": whole}
        inner = replace(place, values=dict(own), sizes=dict(own), depth=max(0, place.depth - 1), earlier=[])
        return self.body(inner, [whole], 0, 3)[0]

    def embed(self) -> tuple[Step, int, Give]:
        outputs = self.pick(["layer1"], ["stem"], ["layer1", "stem"])
        made = {"spec": "resnet20_cifar", "params": {"n": self.pick(1, 2)}, "outputs": outputs}
        return {"network": made}, 1, lambda _: ["16" for _ in outputs]


def _steady(give: Give) -> Give:
    """The same marks whenever the same ones enter."""
    known: dict[tuple[str, ...], Marks] = {}

    def kept(marks: Sequence[str]) -> Marks:
        key = tuple(marks)
        if key not in known:
            known[key] = give([*marks])
        return known[key]

    return kept


def random_parts(choose: Choose) -> dict[str, Any]:
    """A random spec with all that parts can be."""
    return PartsMaker(choose).spec()


def networks_in(data: dict[str, Any]) -> list[str]:
    """The networks of a spec, as `netspec.loads` takes them."""
    return [*([""] if "network" in data else []), *data.get("networks", {})]
