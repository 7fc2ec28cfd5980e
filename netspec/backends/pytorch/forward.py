"""The forward method of a class: one statement a step, short ones nested, as a person would write it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from netspec.backends.pytorch.bodies import Body, Item
from netspec.backends.pytorch.layout import Bracket, Doc, Joined, flat, statement
from netspec.expression import python_literal
from netspec.types import Call, Infix

LONGEST_NEST = 72
"""How many characters a nested expression may have before it is written as statements."""


class ForwardWriter:
    """Writes `forward` for one body; `arguments` are its parameters' names, in the order of the body's inputs."""

    def __init__(self, body: Body, arguments: Sequence[str], conditions: Mapping[str, str]) -> None:
        self.body = body
        self.conditions = conditions
        self.names: dict[str, str] = dict(zip(body.inputs, arguments, strict=True))
        self.pending: dict[str, Doc] = {}
        self.uses = Counter(value for item in body.items for value in item.inputs)
        self.uses.update(body.outputs)
        self.lines: list[str] = []
        self.nest = len(body.items) <= 4 and body.scope is not None

    def write(self, returned: str = "") -> list[str]:
        """The lines of the body; `returned` is the class to return several outputs in."""
        items = self.body.items
        for number, item in enumerate(items):
            following = items[number + 1] if number + 1 < len(items) else None
            doc = self.call(item)
            if item.name in self.conditions:
                self.conditional(item, doc)
            elif len(item.outputs) == 1 and self.waits(item, doc, following):
                self.pending[item.outputs[0]] = doc
            else:
                self.assign(item, doc)
        if returned:
            docs: list[Doc] = [self.read(value) for value in self.body.outputs]
            self.lines += statement("return ", Bracket(f"{returned}(", docs), 8)
        else:
            docs = [self.read(value) for value in self.body.outputs]
            self.lines += statement("return ", docs[0] if len(docs) == 1 else ", ".join(map(flat, docs)), 8)
        return self.lines

    def waits(self, item: Item, doc: Doc, following: Item | None) -> bool:
        """Whether an item's call is written inside the expression that uses it: the order of calls stays."""
        value = item.outputs[0]
        if self.uses[value] != 1:
            return False
        if following is None:
            return value in self.body.outputs and len(self.body.outputs) == 1
        merge = self.merge_after(item)
        if merge is not None and item.is_module:
            return True
        return self.nest and value in following.inputs and len(following.inputs) == 1 and len(flat(doc)) < LONGEST_NEST

    def merge_after(self, item: Item) -> Item | None:
        """The merge that uses an item, if only other operands of it stand in between."""
        items = self.body.items
        start = items.index(item)
        for merge in items[start + 1 :]:
            if item.outputs[0] in merge.inputs:
                between = items[start + 1 : items.index(merge)]
                good = not merge.is_module and all(b.is_module and b.outputs[0] in merge.inputs for b in between)
                # Operands are called in the order in which they stand in the merge.
                order = [merge.inputs.index(i.outputs[0]) for i in (item, *between)] if good else []
                return merge if good and order == sorted(order) and merge.name not in self.conditions else None
        return None

    def call(self, item: Item) -> Doc:
        arguments = [self.read(value) for value in item.inputs]
        match item.printed:
            case Infix(operator):
                return Joined(operator, arguments)
            case Call(function, options, listed):
                rest = [f"{name}={python_literal(value)}" for name, value in options.items()]
                first: list[Doc] = [Bracket("[", arguments, "]")] if listed else arguments
                return Bracket(f"{function}(", [*first, *rest])
            case _:
                return Bracket(f"self.{item.name}(", arguments)

    def read(self, value: str) -> Doc:
        """A value where it is used: its variable, or the call that waited for this."""
        self.uses[value] -= 1
        doc = self.pending.pop(value, None)
        return doc if doc is not None else self.names[value]

    def assign(self, item: Item, doc: Doc) -> None:
        targets = [self.variable(item, value, number) for number, value in enumerate(item.outputs)]
        self.lines += statement(f"{', '.join(targets)} = ", doc, 8)

    def conditional(self, item: Item, doc: Doc) -> None:
        """A merge that stands only where its condition holds; elsewhere its first input goes on."""
        entering = item.inputs[0]
        name = self.names[entering]
        if self.uses[entering] > 0:
            target = self.variable(item, item.outputs[0], 0)
            self.lines += statement(f"{target} = ", name, 8)
        else:
            target = name
            self.names[item.outputs[0]] = name
        self.lines.append(f"        if self.{self.conditions[item.name]}:")
        self.lines += statement(f"{target} = ", doc, 12)

    def variable(self, item: Item, value: str, number: int) -> str:
        """A name for a value: `x` while nothing else needs the last one, else the step's own."""
        held = {name for v, name in self.names.items() if self.uses[v] > 0}
        if "x" not in held and number == 0:
            name = "x"
        else:
            base = item.name if item.name.isidentifier() else f"copy{item.name}"
            name, count = base, 1
            while name in held or name in ("self", "torch", "nn"):
                count += 1
                name = f"{base}_{count}"
        self.names = {v: n for v, n in self.names.items() if n != name}
        self.names[value] = name
        return name
