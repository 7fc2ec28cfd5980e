"""Random specs whose copies differ: repeats in repeats with counts, arguments and steps that depend on the copy.

All maps have one size, so that any two can be added.
"""

from __future__ import annotations

import random
from typing import Any

CONDITIONS = ("n == 0", "n > 0", "n % 2 == 1", "n != 1", "n < 2")
OPS = ("relu", "sigmoid", "batch_norm", "tanh")


class Maker:
    """Makes one spec from a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.blocks: dict[str, Any] = {}
        self.number = 0

    def pick(self, *options: Any) -> Any:
        return self.chance.choice(options)

    def name(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.number}"

    def spec(self) -> dict[str, Any]:
        body = self.body(3, top=True)
        return {"netspec": 1, "name": "copies", "inputs": {"x": ["N", 4, 6, 6]}, "blocks": self.blocks, "network": body}

    def body(self, depth: int, top: bool = False) -> list[Any]:
        steps: list[Any] = []
        named: list[str] = []
        for _ in range(self.pick(1, 2, 2, 3, 4)):
            step = self.step(depth, named, top)
            if not top and self.pick(0, 1):
                step["when"] = self.pick(*CONDITIONS)
            if "branches" not in str(step) or "name" in step:
                named += [step["name"]] if "name" in step and "when" not in step else []
            steps.append(step)
        return steps

    def step(self, depth: int, named: list[str], top: bool) -> dict[str, Any]:
        kind = self.pick("op", "conv", "conv", "sum", "use", "use", "use", "alternative", "token")
        name = self.name("s")
        if kind == "op":
            return {self.pick(*OPS): {}, "name": name}
        if kind == "token":
            return {"add": {"branches": {"a": [], "b": [{"parameter": {"shape": [4, 6, 6]}, "name": name}]}}}
        if kind == "sum" or (kind != "conv" and depth == 0):
            earlier = self.pick(*named, "input") if named and not top else None
            if earlier:
                return {"add": {}, "from": [named[-1], earlier], "name": name}
            steps = [self.conv(top), *([{"relu": {}, "when": self.pick(*CONDITIONS)}] if not top else [])]
            return {"add": {"branches": {"f": steps, "x": []}}, "name": name}
        if kind == "conv":
            return self.conv(top) | {"name": name}
        block = self.block(depth - 1)
        n = "n" if not top else self.pick(0, 1, 2)
        use: dict[str, Any] = {block: {"n": n}, "name": name}
        if self.pick(0, 1, 1):
            use = {block: {"n": self.pick("index", "index + 1", n)}, "name": name}
            use["repeat"] = self.pick(1, 2, 3, *(() if top else ("n + 1", "n")))
        return use

    def conv(self, top: bool) -> dict[str, Any]:
        dilation = self.pick(1, *(() if top else ("n + 1", "2 if n == 0 else 1")))
        return {"conv2d": {"out_channels": 4, "kernel_size": 3, "padding": dilation, "dilation": dilation}}

    def block(self, depth: int) -> str:
        if self.blocks and self.pick(0, 1):
            return self.pick(*self.blocks)
        name = self.name("b")
        body = self.body(depth)
        self.blocks[name] = {"params": {"n": "int"}, "body": body}
        return name


def random_copies(seed: int) -> dict[str, Any]:
    """The spec of a seed."""
    return Maker(random.Random(seed)).spec()
