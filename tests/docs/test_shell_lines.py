"""Lines that people copy into a shell mean what they say there: what bash or zsh would expand stands in quotes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from netspec import load
from netspec.cli.main import COMMANDS
from netspec.weights import as_options
from tests.docs.documents import REPOSITORY, blocks, documents

_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""")
_EXPANDED = re.compile(r"[\[\]*?{}]")


def unquoted(line: str) -> list[str]:
    """The words of a shell line in which a shell would expand something; patterns of files that exist may be meant."""
    words = _QUOTED.sub(lambda quoted: "_" * len(quoted.group()), line.partition(" #")[0]).split()
    return [word for word in words if _EXPANDED.search(word) and not ("/" in word and any(REPOSITORY.glob(word)))]


def in_documents() -> Iterator[tuple[str, str]]:
    """Every shell line in the documents: of fenced blocks, of what is run to show its output, and in running text."""
    for path in documents():
        text = path.read_text("utf-8")
        for block in blocks(text):
            if block.language == "console":
                lines = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
            else:
                lines = block.text.splitlines() if block.language == "sh" else []
            if block.kind == "output":
                lines.append(block.what)
            yield from ((path.name, line) for line in lines)
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        # What stands in capitals is not typed; what is in brackets may be left out.
        for inline in re.findall(r"`((?:netspec|python3?|pip|make) [^`]+|--[a-z-]+ [^`|]+)`", prose):
            if not re.search(r"\[[A-Z-]|\.\.\.|\|", inline):
                yield path.name, " ".join(inline.split())


def in_help() -> Iterator[tuple[str, str]]:
    """Every line of the examples of every command."""
    commands: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        command = import_module(f"netspec.cli.{name}_command").command
        commands += [(name, command), *getattr(command, "commands", {}).items()]
    for name, command in commands:
        for line in (command.help or "").splitlines():
            if line.strip().startswith("netspec "):
                yield name, line.strip()


def test_lines_in_documents() -> None:
    lines = list(in_documents())
    assert len(lines) > 100
    assert [(name, line) for name, line in lines if unquoted(line)] == []


def test_lines_in_help() -> None:
    lines = list(in_help())
    assert len(lines) > 40
    assert [(name, line) for name, line in lines if unquoted(line)] == []


def test_what_is_unquoted() -> None:
    for line in ("netspec summary x --set a=[1]", "pip install -e .[test]", "ls {a,b}", "ls a?", "ls nowhere/*.yaml"):
        assert unquoted(line), line
    for line in ('pip install -e ".[test]"', "x --set 'a=[1]'", "netspec validate specs/*.yaml", "ls # [a]", r"ls \[a"):
        assert not unquoted(line), line


@pytest.mark.parametrize(
    "value", [[1, 2], [0.5], ["a", "b"], ["a, b"], [True, False], [], 3, 1e-5, True, "a b", "10", "", "it's", "$x", "*"]
)
def test_settings_as_options_are_read_back(value: object) -> None:
    options = as_options({"x": value})[1:-1]
    flag, setting = shlex.split(options)
    assert (flag, unquoted(options)) == ("--set", [])
    from netspec.cli.networks import read_settings

    found = read_settings((setting,), {"x"} if isinstance(value, list) else ())
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


def test_a_list_needs_no_brackets() -> None:
    from netspec.cli.networks import open_network

    wanted = load("resnet18", params={"stages": [1, 1, 1, 1]})
    for setting in ("stages=1,1,1,1", "stages=[1,1,1,1]", "stages=1, 1, 1, 1"):
        assert open_network("resnet18", (setting,)).params == wanted.params
