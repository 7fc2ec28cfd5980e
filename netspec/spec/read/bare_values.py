"""The errors of a list or a bare value where an argument needs names, each with the text that was meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from netspec.errors import fail
from netspec.ops.attributes import make_op
from netspec.ops.base import Merge, Op
from netspec.spec.read.body import BlockDefinition, BodyParameter, Target
from netspec.spec.read.parameters import block_signature
from netspec.spec.text.data import Data, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind, data_text


def refuse_list(target: Target, name: str, data: Seq) -> NoReturn:
    """Raise the error of a step's argument that is a list; `name` is the target's."""
    help = _list_hint(target, name, data)
    fail("NS211", f"a list is never an argument, and `{name}` has one", data.span, help=help)


def refuse_bare_value(target: type[Op] | BlockDefinition, name: str, data: Scalar) -> NoReturn:
    """Raise the error of a bare value for an op or a block that has no principal attribute or parameter."""
    span = data.span
    if isinstance(target, BlockDefinition):
        if target.info.parameters:
            message = f"{target.what} has several required parameters: name them"
            fail("NS211", message, span, help=block_signature(target))
        fail("NS211", f"{target.what} takes no arguments", span)
    attributes = list(target.model_fields)
    help = f"write `- {name}`" + (f", or name the attribute: `{name}: {{{attributes[0]}: ...}}`" if attributes else "")
    if issubclass(target, Merge):
        help = f"values to join stand beside the op, as `{{{name}, from: [a, b]}}`"
    fail("NS211", f"`{name}` takes no bare value", span, help=help)


def _list_hint(target: Target, name: str, data: Seq) -> str:
    """A hint for a list: its values with the names of attributes or parameters."""
    if isinstance(target, type) and issubclass(target, Merge):
        values = ", ".join(data_kind(item).strip("'") for item in data.items if isinstance(item, Scalar))
        return f"values to join stand beside the op, as `{{{name}, from: [{values or 'a, b'}]}}`; bodies in `branches`"
    if isinstance(target, BlockDefinition) and target.kinds.get(target.principal or "") == "body":
        return f"name the steps: `{name}: {{{target.principal}: [...]}}`"
    if isinstance(target, type):
        named, more = _named_attributes(target, data)
    else:
        named, more = _named_parameters(target, data), ""
    if named is None and isinstance(target, BlockDefinition):
        return block_signature(target)
    return f"name what it is: `{name}: {{{named}}}`{more}" if named else f"it takes no arguments: write `- {name}`"


def _named_attributes(op: type[Op], data: Seq) -> tuple[str, str]:
    """A list as text of an op's attributes, and a remark.

    The whole list is the principal attribute, or the only required one, if that takes a list; else each value is an
    attribute.
    """
    values, principal, names = plain_data(data), op.principal, list(op.model_fields)
    required = [name for name, field in op.model_fields.items() if field.is_required()]
    whole = principal or (required[0] if len(required) == 1 else None)
    if whole and whole not in [problem.attribute for problem in make_op(op, {whole: values})[1]]:
        return f"{whole}: {data_text(data)}", ""
    # PyTorch's classes of layers with weights take the width of their input first.
    if principal and principal.startswith("out_") and len(values) > max(len(required), 1):
        return _pairs(names, data.items[1:]), "; the widths of inputs are inferred"
    return _pairs(names, data.items), ""


def _named_parameters(target: BlockDefinition | BodyParameter, data: Seq) -> str | None:
    """A list as text of a block's parameters, in their order; None where it has too many values."""
    names = [p.name for p in target.info.parameters] if isinstance(target, BlockDefinition) else []
    items = data.items
    if not isinstance(target, BlockDefinition) or not names:
        return ""
    first = target.principal or names[0]
    if target.kinds[first] == "list" and not any(isinstance(item, Seq) for item in items):
        return f"{first}: {data_text(data)}"
    return _pairs(names, items) if len(items) <= len(names) else None


def _pairs(names: Iterable[str], items: Iterable[Data]) -> str:
    return ", ".join(f"{name}: {data_text(item)}" for name, item in zip(names, items, strict=False))
