"""Rules of the language, one by one: the file's sections, `extends`, `defaults`, `init`, `expect`, outputs, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec import NetspecError
from netspec.naming import MODULE_ATTRIBUTES
from netspec.spec.read.initializers import INITIALIZERS
from netspec.types import Init
from tests.spec.language import check_misuse, error, errors, nodes, printed, spec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

BASE = """netspec: 1
name: base
title: A base
source: "Somewhere, Table 1"
params: {classes: 10, width: 8}
inputs: {image: [N, 3, 32, 32]}
blocks:
  conv:
    params: {width: int}
    body: [conv2d: {out_channels: width, kernel_size: 3}, relu]
network:
  - {conv: width, name: stem}
  - flatten
  - {linear: classes, name: fc}
outputs: {logits: fc, maps: stem}
expect: {parameters: 72234}
"""
HEAD = "netspec: 1\nname: other\nextends: base.yaml\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def extended(text: str = "", head: str = HEAD) -> netspec.Network:
    Path("other.yaml").write_text(head + text)
    return netspec.load("other.yaml")


def refused(text: str = "", head: str = HEAD) -> tuple[str, str]:
    with pytest.raises(NetspecError) as caught:
        extended(text, head)
    (found,) = caught.value.diagnostics
    return found.code, f"{found.message} {found.help} {' '.join(found.notes)}"


@pytest.mark.usefixtures("folder")
class TestExtends:
    def test_keeps_what_is_not_said(self) -> None:
        net = extended()
        assert printed(net) == printed(netspec.load("base.yaml"))
        assert (net.name, [o.name for o in net.graph.outputs]) == ("other", ["logits", "maps"])

    def test_name_title_and_source_are_its_own(self) -> None:
        net = extended("title: Another\n")
        assert (net.title, net.graph.source) == ("Another", "")

    @pytest.mark.parametrize(
        ("text", "path", "shape"),
        [
            ("params: {classes: 7}", "fc", "N x 7"),
            ("inputs: {image: [N, 1, 32, 32]}", "stem.conv2d", "N x 8 x 30 x 30"),
            ("blocks: {conv: {params: {width: int}, body: [{conv2d: {out_channels: width, kernel_size: 5}}]}}",
             "stem.conv2d", "N x 8 x 28 x 28"),
            ("blocks: {conv: {params: {width: int}, body: [extra, relu]}, extra: {body: [max_pool2d: 2]}}",
             "stem.extra.max_pool2d", "N x 3 x 16 x 16"),
        ],
        ids=["params", "inputs", "blocks", "a-block-of-its-own"],
    )  # fmt: skip
    def test_replaces_by_key(self, text: str, path: str, shape: str) -> None:
        assert str(extended(text).graph[path].type) == shape

    def test_keys_that_are_not_named_stay(self) -> None:
        assert extended("params: {classes: 7}").params == {"classes": 7, "width": 8}

    @pytest.mark.parametrize("key", ["network: [relu]", "outputs: {a: stem}"])
    def test_never_the_body(self, key: str) -> None:
        code, said = refused(key)
        assert (code, "can't stand beside `extends`" in said) == ("NS201", True)

    def test_expect_is_its_own(self) -> None:
        assert netspec.load("base.yaml").check_expectations() == (1, [])
        assert extended().check_expectations() == (0, [])
        assert extended("expect: {parameters: 3}").check_expectations()[0] == 1

    def test_chains(self) -> None:
        Path("middle.yaml").write_text("netspec: 1\nname: middle\nextends: base.yaml\nparams: {classes: 7, width: 4}\n")
        net = extended("params: {classes: 5}", HEAD.replace("base", "middle"))
        assert net.params == {"classes": 5, "width": 4}

    def test_cycles(self) -> None:
        Path("a.yaml").write_text(HEAD.replace("base", "other"))
        code, said = refused("", HEAD.replace("base", "a"))
        assert code == "NS212"
        assert "other.yaml -> a.yaml -> other.yaml" in said
        assert refused("", HEAD.replace("base", "other"))[0] == "NS212"

    def test_too_long_a_chain(self) -> None:
        for i in range(12):
            Path(f"s{i}.yaml").write_text(HEAD.replace("base", f"s{i + 1}"))
        assert refused("", HEAD.replace("base", "s0"))[0] == "NS212"

    @pytest.mark.parametrize(
        ("name", "code", "fragment"),
        [
            ("bsae.yaml", "NS213", "did you mean `base.yaml`?"),
            ("base", "NS213", "there is no bundled spec"),
            ("resnet81", "NS213", "did you mean `resnet18`?"),
            ("../base.yaml", "NS213", "outside the folder"),
            ("/etc/passwd.yaml", "NS213", "outside the folder"),
            ("below/../../x.yaml", "NS213", "outside the folder"),
            ("link.yaml", "NS213", "outside the folder"),
            ("loop.yaml", "NS105", ""),
            ('"a\\0.yaml"', "NS105", "no path"),
            ("a" * 300, "NS213", "no bundled spec"),
            ("a" * 300 + ".yaml", "NS105", "too long"),
            ("below.yaml", "NS105", "is a folder"),
            ("latin.yaml", "NS105", "not UTF-8"),
            ("pipe.yaml", "NS105", "not an ordinary file"),
        ],
    )
    def test_files_that_can_not_be_had(self, folder: Path, name: str, code: str, fragment: str) -> None:
        import os

        outside = folder.parent / "outside.yaml"
        outside.write_text(BASE)
        Path("link.yaml").symlink_to(outside)
        Path("loop.yaml").symlink_to("loop.yaml")
        Path("below.yaml").mkdir()
        Path("latin.yaml").write_bytes(b"netspec: 1\nname: caf\xe9\n")
        os.mkfifo("pipe.yaml")
        found, said = refused("", f"netspec: 1\nname: other\nextends: {name}\n")
        assert (found, fragment in said) == (code, True), said

    def test_a_text_extends_bundled_specs_only(self) -> None:
        assert error("netspec: 1\nname: a\nextends: base.yaml\n").code == "NS213"
        net = netspec.loads("netspec: 1\nname: a\nextends: resnet18\nparams: {classes: 5}\n")
        assert str(net.graph["fc"].type) == "N x 5"

    def test_an_error_stands_in_the_file_that_has_it(self) -> None:
        Path("base.yaml").write_text(BASE.replace("kernel_size", "kernelsize"))
        with pytest.raises(NetspecError) as caught:
            extended()
        assert str(caught.value).startswith("base.yaml:10:")

    def test_defaults_are_for_the_steps_of_their_file(self) -> None:
        text = "defaults: {conv2d: {padding: 1}, linear: {bias: false}}\n"
        assert printed(extended(text)) == printed(netspec.load("base.yaml"))
        own = extended(
            text + "blocks: {conv: {params: {width: int}, body: [conv2d: {out_channels: width, kernel_size: 3}]}}"
        )
        assert str(own.graph["stem.conv2d"].type) == "N x 8 x 32 x 32"


CONV = "conv2d: {out_channels: 8, kernel_size: 3}"
DEFAULTS: list[tuple[str, str, str, str]] = [
    ("attribute", "{dropout: {p: 0.25}}", "[dropout]", "dropout(image; p=0.25)"),
    ("step-wins", "{dropout: {p: 0.25}}", "[dropout: 0.75]", "dropout(image; p=0.75)"),
    ("null-argument-too", "{dropout: {p: 0.25}}", "[dropout: null]", "dropout(image; p=0.25)"),
    ("required-attribute", "{max_pool2d: {kernel_size: 2}}", "[max_pool2d]", "max_pool2d(image; kernel_size=(2, 2))"),
    ("expression", "{dropout: {p: rate / 2}}", "[dropout]", "dropout(image; p=0.0625)"),
    ("in-blocks", "{dropout: {p: 0.25}}", "[b]", "dropout(image; p=0.25)"),
    ("lexical", "{dropout: {p: rate}}", "[b]", "dropout(image; p=0.125)"),
]


@pytest.mark.parametrize(
    ("defaults", "network", "expected"), [pytest.param(*case[1:], id=case[0]) for case in DEFAULTS]
)
def test_defaults(defaults: str, network: str, expected: str) -> None:
    """`lexical`: what stands in `defaults` reads the file's parameters, not those of a block that it serves."""
    blocks = "{b: {params: {rate: 0.75}, body: [dropout]}}"
    (node,) = nodes(spec(network, defaults=defaults, params="{rate: 0.125}", blocks=blocks))
    assert node.partition(" = ")[2] == expected


@pytest.mark.parametrize(
    ("defaults", "code", "marked", "fragment"),
    [
        ("{dropot: {p: 0.5}}", "NS203", "dropot", "did you mean `dropout`?"),
        ("{b: {rate: 0.5}}", "NS203", "b", "in `params`"),
        ("{dropout: {q: 0.5}}", "NS204", "q", "`p`"),
        ("{dropout: {p: 1.5}}", "NS206", "1.5", "probability"),
        ("{dropout: {p: x}}", "NS208", "x", "not defined"),
        ("{dropout: {p: index}}", "NS208", "index", "counts the copies"),
        ("{dropout: {p: input.channels}}", "NS208", "input", "not defined"),
        ("{add: {branches: {x: [], y: []}}}", "NS204", "branches", "no defaults"),
        ("{conv2d: {init: {weight: gaussian}}}", "NS204", "gaussian", "`normal`"),
    ],
)
def test_defaults_misused(defaults: str, code: str, marked: str, fragment: str) -> None:
    blocks = "{b: {params: {rate: 0.75}, body: [relu]}}"
    check_misuse(spec("[relu]", defaults=defaults, params="{rate: 0.125}", blocks=blocks), code, marked, fragment)


def test_init() -> None:
    own = "{weight: {normal: {std: 0.01}}, bias: 1}"
    listed = "{bias: [1, 2, 3, 4, 5, 6, 7, 8], weight: dirac_}"
    defaults = "{conv2d: {init: {weight: {kaiming_normal: {mode: fan_out}}, bias: zeros}}}"
    text = spec(f"[{{{CONV}}}, {{{CONV}, init: {own}}}, {{{CONV}, init: {listed}}}]", defaults=defaults)
    assert [dict(node.init) for node in netspec.loads(text).graph] == [
        {"weight": Init("kaiming_normal", {"mode": "fan_out"}), "bias": Init("zeros", {})},
        {"weight": Init("normal", {"std": 0.01}), "bias": 1.0},
        {"weight": Init("dirac", {}), "bias": (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)},
    ]


def test_defaults_may_name_weights_that_a_step_has_not() -> None:
    text = spec(
        "[conv2d: {out_channels: 8, kernel_size: 3, bias: false}]", defaults="{conv2d: {init: {bias: 0, weight: ones}}}"
    )
    assert netspec.loads(text).graph["conv2d"].op.opname == "conv2d"


@pytest.mark.parametrize(
    ("init", "code", "marked", "fragment"),
    [
        ("3", "NS206", "3", "maps weights"),
        ("{wieght: ones}", "NS204", "wieght", "did you mean `weight`?"),
        ("{weight: gaussian}", "NS204", "gaussian", "`normal`"),
        ("{weight: {normal: {sd: 1}}}", "NS204", "sd", "did you mean `std`?"),
        ("{weight: {normal: 1}}", "NS206", "1", "are named"),
        ("{weight: {normal: {std: -1}}}", "NS206", "-1", "0 or more"),
        ("{weight: {normal: {std: true}}}", "NS206", "true", "a number"),
        ("{weight: {kaiming_normal: {mode: fan}}}", "NS206", "fan", "`fan_in`"),
        ("{weight: {kaiming_normal: {nonlinearity: swish}}}", "NS206", "swish", "`relu`"),
        ("{weight: {uniform: {a: 2}}}", "NS206", "uniform", "from 2 to 1"),
        ("{weight: {normal: , ones: }}", "NS206", "{normal: , ones: }", "one function"),
        ("{bias: true}", "NS206", "true", "a number, a list or a function"),
        ("{bias: null}", "NS206", "null", "a number, a list or a function"),
        ("{bias: .nan}", "NS206", ".nan", "a number, a list or a function"),
        ("{bias: [1, x]}", "NS206", "[1, x]", "list of numbers"),
        ("{bias: [1, 2]}", "NS206", "bias", "has the shape 8"),
        ("{weight: [1, 2]}", "NS206", "weight", "has the shape 8 x 3 x 3 x 3"),
        ("{bias: xavier_normal}", "NS206", "bias", "2 or more axes"),
        ("{weight: eye}", "NS206", "weight", "weights of 2 axes"),
        ("{weight: {dirac: {groups: 3}}}", "NS206", "weight", "do not divide"),
    ],
)
def test_init_misused(init: str, code: str, marked: str, fragment: str) -> None:
    check_misuse(spec(f"[{{{CONV}, init: {init}}}]"), code, marked, fragment)


def test_init_functions_are_torchs() -> None:
    import inspect

    for name, options in INITIALIZERS.items():
        known = inspect.signature(getattr(torch.nn.init, f"{name}_")).parameters
        assert set(options) == set(known) - {"tensor", "generator"}


def test_module_attributes_are_torchs() -> None:
    public = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    containers = {"append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values"}
    assert public <= MODULE_ATTRIBUTES
    assert containers <= MODULE_ATTRIBUTES


NET = f"[{{{CONV}, name: a}}, {{max_pool2d: 2, name: p}}, flatten, {{linear: 10, name: fc}}]"

CLAIMS: list[tuple[str, str]] = [
    ("parameters", "{parameters: 18234}"),
    ("figure", "{parameters: 18 K}"),
    ("figure-cut", "{parameters: 18.2 K}"),
    ("several", "{parameters: [18234, 18 K]}"),
    ("macs", "{macs: 212400}"),
    ("train", "{train: {parameters: 18234}}"),
    ("shape", "{steps: {a: {shape: [N, 8, 30, 30]}}}"),
    ("stride", "{steps: {p: {stride: 2}}}"),
    ("stride-pair", "{steps: {p: {stride: [2, 2]}}}"),
    ("field", "{steps: {p: {receptive_field: 4}}}"),
    ("field-over", "{steps: {p: {receptive_field: {size: 2, over: a}}}}"),
    ("of-a-step", "{steps: {a: {parameters: 224, macs: 194400}}}"),
    ("in-a-block", "{steps: {b.relu: {shape: [N, 10]}}}"),
]
BROKEN: list[tuple[str, str, str, str]] = [
    ("parameters", "{parameters: 18235}", "18235", "18,234"),
    ("figure", "{parameters: 19 K}", "19 K", "18,234"),
    ("no-figure", "{parameters: lots}", "lots", "such as `144 M`"),
    ("second", "{parameters: [18234, 20 K]}", "20 K", "18,234"),
    ("macs", "{macs: 1}", "1", "212,400"),
    ("train", "{train: {parameters: 3}}", "3", "18,234"),
    ("shape", "{steps: {a: {shape: [N, 8, 30, 31]}}}", "[N, 8, 30, 31]", "[N, 8, 30, 30]"),
    ("stride", "{steps: {p: {stride: 3}}}", "3", "[2, 2]"),
    ("field", "{steps: {p: {receptive_field: 5}}}", "5", "[4, 4]"),
    ("field-over", "{steps: {p: {receptive_field: {size: 3, over: a}}}}", "{size: 3, over: a}", "[2, 2]"),
    ("over-nothing", "{steps: {p: {receptive_field: {size: 3, over: aa}}}}", "over", "`aa`"),
    ("unknown-claim", "{params: 3}", "params", "`parameters`"),
    ("unknown-step", "{steps: {aa: {stride: 1}}}", "aa", "did you mean `a`?"),
    ("unknown-of-step", "{steps: {a: {strides: 1}}}", "strides", "did you mean `stride`?"),
    ("not-a-mapping", "{steps: {a: 3}}", "a", "a mapping"),
]


def claimed(expect: str) -> Any:
    text = spec(NET.replace("}]", "}, {b, name: b}]"), expect=expect, blocks="{b: {body: [relu]}}")
    return netspec.loads(text).check_expectations()


@pytest.mark.parametrize("expect", [pytest.param(case[1], id=case[0]) for case in CLAIMS])
def test_expect_holds(expect: str) -> None:
    count, found = claimed(expect)
    assert count >= 1
    assert found == []


@pytest.mark.parametrize(("expect", "marked", "fragment"), [pytest.param(*case[1:], id=case[0]) for case in BROKEN])
def test_expect_does_not_hold(expect: str, marked: str, fragment: str) -> None:
    (found,) = claimed(expect)[1]
    assert found.span.text == marked
    assert fragment in f"{found.message} {found.help}"


def test_expect_beside_a_step() -> None:
    text = spec(NET.replace("name: p", "name: p, expect: {stride: 2, shape: [N, 8, 15, 16]}"))
    count, (found,) = netspec.loads(text).check_expectations()
    assert (count, found.code, found.message) == (
        2,
        "NS216",
        "`shape` is claimed to be [N, 8, 15, 16] and is [N, 8, 15, 15]",
    )


def test_expect_lapses_under_other_params_and_inputs() -> None:
    text = spec(NET.replace("10", "classes"), params="{classes: 10}", expect="{parameters: 3}")
    assert len(netspec.loads(text).check_expectations()[1]) == 1
    assert netspec.loads(text, params={"classes": 5}).check_expectations() == (0, [])
    assert netspec.loads(text, inputs={"image": ["N", 3, 64, 64]}).check_expectations() == (0, [])


@pytest.mark.parametrize("step", ["b", "add: {branches: {x: [{relu, expect: {stride: 1}}], y: []}}"])
def test_expect_stands_on_steps_of_the_network(step: str) -> None:
    found = error(spec(f"[{step}]", blocks="{b: {body: [{relu, expect: {stride: 1}}]}}" if step == "b" else "{}"))
    assert (found.code, "the network itself" in found.message) == ("NS211", True)


def test_outputs() -> None:
    last = netspec.loads(spec("[relu, {tanh, when: false}]")).graph
    assert [(o.name, o.value) for o in last.outputs] == [("output", "relu")]
    text = spec(
        "[{relu, name: a}, {pair, name: p, repeat: 2}]",
        outputs="{x: p, y: a, z: {from: image}}",
        blocks="{pair: {body: [relu, tanh]}}",
    )
    assert [(o.name, o.value) for o in netspec.loads(text).graph.outputs] == [
        ("x", "p.1.tanh"),
        ("y", "a"),
        ("z", "image"),
    ]


@pytest.mark.parametrize(
    ("outputs", "code", "fragment"),
    [
        ("{x: relu}", "NS209", "has no name"),
        ("{x: aa}", "NS209", "did you mean `a`?"),
        ("{x: 3}", "NS209", "no step `3`"),
        ("{x: {mode: inference}}", "NS201", "needs `from`"),
        ("{x: {from: a, mode: train}}", "NS201", "of training only"),
        ("{x: a, y: {from: a, mode: eval}}", "NS201", "takes `train` or `inference`"),
        ("{x: a, y: {mode: train}}", "NS201", "needs `from`"),
        ("{x: a, y: {from: b, mode: train}}", "NS209", "no step `b`"),
        ("{x: {from: a, mod: train}}", "NS201", "did you mean `mode`?"),
        ("{_x: a}", "NS202", "begins with `_`"),
        ("{class: a}", "NS202", "word of Python"),
        ("[a]", "NS201", "takes a mapping"),
    ],
)
def test_outputs_misused(outputs: str, code: str, fragment: str) -> None:
    found = error(spec("[{relu, name: a}, relu]", outputs=outputs))
    assert (found.code, fragment in f"{found.message} {found.help}") == (code, True), str(found)


@pytest.mark.parametrize(
    ("text", "code", "fragment"),
    [
        ("name: a\ninputs: {x: [N]}\nnetwork: [relu]", "NS201", "begin with `netspec: 1`"),
        ("netspec: 2\nname: a\ninputs: {x: [N]}\nnetwork: [relu]", "NS201", "reads version 1"),
        ("netspec: 1.0\nname: a\ninputs: {x: [N]}\nnetwork: [relu]", "NS201", "reads version 1"),
        ("netspec: true\nname: a\ninputs: {x: [N]}\nnetwork: [relu]", "NS201", "reads version 1"),
        ("netspec: 1\nname: 3\ninputs: {x: [N]}\nnetwork: [relu]", "NS201", "takes text"),
        ("netspec: 1\nname: a-b\ninputs: {x: [N]}\nnetwork: [relu]", "NS202", "letters"),
        ("netspec: 1\nname: _\ninputs: {x: [N]}\nnetwork: [relu]", "NS202", "no name"),
        ("netspec: 1\nname: a\nnetwork: [relu]", "NS201", "needs `inputs`"),
        ("netspec: 1\nname: a\ninputs: {}\nnetwork: [relu]", "NS201", "needs `inputs`"),
        ("netspec: 1\nname: a\ninputs: {x: [N]}", "NS201", "needs `network`"),
        ("netspec: 1\nname: a\ninputs: {x: [N]}\nnetwork: []", "NS211", "no steps"),
        ("netspec: 1\nname: a\ninput: {x: [N]}\nnetwork: [relu]", "NS201", "did you mean `inputs`?"),
        ("[1]", "NS201", "a mapping"),
        ("3", "NS201", "a mapping"),
        ("", "NS101", "empty"),
    ],
)
def test_the_outline(text: str, code: str, fragment: str) -> None:
    found = errors(text)[0]
    assert (found.code, fragment in f"{found.message} {found.help}") == (code, True), str(found)


def test_json_means_the_same() -> None:
    data = {
        "netspec": 1,
        "name": "example",
        "params": {"width": 8},
        "inputs": {"image": ["N", 3, 32, 32]},
        "blocks": {
            "conv": {"params": {"width": "int"}, "body": [{"conv2d": {"out_channels": "width", "kernel_size": 3}}]}
        },
        "network": [{"conv": "width // 2", "name": "stem", "repeat": 2}, "relu", {"flatten": None}, {"linear": 10}],
    }
    yaml = spec(
        "[{conv: width // 2, name: stem, repeat: 2}, relu, flatten, linear: 10]",
        params="{width: 8}",
        blocks="{conv: {params: {width: int}, body: [conv2d: {out_channels: width, kernel_size: 3}]}}",
    )
    assert printed(netspec.loads(json.dumps(data))) == printed(netspec.loads(yaml))
    wrong = json.dumps({**data, "network": [{"lienar": 10}]}, indent=1)
    found = error(wrong)
    assert found.span is not None
    assert (found.code, found.span.text) == ("NS203", '"lienar"')
    assert found.span.line == 1 + wrong[: wrong.index("lienar")].count("\n")
