"""Random specs of parts with a mistake of which the place is known: that is what is said, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest

import netspec
from tests.fuzz.lasting import COUNTS, seeds
from tests.fuzz.spec_text import Path, Text
from tests.support.random_parts import PartsMaker

FUZZER = COUNTS["mistakes in parts"]


def mistake(maker: PartsMaker, data: dict[str, Any], chance: random.Random) -> tuple[str, Path]:
    """Put a step with a mistake at the end of the network; the code and the place that are due."""
    steps: list[Any] = data["network"]
    place: Path = ("network", len(steps) + 1)
    # So that it is in reach and no step of the network follows from it.
    steps.append({"relu": None, "from": next(iter(data["inputs"])), "name": "before"})
    name, part = chance.choice([*maker.parts.items()])
    needed = {"int": 2, "bool": True, "str": "zeros", "body": ["tanh"]}
    arguments = {p: needed[kind] for p, kind in part.params.items() if kind in ("int", "bool", "str", "body")}
    match chance.choice(("share", "kind", "output", "count", "name", "argument", "steps", "embedded")):
        case "share":
            steps.append({"relu": None, "share": "nosuch"})
            return "NS209", (*place, "share")
        case "kind":
            steps.append({"conv2d": {"out_channels": 2, "kernel_size": 1}, "share": "before"})
            return "NS302", (*place, "share")
        case "output":
            steps.append({"relu": None, "from": f"before.{chance.choice(('output', 'nosuch', 'relu'))}"})
            return "NS209", (*place, "from")
        case "count":
            steps.append({name: arguments or None, "from": ["before"] * (len(part.inputs) + 1)})
            return "NS302", (*place, name)
        case "name":
            steps.append({"relu": None, "name": chance.choice(("before", next(iter(data["inputs"]))))})
            return "NS210", (*place, "relu")
        case "argument":
            steps.append({name: {**arguments, "nosuch": 1}, "from": ["before"] * len(part.inputs)})
            return "NS204", (*place, name, "nosuch")
        case "steps" if arguments.get("inner"):
            steps.append({name: {**arguments, "inner": [{"tahn": None}]}, "from": ["before"] * len(part.inputs)})
            return "NS203", (*place, name, "inner", 0, "tahn")
        case _:
            steps.append({"network": {"spec": "resnet20_cifar", "outputs": ["nosuch"]}})
            return "NS209", (*place, "network", "outputs")


def test_mistakes_are_told_where_they_are() -> None:
    for seed in seeds(300):
        chance = random.Random(seed)
        maker = PartsMaker(chance.choice)
        data = maker.spec()
        if "network" not in data or not maker.parts:
            continue
        try:
            netspec.loads(str(Text(data, "yaml")))
        except netspec.NetspecError:
            continue
        code, place = mistake(maker, data, chance)
        text = Text(data, chance.choice(("yaml", "json")))
        FUZZER["mutants"] += 1
        with pytest.raises(netspec.NetspecError) as caught:
            netspec.loads(str(text))
        found = [(d.code, d.span.line if d.span else 0) for d in caught.value.diagnostics]
        assert found == [(code, text.lines[place])], f"seed {seed}: {place}\n{caught.value}\n{text}"
