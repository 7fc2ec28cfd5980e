"""The vocabulary of the JSON Schema: patterns, descriptions, names, and its text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from netspec.ops.base import REGISTRY
from netspec.ops.convolution import Conv2d
from netspec.ops.merge import Concat
from netspec.spec.read.keys import Outline, OutputOutline
from netspec.spec.schema.ops import bare_step, none_required, op_schema, required_attributes, siblings_of
from netspec.spec.schema.parts import (
    closed_mapping,
    described,
    literal_values,
    name_schema,
    pattern_except,
    pattern_of,
    ref,
    required_keys,
)
from netspec.spec.schema.schema_text import schema_text
from netspec.spec.schema.sections import sections


@pytest.mark.parametrize(("word", "is_one"), [("relu", True), ("conv2d", True), ("rel", False), ("relux", False)])
def test_patterns_of_words_match_whole_words(word: str, is_one: bool) -> None:
    assert bool(re.search(pattern_of(["relu", "conv2d"]), word)) is is_one
    assert bool(re.search(pattern_except(["relu", "conv2d"]), word)) is not is_one


@pytest.mark.parametrize(("name", "fits"), [("conv1", True), ("_conv", False), ("for", False), ("1x", False)])
def test_names(name: str, fits: bool) -> None:
    assert bool(re.search(name_schema(["for"], "A-Za-z")["pattern"], name)) is fits


def test_descriptions_are_plain_text_and_markdown_where_there_is_code_in_them() -> None:
    schema = {"type": "string"}
    assert described("A name.", schema) == {"description": "A name.", "type": "string"}
    coded = described("`x`, a name.", schema)
    assert coded == {"description": "x, a name.", "markdownDescription": "`x`, a name.", "type": "string"}
    assert described("Draft 7 reads nothing beside a reference.", ref("name")) == ref("name")


def test_a_closed_mapping_has_no_other_keys() -> None:
    mapping = closed_mapping({"a": {"type": "string"}}, "One key.")
    assert (mapping["type"], mapping["additionalProperties"]) == ("object", False)


def test_keys_and_values_are_those_of_the_models() -> None:
    assert literal_values(OutputOutline, "mode") == ["train", "inference"]
    assert required_keys(Outline) == ["netspec", "name"]


def test_sections_are_the_keys_of_a_file_in_their_order() -> None:
    assert list(sections(REGISTRY.values())) == list(Outline.model_fields)


def test_an_op_says_what_it_needs() -> None:
    assert required_attributes(Conv2d) == ["out_channels", "kernel_size"]
    assert none_required([Conv2d]) == {
        "properties": {"conv2d": {"properties": {"out_channels": False, "kernel_size": False}}}
    }
    assert op_schema(Conv2d)["additionalProperties"] is False
    assert bare_step(Concat)["const"] == "concat"


def test_a_merge_has_branches_or_several_values() -> None:
    branches, values = siblings_of(Concat)["anyOf"]
    assert branches["properties"]["concat"]["required"] == ["branches"]
    assert values["properties"]["from"] == {"type": "array", "minItems": 2}
    assert siblings_of(Conv2d)["properties"] == {"from": {"maxItems": 1}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"type": "string"}, '{"type": "string"}\n'),
        ({}, "{}\n"),
        ({"a": "x" * 60, "b": "y" * 60}, f'{{\n  "a": "{"x" * 60}",\n  "b": "{"y" * 60}"\n}}\n'),
        (
            {"enum": ["x" * 40, "y" * 40, "z" * 40]},
            f'{{\n  "enum": [\n    "{"x" * 40}", "{"y" * 40}",\n    "{"z" * 40}"\n  ]\n}}\n',
        ),
    ],
)
def test_text_that_fits_a_line_stands_on_one(value: dict[str, Any], text: str) -> None:
    assert schema_text(value) == text
    assert json.loads(text) == value
