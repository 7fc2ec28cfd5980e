"""The JSON Schema of inputs and outputs, with `preprocess` and `labels`."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.labels import KNOWN
from netspec.spec.limits import MAX_IMAGE_SIDE
from netspec.spec.read.keys import InputOutline, OutputOutline, PreprocessOutline
from netspec.spec.read.preprocess import IMAGES
from netspec.spec.schema.parts import (
    EXPRESSION,
    NUMBER,
    VALUE,
    Schema,
    closed_mapping,
    described,
    literal_values,
    pattern_of,
    ref,
)

_DIM = {"anyOf": [ref("size"), EXPRESSION]}
_DTYPES = literal_values(InputOutline, "dtype")
_INPUT: Mapping[str, Schema] = {
    "shape": described("Sizes, batch first.", {"type": "array", "items": _DIM, "minItems": 1}),
    "dtype": described("The type of its elements.", {"enum": _DTYPES, "default": "float32"}),
    "nominal": described(
        "Sizes for symbols, at which totals are given: {H: 600, W: 1000}.",
        {"type": "object", "propertyNames": ref("symbol"), "additionalProperties": ref("size")},
    ),
}
_OUTPUT: Mapping[str, Schema] = {
    "mode": described("`train`: it is built in training only.", {"enum": literal_values(OutputOutline, "mode")}),
}


def input_and_output_definitions() -> Schema:
    """The definitions of an input and an output."""
    return {
        "input": {
            "description": "A shape: sizes, batch first; each an int, an expression over parameters, or a capital for "
            "a size that stays open. Or shape, dtype and nominal sizes by name.",
            "type": ["array", "object"],
            "items": _DIM,
            "minItems": 1,
            "properties": {key: _INPUT[key] for key in InputOutline.model_fields},
            "required": ["shape"],
            "additionalProperties": False,
        },
        "output": {
            "description": "The step, or input, whose value it is.",
            "type": ["string", "object"],
            "pattern": VALUE,
            "properties": {"from": ref("value"), **{key: _OUTPUT[key] for key in OutputOutline.model_fields}},
            "required": ["from"],
            "additionalProperties": False,
        },
        "value": {"type": "string", "pattern": VALUE},
    }


def image_definitions() -> Schema:
    """The definitions of `preprocess` and `labels` of a file, or of one of its networks."""
    side: Schema = {"type": ["integer", "array"], "minimum": 1, "maximum": MAX_IMAGE_SIDE, "minItems": 2, "maxItems": 2}
    side["items"] = {"type": "integer", "minimum": 1, "maximum": MAX_IMAGE_SIDE}
    numbers: Schema = {"type": ["number", "array"], "items": NUMBER, "minItems": 1, "maxItems": max(IMAGES)}
    positive = {**numbers, "exclusiveMinimum": 0, "items": {"type": "number", "exclusiveMinimum": 0}}
    properties = {
        "resize": described("What the shorter side becomes, or [height, width].", side),
        "max_size": described(
            "What the longer side becomes at most, where `resize` is the shorter side.",
            {"type": "integer", "minimum": 2, "maximum": MAX_IMAGE_SIDE},
        ),
        "crop": described("The part at the centre that is taken: a size, or [height, width].", side),
        "interpolation": described(
            "How pixels are resized.",
            {"enum": literal_values(PreprocessOutline, "interpolation"), "default": "bilinear"},
        ),
        "channels": described(
            "The order of the channels.", {"enum": literal_values(PreprocessOutline, "channels"), "default": "rgb"}
        ),
        "rescale": described("Whether pixels go from 0 to 1, not from 0 to 255.", {"type": "boolean", "default": True}),
        "mean": described("What is taken away: a number, or one for each channel.", numbers),
        "std": described("What the rest is divided by: a number, or one for each channel.", positive),
    }
    label = {"type": ["string", "integer"], "minLength": 1}
    return {
        "preprocess": {
            "description": "How an image becomes an input: {image: {resize: 256, mean: 0.5, std: 0.5}}.",
            "type": "object",
            "propertyNames": ref("module-name"),
            "additionalProperties": closed_mapping(properties, "What is done to an image, from `resize` to `std`."),
        },
        "labels": {
            "description": "The names of the classes of an output, {logits: [cat, dog]}; of integers, of its values.",
            "type": "object",
            "propertyNames": ref("output-name"),
            "additionalProperties": {
                "type": ["string", "array"],
                "pattern": pattern_of(KNOWN),
                "items": label,
                "minItems": 1,
            },
        },
    }
