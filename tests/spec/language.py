"""What the tests of the language share: specs in few words, and what is read off the graphs they give."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec import NetspecError, Network
from netspec.errors import Diagnostic

IMAGE = "{image: [N, 3, 32, 32]}"


def spec(network: str, *, inputs: str = IMAGE, **sections: str) -> str:
    """The text of a spec: `network` is a list of steps in flow style, as the sections are."""
    rest = "".join(f"{key}: {value}\n" for key, value in sections.items())
    return f"netspec: 1\nname: example\ninputs: {inputs}\n{rest}network: {network}\n"


def nodes(text: str, **options: Any) -> list[str]:
    """The graph's nodes in their printed form, without their shapes."""
    return [line.strip().partition("): ")[0] + ")" for line in printed(netspec.loads(text, **options))]


def shapes(text: str, **options: Any) -> dict[str, str]:
    """The shape of every node's value."""
    graph = netspec.loads(text, **options).graph
    return {node.path: str(node.type) for node in graph}


def printed(net: Network) -> list[str]:
    lines = str(net.graph).splitlines()
    return [line for line in lines[1:] if not line.startswith(("  input ", "  output "))]


def errors(text: str, **options: Any) -> tuple[Diagnostic, ...]:
    """What is said of a spec that is wrong; that it can be printed too."""
    with pytest.raises(NetspecError) as caught:
        netspec.loads(text, **options)
    assert str(caught.value)
    return caught.value.diagnostics


def error(text: str, **options: Any) -> Diagnostic:
    """The only error of a spec."""
    (found,) = errors(text, **options)
    return found


def check_misuse(text: str, code: str, marked: str, fragment: str) -> None:
    """One error, of this code, at this piece of the text, with this said in its message or help."""
    found = error(text)
    assert found.code == code, str(found)
    assert found.span is not None
    assert found.span.text == marked, str(found)
    assert fragment in f"{found.message} {found.help}", str(found)
