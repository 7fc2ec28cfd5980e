"""Runs the fenced examples of a Markdown file, in order, in an empty folder; `--update` writes what they print.

What a block is for is said by its language, or by an HTML comment right before it:

- `console`: each `$ netspec ...` or `$ python ...` line is run, and must print what stands below it. A line
  `...`, or `...` within a line, stands for anything. `$ cp FILE FILE` copies, and `$ NAME=$(python -c ...)` sets what
  `$NAME` stands for after it.
- `python`: run in one namespace per file; with `>>>` as a doctest.
- `yaml`, `json`: a spec, or a piece of one (steps, or keys of the file), which must load.
- `<!-- file: NAME -->`: the block is also written to that file; `<!-- broken: NAME -->`: likewise, and it
  must not load.
- `<!-- module: PATH -->`: the block is a file that netspec could have at that path, and is imported as such;
  `<!-- added: PATH -->`: it could stand at the end of that file.
- `<!-- excerpt: PATH -->`: the block is part of that file of the repository.
- `<!-- output: COMMAND -->`: the block is what that command prints on stdout.
- `<!-- later -->`: a spec of a later version, which must not load yet.
- `sh`, `text` and `toml` blocks are not run.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from tests.support.paths import REPOSITORY

_FENCE = re.compile(r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_ASSIGNMENT = re.compile(r"(?P<name>[A-Z]+)=\$\((?P<command>python -c .*)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the comment before it, its text, and where the text starts."""

    language: str
    note: str
    text: str
    start: int
    line: int

    @property
    def kind(self) -> str:
        return self.note.partition(":")[0]

    @property
    def what(self) -> str:
        return self.note.partition(":")[2].strip()


def documents() -> list[Path]:
    """README.md and what is in docs/; last the files whose examples add ops or commands to the process."""
    paths = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    return sorted(paths, key=lambda path: path.name.startswith("adding-"))


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text."""
    for found in _FENCE.finditer(document):
        start = found.start("text")
        note = found["note"] or ""
        yield Block(found["language"], note, found["text"], start, document.count("\n", 0, start))


@mock.patch.dict(os.environ)
def run(path: Path, update: bool = False) -> str:
    """Run a file's blocks in the current folder; the text of the file with what they print now, if asked."""
    document = path.read_text("utf-8")
    namespace: dict[str, Any] = {"__name__": f"{path.stem}_examples"}
    shift = 0
    result = document
    for block in blocks(document):
        try:
            new = _run(block, namespace, f"{path.name}:{block.line}", update)
        except AssertionError as error:
            raise AssertionError(f"{path.name}:{block.line}: {error}") from None
        except Exception as error:
            raise AssertionError(f"{path.name}:{block.line}: {type(error).__name__}: {error}") from error
        if new != block.text:
            at = block.start + shift
            result = result[:at] + new + result[at + len(block.text) :]
            shift += len(new) - len(block.text)
    return result


def _run(block: Block, namespace: dict[str, Any], place: str, update: bool) -> str:
    """Check one block; its text, brought up to date if asked."""
    if block.kind in ("file", "broken"):
        Path(block.what).write_text(block.text, "utf-8")
    if block.kind == "excerpt":
        check_excerpt(block.text, (REPOSITORY / block.what).read_text("utf-8"))
    elif block.kind == "output":
        printed = command(block.what, stderr=False)
        if update and not _elided(block.text):
            return printed
        compare(block.text, printed)
    elif block.kind in ("module", "added"):
        import_text(block.what, block.text, new=block.kind == "module")
    elif block.kind in ("broken", "later"):
        text = complete(block.text) if block.kind == "later" else block.text
        assert not loads(text), "this loads, and is said not to"
    elif block.kind in ("install-and-run", "install-and-test") or block.language in ("sh", "text", "toml"):
        pass
    elif block.language in ("yaml", "json"):
        if block.kind == "file":
            check_spec(block.text, block.what)
        else:
            check_spec(complete(block.text))
    elif block.language == "console":
        return console(block.text, update)
    elif block.language == "python":
        python(block.text, namespace, place)
    else:
        raise AssertionError(f"`{block.language}` blocks are not known to this test")
    return block.text


def console(text: str, update: bool) -> str:
    """Run the commands of a console block and compare what they print."""
    found: list[str] = []
    for part in re.split(r"^(?=\$ )", text, flags=re.M):
        if not part:
            continue
        line, _, wanted = part.partition("\n")
        while line.endswith("\\"):
            more, _, wanted = wanted.partition("\n")
            line = f"{line[:-1]}{more.removeprefix('>').strip()}"
        assert part.startswith("$ "), f"a console block begins with `$ `, not {line!r}"
        printed = command(line[2:])
        if update and not _elided(wanted):
            part = part[: len(part) - len(wanted)] + printed
        else:
            compare(wanted, printed)
        found.append(part)
    return "".join(found)


def command(line: str, stderr: bool = True) -> str:
    """What a command prints: `netspec`, or `python` with a script of this repository; `> file` is obeyed."""
    if assignment := _ASSIGNMENT.fullmatch(line):
        code = shlex.split(assignment["command"])[-1]
        os.environ[assignment["name"]] = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
        return ""
    words = shlex.split(os.path.expandvars(line))
    target = None
    if len(words) > 2 and words[-2] == ">":
        target = words[-1]
        words = words[:-2]
    out = io.StringIO()
    silent = io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out if stderr and target is None else silent),
        mock.patch.dict(os.environ, {"COLUMNS": "100"}),
    ):
        if words[0] == "netspec":
            from netspec.cli.main import main

            with contextlib.suppress(SystemExit):
                main(words[1:])
        elif words[0] == "python":
            script = REPOSITORY / words[1]
            space: dict[str, Any] = {"__name__": "example"}
            sys.modules["example"] = module = type(sys)("example")
            space = module.__dict__
            exec(compile(script.read_text("utf-8"), str(script), "exec", dont_inherit=True), space)
            with contextlib.redirect_stderr(silent):
                space["main"](words[2:])
        elif words[0] == "cp":
            shutil.copy(*words[1:])
        else:
            raise AssertionError(f"`{words[0]}` is no command that this test runs")
    if target is None:
        return out.getvalue()
    Path(target).write_text(out.getvalue(), "utf-8")
    return ""


def python(text: str, namespace: dict[str, Any], place: str) -> None:
    """Run a python block: as a doctest where it has prompts."""
    if ">>>" not in text:
        exec(compile(text, place, "exec", dont_inherit=True), namespace)
        return
    test = doctest.DocTestParser().get_doctest(text, namespace, place, place, 0)
    test.globs = namespace
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)


def import_text(path: str, text: str, new: bool) -> None:
    """Run a text as a module of netspec, or at the end of one: `netspec/tables.py` is the path of `netspec.tables`."""
    name = path.removesuffix(".py").replace("/", ".")
    if new:
        sys.modules[name] = type(sys)(name)
    exec(compile(text, path, "exec", dont_inherit=True), import_module(name).__dict__)


def check_spec(text: str, file: str = "<string>") -> None:
    """Load all networks of a spec, in a file of the current folder or in none, and check what they claim."""
    import netspec
    from netspec.source import Source
    from netspec.spec.read.read_spec import networks_of

    for name in networks_of(Source(file, text)):
        _, broken = netspec.loads(text, network=name, name=file).check_expectations()
        assert not broken, "\n".join(map(str, broken))


def loads(text: str) -> bool:
    """Whether a spec loads, and what it claims is so."""
    from netspec import NetspecError

    try:
        check_spec(text)
    except (NetspecError, AssertionError):
        return False
    return True


def complete(text: str) -> str:
    """A piece of a spec with what it lacks: the header, an input, a step."""
    if re.search(r"^netspec:", text, re.M) or text.lstrip().startswith("{"):
        return text
    if text.lstrip("\n").startswith(("- ", "#")) and not re.search(r"^\w+:", text, re.M):
        text = f"network:\n{text}"
    head = "netspec: 1\n" + ("" if re.search(r"^name:", text, re.M) else "name: example\n")
    if not re.search(r"^extends:", text, re.M):
        head += "" if re.search(r"^inputs:", text, re.M) else "inputs: {image: [N, 3, 32, 32]}\n"
        head += "" if re.search(r"^network:", text, re.M) else "network: [identity]\n"
    return head + text


def check_excerpt(text: str, whole: str) -> None:
    """Every part of an excerpt, between lines of `...`, stands in the file as it is, in this order."""
    at = 0
    for part in re.split(r"^\s*(?:# )?\.\.\.\n", text, flags=re.M):
        found = whole.find(part, at)
        assert found >= 0, f"this is not in the file:\n{part}"
        at = found + len(part)


def _elided(text: str) -> bool:
    """Whether a text leaves something out. Help lines of errors have dots of their own."""
    return any("..." in line for line in text.split("\n") if not line.startswith("   help: "))


def compare(wanted: str, printed: str) -> None:
    """Hold a text against another in which `...` stands for anything."""
    wanted, printed = ("\n".join(line.rstrip() for line in text.strip("\n").split("\n")) for text in (wanted, printed))
    if wanted == printed:
        return
    pattern = re.escape(wanted).replace(r"\.\.\.", ".*?")
    assert re.fullmatch(pattern, printed, re.S), f"this stands there:\n{wanted}\n\nand this is printed:\n{printed}"


def link(folder: Path) -> None:
    """What a reader in a checkout has beside him."""
    for name in ("specs", "examples"):
        (folder / name).symlink_to(REPOSITORY / name)


def main() -> None:
    """Check, or with `--update` rewrite, the files given (all of them if none is)."""
    import tempfile

    update = "--update" in sys.argv
    given = [Path(name).resolve() for name in sys.argv[1:] if not name.startswith("-")]
    for path in given or documents():
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            link(Path(folder))
            text = run(path, update)
        if update:
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
