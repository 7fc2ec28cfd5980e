"""Rules of the language, one by one: blocks and their parameters, expressions, `repeat` and `when`."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec import NetspecError
from netspec.spec.elaborate import elaboration
from tests.spec.language import check_misuse, error, errors, nodes, spec


def one(kind: str, use: str) -> str:
    """A spec whose block has one parameter of a kind, and uses it once."""
    return spec(f"[b: {use}]", blocks=f"{{b: {{params: {{x: {kind}}}, body: [relu]}}}}")


def value(text: str) -> Any:
    return netspec.loads(text).graph.scopes["b"].params["x"]


@pytest.mark.parametrize(
    ("kind", "use", "expected"),
    [
        ("int", "3", 3),
        ("int", "1 + 2", 3),
        ("float", "3", 3.0),
        ("float", "0.5", 0.5),
        ("float", "1 / 2", 0.5),
        ("bool", "true", True),
        ("bool", "1 < 2", True),
        ("str", "same", "same"),
        ("str", "1 + 2 is text", "1 + 2 is text"),
        ("str", "$1 and more", "$1 and more"),
        ("list", "{x: [1, 2]}", [1, 2]),
        ("list", "{x: [1 + 1, [2]]}", [2, [2]]),
        ("7", "3", 3),
        ("7", "", 7),
        ("0.5", "2", 2.0),
        ("true", "false", False),
        ("same", "valid", "valid"),
        ("[1]", "{x: []}", []),
    ],
)
def test_a_parameter_takes_its_type(kind: str, use: str, expected: Any) -> None:
    found = value(one(kind, use))
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "use", "message"),
    [
        ("int", "2.0", "takes an int, not 2.0"),
        ("int", "true", "takes an int, not true"),
        ("int", "4 / 2", "takes an int, not 2.0"),
        ("int", "'3'", "is text here"),
        ("int", "{x: null}", "takes an int, not null"),
        ("int", "{x: [3]}", "takes an int, not [3]"),
        ("float", "true", "takes a number, not true"),
        ("bool", "1", "takes true or false, not 1"),
        ("str", "3", "takes text, not 3"),
        ("list", "3", "takes a list of numbers, texts or lists, not 3"),
        ("7", "7.5", "takes an int, not 7.5"),
        ("0.5", "false", "takes a number, not false"),
        ("true", "0", "takes true or false, not 0"),
        ("same", "3", "takes text, not 3"),
    ],
)
def test_a_parameter_takes_no_other_type(kind: str, use: str, message: str) -> None:
    found = error(one(kind, use))
    assert (found.code, message in found.message) == ("NS206", True), str(found)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("Width", "capitals are for symbolic sizes"),
        ("index", "expressions use it"),
        ("input", "expressions use it"),
        ("len", "expressions use it"),
        ("class", "word of Python"),
        ("self", "generated code uses it"),
        ("2d", "letters, digits"),
    ],
)
def test_names_that_no_parameter_has(name: str, fragment: str) -> None:
    for text in (
        spec("[relu]", params=f"{{{name}: 3}}"),
        spec("[b]", blocks=f"{{b: {{params: {{{name}: 3}}, body: [relu]}}}}"),
    ):
        found = error(text)
        assert found.code == "NS202"
        assert fragment in f"{found.message} {found.help}"


DEEP = """{
  outer: {params: {width: int}, body: [inner: {}, {inner: {}, name: wide, from: input}]},
  inner: {body: [dropout: rate]},
  own: {params: {rate: 0.25}, body: [dropout: rate]}}"""


def test_parameters_are_lexical() -> None:
    """The block's own win over the file's; those of the place a block is used in are not seen."""
    text = spec("[own, inner, own: 0.75]", blocks=DEEP, params="{rate: 0.125}")
    assert nodes(text) == [
        "own.dropout = dropout(image; p=0.25)",
        "inner.dropout = dropout(own.dropout; p=0.125)",
        "own_2.dropout = dropout(inner.dropout; p=0.75)",
    ]
    caller = spec("[outer: 8]", blocks="{outer: {params: {width: int}, body: [inner]}, inner: {body: [linear: width]}}")
    found = error(caller)
    assert (found.code, "pass it on" in found.help) == ("NS208", True)


@pytest.mark.parametrize(
    ("blocks", "way"),
    [
        ("{a: {body: [a]}}", "`a` -> `a`"),
        (
            "{a: {body: [relu, b]}, b: {body: [add: {branches: {x: [c], y: []}}]}, c: {body: [a]}}",
            "`a` -> `b` -> `c` -> `a`",
        ),
        ("{a: {body: [{a, when: false}]}}", "`a` -> `a`"),
    ],
)
def test_blocks_never_recurse(blocks: str, way: str) -> None:
    found = error(spec("[relu]", blocks=blocks))
    assert (found.code, found.notes) == ("NS212", (way,))


def test_blocks_nest() -> None:
    blocks = "{a: {body: [b, b]}, b: {body: [{c, name: x}]}, c: {body: [relu]}}"
    assert nodes(spec("[a]", blocks=blocks)) == ["a.b.x.relu = relu(image)", "a.b_2.x.relu = relu(a.b.x.relu)"]


def test_a_block_that_nothing_uses_is_read_all_the_same() -> None:
    check_misuse(spec("[relu]", blocks="{b: {body: [dropout: 7]}}"), "NS206", "7", "probability")


PARAMS = "{width: 8, flag: true, rate: 0.5, stages: [3, 4], pad: same, table: [[1, 2], [3, 4]]}"

EXPRESSIONS: list[tuple[str, str, str]] = [
    ("int-field", "linear: width * 2", "out_features=16"),
    ("index-of-list", "linear: 'stages[1]'", "out_features=4"),
    ("index-twice", "linear: 'table[1][0]'", "out_features=3"),
    ("float-field", "dropout: rate / 4", "p=0.125"),
    ("int-in-float-field", "leaky_relu: width", "negative_slope=8.0"),
    ("bool-field", "batch_norm: {affine: not flag}", "affine=False"),
    ("list-field", "max_pool2d: {kernel_size: 'stages'}", "kernel_size=(3, 4)"),
    ("list-with-expressions", "max_pool2d: {kernel_size: [width // 4, width // 2]}", "kernel_size=(2, 4)"),
    ("conditional", "linear: 1 if flag else 2", "out_features=1"),
    ("functions", "linear: 'min(width, 3) + max(stages) + len(stages) + ceil(rate) + floor(2.5)'", "out_features=12"),
    ("input-channels", "linear: input.channels", "out_features=3"),
    ("input-by-name", "linear: image.height + image.width", "out_features=64"),
    ("input-shape", "linear: 'input.shape[1]'", "out_features=3"),
    ("word-first", "conv2d: {out_channels: 1, kernel_size: 1, padding: same}", "padding='same'"),
    ("word-by-name", "conv2d: {out_channels: 1, kernel_size: 1, padding: pad}", "padding='same'"),
    ("dollar-name", "conv2d: {out_channels: 1, kernel_size: 1, padding: $pad}", "padding='same'"),
    ("text-in-comparison", "linear: \"1 if pad == 'same' else 2\"", "out_features=1"),
    ("negative-literal", "softmax: -1", "dim=-1"),
    ("exponent-literal", "batch_norm: {eps: 1e-3}", "eps=0.001"),
    ("quoted-expression", "linear: 'width'", "out_features=8"),
]


@pytest.mark.parametrize(("step", "expected"), [pytest.param(*case[1:], id=case[0]) for case in EXPRESSIONS])
def test_expressions_stand_in_every_kind_of_field(step: str, expected: str) -> None:
    (node,) = nodes(spec(f"[{step}]", params=PARAMS))
    assert node.endswith(f"{expected})")


def test_words_win_over_parameters() -> None:
    text = spec("[conv2d: {out_channels: 1, kernel_size: 3, padding: same}]", params="{same: 2}")
    assert "padding='same'" in nodes(text)[0]
    by_name = spec("[conv2d: {out_channels: 1, kernel_size: 3, padding: $same}]", params="{same: 2}")
    assert "padding=(2, 2)" in nodes(by_name)[0]


def test_text_of_a_block_is_literal_unless_a_dollar_names_it() -> None:
    blocks = "{b: {params: {mode: str}, body: [conv2d: {out_channels: 1, kernel_size: 1, padding: mode}]}}"
    for use, mode in (("valid", "valid"), ("$pad", "same"), ("'$pad'", "same")):
        net = netspec.loads(spec(f"[b: {use}]", blocks=blocks, params="{pad: same, valid: 3}"))
        assert net.graph.scopes["b"].params == {"mode": mode}


WRONG: list[tuple[str, str, str, str, str]] = [
    ("float-for-int", "linear: width / 2", "NS206", "width / 2", "`//` gives an int"),
    ("float-literal-for-int", "linear: 8.0", "NS206", "8.0", "a positive integer"),
    ("bool-for-int", "linear: true", "NS206", "true", "a positive integer"),
    ("bool-expression-for-int", "linear: flag", "NS206", "flag", "not true"),
    ("int-for-bool", "batch_norm: {affine: 1}", "NS206", "1", "true or false"),
    ("bool-for-float", "dropout: flag", "NS206", "flag", "not true"),
    ("quoted-number", "linear: '8'", "NS206", "'8'", "write 8 without quotes"),
    ("nan", "dropout: .nan", "NS206", ".nan", "not nan"),
    ("infinity", "leaky_relu: .inf", "NS206", ".inf", "not inf"),
    ("negative", "linear: -8", "NS206", "-8", "not -8"),
    ("mapping", "linear: {out_features: {a: 1}}", "NS206", "{a: 1}", "not a mapping"),
    ("unknown-name", "linear: 'max(width, widht)'", "NS208", "widht", "did you mean `width`?"),
    ("name-within-a-name", "linear: 'max(width, a)'", "NS208", "a", "not defined"),
    ("symbol", "linear: N", "NS208", "N", "input.height"),
    ("value-alone", "linear: input", "NS208", "input", "input.channels"),
    ("value-of-a-step", "linear: stem.channels", "NS208", "stem", "not defined"),
    ("other-attribute", "linear: input.__class__", "NS207", "__class__", "no attribute"),
    ("power", "linear: width ** 2", "NS207", "**", "no power operator"),
    ("other-function", "linear: int(rate)", "NS207", "int", "no function `int`"),
    ("unfinished", "linear: width +", "NS207", "]", "something is missing at the end"),
    ("chained-comparison", "batch_norm: {affine: 1 < width < 3}", "NS207", "<", "join them with `and`"),
    ("division-by-zero", "linear: width // (width - 8)", "NS208", "width // (width - 8)", "division by zero"),
    ("item-beyond", "linear: 'stages[2]'", "NS208", "'stages[2]'", "no item 2"),
    ("too-large", "linear: 9223372036854775807 * width", "NS208", "9223372036854775807 * width", "2**63 - 1"),
    ("text-and-number", "linear: pad + 1", "NS208", "pad + 1", "takes numbers"),
    ("yaml-1.1-word", "batch_norm: {affine: no}", "NS208", "no", "write `false`"),
    ("dollar-in-an-expression", "linear: $width + 1", "NS207", "$", "no meaning"),
    ("pair-with-x", "max_pool2d: 3x3", "NS207", "x3", "[3, 3]"),
    ("index-outside", "linear: index", "NS208", "index", "counts the copies"),
]


@pytest.mark.parametrize(
    ("step", "code", "marked", "fragment"), [pytest.param(*case[1:], id=case[0]) for case in WRONG]
)
def test_wrong_values(step: str, code: str, marked: str, fragment: str) -> None:
    check_misuse(spec(f"[{step}]", params=PARAMS), code, marked, fragment)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{relu, repeat: 0, name: r}", []),
        ("{relu, repeat: 1, name: r}", ["r.0 = relu(image)"]),
        ("{relu, repeat: n, name: r}", ["r.0 = relu(image)", "r.1 = relu(r.0)"]),
        ("{dropout: index / 4, repeat: n, name: r}", ["r.0 = dropout(image; p=0.0)", "r.1 = dropout(r.0; p=0.25)"]),
        (
            "{b: index, repeat: n, name: r}",
            ["r.0.dropout = dropout(image; p=0.0)", "r.1.dropout = dropout(r.0.dropout; p=0.125)"],
        ),
        ("{relu, when: true, name: r}", ["r = relu(image)"]),
        ("{relu, when: false, name: r}", []),
        ("{relu, when: n == 2 and input.channels == 3, name: r}", ["r = relu(image)"]),
        ("{relu, repeat: n, when: index == 1, name: r}", ["r.1 = relu(image)"]),
    ],
)
def test_repeat_and_when(step: str, expected: list[str]) -> None:
    """A step that does nothing is its input, under its name; a repeated one's name is the last copy's value."""
    blocks = "{b: {params: {i: int}, body: [dropout: i / 8]}}"
    found = nodes(spec(f"[{step}, {{tanh, from: r}}]", params="{n: 2}", blocks=blocks))
    last = expected[-1].partition(" ")[0] if expected else "image"
    assert found == [*expected, f"tanh = tanh({last})"]


def test_from_feeds_the_first_copy_and_index_is_the_innermost() -> None:
    text = spec(
        "[{relu, name: a}, tanh, {dropout: index / 2, repeat: 2, from: a},"
        " {add: {branches: {x: [{dropout: index / 4, repeat: 2}], y: [{dropout: index / 8}]}}, repeat: 2, name: m}]"
    )
    found = [node for node in nodes(text) if "dropout(" in node]
    assert found == [
        "dropout.0 = dropout(a; p=0.0)",
        "dropout.1 = dropout(dropout.0)",
        "m.0.x.dropout.0 = dropout(dropout.1; p=0.0)",
        "m.0.x.dropout.1 = dropout(m.0.x.dropout.0; p=0.25)",
        "m.0.y.dropout = dropout(dropout.1; p=0.0)",
        "m.1.x.dropout.0 = dropout(m.0; p=0.0)",
        "m.1.x.dropout.1 = dropout(m.1.x.dropout.0; p=0.25)",
        "m.1.y.dropout = dropout(m.0; p=0.125)",
    ]


def test_index_is_unseen_inside_blocks() -> None:
    text = spec("[{b, repeat: 2}]", blocks="{b: {body: [dropout: index]}}")
    check_misuse(text, "NS208", "index", "pass it to the block")


def test_when_false_of_several_inputs_is_the_first() -> None:
    text = spec("[{relu, name: a}, {tanh, name: b}, {add, from: [b, a], when: false, name: c}, {sigmoid, from: c}]")
    assert nodes(text)[-1] == "sigmoid = sigmoid(b)"


def test_when_false_leaves_what_is_wrong_inside_alone() -> None:
    text = spec("[{b, when: input.channels > 3}]", blocks="{b: {body: [{max_pool2d: 100}]}}")
    assert nodes(text) == []


@pytest.mark.parametrize(
    ("step", "code", "marked", "fragment"),
    [
        ("{relu, repeat: -1}", "NS215", "-1", "0 or more"),
        ("{relu, repeat: 1.0}", "NS215", "1.0", "number of copies"),
        ("{relu, repeat: true}", "NS215", "true", "number of copies"),
        ("{relu, repeat: n / 2}", "NS215", "n / 2", "not 1.0"),
        ("{relu, repeat: 1000000}", "NS214", "1000000", "100,000"),
        ("{relu, repeat: index}", "NS208", "index", "counts the copies"),
        ("{relu, repeat: input.height}", "NS215", "input.height", "--input"),
        ("{relu, when: 1}", "NS215", "1", "a condition"),
        ("{relu, when: n}", "NS215", "n", "a condition"),
        ("{relu, when: input.height > 8}", "NS215", "input.height > 8", "depends on a symbol"),
        ("{relu, when: input.height == input.width}", "NS215", "input.height == input.width", "depends on a symbol"),
        ("{add, from: [image, image], repeat: 2}", "NS211", "add", "takes what the one before gives"),
    ],
)
def test_repeat_and_when_misused(step: str, code: str, marked: str, fragment: str) -> None:
    check_misuse(spec(f"[{step}]", params="{n: 2}", inputs="{image: [N, 3, H, W]}"), code, marked, fragment)


def test_when_is_decided_on_a_symbol_where_it_can_be() -> None:
    text = spec("[{relu, when: input.height == image.height}]", inputs="{image: [N, 3, H, W]}")
    assert nodes(text) == ["relu = relu(image)"]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elaboration, "MAX_NODES", 1_000)
    monkeypatch.setattr(elaboration, "MAX_STEPS", 10_000)
    many = spec("[{b, repeat: 1000}]", blocks="{b: {body: [{relu, repeat: 1000}]}}")
    assert error(many).code == "NS214"
    each = (
        "{b: {params: {i: int}, body: [{c: 1000 * i + index, repeat: 1000}]},"
        " c: {params: {i: int}, body: [{relu, repeat: 0}]}}"
    )
    nothing = spec("[{b: index, repeat: 1000}]", blocks=each)
    assert error(nothing).message == "the network has more than 10,000 steps"
    twice = ", ".join(f"b{i}: {{body: [b{i + 1}, b{i + 1}]}}" for i in range(40))
    assert error(spec("[b0]", blocks=f"{{{twice}, b40: {{body: [relu]}}}}")).code == "NS214"
    deep = ", ".join(f"b{i}: {{body: [add: {{branches: {{x: [b{i + 1}], y: []}}}}]}}" for i in range(40))
    found = error(spec("[b0]", blocks=f"{{{deep}, b40: {{body: [relu]}}}}"))
    assert (found.code, "nest at most" in found.message) == ("NS214", True)


@pytest.mark.parametrize(
    ("params", "code", "fragment"),
    [
        ({"clases": 10}, "NS204", "did you mean `classes`?"),
        ({"classes": 10.0}, "NS206", "takes an int, not 10.0"),
        ({"classes": True}, "NS206", "takes an int, not true"),
        ({"stages": 3}, "NS206", "takes a list"),
        ({"stages": [{}]}, "NS206", "takes a list"),
        ({}, "NS205", "--set classes="),
    ],
)
def test_parameters_given_from_outside(params: dict[str, Any], code: str, fragment: str) -> None:
    text = spec("[flatten, linear: classes]", params="{classes: int, stages: [1, 2]}")
    found = error(text, params=params)
    assert found.code == code
    assert fragment in f"{found.message} {found.help}"
    assert found.span is None


def test_given_parameters_stand_in_the_graph() -> None:
    text = spec("[flatten, linear: classes]", params="{classes: int, stages: [1, 2]}")
    net = netspec.loads(text, params={"classes": 7, "stages": (3,)})
    assert net.params == {"classes": 7, "stages": [3]}
    assert net.graph["linear"].type.shape[-1] == 7


def test_two_blocks_are_not_one_class() -> None:
    found = errors(spec("[a_b]", blocks="{a_b: {body: [relu]}, aB: {body: [relu]}, Example: {body: [relu]}}"))
    assert [e.code for e in found] == ["NS210", "NS210"]
    with pytest.raises(NetspecError, match="would be called `None`"):
        netspec.loads(spec("[none]", blocks="{none: {body: [relu]}}"))
