"""Receptive fields of random specs against gradients: every unit sees just the window that is foretold for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

import netspec
from netspec.analysis.field import Field
from netspec.analysis.field_propagation import propagate_fields
from tests.fuzz.lasting import COUNTS, hold
from tests.support.lazy import lazy_imports
from tests.support.random_maps import random_map
from tests.support.random_specs import random_spec

with lazy_imports():
    import torch

    from tests.fuzz.reference import Reference
    from tests.fuzz.sight import Edges, Interval, edges_of, seen

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"
)

FUZZER = COUNTS["receptive fields against gradients"]
MOST_NODES, MOST_CHANNELS = 80, 24
"""What is larger takes long to run, and shows nothing more."""
VALUES = 5
WITHIN = "within what was foretold"


def test_fields_of_random_maps() -> None:
    hold(random_map, check, 90)


def test_fields_of_random_specs() -> None:
    hold(random_spec, check, 15)


def check(data: dict[str, Any]) -> None:
    FUZZER["specs drawn"] += 1
    try:
        net = netspec.loads(json.dumps(data))
    except netspec.NetspecError:
        FUZZER["specs refused"] += 1
        return
    types = net.graph.at(N=1)
    if not 0 < len(net.graph) <= MOST_NODES or max(t.shape[1] for t in types.values() if t.rank == 4) > MOST_CHANNELS:
        FUZZER["specs too large"] += 1
        return
    reference = Reference(data)
    (shape,) = data["inputs"].values()
    with torch.device("meta"):
        reference(torch.empty(1, *shape[1:]))
    paths = [*reference.values]
    # The last value, and others from all over the network.
    paths = [*paths[-1 :: -max(1, len(paths) // VALUES)]][:VALUES]
    units = [(path, position) for path in paths for position in positions(types[path].shape)]
    fields = propagate_fields(net.graph)
    edges = [edges_of(reference, axis) for axis in (0, 1)]
    for (path, position), intervals in zip(units, seen(data, units), strict=True):
        field = fields[path]["image"]
        FUZZER["units compared" if field.note == "" else "units of no place"] += 1
        told = [foretold(field, axis, position, shape[2 + axis], edges[axis][path]) for axis in (0, 1)]
        if None in intervals:
            # What has nothing but padding under it on one axis sees nothing on the other.
            FUZZER["units over padding"] += 1
            assert any(t is None or t.wanted is None or not t.exact for t in told), (path, position, told)
            continue
        # A branch that sees nothing but padding on one axis adds nothing on the other either.
        sure = all(one is not None and one.exact for one in told)
        for one, found in zip(told, intervals, strict=True):
            if one is not None:
                FUZZER[f"axes {one.how if sure else WITHIN}"] += 1
                assert one.holds(found, sure), f"unit {position} of {path} sees {found}, and was foretold {one}"


def positions(shape: tuple[Any, ...]) -> list[tuple[int, ...]]:
    """Two corners and two units between, of a map; the first and the last of a row of features."""
    if len(shape) == 2:
        return [(0,), (shape[1] - 1,)]
    height, width = shape[2:]
    return sorted({(0, 0), (height - 1, width - 1), (height // 2, width // 2), (height // 3, 2 * width // 3)})


@dataclass(frozen=True)
class Foretold:
    """What a unit sees along one axis, as far as that is in the input, and whether it is all of that."""

    window: tuple[int, int]
    wanted: Interval
    exact: bool
    how: str

    def holds(self, found: Interval, sure: bool) -> bool:
        if sure:
            return found == self.wanted
        return found is not None and self.wanted is not None and _within(found, self.wanted)


def foretold(field: Field, axis: int, position: tuple[int, ...], extent: int, edges: Edges) -> Foretold | None:
    """What a field says of a unit along an axis; None where it says nothing."""
    size, stride, start = field.size[axis], field.stride[axis], field.start[axis]
    if size is None or start is None or stride is None:
        return None
    assert isinstance(size, int)
    assert isinstance(start, int)
    index = position[axis] if len(position) == 2 else 0
    first = start + int(stride) * index
    last = first + size - 1
    inside = first >= 0 and last < extent
    wanted = (max(0, first), min(extent - 1, last)) if last >= 0 and first < extent else None
    if stride and inside:
        return Foretold((first, last), wanted, True, "equal inside the input")
    if edges.copied:
        return None
    # What sees all has stride 0: all that reaches it.
    exact = (edges.first or (stride != 0 and first >= 0)) and (edges.last or (stride != 0 and last < extent))
    return Foretold((first, last), wanted, exact, "equal at the edge" if exact else WITHIN)


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]
