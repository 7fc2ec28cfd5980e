"""The forward method of a class: one statement a step, short ones nested, as a person would write it."""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody, helpers_used, is_chain
from netspec.backends.pytorch.classes import wiring
from netspec.backends.pytorch.layout import INDENT, Bracket, Doc, Joined, flat, side_by_side, statement, unpacked
from netspec.expression import python_literal
from netspec.naming import free_name
from netspec.types import Call, Infix

_TAKEN = frozenset(("self", "torch", "nn", *dir(builtins)))
LONGEST_NEST = 72
"""How many characters a nested expression may have before it is written as statements."""


def live_items(body: ScopeBody, outputs: Iterable[str], known: Collection[BodyItem] = ()) -> list[BodyItem]:
    """The items that outputs depend on, beside those that are `known`.

    A step that nothing uses, or that gives back what it takes, keeps its weights and is not called.
    """
    wanted = set(outputs)
    found: list[BodyItem] = []
    for item in reversed(body.items):
        if item not in known and wanted.intersection(item.outputs).difference(item.inputs):
            wanted.update(item.inputs)
            found.append(item)
    return found[::-1]


def is_listed(item: BodyItem) -> bool:
    """Whether an item is a list of copies that `forward` goes through, since they are no chain."""
    if item.loops:
        return True
    return item.body is not None and item.body.kind == "repeat" and not is_chain(item.body)


class ForwardWriter:
    """Writes `forward` for one body; `arguments` are its parameters' names, in the order of the body's inputs."""

    def __init__(self, body: ScopeBody, arguments: Sequence[str], conditions: Mapping[str, str]) -> None:
        self.body = body
        self.items = live_items(body, body.outputs)
        self.in_training = live_items(body, body.training, self.items)
        self.conditions = conditions
        self.names: dict[str, str] = dict(zip(body.inputs, arguments, strict=True))
        self.pending: dict[str, Doc] = {}
        self.uses = Counter(value for item in (*self.items, *self.in_training) for value in item.inputs)
        self.uses.update(body.outputs)
        if body.training:
            self.uses.update([*body.outputs, *body.training])
        # What waits for the training part has the step's own name, so that the way on reads as without it.
        self.kept = {value for item in self.in_training for value in item.inputs}.union(body.training)
        if len(body.outputs) > 1:
            self.kept.update(body.outputs)
        self.lines: list[str] = []
        self.indent = 8
        self.called = set(helpers_used(body))
        """Functions and classes of the file that are called here, whose names no variable may have."""
        self.nest = len(self.items) <= 4 and body.scope is not None

    def write(self, returned: str = "") -> list[str]:
        """The lines of the body; `returned` is the class to return several outputs in."""
        self.called.add(returned)
        self.steps()
        if self.body.training:
            # What is built in training only comes last: the steps before are the same in both.
            self.lines.append("        if self.training:")
            self.indent += INDENT
            self.items = self.in_training
            self.steps()
            self.give([*self.body.outputs, *self.body.training], returned)
            self.indent -= INDENT
        self.give(self.body.outputs, returned if len(self.body.outputs) > 1 else "")
        return self.lines

    def steps(self) -> None:
        """The statements of all items."""
        for number, item in enumerate(self.items):
            following = self.items[number + 1] if number + 1 < len(self.items) else None
            if is_listed(item):
                self.copies(item)
                continue
            doc = self.call(item)
            if not item.is_module and item.name in self.conditions:
                self.conditional(item, doc)
            elif len(item.outputs) == 1 and self.waits(item, doc, following):
                self.pending[item.outputs[0]] = doc
            else:
                self.assign(item, doc)

    def give(self, values: Sequence[str], returned: str) -> None:
        """Return these values, in a class if one is named."""
        docs = [self.read(value) for value in values]
        if returned:
            self.state("return ", Bracket(f"{returned}(", docs))
        elif len(docs) == 1:
            self.state("return ", docs[0])
        else:
            self.lines += side_by_side("return ", docs, self.indent)

    def state(self, prefix: str, doc: Doc, deeper: int = 0) -> None:
        """A statement, at the indentation of the step or deeper."""
        self.lines += statement(prefix, doc, self.indent + deeper)

    def waits(self, item: BodyItem, doc: Doc, following: BodyItem | None) -> bool:
        """Whether an item's call is written inside the expression that uses it: the order of calls stays."""
        value = item.outputs[0]
        if self.uses[value] != 1 or value in item.inputs:
            return False
        if following is None:
            return value in self.body.outputs and len(self.body.outputs) == 1 and not self.body.training
        merge = self.merge_after(item)
        if merge is not None and item.is_module:
            return _stands_once(merge, value)
        if not self.nest or is_listed(following) or following.inputs != [value] or not _stands_once(following, value):
            return False
        if not following.is_module and following.name in self.conditions:
            return False
        return len(flat(doc)) < LONGEST_NEST

    def merge_after(self, item: BodyItem) -> BodyItem | None:
        """The merge that uses an item, if only other operands of it stand in between."""
        items = self.items
        start = items.index(item)
        for merge in items[start + 1 :]:
            if item.outputs[0] in merge.inputs:
                between = items[start + 1 : items.index(merge)]
                good = not merge.is_module and all(self.is_operand(b, merge) for b in between)
                # Operands are called in the order in which they stand in the merge.
                order = [merge.inputs.index(i.outputs[0]) for i in (item, *between)] if good else []
                return merge if good and order == sorted(order) and merge.name not in self.conditions else None
        return None

    def is_operand(self, item: BodyItem, merge: BodyItem) -> bool:
        """Whether an item's call is written in a merge, too."""
        value = item.outputs[0]
        # What stands between need not enter the merge: only an input of it has a place there.
        enters = value in merge.inputs and self.uses[value] == 1 and _stands_once(merge, value)
        return item.is_module and not is_listed(item) and len(item.outputs) == 1 and enters

    def copies(self, item: BodyItem) -> None:
        """The copies of a repeat that take more than the last one's value: a loop, or a call of each."""
        assert item.body is not None
        taken = wiring(item.body)
        module = f"self.{item.shares or item.name}"
        kept = self.names
        # An input may hide `range`, which a loop over the calls of one module needs.
        hidden = item.loops and "range" in self.names.values()
        if taken is None or hidden or item.outputs != item.body.items[-1].outputs:
            self.one_by_one(item, item.body.items, module)
            for value in item.inputs:
                self.uses[value] -= 1
            return
        chained = item.body.chained
        for value in item.inputs:
            self.uses[value] -= 1
        outer = [kept[value] for value in taken if isinstance(value, str)]
        targets = [self.variable(item, value, number, outer) for number, value in enumerate(item.outputs)]
        start = [kept.get(value, "") for value in chained]
        moved = [(target, name) for target, name in zip(targets, start, strict=False) if target != name]
        if moved and all(start):
            self.state(f"{', '.join(target for target, _ in moved)} = ", ", ".join(name for _, name in moved))
        given = [targets[value] if isinstance(value, int) else kept[value] for value in taken]
        loop = free_name("layer", {*kept.values(), *targets, *self.called})
        over, called = module, loop
        if item.loops:
            loop, over, called = "_", f"range({len(item.body.items)})", module
        self.lines.append(f"{' ' * self.indent}for {loop} in {over}:")
        self.lines += unpacked(targets, _called(item.body.items[0], called, given), self.indent + INDENT)

    def one_by_one(self, item: BodyItem, copies: Sequence[BodyItem], module: str) -> None:
        """A call of each copy; what one gives may be read by any that comes later."""
        names = dict(self.names)
        leaving = {value: self.variable(item, value, number) for number, value in enumerate(item.outputs)}
        by_label = dict(zip(item.labels or ("",), leaving.values(), strict=False))
        made = {value: number for number, copy in enumerate(copies) for value in copy.outputs}
        needed = {value: number for number, copy in enumerate(copies) for value in copy.inputs}
        needed.update(dict.fromkeys(leaving, len(copies)))
        # Until when a variable is free: what leaves is put into it by the copy that makes it.
        until = {name: made.get(value, 0) for value, name in leaving.items()}
        busy = {*names.values(), *_TAKEN}
        holds: dict[str, str] = {}
        wanted, live = {value for value in leaving if self.uses[value]}, list[int]()
        for number, copy in reversed([*enumerate(copies)]):
            if wanted.intersection(copy.outputs).difference(copy.inputs):
                wanted.update(copy.inputs)
                live.append(number)
        for number, copy in enumerate(copies):
            if number not in live:
                continue
            given = [names[value] for value in copy.inputs]
            targets: list[str] = []
            for label, value in zip(copy.labels or ("",), copy.outputs, strict=False):
                if value not in wanted:
                    targets.append("_")
                    continue
                target, count = leaving.get(value) or by_label.get(label) or f"{label or 'x'}_0", 1
                while value not in leaving and (
                    (target in busy and target not in until)
                    or needed.get(value, 0) > until.get(target, len(copies))
                    or needed.get(holds.get(target, ""), 0) > number
                    or target in targets
                ):
                    count += 1
                    target = f"{label or 'x'}_{count}"
                targets.append(target)
                holds[target] = value
                if value not in copy.inputs:
                    names[value] = target
            called = module if item.loops else f"{module}[{number}]"
            self.lines += unpacked(targets, _called(copy, called, given), self.indent)

    def call(self, item: BodyItem) -> Doc:
        arguments = [self.read(value) for value in item.inputs]
        match item.printed:
            case Infix(operator):
                return Joined([(operator if n else "", value) for n, value in enumerate(arguments)])
            case Call(function, options, listed):
                rest = [f"{name}={python_literal(value)}" for name, value in options.items()]
                first: list[Doc] = [Bracket("[", arguments, "]")] if listed else arguments
                return Bracket(f"{function}(", [*first, *rest])
            case _:
                return _called(item, f"self.{item.shares or item.name}", arguments)

    def read(self, value: str) -> Doc:
        """A value where it is used: its variable, or the call that waited for this."""
        self.uses[value] -= 1
        doc = self.pending.pop(value, None)
        return doc if doc is not None else self.names[value]

    def assign(self, item: BodyItem, doc: Doc) -> None:
        several = len(item.outputs) > 1
        targets = [
            "_" if several and not self.uses[value] else self.variable(item, value, number)
            for number, value in enumerate(item.outputs)
        ]
        self.lines += unpacked(targets, doc, self.indent)

    def conditional(self, item: BodyItem, doc: Doc) -> None:
        """A merge that stands only where its condition holds; elsewhere its first input goes on."""
        entering = item.inputs[0]
        name = self.names[entering]
        if self.uses[entering] > 0:
            target = self.variable(item, item.outputs[0], 0)
            self.state(f"{target} = ", name)
        else:
            target = name
            self.names[item.outputs[0]] = name
        self.lines.append(f"{' ' * self.indent}if self.{self.conditions[item.name]}:")
        self.state(f"{target} = ", doc, INDENT)

    def is_skip(self, item: BodyItem) -> bool:
        """Whether a value of the network itself is taken up again later, under a name that the spec gave it."""
        generic = item.node.op.opname if item.node is not None else ""
        if self.body.scope is not None or len(item.outputs) != 1 or item.name.startswith(generic or "."):
            return False
        place = self.items.index(item)
        users = [n for n, other in enumerate(self.items) if item.outputs[0] in other.inputs]
        return len(users) > 1 or any(n > place + 1 for n in users)

    def variable(self, item: BodyItem, value: str, number: int, busy: Collection[str] = ()) -> str:
        """A name for a value: `x` while nothing else needs the last one, else `out`, else the step's own."""
        held = {*busy, *(name for v, name in self.names.items() if self.uses[v] > 0)}
        free = [name for name in ("x", "out") if name not in held]
        if free and not item.labels and number == 0 and value not in self.kept and not self.is_skip(item):
            name = free[0]
        else:
            base = item.labels[number] if item.labels else item.word
            base = base if base.isidentifier() and base != "l" else f"copy{base}"
            name = free_name(base, {*held, *_TAKEN, *self.called})
        self.names = {v: n for v, n in self.names.items() if n != name}
        self.names[value] = name
        return name


def _stands_once(item: BodyItem, value: str) -> bool:
    """Whether the expression of an item has this input in one place, where a call can stand as well as a variable."""
    if item.code is None:
        return True
    name = f"{{{item.inputs.index(value)}}}"
    return str(item.code).count(name) == 1 and (name in item.code.items or item.code.head.startswith(name))


def _called(item: BodyItem, layer: str, arguments: Sequence[Doc]) -> Doc:
    """The call of a module, or the expression that an item has in its place."""
    code = item.code
    if code is None:
        return Bracket(f"{layer}(", arguments)
    # An operand of a sum needs brackets before a dot or an index.
    names = [flat(doc) if isinstance(doc, str | Bracket) else f"({flat(doc)})" for doc in arguments]
    whole = {f"{{{number}}}": doc for number, doc in enumerate(arguments)}

    def filled(text: str) -> str:
        return text.format(*names, layer=layer)

    return Bracket(filled(code.head), [whole.get(i) or filled(i) for i in code.items], filled(code.tail))
