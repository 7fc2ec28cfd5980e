"""Attributes of free text, such as the equation of `einsum`: literal, but for `$name`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jsonschema import Draft7Validator

import netspec
from netspec.ops.base import REGISTRY
from netspec.ops.own import load_ops
from netspec.spec.schema.schema import spec_schema
from tests.support.paths import ERROR_CASES

SPEC = """netspec: 1
name: tags
params: {text: 'x + y', width: 4}
inputs: {x: [N, 3]}
defaults: {tagged: {more: width}}
blocks:
  b: {params: {t: str, w: 3}, body: [tagged: $t, {tagged: {note: t, more: $text}}, linear: w]}
network:
  - tagged: width
  - tagged: $text
  - tagged: 2*width
  - tagged: 'a, b -> c'
  - tagged: "'quoted'"
  - tagged: it's $5
  - {b: hello there, name: one}
  - {b: {t: $text}, name: two}
"""


@pytest.fixture(autouse=True)
def tagged() -> Iterator[None]:
    """The op of the case of errors, for one test."""
    before = dict(REGISTRY)
    load_ops(ERROR_CASES / "free_text_ops.py")
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def notes(network: netspec.Network) -> list[tuple[str, str]]:
    ops = [dict(node.op) for node in network.graph if node.op.opname == "tagged"]
    return [(op["note"], op["more"]) for op in ops]


EXPECTED = [
    ("width", "width"),
    ("x + y", "width"),
    ("2*width", "width"),
    ("a, b -> c", "width"),
    ("'quoted'", "width"),
    ("it's $5", "width"),
    ("hello there", "width"),
    ("t", "x + y"),
    ("x + y", "width"),
    ("t", "x + y"),
]


def test_text_is_literal_and_a_dollar_takes_a_parameter() -> None:
    assert notes(netspec.loads(SPEC)) == EXPECTED


def test_yaml_keeps_both() -> None:
    text = netspec.to_yaml(netspec.loads(SPEC).graph)
    assert notes(netspec.loads(text)) == EXPECTED
    assert "tagged: {note: $t, more: width}" in text
    changed = notes(netspec.loads(text, params={"text": "new"}))
    assert changed == notes(netspec.loads(SPEC, params={"text": "new"}))


def test_explain_follows_the_parameter() -> None:
    values = netspec.loads(SPEC).explain("two.tagged")["values"]
    assert [(v["name"], v["value"]) for v in values][:3] == [("note", "x + y"), ("t", "x + y"), ("text", "x + y")]


def test_the_schema_takes_any_text() -> None:
    schema = spec_schema(REGISTRY.values())
    steps = [{"tagged": "a, b -> c"}, {"tagged": "$text"}, {"tagged": {"note": "2*width"}}]
    spec = {"netspec": 1, "name": "a", "inputs": {"x": ["N", 3]}, "network": steps}
    assert list(Draft7Validator(schema).iter_errors(spec)) == []
    assert list(Draft7Validator(schema).iter_errors({**spec, "network": [{"tagged": [1]}]}))
