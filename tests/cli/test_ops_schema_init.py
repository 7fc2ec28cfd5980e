"""`netspec ops`, `schema` and `init`."""

from __future__ import annotations

import csv
import json
import os
import re
from io import StringIO
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

import netspec
from netspec.ops.base import REGISTRY
from netspec.ops.reference import FAMILIES, reference
from netspec.source import Source
from netspec.spec.text.data import plain_data
from netspec.spec.text.parse import parse_text

from .conftest import Run

SWISH = '''
from netspec.ops.base import Elementwise, example
from netspec.ops.fields import PositiveReal
from netspec.types import Layer


class Swish(Elementwise, name="swish", principal="beta", family="self_gated"):
    """x * sigmoid(beta * x) (Ramachandran et al. 2017).

    With beta 1 it is `silu`.
    """

    beta: PositiveReal = 1.0

    examples = (example((2, 3, 4)), example((2, 3, 4), beta=2))

    def torch(self, x):
        return Layer("swish_ops.Swish", {"beta": self.beta})
'''
LIGHT_CODE = (
    "import sys; from netspec.cli.main import main\ntry: main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
)


@pytest.fixture(autouse=True)
def _a_terminal(monkeypatch: pytest.MonkeyPatch, own_ops_forgotten: None) -> None:
    """Each test without the ops of the others; in a terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def swish(folder: Path) -> str:
    (folder / "swish_ops.py").write_text(SWISH)
    return "swish_ops.py"


@pytest.fixture
def announce(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that announces an op that works and one that does not."""
    (folder / "swish_ops.py").write_text(SWISH)
    (folder / "swish-1.0.dist-info").mkdir()
    (folder / "swish-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: swish\nVersion: 1.0\n")
    (folder / "swish-1.0.dist-info" / "entry_points.txt").write_text(
        "[netspec.ops]\nswish = swish_ops:Swish\nbroken_one = no_such_module:Broken\n"
    )
    monkeypatch.syspath_prepend(str(folder))


# ops


def test_the_list_has_every_op_under_its_family(run: Run) -> None:
    result = run("ops")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].split() == ["op", "principal", "what", "it", "is"]
    names = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(names) == sorted(REGISTRY)
    assert [line for line in lines if line in FAMILIES.values()] == [*FAMILIES.values()]
    start = next(number for number, line in enumerate(lines) if line.startswith("  conv2d"))
    # What it is stands on one line or goes on in the next.
    text = " ".join(" ".join(lines[start : start + 2]).split())
    assert text == "conv2d out_channels 2-D convolution over (N, C, H, W), as torch.nn.Conv2d."


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_what_is_printed_fits_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in (["ops"], *(["ops", name] for name in REGISTRY)):
        result = run(*arguments)
        # One word may be longer than a line.
        assert [line for line in result.out.splitlines() if len(line) > max(int(columns), 80)] == []


def test_the_formats_of_the_list(run: Run) -> None:
    rows = json.loads(run("ops", "--format", "json").out)["ops"]
    assert {row["name"] for row in rows} == set(REGISTRY)
    assert rows[0] == {
        "name": "conv1d",
        "family": "convolution",
        "principal": "out_channels",
        "about": "1-D convolution over (N, C, L), as torch.nn.Conv1d.",
        "module": None,
        "error": None,
    }
    parsed = list(csv.DictReader(StringIO(run("ops", "--format", "csv").out)))
    assert [row["op"] for row in parsed] == [row["name"] for row in rows]
    assert len(run("ops", "--format", "markdown").out.splitlines()) == 2 + len(rows)


CONV = """\
conv2d

2-D convolution over (N, C, H, W), as torch.nn.Conv2d.

takes     1 input
PyTorch   torch.nn.Conv2d
family    Convolutions

attributes:
  out_channels  a positive integer; required; principal
  kernel_size   a positive integer, or [height, width]; required
  stride        a positive integer, or [height, width]; default 1
  padding       an integer of 0 or more, [height, width], same or valid; default 0
  dilation      a positive integer, or [height, width]; default 1
  groups        a positive integer; default 1
  bias          true or false; default true
  padding_mode  zeros, reflect, replicate or circular; default zeros

A bare value is the principal attribute, out_channels.

steps, what they make of an input, and what that costs:
  - conv2d: {out_channels: 4, kernel_size: 3}
      2 x 3 x 8 x 9 -> 2 x 4 x 6 x 7: 112 parameters, 9,072 MACs
"""


def test_all_about_one(run: Run) -> None:
    result = run("ops", "conv2d")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(CONV)  # 4*3*9 + 4 parameters; 2*4*6*7 outputs of 27 products
    assert "A bare value is the principal attribute, kernel_size: max_pool2d: 2." in run("ops", "max_pool2d").out
    assert "takes     2 inputs or more, by from or as branches" in run("ops", "add").out
    assert "  - {concat: -1, from: [a, b]}\n" in run("ops", "concat").out


def test_the_formats_of_one(run: Run) -> None:
    found = json.loads(run("ops", "batch_norm", "--format", "json").out)
    assert found["torch"] == ["torch.nn.BatchNorm2d", "torch.nn.BatchNorm1d", "torch.nn.BatchNorm3d"]
    assert found["attributes"][1] == {
        "name": "momentum",
        "takes": "a probability, from 0 to 1, or null",
        "default": "0.1",
        "principal": False,
    }
    assert found["examples"][0] == {
        "step": "batch_norm",
        "inputs": ["2 x 3 x 4 x 5"],
        "outputs": ["2 x 3 x 4 x 5"],
        "parameters": 6,
        "macs": 0,
    }
    result = run("ops", "batch_norm", "--format", "csv")
    assert (result.status, result.out) == (2, "")


def test_markdown_is_the_reference_of_the_documentation(run: Run) -> None:
    page = (Path(netspec.__file__).parents[1] / "docs" / "ops.md").read_text("utf-8")
    for name in REGISTRY:
        assert f"\n{run('ops', name, '--format', 'markdown').out}" in page


@pytest.mark.parametrize(
    ("name", "hint"),
    [("conv", "did you mean `conv2d`?"), ("MaxPool", "`max_pool2d`"), ("Conv2D", "`conv2d`"), ("zz", "lists")],
)
def test_a_wrong_name(run: Run, name: str, hint: str) -> None:
    result = run("ops", name)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error NS203: there is no op `{name}`\n")
    assert hint in result.err


def test_an_op_of_ones_own(run: Run, swish: str) -> None:
    listed = run("ops", "--ops", swish).out
    assert "\nSelf gated\n  swish" in listed
    assert "(swish_ops) x * sigmoid(beta * x)" in listed
    shown = run("ops", "swish", "--ops", swish).out
    assert "module    swish_ops\n" in shown
    assert "With beta 1 it is `silu`." in shown
    assert "  - swish: 2\n" in shown


def test_an_example_that_fails(run: Run, folder: Path, swish: str) -> None:
    (folder / swish).write_text(SWISH.replace("beta=2)", "beta=-2)"))
    result = run("ops", "swish", "--ops", swish)
    assert (result.status, result.out) == (1, "")
    assert re.match(r"error NS218: .*example.*\n", result.err)
    assert "-2" in result.err


@pytest.mark.usefixtures("announce")
def test_ops_of_installed_packages(run: Run) -> None:
    result = run("ops")
    assert (result.status, result.err) == (0, "")
    assert "(swish_ops) x * sigmoid(beta * x)" in result.out
    assert "\nCan't be used\n  broken_one" in result.out
    assert "No module named 'no_such_module'" in " ".join(result.out.split())
    rows = {row["name"]: row for row in json.loads(run("ops", "--format", "json").out)["ops"]}
    assert rows["swish"]["error"] is None
    assert "no_such_module" in rows["broken_one"]["error"]
    one = run("ops", "broken_one")
    assert (one.status, one.out) == (1, "")
    assert "NS218" in one.err


def test_every_reference_is_plain_data() -> None:
    for cls in REGISTRY.values():
        found = reference(cls)
        assert json.loads(json.dumps(found.to_dict()))["name"] == cls.opname
        assert len(found.examples) == len(cls.examples)


# schema


def refusals(schema: str, text: str) -> list[str]:
    data = plain_data(parse_text(Source("x", text)))
    return [error.message for error in Draft7Validator(json.loads(schema)).iter_errors(data)]


SWISHED = "netspec: 1\nname: x\ninputs: {x: [N, 3]}\nnetwork: [swish: %s]\n"


def test_the_schema_is_printed_or_written(run: Run, folder: Path) -> None:
    result = run("schema")
    assert (result.status, result.err) == (0, "")
    Draft7Validator.check_schema(json.loads(result.out))
    written = run("schema", "-o", "netspec.schema.json")
    assert (written.status, written.out, written.err) == (0, "", "wrote netspec.schema.json\n")
    assert (folder / "netspec.schema.json").read_text() == result.out
    assert refusals(result.out, SWISHED % 2)


def test_the_schema_has_ops_of_ones_own(run: Run, swish: str) -> None:
    schema = run("schema", "--ops", swish).out
    assert refusals(schema, SWISHED % 2) == []
    assert refusals(schema, SWISHED % -2)
    assert json.loads(schema)["definitions"]["op-swish"]["description"].startswith("x * sigmoid(beta * x)")


@pytest.mark.usefixtures("announce")
def test_the_schema_has_ops_of_installed_packages(run: Run) -> None:
    result = run("schema")
    assert result.status == 0
    assert refusals(result.out, SWISHED % 2) == []
    assert result.err.startswith("warning NS218: `broken_one` of swish can't be used")


# init


def test_a_first_spec_works(run: Run, folder: Path) -> None:
    result = run("init")
    assert (result.status, result.out) == (0, "")
    assert result.err.splitlines() == [
        "wrote network.yaml: `network`, 51,930 parameters",
        "next:",
        "  netspec validate network.yaml",
        "  netspec summary network.yaml",
        "  netspec compile network.yaml",
    ]
    valid = run("validate", "network.yaml")
    assert (valid.status, valid.out, valid.err) == (0, "network.yaml: 37 ops, 5 claims hold\n", "")
    text = (folder / "network.yaml").read_text()
    assert refusals(run("schema").out, text) == []
    assert max(map(len, text.splitlines())) <= 110
    compiled = run("compile", "network.yaml")
    assert compiled.status == 0
    assert "proved Network" in compiled.err
    assert run("validate", "network.yaml", "--set", "classes=3", "--set", "base=4").status == 0


def test_the_network_is_named_after_the_file(run: Run, folder: Path) -> None:
    (folder / "nets").mkdir()
    for name, network in (("my-net.yaml", "my_net"), ("nets/one.yml", "one"), ("two", "two"), ("a b", "a_b")):
        result = run("init", name)
        assert result.status == 0
        assert ("validate 'a b.yaml'" in result.err) == (name == "a b")
        file = name if name.endswith(("yaml", "yml")) else f"{name}.yaml"
        assert netspec.load(f"./{file}").name == network


def test_a_file_that_exists_stays(run: Run, folder: Path) -> None:
    before = (folder / "tiny.yaml").read_text()
    for arguments in (["tiny"], ["tiny.yaml"], ["tiny.yaml", "--like", "resnet18"]):
        result = run("init", *arguments)
        assert (result.status, result.out) == (1, "")
        assert result.err == "Error: tiny.yaml exists, and stays as it is: give the new spec another name\n"
    assert (folder / "tiny.yaml").read_text() == before
    os.symlink("nowhere.yaml", "link.yaml")
    assert run("init", "link").status == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["class"], 1, "it is a word of Python\n   help: write `netspec init net_class.yaml`"),
        (["1st"], 1, "help: write `netspec init net_1st.yaml`"),
        (["sub/torch.yaml"], 1, "help: write `netspec init sub/net_torch.yaml`"),
        (["Conv"], 1, "help: write `netspec init net_Conv.yaml`"),
        (["basic", "--like", "resnet18"], 1, "help: write `netspec init --like resnet18 net_basic.yaml`"),
        (["---"], 1, "help: write `netspec init net.yaml`"),
        (["my.net"], 1, "a spec's file ends in .yaml: write `netspec init my_net.yaml`"),
        (["net.json"], 1, "a spec's file ends in .yaml: write `netspec init net.yaml`"),
        (["no/such/folder"], 1, "no/such/folder.yaml can't be written: there is no such folder"),
        ([""], 2, "NAME is the file to write"),
        (["a", "--like", "resnet81"], 1, "error NS213: there is no bundled spec `resnet81`\n   help: did you mean"),
        (["a", "--like", "./tiny.yaml"], 2, "--like takes the name of a bundled network"),
    ],
)
def test_what_init_refuses(run: Run, folder: Path, arguments: list[str], status: int, said: str) -> None:
    before = sorted(folder.rglob("*"))
    result = run("init", *(["--"] if arguments == ["---"] else []), *arguments)
    assert (result.status, result.out) == (status, "")
    assert said in result.err
    assert sorted(folder.rglob("*")) == before
    if "help: write `netspec init " in said:
        way = said.rpartition("init ")[2].rstrip("`").replace("sub/", "").split()
        assert run("init", *way).status == 0


def test_a_name_that_looks_like_an_option(run: Run, folder: Path) -> None:
    said = run("init", "--", "-x").err
    assert "  netspec validate ./-x.yaml\n" in said
    assert run("validate", "./-x.yaml").status == 0


@pytest.mark.parametrize("base", netspec.names())
def test_like_a_bundled_network(run: Run, folder: Path, base: str) -> None:
    assert run("init", "--like", base, "mine").status == 0
    text = (folder / "mine.yaml").read_text()
    bundled = netspec.load(base)
    assert netspec.load("mine.yaml").summary()["totals"] == bundled.summary()["totals"]
    # Every parameter and the inputs, once their `# ` is taken away, are what they were.
    opened = "".join(line.removeprefix("# ") if i > 6 else line for i, line in enumerate(text.splitlines(True)))
    found = plain_data(parse_text(Source("x", opened)))
    assert found["params"] == bundled.params
    assert netspec.loads(opened).summary()["totals"] == bundled.summary()["totals"]


@pytest.mark.parametrize("arguments", ["ops", "ops conv2d", "schema", "init first", "init --like resnet18 other"])
def test_none_of_them_loads_torch(spawn: Run, arguments: str) -> None:
    result = spawn(*arguments.split(), code=LIGHT_CODE)
    assert result.out.splitlines()[-1] == "False"
