"""What errors say, word for word: `cases/NAME.yaml` is wrong, and `cases/NAME.txt` is what a user reads about it.

NETSPEC_REWRITE_GOLDENS=1 writes the texts anew; the diff is then for a person to read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from netspec import NetspecError, load, load_ops
from netspec.errors import CODES
from tests.support.paths import ERROR_CASES as CASES

NAMES = sorted(path.name for path in CASES.iterdir() if path.suffix in (".yaml", ".json"))
REWRITE = os.environ.get("NETSPEC_REWRITE_GOLDENS") == "1"


def rendered(name: str) -> str:
    """All that is said of a spec: its errors, or its warnings and the claims that do not hold.

    `NAME_ops.py` beside it holds ops of its own.
    """
    ops = Path(f"{Path(name).stem}_ops.py")
    try:
        if ops.exists():
            load_ops(ops)
        net = load(name)
    except NetspecError as error:
        return f"{error}\n"
    found = [*net.warnings, *net.check_expectations()[1]]
    assert found, f"nothing is wrong with {name}"
    return "".join(f"{diagnostic}\n" for diagnostic in found)


@pytest.mark.parametrize("name", NAMES)
def test_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    golden = CASES / f"{Path(name).stem}.txt"
    text = rendered(name)
    if REWRITE:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_text_has_a_case() -> None:
    assert {path.stem for path in CASES.glob("*.txt")} == {Path(name).stem for name in NAMES}


def test_every_code_of_a_spec_has_a_case() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in CASES.glob("*.txt"))
    assert set(re.findall(r"(?:error|warning) (NS\d+)", shown)) == {code for code in CODES if code < "NS4"}
