"""Random specs as plain data, valid by the way they are made: every step keeps the map's size, or halves it for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Choose = Callable[[Sequence[Any]], Any]
"""A function that picks an item: of hypothesis, which can shrink its choice, or `random.Random(seed).choice`."""


class SpecMaker:
    """Generates the parts of one spec. With `decisive`, conditions and counts may depend on parameters."""

    def __init__(self, choose: Choose, decisive: bool = True) -> None:
        self.choose = choose
        self.decisive = decisive
        self.params: dict[str, Any] = {
            "classes": self.pick(3, 5),
            "wide": self.pick(2, 4),
            "deep": self.chance(0.5),
            "rate": 0.5,
        }
        self.blocks: dict[str, dict[str, Any]] = {}

    def pick(self, *options: Any) -> Any:
        return self.choose(options)

    def chance(self, p: float) -> bool:
        return self.choose(range(100)) < 100 * p

    def spec(self) -> dict[str, Any]:
        for number in range(self.pick(0, 1, 2, 3)):
            self.block(f"block{number}")
        network = self.body({}, depth=2, most=4, repeats=True, strides=True)
        ending = self.pick("none", "flatten", "pool", "conv")
        if ending == "pool":
            network.append({"adaptive_avg_pool2d": 1})
        if ending in ("flatten", "pool"):
            network += ["flatten", {"linear": self.pick("classes", 4, "2*wide + 1")}]
        if ending == "conv":
            network.append({"conv2d": {"out_channels": self.pick("classes", "wide"), "kernel_size": 1}})
        found = {
            "netspec": 1,
            "name": "net",
            "params": self.params,
            "inputs": {"image": ["N", self.pick(3, 4), 8, 8]},
            "blocks": self.blocks,
            "network": network,
        }
        named = [step["name"] for step in network if isinstance(step, dict) and "name" in step]
        if named and self.chance(0.4):
            found["outputs"] = {f"out{k}": self.pick(*named) for k in range(self.pick(1, 2, 3))}
        if self.chance(0.3):
            found["defaults"] = {"conv2d": {"init": {"weight": {"normal": {"std": 0.1}}, "bias": self.pick(0, 1, 0.5)}}}
        return found

    def block(self, name: str) -> None:
        params: dict[str, Any] = {}
        for parameter, kinds in (
            ("w", ("int", 3)),
            ("k", (1, 3)),
            ("n", ("int", 2)),
            ("flag", (True, False)),
            ("s", (1, 2)),
            ("wide", ("int",)),
        ):
            if self.chance(0.5):
                params[parameter] = self.pick(*kinds)
        body = self.body(params, depth=2, most=4, repeats=True, strides="s" in params)
        self.blocks[name] = {"params": params, "body": body} if params else {"body": body}

    def body(
        self,
        params: dict[str, Any],
        depth: int,
        most: int,
        repeats: bool,
        strides: bool,
        index: bool = False,
        least: int = 1,
    ) -> list[Any]:
        steps: list[Any] = []
        named: list[str] = []
        for number in range(self.choose(range(least, most + 1))):
            kind = self.pick(
                "conv", "conv", "simple", "simple", "block", "block", "residual", "concat", "from", "from", "strided"
            )
            step: dict[str, Any]
            if kind == "block" and not (self.blocks and depth):
                kind = "conv"
            if kind in ("residual", "concat") and not depth:
                kind = "simple"
            if kind == "from" and not named:
                kind = "simple"
            if kind == "strided" and not (strides and depth):
                kind = "conv"
            repeated = repeats and kind != "from" and self.chance(0.25)
            inner = index or repeated
            match kind:
                case "conv":
                    step = {"conv2d": self.conv(params, inner)}
                case "simple":
                    slope = self.pick(0.2, 0.01, "rate / 2")
                    pool = {"max_pool2d": {"kernel_size": 3, "stride": 1, "padding": 1}}
                    plain = ({name: None} for name in ("relu", "tanh", "batch_norm"))
                    step = self.pick(*plain, {"dropout": "rate"}, {"dropout": 0.25}, {"leaky_relu": slope}, pool)
                case "block":
                    step = self.use(params, inner)
                case "residual":
                    step = {"add": {"branches": self.residual(params, depth - 1, inner)}}
                case "concat":
                    count = self.pick(2, 2, 3)
                    step = {
                        "concat": {
                            "branches": {
                                f"p{k}": self.body(params, depth - 1, 2, True, False, inner, 0) for k in range(count)
                            }
                        }
                    }
                case "strided":
                    step = {"add": {"branches": self.strided(params)}}
                case _:
                    step = {"concat": None, "from": [self.pick(*named, "input") for _ in range(self.pick(2, 3))]}
            if repeated:
                step["repeat"] = self.count(params)
            if self.decisive and self.chance(0.25):
                step["when"] = self.condition(params, inner)
            branches = any(isinstance(value, dict) and "branches" in value for value in step.values())
            if branches or self.chance(0.4):
                step["name"] = f"step{number}"
                named.append(step["name"])
            if named and "from" not in step and self.chance(0.1):
                step["from"] = self.pick(*named, "input")
                step["from"] = "input" if step["from"] == step.get("name") else step["from"]
            steps.append(step)
        return steps

    def conv(self, params: dict[str, Any], index: bool) -> dict[str, Any]:
        kernel = self.pick(1, 3, *(["k"] if "k" in params else []), *(["1 + 2 * (index % 2)"] if index else []))
        found = {"out_channels": self.width(params, index), "kernel_size": kernel}
        if kernel != 1:
            found["padding"] = f"({kernel}) // 2"
            if isinstance(kernel, int):
                found["padding"] = kernel // 2
        if self.chance(0.2):
            found["bias"] = self.pick(False, "deep")
        return found

    def width(self, params: dict[str, Any], index: bool) -> Any:
        options = [2, 3, 5, "wide", "wide + 1", "input.channels", "min(2 * input.channels, 6)"]
        if "w" in params:
            options += ["w", "w", "2*w", "w + wide"]
        if index:
            options += ["index + 1", "wide + index", "2 * (index + 1)"]
        if "flag" in params:
            options += ["4 if flag else 3", "wide if flag else input.channels"]
        return self.choose(options)

    def count(self, params: dict[str, Any]) -> Any:
        options: list[Any] = [1, 2, 3]
        if self.decisive:
            options += [0, "wide - 1"]
            if "n" in params:
                options += ["n", "n", "n", "n - 1", "2*n"]
        return self.choose(options)

    def condition(self, params: dict[str, Any], index: bool) -> str:
        options = ["deep", "not deep", "input.channels > 4", "input.channels != wide"]
        if "flag" in params:
            options += ["flag", "flag", "not flag"]
        if "w" in params:
            options += ["input.channels == w", "w > 3"]
        if index:
            options += ["index > 0", "index % 2 == 0"]
        return self.choose(options)

    def residual(self, params: dict[str, Any], depth: int, index: bool) -> dict[str, Any]:
        inner = [
            *self.body(params, depth, 2, True, False, index),
            {"conv2d": {"out_channels": "wide", "kernel_size": 1}, "name": "last"},
        ]
        inner[-1]["conv2d"]["out_channels"] = width = self.pick(4, "wide", *(["w"] if "w" in params else []))
        skip: dict[str, Any] = {"conv2d": {"out_channels": width, "kernel_size": 1, "bias": False}}
        if self.decisive:
            skip["when"] = f"input.channels != {width}"
        return {"body": inner, "skip": [skip]} if self.chance(0.7) else {"skip": [skip], "body": inner}

    def strided(self, params: dict[str, Any]) -> dict[str, Any]:
        stride = self.pick(2, *(["s"] if "s" in params else []))
        width = self.pick(4, "wide", *(["w"] if "w" in params else []))
        conv = {"out_channels": width, "kernel_size": 3, "padding": 1, "stride": stride, "bias": False}
        skip: dict[str, Any] = {"conv2d": {**conv, "kernel_size": 1, "padding": 0}}
        if self.decisive:
            skip["when"] = f"{stride} != 1 or input.channels != {width}"
        return {
            "body": [{"conv2d": conv}, "batch_norm", "relu", {"conv2d": {**conv, "stride": 1}}],
            "skip": [skip, "batch_norm"],
        }

    def use(self, params: dict[str, Any], index: bool) -> dict[str, Any]:
        name = self.pick(*self.blocks)
        arguments: dict[str, Any] = {}
        for parameter, default in self.blocks[name].get("params", {}).items():
            if default != "int" and self.chance(0.4):
                continue
            match parameter:
                case "w" | "wide":
                    arguments[parameter] = self.width(params, index)
                case "k":
                    arguments[parameter] = self.pick(1, 3)
                case "s":
                    arguments[parameter] = self.pick(1, 1, 2)
                case "n":
                    arguments[parameter] = self.pick(
                        1,
                        2,
                        3,
                        *([0, "index + 1"] if index and self.decisive else []),
                        *(["n"] if "n" in params else []),
                    )
                case _:
                    arguments[parameter] = self.pick(True, False, "deep", *(["not flag"] if "flag" in params else []))
        return {name: arguments or None}


def random_spec(choose: Choose, decisive: bool = True) -> dict[str, Any]:
    """A random spec; unless it is `decisive`, no parameter decides which steps exist."""
    return SpecMaker(choose, decisive).spec()
