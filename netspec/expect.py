"""`expect`: the claims a spec makes of itself, and whether they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from netspec.analysis.receptive_field import Field, receptive_fields
from netspec.analysis.shapes import plain_shape
from netspec.analysis.summary import summary
from netspec.errors import Diagnostic, Findings, choices, closest
from netspec.expression import show
from netspec.graph.model import Graph, Mode
from netspec.spec.elaborate.elaborate import Result
from netspec.spec.read.read_spec import Spec
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data

_FIGURE = re.compile(r"(\d+)(?:\.(\d+))?\s*([KMGBT])\Z")
_SIZES = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
TOTALS = ("parameters", "macs")
STEP = ("shape", "stride", "receptive_field", *TOTALS)


def check_expectations(spec: Spec, result: Result) -> tuple[int, list[Diagnostic]]:
    """How many claims were checked, and a diagnostic for each that does not hold."""
    checker = _Checker(result)
    if spec.expect is not None:
        checker.network(spec.expect)
    # Claims on steps are those of the file that has the steps.
    for step in spec.body.steps if spec.extends is None else ():
        if step.expect is not None:
            checker.step(step.called, step.expect)
    return checker.count, checker.findings.diagnostics


class _Checker:
    def __init__(self, result: Result) -> None:
        self.graph: Graph = result.graph
        self.steps = result.steps
        self.findings = Findings(limit=1000)
        self.count = 0
        self.summaries: dict[Mode, Mapping[str, Any]] = {}
        self.fields: dict[str | None, Mapping[str, Mapping[str, Field]]] = {}

    def network(self, claims: Map, mode: Mode = "inference") -> None:
        for name, entry in claims.entries.items():
            with_steps = name in ("train", "steps") and mode == "inference"
            if with_steps and not isinstance(entry.value, Map):
                self.refuse("NS216", f"`{name}` maps claims to values", entry)
            elif name == "train" and isinstance(entry.value, Map) and mode == "inference":
                self.network(entry.value, "train")
            elif name == "steps" and isinstance(entry.value, Map) and mode == "inference":
                for path, inner in entry.value.entries.items():
                    if isinstance(inner.value, Map):
                        self.step(path, inner.value, inner)
                    else:
                        self.refuse("NS216", f"claims on `{path}` are a mapping", inner, "such as `{shape: [N, ...]}`")
            elif name in TOTALS:
                self.total(name, entry, self.of(mode)["totals"][name])
            else:
                known = [*TOTALS, "train", "steps"] if mode == "inference" else list(TOTALS)
                self.refuse(
                    "NS204",
                    f"`expect` has no claim `{name}`",
                    entry,
                    closest(name, known) or f"it has {choices(known)}",
                )

    def step(self, path: str, claims: Map, place: Entry | None = None) -> None:
        value = self.value_of(path)
        if value is None:
            known = [*self.steps, *self.graph.scopes, *self.graph.types]
            if place is not None:
                self.refuse("NS209", f"there is no step `{path}`", place, closest(path, known))
            return
        for name, entry in claims.entries.items():
            if name == "shape":
                self.hold(name, entry, plain_shape(self.graph.types[value]), plain_data(entry.value))
            elif name in ("stride", "receptive_field"):
                self.field(name, entry, value)
            elif name in TOTALS:
                rows = [layer for layer in self.of("inference")["layers"] if _below(layer["name"], path)]
                self.total(name, entry, sum(layer[name] or 0 for layer in rows))
            else:
                self.refuse(
                    "NS204",
                    f"a step's `expect` has no claim `{name}`",
                    entry,
                    closest(name, STEP) or f"it has {choices(STEP)}",
                )

    def value_of(self, path: str) -> str | None:
        if path in self.steps:
            return self.steps[path]
        if path in self.graph.scopes:
            return self.graph.scopes[path].output
        return path if path in self.graph.types else None

    def field(self, name: str, entry: Entry, value: str) -> None:
        """`receptive_field: 5`, `[5, 3]`, or `{size: 7, over: pool2}`: as seen in the output of an earlier step."""
        origin, wanted = None, entry.value
        if isinstance(wanted, Map):
            over = wanted.entries.get("over")
            if name != "receptive_field" or over is None or set(wanted.entries) != {"size", "over"}:
                self.refuse("NS216", f"`{name}` takes a size, or `size` and `over`", entry)
                return
            origin = self.value_of(str(plain_data(over.value)))
            if origin is None:
                self.refuse(
                    "NS209",
                    f"there is no step `{plain_data(over.value)}`",
                    over,
                    closest(str(plain_data(over.value)), self.steps),
                )
                return
            wanted = wanted.entries["size"].value
        if origin not in self.fields:
            self.fields[origin] = receptive_fields(self.graph, origin)
        fields = self.fields[origin].get(value, {})
        if not fields:
            self.refuse("NS216", f"`{value}` sees no input with positions", entry)
            return
        found = next(iter(fields.values()))
        numbers = found.size if name == "receptive_field" else found.stride
        claim = plain_data(wanted)
        sizes = wanted.items if isinstance(wanted, Seq) else [wanted]
        if any(isinstance(size, Scalar) and isinstance(size.value, str) for size in sizes):
            help = "such as `7` or `[7, 5]`"
            self.findings.add(Diagnostic("NS216", f"`{name}` takes a size, not {show(claim)}", wanted.span, help=help))
            return
        self.hold(name, entry, list(numbers), claim if isinstance(claim, list) else [claim] * len(numbers))

    def total(self, name: str, entry: Entry, value: int | None) -> None:
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
                self.broken(
                    name,
                    claim,
                    show(wanted) if not isinstance(wanted, str) else wanted,
                    "unknown" if value is None else f"{value:,}",
                )

    def hold(self, name: str, entry: Entry, value: list[Any], wanted: Any) -> None:
        self.count += 1
        if value != wanted:
            self.broken(name, entry.value, show(wanted), _list(value))

    def broken(self, name: str, claim: Data, wanted: str, value: str) -> None:
        self.findings.add(
            Diagnostic("NS216", f"`{name}` is claimed to be {wanted.replace(chr(39), '')} and is {value}", claim.span)
        )

    def refuse(self, code: str, message: str, entry: Entry, help: str = "") -> None:
        self.findings.add(Diagnostic(code, message, entry.key_span, help=help))

    def of(self, mode: Mode) -> Mapping[str, Any]:
        if mode not in self.summaries:
            self.summaries[mode] = summary(self.graph, mode)
        return self.summaries[mode]


def _list(values: list[Any]) -> str:
    return "[" + ", ".join("unknown" if v is None else str(v) for v in values) + "]"


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}.")


def figure_holds(text: str, value: int) -> bool | None:
    """Whether a figure as papers print it (`144 M`) is this count rounded or cut; None where it is no figure."""
    match = _FIGURE.match(text)
    if match is None:
        return None
    whole, digits, unit = match.groups()
    step = Fraction(_SIZES[unit], 10 ** len(digits or ""))
    printed = int(whole + (digits or "")) * step
    cut = value // step * step
    rounded = (value + step / 2) // step * step
    return printed in (cut, rounded)
