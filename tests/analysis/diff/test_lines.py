"""Lines of a diff, and the steps that make them few, on lines made by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

from netspec.analysis.cost import Cost
from netspec.analysis.diff.lines import DiffLine, fold_copies, fold_details, fold_layers
from netspec.analysis.diff.model import NodePair, Status
from netspec.graph import Builder
from netspec.graph.model import Graph


@cache
def graph() -> Graph:
    b = Builder("ops")
    x = b.input("image", ["N", 4, 8, 8])
    x = b.add("conv2d", x, name="conv", out_channels=4, kernel_size=1)
    b.output("y", b.add("batch_norm", x, name="norm"))
    return b.build()


def pair(status: Status, node: str = "conv", more: int = 0, macs: int = 0) -> NodePair:
    op = graph()[node]
    a, b = (None if status == "only_b" else op), (None if status == "only_a" else op)
    costs: Any = (Cost(100, 0, 100), Cost(100 + more, 0, 100 + macs))
    return NodePair(a, b, status, {}, False, False, None, costs[0] if a else None, costs[1] if b else None)


def line(name: str, what: str, status: Status = "changed", *details: DiffLine, **figures: Any) -> DiffLine:
    output = figures.pop("output", "8 x 8")
    return DiffLine(name, what, status, (pair(status, **figures),), output, details)


def told(lines: list[DiffLine]) -> list[tuple[str, str]]:
    return [(each.name, each.what) for each in lines]


def test_figures_of_a_line() -> None:
    both = DiffLine("x", "", "changed", (pair("changed", more=3, macs=5), pair("only_b", more=7, macs=9)))
    assert (both.parameters, both.macs) == (3 + 107, 5 + 109)
    assert not both.quiet
    assert DiffLine("x", "", "sizes", (pair("sizes"),)).quiet
    assert not DiffLine("x", "", "sizes", (pair("sizes", macs=1),)).quiet
    assert DiffLine("x", "", "same", (pair("same", macs=1),)).quiet


def test_neighbours_of_one_side_are_one_line() -> None:
    lines = [line(name, f"+ {name}", "only_b") for name in ("a", "b", "c", "d", "e", "f")]
    (folded,) = fold_details(lines)
    assert (folded.name, folded.what) == ("a .. f", "+ a + b + c + d + .. + f")
    assert len(folded.pairs) == 6
    # Not across scopes, and not of different sides.
    apart = [line("p.a", "+ a", "only_b"), line("q.a", "+ b", "only_b"), line("q.b", "- b", "only_a")]
    assert told(fold_details(apart)) == told(apart)


def test_a_norm_of_other_sizes_counts_with_its_layer() -> None:
    norm = line("norm", "batch_norm: input 4 -> 8", "sizes", node="norm", more=8)
    (folded,) = fold_details([line("conv", "out_channels 4 -> 8", more=100), norm])
    assert (folded.name, folded.what, folded.parameters) == ("conv", "out_channels 4 -> 8", 108)
    # Not with one that only one side has, nor a layer with a layer.
    alone = [line("conv", "+ conv", "only_b"), norm]
    assert told(fold_details(alone)) == told(alone)
    layers = [line("a", "out_channels 4 -> 8"), line("b", "input 4 -> 8", "sizes", more=1)]
    assert told(fold_details(layers)) == told(layers)


def test_equal_details_are_one_line_and_equal_layers_only_if_they_are_many() -> None:
    lines = [line("a", "bias true -> false"), line("x", "other"), line("b", "bias true -> false", output="4 x 4")]
    first, other = fold_details(lines)
    assert (first.name, first.what, first.output, len(first.pairs)) == ("a and 1 more", "bias true -> false", "", 2)
    assert other.name == "x"
    assert told(fold_layers(lines)) == told(lines)
    many = [line(name, "bias true -> false") for name in "abcd"]
    assert told(fold_layers(many)) == [("a and 3 more", "bias true -> false")]


def test_neighbours_with_nothing_to_tell_are_one_line() -> None:
    lines = [line("a", "", "same"), line("b", "", "sizes"), line("c", "kernel_size 1 -> 3"), line("d", "", "same")]
    wanted = [("a .. b", "the same but for sizes (2 nodes)"), ("c", "kernel_size 1 -> 3"), ("d", "the same (1 node)")]
    assert told(fold_layers(lines)) == wanted


def test_a_layer_refers_to_one_with_the_same_details() -> None:
    first = line("conv4", "conv 512 (x 3->4)", "changed", line("3", "+ conv 512", "only_b"))
    again = line("conv5", "conv 512 (x 3->4)", "changed", line("3", "+ conv 512", "only_b"))
    other = line("conv6", "conv 512 (x 3->4)", "changed", line("4", "+ conv 512", "only_b"))
    folded = fold_layers([first, again, other])
    assert [each.what for each in folded] == ["conv 512 (x 3->4)", "conv 512 (x 3->4): as conv4", "conv 512 (x 3->4)"]
    assert [len(each.details) for each in folded] == [1, 0, 1]
    # Lines are never changed, but replaced.
    assert again.details != ()


def test_copies_are_told_once() -> None:
    detail = line("conv", "kernel_size 1 -> 3")
    copies = [line(str(n), "unit", "changed", detail) for n in (0, 1, 2, 5)]
    assert told(fold_copies(copies)) == [("0-2,5.conv", "kernel_size 1 -> 3")]
    added = [line(str(n), "+ unit", "only_b", output=f"{n} x {n}") for n in (3, 4)]
    (folded,) = fold_copies(added)
    assert (folded.name, folded.what, folded.output) == ("3-4", "+ unit (x 2)", "4 x 4")
