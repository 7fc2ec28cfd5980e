"""Text -> data: values, places, and what is said to those whose text is wrong."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
import yaml

import netspec.spec.text.yaml as dialect
from netspec.errors import Diagnostic, NetspecError
from netspec.source import Source
from netspec.spec.limits import MAX_DATA_DEPTH, MAX_TEXT_CHARACTERS
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.spec.text.parse import parse_text

QUOTE = "quote it: an expression with , [ ] { } stands in quotes inside {...} and [...]"


def load(text: str, name: str = "a.yaml") -> Data:
    return parse_text(Source(name, text))


def error(text: str, name: str = "a.yaml") -> Diagnostic:
    with pytest.raises(NetspecError) as caught:
        load(text, name)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    str(diagnostic)  # the excerpt can always be drawn
    return diagnostic


def place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.span is not None
    return diagnostic.span.line, diagnostic.span.column


def walk(data: Data | Entry) -> list[Scalar | Entry]:
    if isinstance(data, Map):
        return [x for e in data.entries.values() for x in (e, *walk(e.value))]
    return [x for item in data.items for x in walk(item)] if isinstance(data, Seq) else [data]


@pytest.fixture(params=[yaml.CSafeLoader, yaml.SafeLoader], ids=["C", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "_LOADER", request.param)


# fmt: off
VALUES: list[tuple[str, Any]] = [
    ("~", None), ("null", None), ("NULL", None), ("", None), ("nULL", "nULL"),
    ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"),
    ("0", 0), ("-12", -12), ("+3", 3), ("010", 10), ("0o17", 15), ("0xfF", 255), ("9" * 19, int("9" * 19)),
    ("1e-5", 1e-5), (".5", 0.5), ("-1.", -1.0), ("6.02E+23", 6.02e23), (".inf", math.inf), ("-.INF", -math.inf),
    ("1_000", "1_000"), ("12:30:00", "12:30:00"), ("2024-01-02", "2024-01-02"), ("0b1", "0b1"), ("-0x1", "-0x1"),
    (".", "."), ("-x", "-x"), ("e5", "e5"), ("1 if a else 2", "1 if a else 2"), ("min(a, b)", "min(a, b)"),
    ('"12"', "12"), ("'true'", "true"), ("''", ""), ('"a\\tb"', "a\tb"), ("'it''s'", "it's"), ("x[1]", "x[1]"),
    ("|\n  a\n  b\n", "a\nb\n"), ("conv2d:64", "conv2d:64"), ("=", "="), ("a#b", "a#b"), ("١٢", "١٢"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_scalars(text: str, value: Any) -> None:
    data = load(f"key: {text}")
    assert plain_data(data) == {"key": value}
    assert type(plain_data(data)["key"]) is type(value)
    scalar = data.entries["key"].value  # type: ignore[union-attr]
    assert scalar.quoted == (text[:1] in ("'", '"', "|"))


def test_nan_and_keys() -> None:
    assert math.isnan(plain_data(load("a: .nan"))["a"])
    assert plain_data(load("1: a\ntrue: b\non: c\n'x y': d\n010: e\n'<<': f")) == {
        "1": "a", "true": "b", "on": "c", "x y": "d", "010": "e", "<<": "f"}
    text = "--- # one\na: [b: 1, {relu, name: c}]\n...\n"
    assert plain_data(load(text)) == {"a": [{"b": 1}, {"relu": None, "name": "c"}]}


@pytest.mark.parametrize("text", [
    "a: b\nlist:\n  - one\n  - [two, {three: four}]\n",
    "\ufeffa: b\nc: [d]\n",
    "a: b\r\nc:\r\n  - d # e\r\n  - 'f\r\n    g'\r\nh: i\r\n",
    "é: ñ\n😀: {😁: '😂'} # 😂\n名: ö # ü\nlast: word\n",
    "a: b\u2028c: d\x85e: \ufefff\n",
])
@pytest.mark.usefixtures("parser")
def test_spans_are_the_tokens(text: str) -> None:
    for item in walk(load(text)):
        span, word = (item.key_span, item.key) if isinstance(item, Entry) else (item.span, item.value)
        assert "".join(span.text.strip("'").split()) == "".join(str(word).split())


def test_places() -> None:
    data = load("\ufeffé: 😀😁 # z\r\nnet:\r\n  - relu\r\n  - {conv: 64}\r\nempty:\r\n")
    assert isinstance(data, Map)
    net, empty = data.entries["net"], data.entries["empty"].value
    assert isinstance(net.value, Seq)
    spans = [data.span, data.entries["é"].value.span, net.key_span, net.value.span, *(i.span for i in net.value.items)]
    assert [(s.line, s.column, s.text) for s in spans] == [
        (1, 1, "é"), (1, 4, "😀😁"), (2, 1, "net"), (3, 3, "-"), (3, 5, "relu"), (4, 5, "{conv: 64}")]
    assert (empty.span.line, empty.span.column, empty.span.text) == (5, 7, "")


ERRORS: list[tuple[str, str, tuple[int, int], str, str]] = [  # text, code, place, a part of the message, of the help
    ("{w: stages[1]}", "NS101", (1, 5), "ends the value before `[`", QUOTE),
    ("{k: 1 if a else [1, 2]}", "NS101", (1, 5), "ends the value before `[`", QUOTE),
    ("{k: [1, 2][0]}", "NS101", (1, 11), "ends the value before `[`", QUOTE),
    ("- {k: min(a, b)}", "NS101", (1, 7), "splits this expression", QUOTE),
    ("{k: max(a, b, c), name: x}", "NS101", (1, 5), "splits this expression", QUOTE),
    ("{b: 1, k: max(a, b, c)}", "NS101", (1, 11), "splits this expression", QUOTE),
    ("{a, b)}", "NS101", (1, 5), "`b)` is no key", QUOTE),
    ("a: [min(a, b)]", "NS101", (1, 5), "splits this expression", QUOTE),
    ("- inverted\n  name: x", "NS101", (1, 3), "mapping values are not allowed", "write `- inverted:`"),
    ("- a\n- relu # c\n  name: x", "NS101", (2, 3), "mapping values are not allowed", "write `- relu:`"),
    ("a:\n\t- b", "NS101", (2, 1), "a tab can't indent", "spaces"),
    ("- a\n \tname: x", "NS101", (2, 2), "a tab can't indent", "spaces"),
    ("conv2d:64\nb: 1", "NS101", (1, 1), "a space is missing after `conv2d:`", "write `conv2d: 64`"),
    ("a: 1\nb:2\nc: 3", "NS101", (2, 1), "a space is missing after `b:`", "write `b: 2`"),
    ("- conv:64\n  name: x", "NS101", (1, 3), "a space is missing", "write `- conv: 64`"),
    ("a: {b:1, c: 2}", "NS101", (1, 5), "a space is missing", "write `b: 1`"),
    ("a: 'x\nb: 1", "NS101", (1, 4), "the quote ' is never closed", ""),
    ("a: 'x\nb: 'y'", "NS101", (1, 4), "the quote ' is closed too late", ""),
    ("a: 'it's'", "NS101", (1, 8), "after the closing quote", "quote the whole value"),
    ('a: "\\q"', "NS101", (1, 5), "`\\q` is no escape", "single quotes"),
    ("a: [1, 2\nb: 3", "NS101", (1, 4), "`[` is never closed", "`]`"),
    ("a: {b: {c: 1}\nd: [1]", "NS101", (1, 4), "`{` is never closed", "`}`"),
    ("a: {b: 1]", "NS101", (1, 9), "`]` can't close `{`", "`}`"),
    ("{a: 1, , b: 2}", "NS101", (1, 8), "nothing stands before this `,`", ""),
    ("{conv: 64 name: x}", "NS101", (1, 11), "a comma is missing before `name`", ""),
    ("a: [conv {b: 1}]", "NS101", (1, 5), "no `:` between", "write `conv: {...}`"),
    ("a: !{b: 1}", "NS103", (1, 4), "no tags", "quotes"),
    ("a: {b: 1} c", "NS101", (1, 11), "nothing more can stand on this line", "comma"),
    ("a: 1\nname conv1\nb: 1", "NS101", (2, 1), "a key without its `:`", "write `name: conv1`"),
    ("a: [b c: d: e]", "NS101", (1, 11), "a second `: `", "quote"),
    ("title: VGG: a net", "NS101", (1, 11), "a second `: ` on one line", "quote"),
    ("- a: 1\n   b: 2", "NS101", (2, 4), "`b:` is indented under `a`", "same column as `a`"),
    ("a: - b", "NS101", (1, 4), "a list can't start on the line of its key", "next line"),
    ("a:\n   b: 1\n  c: 2", "NS101", (3, 3), "indented by 2", "indent it"),
    ("a: b\n- c", "NS101", (2, 1), "a list item among the keys", "indent it"),
    ("- a\nb: c", "NS101", (2, 1), "a key among the items", "indent it"),
    ("a: 1\nb\nc: 2", "NS101", (2, 1), "a key without its `:`", "write `b:`"),
    ("a: 1\n: 2", "NS101", (2, 1), "a key is missing", ""),
    ("{: x}", "NS101", (1, 2), "a key is missing", ""),
    ("a: @x", "NS101", (1, 4), "can't start with `@`", "quotes"),
    ("a: }", "NS101", (1, 4), "`}` closes nothing", ""),
    ("a: * b", "NS101", (1, 4), "can't start with `*`", "quotes"),
    ("? [a]\n: b", "NS101", (1, 3), "a key is a name, this one is a list", ""),
    ("a: {{ w }}", "NS101", (1, 5), "a key is a name, this one is a mapping", "no templates"),
    ("é: x\ny: 😀\x07z", "NS101", (2, 5), "U+0007", ""),
    ("a: \ud800", "NS101", (1, 4), "U+D800", ""),
    ("", "NS101", (1, 1), "the spec is empty", "netspec: 1"),
    ("# only\n\n# comments\n", "NS101", (1, 1), "the spec is empty", ""),
    ("---\n", "NS101", (1, 1), "the spec is empty", ""),
    ("a: 1\nb: 2\n'a': 3", "NS102", (3, 1), "the key `a` stands twice", ""),
    ("a: &x b", "NS103", (1, 4), "no anchors", "block"),
    ("a: &x\n  - b", "NS103", (1, 4), "no anchors", "block"),
    ("a: *x", "NS103", (1, 4), "no aliases", "block"),
    ("a:\n  <<: {b: 1}", "NS103", (2, 3), "no merge keys", "defaults"),
    ("a: !!int 3", "NS103", (1, 4), "no tags", "quotes"),
    ("a: !t {b: 1}", "NS103", (1, 4), "no tags", "quotes"),
    ("a: 1\n---\nb: 2", "NS103", (2, 1), "a second document", "networks:"),
    ("%YAML 1.2\n---\na: 1", "NS103", (1, 1), "no directives", "take this line"),
    ("%FOO\n---\na: 1", "NS103", (1, 1), "no directives", "take this line"),
    (f"a: -{'9' * 20}", "NS104", (1, 4), "more than 19 digits", "quotes"),
    (f"a: {'9' * 5000}", "NS104", (1, 4), "more than 19 digits", "quotes"),
    ("a: 0x" + "f" * 20, "NS104", (1, 4), "more than 19 digits", "quotes"),
]
JSON_ERRORS: list[tuple[str, str, tuple[int, int], str, str]] = [
    ('{"a": 1,}', "NS101", (1, 9), "not valid JSON", "take out the comma"),
    ('[1,\n 2,\n]', "NS101", (3, 1), "not valid JSON", "take out the comma"),
    ('{"a" 1}', "NS101", (1, 6), "a `:` is due here", ""),
    ('{"a": [1 2]}', "NS101", (1, 10), "a `,` or a closing bracket is due", "comma"),
    ("{'a': 1}", "NS101", (1, 2), "double quotes", "double quotes"),
    ('{"é😀": True}', "NS101", (1, 8), "a value is due", "write true"),
    ('{"a": "NaN", "b": -Infinity}', "NS101", (1, 19), "`-Infinity` is not part of JSON", "a number"),
    ('{"a": "b\n"}', "NS101", (1, 7), "not closed on its line", "`\\n`"),
    ('{"a": "b', "NS101", (1, 7), "not closed on its line", ""),
    ('{"a": [1, 2', "NS101", (1, 7), "`[` is never closed", ""),
    ('{"a": 1} // b', "NS101", (1, 10), "text after the end", "no comments"),
    ('{"a": "\\ud800"}', "NS101", (1, 7), "half a character", ""),
    ("  ", "NS101", (1, 1), "the spec is empty", "netspec: 1"),
    ('{"a": 1,\n "\\u0061": 2}', "NS102", (2, 2), "the key `a` stands twice", ""),
    ('{"a": ' + "1" * 5000 + "}", "NS104", (1, 7), "more than 19 digits", ""),
]
# fmt: on


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("text", "code", "where", "message", "help"), ERRORS)
def test_errors(text: str, code: str, where: tuple[int, int], message: str, help: str) -> None:
    diagnostic = error(text)
    assert (diagnostic.code, place(diagnostic)) == (code, where)
    assert message in diagnostic.message
    assert help in diagnostic.help


@pytest.mark.parametrize(("text", "code", "where", "message", "help"), JSON_ERRORS)
def test_json_errors(text: str, code: str, where: tuple[int, int], message: str, help: str) -> None:
    diagnostic = error(text, "a.json")
    assert (diagnostic.code, place(diagnostic)) == (code, where)
    assert message in diagnostic.message
    assert help in diagnostic.help


def test_carets_and_notes() -> None:
    assert str(error("x: {k: min(a, b), name: y}")).splitlines()[1:3] == [
        "    1 | x: {k: min(a, b), name: y}",
        "      |        ^^^^^^^^^",
    ]
    assert error("a: 1\nb: {c: 2, c: 3}").notes == ("`c` stands first at a.yaml:2:5",)
    assert error('{"c": 1,\n"c": 2}', "a.json").notes == ("`c` stands first at a.json:1:2",)
    assert error("a: [b: 1, conv:{c: 1}]").message == "a space is missing after this `:`"
    assert error("a: 'x\nb: 'y'").notes == ("it ends at a.yaml:2:4, and more text follows",)


@pytest.mark.parametrize("text", ["{t: a (b), u: 'c)'}", "[f(a), g(b)]", "{a: '(', b}", "a: {b: 'c:1', 'd:1'}"])
def test_balanced_text_is_left_alone(text: str) -> None:
    assert plain_data(load(text)) == yaml.safe_load(text)


JSON = '{"a": [1, -2.5e1, true, null, "x\\n\\u00e9\\ud83d\\ude00"],\n "é😀": {}, "c": [], "d": "[{"}'


@pytest.mark.parametrize(("name", "lead"), [("a.json", ""), ("A.JSON", "\ufeff"), ("<stdin>", "\n ")])
def test_json(name: str, lead: str) -> None:
    data = load(lead + JSON, name)
    assert plain_data(data) == json.loads(JSON)
    assert isinstance(data, Map)
    key = data.entries["é😀"].key_span
    assert (key.line, key.column, key.text) == (2 + lead.count("\n"), 2, '"é😀"')
    assert data.entries["a"].value.span.text == JSON[6 : JSON.index("]") + 1]
    assert [(x.span.text, x.quoted) for x in walk(data.entries["a"].value) if isinstance(x, Scalar)][:2] == [
        ("1", False),
        ("-2.5e1", False),
    ]


def test_json_or_yaml() -> None:
    tabs = '{\n\t"a/b": "\\/"\n}'
    assert plain_data(load(tabs, "x")) == {"a/b": "/"}
    assert plain_data(load("{a: NaN}")) == plain_data(load('{"a": NaN}')) == {"a": "NaN"}
    assert plain_data(load("[1]", "a.json")) == [1]
    assert error("a: 1", "a.json").message.startswith("not valid JSON: a value is due here")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_depth(name: str) -> None:
    assert plain_data(load("[" * MAX_DATA_DEPTH + "]" * MAX_DATA_DEPTH, name))
    diagnostic = error("[" * (MAX_DATA_DEPTH + 1) + "]" * (MAX_DATA_DEPTH + 1), name)
    assert (diagnostic.code, place(diagnostic)) == ("NS104", (1, MAX_DATA_DEPTH + 1))
    assert "64 levels" in diagnostic.message


HOSTILE = ["[", "{", "{a: ", "- ", "? ", "[{a: ", "[a, ", "\n'", "(", "a), ", "[(, ", '{"a":', "9", "a:b ", "' ", "#"]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_hostile_text_is_refused_at_once(unit: str, name: str) -> None:
    started = time.process_time()
    try:
        load("{x: [" + unit * (1_000_000 // len(unit)), name)
    except NetspecError as caught:
        str(caught)
    assert time.process_time() - started < 5


def test_size() -> None:
    assert plain_data(load("a: " + "b" * (MAX_TEXT_CHARACTERS - 3)))
    assert (
        error("a: " + "b" * MAX_TEXT_CHARACTERS).code
        == error(" " * MAX_TEXT_CHARACTERS + "{}", "a.json").code
        == "NS104"
    )
