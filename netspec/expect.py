"""`expect`: checks the claims that a spec makes about its network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

from netspec.analysis.field import Field
from netspec.analysis.field_propagation import propagate_fields
from netspec.analysis.summary import Summary, summary
from netspec.dims import Dim, symbol, symbols
from netspec.errors import Diagnostic, Findings, choices, closest
from netspec.expression import ExpressionError, evaluate, parse, show
from netspec.graph.model import Graph, Mode
from netspec.graph.paths import is_below
from netspec.report import plain
from netspec.spec.elaborate.elaborate import Result
from netspec.spec.read.spec import Spec
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data

_FIGURE = re.compile(r"(\d+)(?:\.(\d+))?\s*([KMGBT])\Z")
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
TOTALS = ("parameters", "macs")
"""The possible claims about a network, in inference and in training."""
STEP = ("shape", "stride", "receptive_field", *TOTALS)
"""The possible claims about a step."""


def check_expectations(spec: Spec, result: Result) -> tuple[int, list[Diagnostic]]:
    """Check the claims of a spec; return the number of claims, and a diagnostic for each that does not hold."""
    checker = _Checker(result)
    if spec.expect is not None:
        checker.network(spec.expect)
    for step in spec.body.steps if spec.claims_on_steps else ():
        if step.expect is not None:
            checker.step(step.name, step.expect)
    return checker.count, checker.findings.diagnostics


class _Checker:
    """Compares claims with the analyses of a graph, and collects a diagnostic for each that does not hold."""

    def __init__(self, result: Result) -> None:
        self.graph: Graph = result.graph
        self.steps = result.steps
        self.findings = Findings(limit=1000)
        self.count = 0
        self._summaries: dict[Mode, Summary] = {}
        self._fields: dict[str | None, Mapping[str, Mapping[str, Field]]] = {}
        """The receptive fields over a value, or over the network's inputs for None."""

    def network(self, claims: Map) -> None:
        """Check the claims about the network, and those under `train`, about training, and `steps`, about steps."""
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
        """Check the claims under `expect: steps`, which are by the paths of steps."""
        for path, entry in claims.entries.items():
            if not isinstance(entry.value, Map):
                self.refuse("NS216", f"claims on `{path}` are a mapping", entry, "such as `{shape: [N, ...]}`")
            elif self.value_of(path) is None:
                names = [*self.steps, *self.graph.scopes, *self.graph.types]
                self.refuse("NS209", f"there is no step `{path}`", entry, closest(path, names))
            else:
                self.step(path, entry.value)

    def step(self, path: str, claims: Map) -> None:
        """Check the claims about a step, unless it was left out."""
        value = self.value_of(path)
        if value is None:
            return
        for name, entry in claims.entries.items():
            if name == "shape":
                claimed = plain_data(entry.value)
                if not isinstance(claimed, list):
                    self.refuse("NS216", "`shape` takes a list of sizes", entry, "such as `[N, 512, 7, 7]`")
                    continue
                self.compare(name, entry, self.shape_for(value, claimed), claimed)
            elif name in ("stride", "receptive_field"):
                self.field(name, entry, value)
            elif name in TOTALS:
                layers = self.summary("inference")["layers"]
                counts = [layer[name] or 0 for layer in layers if _is_part(layer["name"], path)]
                self.total(name, entry, sum(counts))
            else:
                help = closest(name, STEP) or f"it has {choices(STEP)}"
                self.refuse("NS204", f"a step's `expect` has no claim `{name}`", entry, help)

    def shape_for(self, value: str, claimed: Any) -> list[Any]:
        """The shape of a value to compare with a claim.

        An open size of which a number is claimed is its nominal one; an expression that equals it is as it is claimed.
        """
        shape, nominal = self.graph.types[value].shape, self.graph.types[value].at(self.graph.nominal).shape
        claims = cast("list[Any]", claimed) if isinstance(claimed, list) else []
        if len(claims) != len(shape):
            return plain(shape)
        pairs = zip(shape, nominal, claims, strict=True)
        return plain([known if type(c) is int else c if _is_size(c, size) else size for size, known, c in pairs])

    def value_of(self, path: str) -> str | None:
        """The value of the step, scope or input at a path; None if there is none."""
        if path in self.steps:
            return self.steps[path]
        if path in self.graph.scopes:
            return self.graph.scopes[path].output
        return path if path in self.graph.types else None

    def field(self, name: str, entry: Entry, value: str) -> None:
        """Check `stride: 2` or `receptive_field: 5`, also `[5, 3]`, or over a step: `{size: 7, over: pool2}`."""
        origin, claimed = None, entry.value
        if isinstance(claimed, Map):
            over = claimed.entries.get("over")
            if name != "receptive_field" or over is None or set(claimed.entries) != {"size", "over"}:
                self.refuse("NS216", f"`{name}` takes a size, or `size` and `over`", entry)
                return
            path = str(plain_data(over.value))
            origin = self.value_of(path)
            if origin is None:
                self.refuse("NS209", f"there is no step `{path}`", over, closest(path, self.steps))
                return
            claimed = claimed.entries["size"].value
        fields = self.fields_over(origin).get(value, {})
        if not fields:
            self.refuse("NS216", f"`{value}` sees no input with positions", entry)
            return
        first = next(iter(fields.values()))
        numbers = first.size if name == "receptive_field" else first.stride
        claim = plain_data(claimed)
        sizes = claimed.items if isinstance(claimed, Seq) else [claimed]
        if any(isinstance(size, Scalar) and isinstance(size.value, str) for size in sizes):
            help = "such as `7` or `[7, 5]`"
            self.findings.add(Diagnostic("NS216", f"`{name}` takes a size, not {show(claim)}", claimed.span, help=help))
            return
        self.compare(name, entry, list(numbers), claim if isinstance(claim, list) else [claim] * len(numbers))

    def fields_over(self, origin: str | None) -> Mapping[str, Mapping[str, Field]]:
        """The receptive fields over a value, computed once; over the network's inputs for None."""
        if origin not in self._fields:
            self._fields[origin] = propagate_fields(self.graph, origin)
        return self._fields[origin]

    def total_of_network(self, name: str, entry: Entry, mode: Mode, claims: Sequence[str]) -> None:
        """Check a total of the network; `claims` are the names of claims that are valid here."""
        if name in TOTALS:
            self.total(name, entry, self.summary(mode)["totals"][name])
        else:
            help = closest(name, claims) or f"it has {choices(claims)}"
            self.refuse("NS204", f"`expect` has no claim `{name}`", entry, help)

    def total(self, name: str, entry: Entry, value: int | None) -> None:
        """Check one or several claims about a count: exact ints, or figures such as `144 M`."""
        claims = entry.value.items if isinstance(entry.value, Seq) else [entry.value]
        if not claims:
            self.refuse("NS216", f"`{name}` claims nothing", entry)
        for claim in claims:
            self.count += 1
            claimed = plain_data(claim)
            holds = type(claimed) is int and claimed == value
            if isinstance(claimed, str) and value is not None:
                decided = figure_holds(claimed, value)
                if decided is None:
                    message = f"`{name}` takes an int, or a figure such as `144 M`, not {show(claimed)}"
                    self.findings.add(Diagnostic("NS216", message, claim.span))
                    continue
                holds = decided
            if not holds:
                shown = claimed if isinstance(claimed, str) else show(claimed)
                self.broken(name, claim, shown, "unknown" if value is None else f"{value:,}")

    def compare(self, name: str, entry: Entry, value: list[Any], claimed: Any) -> None:
        """Check a claim about a list: a shape, or sizes of axes."""
        self.count += 1
        if value != claimed:
            self.broken(name, entry.value, show(claimed), _list_text(value))

    def broken(self, name: str, claim: Data, claimed: str, value: str) -> None:
        """Add the diagnostic of a claim that does not hold."""
        message = f"`{name}` is claimed to be {claimed.replace(chr(39), '')} and is {value}"
        self.findings.add(Diagnostic("NS216", message, claim.span))

    def refuse(self, code: str, message: str, entry: Entry, help: str = "") -> None:
        """Add the diagnostic of an invalid claim."""
        self.findings.add(Diagnostic(code, message, entry.key_span, help=help))

    def summary(self, mode: Mode) -> Summary:
        """The summary in a mode, computed once."""
        if mode not in self._summaries:
            self._summaries[mode] = summary(self.graph, mode)
        return self._summaries[mode]


def _is_size(claim: object, size: Dim) -> bool:
    """Return whether a claim is an expression of a size, such as `(H+1)//2`."""
    if not isinstance(claim, str):
        return False
    try:
        return evaluate(parse(claim), {name: symbol(name) for name in symbols([size])}) == size
    except ExpressionError:
        return False


def _list_text(values: list[Any]) -> str:
    return "[" + ", ".join("unknown" if v is None else str(v) for v in values) + "]"


def _is_part(path: str, step: str) -> bool:
    """Return whether the node at a path is a step, or below it."""
    return path == step or is_below(path, step)


def figure_holds(text: str, value: int) -> bool | None:
    """Return whether a figure as papers print it is this count, rounded or truncated; None if the text is no figure.

    >>> figure_holds("144 M", 143_667_240), figure_holds("143 M", 143_667_240), figure_holds("145 M", 143_667_240)
    (True, True, False)
    """
    match = _FIGURE.match(text)
    if match is None:
        return None
    integer, digits, unit = match.groups()
    step = Fraction(_UNITS[unit], 10 ** len(digits or ""))
    printed = int(integer + (digits or "")) * step
    truncated = value // step * step
    rounded = (value + step / 2) // step * step
    return printed in (truncated, rounded)
