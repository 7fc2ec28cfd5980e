"""Prints the copies of a repeat: one by one, or as a generator such as `*(Block(width) for _ in range(3))`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from netspec.backends.pytorch.arguments import CopiesDifferError
from netspec.backends.pytorch.bodies import NOT_IN_PYTORCH, BodyItem, ScopeBody, is_chain
from netspec.backends.pytorch.classes import ClassUse
from netspec.backends.pytorch.expressions import python_text
from netspec.backends.pytorch.flows import Flow
from netspec.backends.pytorch.layout import Bracket, Doc, Generator, named_sequential
from netspec.backends.pytorch.matching import copies_alike
from netspec.backends.pytorch.state import ClassState, Construct, ItemUses, Place
from netspec.backends.pytorch.sums import collect_terms
from netspec.backends.pytorch.terms import choose_written, dependencies, pin
from netspec.errors import fail
from netspec.expression import Binary, Expression, Literal, Name, names_in, rewrite, simplify
from netspec.types import Layer

_MOST_LISTED = 2
"""How many different calls are listed before an expression with `index` is looked for."""
_Copies = Sequence[tuple[ClassUse, Sequence[BodyItem]]]
"""The copies of a repeat in each use that has it."""


def repeat(
    state: ClassState, item: BodyItem, body: ScopeBody, place: Place, uses: ItemUses, construct: Construct
) -> tuple[Doc, bool]:
    """The module that holds the copies of a repeat, and whether every use has it. Also sets its flows."""
    copies = [(use, match.body.items) for use, match in uses if match.body is not None]
    count = body.scope.count if body.scope else None
    always = state.is_in_all(uses)
    if not copies_alike(body, state.class_of):
        pin(state, count, place)
        doc = _one_by_one(state, body, place, [state.uses_of(copy) for copy in body.items], construct)
    elif (always or body.items[0].when is not None) and len({len(items) for _, items in copies}) == 1:
        pin(state, count, place)
        doc = _alike(state, body, place, copies, construct)
    else:
        doc, always = _counted(state, body, place, copies, construct)
    state.set_flow(item, state.flows[body.outputs[0]])
    return doc, always


def _alike(state: ClassState, body: ScopeBody, place: Place, copies: _Copies, construct: Construct) -> Doc:
    """Print copies that are alike and as many in all uses: one by one, or numbered by `index` if many differ."""
    uses_of_copies = [[(use, items[n]) for use, items in copies] for n in range(len(body.items))]
    entering = [state.flows[value] for value in body.items[0].inputs]
    with state.trial() as trial:
        doc = _one_by_one(state, body, place, uses_of_copies, construct)
        if not isinstance(doc, Bracket) or len(_items_of(doc)) <= _MOST_LISTED:
            trial.keep()
            return doc
    with suppress(CopiesDifferError), state.trial() as trial:
        numbered, start = _later_copies(state, body, place, copies, construct)
        if start == 0:
            trial.keep()
            number = len(body.items)
            _set_flow_of_last(state, body, place, entering, Literal(number))
            return _container(body, [Generator(numbered, f"range({number})", "index")])
    return _one_by_one(state, body, place, uses_of_copies, construct)


def _items_of(doc: Bracket) -> Sequence[Doc]:
    """The copies in the container of a repeat, or runs of them."""
    inner = doc.items[0] if len(doc.items) == 1 else None
    return inner.items if isinstance(inner, Bracket) and inner.head == "[" else doc.items


def _container(body: ScopeBody, docs: Sequence[Doc]) -> Doc:
    """`nn.Sequential` for copies that are a chain, else an `nn.ModuleList` or `nn.ParameterList`."""
    if is_chain(body):
        return Bracket("nn.Sequential(", docs)
    kind = "Parameter" if all(map(_is_parameter, body.items)) else "Module"
    if len(docs) == 1 and isinstance(docs[0], Generator):
        return Bracket(f"nn.{kind}List(", [replace(docs[0], starred=False)])
    return Bracket(f"nn.{kind}List(", [Bracket("[", docs, "]")])


def _is_parameter(copy: BodyItem) -> bool:
    return isinstance(copy.printed, Layer) and copy.printed.target == "nn.Parameter"


def _one_by_one(
    state: ClassState, body: ScopeBody, place: Place, uses_of_copies: Sequence[ItemUses], construct: Construct
) -> Doc:
    """Print copies that exist in all uses; consecutive equal ones become a generator."""
    docs: list[Doc] = []
    for copy, uses in zip(body.items, uses_of_copies, strict=True):
        copy_place = place.of_copy(int(copy.name) if copy.name.isdigit() else None)
        docs.append(construct(state, copy, copy_place, uses))
        pin(state, copy.when, copy_place)
    names = [copy.name for copy in body.items]
    if names != [str(n) for n in range(len(docs))]:
        if any(map(_is_parameter, body.items)):
            # An `nn.ParameterList` numbers its items from 0, and only modules can be put into a container by name.
            what = f"some copies of `{body.path}`, which are parameters, are left out"
            fail("NS401", f"{what}: {NOT_IN_PYTORCH}", body.scope.span if body.scope else None)
        return named_sequential(names, docs)
    runs: list[tuple[Doc, int]] = []
    for doc in docs:
        if runs and runs[-1][0] == doc:
            runs[-1] = (doc, runs[-1][1] + 1)
        else:
            runs.append((doc, 1))
    return _container(body, [doc if n == 1 else Generator(doc, f"range({n})") for doc, n in runs])


def _counted(
    state: ClassState, body: ScopeBody, place: Place, copies: _Copies, construct: Construct
) -> tuple[Doc, bool]:
    """Print copies whose number differs from use to use, with an argument for the number, such as `depth`."""
    head, tree = body.items[0], body.scope.count if body.scope else None
    entering = [state.flows[value] for value in head.inputs]
    first = construct(state, head, place.of_copy(0), [(use, items[0]) for use, items in copies])
    pin(state, head.when, place)
    more, start = (first, None) if len(body.items) == 1 else _later_copies(state, body, place, copies, construct)
    # A use where a condition leaves out the whole repeat has no count.
    numbers = {use: len(items) for use, items in copies}
    optional = head.when is not None and len(numbers) < len(state.cls.uses)
    counted = [use for use in state.cls.uses if use in numbers or not optional]
    count = choose_written(state, [(use, numbers.get(use, 0)) for use in counted], tree, place, "depth")
    _set_flow_of_last(state, body, place, entering, count if start is not None else None)
    if start == 0:
        return _container(body, [Generator(more, f"range({python_text(count)})", "index")]), not optional
    if first == more:
        return _container(body, [Generator(more, f"range({python_text(count)})")]), not optional
    if start == 1:
        rest = Generator(more, f"range(1, {python_text(count)})", "index")
    else:
        rest = Generator(more, f"range({python_text(simplify(Binary('-', count, Literal(1)), {}))})")
    return _container(body, [first, rest]), len(copies) == len(state.cls.uses)


def _set_flow_of_last(
    state: ClassState, body: ScopeBody, place: Place, entering: Sequence[Flow], count: Expression | None
) -> None:
    """Set the flows of all copies but the first; the flow of the last one depends on the number of copies.

    `entering` are the flows of the first copy's inputs; `count` is the number of copies if flows read `index`.
    """
    for copy in body.items[1:]:
        state.set_flow(copy, state.flows[body.items[1].outputs[0]])
    last = body.items[-1].outputs[0]
    flow = state.flows[last]
    depends = flow.dependencies | dependencies(state, body.scope.count if body.scope else None, place)
    depends = depends.union(*(flow.dependencies for flow in entering))
    channels = flow.channels
    if count is not None and channels is not None:
        channels = _with_index(channels, Binary("-", count, Literal(1)))
    state.flows[last] = Flow(channels, depends, depends, flow.features)


def _later_copies(
    state: ClassState, body: ScopeBody, place: Place, copies: _Copies, construct: Construct
) -> tuple[Doc, int | None]:
    """One constructor call for all copies after the first, and the first value of `index` that it is valid for.

    The latter is 0 if the call is also right for the first copy, else 1; None if the call does not read `index`.
    """
    first, second = body.items[:2]
    run = place.of_run(1, max(2, *(len(items) for _, items in copies)))
    pin(state, second.when, run)
    later = [(use.copy(n), copy) for use, items in copies for n, copy in enumerate(items) if n]
    _set_flow_before(state, first, second, run, later, construct)
    every = [(use.copy(n), copy) for use, items in copies for n, copy in enumerate(items)]
    with suppress(CopiesDifferError), state.trial() as trial:
        invented = len(state.arguments.invented)
        doc, reads_index = _construct_numbered(state, second, run, every, construct)
        if reads_index and len(state.arguments.invented) == invented:
            trial.keep()
            return doc, 0
    doc, reads_index = _construct_numbered(state, second, run, later, construct)
    return doc, 1 if reads_index else None


def _construct_numbered(
    state: ClassState, copy: BodyItem, run: Place, uses: ItemUses, construct: Construct
) -> tuple[Doc, bool]:
    """The constructor call of a copy, and whether it reads `index`, the number of the copy."""
    state.arguments.reads_index = False
    doc = construct(state, copy, run, uses)
    return doc, state.arguments.reads_index


def _set_flow_before(
    state: ClassState, first: BodyItem, second: BodyItem, run: Place, later: ItemUses, construct: Construct
) -> None:
    """Set the flow of the first copy's output to one that holds for the input of every later copy.

    A copy's input is the output of the copy before. A dry run tells the channels after a later copy; the channels
    before it follow by replacing `index` with `index - 1`, or as `base + index * growth` if they grow by a constant.
    """
    previous = first.outputs[0]
    flow = state.flows[previous] if previous in second.inputs else None
    with state.dry_run():
        construct(state, second, run, later)
    channels, base = state.flows[second.outputs[0]].channels, state.flows[first.inputs[0]].channels
    if channels is None or flow is None or flow.channels is None:
        return
    before: Expression | None = flow.channels
    if "index" in names_in(channels):
        before = _with_index(channels, Binary("-", Name("index"), Literal(1)))
    elif base is not None and channels != flow.channels:
        growth = collect_terms(Binary("-", channels, flow.channels))
        if growth is not None:
            growth = collect_terms(Binary("+", base, Binary("*", Name("index"), growth)))
        before = growth
    state.flows[previous] = Flow(before, flow.assumed, flow.others, flow.features)


def _with_index(tree: Expression, number: Expression) -> Expression | None:
    """An expression with `index` replaced by another expression; None if it gets too long to read."""
    return collect_terms(rewrite(tree, lambda leaf: number if leaf == Name("index") else leaf))
