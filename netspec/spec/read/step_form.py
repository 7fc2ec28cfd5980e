"""The form of a step: a mapping from one op to its argument, with siblings such as `name` beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from netspec.errors import fail
from netspec.graph.model import NOTHING
from netspec.naming import SIBLINGS
from netspec.ops.attributes import takes_any_text
from netspec.ops.own import find_op
from netspec.source import Span
from netspec.spec.read.hints import sibling_hint
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind

_KEYS_OF_OPS = ("type", "op", "layer")
"""The keys under which other formats name the op of a layer."""


@dataclass(slots=True)
class StepForm:
    """A step as it is written: the key that names its op, block or network, the argument, and the siblings."""

    key: str
    key_span: Span
    argument: Data
    siblings: Mapping[str, Entry] = NOTHING


def step_form(item: Data, is_known: Callable[[str], bool]) -> StepForm:
    """Split the data of a step into its parts; `is_known` tells the names that a step can use here.

    Raises NetspecError NS211 for data that does not have the form of a step.
    """
    if isinstance(item, Scalar):
        return _bare(item)
    if isinstance(item, Seq):
        fail("NS211", "a step is an op's name or a mapping, not a list", item.span, help="one dash begins one step")
    keys = [entry for entry in item.entries.values() if entry.key not in SIBLINGS]
    siblings = {name: entry for name, entry in item.entries.items() if name in SIBLINGS}
    if len(keys) != 1 or (keys[0].key in _KEYS_OF_OPS and not is_known(keys[0].key)):
        _refuse(keys, next(iter(siblings), "name"), item.span, is_known)
    return StepForm(keys[0].key, keys[0].key_span, keys[0].value, siblings)


def _bare(item: Scalar) -> StepForm:
    """The form of a step that is an op's name alone."""
    if not isinstance(item.value, str):
        fail("NS211", f"a step is an op's name or a mapping, not {data_kind(item)}", item.span)
    if ":" in item.value:
        help = f"put a space after the colon: `{item.value.split(':')[0]}: ...`"
        fail("NS211", f"`{item.value}` is not a step", item.span, help=help)
    return StepForm(item.value, item.span, Scalar(None, item.span, False))


def _refuse(keys: Sequence[Entry], sibling: str, span: Span, is_known: Callable[[str], bool]) -> NoReturn:
    """Raise the error of a mapping without an op beside its siblings, or with several; `sibling` is one of them."""
    if not keys:
        help = f"it needs one key that names an op or a block, as `{{relu, {sibling}: ...}}`"
        fail("NS211", "the step has no op", span, help=help)
    typed = next((entry for entry in keys if entry.key in _KEYS_OF_OPS), None)
    if typed is not None and isinstance(typed.value, Scalar) and is_known(str(typed.value.value)):
        rest = ", ".join(f"{entry.key}: ..." for entry in keys if entry is not typed)
        help = f"write `{typed.value.value}: {{{rest}}}`" if rest else f"write `- {typed.value.value}`"
        fail("NS211", f"the op of a step is its key, not its `{typed.key}`", typed.key_span, help=help)
    ops = [entry for entry in keys if is_known(entry.key)]
    unknown = [entry for entry in keys if not is_known(entry.key)]
    if len(ops) == 1 and unknown:
        op, key = ops[0], unknown[0].key
        under = f"attributes go under the op: `{op.key}: {{{_as_attribute(op)}{key}: ...}}`"
        message = f"`{key}` can't stand beside `{op.key}`"
        if text := _cut_at_a_comma(op, unknown[0]):
            under = f"text with a comma stands in quotes: `{op.key}: '{text}'`"
        fail("NS211", message, unknown[0].key_span, help=sibling_hint(key) or under)
    names = " and ".join(f"`{entry.key}`" for entry in keys[:3])
    fail("NS211", f"a step has one op, and this one has {names}", keys[1].key_span, help="begin each step with a dash")


def _cut_at_a_comma(op: Entry, rest: Entry) -> str:
    """The text of an op that YAML ended at a comma, with the `rest` after it; "" where a key could be meant."""
    values = [entry.value for entry in (op, rest)]
    cls = find_op(op.key)
    if cls is None or cls.principal is None or not takes_any_text(cls, cls.principal):
        return ""
    first, last = (value.value if isinstance(value, Scalar) else 0 for value in values)
    return f"{first},{rest.key}" if isinstance(first, str) and last is None else ""


def _as_attribute(op: Entry) -> str:
    """The bare argument of an op as text with its attribute's name, `out_channels: 64, `; "" for other arguments."""
    cls = find_op(op.key)
    principal = cls.principal if cls else "spec" if op.key == "network" else None
    scalar = isinstance(op.value, Scalar) and op.value.value is not None
    return f"{principal}: {plain_data(op.value)}, " if principal and scalar else ""


def name_despite_mistakes(item: Data) -> set[str]:
    """The `name` of a step, as a set of one, even if the rest of the step has errors; empty without a `name`."""
    if isinstance(item, Map) and "name" in item.entries:
        value = item.entries["name"].value
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return {value.value}
    return set()
