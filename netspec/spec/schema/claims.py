"""The JSON Schema of claims about a network, `expect`, and of the state dicts that fit it, `weights`."""

from __future__ import annotations

from netspec.spec.schema.parts import TEXT, Schema, closed_mapping, described, ref


def claim_definitions() -> Schema:
    """The definitions of `expect` of a network and of a step; a test compares them with `netspec.expect`."""
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
        "train": closed_mapping(totals, "Claims about the network in training."),
        "steps": described("Claims about steps, by their paths.", steps),
    }
    return {
        "claims": closed_mapping(network, "Claims about the network, which netspec validate checks."),
        "step-claims": closed_mapping(step, "Claims about the step, which netspec validate checks."),
        "path": {"type": "string"},
    }


def weight_origins() -> Schema:
    """The definition of `weights` of a file, or of one of its networks."""
    description = "Whose state dicts fit, by a name for each origin, such as torchvision."
    return {"description": description, "type": "object", "additionalProperties": ref("weights")}


def weight_origin() -> Schema:
    """The definition of one source under `weights`."""
    key = {"type": ["string", "null"], "pattern": r"^[A-Za-z0-9_*]+(\.[A-Za-z0-9_*]+)*$"}
    rules = {"type": "object", "propertyNames": {"pattern": key["pattern"]}, "additionalProperties": key}
    properties = {
        "title": described("What reports call the origin.", TEXT),
        "params": described("Parameters of this spec without which the weights would be wrong.", {"type": "object"}),
        "keys": described(
            "Beginnings of their keys, and what they are here; * is what stands between two dots. Null leaves it out.",
            rules,
        ),
        "prefixes": described("Beginnings of what `keys` makes of their keys, and what they are here.", rules),
        "order": described(
            "For the same layers in the same order: the first parts of their keys, as they come.",
            {"type": "array", "items": TEXT},
        ),
        "transposed": described(
            "Beginnings of keys here whose matrices are transposed there: (in, out), as in TensorFlow.",
            {"type": "array", "items": {"type": "string", "pattern": key["pattern"]}},
        ),
    }
    return closed_mapping(properties, "State dicts of one origin.")
