"""The JSON Schema of blocks, networks and embedded specs, and of their parameters."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from netspec.ops.fields import MAX_INT
from netspec.spec.read.keys import BlockOutline, EmbedOutline, NetworkOutline
from netspec.spec.read.parameters import PARAMETER_KINDS
from netspec.spec.schema.parts import TEXT, Schema, described, ref, required_keys

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


def parameter_definitions() -> Schema:
    """The definitions of the parameters of files and of blocks, and of their defaults."""
    return {
        "params": _parameters(
            "Parameters: a default for each, or its type where it must be given.",
            [kind for kind in PARAMETER_KINDS if kind != "body"],
        ),
        "block-params": _parameters(
            "Parameters: a default for each, or its type where it must be given; a `body` is steps.",
            list(PARAMETER_KINDS),
        ),
        "default": {
            "description": "A default, whose type the parameter has: a number, true or false, text, or a list.",
            "type": ["number", "boolean", "string", "array"],
            "not": {"const": "body"},
            "items": {"type": ["number", "boolean", "string", "array"]},
        },
        "size": {"type": "integer", "minimum": 1, "maximum": MAX_INT},
    }


def _parameters(description: str, kinds: list[str]) -> Schema:
    """The schema of parameters by name: each has one of the types `kinds`, or a default."""
    return {
        "description": description,
        "type": "object",
        "propertyNames": ref("parameter-name"),
        "additionalProperties": {"anyOf": [{"enum": kinds}, ref("default")]},
    }


def network_definitions() -> Schema:
    """The definitions of a block, of one of several networks, and of an embedded spec."""
    return {
        "block": _outline(BlockOutline, _BLOCK),
        "one-network": _outline(NetworkOutline, _NETWORK),
        "changed-network": {**_outline(NetworkOutline, _NETWORK), "required": []},
        "embedded": {
            "description": "Another spec as a step, with its weights: its name, or its name with params and outputs.",
            **_outline(EmbedOutline, _EMBEDDED),
            "type": ["string", "object"],
        },
    }


def _outline(model: type[BaseModel], properties: Mapping[str, Schema]) -> Schema:
    """The schema of a mapping with the keys of a Pydantic model of `spec.read.keys`."""
    return {
        "type": "object",
        "properties": {key: properties[key] for key in model.model_fields},
        "required": required_keys(model),
        "additionalProperties": False,
    }
