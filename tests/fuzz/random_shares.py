"""Random specs of steps that use the weights of earlier ones: of another op, with other arguments, in copies.

Steps are drawn from families whose weights have equal names and shapes, so that most shares fit.
"""

from __future__ import annotations

import json
from typing import Any

import netspec
from tests.fuzz.lasting import COUNTS
from tests.support.random_specs import Choose

FUZZER = COUNTS["random shares"]
Step = dict[str, Any]

NAMES = tuple("a b c d e f g h".split())  # noqa: SIM905
BLOCKS = ("b0", "b1", "b2")


class SharesMaker:
    """Makes one spec."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.blocks: dict[str, Any] = {}
        self.named: list[Step] = []
        """The steps of the body that is made that may own weights."""

    def pick(self, *options: Any) -> Any:
        return self.choose(options)

    def chance(self, p: float) -> bool:
        return self.choose(range(100)) < 100 * p

    def spec(self) -> dict[str, Any]:
        for name in BLOCKS[: self.pick(0, 1, 2, 3)]:
            self.block(name)
        spec = self.whole(self.body(self.pick(2, 3, 4, 5), {}))
        names = list(dict.fromkeys(step["name"] for step in spec["network"] if "name" in step))
        if names and self.chance(0.5):
            outputs: dict[str, Any] = {"y": self.choose(names), "z": self.choose(names)}
            if self.chance(0.4):
                outputs["z"] = {"from": outputs["z"], "mode": "train"}
            if self.taken({**spec, "outputs": outputs}):
                spec["outputs"] = outputs
        return spec

    def whole(self, steps: list[Step], params: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            "netspec": 1,
            "name": "whole",
            "params": {"k": 1, "on": True, **(params or {})},
            "inputs": {"image": ["N", 4, 8, 8]},
            **({"blocks": self.blocks} if self.blocks else {}),
            "network": steps or ["relu"],
        }

    def taken(self, spec: dict[str, Any]) -> bool:
        """Whether the compiler takes a spec; anything else than a refusal is a fault."""
        try:
            netspec.loads(json.dumps(spec))
        except netspec.NetspecError as error:
            FUZZER["steps refused"] += 1
            for diagnostic in error.diagnostics:
                FUZZER[diagnostic.code] += 1
            return False
        FUZZER["steps taken"] += 1
        return True

    def block(self, name: str) -> None:
        params: dict[str, Any] = {"k": self.pick(1, 2), "on": self.chance(0.5)}
        if self.chance(0.3):
            params["inner"] = "body"
        steps = self.body(self.pick(1, 2, 3), params)
        if not steps:
            return
        if "inner" in params:
            steps.insert(self.choose(range(len(steps) + 1)), {"inner": None})
        self.blocks[name] = {"params": params, "body": steps}

    def body(self, number: int, params: dict[str, Any]) -> list[Step]:
        """Steps that are taken, one after the other."""
        self.named = []
        steps: list[Step] = []
        defaults = {name: value for name, value in params.items() if value != "body"}
        for _ in range(number):
            for _ in range(3):
                step = self.step()
                if self.taken(self.whole([*steps, step], defaults)):
                    steps.append(step)
                    if "name" in step:
                        self.named.append(step)
                    break
        return steps

    def step(self) -> Step:
        owners = [step for step in self.named if next(iter(step)) not in ("relu", "add")]
        if owners and self.chance(0.6):
            return self.sharing(self.choose(owners))
        kind = self.choose(["layer"] * 6 + ["use"] * 5 * bool(self.blocks) + ["branches", "relu"])
        if kind == "branches":
            inner = [self.layer() for _ in range(self.pick(1, 2))]
            return {"add": {"branches": {"left": inner, "right": []}}}
        step = self.use(self.choose([*self.blocks])) if kind == "use" else {"relu": None}
        if kind == "layer":
            step = self.layer()
        free = [name for name in NAMES if name not in {each["name"] for each in self.named}]
        step["name"] = self.choose(free)
        return self.dressed(step)

    def dressed(self, step: Step) -> Step:
        """A step with siblings."""
        if self.chance(0.3):
            step["repeat"] = self.pick(1, 2, 2, 3, "k + 1", 0)
        if self.chance(0.12):
            step["when"] = self.pick("on", "not on", "k == 1", "input.height > 4")
        if self.named and self.chance(0.3):
            step["from"] = self.pick("input", self.choose(self.named)["name"])
        return step

    def sharing(self, owner: Step) -> Step:
        """A step that uses the weights of another: the same, one of its family, or any."""
        key = next(iter(owner))
        step: Step
        if self.chance(0.15):
            step = {key: owner[key]}
        elif key in self.blocks:
            step = self.use(self.choose([*self.blocks]) if self.chance(0.3) else key)
        else:
            step = self.choose(self.family(key, "repeat" in owner))
        step["share"] = owner["name"]
        if "repeat" in owner:
            step["repeat"] = owner["repeat"] if self.chance(0.9) else 2
        if "when" in owner and self.chance(0.7):
            step["when"] = owner["when"]
        if self.chance(0.6):
            free = [name for name in NAMES if name not in {each["name"] for each in self.named}]
            step["name"] = self.choose(free)
        if "repeat" not in step and self.chance(0.25):
            step["repeat"] = 2
        if self.chance(0.5):
            step["from"] = self.pick("input", owner["name"])
        if self.chance(0.05):
            step["init"] = "zeros"
        return step

    def use(self, name: str) -> Step:
        """A use of a block, with arguments."""
        params = self.blocks[name]["params"]
        arguments: dict[str, Any] = {}
        if self.chance(0.5):
            arguments["k"] = self.pick(1, 2, "k", "k + 1", "3 - k")
        if self.chance(0.3):
            arguments["on"] = self.pick(True, False, "not on")
        if "inner" in params:
            arguments["inner"] = [self.layer(True) for _ in range(self.pick(1, 1, 2))]
        return {name: arguments or None}

    def layer(self, small: bool = False) -> Step:
        return self.choose(self.family(self.pick("conv2d", "conv2d", "batch_norm", "group_norm", "prelu"), False))

    def family(self, key: str, copies: bool) -> list[Step]:
        """Layers whose weights have the names and shapes of those of an op."""
        if key in ("conv2d", "conv_transpose2d"):
            groups = self.pick(1, 1, 1, 1, 2)
            size: dict[str, Any] = {"out_channels": 4, "kernel_size": 3}
            far = self.pick(1, 1, 2, "k", "index + 1" if copies else "k")
            conv = {**size, "padding": far, "dilation": far, "groups": groups, "stride": self.pick(1, 1, 1, 2)}
            if self.chance(0.3):
                conv["padding_mode"] = self.pick("reflect", "circular", "replicate")
            if self.chance(0.2):
                conv["bias"] = False
            back = {**size, "padding": 1, "stride": self.pick(1, 2), "bias": self.chance(0.4), "groups": groups}
            if back["stride"] == 2 and self.chance(0.5):
                back["output_padding"] = 1
            return [{"conv2d": conv}, {"conv2d": {**size, "padding": 1}}, {"conv_transpose2d": back}]
        norms: list[Step] = [
            {"batch_norm": self.pick(None, {"eps": 0.1}, {"momentum": 0.5}, {"momentum": None}, {"affine": False})},
            {"group_norm": self.pick(1, 2, 4)},
            {"group_norm": {"num_groups": 2, "eps": self.pick(1e-5, 0.1)}},
        ]
        if key in ("batch_norm", "group_norm"):
            return norms
        return [{"prelu": self.pick(None, 4)}, {"prelu": {"num_parameters": 4}}]


def random_shares(choose: Choose) -> dict[str, Any]:
    """A random spec whose steps share weights."""
    return SharesMaker(choose).spec()
