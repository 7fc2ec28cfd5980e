"""Finds the step and the body of a spec that a node or scope comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netspec.graph.model import Graph, Node, Scope
from netspec.source import Span
from netspec.spec.read.body import Argument, BlockDefinition, Body, Step
from netspec.spec.read.spec import Spec


class LeftOut(NamedTuple):
    """A step that was left out: the path that it would have, and the value of `input` there."""

    path: str
    step: Step
    input: str | None


class Places:
    """The steps and bodies of a spec, by their places in its files."""

    def __init__(self, spec: Spec, graph: Graph) -> None:
        self.spec = spec
        self.graph = graph
        self.steps: dict[Span, Step] = {}
        self.bodies: dict[Span, Body] = {}
        self._read(spec.body)

    def _read(self, body: Body) -> None:
        """Record a body and its steps, with the bodies of blocks, branches and arguments in it."""
        if body.span in self.bodies:
            return
        self.bodies[body.span] = body
        for step in body.steps:
            self.steps[step.span] = step
            if isinstance(step.target, BlockDefinition):
                self._read(step.target.body)
            for branch in (step.branches or {}).values():
                self._read(branch)
            for argument in step.arguments.values():
                if argument.body is not None:
                    self._read(argument.body)

    def step(self, part: Node | Scope) -> Step | None:
        """The step of a node or scope; None if it has none in the spec."""
        return self.steps.get(part.span) if part.span is not None else None

    def body(self, scope: Scope | None) -> Body | None:
        """The body of a scope (None means the network); None if the spec has none for it."""
        if scope is None:
            return self.spec.body
        if scope.kind in ("branch", "body"):
            return self.bodies.get(scope.span) if scope.span is not None else None
        step = self.step(scope)
        if scope.block is not None and step is not None and isinstance(step.target, BlockDefinition):
            return step.target.body
        return None

    def argument(self, use: Scope, name: str) -> Argument | None:
        """The argument for a parameter in a use of a block; None if the default is used."""
        step = self.step(use)
        return step.arguments.get(name) if step is not None else None

    def scopes_around(self, part: Node | Scope) -> Iterator[Scope]:
        """The scopes around a part, innermost first."""
        path = part.scope if isinstance(part, Node) else part.parent
        while path:
            scope = self.graph.scopes[path]
            yield scope
            path = scope.parent

    def left_out(self, scope: Scope | None) -> Iterator[LeftOut]:
        """The steps that were left out of a scope (None means the network).

        Their `when` is false, or their `repeat` is 0; they may be in branches of merges. Steps of an embedded network
        that its outputs do not need are not among them.
        """
        body = self.body(scope)
        entry = next(iter(scope.inputs.values()), None) if scope else None
        if body is not None:
            yield from self._left_out(body, scope.path if scope else "", entry)

    def _left_out(self, body: Body, parent: str, entry: str | None) -> Iterator[LeftOut]:
        """The steps that were left out of a body in the scope at `parent`; `entry` is the value that enters it."""
        for step in body.steps:
            path = f"{parent}.{step.name}" if parent else step.name
            node = self.graph.by_path.get(path)
            if node is None and path not in self.graph.scopes and _is_conditional(step):
                yield LeftOut(path, step, entry)
            if node is None or step.branches is None:
                continue
            inside = path if step.named else parent
            for number, (name, branch) in enumerate(step.branches.items()):
                within = f"{inside}.{name}" if inside else name
                if within not in self.graph.scopes:
                    # The branch has no nodes, so its output is its input.
                    yield from self._left_out(branch, within, node.inputs[number])


def _is_conditional(step: Step) -> bool:
    """Return whether a step has a condition or a number of copies that may leave it out."""
    return step.when is not None or step.repeat is not None
