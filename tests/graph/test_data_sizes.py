"""Sizes that only the data tell: a graph has a symbol for each, and reports tell totals at what an op says of them."""

from __future__ import annotations

import netspec
from tests.support.choose import Choose
from tests.support.lazy import lazy_imports

with lazy_imports():
    from netspec.backends.pytorch.runtime.prove import prove_module


def chosen() -> netspec.Graph:
    """Samples that are chosen by their labels, and a linear layer on them."""
    b = netspec.Builder("chosen")
    image, labels = b.input("image", ["N", 3, 4]), b.input("labels", ["N"], dtype="int64")
    b.output("y", b.add("linear", b.add(Choose(), image, labels, name="choose"), out_features=5))
    b.output("others", "choose:others")
    return b.build()


def test_nominal_sizes_stand_in_reports() -> None:
    """By the symbols that the graph has for them; a proof runs on those that the data give."""
    graph = chosen()
    assert [str(type) for type in graph["choose"].types] == ["Choose x 3 x 4", "Choose", "Choose_2"]
    summary = netspec.summary(graph)
    assert summary.at == {"N": 1, "Choose": 2, "Choose_2": 5}
    assert summary.totals.macs == 2 * 3 * 4 * 5
    assert "at N = 1, Choose = 2, Choose_2 = 5" in str(summary)
    # While the linear layer runs: its weights, the inputs, what is chosen, the numbers of the others, its output.
    held = [4 * 25, 4 * 12 + 8, 4 * 2 * 12, 8 * 5, 4 * 2 * 3 * 5]
    assert netspec.memory(graph).totals.peak == sum(held)
    assert "proved Chosen" in prove_module(graph, netspec.to_source(graph))


class ChooseNamed(Choose):
    """An op that names its sizes."""

    data_symbols = ("K", "L")


def test_an_op_names_its_sizes() -> None:
    """Where a graph has another size of that name, or the op was there before, the node's path stands for it."""
    b = netspec.Builder("named")
    image, labels = b.input("image", ["N", 3, "L"]), b.input("labels", ["N"], dtype="int64")
    b.output("first", b.add(ChooseNamed(), image, labels, name="first"))
    b.output("second", b.add(ChooseNamed(), image, labels, name="second"))
    graph = b.build()
    assert [str(type) for type in graph["first"].types] == ["K x 3 x L", "K", "First"]
    assert [str(type) for type in graph["second"].types] == ["Second x 3 x L", "Second", "Second_2"]


def test_a_first_axis_that_is_no_batch_is_shown() -> None:
    rows = {row[0]: row[2] for row in netspec.summary(chosen()).table().rows}
    assert (rows["image"], rows["choose"], rows["linear"]) == ("3 x 4", "Choose x 3 x 4", "Choose x 3 x 5")
    shown = str(netspec.memory(chosen()))
    assert "Choose x 3 x 5" in shown
    assert "Choose × 3 × 5" in str(netspec.diagram(chosen()).dot)
