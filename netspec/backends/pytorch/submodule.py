"""Prints the expression for a submodule, such as `self.layer1[0].conv`, in the class of a body around it."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.graph.model import Graph


def places_of_copies(graph: Graph) -> dict[str, int]:
    """By path, the index of each copy in the list of its repeat; it is below the copy's number if some are left out."""
    copies: dict[str, dict[str, None]] = {path: {} for path, scope in graph.scopes.items() if scope.kind == "repeat"}
    for node in graph.nodes:
        path = node.path
        while path:
            above = path.rpartition(".")[0]
            if above in copies:
                copies[above][path] = None
            path = above
    return {path: place for paths in copies.values() for place, path in enumerate(paths)}


def submodule(places: Mapping[str, int], path: str, body: str = "") -> str:
    """A submodule as source, in the class of the body at path `body`: attributes, and indexes for copies.

    >>> submodule({"layer1.0": 0}, "layer1.0.conv")
    'self.layer1[0].conv'
    """
    text, prefix = "self", body
    for part in path.removeprefix(f"{body}.").split("."):
        prefix = f"{prefix}.{part}" if prefix else part
        text += f"[{places[prefix]}]" if prefix in places else f".{part}"
    return text
