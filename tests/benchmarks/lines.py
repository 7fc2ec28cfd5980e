"""The lines of a spec against those of torchvision's code for the same network.

    python tests/benchmarks/lines.py

Both are counted without blank lines, comments and docstrings, and without what tells of trained weights: `preprocess`,
`labels`, `weights` and `expect` of a spec, the `..._Weights` classes of torchvision, and its imports. A spec that
extends another counts the lines of both, and torchvision's code those of the classes and functions of its file that
the network uses.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import torchvision
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.specs.test_torchvision import PEERS

SPECS = Path(__file__).parents[2] / "specs"
BESIDE = ("preprocess", "labels", "weights", "expect")


def spec_lines(name: str) -> int:
    """The lines of a spec and of those that it extends."""
    text = (SPECS / f"{name}.yaml").read_text(encoding="utf-8")
    extends = yaml.safe_load(text).get("extends")
    counted, section = 0, ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        section = line.partition(":")[0] if not line.startswith(" ") else section
        counted += section not in BESIDE
    return counted + (spec_lines(extends) if extends else 0)


def definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    """The classes and functions of a file by name."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds) and not node.name.endswith("_Weights")}


def used(names: list[str], known: dict[str, ast.stmt]) -> dict[str, ast.stmt]:
    """The definitions that some names reach."""
    reached: dict[str, ast.stmt] = {}
    while names:
        name = names.pop()
        if name in known and name not in reached:
            reached[name] = known[name]
            names += [node.id for node in ast.walk(known[name]) if isinstance(node, ast.Name)]
    return reached


def lines_of(node: ast.AST) -> Iterator[int]:
    """The numbers of the lines that a definition's code stands on, without docstrings."""
    docs = {
        id(part.body[0])
        for part in ast.walk(node)
        if isinstance(part, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(part) is not None
    }
    stack = [node]
    while stack:
        part = stack.pop()
        if id(part) in docs:
            continue
        if isinstance(part, ast.stmt | ast.expr | ast.arg | ast.keyword):
            yield part.lineno
            yield part.end_lineno or part.lineno
        stack += ast.iter_child_nodes(part)


def torchvision_lines(builder: str) -> int:
    """The lines of torchvision's code for a network, in the file of its builder."""
    function = inspect.unwrap(torchvision.models.get_model_builder(builder))
    tree = ast.parse(Path(inspect.getfile(function)).read_text(encoding="utf-8"))
    return sum(len(set(lines_of(node))) for node in used([function.__name__], definitions(tree)).values())


if __name__ == "__main__":
    print(f"{'network':22}{'spec':>6}{'torchvision':>13}")
    for peer in PEERS:
        print(f"{peer.name:22}{spec_lines(peer.name):6}{torchvision_lines(peer.builder):13}")
