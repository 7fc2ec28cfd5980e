"""Completion in shells, and `netspec help`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from netspec.cli.group import COMMANDS, cli

from .conftest import Run


def completions(*words: str) -> list[str]:
    """What may stand for the last of these words."""
    *arguments, incomplete = words
    items = ShellComplete(cli, {}, "netspec", "_NETSPEC_COMPLETE").get_completions(arguments, incomplete)
    return [str(item.value) if item.type == "plain" else f"({item.type})" for item in items]


def test_commands_and_options() -> None:
    assert completions("") == list(COMMANDS)
    assert completions("s") == ["show", "summary", "schema"]
    assert completions("--v") == ["--version"]
    assert completions("weights", "c") == ["check", "convert"]
    assert completions("summary", "vgg_e", "--fo") == ["--format", "--force"]
    assert completions("help", "we") == ["weights"]
    assert completions("help", "weights", "") == ["check", "convert"]
    assert completions("help", "summary", "") == []


def test_values() -> None:
    assert completions("summary", "vgg_e", "--format", "") == ["table", "json", "csv", "markdown"]
    assert completions("memory", "vgg_e", "--optimizer", "a") == ["adam"]
    assert completions("diagram", "vgg_e", "--theme", "") == ["light", "dark"]
    assert completions("ops", "conv_t") == ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
    for option in ("-o", "--weights", "--ops"):
        assert completions("compile", "vgg_e", option, "") == ["(file)"]
    assert completions("weights", "check", "vgg_e", "w") == ["(file)"]
    assert completions("run", "m") == ["(file)"]


def test_networks_and_spec_files(folder: Path) -> None:
    (folder / "nets" / "inner").mkdir(parents=True)
    for name in ("vgg_mine.yml", "notes.txt", ".hidden.yaml", "nets/a.yaml", "nets/b.json", "nets/c.md"):
        (folder / name).touch()
    for command in ("summary", "show", "validate", "diagram", "hash", "explain", "export"):
        assert completions(command, "vgg_m") == ["vgg_mine.yml"]
        assert completions(command, "vgg_e") == ["vgg_e"]
    assert completions("summary", "vgg_a", "resnet50") == ["resnet50"]
    assert completions("diff", "vgg_a", "resnet50") == ["resnet50"]
    assert {"vgg_e", "tiny.yaml", "vgg_mine.yml", "nets/"} < set(completions("summary", ""))
    assert completions("summary", "nets/") == ["nets/a.yaml", "nets/b.json", "nets/inner/"]
    # A folder alone is opened.
    assert completions("summary", "net") == ["nets/a.yaml", "nets/b.json", "nets/inner/"]
    assert completions("summary", ".h") == [".hidden.yaml"]
    assert completions("summary", "no/such/") == []
    assert completions("init", "--like", "alex") == ["alexnet", "alexnet_owt"]


def test_a_line_that_is_completed_runs_nothing(folder: Path) -> None:
    (folder / "my_ops.py").write_text("raise SystemExit('it ran')")
    assert completions("summary", "--ops", "my_ops.py", "vgg_e") == ["vgg_e"]


def test_a_line_that_is_no_line(spawn: Run) -> None:
    for words in ("netspec summary 'x", "netspec nonsense x", "netspec help nonsense ", ""):
        result = spawn(_NETSPEC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="2")
        assert result.err == ""
    assert spawn(_NETSPEC_COMPLETE="ksh_source").status == 1


def test_what_completion_loads(spawn: Run) -> None:
    code = """
import json, sys
from netspec.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""
    for words, number in (("netspec su", "1"), ("netspec summary vgg", "2"), ("netspec compile vgg_e --we", "3")):
        result = spawn(code=code, _NETSPEC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=number)
        loaded = set(json.loads(result.out.splitlines()[-1]))
        assert "plain," in result.out
        assert not loaded & {"torch", "numpy", "onnx", "pydantic", "rich"}


BASH = shutil.which("bash")


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_in_bash(folder: Path) -> None:
    (folder / "netspec").write_text(f'#!/bin/sh\nexec {sys.executable} -m netspec "$@"\n')
    (folder / "netspec").chmod(0o755)
    script = f"""
PATH="{folder}:$PATH"
eval "$(_NETSPEC_COMPLETE=bash_source netspec)"
complete -p netspec
COMP_WORDS=(netspec summary resnet50)
COMP_CWORD=2
_netspec_completion netspec
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([str(BASH), "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "resnet50"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_for_shells(shell: str, spawn: Run) -> None:
    result = spawn(_NETSPEC_COMPLETE=f"{shell}_source")
    assert result.status == 0
    assert f"_NETSPEC_COMPLETE={shell}_complete" in result.out


# Help.


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(name: str, run: Run) -> None:
    result = run("help", name)
    assert (result.status, result.err) == (0, "")
    assert result.out == run(name, "--help").out


def test_help(run: Run) -> None:
    assert run("help").out == run("--help").out
    assert run("help", "weights", "convert").out == run("weights", "convert", "--help").out
    unknown = run("help", "sumary")
    assert (unknown.status, unknown.out) == (2, "")
    assert "there is no command `sumary`; did you mean `summary`?" in unknown.err
    assert "`netspec summary` has no commands of its own" in run("help", "summary", "x").err
    assert isinstance(cli, click.Group)
