"""Whatever stands in a spec, nothing but NetspecError comes out: the bundled specs with random mistakes in them."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

import netspec
from netspec.spec.library import bundled_folder

CASES = Path(__file__).parent / "cases"
PIECES = """
0 -1 1 2 3.5 1e-5 .nan .inf true null [] {} [1,2] [[1],[2]] {a: "3" N H width input input.channels
input.shape index stages[9] 1//0 min(1,2) $x same relu conv2d add concat flatten linear branches: from: name:
repeat: when: extends: share: init: expect: 3, false, 99999999999 9223372036854775807
# : - * & !!int | > ( ) not == ' " \\ % \t \x00 \x1b \u00e9 \ud800
""".split()  # noqa: SIM905


def mistaken(text: str, chance: random.Random) -> str:
    """A text with one to three random changes of characters, tokens or lines."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        lines = text.split("\n")
        tokens = [match.span() for match in re.finditer(r"[A-Za-z_][\w.]*|\d+|[^\s\w]", text)]
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                start = chance.randrange(len(text) + 1)
                text = text[:start] + chance.choice(PIECES) + text[start:]
            case 1:
                start = chance.randrange(len(text) + 1)
                text = text[:start] + text[start + chance.randrange(1, 8) :]
            case 2:
                text = "\n".join(lines[:at] + lines[at + 1 :])
            case 3:
                text = "\n".join([*lines[:at], lines[other], *lines[at:]])
            case 4 | 5 if tokens:
                start, end = chance.choice(tokens)
                text = text[:start] + chance.choice(PIECES) + text[end:]
            case _ if tokens:
                (start, end), (first, last) = chance.choice(tokens), chance.choice(tokens)
                text = text[:start] + text[first:last] + text[end:]
            case _:
                pass
    return text


def test_mistakes_never_end_in_a_traceback() -> None:
    chance = random.Random(20240607)
    texts = [path.read_text() for path in sorted(bundled_folder().glob("*.yaml"))]
    texts += [path.read_text() for path in sorted(CASES.glob("*.yaml"))]
    wrong = 0
    began = time.monotonic()
    while time.monotonic() - began < 5 and wrong < 2_000:
        text = mistaken(chance.choice(texts), chance)
        try:
            net = netspec.loads(text)
            net.check_expectations()
            str(net.graph), str(net.summary()), [str(warning) for warning in net.warnings]
        except netspec.NetspecError as error:
            wrong += bool(str(error))
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}\n{text}")
    assert wrong > 100
