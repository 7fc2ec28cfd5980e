"""`expect`: the claims a spec makes of itself, and whether they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.analysis.field import Field
from netspec.analysis.field_propagation import propagate_fields
from netspec.analysis.summary import Summary, summary
from netspec.errors import Diagnostic, Findings, choices, closest
from netspec.expression import show
from netspec.graph.model import Graph, Mode
from netspec.graph.paths import is_below
from netspec.report import plain
from netspec.spec.elaborate.elaborate import Result
from netspec.spec.read.spec import Spec
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data

_FIGURE = re.compile(r"(\d+)(?:\.(\d+))?\s*([KMGBT])\Z")
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
TOTALS = ("parameters", "macs")
"""The claims on a network, in inference and in training."""
STEP = ("shape", "stride", "receptive_field", *TOTALS)
"""The claims on a step."""


def check_expectations(spec: Spec, result: Result) -> tuple[int, list[Diagnostic]]:
    """Check the claims of a spec: how many were checked, and a diagnostic for each that does not hold."""
    checker = _Checker(result)
    if spec.expect is not None:
        checker.network(spec.expect)
    # Claims on steps are those of the file that has the steps.
    for step in spec.body.steps if spec.extends is None else ():
        if step.expect is not None:
            checker.step(step.called, step.expect)
    return checker.count, checker.findings.diagnostics


class _Checker:
    """Compares claims with the analyses of a graph, and keeps a diagnostic for each that does not hold."""

    def __init__(self, result: Result) -> None:
        self.graph: Graph = result.graph
        self.steps = result.steps
        self.findings = Findings(limit=1000)
        self.count = 0
        self._summaries: dict[Mode, Summary] = {}
        self._fields: dict[str | None, Mapping[str, Mapping[str, Field]]] = {}
        """Receptive fields over a value; under None, over the network's inputs."""

    def network(self, claims: Map) -> None:
        """Check the claims about the network, with those under `train` (in training) and `steps` (on steps)."""
        for name, entry in claims.entries.items():
            if name not in ("train", "steps"):
                self.total_of_network(name, entry, "inference", [*TOTALS, "train", "steps"])
            elif not isinstance(entry.value, Map):
                self.refuse("NS216", f"`{name}` maps claims to values", entry)
            elif name == "train":
                for total, inner in entry.value.entries.items():
                    self.total_of_network(total, inner, "train", TOTALS)
            else:
                self.listed_steps(entry.value)

    def listed_steps(self, claims: Map) -> None:
        """Check the claims on steps that stand under `expect: steps`, by their paths."""
        for path, entry in claims.entries.items():
            if not isinstance(entry.value, Map):
                self.refuse("NS216", f"claims on `{path}` are a mapping", entry, "such as `{shape: [N, ...]}`")
            elif self.value_of(path) is None:
                names = [*self.steps, *self.graph.scopes, *self.graph.types]
                self.refuse("NS209", f"there is no step `{path}`", entry, closest(path, names))
            else:
                self.step(path, entry.value)

    def step(self, path: str, claims: Map) -> None:
        """Check the claims on a step; on one that was left out, none."""
        value = self.value_of(path)
        if value is None:
            return
        for name, entry in claims.entries.items():
            if name == "shape":
                self.compare(name, entry, plain(self.graph.types[value].shape), plain_data(entry.value))
            elif name in ("stride", "receptive_field"):
                self.field(name, entry, value)
            elif name in TOTALS:
                layers = self.summary("inference")["layers"]
                counts = [layer[name] or 0 for layer in layers if _is_part(layer["name"], path)]
                self.total(name, entry, sum(counts))
            else:
                help = closest(name, STEP) or f"it has {choices(STEP)}"
                self.refuse("NS204", f"a step's `expect` has no claim `{name}`", entry, help)

    def value_of(self, path: str) -> str | None:
        """The value that a step, scope or input gives; None where there is none of that path."""
        if path in self.steps:
            return self.steps[path]
        if path in self.graph.scopes:
            return self.graph.scopes[path].output
        return path if path in self.graph.types else None

    def field(self, name: str, entry: Entry, value: str) -> None:
        """Check `stride: 2` or `receptive_field: 5`, `[5, 3]`, `{size: 7, over: pool2}`: over another step's output."""
        origin, wanted = None, entry.value
        if isinstance(wanted, Map):
            over = wanted.entries.get("over")
            if name != "receptive_field" or over is None or set(wanted.entries) != {"size", "over"}:
                self.refuse("NS216", f"`{name}` takes a size, or `size` and `over`", entry)
                return
            path = str(plain_data(over.value))
            origin = self.value_of(path)
            if origin is None:
                self.refuse("NS209", f"there is no step `{path}`", over, closest(path, self.steps))
                return
            wanted = wanted.entries["size"].value
        fields = self.fields_over(origin).get(value, {})
        if not fields:
            self.refuse("NS216", f"`{value}` sees no input with positions", entry)
            return
        first = next(iter(fields.values()))
        numbers = first.size if name == "receptive_field" else first.stride
        claim = plain_data(wanted)
        sizes = wanted.items if isinstance(wanted, Seq) else [wanted]
        if any(isinstance(size, Scalar) and isinstance(size.value, str) for size in sizes):
            help = "such as `7` or `[7, 5]`"
            self.findings.add(Diagnostic("NS216", f"`{name}` takes a size, not {show(claim)}", wanted.span, help=help))
            return
        self.compare(name, entry, list(numbers), claim if isinstance(claim, list) else [claim] * len(numbers))

    def fields_over(self, origin: str | None) -> Mapping[str, Mapping[str, Field]]:
        """The receptive fields over a value, computed once; over the network's inputs for None."""
        if origin not in self._fields:
            self._fields[origin] = propagate_fields(self.graph, origin)
        return self._fields[origin]

    def total_of_network(self, name: str, entry: Entry, mode: Mode, claims: Sequence[str]) -> None:
        """Check a total of the network; `claims` are the names that stand at this place."""
        if name in TOTALS:
            self.total(name, entry, self.summary(mode)["totals"][name])
        else:
            help = closest(name, claims) or f"it has {choices(claims)}"
            self.refuse("NS204", f"`expect` has no claim `{name}`", entry, help)

    def total(self, name: str, entry: Entry, value: int | None) -> None:
        """Check a claim on a count, or several: exact ints, and figures such as `144 M`."""
        claims = entry.value.items if isinstance(entry.value, Seq) else [entry.value]
        if not claims:
            self.refuse("NS216", f"`{name}` claims nothing", entry)
        for claim in claims:
            self.count += 1
            wanted = plain_data(claim)
            holds = type(wanted) is int and wanted == value
            if isinstance(wanted, str) and value is not None:
                decided = figure_holds(wanted, value)
                if decided is None:
                    message = f"`{name}` takes an int, or a figure such as `144 M`, not {show(wanted)}"
                    self.findings.add(Diagnostic("NS216", message, claim.span))
                    continue
                holds = decided
            if not holds:
                shown = wanted if isinstance(wanted, str) else show(wanted)
                self.broken(name, claim, shown, "unknown" if value is None else f"{value:,}")

    def compare(self, name: str, entry: Entry, value: list[Any], wanted: Any) -> None:
        """Check a claim on a list: a shape, or sizes of axes."""
        self.count += 1
        if value != wanted:
            self.broken(name, entry.value, show(wanted), _list_text(value))

    def broken(self, name: str, claim: Data, wanted: str, value: str) -> None:
        """Keep the diagnostic of a claim that does not hold."""
        message = f"`{name}` is claimed to be {wanted.replace(chr(39), '')} and is {value}"
        self.findings.add(Diagnostic("NS216", message, claim.span))

    def refuse(self, code: str, message: str, entry: Entry, help: str = "") -> None:
        """Keep the diagnostic of a claim that is none."""
        self.findings.add(Diagnostic(code, message, entry.key_span, help=help))

    def summary(self, mode: Mode) -> Summary:
        """The summary in a mode, computed once."""
        if mode not in self._summaries:
            self._summaries[mode] = summary(self.graph, mode)
        return self._summaries[mode]


def _list_text(values: list[Any]) -> str:
    return "[" + ", ".join("unknown" if v is None else str(v) for v in values) + "]"


def _is_part(path: str, step: str) -> bool:
    """Whether a node is a step, or below it."""
    return path == step or is_below(path, step)


def figure_holds(text: str, value: int) -> bool | None:
    """Whether a figure as papers print it is this count, rounded or cut; None where the text is no figure.

    >>> figure_holds("144 M", 143_667_240), figure_holds("143 M", 143_667_240), figure_holds("145 M", 143_667_240)
    (True, True, False)
    """
    match = _FIGURE.match(text)
    if match is None:
        return None
    whole, digits, unit = match.groups()
    step = Fraction(_UNITS[unit], 10 ** len(digits or ""))
    printed = int(whole + (digits or "")) * step
    cut = value // step * step
    rounded = (value + step / 2) // step * step
    return printed in (cut, rounded)
