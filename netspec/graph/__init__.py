"""The graph, and how to build, read and edit one."""

from netspec.graph.build import Builder
from netspec.graph.model import Block, Graph, Input, Node, Output, Scope, SpecParameter
from netspec.graph.rebuild import Editor, rebuild

__all__ = ["Block", "Builder", "Editor", "Graph", "Input", "Node", "Output", "Scope", "SpecParameter", "rebuild"]
