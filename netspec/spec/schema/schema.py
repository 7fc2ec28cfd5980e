"""The JSON Schema of a spec (draft 7), which gives editors completion, documentation and a first check.

It is derived from the ops and from the models of the language. It accepts each spec that netspec accepts, except for
errors in steps that are never elaborated. It can't check names in reach, parameters of blocks, or shapes.
"""

from __future__ import annotations

from collections.abc import Iterable

from netspec.ops.base import Op
from netspec.spec.read.keys import OF_ONE_NETWORK, Outline
from netspec.spec.schema.claims import claim_definitions, weight_origin, weight_origins
from netspec.spec.schema.images import image_definitions, input_and_output_definitions
from netspec.spec.schema.initializers import initializer_definitions
from netspec.spec.schema.networks import network_definitions, parameter_definitions
from netspec.spec.schema.ops import definition_of, none_required, op_schema
from netspec.spec.schema.parts import TEXT, Schema, expression_definition, name_definitions, ref, required_keys
from netspec.spec.schema.sections import sections
from netspec.spec.schema.steps import step_definitions

ID = "urn:netspec:spec:1"


def spec_schema(ops: Iterable[type[Op]]) -> Schema:
    """The schema of specs that use these ops."""
    ops = list(ops)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "netspec",
        "description": "A spec of a neural network in version 1 of netspec's language.",
        "type": "object",
        "properties": sections(ops),
        "additionalProperties": False,
        "required": required_keys(Outline),
        **_network_or_networks(),
        "allOf": _rules(ops),
        "definitions": _definitions(ops),
    }


def _network_or_networks() -> Schema:
    """The rules about sections that go together: a file with `extends` has no steps, for example."""
    return {
        "if": {"properties": {"extends": TEXT}, "required": ["extends"]},
        "then": {
            "properties": {"network": False, "outputs": False, "networks": {"additionalProperties": _changed_or_new()}}
        },
        "else": {
            "properties": {"networks": {"additionalProperties": ref("one-network")}},
            "if": {"required": ["networks"]},
            "then": {
                "if": {"not": {"required": ["network"]}},
                "then": {"properties": dict.fromkeys(OF_ONE_NETWORK, False)},
            },
            "else": {"properties": {"inputs": {"minProperties": 1}}, "required": ["inputs", "network"]},
        },
    }


def _changed_or_new() -> Schema:
    """The rule that a network beside `extends` has outputs only with a body."""
    return {"if": {"not": {"required": ["body"]}}, "then": {"properties": {"outputs": False}}}


def _rules(ops: list[type[Op]]) -> list[Schema]:
    """The rules for all steps of a file, which depend on its `defaults` and blocks.

    The keys are patterns: an editor would offer keys of `properties` twice.
    """

    def bodies(definition: str) -> Schema:
        """The rule that all bodies of a file follow a definition."""
        body = ref(definition)
        return {
            "patternProperties": {
                "^network$": body,
                "^(blocks|networks)$": {"additionalProperties": {"patternProperties": {"^body$": body}}},
            }
        }

    supplies_nothing = {"properties": {"defaults": none_required(ops)}}
    nothing_else = {"properties": {"blocks": False, "networks": False, "extends": False, "use": False}}
    return [
        {"if": supplies_nothing, "then": bodies("complete-body")},
        {"if": nothing_else, "then": bodies("known-body")},
    ]


def _definitions(ops: list[type[Op]]) -> Schema:
    """All definitions of the schema."""
    return {
        **name_definitions(),
        "expression": expression_definition(),
        **parameter_definitions(),
        **input_and_output_definitions(),
        **network_definitions(),
        "sources": weight_origins(),
        **image_definitions(),
        "weights": weight_origin(),
        **step_definitions(ops),
        **initializer_definitions(),
        **claim_definitions(),
        **{definition_of(cls): op_schema(cls) for cls in ops},
    }
