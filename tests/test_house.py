"""The house in order: no cycles of imports, one meaning for one name, plain words, tests that mirror the package.

Each test lists all its findings, so that one run tells what there is to mend.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import netspec
from tests.support.paths import TESTS

PACKAGE = Path(netspec.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    """`netspec.ops.pooling` for its file, and `netspec.ops` for its `__init__.py`."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def check(findings: list[str]) -> None:
    """Fail with all findings at once."""
    assert not findings, "\n" + "\n".join(findings)


# Imports.


def imports_of(path: Path) -> set[str]:
    """The modules of netspec that a file imports: anywhere in it, for type checkers only, and by `import_module`.

    A text that is the name of a module counts as an import where the file calls `import_module`, and an f-string that
    begins with `netspec.` as an import of every module that it fits.
    """
    names: set[str] = set()
    nodes = list(ast.walk(tree_of(path)))
    by_name = any(isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") for node in nodes)
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                names.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(module), names=aliases):
                inside = {f"{module}.{alias.name}" for alias in aliases}
                names.update(inside & MODULES.keys())
                names.update({module} if inside - MODULES.keys() else ())
            case ast.Constant(value=str(text)) if by_name:
                names.add(text)
            case ast.JoinedStr(values=[ast.Constant(value=str(head)), *_] as parts) if (
                by_name and head[:8] == "netspec."
            ):
                pattern = "".join(re.escape(p.value) if isinstance(p, ast.Constant) else r"\w+" for p in parts)
                names.update(module for module in MODULES if re.fullmatch(pattern, module))
            case _:
                pass
    return names & MODULES.keys() - {module_of(path)}


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules of which each imports each other, if only by way of others.

    >>> cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [{'b', 'c'}]
    """
    reachable: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        todo = [start]
        while todo:
            fresh = graph[todo.pop()] - seen
            seen |= fresh
            todo += fresh
        reachable[start] = seen
    groups = {frozenset(b for b in reachable[a] if a in reachable[b]) for a in graph}
    return [set(group) for group in groups if group]


def test_no_modules_import_each_other() -> None:
    graph = {module: imports_of(path) for module, path in MODULES.items()}
    groups = cycles(graph)
    edges = [(a, b) for group in groups for a in group for b in graph[a] & group]
    check([f"imports in a circle: {a} -> {b}" for a, b in sorted(edges)])


def test_cycles_are_seen() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_all_ways_to_import_are_seen() -> None:
    by_pattern = imports_of(MODULES["netspec.cli.group"]) | imports_of(MODULES["netspec.cli.main"])
    assert "netspec.cli.summary_command" in by_pattern
    assert "netspec.network" in imports_of(MODULES["netspec"])


# Names.


def defined_in(tree: ast.Module) -> Iterator[str]:
    """The names that a module defines at its top: classes, functions, constants."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (leaf.id for t in targets for leaf in ast.walk(t) if isinstance(leaf, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def test_a_public_name_is_defined_once() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for name in dict.fromkeys(defined_in(tree_of(path))):
            # Every file of a command has a `command`, which is found by that name.
            # `TYPE_CHECKING = False` spares a file the import of `typing`: type checkers know the name.
            if name.startswith("_") or name == "TYPE_CHECKING" or (name == "command" and module.endswith("_command")):
                continue
            homes[name].append(module)
    check([f"defined twice: {name} in {', '.join(homes[name])}" for name in sorted(homes) if len(homes[name]) > 1])


SAYS_NOTHING = {"found", "made"}
"""Names that say that there is a result, and not what it is."""


def test_variables_say_what_they_are() -> None:
    findings: set[str] = set()
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) if name in SAYS_NOTHING:
                    findings.add(f"a variable: `{name}` in {path.relative_to(PACKAGE)}")
                case _:
                    pass
    check(sorted(findings))


def test_docstrings_begin_with_a_sentence() -> None:
    """No docstring is a subordinate clause: "What a value is." says less than "The value of a node."."""
    findings: list[str] = []
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                name = getattr(node, "name", "the module")
                if (ast.get_docstring(node) or "").startswith("What "):
                    findings.append(f"a docstring: {path.relative_to(PACKAGE)}, {name}")
    check(findings)


# Tests.


def test_every_package_has_its_folder_of_tests() -> None:
    packages = [path.parent.relative_to(PACKAGE) for path in FILES if path.name == "__init__.py"]
    folders = [TESTS / package for package in packages]
    check([f"no tests of a package: {f.relative_to(TESTS)}" for f in folders if not list(f.glob("test_*.py"))])


def test_test_modules_import_no_test_modules() -> None:
    """What several of them need is in `tests/support`, or in a module beside them."""
    findings: list[str] = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and re.search(r"(^|\.)test_", node.module or ""):
                findings.append(f"imports a test: {path.relative_to(TESTS)} imports {node.module}")
    check(findings)


def test_helpers_of_several_folders_are_in_support() -> None:
    """Benchmarks are no tests: they may read the tables of these."""
    findings: list[str] = []
    for path in sorted(path for path in TESTS.rglob("*.py") if path.parent.name != "benchmarks"):
        here = ".".join(("tests", *path.parent.relative_to(TESTS).parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            home = module.rpartition(".")[0]
            if module.startswith("tests.") and home != "tests.support" and not f"{here}.".startswith(f"{home}."):
                findings.append(f"a helper of another folder: {path.relative_to(TESTS)} imports {module}")
    check(findings)
