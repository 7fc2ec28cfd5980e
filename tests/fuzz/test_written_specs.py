"""Random networks written as specs: read back each is the same graph, or the writer says that it can't."""

from __future__ import annotations

import json
from typing import Any

import pytest

import netspec
from tests.fuzz.lasting import COUNTS, hold
from tests.support.random_parts import networks_in, random_parts
from tests.support.random_specs import random_spec
from tests.support.round_trip import assert_same

FUZZER = COUNTS["written specs"]


@pytest.mark.parametrize(("make", "examples"), [(random_spec, 300), (random_parts, 150)], ids=["specs", "parts"])
def test_written_specs(make: Any, examples: int) -> None:
    before = FUZZER.copy()
    hold(make, check, examples)
    written, refused = (FUZZER[what] - before[what] for what in ("written", "refused"))
    assert written > 20 * refused


def check(data: dict[str, Any]) -> None:
    text = json.dumps(data)
    for name in networks_in(data):
        try:
            graph = netspec.loads(text, network=name).graph
        except netspec.NetspecError:
            continue
        try:
            again = netspec.to_yaml(graph)
        except netspec.NetspecError as error:
            if "a spec can't say that" not in str(error):
                raise
            FUZZER["refused"] += 1
            continue
        assert_same(graph, netspec.loads(again).graph)
        FUZZER["written"] += 1
