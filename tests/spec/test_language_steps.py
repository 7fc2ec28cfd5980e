"""Rules of the language, one by one: steps, arguments, flow, merges, paths."""

from __future__ import annotations

import pytest

import netspec
from tests.spec.language import check_misuse, error, errors, nodes, spec

PAIR = "{pair: {body: [relu, tanh]}}"
CONV = "{conv: {params: {width: int, kernel: 3}, body: [conv2d: {out_channels: width, kernel_size: kernel}]}}"
ALL = "{conv: {params: {width: 8, kernel: 3}, body: [conv2d: {out_channels: width, kernel_size: kernel}]}}"
TWO = "{left: [N, 3, 8, 8], right: [N, 3, 8, 8]}"

USE: list[tuple[str, str, list[str]]] = [
    ("bare-name", spec("[relu]"), ["relu = relu(image)"]),
    ("bare-block", spec("[pair]", blocks=PAIR), ["pair.relu = relu(image)", "pair.tanh = tanh(pair.relu)"]),
    (
        "null-argument",
        spec("[relu: null, {tanh: , name: a}, {relu, name: b}]"),
        ["relu = relu(image)", "a = tanh(relu)", "b = relu(a)"],
    ),
    (
        "scalar-is-principal-of-op",
        spec("[dropout: 0.1, max_pool2d: 2]"),
        ["dropout = dropout(image; p=0.1)", "max_pool2d = max_pool2d(dropout; kernel_size=(2, 2))"],
    ),
    (
        "scalar-is-only-required",
        spec("[conv: 8]", blocks=CONV),
        ["conv.conv2d = conv2d(image; out_channels=8, kernel_size=(3, 3))"],
    ),
    (
        "scalar-is-first-if-none-required",
        spec("[conv: 4]", blocks=ALL),
        ["conv.conv2d = conv2d(image; out_channels=4, kernel_size=(3, 3))"],
    ),
    (
        "attribute-with-pair",
        spec("[max_pool2d: {kernel_size: [2, 3]}]"),
        ["max_pool2d = max_pool2d(image; kernel_size=(2, 3))"],
    ),
    (
        "attribute-null",
        spec("[adaptive_avg_pool2d: {output_size: [4, null]}]"),
        ["adaptive_avg_pool2d = adaptive_avg_pool2d(image; output_size=(4, None))"],
    ),
    (
        "from-name",
        spec("[{relu, name: a}, {tanh, name: b}, {sigmoid, from: a}]"),
        ["a = relu(image)", "b = tanh(a)", "sigmoid = sigmoid(a)"],
    ),
    (
        "from-list",
        spec("[{relu, name: a}, {tanh, name: b}, {add, from: [a, b]}]"),
        ["a = relu(image)", "b = tanh(a)", "add = add(a, b)"],
    ),
    (
        "from-network-input",
        spec("[{relu, name: a}, {add, from: [a, image]}]"),
        ["a = relu(image)", "add = add(a, image)"],
    ),
    (
        "input-of-network",
        spec("[{relu, name: a}, {add, from: [a, input]}]"),
        ["a = relu(image)", "add = add(a, image)"],
    ),
    (
        "input-of-block",
        spec(
            "[tanh, skip]",
            blocks="{skip: {body: [relu, {add, from: [r, input]}]}}".replace("[relu", "[{relu, name: r}"),
        ),
        ["tanh = tanh(image)", "skip.r = relu(tanh)", "skip.add = add(skip.r, tanh)"],
    ),
    (
        "input-of-branch",
        spec("[tanh, {add: {branches: {a: [relu, {multiply, from: [input, input]}], b: []}}}]"),
        [
            "tanh = tanh(image)",
            "a.relu = relu(tanh)",
            "a.multiply = multiply(tanh, tanh)",
            "add = add(a.multiply, tanh)",
        ],
    ),
    ("several-inputs", spec("[{add, from: [left, right]}]", inputs=TWO), ["add = add(left, right)"]),
    (
        "branch-sees-outside",
        spec("[{relu, name: a}, tanh, {add: {branches: {x: [{sigmoid, from: a}], y: []}}}]"),
        ["a = relu(image)", "tanh = tanh(a)", "x.sigmoid = sigmoid(a)", "add = add(x.sigmoid, tanh)"],
    ),
    ("merge-from", spec("[{relu, name: a}, {concat, from: [a, a]}]"), ["a = relu(image)", "concat = concat(a, a)"]),
    (
        "merge-branches-of-a-value",
        spec("[{relu, name: a}, tanh, {add: {branches: {x: [], y: []}}, from: a}]"),
        ["a = relu(image)", "tanh = tanh(a)", "add = add(a, a)"],
    ),
    (
        "merge-attribute-beside-branches",
        spec("[concat: {dim: 2, branches: {x: [relu], y: []}}]"),
        ["x.relu = relu(image)", "concat = concat(x.relu, image; dim=2)"],
    ),
    ("empty-branch-is-identity", spec("[add: {branches: {x: [], y: []}}]"), ["add = add(image, image)"]),
    (
        "path-second-key",
        spec("[relu, relu, tanh, relu]"),
        ["relu = relu(image)", "relu_2 = relu(relu)", "tanh = tanh(relu_2)", "relu_3 = relu(tanh)"],
    ),
    ("path-named-do-not-count", spec("[{relu, name: a}, relu]"), ["a = relu(image)", "relu = relu(a)"]),
    ("path-repeat", spec("[{relu, repeat: 2}]"), ["relu.0 = relu(image)", "relu.1 = relu(relu.0)"]),
    (
        "path-repeated-block",
        spec("[{pair, repeat: 1, name: p}]", blocks=PAIR),
        ["p.0.relu = relu(image)", "p.0.tanh = tanh(p.0.relu)"],
    ),
    (
        "path-named-merge",
        spec("[{add: {branches: {x: [relu], y: []}}, name: m}]"),
        ["m.x.relu = relu(image)", "m = add(m.x.relu, image)"],
    ),
    (
        "path-repeated-merge",
        spec("[{add: {branches: {x: [relu], y: []}}, repeat: 2}]"),
        [
            "add.0.x.relu = relu(image)",
            "add.0 = add(add.0.x.relu, image)",
            "add.1.x.relu = relu(add.0)",
            "add.1 = add(add.1.x.relu, add.0)",
        ],
    ),
    (
        "path-counts-in-its-body",
        spec("[relu, {add: {branches: {x: [relu, relu], y: []}}}]"),
        ["relu = relu(image)", "x.relu = relu(relu)", "x.relu_2 = relu(x.relu)", "add = add(x.relu_2, relu)"],
    ),
    (
        "inner-name-wins",
        spec("[{relu, name: a}, {add: {branches: {x: [{tanh, name: a}, {sigmoid, from: a}], y: []}}, name: m}]"),
        ["a = relu(image)", "m.x.a = tanh(a)", "m.x.sigmoid = sigmoid(m.x.a)", "m = add(m.x.sigmoid, a)"],
    ),
    (
        "value-may-be-called-as-an-op",
        spec("[{relu, name: tanh}, {relu, from: tanh}]"),
        ["tanh = relu(image)", "relu = relu(tanh)"],
    ),
]

MISUSE: list[tuple[str, str, str, str, str]] = [
    ("two-ops", spec("[{relu: , tanh: }]"), "NS211", "tanh", "a step has one op"),
    ("no-op", spec("[{name: a}]"), "NS211", "{name: a}", "no op"),
    ("number-as-step", spec("[3]"), "NS211", "3", "an op's name"),
    ("list-as-step", spec("[[relu]]"), "NS211", "[relu]", "one dash"),
    ("unknown-sibling", spec("[{relu, nmae: a}]"), "NS211", "nmae", "did you mean `name`?"),
    ("unknown-op", spec("[rleu]"), "NS203", "rleu", "did you mean `relu`?"),
    ("list-as-argument", spec("[max_pool2d: [2, 2]]"), "NS211", "[2, 2]", "max_pool2d: {kernel_size: [2, 2]}"),
    ("scalar-without-principal", spec("[relu: 3]"), "NS211", "3", "`relu` takes no bare value"),
    (
        "several-required",
        spec("[c: 3]", blocks="{c: {params: {a: int, b: int}, body: [relu]}}"),
        "NS211",
        "3",
        "c(a, b)",
    ),
    ("no-parameters", spec("[pair: 3]", blocks=PAIR), "NS211", "3", "takes no arguments"),
    ("unknown-attribute", spec("[dropout: {q: 0.1}]"), "NS204", "q", "`p`"),
    ("unknown-parameter", spec("[conv: {widht: 3}]", blocks=CONV), "NS204", "widht", "`width`"),
    ("missing-attribute", spec("[conv2d: 8]"), "NS205", "conv2d", "conv2d: {out_channels: 8, kernel_size: ...}"),
    ("missing-parameter", spec("[conv: {kernel: 3}]", blocks=CONV), "NS205", "conv", "conv(width, kernel=3)"),
    ("sibling-under-op", spec("[dropout: {p: 0.1, name: a}]"), "NS204", "name", "dedent"),
    ("block-called-as-op", spec("[relu]", blocks="{relu: {body: [tanh]}}"), "NS210", "relu", "there is an op `relu`"),
    ("block-called-as-sibling", spec("[relu]", blocks="{when: {body: [tanh]}}"), "NS210", "when", "beside a step's op"),
    ("name-is-keyword", spec("[{relu, name: if}]"), "NS202", "if", "word of Python"),
    ("name-of-module", spec("[{relu, name: train}]"), "NS202", "train", "torch.nn.Module"),
    ("name-with-dot", spec("[{relu, name: a.b}]"), "NS202", "a.b", "letters, digits"),
    ("name-of-branch", spec("[add: {branches: {a: [], forward: []}}]"), "NS202", "forward", "forward_1"),
    ("name-input", spec("[{relu, name: input}]"), "NS202", "input", "enters the body"),
    ("from-unknown", spec("[{relu, name: stem}, {relu, from: stme}]"), "NS209", "stme", "did you mean `stem`?"),
    ("from-unnamed", spec("[relu, {tanh, from: relu}]"), "NS209", "relu", "no value `relu`"),
    ("from-later", spec("[{tanh, from: a}, {relu, name: a}]"), "NS209", "a", "no value `a`"),
    (
        "from-inside-a-branch",
        spec("[{add: {branches: {x: [{relu, name: a}], y: []}}}, {tanh, from: a}]"),
        "NS209",
        "a",
        "no value",
    ),
    (
        "from-inside-a-copy",
        spec("[{pair, repeat: 2, name: p}, {tanh, from: p.0}]", blocks=PAIR),
        "NS209",
        "p.0",
        "no value",
    ),
    (
        "from-other-branch",
        spec("[add: {branches: {x: [{relu, name: a}], y: [{tanh, from: a}]}}]"),
        "NS209",
        "a",
        "no value",
    ),
    (
        "from-outside-a-block",
        spec("[{relu, name: a}, b]", blocks="{b: {body: [{tanh, from: a}]}}"),
        "NS209",
        "a",
        "no value",
    ),
    ("from-nothing", spec("[{add, from: []}]"), "NS209", "[]", "names no value"),
    ("input-of-several", spec("[{relu, from: input}]", inputs=TWO), "NS209", "input", "`left`, `right`"),
    ("several-inputs-no-from", spec("[relu]", inputs=TWO), "NS209", "relu", "from: left"),
    ("too-many-inputs", spec("[{relu, from: [image, input]}]"), "NS302", "relu", "takes 1 input, not 2"),
    ("merge-of-one", spec("[{add, from: image}]"), "NS302", "add", "2 or more"),
    ("merge-of-nothing", spec("[add]"), "NS211", "add", "`branches` or `from`"),
    ("one-branch", spec("[add: {branches: {x: []}}]"), "NS211", "{x: []}", "two branches"),
    ("null-branch", spec("[add: {branches: {x: [], y: }}]"), "NS211", "", "`[]` is the identity"),
    (
        "branches-from-several",
        spec("[{relu, name: a}, {add: {branches: {x: [], y: []}}, from: [a, image]}]"),
        "NS211",
        "add",
        "several",
    ),
    ("unequal-shapes", spec("[add: {branches: {x: [max_pool2d: 2], y: []}}]"), "NS301", "add", "needs equal shapes"),
    (
        "no-broadcast",
        spec("[add: {branches: {x: [adaptive_avg_pool2d: 1], y: []}}]"),
        "NS301",
        "add",
        "needs equal shapes",
    ),
    (
        "unequal-dtypes",
        spec("[{add, from: [a, b]}]", inputs="{a: [N, 2], b: {shape: [N, 2], dtype: int64}}"),
        "NS302",
        "add",
        "one dtype",
    ),
    ("two-names", spec("[{relu, name: a}, {tanh, name: a}]"), "NS210", "tanh", "two steps are called `a`"),
    (
        "name-of-a-second-key",
        spec("[relu, {tanh, name: relu_2}, relu]"),
        "NS210",
        "relu",
        "two steps are called `relu_2`",
    ),
    (
        "name-the-merge",
        spec("[add: {branches: {x: [relu], y: []}}, multiply: {branches: {x: [relu], y: []}}]"),
        "NS210",
        "multiply",
        "name the merge",
    ),
    ("step-called-as-input", spec("[{relu, name: image}]"), "NS210", "relu", "an input and a step"),
    (
        "weights-parameter",
        spec("[relu]", params="{deep: 1}", weights="{a: {params: {dep: 2}}}"),
        "NS204",
        "dep",
        "did you mean `deep`?",
    ),
    ("weights-stars", spec("[relu]", weights="{a: {keys: {a.*: '*.*'}}}"), "NS206", "'*.*'", "has more `*`"),
    ("weights-key", spec("[relu]", weights="{a: {keys: {a b: c}}}"), "NS206", "a b", "is no beginning of a key"),
    ("weights-prefix", spec("[relu]", weights="{a: {prefixes: {a: 1.5}}}"), "NS201", "1.5", "takes text"),
    ("weights-prefixes", spec("[relu]", weights="{a: {prefixes: {a b: c}}}"), "NS206", "a b", "no beginning of a key"),
    ("weights-transposed", spec("[relu]", weights="{a: {transposed: [a b]}}"), "NS206", "a b", "no beginning of a key"),
    ("weights-transposed-key", spec("[relu]", weights="{a: {transposed: {a: b}}}"), "NS201", "{a: b}", "a list"),
    ("weights-transposed-number", spec("[relu]", weights="{a: {transposed: [1]}}"), "NS201", "1", "text"),
    ("weights-transposed-twice", spec("[relu]", weights="{a: {transposed: [a, a]}}"), "NS206", "a", "stands twice"),
    ("weights-order", spec("[relu]", weights="{a: {prefixes: {a: b}, order: [a]}}"), "NS201", "order", "`prefixes`"),
    ("weights-both", spec("[relu]", weights="{a: {keys: {a: b}, order: [a]}}"), "NS201", "order", "one of the two"),
]


@pytest.mark.parametrize(("text", "expected"), [pytest.param(*case[1:], id=case[0]) for case in USE])
def test_use(text: str, expected: list[str]) -> None:
    assert nodes(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "marked", "fragment"), [pytest.param(*case[1:], id=case[0]) for case in MISUSE]
)
def test_misuse(text: str, code: str, marked: str, fragment: str) -> None:
    check_misuse(text, code, marked, fragment)


def test_several_errors_in_one_run_and_none_that_follow() -> None:
    text = spec(
        "[{conv2d: {out_channels: 8}, name: a}, {tanh, name: b}, {add, from: [a, b]},"
        " rleu, {relu, from: c}, {dropout: 2}]"
    )
    assert [e.code for e in errors(text)] == ["NS205", "NS203", "NS209", "NS206"]


def test_what_follows_from_a_wrong_shape_is_not_said_again() -> None:
    text = spec(
        "[{max_pool2d: 64, name: a}, {conv2d: {out_channels: 8, kernel_size: 3}}, {add, from: [a, image]}, flatten]"
    )
    assert error(text).code == "NS303"


def test_one_mistake_in_a_block_is_said_once_with_the_use_that_shows_it() -> None:
    text = spec(
        "[{down, repeat: 9, name: d}, {down, name: e, from: image}]",
        blocks="{down: {params: {kernel: 2}, body: [max_pool2d: kernel]}}",
    )
    found = error(text)
    assert found.code == "NS303"
    assert found.notes == ("block `down` used at <string>:5:12 with kernel=2",)
    assert found.label.startswith("d.5.max_pool2d: ")


def test_a_run_says_at_most_twenty() -> None:
    assert len(errors(spec("[" + ", ".join(["rleu"] * 50) + "]"))) == 20


@pytest.mark.parametrize("body", ["", "~", "relu", "3", "{relu: }"])
def test_the_network_is_a_list(body: str) -> None:
    assert error(spec(body)).code == "NS211"


def test_warnings_name_what_nothing_uses() -> None:
    net = netspec.loads(spec("[{relu, from: left, name: a}, {tanh, name: b}, {sigmoid, from: a}]", inputs=TWO))
    assert [(w.code, w.message, w.severity) for w in net.warnings] == [
        ("NS217", "nothing uses `right`", "warning"),
        ("NS217", "nothing uses `b`", "warning"),
    ]


def test_an_op_is_used_by_any_of_its_outputs() -> None:
    step = "{gru: 4, from: x, name: words}"
    for last, unused in (("{relu, from: words.h_n}", []), ("{relu, from: x}", ["nothing uses `words`"])):
        net = netspec.loads(spec(f"[{step}, {last}]", inputs="{x: [N, 5, 8]}"))
        assert [warning.message for warning in net.warnings] == unused
