"""The copies of a repeat: one by one, or as a generator where they are alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from netspec.backends.pytorch.arguments import CopiesDifferError
from netspec.backends.pytorch.bodies import UNSAYABLE, BodyItem, ScopeBody, is_chain
from netspec.backends.pytorch.classes import ClassUse, copies_alike
from netspec.backends.pytorch.expressions import python_text
from netspec.backends.pytorch.flows import Flow
from netspec.backends.pytorch.layout import Bracket, Doc, Generator, flat, named_sequential
from netspec.backends.pytorch.place import Matched, Place
from netspec.backends.pytorch.sums import tidy
from netspec.errors import fail
from netspec.expression import Binary, Expression, Literal, Name, names_in, rewrite, simplify

if TYPE_CHECKING:
    from netspec.backends.pytorch.write import ClassWriter


def repeat(writer: ClassWriter, item: BodyItem, body: ScopeBody, place: Place, matched: Matched) -> tuple[Doc, bool]:
    """The copies of a repeat, equal ones in a row as a generator; and whether that stands for every use."""
    groups = [other.body.items for _, other in matched if other.body is not None]
    count = body.scope.count if body.scope else None
    every = len(matched) == len(writer.cls.members)
    if not copies_alike(body, writer.of_body):
        writer.rely_on(count, place)
        doc = _copies(writer, body, place, [writer.matched(part) for part in body.items])
    elif (every or body.items[0].when is not None) and len({len(group) for group in groups}) == 1:
        writer.rely_on(count, place)
        each = [
            [(member, group[n]) for (member, _), group in zip(matched, groups, strict=True)]
            for n in range(len(body.items))
        ]
        doc = _copies(writer, body, place, each)
    else:
        doc, every = _counted(writer, body, place, matched, groups)
    writer.follow(item, writer.flows[body.outputs[0]])
    return (doc if is_chain(body) else _as_list(doc)), every


def _copies(writer: ClassWriter, body: ScopeBody, place: Place, matched: Sequence[Matched]) -> Doc:
    docs: list[Doc] = []
    for copy, found in zip(body.items, matched, strict=True):
        here = Place(place.entering, int(copy.name) if copy.name.isdigit() else None)
        docs.append(writer.doc(copy, here, found))
        writer.rely_on(copy.when, here)
    names = [copy.name for copy in body.items]
    if names != [str(n) for n in range(len(docs))]:
        if any(_is_parameter(doc) for doc in docs):
            # A list counts from 0, and what has names of its own holds modules alone.
            what = f"some copies of `{body.path}`, which are parameters, are left out"
            fail("NS401", f"{what}: {UNSAYABLE}", body.scope.span if body.scope else None)
        return named_sequential(names, docs)
    runs: list[tuple[Doc, int]] = []
    for doc in docs:
        if runs and flat(runs[-1][0]) == flat(doc):
            runs[-1] = (doc, runs[-1][1] + 1)
        else:
            runs.append((doc, 1))
    return Bracket("nn.Sequential(", [doc if n == 1 else Generator(doc, f"range({n})") for doc, n in runs])


def _counted(
    writer: ClassWriter, body: ScopeBody, place: Place, matched: Matched, groups: Sequence[Sequence[BodyItem]]
) -> tuple[Doc, bool]:
    """Copies whose number differs from use to use: the first, and as many more as the count says."""
    head = body.items[0]
    before = {value: writer.flows[value] for value in head.inputs}
    heads = [(m, g[0]) for (m, _), g in zip(matched, groups, strict=True)]
    first = writer.doc(head, Place(place.entering, 0), heads)
    writer.rely_on(head.when, place)
    here = {id(member.body): len(group) for (member, _), group in zip(matched, groups, strict=True)}
    # Where a condition leaves the whole repeat out, the count says nothing of that.
    optional = head.when is not None and len(here) < len(writer.cls.members)
    counted = [member for member in writer.cls.members if id(member.body) in here or not optional]
    counts = [(member, here.get(id(member.body), 0)) for member in counted]
    tree = body.scope.count if body.scope else None
    more, start = (first, None) if len(body.items) == 1 else _more(writer, body, place, matched, groups)
    count = writer.verified(counts, tree, place, "depth")
    for copy in body.items[1:]:
        writer.follow(copy, writer.flows[body.items[min(1, len(body.items) - 1)].outputs[0]])
    last = body.items[-1].outputs[0]
    depends = writer.flows[last].names | writer.reads(tree, place)
    depends = depends.union(*(flow.names for flow in before.values()))
    channels, number = writer.flows[last].channels, Binary("-", count, Literal(1))
    if start is not None and channels is not None:
        channels = tidy(rewrite(channels, lambda leaf: number if leaf == Name("index") else leaf))
    writer.flows[last] = Flow(channels, depends, depends, writer.flows[last].features)
    if start == 0:
        return Bracket("nn.Sequential(", [Generator(more, f"range({python_text(count)})", "index")]), not optional
    if flat(first) == flat(more):
        return Bracket("nn.Sequential(", [Generator(more, f"range({python_text(count)})")]), not optional
    every = len(matched) == len(writer.cls.members)
    if start == 1:
        run = Generator(more, f"range(1, {python_text(count)})", "index")
    else:
        run = Generator(more, f"range({python_text(simplify(Binary('-', count, Literal(1)), {}))})")
    return Bracket("nn.Sequential(", [first, run]), every


def _more(
    writer: ClassWriter, body: ScopeBody, place: Place, matched: Matched, groups: Sequence[Sequence[BodyItem]]
) -> tuple[Doc, int | None]:
    """The copies after the first in one expression, and from which on if it reads their number, `index`."""
    first, second = body.items[:2]
    rest = [
        (ClassUse(member.body, member.names, member.file, member.items, index), copy)
        for (member, _), group in zip(matched, groups, strict=True)
        for index, copy in enumerate(group[1:], start=1)
    ]
    here = Place(place.entering, later=(1, max(2, *(len(group) for group in groups))))
    writer.rely_on(second.when, here)
    # What enters a copy is what the one before gave: with a number less by one, or more by as much each time.
    entering = {value: writer.flows[value] for value in second.inputs}
    arguments = writer.arguments
    saved = set(arguments.used), dict(arguments.invented), dict(arguments.environments), set(writer.fixed)
    arguments.trying = True
    writer.doc(second, here, rest)
    arguments.used, arguments.invented, arguments.environments, writer.fixed = saved
    arguments.trying = False
    given = writer.flows[second.outputs[0]].channels
    previous = first.outputs[0]
    flow, base = entering.get(previous), writer.flows[first.inputs[0]].channels
    if given is not None and flow is not None and flow.channels is not None:
        earlier: Expression | None = flow.channels
        if "index" in names_in(given):
            less = Binary("-", Name("index"), Literal(1))
            earlier = tidy(rewrite(given, lambda leaf: less if leaf == Name("index") else leaf))
        elif base is not None and given != flow.channels:
            step = tidy(Binary("-", given, flow.channels))
            earlier = tidy(Binary("+", base, Binary("*", Name("index"), step))) if step is not None else None
        writer.flows[previous] = Flow(earlier, flow.doubt, flow.sizes, flow.features)
    whole = [
        (ClassUse(member.body, member.names, member.file, member.items, index), copy)
        for (member, _), group in zip(matched, groups, strict=True)
        for index, copy in enumerate(group)
    ]
    saved = set(arguments.used), dict(arguments.invented), dict(arguments.environments), set(writer.fixed)
    # The first copy may be as the others are, once `index` is 0.
    with suppress(CopiesDifferError):
        doc = writer.doc(second, here, whole)
        if "index" in _words(doc) and len(arguments.invented) == len(saved[1]):
            return doc, 0
    arguments.used, arguments.invented, arguments.environments, writer.fixed = saved
    doc = writer.doc(second, here, rest)
    return doc, 1 if "index" in _words(doc) else None


def _words(doc: Doc) -> set[str]:
    """The words of a doc, as names are told from others."""
    return set("".join(c if c.isalnum() or c == "_" else " " for c in flat(doc)).split())


def _is_parameter(doc: Doc) -> bool:
    return flat(doc).startswith(("nn.Parameter(", "*(nn.Parameter("))


def _as_list(doc: Doc) -> Doc:
    """Copies that `forward` goes through: a list of modules, unless they have names of their own."""
    if isinstance(doc, Bracket) and not flat(doc).startswith("nn.Sequential(OrderedDict("):
        kind = "Parameter" if all(_is_parameter(each) for each in doc.items) else "Module"
        return Bracket(f"nn.{kind}List(", [Bracket("[", doc.items, "]")])
    return doc
