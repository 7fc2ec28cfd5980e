"""Whether one body has the steps of another."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.bodies import ScopeBody, bodies
from netspec.backends.pytorch.classes import find_classes
from netspec.backends.pytorch.matching import Matcher, check_shared, copies_alike, wiring
from netspec.errors import NetspecError
from netspec.graph import Graph
from tests.backends.pytorch.printing import body_of, graph_of

OPTIONAL = """
  a:
    params: {flag: bool}
    body: [{relu: {}, name: first}, {sigmoid: {}, name: second, when: flag}, {tanh: {}, name: third}]
"""
COPIES = "\n  a:\n    params: {n: int}\n    body: [{relu: {}, name: layers, repeat: n}, sigmoid]\n"
PAIR = """
  a:
    inputs: [x, y]
    body: [{multiply, from: [x, y], name: product}, {add, from: [product, x], name: sum}]
"""


def pair(graph: Graph) -> tuple[ScopeBody, ScopeBody]:
    """The bodies of the first two steps of a network."""
    first, second, *_ = bodies(graph).items
    assert first.body is not None
    assert second.body is not None
    return first.body, second.body


def match(graph: Graph, equal_counts: bool = False, backwards: bool = False) -> list[str | None] | None:
    """The items of the second step for those of the first, by name."""
    template, body = reversed(pair(graph)) if backwards else pair(graph)
    matches = Matcher({}, equal_counts).match(template, body)
    return None if matches is None else [other and other.name for other in matches.values()]


def test_equal_steps_match() -> None:
    assert match(graph_of("[a: true, a: true]", OPTIONAL)) == ["first", "second", "third"]


def test_an_optional_step_may_be_missing_and_none_may_be_added() -> None:
    graph = graph_of("[a: true, a: false]", OPTIONAL)
    assert match(graph) == ["first", None, "third"]
    assert match(graph, backwards=True) is None


def test_a_step_without_a_condition_may_not_be_missing() -> None:
    blocks = """
  a: {body: [{relu: {}, name: first}, {sigmoid: {}, name: second}, {tanh: {}, name: third}]}
  b: {body: [{relu: {}, name: first}, {tanh: {}, name: third}]}
"""
    assert match(graph_of("[a, b]", blocks)) is None


def test_a_branch_of_optional_steps_may_be_missing() -> None:
    shortcut = "{conv2d: {out_channels: 3, kernel_size: 1}, name: conv, when: flag}"
    blocks = f"""
  a:
    params: {{flag: bool}}
    body: [add: {{branches: {{main: [relu], shortcut: [{shortcut}]}}}}]
"""
    matched = match(graph_of("[a: true, a: false]", blocks))
    assert matched is not None
    assert sorted(matched, key=str) == [None, None, "add", "main", "relu"]


@pytest.mark.parametrize(("equal_counts", "expected"), [(False, ["layers", "sigmoid"]), (True, None)])
def test_repeats_match_with_other_numbers_of_copies(equal_counts: bool, expected: list[str] | None) -> None:
    assert match(graph_of("[a: 3, a: 2]", COPIES), equal_counts) == expected


def test_a_template_with_one_copy_does_not_show_the_second() -> None:
    assert match(graph_of("[a: 1, a: 2]", COPIES)) is None
    assert match(graph_of("[a: 2, a: 1]", COPIES)) == ["layers", "sigmoid"]


def test_steps_have_to_take_the_same_values() -> None:
    swapped = PAIR.replace("  a:", "  b:").replace("[product, x]", "[product, y]")
    graph = graph_of("[{a: {}, from: [image, image], name: m}, {b: {}, from: [m, image]}]", PAIR + swapped)
    a, b = pair(graph)
    # Where both inputs are one value, the sums are the same; where they are two, they are not.
    assert Matcher({}, False).match(b, a) is not None
    assert Matcher({}, False).match(a, b) is None


def test_copies_are_alike_if_they_have_one_class_and_are_wired_alike() -> None:
    blocks = OPTIONAL + COPIES.replace("  a:", "  b:")
    network = "[{a: {flag: true}, name: same, repeat: 3}, {b: {n: index + 1}, name: counted, repeat: 3}]"
    graph = graph_of(network, blocks)
    root = bodies(graph)
    _, class_of = find_classes(graph, root)
    same, counted = (item.body for item in root.items)
    assert same is not None
    assert counted is not None
    assert copies_alike(same, class_of)
    assert copies_alike(counted, class_of)
    # Without a shared class they are not.
    own = {item.body: object() for body in (same, counted) for item in body.items if item.body is not None}
    assert not copies_alike(same, own)


def test_wiring_tells_which_value_each_copy_takes() -> None:
    body = body_of(graph_of("[{relu: {}, name: r, repeat: 3}]"), "r")
    assert wiring(body) == [0]
    body.items[2].inputs = ["image"]
    assert wiring(body) is None
    for item in body.items:
        item.inputs = [item.inputs[0], "mask"]
    body.items[2].inputs = ["r.1", "mask"]
    assert wiring(body) == [0, "mask"]


def test_a_module_is_called_again_only_by_uses_of_its_class() -> None:
    body = bodies(graph_of("[{a: true, name: p}, {a: true, name: q, share: p}]", OPTIONAL))
    owner, item = body.items
    assert owner.body is not None
    assert item.body is not None
    cls = object()
    check_shared(item, body, {owner.body: cls, item.body: cls})
    with pytest.raises(NetspecError, match="`q` shares the weights of `p`"):
        check_shared(item, body, {owner.body: cls, item.body: object()})
