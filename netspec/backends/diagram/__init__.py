"""The diagram backend: folds a graph into boxes and clusters, and lays them out as SVG, PNG or PDF by DOT."""

from netspec.backends.diagram.diagram import Diagram, diagram

__all__ = ["Diagram", "diagram"]
