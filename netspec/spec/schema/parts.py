"""Parts of JSON Schemas: patterns, descriptions, mappings, and the definitions of names."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel

from netspec.expression import FUNCTIONS as EXPRESSION_FUNCTIONS
from netspec.expression import MAX_LENGTH
from netspec.naming import IDENTIFIER, MAX_NAME, MODULE_ATTRIBUTES

Schema = dict[str, Any]

NAME = f"^{IDENTIFIER.pattern.removesuffix(chr(92) + 'Z')}$"
"""The pattern of all names."""
VALUE = NAME.replace("$", r"(\.[A-Za-z_][A-Za-z0-9_]*)?$")
"""The pattern of values: a step's name, and optionally a dot and one of its outputs."""
NUMBER = {"type": "number"}
TEXT = {"type": "string"}


def ref(definition: str) -> Schema:
    """A reference to a definition of the schema."""
    return {"$ref": f"#/definitions/{definition}"}


EXPRESSION = ref("expression")


def pattern_of(words: Iterable[str]) -> str:
    """A pattern that matches these words only."""
    return f"^({'|'.join(words)})$"


def pattern_except(words: Iterable[str], rest: str = "") -> str:
    """A pattern that matches all but these words; unlike `not`, editors can show a message of its own for it."""
    return f"^(?!({'|'.join(words)})$){rest}"


def described(description: str, schema: Schema) -> Schema:
    """A schema with a description, also in Markdown if it contains code."""
    if "$ref" in schema:  # draft 7 ignores keywords beside it
        return schema
    marked = {"markdownDescription": description} if "`" in description else {}
    return {"description": description.replace("`", ""), **marked, **schema}


def name_schema(taken: Iterable[str], first: str) -> Schema:
    """The schema of a name that is not taken, and begins with a character of the class `first`, such as `A-Za-z`."""
    return {
        "type": "string",
        "pattern": pattern_except(sorted(taken), NAME.replace("A-Za-z_", first, 1).removeprefix("^")),
        "patternErrorMessage": "this can't be a name here: it is taken, or not formed as one",
        "maxLength": MAX_NAME,
    }


def required_keys(model: type[BaseModel]) -> list[str]:
    """The required keys of a Pydantic model of `spec.read.keys`."""
    return [key for key, field in model.model_fields.items() if field.is_required()]


def literal_values(model: type[BaseModel], key: str) -> list[Any]:
    """The values of a key whose type is a `Literal`, in a Pydantic model of `spec.read.keys`."""
    return list(get_args(model.model_fields[key].annotation))


def closed_mapping(properties: Schema, description: str) -> Schema:
    """The schema of a mapping with these keys and no others."""
    return {"description": description, "type": "object", "properties": properties, "additionalProperties": False}


def name_definitions() -> Schema:
    """The definitions of the names of outputs, modules, parameters and symbols."""
    return {
        "output-name": name_schema(keyword.kwlist, "A-Za-z"),
        "module-name": name_schema({*keyword.kwlist, *MODULE_ATTRIBUTES}, "A-Za-z"),
        "parameter-name": name_schema({*keyword.kwlist, *EXPRESSION_FUNCTIONS, "index", "input"}, "a-z_"),
        "symbol": {"type": "string", "pattern": NAME.replace("A-Za-z_", "A-Z", 1)},
    }


def expression_definition() -> Schema:
    """The definition of an expression, as far as a pattern can tell."""
    return {
        # `$comment`, since a description would hide that of the attribute.
        "title": "an expression",
        "$comment": "An expression: parameters, index, sizes as input.channels, numbers, operators, x if c else y; "
        f"functions are {', '.join(EXPRESSION_FUNCTIONS)}.",
        "type": "string",
        "maxLength": MAX_LENGTH,
        # The characters of expressions, without `**`; a number in quotes is text.
        "pattern": r"^(?!\s*-?[0-9.]+\s*$)([\s\w.$+/%<>=!()\[\],-]|\*(?!\*)|'[^']*')+$",
        "patternErrorMessage": "this is no number, and no expression of the spec language",
    }
