"""Matches bodies: if one body has the steps of another, both can be uses of one class.

Bodies match if their steps have equal names and ops and take corresponding values. Optional steps, such as those with
a `when`, may be missing in one of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netspec.backends.pytorch.bodies import NOT_IN_PYTORCH, BodyItem, ScopeBody
from netspec.errors import fail
from netspec.types import Layer

ItemMatches = dict[BodyItem, BodyItem | None]
"""For each item of a template, the corresponding item of another body; None where it is left out."""

_Origin = tuple[str | tuple[str, bool], int]
"""A value relative to its body: `("input", 0)`, or the key of an item and the number of its output."""


class Matcher:
    """Matches bodies with templates.

    `class_of` holds the classes of the bodies inside them. With `equal_counts`, repeats match only if they have equal
    numbers of copies.
    """

    def __init__(self, class_of: Mapping[ScopeBody, object], equal_counts: bool) -> None:
        self._class_of = class_of
        self._equal_counts = equal_counts

    def match(self, template: ScopeBody, body: ScopeBody) -> ItemMatches | None:
        """The matches of a body's items with a template's items; None if the bodies do not match."""
        matches: ItemMatches = {}
        return matches if self._bodies(template, body, matches) else None

    def _bodies(self, template: ScopeBody, body: ScopeBody, matches: ItemMatches) -> bool:
        if len(template.inputs) != len(body.inputs) or len(template.outputs) != len(body.outputs):
            return False
        items = {item.key: item for item in body.items}
        if not items.keys() <= {item.key for item in template.items}:
            return False
        origins: dict[str, _Origin] = {value: ("input", k) for k, value in enumerate(template.inputs)}
        # Two values of the template may be one value in the body, which then has both origins.
        body_origins: defaultdict[str, set[_Origin]] = defaultdict(set)
        for k, value in enumerate(body.inputs):
            body_origins[value].add(("input", k))

        def correspond(values: Sequence[str], others: Sequence[str]) -> bool:
            pairs = zip(values, others, strict=False)
            return len(values) == len(others) and all(origins[a] in body_origins[b] for a, b in pairs)

        for item in template.items:
            match = matches[item] = items.get(item.key)
            if match is None:
                if not self._can_be_missing(item, matches):
                    return False
                origins[item.outputs[0]] = origins[item.inputs[0]]
                continue
            if not correspond(item.inputs, match.inputs) or not self.items_match(item, match, matches):
                return False
            if len(item.outputs) != len(match.outputs):
                return False
            for k, (a, b) in enumerate(zip(item.outputs, match.outputs, strict=True)):
                origins[a] = (item.key, k)
                body_origins[b].add((item.key, k))
        return correspond(template.outputs, body.outputs)

    def _can_be_missing(self, item: BodyItem, matches: ItemMatches) -> bool:
        """Whether a body may lack an item: one with a condition, a repeat, or a chain of such items."""
        # `nn.Identity` takes its place, which has one input and one output.
        if len(item.outputs) != 1 or not item.inputs or item.shares:
            return False
        if item.is_module and (len(item.inputs) > 1 or item.code):
            return False
        if item.body is not None and not item.body.is_class:
            inner = [self._can_be_missing(part, matches) for part in item.body.items]
            matches.update(dict.fromkeys(item.body.items))
            counted = item.body.kind == "repeat" and not self._equal_counts and copies_alike(item.body, self._class_of)
            return counted or item.when is not None or all(inner)
        return item.when is not None

    def items_match(self, item: BodyItem, other: BodyItem, matches: ItemMatches) -> bool:
        """Whether two items are constructed and called alike. Adds the matches of items inside them to `matches`."""
        if item.shares != other.shares or item.loops != other.loops:
            return False
        if item.body is None or other.body is None:
            return item.body is other.body and _print_alike(item, other)
        if item.body.is_class != other.body.is_class:
            return False
        if item.body.is_class:
            return self._class_of[item.body] is self._class_of[other.body]
        if item.body.kind != other.body.kind:
            return False
        if item.body.kind != "repeat":
            return self._bodies(item.body, other.body, matches)
        return self._repeats(item, item.body, other.body, matches)

    def _repeats(self, item: BodyItem, body: ScopeBody, other: ScopeBody, matches: ItemMatches) -> bool:
        if item.loops:
            return len(body.items) == len(other.items) and self._bodies(body, other, matches)
        if len(body.items) == 1 < len(other.items):
            # The template has no second copy, whose inputs may differ from those of the first.
            return False
        if not self._equal_counts and copies_alike(body, self._class_of) and copies_alike(other, self._class_of):
            return self.items_match(body.items[0], other.items[0], {})
        # Copies that differ are printed one by one, so every use must have all of them.
        names = [copy.name for copy in body.items]
        return names == [copy.name for copy in other.items] and self._bodies(body, other, matches)


def _print_alike(item: BodyItem, other: BodyItem) -> bool:
    """Whether two ops print alike, apart from the values of a layer's arguments."""
    a, b = item.printed, other.printed
    if isinstance(a, Layer) and isinstance(b, Layer):
        forms = [(layer.target, layer.call, layer.lists, layer.unpack, *layer.arguments) for layer in (a, b)]
        return forms[0] == forms[1]
    return a == b


def copies_alike(body: ScopeBody, class_of: Mapping[ScopeBody, object]) -> bool:
    """Whether all copies of a repeat have one class or op and equal wiring, and its outputs are the last copy's."""
    first, last = body.items[0], body.items[-1]
    if body.outputs != last.outputs:
        return False
    if [item.name for item in body.items] != [str(n) for n in range(len(body.items))]:
        return False
    if first.body is not None and not first.body.is_class:
        return False
    matcher = Matcher(class_of, True)
    if not all(matcher.items_match(first, item, {}) for item in body.items[1:]):
        return False
    return wiring(body) is not None


def wiring(body: ScopeBody) -> list[int | str] | None:
    """The inputs of each copy of a repeat: the number of an output of the copy before, or a value from outside.

    None if the wiring differs from copy to copy. The first copy takes the inputs of the repeat as "outputs before".
    """
    inputs_of_copies: list[list[int | str]] = []
    previous = body.chained
    several = len(previous)
    for item in body.items:
        inputs_of_copies.append([_input_of_copy(previous, place, value) for place, value in enumerate(item.inputs)])
        if len(item.outputs) != several:
            return None
        previous = item.outputs
    first = inputs_of_copies[0]
    return first if all(inputs == first for inputs in inputs_of_copies) else None


def _input_of_copy(previous: Sequence[str], place: int, value: str) -> int | str:
    """The number of an input of a copy among the outputs of the copy before, or the value itself."""
    # If two outputs are one value, an input takes the output of its own number.
    if value not in previous:
        return value
    return place if previous[place : place + 1] == [value] else previous.index(value)


def check_shared(item: BodyItem, body: ScopeBody, class_of: Mapping[ScopeBody, object]) -> None:
    """Raise NetspecError NS401 for an item that calls the module of another item, if their classes differ."""
    owner = next(other for other in body.items if other.name == item.shares and other.is_module).body
    called = item.body.items[0].body if item.loops and item.body is not None else item.body
    if called is None or owner is None or class_of.get(called) is class_of.get(owner):
        return
    what = f"`{called.path}` shares the weights of `{owner.path}`"
    fail("NS401", f"{what}, and two values that enter one of them are the same: {NOT_IN_PYTORCH}")
