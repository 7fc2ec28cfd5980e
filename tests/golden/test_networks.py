"""Every bundled network's summary, source and graph as a spec, as they were last reviewed: a change shows as a diff.

`make golden` rewrites them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import netspec

HERE = Path(__file__).parent
MOST_OPS = 1_000
"""Of larger networks a line for each op is no help to a reader."""


def goldens(name: str) -> dict[str, str]:
    network = netspec.load(name)
    found = {"summary.txt": f"{network.summary()}\n", "model.py": network.to_source()}
    found["written.yaml"] = netspec.to_yaml(network.graph)
    if len(network.graph) <= MOST_OPS:
        found["summary.json"] = network.summary().to_json() + "\n"
    return found


@pytest.mark.parametrize("name", netspec.names())
def test_golden(name: str) -> None:
    folder = HERE / name
    for file, text in goldens(name).items():
        if os.environ.get("NETSPEC_REWRITE_GOLDENS"):
            folder.mkdir(exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        assert (folder / file).read_text(encoding="utf-8") == text, f"{name}/{file}: `make golden` rewrites it"


def test_no_golden_is_left_over() -> None:
    assert sorted(p.name for p in HERE.iterdir() if p.is_dir() and p.name != "__pycache__") == sorted(netspec.names())
