"""The JSON Schema of bodies and their steps: ops, blocks, networks and merges, with the siblings beside them."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from typing import Any

from netspec.naming import MODULE_ATTRIBUTES, SIBLINGS
from netspec.ops.base import Merge, Op
from netspec.spec.limits import MAX_REPEAT
from netspec.spec.schema.ops import (
    bare_step,
    complete_step_definition,
    definition_of,
    known_step_definition,
    required_attributes,
    siblings_of,
)
from netspec.spec.schema.parts import EXPRESSION, NAME, VALUE, Schema, described, name_schema, pattern_except, ref

_SIBLING: Mapping[str, Schema] = {
    "name": described(
        "What the step is called, in tables, errors, `from`, and the state dict.",
        name_schema({*keyword.kwlist, *MODULE_ATTRIBUTES, "input"}, "A-Za-z"),
    ),
    "from": described(
        "The value it takes, instead of the previous step's: an earlier step's name, an input's, or `input`; "
        "a list for ops with several inputs.",
        {"type": ["string", "array"], "pattern": VALUE, "items": ref("value"), "minItems": 1},
    ),
    "repeat": described(
        "How many copies stand in a row; in the step's arguments, `index` is the copy's number from 0.",
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_REPEAT}, EXPRESSION]},
    ),
    "when": described(
        "A condition: where it is false, the step is left out.", {"anyOf": [{"type": "boolean"}, EXPRESSION]}
    ),
    "share": described("An earlier step of this body, whose weights it uses.", {"type": "string", "pattern": NAME}),
    "init": ref("init"),
}
"""The siblings of a step's op, except `expect`, which only the steps of a network's body have."""


_USE: Schema = {
    "description": "A block's argument: its parameters by name, or a bare value for the only one that is required.",
    "type": ["object", "string", "number", "boolean", "null"],
    "propertyNames": ref("parameter-name"),
    "additionalProperties": {"type": ["string", "number", "boolean", "array"]},
}
_BRANCHES: Schema = {
    "description": "What is joined: names, and for each a list of steps that begins with the step's own input. "
    "[] is the identity.",
    "type": "object",
    "minProperties": 2,
    "propertyNames": ref("module-name"),
    "additionalProperties": ref("body"),
}


def step_definitions(ops: Iterable[type[Op]]) -> Schema:
    """The definitions of bodies, steps, uses of blocks, and branches."""
    ops = list(ops)
    return {
        **_bodies(),
        "step": _step(ops),
        "complete-step": complete_step_definition(ops),
        "known-step": known_step_definition(ops),
        "use": _USE,
        "branches": _BRANCHES,
    }


def _bodies() -> Schema:
    """The definitions of lists of steps: of a network, of blocks and branches, and stricter ones for some files."""

    def body(description: str, expect: Schema | bool, **more: Any) -> Schema:
        steps = {"allOf": [ref("step"), {"properties": {"expect": expect}}]}
        return {"description": description, "type": "array", "items": steps, **more}

    first = "The steps, each of which takes the value of the one before it; the first takes the"
    return {
        "network": body(f"{first} network's input.", ref("step-claims"), minItems=1),
        "body": body(f"{first} value that enters, which `input` names.".replace("`", ""), False),
        "complete-body": {"items": ref("complete-step")},
        "known-body": {"items": ref("known-step")},
    }


def _step(ops: list[type[Op]]) -> Schema:
    """The definition of a step, as far as it does not depend on the file's blocks and `defaults`."""
    names = [*(cls.opname for cls in ops), "network"]
    bare = [bare_step(cls) for cls in ops if not issubclass(cls, Merge) and not required_attributes(cls)]
    merges = [cls.opname for cls in ops if issubclass(cls, Merge)]
    siblings = {**{name: _SIBLING[name] for name in SIBLINGS if name != "expect"}, "network": ref("embedded")}
    types = ["object", "string"]
    return {
        "description": "A step: the name of an op or block, or a mapping of it to its argument, with siblings beside.",
        "type": types,
        "pattern": NAME,
        "patternErrorMessage": "a step is the name of an op or a block, or a mapping; after a colon comes a space",
        # The last alternative allows all; an editor offers the others.
        "anyOf": [*bare, {"type": types}],
        "properties": {**{cls.opname: ref(definition_of(cls)) for cls in ops}, **siblings},
        "propertyNames": {"pattern": NAME},
        "additionalProperties": ref("use"),
        "allOf": [
            {
                "pattern": pattern_except(merges),
                "patternErrorMessage": "this op joins values: it needs branches under it, or `from: [a, b]` beside it",
            },
            {"not": {"type": "object", "propertyNames": {"enum": list(SIBLINGS)}}},
            # A schema can't know the file's blocks: of keys that are no ops and no siblings, only one is allowed.
            {"if": {"propertyNames": {"not": {"enum": [*SIBLINGS, *names]}}}, "then": {"maxProperties": 1}},
            {"if": {"propertyNames": {"not": {"enum": names[:-1]}}}, "then": {"properties": {"init": False}}},
        ],
        "dependencies": {cls.opname: siblings_of(cls) for cls in ops},
    }
