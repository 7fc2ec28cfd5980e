"""The JSON Schema of specs: it accepts what netspec does, refuses much of what it refuses, and knows all there is."""

from __future__ import annotations

import importlib
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match
from pydantic import BeforeValidator, Field

import netspec
from netspec import NetspecError, expect, naming
from netspec.expression import ExpressionError, parse
from netspec.ops.base import REGISTRY, Elementwise, Merge, Op
from netspec.ops.fields import Pair
from netspec.source import Source
from netspec.spec.read import initializers, keys, parameters
from netspec.spec.schema.schema import spec_schema
from netspec.spec.schema.schema_text import schema_text
from netspec.spec.text.data import plain_data
from netspec.spec.text.parse import parse_text
from tests.docs import documents
from tests.support.paths import REPOSITORY, TESTS
from tests.support.random_specs import random_spec

HEAD = "netspec: 1\nname: example\ninputs: {image: [N, 3, 32, 32]}\n"
SCHEMA = spec_schema(REGISTRY.values())
VALIDATOR = Draft7Validator(SCHEMA)


def module_of(path: Path) -> ModuleType:
    return importlib.import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))


def data(text: str, name: str = "x.yaml") -> Any:
    return plain_data(parse_text(Source(name, text)))


def refusal(text: str, validator: Draft7Validator = VALIDATOR) -> str:
    """What the schema says of a spec; an empty text if it is accepted."""
    mistake = best_match(validator.iter_errors(data(text)))
    return "" if mistake is None else f"{mistake.json_path}: {mistake.message}"


def steps(text: str, head: str = HEAD) -> str:
    return f"{head}network:\n  - {text}\n"


# It is a schema, and one that people can read.


def test_it_is_a_schema_of_draft_7() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert json.loads(schema_text(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_its_references_stand_in_it_and_all_definitions_are_used() -> None:
    text = schema_text(SCHEMA)
    used = set(re.findall(r'"\$ref": "#/definitions/([^"]+)"', text))
    assert len(re.findall(r'"\$ref"', text)) == len(re.findall(r'"\$ref": "#/definitions/', text))
    assert {name for name in used if "/" not in name} <= set(SCHEMA["definitions"])
    assert {name.partition("/")[0] for name in used} == set(SCHEMA["definitions"])
    for name in used:
        at: Any = SCHEMA["definitions"]
        for part in name.split("/"):
            at = at[part]


def test_it_can_be_read() -> None:
    text = schema_text(SCHEMA)
    assert len(text.splitlines()) < 80 * len(REGISTRY)
    assert '\n    "op-sigmoid": {\n      "title": "sigmoid",\n' in text


# It accepts what netspec accepts.


@pytest.mark.parametrize("name", netspec.names())
def test_bundled_specs_are_accepted(name: str) -> None:
    assert refusal(netspec.load(name).spec.source.text) == ""


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a spec in a table of tests."""
    if isinstance(value, str) and value.startswith("netspec: 1"):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        yield from texts_in([*value.values()])


def loads(text: str) -> bool:
    """Whether netspec takes a spec, and holds what it claims."""
    try:
        return not netspec.loads(text).check_expectations()[1]
    except NetspecError:
        return False


def test_the_specs_of_the_tests_are_accepted() -> None:
    files = [*sorted(TESTS.glob("spec/**/test_language_*.py")), *sorted(TESTS.glob("support/specs_of_*.py"))]
    texts = [text for path in files for text in texts_in(list(vars(module_of(path)).values()))]
    accepted = [text for text in dict.fromkeys(texts) if loads(text)]
    assert len(accepted) > 120
    wrong = [f"{text}\n{said}" for text in accepted if (said := refusal(text))]
    assert wrong == []


def test_the_specs_of_the_documentation_are_accepted() -> None:
    count = 0
    for path in documents.documents():
        for block in documents.blocks(path.read_text("utf-8")):
            if block.language in ("yaml", "json") and block.kind in ("", "file"):
                text = documents.complete(block.text)
                # An op that a page adds is no op here.
                if loads(text):
                    count += 1
                    assert refusal(text) == "", f"{path.name}:{block.line}"
    assert count > 25


@pytest.mark.parametrize("seed", range(200))
def test_random_specs_are_accepted(seed: int) -> None:
    spec = random_spec(random.Random(seed).choice)
    found = best_match(VALIDATOR.iter_errors(spec))
    assert found is None, f"{found.json_path}: {found.message}"


CONV = "conv2d: {out_channels: 8, kernel_size: 3"
BLOCK = HEAD + "blocks: {conv: {params: {width: int}, body: [conv2d: {out_channels: width, kernel_size: 3}]}}\n"
OPEN = HEAD + "params: {k: 2, on: true, sizes: [1, 2], mode: zeros}\n"


@pytest.mark.parametrize(
    "text",
    [
        steps("{relu}"),
        steps("relu: {}"),
        steps("max_pool2d: k", OPEN),
        steps("max_pool2d: {kernel_size: [k, 3], stride: null}", OPEN),
        steps("max_pool2d: {kernel_size: sizes}", OPEN),
        steps(f"{CONV}, padding: same, bias: on, padding_mode: $mode}}", OPEN),
        steps(f"{CONV}, padding_mode: mode}}", OPEN),
        steps("adaptive_avg_pool2d: {output_size: [4, null]}"),
        steps("batch_norm: {momentum: null}"),
        steps('{dropout: "min(0.5, k / 4)", when: "len(sizes) == 2 and on", repeat: 2*k}', OPEN),
        steps("gelu: \"'tanh' if on else 'none'\"", OPEN),
        steps("{conv: 8, repeat: 2, name: a}", BLOCK),
        steps("conv: {width: 8}", BLOCK),
        steps("max_pool2d", HEAD + "defaults: {max_pool2d: {kernel_size: 2}}\n"),
        steps("conv2d: 8", HEAD + "defaults: {conv2d: {kernel_size: 3, init: {weight: normal_}}}\n"),
        steps(f"{{{CONV}}}, init: {{weight: {{normal_: null}}, bias: [0, 0, 0, 0, 0, 0, 0, 1]}}}}"),
        steps("add: {branches: {a: [relu], b: []}}"),
        steps("{add: {branches: {a: [relu], b: []}}, from: [image]}"),
        steps("{concat: 1, from: [image, image]}"),
        steps(
            "relu",
            "netspec: 1\nname: x\ninputs: {x: {shape: [N, T], dtype: bfloat16, nominal: {T: 9}}}\nextends: null\n",
        ),
        "netspec: 1\nname: example\nextends: resnet18\n",
        "netspec: 1\nname: example\nextends: resnet18\ninputs: {}\nexpect: {parameters: 11.7 M}\n",
    ],
)
def test_forms_that_are_accepted(text: str) -> None:
    assert loads(text)
    assert refusal(text) == ""


# It refuses much of what netspec refuses.


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (steps("relu", HEAD + "layers: 3\n"), "layers"),
        (steps("relu", HEAD.replace("netspec: 1", "netspec: 2")), "$.netspec"),
        (steps("relu", HEAD.replace("example", "class")), "$.name"),
        (steps("relu", HEAD.replace("[N, 3, 32, 32]", "[N, 0]")), "$.inputs.image"),
        (steps("relu", HEAD.replace("[N, 3, 32, 32]", "{shape: [N, 3], dtype: float}")), "$.inputs.image.dtype"),
        (steps("relu", HEAD.replace("[N, 3, 32, 32]", "{shape: [N, 3], size: 3}")), "size"),
        (steps("relu", HEAD + "params: {A: 1}\n"), "'A'"),
        (steps("relu", HEAD + "params: {a: null}\n"), "$.params.a"),
        (steps("relu", HEAD + "blocks: {b: {steps: [relu]}}\n"), "$.blocks.b"),
        (steps("relu", HEAD + "blocks: {conv2d: {body: [relu]}}\n"), "conv2d"),
        (steps("relu", HEAD + "defaults: {conv2d: {strid: 1}}\n"), "strid"),
        (steps("relu", HEAD + "defaults: {conv: {stride: 1}}\n"), "conv"),
        (steps("relu", HEAD + "outputs: {y: {from: x, mode: infer}}\n"), "$.outputs.y"),
        (steps("relu", HEAD + "expect: {params: 3}\n"), "params"),
        (steps("relu", HEAD + "expect: {parameters: many}\n"), "$.expect.parameters"),
        (steps(f"{CONV}, strid: 2}}"), "strid"),
        (steps(f"{CONV}, stride: -2}}"), "$.network[0].conv2d.stride"),
        (steps(f"{CONV}, stride: [1, 2, 3]}}"), "$.network[0].conv2d.stride"),
        (steps(f"{CONV}, bias: 1}}"), "$.network[0].conv2d.bias"),
        (steps(f"{CONV}, groups: true}}"), "$.network[0].conv2d.groups"),
        (steps(f"{CONV}, groups: '2'}}"), "$.network[0].conv2d.groups"),
        (steps(f"{CONV}, padding_mode: 3}}"), "$.network[0].conv2d.padding_mode"),
        (steps("conv2d: {out_channels: 8}"), "kernel_size"),
        (steps("conv2d: 8"), "$.network[0].conv2d"),
        (steps("conv2d"), "$.network[0]"),
        (steps("linear:"), "$.network[0].linear"),
        (steps("dropout: 1.5"), "$.network[0].dropout"),
        (steps("max_pool2d: [2, 2]"), "$.network[0].max_pool2d"),
        (steps("relu: 3"), "$.network[0].relu"),
        (steps("add"), "$.network[0]"),
        (steps("{add, name: x}"), "$.network[0]"),
        (steps("{add, from: image}"), "$.network[0]"),
        (steps("add: {branches: {a: [relu]}}"), "$.network[0].add.branches"),
        (steps("add: {branches: {a: [conv2d: 8], b: []}}"), "$.network[0].add.branches.a[0]"),
        (steps("add: {branches: {a: [relo], b: []}}"), "$.network[0].add.branches.a[0]"),
        (steps("relu: {branches: {a: [relu], b: []}}"), "branches"),
        (steps(f"{{{CONV}}}, stride: 2}}"), "stride"),
        (steps("{relu, nmae: x}"), "nmae"),
        (steps("{relu: , tanh: }"), "$.network[0]"),
        (steps("{name: x}"), "$.network[0]"),
        (steps("{relu, name: train}"), "$.network[0].name"),
        (steps("{relu, repeat: -1}"), "$.network[0].repeat"),
        (steps("{relu, when: 1}"), "$.network[0].when"),
        (steps("{relu, from: [image, image]}"), "$.network[0].from"),
        (steps("{relu, share: [x]}"), "share"),
        (steps("network"), "$.network[0]"),
        (steps("network: [resnet50]"), "$.network[0].network"),
        (steps("network: {spec: resnet50, outputs: layer4}"), "$.network[0].network.outputs"),
        (steps("network: {params: {classes: 3}}"), "spec"),
        (HEAD.replace("inputs: {image", "networks: {a: {body: [relu]}}\nparams: {a") , "$.networks.a"),
        (steps(f"{{{CONV}}}, init: {{weight: norml}}}}"), "$.network[0].init.weight"),
        (steps(f"{{{CONV}}}, init: {{weight: {{normal: {{st: 1}}}}}}}}"), "st"),
        (steps("relo"), "$.network[0]"),
        (steps("conv:8"), "$.network[0]"),
        (steps("conv: [8]", BLOCK), "$.network[0].conv"),
        (steps("conv: {width: {a: 1}}", BLOCK), "$.network[0].conv.width"),
        (steps("{conv: 8, init: {weight: 0}}", BLOCK), "{'weight': 0}"),
        (steps("conv: 8", BLOCK.replace("kernel_size", "kernel")), "$.blocks.conv.body[0].conv2d"),
        (steps("conv: 8", BLOCK.replace("]}}\n", ", {relu, expect: {macs: 0}}]}}\n")), "$.blocks.conv.body[1]"),
        (HEAD, "network"),
        (steps("relu", HEAD + "extends: vgg_e\n"), "['relu']"),
    ],
)  # fmt: skip
def test_mistakes_that_are_seen(text: str, where: str) -> None:
    assert not loads(text)
    assert where in refusal(text)


CASES = TESTS / "errors" / "cases"
SEEN = """
    a_list attribute_beside block_bare_list block_is_op block_without_body body_is_mapping branches_and_from
    branches_wrong capital_parameter defaults_of_block digit_name dtype_unknown dunder_name expect_in_block
    from_under_op hyphen_name init_on_block init_values input_name json_op keras_names keyword_name
    body_in_a_spec embed_bare network_name_of_block networks_and_inputs
    list_argument list_argument_of_block mapping_value merge_alone missing_attribute misspelt_attribute misspelt_key
    misspelt_op misspelt_sibling negative_size no_attributes no_inputs no_name no_network no_principal
    no_steps no_version not_a_body not_a_step null_body null_branch number_name one_input_too_many
    outputs_beside_extends quoted_number repeat_huge repeat_wrong shape_no_list train_name
    two_ops unknown_initializer unknown_key unknown_op version_2 version_true
    wrong_kinds wrong_values
""".split()  # noqa: SIM905


def test_cases_of_errors_are_seen_where_a_schema_can_know() -> None:
    seen: set[str] = set()
    readable = 0
    for path in sorted(CASES.glob("*.*")):
        if path.suffix not in (".yaml", ".json"):
            continue
        text = path.read_bytes().decode("utf-8")
        said = path.with_suffix(".txt").read_text("utf-8")
        try:
            readable += bool(data(text, path.name)) or True
        except NetspecError:
            continue  # not YAML: every editor says so without a schema
        if refusal(text):
            seen.add(path.stem)
        assert "error NS" in said or path.stem not in seen, f"{path.name} has warnings only"
    print(f"the schema refuses {len(seen)} of {readable} specs with errors")
    assert sorted(set(SEEN) - seen) == []
    # What is wrong with `share`, `networks` or embedding is mostly in names, which no schema knows.
    assert len(seen) >= 0.45 * readable


# It knows all that the language and the ops have.


def test_it_knows_every_key() -> None:
    definitions = SCHEMA["definitions"]
    assert set(SCHEMA["properties"]) == set(keys.Outline.model_fields)
    assert set(definitions["block"]["properties"]) == set(keys.BlockOutline.model_fields)
    assert set(definitions["input"]["properties"]) == set(keys.InputOutline.model_fields)
    assert set(definitions["output"]["properties"]) == {"from", *keys.OutputOutline.model_fields}
    assert {*definitions["step"]["properties"]} == {*naming.SIBLINGS, *REGISTRY, "network"} - {"expect"}
    assert definitions["network"]["items"]["allOf"][1]["properties"].keys() == {"expect"}
    assert set(definitions["claims"]["properties"]) == {*expect.TOTALS, "train", "steps"}
    assert set(definitions["claims"]["properties"]["train"]["properties"]) == set(expect.TOTALS)
    assert set(definitions["step-claims"]["properties"]) == set(expect.STEP)
    kinds = definitions["params"]["additionalProperties"]["anyOf"][0]["enum"]
    assert [*kinds, "body"] == list(parameters.PARAMETER_KINDS)
    assert definitions["block-params"]["additionalProperties"]["anyOf"][0]["enum"] == list(parameters.PARAMETER_KINDS)
    assert set(definitions["one-network"]["properties"]) == set(keys.NetworkOutline.model_fields)
    assert set(definitions["embedded"]["properties"]) == set(keys.EmbedOutline.model_fields)
    assert set(definitions["weights"]["properties"]) == set(keys.WeightsOutline.model_fields)
    images = definitions["preprocess"]["additionalProperties"]
    assert set(images["properties"]) == set(keys.PreprocessOutline.model_fields)


def test_it_describes_every_key() -> None:
    definitions = SCHEMA["definitions"]
    described = [SCHEMA["properties"], definitions["input"]["properties"], definitions["step"]["properties"]]
    for name, schema in [item for properties in described for item in properties.items()]:
        target = definitions[schema["$ref"].split("/")[-1]] if schema and "$ref" in schema else schema
        assert target is False or target["description"], name


def test_it_knows_every_initializer() -> None:
    definitions = SCHEMA["definitions"]
    assert list(definitions["initializer"]["properties"]) == list(initializers.INITIALIZERS)
    for name, options in initializers.INITIALIZERS.items():
        assert list(definitions[f"init-{name}"]["properties"]) == list(options)


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: cls.opname)
def test_it_knows_every_op(cls: type[Op]) -> None:
    schema = SCHEMA["definitions"][f"op-{cls.opname}"]
    merge = {"branches"} if issubclass(cls, Merge) else set()
    assert set(schema["properties"]) == {*cls.model_fields, *merge}
    assert schema["description"]
    for name in cls.model_fields:
        assert len(schema["properties"][name]) > 1, f"nothing is known of {name}"
        assert ("default" in schema["properties"][name]) == (cls.default(name) is not ...)
    for example in cls.examples:
        argument: dict[str, Any] = dict(example.attributes)
        if issubclass(cls, Merge):
            argument["branches"] = {"a": [], "b": []}
        spec = {"netspec": 1, "name": "x", "inputs": {"x": ["N"]}, "network": [{cls.opname: argument}]}
        assert list(VALIDATOR.iter_errors(spec)) == []


@pytest.mark.parametrize("text", ["144 M", "3.8G", "25.6 K", "1 T", "2.0 B", "144", "M", "3,8 G", "1.5 m", ".5 M"])
def test_figures_are_those_of_expect(text: str) -> None:
    spec = steps("relu", HEAD + f"expect: {{parameters: '{text}'}}\n")
    assert (refusal(spec) == "") == (expect.figure_holds(text, 1) is not None)


def test_expressions_are_told_by_their_characters() -> None:
    pattern = re.compile(SCHEMA["definitions"]["expression"]["pattern"])
    rows = module_of(TESTS / "spec" / "test_language_blocks.py").EXPRESSIONS
    for text in [str(text) for row in rows for text in row] + ["a if b else 'x**y'", "$name", "-a[0].b", "(3)", "1e-5"]:
        try:
            parse(text.removeprefix("$"))
        except ExpressionError:
            continue
        assert pattern.match(text) or re.fullmatch(r"-?[0-9.]+", text), text
    for text in ("a ** b", "f{x}", "a; b", "3", " -2.5 ", "a & b", "x := 1", ""):
        assert not pattern.match(text), text


# An op of one's own.


@pytest.fixture
def own() -> Iterator[Draft7Validator]:
    before = dict(REGISTRY)

    class Plain(Elementwise, name="plain_one", principal="size"):
        """An op with Python's own types."""

        size: int
        rate: float = 0.5
        on: bool = False
        word: Literal["a", "b"] = "a"
        text: str = "x"
        maybe: int | None = None
        many: list[int] = [1]  # noqa: RUF012
        bounded: Annotated[int, Field(ge=2)] = 2
        pair: Pair = (1, 1)
        free: Annotated[tuple[int, int], BeforeValidator(lambda v: (v, v))] = (1, 1)
        odd: Any = None
        large: float = float("inf")

    class Join(Merge, name="join_all"):
        """A merge."""

    yield Draft7Validator(spec_schema(REGISTRY.values()))
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.parametrize(
    "argument",
    [
        "3",
        "a",
        "{size: 3, rate: 1, on: true, word: b, text: anything, maybe: null, many: [1, k], bounded: 2, pair: [1, 2]}",
        "{size: k, rate: k, on: k, word: k, maybe: k, many: k, bounded: k, pair: k}",
        "{size: 1, free: 7, odd: [1, [2]]}",
        "{size: 1, free: anything, large: 1e9}",
    ],
)
def test_an_op_of_ones_own_is_accepted(own: Draft7Validator, argument: str) -> None:
    Draft7Validator.check_schema(own.schema)
    assert json.loads(schema_text(own.schema)) == own.schema
    assert "Infinity" not in schema_text(own.schema)
    assert refusal(steps(f"plain_one: {argument}"), own) == ""
    assert refusal(steps("join_all: {branches: {a: [plain_one: 3], b: []}}"), own) == ""


@pytest.mark.parametrize(
    "argument",
    [
        "true", "[3]", "{size: 1.5}", "{rate: 1}", "{size: 3, on: 1}", "{size: 3, word: 4}", "{size: 3, maybe: true}",
        "{size: 3, many: [true]}", "{size: 3, bounded: 1}", "{size: 3, pair: 0}", "{size: 3, sise: 1}", "null",
    ],
)  # fmt: skip
def test_an_op_of_ones_own_is_checked(own: Draft7Validator, argument: str) -> None:
    assert refusal(steps(f"plain_one: {argument}"), own) != ""
    assert refusal(steps(f"plain_one: {argument}")) != ""  # no op at all
