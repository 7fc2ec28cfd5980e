"""Which node matches which: by structure first, then in sequence, then as neighbours."""

from __future__ import annotations

from netspec.analysis.diff.align import align
from netspec.analysis.diff.interface import match_interface
from netspec.graph import Builder, Graph


def sequence(*ops: str, names: str = "") -> Graph:
    """Ops one after another, named by letters; `conv N` has N channels."""
    b = Builder("sequence")
    x = b.input("image", ["N", 4, 8, 8])
    for op, name in zip(ops, names or "abcdefghijkl", strict=False):
        opname, _, channels = op.partition(" ")
        if opname == "conv":
            x = b.add("conv2d", x, name=name, out_channels=int(channels), kernel_size=1)
        else:
            x = b.add(opname, x, name=name)
    b.output("y", x)
    return b.build()


def matches(a: Graph, b: Graph) -> dict[str, str]:
    return align(a, b, match_interface(a, b))


def test_equal_graphs_match_whole_whatever_their_names() -> None:
    ops = ("conv 4", "relu", "conv 4", "relu")
    assert matches(sequence(*ops), sequence(*ops, names="wxyz")) == {"a": "w", "b": "x", "c": "y", "d": "z"}


def test_what_is_inserted_has_no_match() -> None:
    a = sequence("conv 4", "relu", "conv 8", "tanh")
    b = sequence("conv 4", "relu", "sigmoid", "conv 8", "tanh", names="abxcd")
    assert matches(a, b) == {"a": "a", "b": "b", "c": "c", "d": "d"}
    assert matches(b, a) == {"a": "a", "b": "b", "c": "c", "d": "d"}


def test_copies_are_added_after_those_that_both_have() -> None:
    """Of equal layers the first are matched, and not the last: further copies of a block stand at the end."""
    a = sequence("conv 4", "conv 4", "relu", names="pqr")
    b = sequence("conv 4", "conv 4", "conv 4", "relu", names="wxyz")
    found = matches(a, b)
    assert (found["p"], found["q"], found["r"]) == ("w", "x", "z")


def test_a_changed_layer_matches_the_one_in_its_place() -> None:
    a = sequence("conv 4", "relu", "conv 6", "tanh")
    b = sequence("conv 4", "relu", "conv 7", "tanh", names="wxyz")
    assert matches(a, b) == {"a": "w", "b": "x", "c": "y", "d": "z"}


def test_an_activation_in_place_of_another_matches_it_and_no_layer() -> None:
    a = sequence("conv 4", "relu", "conv 4")
    b = sequence("conv 4", "gelu", "conv 4", names="xyz")
    assert matches(a, b) == {"a": "x", "b": "y", "c": "z"}


def test_a_layer_never_matches_an_activation() -> None:
    assert matches(sequence("conv 4"), sequence("relu", names="x")) == {}


def two(swap: bool, kernel: int = 1) -> Graph:
    """Two branches with equal layers, of which one goes on to another layer."""
    b = Builder("two")
    image = b.input("image", ["N", 4, 8, 8])
    names = ["left", "right"][:: -1 if swap else 1]
    layers = {name: b.add("conv2d", image, name=name, out_channels=4, kernel_size=1) for name in names}
    more = b.add("conv2d", layers["right"], name="more", out_channels=4, kernel_size=kernel, padding=kernel // 2)
    b.output("y", b.add("concat", layers["left"], more, name="y"))
    return b.build()


def test_equal_layers_are_told_apart_by_what_reads_them() -> None:
    wanted = {name: name for name in ("left", "right", "more", "y")}
    assert matches(two(False), two(True)) == wanted
    # Also where that is changed itself.
    assert matches(two(False), two(True, kernel=3)) == wanted


def test_equal_ends_match_where_the_beginning_differs() -> None:
    """Of more equal layers on one side the last ones match; an activation alone is no reason to open a gap there."""
    a = sequence("gelu", "conv 4", "conv 4", "relu", names="pqrs")
    b = sequence("tanh", "conv 4", "conv 4", "conv 4", "relu", names="vwxyz")
    assert matches(a, b) == {"q": "x", "r": "y", "s": "z"}


def test_neighbours_match_where_the_order_does_not() -> None:
    """Layers that changed, and changed places, are matched by what they read."""

    def crossed(swap: bool, kernel: int) -> Graph:
        b = Builder("crossed")
        branches = [("left", "relu", 4), ("right", "tanh", 6)]
        image = b.input("image", ["N", 4, 8, 8])
        parts: list[str] = []
        for name, op, channels in branches[:: -1 if swap else 1]:
            x = b.add("conv2d", b.add(op, image, name=f"{name}_in"), name=f"{name}_conv", out_channels=channels,
                      kernel_size=kernel, padding=kernel // 2)  # fmt: skip
            parts.append(b.add("sigmoid", x, name=f"{name}_out"))
        b.output("y", b.add("concat", *parts, name="y"))
        return b.build()

    found = matches(crossed(False, 1), crossed(True, 3))
    assert {x: y for x, y in found.items() if x != y} == {}
    assert len(found) == 7
