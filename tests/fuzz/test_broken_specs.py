"""Valid specs with a mistake in them, on the command line: exit status 1, and the place of the mistake."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.spec.sources.bundled import bundled_folder
from tests.fuzz.command import Result, errors_in, run
from tests.fuzz.lasting import COUNTS, seeds
from tests.fuzz.mistakes import SPOILERS, Mistake
from tests.fuzz.spec_text import Text
from tests.fuzz.valid_specs import bundled, valid_spec

FUZZER = COUNTS["mistakes with a place"]


def test_mistakes_are_found_where_they_are(tmp_path: Path) -> None:
    for seed in seeds(800):
        one(seed, tmp_path)


def one(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    data = valid_spec(chance)
    name = [*SPOILERS][seed % len(SPOILERS)]
    mistake = SPOILERS[name](data, chance)
    if mistake is None:
        FUZZER["with no room for the mistake"] += 1
        return
    text = Text(data, chance.choice(("yaml", "json")))
    path = folder / f"spec.{text.form}"
    path.write_text(str(text), encoding="utf-8")
    result = run("validate", str(path))
    FUZZER["mutants"] += 1
    check(result, text, mistake, f"{name}, seed {seed}")


def check(result: Result, text: Text, mistake: Mistake, about: str) -> None:
    """Status 1, and every error is the mistake's: none merely follows from it."""
    shown = f"{about}: {mistake}\n{result.err}\n{text}"
    assert result.status == 1, f"exit status {result.status}, {shown}"
    errors = errors_in(result.err)
    assert errors, shown
    lines = {line for place in mistake.places for line in text.lines_of(place, inside=mistake.inside)}
    uses = {text.lines[place[:-1]] for place in mistake.places if place}
    for error in errors:
        assert error.code in mistake.codes, shown
        # A block's argument may be found wrong where the block uses it: then the use is in a note.
        assert not lines or error.line in lines or uses & error.notes, shown
    FUZZER["refused at the place" if lines else "refused"] += 1


BUNDLED = "resnet18.yaml"
TEXTS: dict[str, tuple[Callable[[str], str], str]] = {
    "unclosed bracket": (lambda text: text + "stray: {x: [1, 2\n", "NS101"),
    "unclosed quote": (lambda text: text + "note: 'x\n", "NS101"),
    "tab": (lambda text: text.replace("\n  ", "\n\t", 1), "NS101"),
    "control character": (lambda text: text.replace("title", "ti\x07tle", 1), "NS101"),
    "colon twice": (lambda text: text.replace("name:", "name: :", 1), "NS101"),
    "dedented": (lambda text: text + " stray: 1\n", "NS101"),
    "key twice": (lambda text: text + "name: again\n", "NS102"),
    "anchor": (lambda text: text + "stray: &a x\n", "NS103"),
    "alias": (lambda text: text.replace("title: ", "title: *a #", 1), "NS103"),
    "tag": (lambda text: text.replace("netspec: 1", "netspec: !!int 1"), "NS103"),
    "merge key": (lambda text: text + "<<: {}\n", "NS103"),
    "two documents": (lambda text: text + "---\nnetspec: 1\n", "NS103"),
    "too deep": (lambda text: text + "stray: " + 500 * "[" + 500 * "]" + "\n", "NS104"),
    "huge integer": (lambda text: text.replace("netspec: 1", "netspec: " + 5000 * "1"), "NS"),
    "empty": (lambda text: "", "NS"),
    "a list": (lambda text: "- relu\n", "NS201"),
}


@pytest.mark.parametrize(("spoil", "code"), TEXTS.values(), ids=TEXTS)
def test_text_that_is_no_yaml(spoil: Callable[[str], str], code: str, tmp_path: Path) -> None:
    path = tmp_path / BUNDLED
    path.write_text(spoil((bundled_folder() / BUNDLED).read_text(encoding="utf-8")), encoding="utf-8")
    result = run("validate", str(path))
    assert result.status == 1
    assert errors_in(result.err)[0].code.startswith(code)


def test_json_that_ends_early(tmp_path: Path) -> None:
    text = str(Text(bundled()[0], "json"))
    path = tmp_path / "spec.json"
    for end in range(0, len(text) - 2, 97):
        path.write_text(text[:end], encoding="utf-8")
        result = run("validate", str(path))
        assert result.status == 1
        assert errors_in(result.err)[0].code == "NS101"


def test_a_key_twice_is_found_where_it_is_again(tmp_path: Path) -> None:
    for form in ("yaml", "json"):
        text = Text(bundled()[0], form)
        plain_rows = [n for n, row in enumerate(text.rows) if re.fullmatch(r'\s+"?\w+"?: [\w.]+,?', row)]
        assert plain_rows
        for number in plain_rows:
            row = text.rows[number].rstrip(",") + ("," if form == "json" else "")
            path = tmp_path / f"spec.{form}"
            path.write_text("\n".join([*text.rows[:number], row, *text.rows[number:]]), encoding="utf-8")
            (error,) = errors_in(run("validate", str(path)).err)
            assert (error.code, error.line) == ("NS102", number + 2)
