"""The vocabulary of the JSON Schema: patterns, descriptions and mappings, and the definitions of names."""

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
"""The pattern of names in general."""
VALUE = NAME.replace("$", r"(\.[A-Za-z_][A-Za-z0-9_]*)?$")
"""The pattern of values: a step's name, and one of its outputs behind a dot."""
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
    """A pattern that matches all but these words; unlike `not`, a pattern can have a message of its own in editors."""
    return f"^(?!({'|'.join(words)})$){rest}"


def described(description: str, schema: Schema) -> Schema:
    """A schema with a description, in Markdown too where it has code in it."""
    if "$ref" in schema:  # beside which draft 7 reads nothing
        return schema
    marked = {"markdownDescription": description} if "`" in description else {}
    return {"description": description.replace("`", ""), **marked, **schema}


def name_schema(taken: Iterable[str], first: str) -> Schema:
    """A name that begins with one of the characters `first`, and is not taken."""
    return {
        "type": "string",
        "pattern": pattern_except(sorted(taken), NAME.replace("A-Za-z_", first, 1).removeprefix("^")),
        "patternErrorMessage": "this can't be a name here: it is taken, or not formed as one",
        "maxLength": MAX_NAME,
    }


def required_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a model of the language that must be there."""
    return [key for key, field in model.model_fields.items() if field.is_required()]


def literal_values(model: type[BaseModel], key: str) -> list[Any]:
    """The values of a key of the language that is a `Literal`."""
    return list(get_args(model.model_fields[key].annotation))


def closed_mapping(properties: Schema, description: str) -> Schema:
    """A mapping with these keys and no others."""
    return {"description": description, "type": "object", "properties": properties, "additionalProperties": False}


def name_definitions() -> Schema:
    """The names that things may have, as definitions."""
    return {
        "output-name": name_schema(keyword.kwlist, "A-Za-z"),
        "module-name": name_schema({*keyword.kwlist, *MODULE_ATTRIBUTES}, "A-Za-z"),
        "parameter-name": name_schema({*keyword.kwlist, *EXPRESSION_FUNCTIONS, "index", "input"}, "a-z_"),
        "symbol": {"type": "string", "pattern": NAME.replace("A-Za-z_", "A-Z", 1)},
    }


def expression_definition() -> Schema:
    """An expression, as far as a pattern can tell."""
    return {
        # A comment and no description, which would hide that of the attribute it stands for.
        "title": "an expression",
        "$comment": "An expression: parameters, index, sizes as input.channels, numbers, operators, x if c else y; "
        f"functions are {', '.join(EXPRESSION_FUNCTIONS)}.",
        "type": "string",
        "maxLength": MAX_LENGTH,
        # The characters it is made of, `**` left out; a number in quotes is text.
        "pattern": r"^(?!\s*-?[0-9.]+\s*$)([\s\w.$+/%<>=!()\[\],-]|\*(?!\*)|'[^']*')+$",
        "patternErrorMessage": "this is no number, and no expression of the spec language",
    }
