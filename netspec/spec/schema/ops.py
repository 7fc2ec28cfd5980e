"""The JSON Schema of ops: a definition for each, derived from its class, and rules for steps that use them."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from netspec.naming import SIBLINGS
from netspec.ops.base import Merge, Op
from netspec.ops.reference import attributes, compact, first_line, paragraphs
from netspec.spec.schema.parts import EXPRESSION, Schema, pattern_except, pattern_of, ref

_NOT_A_LIST = ["object", "string", "number", "boolean", "null"]
_KEPT_KEYWORDS = (
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
"""The keywords of Pydantic's schemas that are kept; the constraints of others are dropped."""


def definition_of(cls: type[Op]) -> str:
    """The name of an op's definition; no other definition of the schema begins with `op-`."""
    return f"op-{cls.opname}"


def op_schema(cls: type[Op]) -> Schema:
    """The schema of an op's argument: attributes by name, a bare value for the principal one, or nothing."""
    values = _values(cls)
    properties = _properties(cls, values)
    if issubclass(cls, Merge):
        properties["branches"] = ref("branches")
    schema: Schema = {
        "title": cls.opname,
        "description": " ".join(paragraphs(cls)).replace("`", ""),
        "markdownDescription": _in_markdown(cls),
        "type": ["object", "null"] if properties else ["null", "object"],
    }
    if cls.principal is not None:
        schema |= _bare_value([option for option in values[cls.principal] if option.get("type") != "array"])
    return schema | {"properties": properties, "additionalProperties": False}


def _bare_value(options: list[Schema]) -> Schema:
    """The keywords that also allow a bare value: a value of the principal attribute, whose schemas are `options`."""
    types = ["string" if option == EXPRESSION else option.get("type") for option in options]
    allowed = list(dict.fromkeys(["object", *types, "null"])) if all(types) else _NOT_A_LIST
    # A condition, not `anyOf`: editors report little about the errors inside a choice.
    schema: Schema = {"type": allowed, "if": {"not": {"type": ["object", "null"]}}, "then": _any_of(options)}
    words = [option for option in options if "enum" in option]
    # Editors offer words in `anyOf`, and not those behind a condition.
    return schema | {"anyOf": [*words, {"type": allowed}]} if words else schema


def defaults_schema(cls: type[Op]) -> Schema:
    """The schema of an op's entry in `defaults`: its attributes, and `init`."""
    at = f"{definition_of(cls)}/properties"
    properties = {name: ref(f"{at}/{name}") for name in cls.model_fields}
    return {
        "description": f"What every {cls.opname} of this file has unless its step says otherwise.",
        "type": "object",
        "properties": properties | {"init": ref("init")},
        "additionalProperties": False,
    }


def required_attributes(cls: type[Op]) -> list[str]:
    """The attributes of an op that have no default."""
    return [name for name in cls.model_fields if cls.default(name) is ...]


def bare_step(cls: type[Op]) -> Schema:
    """The schema of a step that is the op's name alone, which an editor offers and explains."""
    return {"const": cls.opname, "description": first_line(cls).replace("`", "")}


def siblings_of(cls: type[Op]) -> Schema:
    """The rules for the keys beside an op: which there are, and how many values `from` may name."""
    least, most = cls.inputs
    schema: Schema = {"propertyNames": {"enum": [cls.opname, *SIBLINGS]}}
    if issubclass(cls, Merge):
        branches = {cls.opname: {"type": "object", "required": ["branches"]}, "from": {"maxItems": 1}}
        several = {cls.opname: {"properties": {"branches": False}}, "from": {"type": "array", "minItems": least}}
        schema["anyOf"] = [{"properties": branches}, {"properties": several, "required": ["from"]}]
    elif most is not None:
        schema["properties"] = {"from": {"maxItems": most}}
    return schema


def complete_step_definition(ops: Iterable[type[Op]]) -> Schema:
    """The rule that a step has all attributes its op requires, for files whose `defaults` supply none of them."""
    arguments: Schema = {}
    never_bare: list[str] = []
    for cls in ops:
        names = required_attributes(cls)
        if names:
            never_bare.append(cls.opname)
            # A bare value is enough if only the principal attribute is required.
            types = [t for t in _NOT_A_LIST if t != "null"] if names == [cls.principal] else ["object"]
            message = f"{cls.opname} needs {' and '.join(names)}"
            arguments[cls.opname] = {"type": types, "required": names, "errorMessage": message}
        if issubclass(cls, Merge):
            arguments.setdefault(cls.opname, {})["properties"] = {"branches": _every(ref("complete-body"))}
    return {
        "pattern": pattern_except(never_bare),
        "patternErrorMessage": "this op needs attributes, which stand under it",
        "patternProperties": _by_pattern(arguments),
    }


def known_step_definition(ops: Iterable[type[Op]]) -> Schema:
    """The rule that a step names an op, for files without blocks, whose steps can name nothing else."""
    ops = list(ops)
    names = [cls.opname for cls in ops]
    inner = {c.opname: {"properties": {"branches": _every(ref("known-body"))}} for c in ops if issubclass(c, Merge)}
    message = {"patternErrorMessage": "there is no op of this name, and the file has no blocks"}
    return {
        "pattern": pattern_of(names),
        **message,
        "if": {"propertyNames": {"not": {"enum": [*names, "network"]}}},
        "then": {"propertyNames": {"pattern": pattern_of(SIBLINGS), **message}},
        "patternProperties": _by_pattern(inner),
    }


def none_required(ops: Iterable[type[Op]]) -> Schema:
    """The schema of `defaults` that supply no attribute which an op requires."""
    needed = {cls.opname: required_attributes(cls) for cls in ops}
    return {"properties": {op: {"properties": dict.fromkeys(names, False)} for op, names in needed.items() if names}}


def _every(schema: Schema) -> Schema:
    return {"additionalProperties": schema}


def _by_pattern(schemas: Schema) -> Schema:
    """Schemas by patterns of keys: an editor would offer keys of `properties` twice."""
    return {f"^{name}$": schema for name, schema in schemas.items()}


def _in_markdown(cls: type[Op]) -> str:
    """The documentation of an op that an editor shows: its paragraphs, then its attributes."""
    lines = list(paragraphs(cls))
    rows = attributes(cls)
    listed = [f"- `{row.name}`: {row.takes}" + (f"; default `{row.default}`" if row.default else "") for row in rows]
    if listed:
        lines.append("\n".join(listed))
    if cls.principal:
        lines.append(f"A bare value is its `{cls.principal}`.")
    return "\n\n".join(lines)


# Attributes. Pydantic describes the values of a field; an expression may replace each, and each item of a list.


class _Generator(GenerateJsonSchema):
    """Pydantic's schemas of attribute values.

    A value with a validator may be anything, unless `json_schema_input_type` declares what the validator takes.
    """

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_before_schema(schema) if "json_schema_input_schema" in schema else {}

    def function_wrap_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_wrap_schema(schema) if "json_schema_input_schema" in schema else {}

    def function_plain_schema(self, schema: Any) -> JsonSchemaValue:
        return super().function_plain_schema(schema) if "json_schema_input_schema" in schema else {}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def _values(cls: type[Op]) -> dict[str, list[Schema]]:
    """The alternative schemas of each attribute's values; `{}` allows any value."""
    properties = cls.model_json_schema(schema_generator=_Generator, by_alias=False).get("properties", {})
    return {name: _or_expression(properties.get(name, {})) for name in cls.model_fields}


def _properties(cls: type[Op], values: dict[str, list[Schema]]) -> Schema:
    """The attributes of an op by name, each with its description and default."""
    properties: Schema = {}
    for row in attributes(cls):
        said = f"{row.takes[:1].upper()}{row.takes[1:]}. Default: {row.default}."
        if row.default is None:
            said = f"{row.takes[:1].upper()}{row.takes[1:]}. Required."
        if row.principal:
            said += " It is the principal attribute: what a bare value stands for."
        properties[row.name] = {"description": said.replace("`", ""), **_any_of(values[row.name])}
        default = compact(cls.default(row.name))
        if (
            default is None
            or isinstance(default, bool | int | str | list)
            or (isinstance(default, float) and isfinite(default))
        ):
            properties[row.name]["default"] = default
    return properties


def _or_expression(schema: Schema) -> list[Schema]:
    """The alternatives of Pydantic's schema, and an expression."""
    options = list(_options(schema))
    if {} in options:
        return [{}]
    return options if {"type": "string"} in options else [*options, EXPRESSION]


def _any_of(options: list[Schema]) -> Schema:
    return options[0] if len(options) == 1 else {"anyOf": options}


def _options(schema: Schema) -> Iterable[Schema]:
    """The alternatives of a schema by Pydantic, in the keywords of draft 7."""
    if "anyOf" in schema:
        for option in cast(list[Schema], schema["anyOf"]):
            yield from _options(option)
        return
    kept = {key: schema[key] for key in _KEPT_KEYWORDS if key in schema}
    # Draft 7 has no `prefixItems`: `items` is a list of schemas, or one schema for equal items.
    items = cast("list[Schema]", schema.get("prefixItems", []))
    if items:
        each = [_any_of(_or_expression(item)) for item in items]
        kept["items"] = each[0] if all(item == each[0] for item in each) else each
    elif isinstance(kept.get("items"), dict):
        kept["items"] = _any_of(_or_expression(kept["items"]))
    yield kept
