"""The documentation holds: its examples run and print what it says, its tables are current, its links resolve."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import netspec
from netspec import NetspecError
from netspec.errors import CODES
from tests.docs import documents

REPOSITORY = documents.REPOSITORY
FILES = documents.documents()
HAND_WRITTEN = [path for path in FILES if path.name != "ops.md"]
APART = ("adding-a-backend.md", "adding-a-command.md", "adding-an-op.md", "own-ops.md")
"""Files whose examples change the process (a new op, a new command), and so run in one of their own."""
HEAD = "netspec: 1\nname: x\ninputs: {image: [N, 3, 8, 8]}\n"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_examples_run_and_print_what_stands_below_them(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.link(tmp_path)
    if path.name in APART:
        command = [sys.executable, "-W", "error", documents.__file__, str(path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    monkeypatch.chdir(tmp_path)
    documents.run(path)


def test_the_examples_of_a_new_op_leave_this_process_alone() -> None:
    from netspec.ops import REGISTRY

    assert "contrast_norm" not in REGISTRY


def test_generated_parts_are_up_to_date(generate: ModuleType) -> None:
    stale = [path.name for path, text in generate.generated().items() if path.read_text("utf-8") != text]
    assert not stale, "run `python docs/generate.py`"


def test_the_table_of_networks_has_the_published_figures() -> None:
    lines = (REPOSITORY / "README.md").read_text("utf-8").split("\n")
    rows = {line.split("|")[1].strip(" `"): line for line in lines if line.startswith("| `")}
    assert set(rows) == set(netspec.names())
    # VGG: Table 2 and Distill 2019; ResNet-50: torchvision, and Distill 2019; AlexNet: Caffe, and R-CNN's section 3.1.
    assert "138,357,544 | 15.5 G | 212 /32" in rows["vgg_d"]
    assert "25,557,032 | 3.86 G | 483 /32" in rows["resnet50"]
    assert "60,965,224 | 724 M | 195 /32" in rows["alexnet"]


def test_the_page_of_the_python_api_has_every_name_and_an_example_of_each() -> None:
    page = (REPOSITORY / "docs" / "python.md").read_text("utf-8").split("\n## Networks\n")[0]
    rows = [name for name in netspec.__all__ if f"| `{name}` |" in page or f"`{name}` is an older name" in page]
    examples = [
        name
        for name in netspec.__all__
        if re.search(rf">>> .*\bnetspec\.{name}\b|^\.\.\. .*\bnetspec\.{name}\b", page, re.M)
    ]
    assert sorted({*netspec.__all__} - {*rows}) == [], "a public name without a row in a table of docs/python.md"
    assert sorted({*netspec.__all__} - {*examples}) == [], "a public name without an example in docs/python.md"


def test_every_pass_and_every_analysis_has_its_row() -> None:
    from netspec import passes

    transforms, reports = [(REPOSITORY / "docs" / name).read_text("utf-8") for name in ("transforms.md", "reports.md")]
    names = [name for name in passes.__all__ if not name[0].isupper()]
    assert [name for name in names if f"\n| `{name}(graph" not in transforms] == [], "no row in docs/transforms.md"
    homes: dict[str, str] = netspec._HOMES
    names = [name for name, home in homes.items() if home.startswith("netspec.analysis.") and name[0].islower()]
    assert [name for name in names if f" | `{name}` | " not in reports] == [], "no row in docs/reports.md"


def test_every_op_attribute_and_code_is_documented() -> None:
    from netspec.ops import REGISTRY

    ops = (REPOSITORY / "docs" / "ops.md").read_text("utf-8")
    for name, cls in REGISTRY.items():
        section = ops.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert [a for a in cls.model_fields if f"\n| `{a}`" not in section] == []
    assert "another kind of value" not in ops
    errors = (REPOSITORY / "docs" / "errors.md").read_text("utf-8")
    assert [code for code in CODES if f"| {code} |" not in errors] == []


@pytest.mark.parametrize("path", [*FILES, REPOSITORY / "CHANGELOG.md"], ids=lambda path: path.name)
def test_links_resolve(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*HAND_WRITTEN, REPOSITORY / "CHANGELOG.md"], ids=lambda path: path.name)
def test_lines_are_wrapped(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)
    long = [line for line in text.split("\n") if len(line) > 120 and not line.startswith(("|", "!["))]
    assert long == []


def test_the_two_commands_stand_at_the_top_each_on_one_line() -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    first, second = list(documents.blocks(readme))[:2]
    assert (first.note, second.note) == ("install-and-run", "install-and-test")
    install = "python3 -m venv .venv && .venv/bin/pip install -e"
    assert first.text == f"{install} . && .venv/bin/netspec compile specs/vgg_e.yaml\n"
    assert second.text == f'{install} ".[test]" && .venv/bin/python -m pytest -n 2\n'


def nested(depth: int) -> str:
    blocks = "".join(f"  b{n}: {{body: [b{n + 1}]}}\n" for n in range(depth))
    return f"{HEAD}blocks:\n{blocks}  b{depth}: {{body: [relu]}}\nnetwork: [b0]\n"


def steps(text: str, params: str = "{}") -> str:
    return f"{HEAD}params: {params}\nnetwork:\n  - {text}\n"


LIMITS: dict[str, tuple[str, Callable[[ModuleType], str]]] = {
    "characters of a text": ("NS104", lambda g: HEAD + "#" * g.spec_limits.MAX_TEXT_CHARACTERS),
    "depth of lists and mappings": ("NS104", lambda g: HEAD + "network: " + "[" * (g.spec_limits.MAX_DATA_DEPTH + 1)),
    "digits of an integer": ("NS104", lambda g: steps("linear: " + "1" * (g.spec_limits.MAX_INTEGER_DIGITS + 1))),
    "characters of a name": ("NS202", lambda g: steps(f"{{relu, name: {'a' * (g.naming.MAX_NAME + 1)}}}")),
    "an op's integer": ("NS206", lambda g: steps(f"linear: {g.op_fields.MAX_INT + 1}")),
    "characters of an expression": ("NS207", lambda g: steps(f"linear: 1{' ' * g.expression.MAX_LENGTH}+ 1")),
    "depth of an expression": (
        "NS207",
        lambda g: steps(f"linear: {'(' * (d := g.expression.MAX_EXPRESSION_DEPTH + 9)}1{')' * d}"),
    ),
    "operators of an expression": ("NS207", lambda g: steps(f"linear: 1{' + 1' * (g.expression.MAX_OPERATORS + 1)}")),
    "an integer in an expression": ("NS208", lambda g: steps("linear: b + 1", f"{{b: {g.expression.MAX_INTEGER}}}")),
    "axes of an input": (
        "NS214",
        lambda g: f"netspec: 1\nname: a\ninputs: {{x: [{'N, ' * g.spec_limits.MAX_INPUT_AXES}N]}}\nnetwork: [relu]\n",
    ),
    "values of a list": ("NS214", lambda g: steps("relu", f"{{a: [{'1, ' * g.spec_limits.MAX_LIST_ITEMS}1]}}")),
    "characters of a parameter that is text": (
        "NS214",
        lambda g: steps("relu", f"{{a: {'b' * (g.spec_limits.MAX_PARAMETER_TEXT + 1)}}}"),
    ),
    "copies of a `repeat`": ("NS214", lambda g: steps(f"{{relu, repeat: {g.spec_limits.MAX_REPEAT + 1}}}")),
    "depth of blocks and branches inside each other": ("NS214", lambda g: nested(g.spec_limits.MAX_BODY_DEPTH)),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_gives_the_error_that_the_table_says(limit: str, generate: ModuleType) -> None:
    code, text = LIMITS[limit]
    row = next(line for line in generate.limits().split("\n") if line.startswith(f"| {limit} |"))
    assert code in row
    with pytest.raises(NetspecError) as raised:
        netspec.loads(text(generate))
    assert raised.value.diagnostics[0].code == code


# The checks above have teeth.


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("```console\n$ netspec validate vgg_e\nvgg_e: 3 ops\n```\n", "and this is printed"),
        ("```console\n$ netspec summary vgg_e\nVGG-19 ...\n144 G\n...\n```\n", "and this is printed"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```python\nassert 1 == 2\n```\n", "AssertionError|x.md"),
        ("```yaml\n- {linear: 10, bias: false}\n```\n", "NS211"),
        ("<!-- broken: a.yaml -->\n```yaml\nnetspec: 1\nname: a\ninputs: {x: [N, 2]}\nnetwork: [relu]\n```\n", "loads"),
        ("<!-- later -->\n```yaml\n- relu\n```\n", "loads"),
        ("<!-- excerpt: specs/vgg_e.yaml -->\n```yaml\nname: vgg_f\n```\n", "not in the file"),
        ("<!-- output: netspec validate vgg_e -->\n```text\nnothing\n```\n", "and this is printed"),
        ("```rust\nfn main() {}\n```\n", "not known"),
    ],
)
def test_a_document_that_is_wrong_is_found(
    document: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.md").write_text(document, "utf-8")
    with pytest.raises(AssertionError, match=message):
        documents.run(Path("x.md"))


def test_outputs_are_brought_up_to_date_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.md").write_text("Old:\n\n```console\n$ netspec --version\nnetspec, version 0\n```\n\nEnd.\n", "utf-8")
    updated = documents.run(Path("x.md"), update=True)
    assert updated == f"Old:\n\n```console\n$ netspec --version\nnetspec, version {netspec.__version__}\n```\n\nEnd.\n"
    assert os.listdir() == ["x.md"]
