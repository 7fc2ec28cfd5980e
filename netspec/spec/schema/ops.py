"""What the JSON Schema says of ops: a definition for each, made from its class, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from netspec.naming import SIBLINGS
from netspec.ops.base import Merge, Op
from netspec.ops.reference import attributes, compact, first_line, paragraphs
from netspec.spec.schema.parts import EXPRESSION, Schema, none_of, one_of, ref

_NOT_A_LIST = ["object", "string", "number", "boolean", "null"]
_KEYWORDS = (
    "type",
    "enum",
    "const",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "items",
    "minItems",
    "maxItems",
)
"""What is taken over from Pydantic's schema of a value: a schema that says more is left open, and refuses nothing."""


def definition_of(cls: type[Op]) -> str:
    """The name of an op's definition; with a `-`, so that no definition of the language has it."""
    return f"op-{cls.opname}"


def op_schema(cls: type[Op]) -> Schema:
    """An op's argument: attributes by name, a bare value for the principal one, or nothing."""
    values = _values(cls)
    properties = _properties(cls, values)
    if issubclass(cls, Merge):
        properties["branches"] = ref("branches")
    found: Schema = {
        "title": cls.opname,
        "description": " ".join(paragraphs(cls)).replace("`", ""),
        "markdownDescription": _in_markdown(cls),
        "type": ["object", "null"] if properties else ["null", "object"],
    }
    if cls.principal is not None:
        found |= _bare_value([option for option in values[cls.principal] if option.get("type") != "array"])
    return found | {"properties": properties, "additionalProperties": False}


def _bare_value(options: list[Schema]) -> Schema:
    types = ["string" if option == EXPRESSION else option.get("type") for option in options]
    known = list(dict.fromkeys(["object", *types, "null"])) if all(types) else _NOT_A_LIST
    # A condition and no choice: of what is wrong in a choice an editor tells little.
    found: Schema = {"type": known, "if": {"not": {"type": ["object", "null"]}}, "then": _one(options)}
    words = [option for option in options if "enum" in option]
    # Words for an editor to offer, which it does not where they stand behind a condition.
    return found | {"anyOf": [*words, {"type": known}]} if words else found


def defaults_schema(cls: type[Op]) -> Schema:
    """What `defaults` may say of an op: its attributes, and `init`."""
    at = f"{definition_of(cls)}/properties"
    properties = {name: ref(f"{at}/{name}") for name in cls.model_fields}
    return {
        "description": f"What every {cls.opname} of this file has unless its step says otherwise.",
        "type": "object",
        "properties": properties | {"init": ref("init")},
        "additionalProperties": False,
    }


def required(cls: type[Op]) -> list[str]:
    """The attributes that an op can't do without."""
    return [name for name in cls.model_fields if cls.default(name) is ...]


def bare(cls: type[Op]) -> Schema:
    """The op's name as a whole step: what an editor offers and explains."""
    return {"const": cls.opname, "description": first_line(cls).replace("`", "")}


def beside(cls: type[Op]) -> Schema:
    """What may stand beside an op in its step: siblings, and as many values as it takes."""
    least, most = cls.inputs
    found: Schema = {"propertyNames": {"enum": [cls.opname, *SIBLINGS]}}
    if issubclass(cls, Merge):
        branches = {cls.opname: {"type": "object", "required": ["branches"]}, "from": {"maxItems": 1}}
        several = {cls.opname: {"properties": {"branches": False}}, "from": {"type": "array", "minItems": least}}
        found["anyOf"] = [{"properties": branches}, {"properties": several, "required": ["from"]}]
    elif most is not None:
        found["properties"] = {"from": {"maxItems": most}}
    return found


def complete_step(ops: Iterable[type[Op]]) -> Schema:
    """A step that has all its op requires, for files whose `defaults` supply none of it."""
    found: Schema = {}
    never_bare: list[str] = []
    for cls in ops:
        names = required(cls)
        if names:
            never_bare.append(cls.opname)
            # A bare value does where the principal attribute is all that is required.
            types = [t for t in _NOT_A_LIST if t != "null"] if names == [cls.principal] else ["object"]
            found[cls.opname] = {"type": types, "required": names, "errorMessage": f"{cls.opname} needs {_and(names)}"}
        if issubclass(cls, Merge):
            found.setdefault(cls.opname, {})["properties"] = {"branches": _every(ref("complete-body"))}
    return {
        "pattern": none_of(never_bare),
        "patternErrorMessage": "this op needs attributes, which stand under it",
        "patternProperties": _by_pattern(found),
    }


def known_step(ops: Iterable[type[Op]]) -> Schema:
    """A step that names an op, for files in which nothing else can be named: they have no blocks."""
    ops = list(ops)
    names = [cls.opname for cls in ops]
    inner = {c.opname: {"properties": {"branches": _every(ref("known-body"))}} for c in ops if issubclass(c, Merge)}
    message = {"patternErrorMessage": "there is no op of this name, and the file has no blocks"}
    return {
        "pattern": one_of(names),
        **message,
        "if": {"propertyNames": {"not": {"enum": [*names, "network"]}}},
        "then": {"propertyNames": {"pattern": one_of(SIBLINGS), **message}},
        "patternProperties": _by_pattern(inner),
    }


def none_required(ops: Iterable[type[Op]]) -> Schema:
    """The `defaults` of a file that supply nothing which an op requires."""
    return {
        "properties": {cls.opname: {"properties": dict.fromkeys(required(cls), False)} for cls in ops if required(cls)}
    }


def _every(schema: Schema) -> Schema:
    return {"additionalProperties": schema}


def _by_pattern(schemas: Schema) -> Schema:
    """Properties by patterns: an editor offers the keys of `properties`, and these are offered elsewhere already."""
    return {f"^{name}$": schema for name, schema in schemas.items()}


def _and(names: list[str]) -> str:
    return " and ".join(names)


def _in_markdown(cls: type[Op]) -> str:
    lines = list(paragraphs(cls))
    rows = attributes(cls)
    listed = [f"- `{row.name}`: {row.takes}" + (f"; default `{row.default}`" if row.default else "") for row in rows]
    if listed:
        lines.append("\n".join(listed))
    if cls.principal:
        lines.append(f"A bare value is its `{cls.principal}`.")
    return "\n\n".join(lines)


# Attributes. Pydantic says what a field takes; an expression can stand for it, and for each item of a list.


class _Generator(GenerateJsonSchema):
    """Pydantic's schemas of what is written, where that is known: nothing is refused that a validator may accept."""

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_before_schema(schema) if "json_schema_input_schema" in schema else {}

    def function_wrap_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_wrap_schema(schema) if "json_schema_input_schema" in schema else {}

    def function_plain_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_plain_schema(schema) if "json_schema_input_schema" in schema else {}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def _values(cls: type[Op]) -> dict[str, list[Schema]]:
    """What each attribute may be, one alternative after another; `{}` where anything may stand."""
    theirs = cls.model_json_schema(schema_generator=_Generator, by_alias=False).get("properties", {})
    return {name: _or_expression(theirs.get(name, {})) for name in cls.model_fields}


def _properties(cls: type[Op], values: dict[str, list[Schema]]) -> Schema:
    found: Schema = {}
    for row in attributes(cls):
        said = f"{row.takes[:1].upper()}{row.takes[1:]}. Default: {row.default}."
        if row.default is None:
            said = f"{row.takes[:1].upper()}{row.takes[1:]}. Required."
        if row.principal:
            said += " It is the principal attribute: what a bare value stands for."
        found[row.name] = {"description": said.replace("`", ""), **_one(values[row.name])}
        default = compact(cls.default(row.name))
        if (
            default is None
            or isinstance(default, bool | int | str)
            or (isinstance(default, float) and isfinite(default))
        ):
            found[row.name]["default"] = default
    return found


def _or_expression(schema: Schema) -> list[Schema]:
    """A value as Pydantic describes it, or an expression that gives one."""
    options = list(_options(schema))
    if {} in options:
        return [{}]
    return options if {"type": "string"} in options else [*options, EXPRESSION]


def _one(options: list[Schema]) -> Schema:
    return options[0] if len(options) == 1 else {"anyOf": options}


def _options(schema: Schema) -> Iterable[Schema]:
    if "anyOf" in schema:
        for option in cast(list[Schema], schema["anyOf"]):
            yield from _options(option)
        return
    found = {key: schema[key] for key in _KEYWORDS if key in schema}
    # Draft 7 has no `prefixItems`: the items are given one by one, or by one schema where they are alike.
    items = cast("list[Schema]", schema.get("prefixItems", []))
    if items:
        each = [_one(_or_expression(item)) for item in items]
        found["items"] = each[0] if all(item == each[0] for item in each) else each
    elif isinstance(found.get("items"), dict):
        found["items"] = _one(_or_expression(found["items"]))
    yield found
