"""Mappings that load a value when it is asked for, anew each time."""

from __future__ import annotations

import pytest

from netspec.lazy import LazyMapping


def test_values_are_loaded_when_they_are_asked_for() -> None:
    loaded: list[str] = []

    def load(key: str) -> str:
        loaded.append(key)
        return key.upper()

    mapping = LazyMapping(["b", "a", "b"], load)
    assert (list(mapping), len(mapping), "a" in mapping, "c" in mapping, loaded) == (["b", "a"], 2, True, False, [])
    assert mapping["a"] == mapping["a"] == "A"
    assert loaded == ["a", "a"]
    with pytest.raises(KeyError):
        mapping["c"]
    assert loaded == ["a", "a"]
    assert dict(mapping) == {"b": "B", "a": "A"}
