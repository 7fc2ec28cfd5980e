"""The JSON Schema of a file's sections, which are its top-level keys."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from netspec.naming import SIBLINGS
from netspec.ops.base import Op
from netspec.spec.read.keys import Outline
from netspec.spec.schema.ops import defaults_schema
from netspec.spec.schema.parts import TEXT, Schema, described, literal_values, name_schema, pattern_except, ref


def sections(ops: Iterable[type[Op]]) -> Schema:
    """The schema of each section, in the order of the language."""
    ops = list(ops)
    schemas = {**_head(), **_parts(ops), **_networks(ops), **_claims_and_data()}
    return {key: schemas[key] for key in Outline.model_fields}


def _head() -> Schema:
    """The sections that describe the file, and name the other files it needs."""
    return {
        "netspec": described("The version of the language.", {"enum": literal_values(Outline, "netspec")}),
        "name": described(
            "The name of the network; the compiled class is named after it.", name_schema(keyword.kwlist, "A-Za-z_")
        ),
        "title": described("What reports call the network.", TEXT),
        "source": described("Where the network is from: a paper, a repository.", TEXT),
        "extends": described(
            "Another spec that this one changes, by the name of a bundled one or by its path from this file. "
            "`params`, `inputs` and `blocks` are replaced by key; `network`, `networks` and `outputs` stay.",
            {"type": ["string", "null"]},
        ),
        "use": described(
            "Other specs whose blocks this one uses, by the name of a bundled one or by path from this file.",
            {"type": "array", "items": TEXT},
        ),
    }


def _parts(ops: list[type[Op]]) -> Schema:
    """The sections that steps read: parameters, inputs, blocks and defaults."""
    return {
        "params": ref("params"),
        "inputs": described(
            "The names and shapes of what goes in, batch first: {image: [N, 3, 224, 224]}.",
            {"type": "object", "propertyNames": ref("module-name"), "additionalProperties": ref("input")},
        ),
        "blocks": described(
            "Reusable parts: each has parameters and a body, and is used as an op is.",
            {"type": "object", "propertyNames": _name_of_a_use(ops), "additionalProperties": ref("block")},
        ),
        "defaults": described(
            "Attributes and initialisers that all steps of an op in this file have unless they say otherwise.",
            {
                "type": "object",
                "properties": {cls.opname: defaults_schema(cls) for cls in ops},
                "additionalProperties": False,
            },
        ),
    }


def _networks(ops: list[type[Op]]) -> Schema:
    """The sections with the steps of one or several networks, and the outputs."""
    return {
        "network": ref("network"),
        "networks": described(
            "Several networks by their names, each of them a step of the others: `gan:generator` selects one.",
            {"type": "object", "propertyNames": _name_of_a_use(ops), "additionalProperties": ref("changed-network")},
        ),
        "outputs": described(
            "Names for what comes out: {logits: fc8}. Without it, the last step's value is the only output.",
            {"type": "object", "propertyNames": ref("output-name"), "additionalProperties": ref("output")},
        ),
    }


def _claims_and_data() -> Schema:
    """The sections about the network: claims, sources of weights, preprocessing and labels."""
    return {
        "expect": ref("claims"),
        "weights": ref("sources"),
        "preprocess": ref("preprocess"),
        "labels": ref("labels"),
    }


def _name_of_a_use(ops: list[type[Op]]) -> Schema:
    """The schema of a block's or network's name: no op and no sibling of a step may have it."""
    taken = [*SIBLINGS, "network", *(cls.opname for cls in ops)]
    return {"allOf": [ref("module-name"), {"pattern": pattern_except(taken)}]}
