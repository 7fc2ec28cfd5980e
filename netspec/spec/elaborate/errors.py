"""The errors of elaboration, with the uses of blocks around their places, and hints."""

from __future__ import annotations

from typing import NoReturn

from netspec.dims import Symbolic
from netspec.errors import Diagnostic, Findings, NetspecError
from netspec.expression import Value, expression_text
from netspec.graph.infer import use_notes
from netspec.ops.base import RuleError
from netspec.ops.equal import LARGER, UnequalShapes
from netspec.source import Span
from netspec.spec.elaborate.frame import Frame, UseNote
from netspec.spec.read.body import Argument, Step
from netspec.types import Tensor

DECIDE = "fix the size with `--input`, or decide it by a parameter"
"""The hint for a condition or a number of copies that depends on a symbolic size."""

AS_MANY = "put it into a block that gives as many values as it takes"
"""The hint for a step with other outputs than inputs, where the one stand for the other."""


class Failed(Exception):
    """A step can't be elaborated; its diagnostic is already among the findings."""


class ElaborationErrors:
    """Reports the errors of steps, each with the uses of blocks around it."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def keep(self, code: str, message: str, span: Span, frame: Frame, label: str = "", help: str = "") -> None:
        """Report an error and continue."""
        self.findings.add(Diagnostic(code, message, span, label, notes_of(frame.uses), help))

    def keep_all(self, error: NetspecError, frame: Frame) -> None:
        """Report the diagnostics of an error, with the uses of blocks around it."""
        for d in error.diagnostics:
            self.findings.add(Diagnostic(d.code, d.message, d.span, d.label, (*d.notes, *notes_of(frame.uses)), d.help))

    def fail(self, code: str, message: str, span: Span, frame: Frame, label: str = "", help: str = "") -> NoReturn:
        """Report an error, and abandon the step."""
        self.keep(code, message, span, frame, label, help)
        raise Failed

    def clash(self, error: NetspecError, step: Step, frame: Frame, first: Span | None) -> NoReturn:
        """Report a path that is taken, by the step at `first`, and abandon the step.

        The branches of an unnamed merge are named in the body around it, so that two such merges may clash.
        """
        diagnostic = error.diagnostics[0]
        notes = (f"the first is at {first.place}",) if first else ()
        help = (
            "name the merge: the paths of its branches then begin with its name"
            if step.branches is not None and not step.named
            else diagnostic.help
        )
        notes = (*notes, *notes_of(frame.uses))
        self.findings.add(Diagnostic(diagnostic.code, diagnostic.message, step.span, notes=notes, help=help))
        raise Failed

    def refused(
        self, error: RuleError, step: Step, frame: Frame, path: str, types: list[Tensor], names: list[str] | None
    ) -> NoReturn:
        """Report the error of an op's rule at the attribute to blame, else at the op, with its inputs' types.

        `names` are the names of the inputs, where they are the branches of a merge.
        """
        argument = step.arguments.get(error.at)
        input_names = names or [name for name, _ in step.sources or []] or ["input"]
        if isinstance(error, UnequalShapes):
            picked = [(input_names[i], types[i]) for i in (error.first, error.other)]
        else:
            picked = list(zip(input_names, types, strict=False))
        values = ", ".join(f"{name} is {type}" for name, type in picked)
        help = error.help
        if LARGER in help:
            larger = max(picked, key=lambda named: [d for d in named[1].spatial if isinstance(d, int)])
            help = help.replace(LARGER, f"`{larger[0]}`")
        span = argument.span if argument else step.span
        self.fail(error.code, error.message, span, frame, f"{path}: {values}", help)


def notes_of(uses: tuple[UseNote, ...]) -> tuple[str, ...]:
    """The notes of an error about the uses of blocks around it, innermost first."""
    return use_notes((use.what, use.span, use.params) for use in reversed(uses))


def int_hint(argument: Argument | None, value: Value) -> str:
    """A hint where `/` made a float, or a size is open, and an int is due: `8 / 2`; "" for other values."""
    if isinstance(value, Symbolic):
        return DECIDE
    tree = argument.expression if argument is not None else None
    divided = tree is not None and type(value) is float and "/" in expression_text(tree)
    return "`/` gives a float; `//` gives an int" if divided else ""


def open_size_hint(message: str) -> str:
    """A hint for an expression that compares a symbolic size; "" for other errors."""
    return DECIDE if "depends on a symbol" in message else ""
