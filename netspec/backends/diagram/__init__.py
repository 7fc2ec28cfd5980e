"""Diagrams: a graph is folded into boxes and clusters, written as DOT, and laid out as SVG, PNG or PDF."""

from netspec.backends.diagram.diagram import Diagram, diagram

__all__ = ["Diagram", "diagram"]
