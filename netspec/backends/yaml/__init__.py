"""Prints graphs as specs: YAML with the blocks, repeats and expressions that the graph was elaborated from."""

from netspec.backends.yaml.write import to_yaml

__all__ = ["to_yaml"]
