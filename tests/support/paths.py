"""The folders of the repository that tests read."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = REPOSITORY / "tests"
SPECS = REPOSITORY / "specs"
OTHER = TESTS / "specs" / "other"
"""Specs of networks that netspec does not bundle, which several parts of the tests use."""
ERROR_CASES = TESTS / "errors" / "cases"
HALVES = TESTS / "support" / "halves.py"
"""An op of its own file, for detectors whose detections a test chooses."""
