"""Paths of nodes and scopes: step names joined by dots."""

from __future__ import annotations


def is_below(path: str, scope: str) -> bool:
    """Return whether a path is below a scope; all paths are below "", the network itself.

    >>> is_below("layer1.0.conv1", "layer1")
    True
    """
    return not scope or path.startswith(f"{scope}.")


def node_of(value: str) -> str:
    """The path of the node that computes a value: `lstm` for `lstm:1`, its second output."""
    return value.partition(":")[0]
