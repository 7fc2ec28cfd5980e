"""Diagnostics: errors and warnings with a place in a file, and a hint how to fix them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import NoReturn

from netspec.printable import printable
from netspec.source import Span

CODES: dict[str, str] = {
    "NS101": "the text is not valid YAML or JSON",
    "NS102": "a key stands twice in one mapping",
    "NS103": "YAML that specs do without: anchors, aliases, merge keys, tags, several documents",
    "NS104": "the text is too large, or nested too deep",
    "NS105": "the file can't be read as UTF-8 text",
    "NS201": "the spec's outline: an unknown key, a missing one, or the wrong kind of value",
    "NS202": "a name that can't be one",
    "NS203": "no op, block or network of this name",
    "NS204": "no attribute, parameter or weight of this name",
    "NS205": "a required attribute or parameter is missing",
    "NS206": "a value of the wrong kind or out of range",
    "NS207": "an expression that can't be parsed",
    "NS208": "an expression that can't be evaluated",
    "NS209": "no value of this name is in reach",
    "NS210": "two things of one name",
    "NS211": "a step that is not formed as one",
    "NS212": "blocks or specs that contain themselves",
    "NS213": "no spec of this name, or one out of reach",
    "NS214": "a limit of the language is passed",
    "NS215": "`when` or `repeat` that can't be decided",
    "NS216": "a claim of `expect` does not hold",
    "NS217": "a value is made and never used",
    "NS218": "an op of one's own that can't be used",
    "NS301": "shapes that must be equal are not",
    "NS302": "an op can't take this number of inputs, rank or dtype",
    "NS303": "a window larger than the map under it",
    "NS304": "an attribute that does not fit the shape of the input",
    "NS305": "a size that must be known is symbolic",
    "NS401": "a graph that a backend can't express",
    "NS402": "a compiled module that disagrees with the analysis",
    "NS403": "a diagram that can't be laid out",
    "NS501": "weights that do not fit",
    "NS502": "an ONNX model that can't be used",
    "NS503": "data that a network can't take: an array, an image",
    "NS601": "a part that is not installed, or not as it has to be",
    "NS602": "a device that is not there",
}
"""Every code with its meaning: 1xx syntax, 2xx spec, 3xx shape, 4xx backend, 5xx weights and data, 6xx the machine."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error or warning: a code, a message, a place, and a hint how to fix it (`help`).

    `label` is printed beside the carets under the line of the place, and `notes` below them.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.span.place}: " if self.span else ""
        lines = [f"{place}{self.severity} {self.code}: {shortened(self.message)}"]
        if self.span:
            lines += self.span.excerpt(shortened(self.label))
        lines += [f"   note: {shortened(note)}" for note in self.notes]
        if self.help:
            lines.append(f"   help: {shortened(self.help)}")
        # The text of a spec may hold control characters, which a terminal would obey.
        return "\n".join([printable(line, "\t") for line in lines])


class NetspecError(Exception):
    """An error in a spec, a graph, weights or a model, with one or more diagnostics."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n".join(str(d) for d in self.diagnostics)


class MissingPart(NetspecError):
    """A package that netspec needs is not installed; the help is the command to install it. The exit status is 3."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(Diagnostic("NS601", message, help=help))


def install_extra(extra: str) -> str:
    """The command that installs an extra of netspec in its checkout; netspec is on no package index yet."""
    return f'pip install -e ".[{extra}]"'


@dataclass(slots=True)
class Findings:
    """Collects up to `limit` diagnostics, so that one run reports several; one for each place and code is kept."""

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    limit: int = 20

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic, unless there is one with its code at its place, or the findings are full."""
        key = (diagnostic.code, diagnostic.span)
        if self.full or any((d.code, d.span) == key for d in self.diagnostics):
            return
        self.diagnostics.append(diagnostic)

    def extend(self, error: NetspecError) -> None:
        """Add the diagnostics of an error."""
        for diagnostic in error.diagnostics:
            self.add(diagnostic)

    @property
    def full(self) -> bool:
        """True if the limit is reached, and no more diagnostics will be added."""
        return len(self.diagnostics) >= self.limit

    def check_full(self) -> None:
        """Raise the diagnostics if the limit is reached."""
        if self.full:
            self.check()

    def check(self) -> None:
        """Raise the diagnostics, if there are any."""
        if self.diagnostics:
            raise NetspecError(*self.diagnostics)


def fail(
    code: str,
    message: str,
    span: Span | None = None,
    label: str = "",
    *,
    notes: Sequence[str] = (),
    help: str = "",
) -> NoReturn:
    """Raise a NetspecError with one diagnostic."""
    raise NetspecError(Diagnostic(code, message, span, label, tuple(notes), help))


def shortened(text: str, limit: int = 600) -> str:
    """A text, without its middle if it is long: a name in a message may have millions of characters."""
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 3 :]}"


_MAX_LENGTH, _MAX_NAMES = 100, 1_000
"""Limits of the search for a similar name: the length of names, and their number."""


def closest(name: str, names: Iterable[str]) -> str:
    """A hint `did you mean ...?` for a misspelt name; "" if no name is similar.

    >>> closest("conv2", ["conv2d", "relu"])
    'did you mean `conv2d`?'
    """
    if len(name) > _MAX_LENGTH:
        return ""
    candidates = [candidate for candidate in islice(names, _MAX_NAMES) if len(candidate) <= _MAX_LENGTH]
    matches = get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else ""


def choices(names: Iterable[str], limit: int = 12) -> str:
    """Names as a list for a help line, cut off after `limit` names.

    >>> choices(["relu", "gelu", "silu"], limit=2)
    '`relu`, `gelu` and 1 more'
    """
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(f"`{name}`" for name in listed[:limit]) + more
