"""Writes the `forward` method of a class: one statement for each step, with short ones nested.

Modules are called in the order of the steps, even if one call is nested in another.
"""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody, is_chain
from netspec.backends.pytorch.helpers import helpers_used
from netspec.backends.pytorch.layout import (
    INDENT,
    Bracket,
    Doc,
    Joined,
    flat,
    nested,
    side_by_side,
    statement,
    unpacked,
)
from netspec.backends.pytorch.matching import wiring
from netspec.expression import python_literal
from netspec.naming import free_name
from netspec.types import Call, Infix

_TAKEN = frozenset(("self", "torch", "nn", *dir(builtins)))
"""Names that no variable may have."""
_LEVELS = {"+": 1, "-": 1, "*": 2, "/": 2}
"""The precedence of operators, from loose to tight."""
_MAX_NESTED = 72
"""How many characters a nested expression may have before it is written as statements."""


def _live_items(body: ScopeBody, outputs: Iterable[str], called: Collection[BodyItem] = ()) -> list[BodyItem]:
    """The items that outputs depend on, without items in `called`, which are computed already.

    A step that nothing uses, or that returns its input, is not called, but the class keeps its weights.
    """
    live = set(outputs)
    items: list[BodyItem] = []
    for item in reversed(body.items):
        if item not in called and live.intersection(item.outputs).difference(item.inputs):
            live.update(item.inputs)
            items.append(item)
    return items[::-1]


def _is_list(item: BodyItem) -> bool:
    """Whether an item is a list of copies that `forward` calls one by one, since they are no `nn.Sequential`."""
    if item.loops:
        return True
    return item.body is not None and item.body.kind == "repeat" and not is_chain(item.body)


class ForwardWriter:
    """Writes `forward` for one body.

    `arguments` are the names of the method's parameters, in the order of the body's inputs. Some functions are called
    in some uses only: `conditions` holds for each of these items the attribute that decides, such as `with_add`.
    """

    def __init__(self, body: ScopeBody, arguments: Sequence[str], conditions: Mapping[str, str]) -> None:
        self.body = body
        self.items = _live_items(body, body.outputs)
        self.in_training = _live_items(body, body.training, self.items)
        self.conditions = conditions
        self.names: dict[str, str] = dict(zip(body.inputs, arguments, strict=True))
        """By value, the variable that holds it."""
        self.pending: dict[str, Doc] = {}
        """By value, the call that will be nested in the expression that uses the value."""
        self.uses = Counter(value for item in (*self.items, *self.in_training) for value in item.inputs)
        self.uses.update(body.outputs)
        if body.training:
            self.uses.update([*body.outputs, *body.training])
        # Values that the training part reads are named after their steps, so that the main path keeps `x` and `out`.
        self.kept = {value for item in self.in_training for value in item.inputs}.union(body.training)
        if len(body.outputs) > 1:
            self.kept.update(body.outputs)
        self.lines: list[str] = []
        self.indent = 8
        self.called = set(helpers_used(body))
        """Functions and classes of the file that are called here: no variable may have their names."""
        self.nests = len(self.items) <= 4 and body.scope is not None

    def write(self, returned: str = "") -> list[str]:
        """The lines of the method; `returned` is the named tuple for several outputs, "" for a plain tuple."""
        self.called.add(returned)
        self.steps()
        if self.body.training:
            # Steps that only training needs come last; all steps before are the same in both modes.
            self.lines.append("        if self.training:")
            self.indent += INDENT
            self.items = self.in_training
            self.steps()
            self.return_values([*self.body.outputs, *self.body.training], returned)
            self.indent -= INDENT
        self.return_values(self.body.outputs, returned if len(self.body.outputs) > 1 else "")
        return self.lines

    def steps(self) -> None:
        """Write the statements of all items."""
        for number, item in enumerate(self.items):
            following = self.items[number + 1] if number + 1 < len(self.items) else None
            if _is_list(item):
                self.call_copies(item)
                continue
            doc = self.call(item)
            if not item.is_module and item.name in self.conditions:
                self.conditional(item, doc)
            elif len(item.outputs) == 1 and self.is_nested(item, doc, following):
                self.pending[item.outputs[0]] = doc
            else:
                self.assign(item, doc)

    def return_values(self, values: Sequence[str], returned: str) -> None:
        """Write the return statement; `returned` is the named tuple to return the values in, or ""."""
        docs = [self.read(value) for value in values]
        if returned:
            self.state("return ", Bracket(f"{returned}(", docs))
        elif len(docs) == 1:
            self.state("return ", docs[0])
        else:
            self.lines += side_by_side("return ", docs, self.indent)

    def state(self, prefix: str, doc: Doc, deeper: int = 0) -> None:
        """Write a statement, at the current indentation or deeper."""
        self.lines += statement(prefix, doc, self.indent + deeper)

    def is_nested(self, item: BodyItem, doc: Doc, following: BodyItem | None) -> bool:
        """Whether an item's call is written inside the expression that uses it; `following` is the next item."""
        value = item.outputs[0]
        if self.uses[value] != 1 or value in item.inputs:
            return False
        if following is None:
            return value in self.body.outputs and len(self.body.outputs) == 1 and not self.body.training
        merge = self.merge_after(item)
        if merge is not None and item.is_module:
            # An expression such as `{0}.flatten(1)` stands on one line with what it is of.
            return _is_read_once(merge, value) and (merge.code is None or len(flat(doc)) < _MAX_NESTED)
        if not self.nests or _is_list(following) or following.inputs != [value] or not _is_read_once(following, value):
            return False
        if not following.is_module and following.name in self.conditions:
            return False
        return len(flat(doc)) < _MAX_NESTED

    def merge_after(self, item: BodyItem) -> BodyItem | None:
        """The merge that uses an item, if all items between the two are other operands of the merge."""
        items = self.items
        start = items.index(item)
        for merge in items[start + 1 :]:
            if item.outputs[0] in merge.inputs:
                between = items[start + 1 : items.index(merge)]
                if merge.is_module or merge.name in self.conditions:
                    return None
                if not all(self.is_operand(operand, merge) for operand in between):
                    return None
                # Python evaluates operands from left to right.
                order = [merge.inputs.index(operand.outputs[0]) for operand in (item, *between)]
                return merge if order == sorted(order) else None
        return None

    def is_operand(self, item: BodyItem, merge: BodyItem) -> bool:
        """Whether an item's call can be nested in a merge as an operand."""
        value = item.outputs[0]
        enters = value in merge.inputs and self.uses[value] == 1 and _is_read_once(merge, value)
        return item.is_module and not _is_list(item) and len(item.outputs) == 1 and enters

    def call_copies(self, item: BodyItem) -> None:
        """Write the calls of a repeat's copies: in a loop if all copies are wired alike, else one by one."""
        assert item.body is not None
        inputs = wiring(item.body)
        # A loop over calls of one module needs `range`, which a variable may hide.
        hidden = item.loops and "range" in self.names.values()
        if inputs is None or hidden or item.outputs != item.body.items[-1].outputs:
            self.call_one_by_one(item, item.body.items, f"self.{item.shares or item.name}")
            for value in item.inputs:
                self.uses[value] -= 1
        else:
            for value in item.inputs:
                self.uses[value] -= 1
            self.call_in_loop(item, item.body, inputs)

    def call_in_loop(self, item: BodyItem, body: ScopeBody, inputs: Sequence[int | str]) -> None:
        """Write a loop over copies that take `inputs`: values, or numbers of outputs of the copy before."""
        module = f"self.{item.shares or item.name}"
        names = self.names
        outer = [names[value] for value in inputs if isinstance(value, str)]
        targets = [self.variable(item, value, number, outer) for number, value in enumerate(item.outputs)]
        start = [names.get(value, "") for value in body.chained]
        moved = [(target, name) for target, name in zip(targets, start, strict=False) if target != name]
        if moved and all(start):
            self.state(f"{', '.join(target for target, _ in moved)} = ", ", ".join(name for _, name in moved))
        arguments = [targets[value] if isinstance(value, int) else names[value] for value in inputs]
        variable = free_name("layer", {*names.values(), *targets, *self.called})
        iterable, called = module, variable
        if item.loops:
            variable, iterable, called = "_", f"range({len(body.items)})", module
        self.lines.append(f"{' ' * self.indent}for {variable} in {iterable}:")
        self.unpack(body.items[0], targets, _called(body.items[0], called, arguments), INDENT)

    def call_one_by_one(self, item: BodyItem, copies: Sequence[BodyItem], module: str) -> None:
        """Write one call for each copy of a repeat; any later copy may read the values that a copy computes."""
        names = dict(self.names)
        outputs = {value: self.variable(item, value, number) for number, value in enumerate(item.outputs)}
        live = self.live_values(copies, outputs)
        variables = _CopyVariables(item, copies, outputs, {*names.values(), *_TAKEN})
        for number, copy in enumerate(copies):
            if not live.intersection(copy.outputs).difference(copy.inputs):
                continue
            arguments = [names[value] for value in copy.inputs]
            targets: list[str] = []
            for label, value in zip(copy.labels or ("",), copy.outputs, strict=False):
                if value not in live:
                    targets.append("_")
                    continue
                targets.append(variables.choose(number, label, value, targets))
                if value not in copy.inputs:
                    names[value] = targets[-1]
            called = module if item.loops else f"{module}[{number}]"
            self.unpack(copy, targets, _called(copy, called, arguments))

    def live_values(self, copies: Sequence[BodyItem], outputs: Iterable[str]) -> set[str]:
        """The values in the copies that are needed for those `outputs` of the repeat that are used."""
        live = {value for value in outputs if self.uses[value]}
        for copy in reversed(copies):
            if live.intersection(copy.outputs).difference(copy.inputs):
                live.update(copy.inputs)
        return live

    def call(self, item: BodyItem) -> Doc:
        """The expression that computes an item's outputs."""
        arguments = [self.read(value) for value in item.inputs]
        match item.printed:
            case Infix(operator, constant):
                operands = [*arguments, constant] if constant else arguments
                return Joined(
                    [(operator if n else "", _operand(value, operator, n)) for n, value in enumerate(operands)]
                )
            case Call(function, options, listed):
                rest = [f"{name}={python_literal(value)}" for name, value in options.items()]
                first: list[Doc] = [Bracket("[", arguments, "]")] if listed else arguments
                return Bracket(f"{function}(", [*first, *rest])
            case _:
                return _called(item, f"self.{item.shares or item.name}", arguments)

    def read(self, value: str) -> Doc:
        """The expression for a value at one of its uses: its variable, or a nested call."""
        self.uses[value] -= 1
        doc = self.pending.pop(value, None)
        return doc if doc is not None else self.names[value]

    def assign(self, item: BodyItem, doc: Doc) -> None:
        """Write an assignment of an expression to variables for an item's outputs."""
        several = len(item.outputs) > 1
        targets = [
            "_" if several and not self.uses[value] else self.variable(item, value, number)
            for number, value in enumerate(item.outputs)
        ]
        self.unpack(item, targets, doc)

    def unpack(self, item: BodyItem, targets: Sequence[str], doc: Doc, deeper: int = 0) -> None:
        """Write an assignment of a call of an item to variables, nested as the item says."""
        docs = nested(item.unpack.format(*targets)) if item.unpack else targets
        self.lines += unpacked(docs, doc, self.indent + deeper)

    def conditional(self, item: BodyItem, doc: Doc) -> None:
        """Write an item under an `if`: where its condition is false, its first input takes the place of its output."""
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
        """Whether an item is a named step of the network itself whose value is used again later."""
        generic = item.node.op.opname if item.node is not None else ""
        if self.body.scope is not None or len(item.outputs) != 1 or item.name.startswith(generic or "."):
            return False
        place = self.items.index(item)
        users = [n for n, user in enumerate(self.items) if item.outputs[0] in user.inputs]
        return len(users) > 1 or any(n > place + 1 for n in users)

    def variable(self, item: BodyItem, value: str, number: int, busy: Collection[str] = ()) -> str:
        """Choose the variable for a value: `x` if it is free, else `out`, else the name of the step."""
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


class _CopyVariables:
    """Chooses variables for the values of copies that are called one by one.

    `outputs` are the variables of the repeat's outputs; `taken` are names that hold other values. A variable is free
    once no later copy reads its value. The variable of an output is also free before the copy that computes it.
    """

    def __init__(
        self, item: BodyItem, copies: Sequence[BodyItem], outputs: Mapping[str, str], taken: Container[str]
    ) -> None:
        self.outputs = outputs
        self.by_label = dict(zip(item.labels or ("",), outputs.values(), strict=False))
        self.taken = taken
        self.end = len(copies)
        computed_by = {value: number for number, copy in enumerate(copies) for value in copy.outputs}
        self.last_use = {value: number for number, copy in enumerate(copies) for value in copy.inputs}
        self.last_use.update(dict.fromkeys(outputs, self.end))
        self.free_until = {name: computed_by.get(value, 0) for value, name in outputs.items()}
        self.holds: dict[str, str] = {}

    def choose(self, number: int, label: str, value: str, beside: Container[str]) -> str:
        """A variable for an output of a copy; `beside` are the variables of the copy's other outputs."""
        target, count = self.outputs.get(value) or self.by_label.get(label) or f"{label or 'x'}_0", 1
        while value not in self.outputs and not self.is_free(target, number, value, beside):
            count += 1
            target = f"{label or 'x'}_{count}"
        self.holds[target] = value
        return target

    def is_free(self, target: str, number: int, value: str, beside: Container[str]) -> bool:
        """Whether a variable can hold a value that copy `number` computes."""
        if target in beside or (target in self.taken and target not in self.free_until):
            return False
        if self.last_use.get(value, 0) > self.free_until.get(target, self.end):
            return False
        return self.last_use.get(self.holds.get(target, ""), 0) <= number


def _is_read_once(item: BodyItem, value: str) -> bool:
    """Whether an item's expression reads an input once, in a place where a call can replace the variable."""
    if item.code is None:
        return True
    name = f"{{{item.inputs.index(value)}}}"
    return str(item.code).count(name) == 1 and (name in item.code.items or item.code.head.startswith(name))


def _operand(doc: Doc, operator: str, number: int) -> Doc:
    """An operand of an operator, in brackets if its own operators bind less tightly, or as tightly after the first."""
    if not isinstance(doc, Joined):
        return doc
    level = min(_LEVELS[inner] for inner, _ in doc.items if inner)
    return Bracket("(", [doc]) if level < _LEVELS[operator] + (number > 0) else doc


def _called(item: BodyItem, layer: str, arguments: Sequence[Doc]) -> Doc:
    """The call of a module, or the expression of an op that prints as one; `layer` is the module's expression."""
    code = item.code
    if code is None:
        return Bracket(f"{layer}(", arguments)
    # A sum needs brackets before a dot or an index: `(a + b).flatten(1)`.
    names = [flat(doc) if isinstance(doc, str | Bracket) else f"({flat(doc)})" for doc in arguments]
    docs = {f"{{{number}}}": doc for number, doc in enumerate(arguments)}

    def filled(text: str) -> str:
        return text.format(*names, layer=layer)

    return Bracket(filled(code.head), [docs.get(i) or filled(i) for i in code.items], filled(code.tail))
