"""Collecting the tests loads no torch and no ONNX, and builds no graph: every worker of a parallel run pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import REPOSITORY
from tests.support.quick import SHARE, function_of, quick, recorded, spread

COLLECT = """
import sys
import traceback
import pytest
from netspec.graph.model import Graph

stacks = {}

def remember(what):
    frames = [frame for frame in traceback.extract_stack()[:-2] if "/tests/" in frame.filename]
    stacks.setdefault(what, "".join(traceback.format_list(frames)))

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "torchvision", "onnx", "onnxruntime", "sklearn"):
            remember(f"{name} is imported: put the import under `with lazy_imports():`")

def built(self, *args, **kwargs):
    remember("a graph is built: build it in a test, or in a fixture")
    init(self, *args, **kwargs)

sys.meta_path.insert(0, Finder())
init, Graph.__init__ = Graph.__init__, built
status = pytest.main(["--collect-only", "-q", "-n0", "-p", "no:cacheprovider", "--no-header"])
print(*(f"while tests are collected, {what}\\n{stack}" for what, stack in stacks.items()), file=sys.stderr)
sys.exit(status or bool(stacks))
"""


@pytest.fixture(scope="module")
def collection() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", COLLECT], capture_output=True, text=True, cwd=REPOSITORY, timeout=300)


def test_collecting_imports_no_torch_and_builds_no_graph(collection: subprocess.CompletedProcess[str]) -> None:
    assert collection.returncode == 0, collection.stdout[-2000:] + collection.stderr


def test_every_folder_contributes_to_a_quick_run(collection: subprocess.CompletedProcess[str]) -> None:
    names = [line for line in collection.stdout.splitlines() if "::" in line]
    kept = quick(names, recorded())
    assert len(kept) < len(names)
    assert {folder_of(name) for name in kept} == {folder_of(name) for name in names}
    for function in (
        "tests/test_architecture.py::test_imports_run_one_way",
        "tests/test_house.py::test_no_modules_import_each_other",
        "tests/errors/test_goldens.py::test_text",
        "tests/ops/test_contract.py::test_shape_and_dtype_are_torchs",
    ):
        assert any(function_of(name) == function for name in kept), function


def folder_of(name: str) -> str:
    return name.partition("::")[0].rpartition("/")[0]


def test_cases_are_spread_evenly() -> None:
    assert sorted(spread(10, 4)) == [0, 3, 6, 9]
    assert spread(3, 5) == {0, 1, 2}
    assert spread(7, 1) == {0}
    assert spread(7, 0) == set()


def test_each_function_has_its_share_of_time() -> None:
    names = [*(f"a.py::test_many[{n}]" for n in range(100)), "a.py::test_slow", "a.py::test_new"]
    kept = quick(names, {"a.py::test_many": SHARE / 4, "a.py::test_slow": SHARE * 1.1})
    assert kept == {"a.py::test_new", *(f"a.py::test_many[{n}]" for n in (0, 33, 66, 99))}
