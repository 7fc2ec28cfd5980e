"""Expressions of the spec in the terms of a class, and what they pin."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.arguments import Arguments
from netspec.backends.pytorch.flows import SHAPE, UNSEEN, Flow
from netspec.backends.pytorch.state import ClassState, Place
from netspec.backends.pytorch.terms import choose_size, choose_written, dependencies, pin, resolve, weaken
from netspec.expression import Literal, Name, parse
from tests.backends.pytorch.printing import CONV_BN, graph_of, item_of, state_of, text

PLACE = Place("image")


@pytest.fixture
def state() -> ClassState:
    """The class of two uses of the widths 8 and 16, in a spec with a parameter; 3 and 8 channels enter."""
    graph = graph_of("[{conv_bn: 8}, {conv_bn: {width: 16, stride: 2}}]", CONV_BN, params="{depth: 5}")
    state = state_of(graph, "ConvBn")
    state.flows["image"] = Flow(Name("in_channels"), others=frozenset((SHAPE,)))
    return state


@pytest.mark.parametrize(
    ("spec", "terms"),
    [
        ("2*width", "2 * width"),
        ("width*depth", "width * 5"),
        ("4*input.channels", "4 * in_channels"),
        ("input.height", None),
        ("unknown", None),
        ("1 if depth == 5 else stride", "1"),
        ("index + 1", "index + 1"),
    ],
)
def test_parameters_of_the_spec_are_literals_and_sizes_their_flows(
    state: ClassState, spec: str, terms: str | None
) -> None:
    assert text(resolve(state, parse(spec), PLACE)) == terms


def test_the_number_of_a_copy_is_a_literal(state: ClassState) -> None:
    assert text(resolve(state, parse("width*(index + 1)"), Place("image", 2))) == "width * 3"


def test_an_expression_that_is_the_same_for_a_run_of_copies_needs_no_number(state: ClassState) -> None:
    run = Place("image", run=(1, 3))
    assert text(resolve(state, parse("2 if index == 0 else 1"), run)) == "1"
    assert text(resolve(state, parse("2 if index == 1 else 1"), run)) == "2 if index == 1 else 1"


def test_an_expression_depends_on_arguments_also_by_the_sizes_it_reads(state: ClassState) -> None:
    assert dependencies(state, parse("width + depth"), PLACE) == {"width"}
    assert dependencies(state, parse("input.channels"), PLACE) == {"in_channels", SHAPE}
    assert dependencies(state, parse("elsewhere.channels"), PLACE) == {UNSEEN}
    assert dependencies(state, None, PLACE) == set()


def test_what_the_structure_follows_from_is_pinned(state: ClassState) -> None:
    pin(state, parse("stride != 1"), PLACE)
    assert state.pinned == {"stride"}


def test_an_expression_that_does_not_hold_pins_what_it_depends_on(state: ClassState) -> None:
    values = list(zip(state.cls.uses, (8, 16), strict=True))
    assert text(choose_written(state, values, parse("width"), PLACE, "size")) == "width"
    assert state.pinned == set()
    values = list(zip(state.cls.uses, (5, 5), strict=True))
    assert text(choose_written(state, values, parse("2*width"), PLACE, "size")) == "5"
    assert state.pinned == {"width"}


def test_a_size_is_that_of_the_flow_and_may_rest_on_assumptions(state: ClassState) -> None:
    values = list(zip(state.cls.uses, (3, 8), strict=True))
    assert text(choose_size(state, "image", values, "in_channels", "channels")) == "in_channels"
    assert state.pinned == set()
    state.flows["image"] = Flow(Name("in_channels"), frozenset(("stride",)))
    assert text(choose_size(state, "image", values, "in_channels", "channels")) == "in_channels"
    assert state.pinned == {"stride"}


def test_a_literal_for_a_size_pins_all_that_the_size_depends_on(state: ClassState) -> None:
    state.flows["image"] = Flow(None, frozenset(("width",)), frozenset(("width",)))
    values = list(zip(state.cls.uses, (4, 4), strict=True))
    assert text(choose_size(state, "image", values, "in_features", "features")) == "4"
    assert state.pinned == {"width"}


def test_after_a_step_that_some_uses_have_nothing_is_sure() -> None:
    blocks = (
        CONV_BN + "\n  a:\n    params: {w: int}\n    body: [{conv_bn: w, name: c, when: input.channels != w}, relu]\n"
    )
    state = state_of(graph_of("[a: 3, a: 8]", blocks), "A")
    item = item_of(state.cls.template.body, "c")
    (entering,), (value,) = item.inputs, item.outputs
    before = state.flows[entering] = Flow(Name("in_channels"), others=frozenset((SHAPE,)))
    state.flows[value] = Flow(Name("w"), others=frozenset((SHAPE,)))
    weaken(state, item, Place(entering), before)
    flow = state.flows[value]
    assert flow.channels == Name("w")
    assert flow.assumed == {"w", "in_channels", SHAPE}
    assert text(flow.conditional) == "w if in_channels != w else in_channels"


def test_a_trial_is_undone_unless_it_is_kept(state: ClassState) -> None:
    values = list(zip(state.cls.uses, (5, 6), strict=True))
    for keep in (False, True):
        with state.trial() as trial:
            assert state.arguments.choose(values, [], "size") == Name("size")
            state.arguments.choose(values, [Literal(0)], "size")
            state.pinned.add("width")
            if keep:
                trial.keep()
        assert ("size" in state.arguments.invented) == keep
        assert (state.pinned == {"width"}) == keep
        assert ("size" in state.arguments.environments[state.cls.template.body]) == keep


def test_a_trial_is_undone_where_it_fails(state: ClassState) -> None:
    def fail_in_trial() -> None:
        with state.trial():
            state.pinned.add("width")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_trial()
    assert state.pinned == set()


def test_a_dry_run_verifies_nothing_and_leaves_flows(state: ClassState) -> None:
    values = list(zip(state.cls.uses, (5, 6), strict=True))

    def choose(arguments: Arguments) -> str | None:
        return text(arguments.choose(values, [Name("width")], "size"))

    with state.dry_run():
        with state.dry_run():
            pass
        assert choose(state.arguments) == "width"
        state.flows["y"] = Flow(Name("width"))
    assert state.flows["y"] == Flow(Name("width"))
    assert state.arguments.used == set()
    assert choose(state.arguments) == "size"
