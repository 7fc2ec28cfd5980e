"""The parts of the JSON Schema that have no ops in them: names, expressions, siblings, initialisers and claims."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from netspec.expression import FUNCTIONS as EXPRESSION_FUNCTIONS
from netspec.expression import MAX_LENGTH
from netspec.naming import IDENTIFIER, MAX_NAME, MODULE_ATTRIBUTES
from netspec.spec.limits import MAX_REPEAT
from netspec.spec.read.initializers import INITIALIZERS

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


def one_of(words: Iterable[str]) -> str:
    """A pattern for these words."""
    return f"^({'|'.join(words)})$"


def none_of(words: Iterable[str], rest: str = "") -> str:
    """A pattern for all but these words; editors say of a pattern what its message says, and of `not` nothing."""
    return f"^(?!({'|'.join(words)})$){rest}"


def described(description: str, schema: Schema) -> Schema:
    """A schema that says what it is for."""
    if "$ref" in schema:  # beside which draft 7 reads nothing
        return schema
    marked = {"markdownDescription": description} if "`" in description else {}
    return {"description": description.replace("`", ""), **marked, **schema}


def name(taken: Iterable[str], first: str) -> Schema:
    """A name that begins with one of these characters, and is none of these words."""
    return {
        "type": "string",
        "pattern": none_of(sorted(taken), NAME.replace("A-Za-z_", first, 1).removeprefix("^")),
        "patternErrorMessage": "this can't be a name here: it is taken, or not formed as one",
        "maxLength": MAX_NAME,
    }


def words(model: type[BaseModel], key: str) -> list[Any]:
    """The words that a key of the language takes."""
    return list(get_args(model.model_fields[key].annotation))


def name_definitions() -> Schema:
    """The names that things may have, as definitions."""
    return {
        "output-name": name(keyword.kwlist, "A-Za-z"),
        "module-name": name({*keyword.kwlist, *MODULE_ATTRIBUTES}, "A-Za-z"),
        "parameter-name": name({*keyword.kwlist, *EXPRESSION_FUNCTIONS, "index", "input"}, "a-z_"),
        "symbol": {"type": "string", "pattern": NAME.replace("A-Za-z_", "A-Z", 1)},
    }


def expression() -> Schema:
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


SIBLING: Mapping[str, Schema] = {
    "name": described(
        "What the step is called, in tables, errors, `from`, and the state dict.",
        name({*keyword.kwlist, *MODULE_ATTRIBUTES, "input"}, "A-Za-z"),
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
"""What may stand beside a step's op, but for `expect`, which only the network's own steps have."""


def initializer_definitions() -> Schema:
    """`init`, an initialiser, and the options of each function, as definitions."""
    functions = {name: ref(f"init-{name}") for name in INITIALIZERS}
    return {
        "init": {
            "description": "What fills the op's weights at first: {weight: kaiming_normal, bias: 0}.",
            "type": "object",
            "properties": {"weight": ref("initializer"), "bias": ref("initializer")},
            "additionalProperties": ref("initializer"),
        },
        "initializer": {
            "description": "A function of torch.nn.init without its underscore, by name or with its options; a number; "
            "or a list of numbers.",
            "type": ["string", "object", "number", "array"],
            # As of steps: the first alternative is what an editor offers, and the pattern is the rule.
            "anyOf": [{"enum": list(INITIALIZERS)}, {"type": ["string", "object", "number", "array"]}],
            "pattern": f"^({'|'.join(INITIALIZERS)})_?$",
            "patternErrorMessage": "torch.nn.init has no function of this name",
            "properties": functions,
            "patternProperties": {one_of(f"{name}_" for name in INITIALIZERS): {"type": ["object", "null"]}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "items": NUMBER,
            "minItems": 1,
        },
        **{f"init-{name}": _options(name, options) for name, options in INITIALIZERS.items()},
    }


def _options(function: str, options: Mapping[str, Any]) -> Schema:
    found: Schema = {}
    for name, kind in options.items():
        found[name] = {"enum": list(kind)} if isinstance(kind, tuple) else NUMBER  # pyright: ignore[reportUnknownArgumentType]
        if kind is int:
            found[name] = {"type": "integer", "minimum": 1}
        if name == "std":
            found[name] = {"type": "number", "minimum": 0}
    described = f"torch.nn.init.{function}_, with its options."
    return {"description": described, "type": ["object", "null"], "properties": found, "additionalProperties": False}


def claims() -> Schema:
    """`expect` of a network and of a step, as definitions; a test holds them against those that are checked."""
    figure = {"type": ["integer", "string"], "pattern": r"^\d+(\.\d+)?\s*[KMGBT]$"}
    count = {"anyOf": [figure, {"type": "array", "items": figure, "minItems": 1}]}
    totals = {
        "parameters": described("How many parameters: an int, or a figure as a paper prints it, `144 M`.", count),
        "macs": described("How many multiply-accumulates, for one sample: an int, or a figure, `3.8 G`.", count),
    }
    axes = {"type": ["integer", "array"]}
    over = {"size": axes, "over": ref("path")}
    field = {**axes, "type": [*axes["type"], "object"], "properties": over, "required": list(over)}
    steps = {"type": "object", "additionalProperties": ref("step-claims")}
    step = {
        "shape": described("Its shape: [N, 512, 7, 7].", {"type": "array", "items": {"type": ["integer", "string"]}}),
        "stride": described("How far apart its units' windows are on the input.", axes),
        "receptive_field": described(
            "What a unit sees of the input: a size, [height, width], or {size: 7, over: pool2} as seen there.",
            {**field, "additionalProperties": False},
        ),
        **totals,
    }
    network = {
        **totals,
        "train": closed(totals, "Claims about the network in training."),
        "steps": described("Claims about steps, by their paths.", steps),
    }
    return {
        "claims": closed(network, "Claims about the network, which netspec validate checks."),
        "step-claims": closed(step, "Claims about the step, which netspec validate checks."),
        "path": {"type": "string"},
    }


def sources() -> Schema:
    """`weights` of a file, or of one of its networks, as a definition."""
    description = "Whose state dicts fit, by a name for each origin, such as torchvision."
    return {"description": description, "type": "object", "additionalProperties": ref("weights")}


def weights() -> Schema:
    """A source of weights, as a definition."""
    key = {"type": ["string", "null"], "pattern": r"^[A-Za-z0-9_*]+(\.[A-Za-z0-9_*]+)*$"}
    properties = {
        "title": described("What reports call the origin.", TEXT),
        "params": described("Parameters of this spec without which the weights would be wrong.", {"type": "object"}),
        "keys": described(
            "Beginnings of their keys, and what they are here; * is what stands between two dots. Null leaves it out.",
            {"type": "object", "propertyNames": {"pattern": key["pattern"]}, "additionalProperties": key},
        ),
        "order": described(
            "For the same layers in the same order: the first parts of their keys, as they come.",
            {"type": "array", "items": TEXT},
        ),
    }
    return closed(properties, "State dicts of one origin.")


def closed(properties: Schema, description: str) -> Schema:
    """A mapping that has no other keys."""
    return {"description": description, "type": "object", "properties": properties, "additionalProperties": False}
