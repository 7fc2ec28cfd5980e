"""Specs changed at random, on the command line: fine or refused with a place in the file, and nothing else."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import netspec
from tests.fuzz.command import Error, errors_in, run
from tests.fuzz.lasting import COUNTS, seeds
from tests.fuzz.mutants import CHANGES
from tests.fuzz.spec_text import Text
from tests.fuzz.valid_specs import bundled

FUZZER = COUNTS["mutants on the command line"]
COMMANDS = (["validate"], ["validate"], ["summary", "--depth", "all"], ["rf"], ["params"], ["show", "--expanded"])
NO_PLACE = {
    "NS104": r"is larger than \d+ MiB",
    "NS105": r"is not UTF-8 text|is UTF-16 text|is no text",
    "NS205": r"needs its parameter `\w+`",
}
"""What is wrong with a file as a whole, or missing on the command line, has no place in it."""


def test_mutants(tmp_path: Path) -> None:
    for seed in seeds(800):
        one(seed, tmp_path)


def one(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    data, form = chance.choice(CHANGES)(chance)
    path = folder / f"spec.{form}"
    path.write_bytes(data)
    command = chance.choice(COMMANDS)
    about = f"seed {seed}, netspec {' '.join(command)}\n{data.decode('utf-8', 'replace')}"
    try:
        result = run(*command, str(path))
    except BaseException as error:
        raise AssertionError(f"{type(error).__name__}: {error}: {about}") from error
    FUZZER["mutants"] += 1
    assert result.status in (0, 1), f"exit status {result.status}: {about}\n{result.err}"
    assert "Traceback" not in result.err, about
    if result.status == 0:
        FUZZER["fine"] += 1
        return
    FUZZER["refused"] += 1
    errors = errors_in(result.err)
    assert errors, f"no error of the form file:line:column: error NSnnn: {about}\n{result.err}"
    for error in errors:
        assert has_place(error, path, data), f"{error}: {about}\n{result.err}"


def has_place(error: Error, path: Path, data: bytes) -> bool:
    """Whether the place is in the file, or in the bundled one that it extends; or the error needs none."""
    if not error.file:
        FUZZER["refused as a whole"] += 1
        return re.search(NO_PLACE.get(error.code, "(?!)"), error.text) is not None
    if error.file != str(path):
        data = Path(error.file).read_bytes()
        FUZZER["refused for what they extend"] += 1
    lines = re.split(r"\r\n?|\n", data.decode("utf-8-sig"))
    return 1 <= error.line <= len(lines) and 1 <= error.column <= len(lines[error.line - 1]) + 1


def test_what_is_no_file_has_no_place(tmp_path: Path) -> None:
    """The whole of a file is wrong: the message begins with its name."""
    for name, data in (
        ("large.yaml", b"#" * (5 << 20)),
        ("latin.yaml", b"name: \xe9"),
        ("utf16.yaml", "a".encode("utf-16")),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        result = run("validate", str(path))
        assert result.status == 1
        (error,) = errors_in(result.err)
        assert name in error.text
        assert has_place(error, path, data)


def test_dumped_specs_mean_what_they_did() -> None:
    """What is changed here begins as the spec that it was."""
    for data in bundled():
        if "extends" not in data:
            first, second = (str(netspec.loads(str(Text(data, form))).graph) for form in ("yaml", "json"))
            assert first == second == str(netspec.loads(json.dumps(data)).graph)
