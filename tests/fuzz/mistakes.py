"""Ways to spoil a valid spec, each with the place that is to blame and the codes that may be given for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fuzz.spec_steps import Step, steps_of
from tests.fuzz.spec_text import Path, at

NUMBERS = ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "out_features", "output_size")
REQUIRED = {"conv2d": ("out_channels", "kernel_size"), "linear": ("out_features",), "max_pool2d": ("kernel_size",)}
PRINCIPAL = {"linear": "out_features", "max_pool2d": "kernel_size", "avg_pool2d": "kernel_size"}
NO_NUMBER = (True, 1.5, "nosuch", "two words", {}, [1, 2, 3], [[1]], -1, 2**40, "'text'")
NO_EXPRESSION = (
    "1 +",
    "2 ** 3",
    "nosuch(2)",
    "(1",
    "__import__('os')",
    "input.nosuch",
    "nosuch[9]",
    "1 if 2",
    "lambda: 1",
)


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a spec: the codes that may say so, and the places (none: any; `inside`: and their parts)."""

    codes: tuple[str, ...]
    places: tuple[Path, ...] = ()
    inside: bool = False


Spoiler = Callable[[dict[str, Any], random.Random], Mistake | None]
SPOILERS: dict[str, Spoiler] = {}
"""By name, what makes a mistake in a spec's data; None where the spec has no room for it."""


def spoiler(make: Spoiler) -> Spoiler:
    SPOILERS[make.__name__] = make
    return make


def pick(data: dict[str, Any], chance: random.Random, wanted: Callable[[Step], Any] = lambda step: True) -> Step | None:
    found = [step for step in steps_of(data) if wanted(step)]
    return chance.choice(found) if found else None


def _is_number(value: Any) -> bool:
    return type(value) is int


@spoiler
def unknown_op(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance)
    if step is None:
        return None
    wrong = chance.choice((f"{step.op}x", step.op[:-1] + "_", "Conv2D", "nosuch", "batchnorm"))
    siblings = {key: value for key, value in step.data.items() if key != step.op}
    argument = step.data[step.op]
    step.data.clear()
    step.data.update({wrong: argument, **siblings})
    return Mistake(("NS203",), (step.key(wrong),))


@spoiler
def unknown_op_of_a_source(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    """Those that take its value are not to blame."""
    sources = [step.data["from"] for step in steps_of(data) if "from" in step.data]
    named = {name for source in sources for name in (source if isinstance(source, list) else [source])}
    step = pick(data, chance, lambda s: s.data.get("name") in named)
    if step is None:
        return None
    argument = step.data.pop(step.op)
    step.data["nosuch"] = argument
    return Mistake(("NS203",), (step.key("nosuch"),))


@spoiler
def missing_attribute(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    defaults = data.get("defaults", {})
    step = pick(data, chance, lambda s: s.op in REQUIRED and s.checked and "kernel_size" not in defaults.get(s.op, {}))
    if step is None:
        return None
    if step.given:
        del step.given[chance.choice([name for name in REQUIRED[step.op] if name in step.given])]
    else:
        step.data[step.op] = None
    return Mistake(("NS205",), (step.key(step.op),))


@spoiler
def missing_argument_of_block(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    blocks = data.get("blocks", {})
    needy = {name for name, b in blocks.items() if any(v in ("int", "bool") for v in b.get("params", {}).values())}
    step = pick(data, chance, lambda s: s.op in needy)
    if step is None:
        return None
    step.data[step.op] = None
    return Mistake(("NS205",), (step.key(step.op),))


@spoiler
def unknown_attribute(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: s.given and not {"branches", "spec"} & s.given.keys())
    if step is None:
        return None
    wrong = chance.choice(("kernel_sizes", "strid", "nosuch", "in_channels", "Bias", "name"))
    step.given[wrong] = chance.choice((1, "same", [1, 2], None))
    return Mistake(("NS204",), (step.argument(wrong),))


@spoiler
def value_of_wrong_kind(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: s.checked and any(_is_number(s.given.get(name)) for name in NUMBERS))
    if step is None:
        return None
    name = chance.choice([name for name in NUMBERS if _is_number(step.given.get(name))])
    step.given[name] = chance.choice(NO_NUMBER)
    return Mistake(("NS206", "NS207", "NS208", "NS211"), (step.argument(name),), inside=True)


@spoiler
def bad_expression(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: any(_is_number(s.given.get(name)) for name in NUMBERS))
    if step is None:
        return None
    name = chance.choice([name for name in NUMBERS if _is_number(step.given.get(name))])
    step.given[name] = chance.choice((*NO_EXPRESSION, *(("4 // 0", "[1][2]", "9 % 0") if step.live else ())))
    return Mistake(("NS206", "NS207", "NS208"), (step.argument(name),), inside=True)


@spoiler
def unknown_source(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance)
    if step is None:
        return None
    step.data["from"] = chance.choice(("nosuch", ["nosuch"], "input2", 3, [], [["input"]], "a.b", {}))
    return Mistake(("NS209",), (step.key("from"),), inside=True)


@spoiler
def unknown_output(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    outputs = data.setdefault("outputs", {}) if "network" in data else {}
    if "network" not in data:
        return None
    outputs["wrong"] = chance.choice(("nosuch", 3, None, [1], {"from": "nosuch"}, "step0.conv2d"))
    return Mistake(("NS209", "NS201"), (("outputs", "wrong"),), inside=True)


@spoiler
def unequal_merge(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    # A product takes 977 channels beside one.
    step = pick(data, chance, lambda s: s.op == "add" and s.live and "branches" in s.given)
    if step is None:
        return None
    branch = chance.choice([*step.given["branches"].values()])
    branch.append({"conv2d": {"out_channels": 977, "kernel_size": 1}})
    return Mistake(("NS301",), (step.key(step.op),))


@spoiler
def window_larger_than_map(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    if "network" not in data:
        return None
    op = chance.choice(("max_pool2d", "avg_pool2d", "conv2d"))
    argument = {"out_channels": 3, "kernel_size": 9000} if op == "conv2d" else {"kernel_size": 9000}
    data["network"].insert(0, {op: argument})
    return Mistake(("NS303",), (("network", 0, op),), inside=True)


@spoiler
def wrong_rank(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    if "network" not in data:
        return None
    op = chance.choice(("conv2d", "max_pool2d", "dropout2d"))
    argument = {"conv2d": {"out_channels": 3, "kernel_size": 1}, "max_pool2d": 1, "dropout2d": None}[op]
    data["network"] += ["flatten", {op: argument}]
    return Mistake(("NS302",), (("network", len(data["network"]) - 1, op),))


@spoiler
def groups_that_do_not_divide(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: s.op == "conv2d" and s.live and s.given and "groups" not in s.given)
    if step is None:
        return None
    step.given["groups"] = 997
    return Mistake(("NS304",), (step.argument("groups"),))


@spoiler
def bad_name(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: "name" not in s.data)
    if step is None:
        return None
    step.data["name"] = chance.choice(
        ("class", "a-b", "2x", "__init__", "forward", 3, None, "", "a b", "self", "input")
    )
    return Mistake(("NS202",), (step.key("name"),))


@spoiler
def two_of_one_name(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: "name" not in s.data)
    if step is None:
        return None
    body = at(data, step.path[:-1])
    number = int(step.path[-1])
    name = chance.choice(["twice", *(s["name"] for s in body[:number] if isinstance(s, dict) and "name" in s)])
    if name == "twice":
        body.insert(number, {"relu": None, "name": name})
        number += 1
    step.data["name"] = name
    return Mistake(("NS210",), ((*step.path[:-1], number, step.op),))


@spoiler
def two_ops(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance)
    if step is None:
        return None
    other = chance.choice([op for op in ("sigmoid", "tanh", "linear") if op != step.op])
    step.data[other] = None
    return Mistake(("NS211",), (step.key(other),))


@spoiler
def no_step(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance)
    if step is None:
        return None
    at(data, step.path[:-1]).insert(step.path[-1], chance.choice((5, None, [], True, ["relu"], {}, {"name": "x"}, 1.5)))
    return Mistake(("NS211",), (step.path,), inside=True)


@spoiler
def list_as_argument(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance)
    if step is None:
        return None
    step.data[step.op] = chance.choice(([1], [1, 2], [], [[3]]))
    return Mistake(("NS211",), (step.key(step.op),), inside=True)


@spoiler
def bad_repeat(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: s.live and not isinstance(s.data.get("from"), list))
    if step is None:
        return None
    step.data["repeat"] = chance.choice(
        (-1, 1.5, True, "nosuch", "two words", 10**9, None, [1], {}, "1 - 2", "len([])/1")
    )
    return Mistake(("NS206", "NS207", "NS208", "NS214", "NS215"), (step.key("repeat"),), inside=True)


@spoiler
def bad_condition(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: s.live)
    if step is None:
        return None
    step.data["when"] = chance.choice((3, None, "nosuch", "two words", "1 + 1", "input", [True], "1 < 'a'", "N > 3"))
    return Mistake(("NS206", "NS207", "NS208", "NS215"), (step.key("when"),), inside=True)


@spoiler
def bad_size(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    inputs = data.get("inputs") or {}
    if not inputs:
        return None
    name = chance.choice([*inputs])
    shape = inputs[name]
    number = chance.randrange(len(shape))
    shape[number] = chance.choice((0, -3, None, "nosuch", "two words", 1.5, True, 2**40, "1 +", "None", "4"))
    return Mistake(("NS206", "NS207", "NS208"), (("inputs", name),), inside=True)


@spoiler
def recursion(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    if not data.get("blocks"):
        return None
    name = chance.choice([*data["blocks"]])
    values = {"int": 1, "bool": True, "float": 1.5, "list": "stages", "str": "text"}
    params = data["blocks"][name].get("params") or {}
    needed = {p: values[kind] for p, kind in params.items() if isinstance(kind, str) and kind in values}
    data["blocks"][name]["body"].append({name: needed or None})
    return Mistake(("NS212",), (("blocks", name),))


@spoiler
def name_of_an_op_for_a_block(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    name = chance.choice(("relu", "class", "repeat", "a-b", "conv2d", "Tensor2-"))
    data.setdefault("blocks", {})[name] = {"body": ["tanh"]}
    return Mistake(("NS202", "NS210"), (("blocks", name),))


@spoiler
def bad_parameter(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    name, value = chance.choice((("Bad", 1), ("a-b", 1), ("wrong", None), ("class", 2), ("wrong", {}), ("index", 1)))
    data.setdefault("params", {})[name] = value
    return Mistake(("NS202", "NS206"), (("params", name),))


@spoiler
def bad_branches(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance, lambda s: "branches" in s.given)
    if step is None:
        return None
    step.given["branches"] = chance.choice(({"a": []}, {}, None, [], 3, {"a": None, "b": []}, {"a": 3, "b": []}))
    return Mistake(("NS211",), (step.argument("branches"),), inside=True)


@spoiler
def merge_of_nothing(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    step = pick(data, chance)
    if step is None:
        return None
    at(data, step.path[:-1]).insert(step.path[-1], {chance.choice(("add", "concat", "multiply")): None})
    found = at(data, step.path)
    return Mistake(("NS211",), ((*step.path, next(iter(found))),))


@spoiler
def outline(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    match chance.randrange(6):
        case 0:
            data["netwrok"] = []
            return Mistake(("NS201",), (("netwrok",),))
        case 1:
            del data[chance.choice(("netspec", "name"))]
            return Mistake(("NS201",))
        case 2 if "network" in data:
            del data["network"]
            return Mistake(("NS201",))
        case 3:
            data["netspec"] = chance.choice((2, "1", None, [1], 1.0))
            return Mistake(("NS201", "NS206"), (("netspec",),))
        case 4 if "network" in data:
            data["network"] = chance.choice((None, 3, "relu", {"relu": None}))
            return Mistake(("NS201", "NS211"), (("network",),), inside=True)
        case _:
            key = chance.choice(("inputs", "params", "blocks", "outputs", "defaults", "title"))
            data[key] = [1]
            return Mistake(("NS201", "NS206"), ((key,),), inside=True)


@spoiler
def wrong_origin(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    wrong = chance.choice(
        ({"keys": {"a b": "c"}}, {"keys": {"a": "*"}}, {"order": "features"}, {"rules": {}}, {"keys": []})
    )
    data["weights"] = {"theirs": wrong}
    return Mistake(("NS201", "NS206"), (("weights", "theirs"),), inside=True)


@spoiler
def unknown_base(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    if "extends" not in data:
        return None
    data["extends"] = chance.choice(("nosuch", "resnet51", "../x.yaml", "/etc/passwd.yaml", "nosuch.yaml", 3, "."))
    return Mistake(("NS105", "NS201", "NS213"), (("extends",),))


@spoiler
def false_claim(data: dict[str, Any], chance: random.Random) -> Mistake | None:
    data["expect"] = {chance.choice(("parameters", "macs")): chance.choice((-5, "3 X", None, 1.5, [], "7 T"))}
    return Mistake(("NS216",), (("expect", next(iter(data["expect"]))),))
