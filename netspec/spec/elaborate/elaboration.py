"""The state of one elaboration, which the functions for each kind of step share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NoReturn

from netspec.errors import Findings, NetspecError, fail
from netspec.graph.assemble import Recording
from netspec.graph.build import Builder
from netspec.graph.paths import node_of
from netspec.source import Span
from netspec.spec.elaborate.decisions import Decisions
from netspec.spec.elaborate.errors import ElaborationErrors
from netspec.spec.elaborate.evaluator import Evaluator
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, Origins, Values
from netspec.spec.limits import MAX_NODES, MAX_PATH_CHARACTERS, MAX_STEPS
from netspec.spec.read.body import Body, Step

ElaborateBody = Callable[["Elaboration", Body, Frame, Values, Collection[int] | None], Values]
"""The type of `elaborate_body`, which `Elaboration` holds.

A body has steps, and a step may have bodies. The functions for steps call it through `Elaboration.body`, so that the
modules do not import each other in a cycle.
"""


class Elaboration:
    """The graph being built, the errors so far, the origins of values, and caches of finished work."""

    def __init__(self, builder: Builder, body: ElaborateBody) -> None:
        self.builder = builder
        self.findings = Findings()
        self.errors = ElaborationErrors(self.findings)
        self.evaluator = Evaluator(self.findings)
        self.decisions = Decisions(builder)
        self.recordings: dict[tuple[Any, ...], Recording] = {}
        """The nodes of uses of blocks, by all that they depend on."""
        self.kept_alive: list[object] = []
        """Objects whose `id` is part of a recording's key: they must not be collected, or the `id` could be reused."""
        self.initialized: set[tuple[int, ...]] = set()
        """The steps whose `init` has been checked, as ids of the step, its op and its input types."""
        self._body = body
        self._places: dict[str, Span] = {}
        self._origins: dict[str, Origins] = {}
        self._steps = 0

    def body(self, body: Body, frame: Frame, inputs: Values, only: Collection[int] | None = None) -> Values:
        """Elaborate the steps of a body in a frame, and return the values of the last: see `elaborate_body`."""
        return self._body(self, body, frame, inputs, only)

    def count(self, step: Step) -> None:
        """Count a step, so that a small spec can't ask for endless work."""
        self._steps += 1
        nodes, characters = len(self.builder.nodes), self.builder.characters
        if nodes > MAX_NODES or self._steps > MAX_STEPS or characters > MAX_PATH_CHARACTERS:
            what = f"{MAX_PATH_CHARACTERS:,} characters in its paths"
            if characters <= MAX_PATH_CHARACTERS:
                what = f"{MAX_NODES:,} nodes" if nodes > MAX_NODES else f"{MAX_STEPS:,} steps"
            help = "a `repeat`, or blocks inside blocks, multiply more than was meant"
            fail("NS214", f"the network has more than {what}", step.span, help=help)

    def claim_scope(self, path: str, step: Step, frame: Frame) -> None:
        """Claim a path for the scope of a step."""
        try:
            self.builder.claim_scope(path, step.span)
        except NetspecError as error:
            self.refuse_path(error, path, step, frame)
        self._places[path] = step.span

    def note_node(self, path: str, step: Step, origins: Origins) -> None:
        """Record the step that added a node, and the parameters that the node depends on."""
        self._places[path] = step.span
        self._origins[path] = origins

    def refuse_path(self, error: NetspecError, path: str, step: Step, frame: Frame) -> NoReturn:
        """Report that a path is taken, with the place of the step that took it, and abandon this step."""
        self.errors.clash(error, step, frame, self._places.get(path))

    def origins(self, value: str) -> Origins:
        """The spec's parameters that a value's shape may depend on; those of input sizes are in `decisions`."""
        return self._origins.get(node_of(value), NO_ORIGIN)

    def copy_origins(self, value: str, original: str) -> None:
        """Give a replayed value the origins of the value that was recorded."""
        self._origins[value] = self.origins(original)
