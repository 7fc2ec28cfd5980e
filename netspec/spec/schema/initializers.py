"""The JSON Schema of `init`: the functions that fill weights, with their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.spec.read.initializers import INITIALIZERS
from netspec.spec.schema.parts import NUMBER, Schema, pattern_of, ref


def initializer_definitions() -> Schema:
    """The definitions of `init`, of an initialiser, and of the options of each function."""
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
            # An editor offers the first alternative; the pattern decides which names are valid. (So do steps.)
            "anyOf": [{"enum": list(INITIALIZERS)}, {"type": ["string", "object", "number", "array"]}],
            "pattern": f"^({'|'.join(INITIALIZERS)})_?$",
            "patternErrorMessage": "torch.nn.init has no function of this name",
            "properties": functions,
            "patternProperties": {pattern_of(f"{name}_" for name in INITIALIZERS): {"type": ["object", "null"]}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "items": NUMBER,
            "minItems": 1,
        },
        **{f"init-{name}": _options(name, options) for name, options in INITIALIZERS.items()},
    }


def _options(function: str, options: Mapping[str, Any]) -> Schema:
    """The schema of a function's options by name."""
    properties: Schema = {}
    for name, kind in options.items():
        properties[name] = {"enum": list(kind)} if isinstance(kind, tuple) else NUMBER  # pyright: ignore[reportUnknownArgumentType]
        if kind is int:
            properties[name] = {"type": "integer", "minimum": 1}
        if name == "std":
            properties[name] = {"type": "number", "minimum": 0}
    what = f"torch.nn.init.{function}_, with its options."
    return {"description": what, "type": ["object", "null"], "properties": properties, "additionalProperties": False}
