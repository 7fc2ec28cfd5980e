"""The definitions that ops bring into generated source, each read and formatted by ruff."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netspec.errors import NetspecError
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, Elementwise, example
from netspec.ops.check import check_op
from netspec.types import Code, Helper, Tensor, helpers_of


def _helpers() -> dict[str, Helper]:
    """The helpers of all ops, as their examples print."""
    helpers: dict[str, Helper] = {}
    for name, cls in REGISTRY.items():
        for case in cls.examples:
            op, _ = make_op(cls, case.attributes)
            assert op is not None, name
            helpers.update({h.name: h for h in helpers_of(op.torch(*map(Tensor, case.inputs)))})
    return helpers


HELPERS = _helpers()


def _with_those_it_calls(helper: Helper) -> Iterator[Helper]:
    """A helper, after the others that its source names."""
    for name in HELPERS.keys() & {*re.findall(r"\w+", helper.source)} - {helper.name}:
        yield from _with_those_it_calls(HELPERS[name])
    yield helper


@pytest.mark.parametrize("name", HELPERS)
def test_ruff_has_nothing_to_say(name: str) -> None:
    helper = HELPERS[name]
    definitions = list(dict.fromkeys(_with_those_it_calls(helper)))
    modules = sorted({"math", "torch", *(module for each in definitions for module in each.imports)})
    imports = "".join(f"import {module}\n" for module in modules)
    source = "\n\n\n".join([f"{imports}from torch import Tensor, nn", *(d.source.strip() for d in definitions)]) + "\n"
    rules = "--select=E,F,B,SIM,UP,RET,ANN,D1"
    ignored = "--ignore=F401,D100,D102,D105,D107,ANN401"  # the file's imports are not all this helper's
    for command in (
        ["format", "--isolated", "--line-length=88", "--diff", "-"],
        ["check", "--isolated", "--line-length=88", rules, ignored, "-"],
    ):
        done = subprocess.run([sys.executable, "-m", "ruff", *command], input=source, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout


class Called(Elementwise, name="called_by_helper"):
    """An op that calls a helper."""

    examples = ()

    def torch(self, x: Tensor) -> Code:
        raise NotImplementedError


del REGISTRY["called_by_helper"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def a(x: Tensor) -> Tensor:\n    return x\n\n\ndef b() -> None: ...", "each define one function or class"),
        ("a = 3", "each define one function or class"),
        ("import os", "each define one function or class"),
        ("def sum(x: Tensor) -> Tensor:\n    return x", "a helper named `sum`, which generated source uses itself"),
        ("class Tensor(nn.Module):\n    pass", "a helper named `Tensor`, which generated source uses itself"),
        ("def a(:\n    pass", "invalid syntax"),
    ],
)
def test_a_helper_that_is_no_definition_is_refused(source: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Called, "examples", (example((2, 3)),))
    monkeypatch.setattr(Called, "torch", lambda self, x: Code("a(", ("{0}",), helpers=(Helper(source),)))
    with pytest.raises(NetspecError, match=message) as error:
        check_op(Called)
    assert error.value.diagnostics[0].code == "NS218"
