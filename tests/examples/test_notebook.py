"""The notebook runs, and its cells show what stands in it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.support.paths import REPOSITORY

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = REPOSITORY / "examples" / "networks.ipynb"

# What Jupyter's own packages have to say of each other and of their transport.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")


def outputs(notebook: Any) -> list[Any]:
    """What each cell shows."""
    found: list[Any] = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            found.append(output.get("text") or dict(output.data))
    return found


def test_it_shows_what_stands_in_it() -> None:
    written = nbformat.read(NOTEBOOK, as_version=4)
    run = deepcopy(written)
    # It runs where it did before: places of specs are told from there.
    nbclient.NotebookClient(run, timeout=300, resources={"metadata": {"path": str(REPOSITORY)}}).execute()
    assert outputs(run) == outputs(written)
    kinds = [kind for shown in outputs(written) if isinstance(shown, dict) for kind in shown]
    assert kinds.count("image/svg+xml") == 3
    assert kinds.count("text/html") == 3
    assert str(REPOSITORY) not in NOTEBOOK.read_text("utf-8")
