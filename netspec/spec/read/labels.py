"""`labels`: reads the names of the classes that an output scores, or numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import get_args

from netspec.dims import Dim
from netspec.errors import Findings, choices, closest, fail
from netspec.labels import KNOWN, KnownLabels, Labels
from netspec.source import Span
from netspec.spec.read.by_name import read_by_name
from netspec.spec.text.data import Data, Entry, Scalar, Seq
from netspec.spec.text.messages import data_kind
from netspec.types import Tensor


@dataclass(frozen=True, slots=True)
class LabelsDefinition:
    """The names of an output's classes; `inherited` is True if an extended file declares them."""

    value: Labels
    span: Span
    inherited: bool


def read_labels(
    entries: Mapping[str, Entry], outputs: Collection[str], inherited: bool, findings: Findings
) -> dict[str, LabelsDefinition]:
    """Read `{logits: [cat, dog]}` or `{labels: voc}`: labels by the names of outputs."""
    return read_by_name(entries, "output", outputs, lambda name, entry: _definition(name, entry, inherited), findings)


def check_labels(name: str, type: Tensor, definition: LabelsDefinition, detected: Dim | None = None) -> None:
    """Refuse labels whose number differs from the output's number of classes.

    An output of floats scores its classes along axis 1. One of integers has the numbers of classes as its values:
    `detected` says how many there are, with the background, and is None where that is unknown.
    """
    number = KNOWN[definition.value] if isinstance(definition.value, str) else len(definition.value)
    of_integers = type.dtype.startswith(("int", "uint"))
    if detected is not None and not of_integers:
        help = "the output of the classes' numbers, `labels`, has them"
        fail("NS206", f"`{name}` is of detections, and names no classes", definition.span, help=help)
    classes = detected if of_integers else type.channels if type.rank >= 2 else None
    if isinstance(classes, int):
        if number != classes:
            help = "the first is that of the background" if of_integers and number == classes - 1 else ""
            fail("NS206", f"`{name}` has {classes:,} classes, and {number:,} labels", definition.span, help=help)
    elif not of_integers:
        fail("NS206", f"`labels` are for a number of classes, N x classes, and `{name}` is {type}", definition.span)


def _definition(name: str, entry: Entry, inherited: bool) -> LabelsDefinition:
    return LabelsDefinition(_labels(name, entry.value), entry.value.span, inherited)


def _labels(name: str, data: Data) -> Labels:
    if isinstance(data, Scalar):
        for known in get_args(KnownLabels):
            if data.value == known:
                return known
        what = f"`labels` of `{name}` are a list of names, or {choices(get_args(KnownLabels))}, not {data_kind(data)}"
        fail("NS206", what, data.span, help=closest(str(data.value), get_args(KnownLabels)))
    if not isinstance(data, Seq) or not data.items:
        fail("NS201", f"`labels` of `{name}` are a list of names", data.span, help="such as `logits: [cat, dog]`")
    return tuple([_label(item) for item in data.items])


def _label(item: Data) -> str:
    value = item.value if isinstance(item, Scalar) else None
    written = item.span.text
    if type(value) is int:
        # Digits may be labels, as of MNIST. 010 and 0x1F are refused: their values, 10 and 31, do not look like them.
        if str(value) == written:
            return written
        fail("NS206", f"`{written}` is the number {value}, and a label is text", item.span, help=f'"{written}" is text')
    if not isinstance(value, str) or not value.strip() or not all(map(_is_text, value)):
        help = "put it in quotes" if isinstance(item, Scalar) and not isinstance(value, str) and written else ""
        fail("NS206", f"a label is text on one line, not {data_kind(item)}", item.span, help=help)
    return value


def _is_text(character: str) -> bool:
    """Return whether a label may have a character: printable ones, spaces, and the zero-width joiner and non-joiner."""
    return character.isprintable() or unicodedata.category(character) == "Zs" or character in "\u200c\u200d"
