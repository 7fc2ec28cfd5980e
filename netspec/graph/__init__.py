"""The graph and the ways to make, read and edit one."""

from netspec.graph.build import Builder, Editor, rebuild
from netspec.graph.model import Block, Graph, Input, Node, Output, Parameter, Scope

__all__ = ["Block", "Builder", "Editor", "Graph", "Input", "Node", "Output", "Parameter", "Scope", "rebuild"]
