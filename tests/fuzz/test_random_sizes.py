"""Random specs with symbolic H and W: at every size they are what the same spec with numbers is."""

from __future__ import annotations

import json
import re
from typing import Any

import netspec
from tests.fuzz.lasting import COUNTS, hold
from tests.support.random_maps import random_map
from tests.support.random_specs import random_spec

FUZZER = COUNTS["symbolic sizes against numbers"]
SIZES = ((8, 8), (1, 3), (7, 12), (16, 33), (31, 30), (64, 20))
MOST_NODES = 300
OPEN = {"NS215", "NS301", "NS303", "NS304", "NS305"}
"""Why a spec with open sizes may be refused: something depends on what is open, or does not hold for all sizes."""
SMALL = {"NS303", "NS304"}
"""Why one that is taken may be refused at some size: a window, or padding, larger than the map."""


def test_random_maps() -> None:
    hold(random_map, check, 60)


def test_random_specs() -> None:
    hold(random_spec, check, 60)


def check(data: dict[str, Any]) -> None:
    FUZZER["drawn"] += 1
    (shape,) = data["inputs"].values()
    text = json.dumps({**data, "inputs": {"image": [*shape[:2], "H", "W"]}})
    try:
        open_net = netspec.loads(text)
    except netspec.NetspecError as error:
        check_refusal(text, error)
        return
    if len(open_net.graph) > MOST_NODES:
        return
    FUZZER["taken with open sizes"] += 1
    for height, width in (tuple(shape[2:]), *SIZES):
        try:
            net = at(text, height, width)
        except netspec.NetspecError as error:
            FUZZER["too small a size"] += 1
            if not {d.code for d in error.diagnostics} <= SMALL:
                raise AssertionError(f"open sizes are taken, {height} x {width} is not") from error
            continue
        FUZZER["sizes compared"] += 1
        assert open_net.graph.at(H=height, W=width) == net.graph.at()
        assert open_net.graph.state() == net.graph.state()
        assert open_net.summary(at={"H": height, "W": width})["totals"] == net.summary()["totals"]


def at(text: str, height: int, width: int) -> netspec.Network:
    return netspec.loads(text, inputs={"image": ["N", json.loads(text)["inputs"]["image"][1], height, width]})


def check_refusal(text: str, error: netspec.NetspecError) -> None:
    """A refusal says what it is that does not hold for all sizes; where it names the sizes, they are those."""
    codes = {d.code for d in error.diagnostics}
    assert codes <= OPEN, error
    FUZZER[f"refused with open sizes, {min(codes)}"] += 1
    for diagnostic in error.diagnostics:
        found = re.fullmatch(r"it holds only if (.*)", diagnostic.help)
        if not found:
            continue
        # Of `A == B, as when H % 4 == 0` the equation is the condition, and what follows a case of it.
        only, cases = zip(*(part.partition(", as when ")[::2] for part in found[1].split(" and ")), strict=True)
        for height, width in SIZES:
            refused = refusals(text, height, width)
            hold_here = [holds(part, height, width) for part in only]
            assert all(
                whole or not case or not holds(case, height, width)
                for whole, case in zip(hold_here, cases, strict=True)
            )
            FUZZER["conditions tried"] += 1
            if all(hold_here):
                assert pair_of(diagnostic) not in map(pair_of, refused), f"{height} x {width} is refused: {diagnostic}"
            else:
                # An axis that is 1 at these sizes goes with every size in a product.
                taken = refused or "but for axes of 1" in diagnostic.message
                assert taken, f"{height} x {width} is taken against the condition: {diagnostic}"


def holds(condition: str, height: int, width: int) -> bool:
    return eval(condition, {"H": height, "W": width, "__builtins__": {}})


def refusals(text: str, height: int, width: int) -> tuple[netspec.Diagnostic, ...]:
    try:
        at(text, height, width)
    except netspec.NetspecError as error:
        return error.diagnostics
    return ()


def pair_of(diagnostic: netspec.Diagnostic) -> tuple[str, ...]:
    """The code, and the path of a merge with the two of its inputs that differ."""
    return diagnostic.code, *re.findall(r"([\w.]+)(?=:| is )", diagnostic.label)
