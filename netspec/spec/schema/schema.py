"""The JSON Schema of a spec (draft 7), which gives editors completion, documentation and a first check.

It follows from the ops and from the models of the language. It refuses nothing that netspec accepts of steps that
are built, and it can't see everything: names in reach, parameters of blocks, and shapes are netspec's to check.
"""

from __future__ import annotations

import json
import keyword
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from netspec.naming import SIBLINGS
from netspec.ops.base import Merge, Op
from netspec.ops.fields import MAX_INT
from netspec.spec.read.keys import (
    OF_ONE_NETWORK,
    BlockOutline,
    EmbedOutline,
    NetworkOutline,
    Outline,
)
from netspec.spec.read.parameters import PARAMETER_KINDS
from netspec.spec.schema.images import images, inputs_and_outputs
from netspec.spec.schema.ops import (
    bare,
    beside,
    complete_step,
    defaults_schema,
    definition_of,
    known_step,
    none_required,
    op_schema,
    required,
)
from netspec.spec.schema.parts import (
    NAME,
    SIBLING,
    TEXT,
    Schema,
    claims,
    described,
    expression,
    initializer_definitions,
    name,
    name_definitions,
    none_of,
    ref,
    sources,
    weights,
    words,
)

ID = "urn:netspec:spec:1"


def spec_schema(ops: Iterable[type[Op]]) -> Schema:
    """The schema of specs that use these ops."""
    ops = list(ops)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "netspec",
        "description": "A spec of a neural network in version 1 of netspec's language.",
        "type": "object",
        "properties": {key: _section(key, ops) for key in Outline.model_fields},
        "additionalProperties": False,
        "required": [key for key, field in Outline.model_fields.items() if field.is_required()],
        "if": {"properties": {"extends": TEXT}, "required": ["extends"]},
        "then": {"properties": {"network": False, "networks": False, "outputs": False}},
        "else": {
            "if": {"required": ["networks"]},
            "then": {
                "if": {"not": {"required": ["network"]}},
                "then": {"properties": dict.fromkeys(OF_ONE_NETWORK, False)},
            },
            "else": {"properties": {"inputs": {"minProperties": 1}}, "required": ["inputs", "network"]},
        },
        "allOf": _rules(ops),
        "definitions": _definitions(ops),
    }


def schema_text(schema: Schema) -> str:
    """A schema as JSON that people can read: what fits a line stands on one."""
    return _text(schema, 0) + "\n"


def _text(value: Any, indent: int) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + len(line) <= 110:
        return line
    space = " " * (indent + 2)
    items: list[str] = []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):  # pyright: ignore[reportUnknownVariableType]
        items = textwrap.wrap(line[1:-1], 108 - indent, break_on_hyphens=False)
        return f"[\n{space}" + f"\n{space}".join(items) + f"\n{' ' * indent}]"
    if isinstance(value, list):
        items = [_text(item, indent + 2) for item in value]  # pyright: ignore[reportUnknownVariableType]
    else:
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            items.append(f"{json.dumps(key)}: {_text(item, indent + 2)}")
    begin, end = "[]" if isinstance(value, list) else "{}"
    return f"{begin}\n{space}" + f",\n{space}".join(items) + f"\n{' ' * indent}{end}"


def _section(key: str, ops: list[type[Op]]) -> Schema:
    """What may stand under a key of the file."""
    not_blocks = {"pattern": none_of([*SIBLINGS, "network", *(cls.opname for cls in ops)])}
    description, schema = {
        "netspec": ("The version of the language.", {"enum": words(Outline, "netspec")}),
        "name": ("The name of the network; the compiled class is named after it.", name(keyword.kwlist, "A-Za-z_")),
        "title": ("What reports call the network.", TEXT),
        "source": ("Where the network is from: a paper, a repository.", TEXT),
        "extends": (
            "Another spec that this one changes, by the name of a bundled one or by its path from this file. "
            "`params`, `inputs` and `blocks` are replaced by key; `network`, `networks` and `outputs` stay.",
            {"type": ["string", "null"]},
        ),
        "use": (
            "Other specs whose blocks this one uses, by the name of a bundled one or by path from this file.",
            {"type": "array", "items": TEXT},
        ),
        "params": ("", ref("params")),
        "inputs": (
            "The names and shapes of what goes in, batch first: {image: [N, 3, 224, 224]}.",
            {"type": "object", "propertyNames": ref("module-name"), "additionalProperties": ref("input")},
        ),
        "blocks": (
            "Reusable parts: each has parameters and a body, and is used as an op is.",
            {
                "type": "object",
                "propertyNames": {"allOf": [ref("module-name"), not_blocks]},
                "additionalProperties": ref("block"),
            },
        ),
        "defaults": (
            "Attributes and initialisers that all steps of an op in this file have unless they say otherwise.",
            {
                "type": "object",
                "properties": {cls.opname: defaults_schema(cls) for cls in ops},
                "additionalProperties": False,
            },
        ),
        "network": ("", ref("network")),
        "networks": (
            "Several networks by their names, each of them a step of the others: `gan:generator` selects one.",
            {
                "type": "object",
                "propertyNames": {"allOf": [ref("module-name"), not_blocks]},
                "additionalProperties": ref("one-network"),
            },
        ),
        "outputs": (
            "Names for what comes out: {logits: fc8}. Without it, the last step's value is the only output.",
            {"type": "object", "propertyNames": ref("output-name"), "additionalProperties": ref("output")},
        ),
        "expect": ("", ref("claims")),
        "weights": ("", ref("sources")),
        "preprocess": ("", ref("preprocess")),
        "labels": ("", ref("labels")),
    }[key]  # fmt: skip
    return described(description, schema)


def _rules(ops: list[type[Op]]) -> list[Schema]:
    """What holds for all steps of a file by what else stands in it.

    The keys are patterns, since an editor offers those of `properties`, and these are offered already.
    """

    def bodies(definition: str) -> Schema:
        body = ref(definition)
        return {
            "patternProperties": {
                "^network$": body,
                "^(blocks|networks)$": {"additionalProperties": {"patternProperties": {"^body$": body}}},
            }
        }

    supplies_nothing = {"properties": {"defaults": none_required(ops)}}
    nothing_else = {"properties": {"blocks": False, "networks": False, "extends": False, "use": False}}
    return [
        {"if": supplies_nothing, "then": bodies("complete-body")},
        {"if": nothing_else, "then": bodies("known-body")},
    ]


def _definitions(ops: list[type[Op]]) -> Schema:
    return {
        **name_definitions(),
        "expression": expression(),
        "params": {
            "description": "Parameters: a default for each, or its type where it must be given.",
            "type": "object",
            "propertyNames": ref("parameter-name"),
            "additionalProperties": {"anyOf": [{"enum": [k for k in PARAMETER_KINDS if k != "body"]}, ref("default")]},
        },
        "block-params": {
            "description": "Parameters: a default for each, or its type where it must be given; a `body` is steps.",
            "type": "object",
            "propertyNames": ref("parameter-name"),
            "additionalProperties": {"anyOf": [{"enum": list(PARAMETER_KINDS)}, ref("default")]},
        },
        "default": {
            "description": "A default, whose type the parameter has: a number, true or false, text, or a list.",
            "type": ["number", "boolean", "string", "array"],
            "not": {"const": "body"},
            "items": {"type": ["number", "boolean", "string", "array"]},
        },
        "size": {"type": "integer", "minimum": 1, "maximum": MAX_INT},
        **inputs_and_outputs(),
        "block": {
            "type": "object",
            "properties": {key: _BLOCK[key] for key in BlockOutline.model_fields},
            "required": [key for key, field in BlockOutline.model_fields.items() if field.is_required()],
            "additionalProperties": False,
        },
        "one-network": {
            "type": "object",
            "properties": {key: _NETWORK[key] for key in NetworkOutline.model_fields},
            "required": [key for key, field in NetworkOutline.model_fields.items() if field.is_required()],
            "additionalProperties": False,
        },
        "embedded": _embedded(),
        "sources": sources(),
        **images(),
        "weights": weights(),
        **_bodies(ops),
        "step": _step(ops),
        "complete-step": complete_step(ops),
        "known-step": known_step(ops),
        "use": _USE,
        "branches": {
            "description": "What is joined: names, and for each a list of steps that begins with the step's own input. "
            "[] is the identity.",
            "type": "object",
            "minProperties": 2,
            "propertyNames": ref("module-name"),
            "additionalProperties": ref("body"),
        },
        **initializer_definitions(),
        **claims(),
        **{definition_of(cls): op_schema(cls) for cls in ops},
    }


_BLOCK: Mapping[str, Schema] = {
    "params": ref("block-params"),
    "inputs": described(
        "What its values are called that enter it, if they are several: [a, b].",
        {"type": "array", "items": ref("module-name"), "minItems": 1, "uniqueItems": True},
    ),
    "outputs": described(
        "What leaves it, if that is several values: {a: step}.",
        {"type": "object", "propertyNames": ref("output-name"), "additionalProperties": ref("value")},
    ),
    "body": ref("body"),
}
_NETWORK: Mapping[str, Schema] = {
    "inputs": described(
        "The names and shapes of what goes in where it stands alone, batch first; as a step it takes what enters.",
        {
            "type": "object",
            "minProperties": 1,
            "propertyNames": ref("module-name"),
            "additionalProperties": ref("input"),
        },
    ),
    "body": ref("network"),
    "outputs": described(
        "Names for what comes out. Without it, the last step's value is the only output.",
        {"type": "object", "propertyNames": ref("output-name"), "additionalProperties": ref("output")},
    ),
    "title": described("What reports call the network.", TEXT),
    "expect": ref("claims"),
    "weights": ref("sources"),
    "preprocess": ref("preprocess"),
    "labels": ref("labels"),
}
_EMBEDDED: Mapping[str, Schema] = {
    "spec": described("Its name, if it is bundled, or its path; `gan:generator` is one of several.", TEXT),
    "params": described(
        "Values for its parameters.",
        {
            "type": "object",
            "propertyNames": ref("parameter-name"),
            "additionalProperties": {"type": ["string", "number", "boolean", "array"]},
        },
    ),
    "outputs": described(
        "Names of its steps whose values are wanted, instead of its outputs; what they do not need is left out.",
        {"type": "array", "items": ref("value"), "minItems": 1},
    ),
}
_USE: Schema = {
    "description": "A block's argument: its parameters by name, or a bare value for the only one that is required.",
    "type": ["object", "string", "number", "boolean", "null"],
    "propertyNames": ref("parameter-name"),
    "additionalProperties": {"type": ["string", "number", "boolean", "array"]},
}


def _bodies(ops: list[type[Op]]) -> Schema:
    """Lists of steps: the network's own, others, and what `_rules` says of all."""

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
    names = [*(cls.opname for cls in ops), "network"]
    merges = [cls.opname for cls in ops if issubclass(cls, Merge)]
    own = {**{name: SIBLING[name] for name in SIBLINGS if name != "expect"}, "network": ref("embedded")}
    types = ["object", "string"]
    return {
        "description": "A step: the name of an op or block, or a mapping of it to its argument, with siblings beside.",
        "type": types,
        "pattern": NAME,
        "patternErrorMessage": "a step is the name of an op or a block, or a mapping; after a colon comes a space",
        # The last alternative is open: the others are what an editor offers.
        "anyOf": [*(bare(cls) for cls in ops if cls.opname not in merges and not required(cls)), {"type": types}],
        "properties": {**{cls.opname: ref(definition_of(cls)) for cls in ops}, **own},
        "propertyNames": {"pattern": NAME},
        "additionalProperties": ref("use"),
        "allOf": [
            {
                "pattern": none_of(merges),
                "patternErrorMessage": "this op joins values: it needs branches under it, or `from: [a, b]` beside it",
            },
            {"not": {"type": "object", "propertyNames": {"enum": list(SIBLINGS)}}},
            # Which blocks there are is not known here: several keys are refused where all may be blocks.
            {"if": {"propertyNames": {"not": {"enum": [*SIBLINGS, *names]}}}, "then": {"maxProperties": 1}},
            {"if": {"propertyNames": {"not": {"enum": names[:-1]}}}, "then": {"properties": {"init": False}}},
        ],
        "dependencies": {cls.opname: beside(cls) for cls in ops},
    }


def _embedded() -> Schema:
    return {
        "description": "Another spec as a step, with its weights: its name, or its name with params and outputs.",
        "type": ["string", "object"],
        "properties": dict(_EMBEDDED),
        "required": [key for key, field in EmbedOutline.model_fields.items() if field.is_required()],
        "additionalProperties": False,
    }
