"""What a hostile user hands in: files that are none, texts that grow, names that are code. Each is refused in words.

Nothing here may print a traceback, hang, eat memory, or leave a file behind.
"""

from __future__ import annotations

import ast
import json
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec import NetspecError
from netspec.cli.main import main
from netspec.errors import Diagnostic
from netspec.spec.elaborate import evaluator
from netspec.spec.limits import MAX_FILE_BYTES, MAX_PATH_LENGTH
from netspec.spec.sources import spec_file

HEAD = "netspec: 1\nname: a\ninputs: {image: [N, 3, 32, 32]}\n"
GOOD = f"{HEAD}network: [relu]\n"
WRONG = f"{HEAD}network: [relux]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(path: str) -> Diagnostic:
    """The first thing that is said of a file."""
    with pytest.raises(NetspecError) as caught:
        netspec.load(path)
    str(caught.value)
    return caught.value.diagnostics[0]


def said(text: str) -> str:
    """All that is said of a text."""
    with pytest.raises(NetspecError) as caught:
        netspec.loads(text)
    return str(caught.value)


# Files.

# fmt: off
CONTENTS: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "NS101", "the spec is empty"),
    ("comments", b"# nothing\n# at all\n", "NS101", "the spec is empty"),
    ("white-space", b" \n\t\n \r\n", "NS101", "the spec is empty"),
    ("mark-alone", b"\xef\xbb\xbf", "NS101", "the spec is empty"),
    ("null", b"null\n", "NS101", "the spec is empty"),
    ("picture", b"\x89PNG\r\n\x1a\n" + bytes(64), "NS105", "its byte 8 is 0"),
    ("archive", b"PK\x03\x04" + bytes(64), "NS105", "its byte 4 is 0"),
    ("every-byte", bytes(range(256)), "NS105", "its byte 0 is 0"),
    ("utf-16", GOOD.encode("utf-16"), "NS105", "UTF-16"),
    ("utf-16-no-mark", GOOD.encode("utf-16-le"), "NS105", "UTF-16"),
    ("utf-16-big", GOOD.encode("utf-16-be"), "NS105", "UTF-16"),
    ("utf-32", GOOD.encode("utf-32"), "NS105", "UTF-16"),
    ("latin-1", "title: été\n".encode("latin-1"), "NS105", "not UTF-8 text (byte 7)"),
    ("surrogate", b"name: \xed\xa0\x80\n", "NS105", "not UTF-8 text (byte 6)"),
    ("escape", b"name: \x1b[31m\n", "NS101", "U+001B"),
    ("delete", b"name: \x7f\n", "NS101", "U+007F"),
    ("too-large", b"#" * (MAX_FILE_BYTES + 1), "NS104", "larger than 4 MiB"),
    ("just-not-too-large", b"#" * MAX_FILE_BYTES, "NS101", "the spec is empty"),
]
# fmt: on


@pytest.mark.parametrize(("content", "code", "fragment"), [c[1:] for c in CONTENTS], ids=[c[0] for c in CONTENTS])
def test_contents(content: bytes, code: str, fragment: str) -> None:
    Path("a.yaml").write_bytes(content)
    found = refused("a.yaml")
    assert (found.code, fragment in found.message) == (code, True), str(found)


@pytest.mark.parametrize(
    "content",
    ["\ufeff" + WRONG, WRONG.replace("\n", "\r\n"), WRONG.replace("\n", "\r"), WRONG.replace("a\n", "a # \u2028\n")],
    ids=["mark", "windows", "old-mac", "line-separator"],
)
def test_places_are_those_of_an_editor(content: str) -> None:
    Path("a.yaml").write_bytes(content.encode())
    span = refused("a.yaml").span
    assert span is not None
    assert (span.line, span.column, span.text) == (4, 11, "relux")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "fragment"),
    [
        (Path.mkdir, "is a folder"),
        (fifo, "is not an ordinary file"),
        (unix_socket, "is not an ordinary file"),
        (loop, "can't be read: "),
    ],
    ids=["folder", "pipe", "socket", "link-to-itself"],
)
def test_files_that_are_none(make: Callable[[Path], None], fragment: str) -> None:
    try:
        make(Path("a.yaml"))
    except (OSError, AttributeError, NotImplementedError) as error:
        pytest.skip(f"this system makes none: {error}")
    found = refused("a.yaml")
    assert (found.code, fragment in found.message) == ("NS105", True), str(found)
    Path("b.yaml").write_text("netspec: 1\nname: b\nextends: a.yaml\n")
    assert refused("b.yaml").code in ("NS105", "NS213")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/random", "/dev/stdin"])
def test_devices(device: str) -> None:
    if not Path(device).exists() or Path(device).resolve().is_file():
        pytest.skip(f"no device {device} here")
    assert "not an ordinary file" in refused(device).message


def test_a_pipe_that_takes_a_files_place_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes with names")
    Path("file").write_text(GOOD)
    ordinary = os.stat("file")
    os.mkfifo("a.yaml")
    monkeypatch.setattr(Path, "stat", lambda _: ordinary)
    assert refused("a.yaml").message == "the spec is empty"


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.yaml").write_text(GOOD)

    def no(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(spec_file, "_open", no)
    found = refused("a.yaml")
    assert (found.code, found.message) == ("NS105", "a.yaml can't be read: permission denied")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a\0.yaml", "NS105"),
        ("\ud800.yaml", "NS105"),
        ("a" * 300 + ".yaml", "NS105"),
        ("a/" * MAX_PATH_LENGTH + "b.yaml", "NS105"),
        ("nowhere/a.yaml", "NS213"),
        ("file/a.yaml", "NS105"),
        ("https://example.com/a.yaml", "NS213"),
        ("", "NS213"),
        (".", "NS213"),
        ("\n", "NS213"),
        ("a" * 100_000, "NS213"),
    ],
)
def test_names_of_files(name: str, code: str) -> None:
    Path("file").write_text(GOOD)
    found = refused(name)
    assert found.code == code, str(found)
    assert len(str(found)) < 2_000


def test_a_folder_that_is_gone(folder: Path) -> None:
    (folder / "gone").mkdir()
    os.chdir(folder / "gone")
    try:
        (folder / "gone").rmdir()
    except OSError:
        pytest.skip("this system keeps a folder that is stood in")
    assert refused("vgg").code == "NS213"
    assert refused("a.yaml").code == "NS213"
    assert netspec.load("vgg_a").name == "vgg_a"


# Ways out of the folder.


@pytest.mark.parametrize(
    "way",
    ["../out.yaml", "inner/../../out.yaml", "{out}", "link.yaml", "folder/out.yaml", "~/out.yaml", "%2e%2e/out.yaml",
     "C:\\out.yaml", "..\\out.yaml", "file:///etc/passwd.yaml", "/dev/zero/a.yaml", "./inner/./../../out.yaml"],
)  # fmt: skip
def test_no_way_out_of_the_folder(way: str, folder: Path) -> None:
    out = folder / "out.yaml"
    out.write_text(GOOD)
    (folder / "in" / "inner").mkdir(parents=True)
    try:
        (folder / "in" / "link.yaml").symlink_to(out)
        (folder / "in" / "folder").symlink_to(folder)
    except OSError as error:
        pytest.skip(f"this system makes no links: {error}")
    text = json.dumps({"netspec": 1, "name": "a", "extends": way.replace("{out}", str(out))})
    (folder / "in" / "a.yaml").write_text(text)
    assert refused("in/a.yaml").code == "NS213"


def test_cycles_of_files_and_links() -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "link")):
        Path(f"{name}.yaml").write_text(f"netspec: 1\nname: {name}\nextends: {other}.yaml\n")
    try:
        Path("link.yaml").symlink_to("a.yaml")
    except OSError as error:
        pytest.skip(f"this system makes no links: {error}")
    assert refused("a.yaml").code == "NS212"


# Texts that grow.

MANY = 1_000_000
LONG = "n" * 96
BLOCKS = "".join(
    f"  {LONG}{i:02d}: {{body: [{{{LONG}{i + 1:02d}: , name: x}}, {LONG}{i + 1:02d}]}}\n" for i in range(60)
)
LINES = "\n".join("  " * depth + "a:" for depth in range(200))
ALIASES = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
TEXTS: dict[str, tuple[str, str]] = {
    "brackets": ("[" * MANY, "NS104"),
    "braces": ("{a: " * MANY, "NS104"),
    "closed": ("[" * MANY + "]" * MANY, "NS104"),
    "json": ('{"a": [' * (MANY // 2), "NS104"),
    "dashes": ("- " * MANY, "NS104"),
    "lines": (LINES, "NS104"),
    "questions": ("? " * MANY, "NS101"),
    "colons": (": " * MANY, "NS101"),
    "commas": ("[" + "," * MANY, "NS101"),
    "quotes": ('"' * MANY, "NS101"),
    "apostrophes": ("- 'a\n" * (MANY // 10), "NS101"),
    "backslashes": ('{"a": "' + "\\" * MANY, "NS101"),
    "aliases": ("a0: &a0 [x]\n" + ALIASES, "NS103"),
    "digits": ("netspec: " + "9" * MANY, "NS104"),
    "zeros": ("netspec: " + "0" * MANY + "2", "NS201"),
    "hexadecimal": ("netspec: 0x" + "f" * MANY, "NS104"),
    "exponent": ("netspec: 1e" + "9" * MANY, "NS201"),
    "long-key": (HEAD + "k" * MANY + "\n", "NS101"),
    "long-name": (HEAD + f"network: [{{relu, name: {'a' * MANY}}}]\n", "NS202"),
    "long-op": (HEAD + f"network: [{'a' * MANY}]\n", "NS203"),
    "long-value": (HEAD + f"network: [{{relu, from: {'a' * MANY}}}]\n", "NS209"),
    "long-expression": (HEAD + "network:\n  - linear: " + "1 + " * MANY + "1\n", "NS207"),
    "long-extends": ("netspec: 1\nname: a\nextends: " + "a/" * MANY + "b.yaml\n", "NS213"),
    "keys": (HEAD + "".join(f"k{i}: 1\n" for i in range(20_000)), "NS201"),
    "attributes": (HEAD + f"network: [conv2d: {{{', '.join(f'k{i}: 1' for i in range(20_000))}}}]\n", "NS204"),
    "ops": (HEAD + "network:\n" + "".join(f"  - op{i}\n" for i in range(20_000)), "NS203"),
    "parameters": (GOOD + "params:\n" + "".join(f"  P{i}: 1\n" for i in range(20_000)), "NS202"),
    "bad-blocks": (GOOD + "blocks:\n" + "".join(f"  b{i}: {{body: [rel]}}\n" for i in range(5_000)), "NS203"),
    "outputs": (GOOD + "outputs:\n" + "".join(f"  o{i}: x\n" for i in range(20_000)), "NS209"),
    "power": (HEAD + "network: [linear: 9**9**9]\n", "NS207"),
    "product": (HEAD + "network: [linear: 999999999 * 999999999 * 999999999]\n", "NS208"),
    "minus": (HEAD + "network:\n  - linear: " + "-" * 900 + "1\n", "NS207"),
    "repeat": (HEAD + "network: [{relu, repeat: 1000000000}]\n", "NS214"),
    "doubled-paths": (f"{HEAD}blocks:\n{BLOCKS}  {LONG}60: {{body: [relu]}}\nnetwork: [{LONG}00]\n", "NS214"),
    "doubled-channels": (
        HEAD + "network: [{concat: {branches: {a: [], b: []}}, repeat: 20000, name: x}]\n", "NS214"),
    "halved-heights": (
        "netspec: 1\nname: a\ninputs: {image: [N, 3, H, W]}\n"
        "network: [{avg_pool2d: {kernel_size: 1, stride: 2}, repeat: 20000}]\n", "NS214"),
    "axes": (f"netspec: 1\nname: a\ninputs: {{x: [{'N, ' * 20_000}N]}}\nnetwork: [flatten]\n", "NS214"),
    "list": (GOOD + f"params: {{x: [{'1, ' * 20_000}1]}}\n", "NS214"),
    "list-in-lists": (GOOD + f"params: {{x: [{'[1, 2, 3], ' * 100}1]}}\n", "NS214"),
    "text": (GOOD + f"params: {{x: {'a' * 20_000}}}\n", "NS214"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_grow(name: str) -> None:
    text, code = TEXTS[name]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = said(text)
    took, after = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert f"error {code}: " in found.split("\n")[0]
    assert len(found) < 20_000
    # Far above what is needed: seconds where it would be hours, and megabytes for gigabytes.
    assert took < 10
    assert after - before < 400 * 1024


def test_expressions_on_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "MAX_ITEMS_READ", 100_000)
    when = " and ".join(["max(x) == 1"] * 40)
    params = f"params: {{x: [{', '.join(['1'] * 256)}]}}\n"
    assert "NS214" in said(f"{HEAD}{params}network:\n  - relu:\n    repeat: 99999\n    when: {when}\n")


def test_a_stride_beyond_all_numbers_is_told_as_unknown() -> None:
    net = netspec.loads(HEAD + "network: [{avg_pool2d: {kernel_size: 1, stride: 2}, repeat: 100, name: r}]\n")
    last = json.loads(net.summary().to_json())["layers"][-1]["receptive_field"]
    assert (last["stride"], last["note"]) == ([None, None], "too large: more than 2**63 - 1 positions")


# Text that becomes code.

TITLES = [
    '"""', "'''", '"""\nimport os\n"""', 'end"', "end\\", '\\"""', "a\nb", "a\rimport os", "a\r\nb", "\x85b", "\u2028b",
    "\u2029b", "\u202eb", "{x}", "%s", "\\N{DASH}", "\\u0041", "\\x", "# noqa", "-*- coding: rot13 -*-", "\ufeff", " ",
    "\t", "\f", "\v", "\x1b[31m", "`x`", "${x}", '""', "\n\n\n", "é😀", "a" * 3_000,
]  # fmt: skip


@pytest.mark.parametrize("key", ["title", "source"])
@pytest.mark.parametrize("text", TITLES)
def test_titles_stay_text_in_the_source(text: str, key: str) -> None:
    escaped = "".join(rf"\U{ord(character):08x}" for character in text)
    line = f'{key}: "{escaped}"\n'
    net = netspec.loads(f"netspec: 1\nname: a\n{line}inputs: {{x: [N, 3]}}\nnetwork: [{{linear: 3, name: fc}}]\n")
    assert all(character.isprintable() for character in net.title + net.graph.source)
    tree = ast.parse(net.to_source())
    assert [type(node).__name__ for node in tree.body] == ["Expr", "ImportFrom", "ClassDef"]
    assert str(net.summary())


# The command.


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


@pytest.mark.parametrize("command", ["validate", "summary", "params", "rf", "show --expanded", "compile -o out.py"])
@pytest.mark.parametrize("content", [b"", b"\0", b"[" * 100_000, b"- \xff", WRONG.encode()])
def test_commands(command: str, content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_bytes(content)
    name, *options = command.split()
    assert run(name, "a.yaml", *options) == 1
    out, err = capsys.readouterr()
    assert (out, "error NS1" in err or "error NS2" in err, "Traceback" in err) == ("", True, False)
    assert [path.name for path in folder.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    "options",
    ["--set classes", "--set =3", "--set classes=[1", "--set classes=!!int", "--set classes=" + "9" * 99,
     "--input 3,224,224", "--input 3xhxw", "--input ", "--input 3x" + "9" * 99 + "x9"],
)  # fmt: skip
def test_usage(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("summary", "vgg_a", *options.split(" ")) == 2
    out, err = capsys.readouterr()
    assert (out, "Traceback" in err) == ("", False)
