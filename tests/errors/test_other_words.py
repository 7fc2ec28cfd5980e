"""What errors say does not hang on other packages' words or limits: parsers with others, and the same texts of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

import netspec.spec.text.yaml as reader
from netspec import NetspecError, load, loads
from netspec.backends.marks import written_for
from netspec.cli.networks import read_settings
from netspec.spec.text.data import MAX_DATA_DEPTH
from netspec.version import PRODUCER
from tests.support.paths import ERROR_CASES as CASES

OF_TEXTS = sorted(
    path.stem for path in CASES.glob("*.txt") if re.search(r"error NS10[1-4]:", path.read_text(encoding="utf-8"))
)


class OtherYaml:
    """A parser of YAML that says nothing we know, and refuses texts nested deeper than we allow by far."""

    parser: Any = reader._LOADER  # pyright: ignore[reportPrivateUsage]

    def __init__(self, text: str) -> None:
        self.loader = self.parser(text)

    def get_event(self) -> Any:
        try:
            return self.loader.get_event()
        except yaml.MarkedYAMLError as error:
            error.problem, error.context = "zut", error.context and "alors"
            raise


class PurePython(OtherYaml):
    parser = yaml.SafeLoader


def other_json(*arguments: Any, **options: Any) -> Any:
    try:
        return LOADS(*arguments, **options)
    except json.JSONDecodeError as error:
        error.msg = "zut"
        raise


LOADS = json.loads


@pytest.mark.parametrize("parser", [OtherYaml, PurePython])
@pytest.mark.parametrize("name", OF_TEXTS)
def test_texts_are_told_in_our_words(name: str, parser: type[OtherYaml], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    monkeypatch.setattr(reader, "_LOADER", parser)
    monkeypatch.setattr(json, "loads", other_json)
    file = next(path.name for path in CASES.glob(f"{name}.*") if path.suffix != ".txt")
    with pytest.raises(NetspecError) as caught:
        load(file)
    assert f"{caught.value}\n" == (CASES / f"{name}.txt").read_text(encoding="utf-8")


# Nesting. Parsers have limits of their own, and some read ahead of what they have told.

DEEP = 5_000
NESTED = {
    "lists": "[" * DEEP,
    "closed": "[" * DEEP + "]" * DEEP,
    "lines": "[\n" * DEEP,
    "mappings": "{a: " * DEEP,
    "json": '{"a": ' * DEEP + "1" + "}" * DEEP,
    "json lists": '{"a": ' + "[" * DEEP + "]" * DEEP + "}",
    "mixed": "[{a: " * DEEP,
    "words": '["[", ' * DEEP,
    "dashes": "- " * DEEP,
    "indentation": "\n".join(" " * depth + "a:" for depth in range(300)),
    "list in a key": "[" * DEEP + "]" * DEEP + ": 1",
    "in a spec": "netspec: 1\nname: a\ninputs: {image: " + "[" * DEEP,
    "labels": "netspec: 1\nname: a\ninputs: {x: [N, 3]}\nlabels: {relu: " + "[" * DEEP + "]" * DEEP + "}",
}  # fmt: skip


class Stingy(OtherYaml):
    """One that gives up a few levels beyond our own limit, as it reads ahead to the end of a line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        at = [match.start() for match in re.finditer(r"[\[{]", text)][MAX_DATA_DEPTH + 10]
        mark = yaml.Mark("", at, 0, at, None, None)
        raise yaml.scanner.ScannerError("alors", mark, "zut", mark)


@pytest.mark.parametrize("parser", [OtherYaml.parser, OtherYaml, PurePython])
@pytest.mark.parametrize("name", NESTED)
def test_what_is_nested_too_deep_is_told_as_that(name: str, parser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_LOADER", parser)
    with pytest.raises(NetspecError) as caught:
        loads(NESTED[name])
    assert str(caught.value).startswith("<string>:")
    assert ": error NS104: nested more than 64 levels deep\n" in str(caught.value)


@pytest.mark.parametrize("name", ["lists", "closed", "lines", "mappings", "mixed"])
def test_the_place_is_where_it_gets_too_deep(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places: set[str] = set()
    for parser in (OtherYaml.parser, PurePython, Stingy):
        monkeypatch.setattr(reader, "_LOADER", parser)
        with pytest.raises(NetspecError) as caught:
            loads(NESTED[name])
        places.add(str(caught.value.diagnostics))
    assert len(places) == 1


@pytest.mark.parametrize("text", ["[" * DEEP, "[" * DEEP + "]" * DEEP, "{a: " * DEEP])
def test_settings_nested_too_deep(text: str) -> None:
    with pytest.raises(Exception, match="nested more than 64 levels deep") as caught:
        read_settings((f"stages={text}",))
    assert len(str(caught.value)) < 1_500


@pytest.mark.parametrize("text", ["[" * 100_000, '{"params": ' + "[" * 900 + "]" * 900 + "}", '{"params": 1}', "{"])
def test_a_mark_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": np.zeros(1, "f4")}, path, metadata={PRODUCER: text})
    assert written_for(path) is None
