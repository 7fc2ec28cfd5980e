"""From the graph back to the spec: the step, and the body, that a node or scope comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netspec.graph.model import Graph, Node, Scope
from netspec.source import Span
from netspec.spec.read.body import Argument, BlockDefinition, Body, Step
from netspec.spec.read.spec import Spec


class LeftOut(NamedTuple):
    """A step that the graph does not have: the path that it would have, and the value that `input` stands for there."""

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
        """Keep a body and its steps, with the bodies of blocks, branches and arguments in it."""
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
        """The step that a node or scope comes from."""
        return self.steps.get(part.span) if part.span is not None else None

    def body(self, scope: Scope | None) -> Body | None:
        """The body whose steps stand in a scope, or in the network."""
        if scope is None:
            return self.spec.body
        if scope.kind in ("branch", "body"):
            return self.bodies.get(scope.span) if scope.span is not None else None
        step = self.step(scope)
        if scope.block is not None and step is not None and isinstance(step.target, BlockDefinition):
            return step.target.body
        return None

    def argument(self, use: Scope, name: str) -> Argument | None:
        """The argument for a parameter in a use of a block; None where the default holds."""
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
        """The steps of a scope (None: of the network) that the graph does not have.

        They are those whose `when` is false or whose `repeat` is 0, in branches of merges too; not those of a network
        that is a step whose values nothing wants.
        """
        body = self.body(scope)
        entry = next(iter(scope.inputs.values()), None) if scope else None
        if body is not None:
            yield from self._left_out(body, scope.path if scope else "", entry)

    def _left_out(self, body: Body, parent: str, entry: str | None) -> Iterator[LeftOut]:
        """The steps left out of a body, which stands in the scope at `parent` and is entered by the value `entry`."""
        for step in body.steps:
            path = f"{parent}.{step.called}" if parent else step.called
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
    """Whether a condition or a number of copies decides if a step is there."""
    return step.when is not None or step.repeat is not None
