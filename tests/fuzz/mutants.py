"""Random changes to specs, of data, of text and of bytes: what comes out may be a spec or not."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from typing import Any

from netspec.spec.sources.bundled import bundled_folder
from tests.fuzz.spec_text import Form, Text, at, parts_of
from tests.fuzz.valid_specs import valid_spec
from tests.support.paths import ERROR_CASES as CASES

VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 64, 1.5, 1e300, 2**31, 10**30, True, False, None, "", "x", "input", "index", "same", "N"),
    *("1//0", "input.channels", "wide", "$wide", "stages[9]", "min(1, 2)", "a b", "-1", "\u00e9", "\x1b[31m", [], {}),
    *([1], [1, 2], [[1]], ["relu"], {"a": 1}, {"branches": {"a": [], "b": []}}, "relu", {"relu": None}, {"conv2d": 3}),
)
PIECES = """
0 -1 1 2 3.5 1e-5 .nan .inf true null [] {} [1,2] [[1],[2]] {a: "3" N H width input input.channels
input.shape index stages[9] 1//0 min(1,2) $x same relu conv2d add concat flatten linear branches: from: name:
repeat: when: extends: share: init: expect: 3, false, 99999999999 9223372036854775807
# : - * & !!int | > ( ) not == ' " \\ % \t \x00 \x1b \u00e9 \ud800
""".split()  # noqa: SIM905


TEXTS = [path.read_text(encoding="utf-8") for path in sorted(bundled_folder().glob("*.yaml"))]
TEXTS += [path.read_text(encoding="utf-8") for path in sorted(CASES.iterdir()) if path.suffix in (".yaml", ".json")]


def changed_tree(chance: random.Random) -> tuple[bytes, Form]:
    """One to three parts of a valid spec replaced, left out, moved or doubled."""
    data = valid_spec(chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        paths = [path for path, _ in parts_of(data) if path]
        path, other = chance.choice(paths), chance.choice(paths)
        here, key = at(data, path[:-1]), path[-1]
        match chance.randrange(6):
            case 0:
                del here[key]
            case 1:
                here[key] = copy.deepcopy(chance.choice(VALUES))
            case 2:
                here[key] = copy.deepcopy(at(data, other))
            case 3 if isinstance(here, list):
                here.insert(int(key), copy.deepcopy(chance.choice((*VALUES, at(data, other)))))
            case 4 if isinstance(here, dict):
                names = [str(path[-1]) for path in paths if isinstance(path[-1], str)]
                here[chance.choice((*names, "nosuch"))] = copy.deepcopy(chance.choice((*VALUES, here[key])))
            case _:
                at(data, other[:-1])[other[-1]] = copy.deepcopy(here[key])
        if not data:
            break
    form: Form = chance.choice(("yaml", "json"))
    return str(Text(data, form)).encode("utf-8", "surrogatepass"), form


def changed_text(chance: random.Random) -> tuple[bytes, Form]:
    """Characters, words or lines of a spec, valid or not, put elsewhere, left out or replaced."""
    if chance.random() < 0.3:
        text, form = str(Text(valid_spec(chance), "json")), "json"
    else:
        text, form = chance.choice(TEXTS), "yaml"
    return mistaken(text, chance).encode("utf-8", "surrogatepass"), form


def changed_bytes(chance: random.Random) -> tuple[bytes, Form]:
    """Bytes of a spec set, left out, put in or cut off."""
    data = bytearray(chance.choice(TEXTS).encode())
    for _ in range(chance.choice((1, 1, 2, 5))):
        start = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[start : start + 1] = bytes((chance.randrange(256),))
            case 1:
                del data[start : start + chance.randrange(1, 40)]
            case 2:
                data[start:start] = chance.choice(
                    (b"\xef\xbb\xbf", b"\x00", b"\xff\xfe", b"\r", b"\t", b"\xc2\x85", b"\xf0")
                )
            case 3:
                del data[start:]
            case _:
                data[start:start] = data[start : start + 30] * chance.choice((1, 2, 200))
    return bytes(data), chance.choice(("yaml", "yaml", "json"))


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


CHANGES: tuple[Callable[[random.Random], tuple[bytes, Form]], ...] = (
    changed_tree,
    changed_tree,
    changed_text,
    changed_bytes,
)
