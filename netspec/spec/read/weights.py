"""`weights`: reads the sources of state dicts that fit a network, and how their keys map to ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import show
from netspec.graph.model import SpecParameter
from netspec.naming import check_name
from netspec.source import Span
from netspec.spec.read.keys import WeightsOutline, checked_model
from netspec.spec.read.parameters import fits, kind_hint, words_for
from netspec.spec.text.data import Entry, Map, Seq, plain_data

_KEY = re.compile(r"[A-Za-z0-9_*]+(\.[A-Za-z0-9_*]+)*\Z")


@dataclass(frozen=True, slots=True)
class KeyRule:
    """A rule that renames keys: `theirs` is a pattern of their beginnings, and `ours` replaces it.

    `layer*.*.conv1` may become `layer*.*.residual.conv_bn.conv2d`: each `*` stands for the same text on both sides. A
    match ends at a dot or at the end of the key. With `ours` None, matching keys are dropped.
    """

    theirs: str
    ours: str | None

    def match(self, key: str) -> re.Match[str] | None:
        """Match the beginning of a key with `theirs`, each `*` a group; None if it does not match."""
        pattern = re.escape(self.theirs).replace(r"\*", "([^.]*)")
        return re.match(rf"{pattern}(?=\.|\Z)", key)

    def rename(self, match: re.Match[str]) -> str | None:
        """Our key for a key that matched; None if the rule drops it."""
        if self.ours is None:
            return None
        texts = iter(match.groups())
        return re.sub(r"\*", lambda _: next(texts), self.ours) + match.string[match.end() :]


@dataclass(frozen=True, slots=True)
class WeightSource:
    """The state dicts of one source, such as torchvision, and how they map to the network's weights.

    `keys` are rules that rename their keys, and `prefixes` are further rules, for what these make of the keys: the one
    may say what layers are called, and the other which block of theirs is which step. Instead, `order` is for state
    dicts with the same layers in the same order: it lists the first parts of their keys, such as `features` and
    `classifier`, below which layers are numbered.

    `transposed` are beginnings of our keys: matrices under these are transposed in the state dict, (in, out) instead of
    torch's (out, in).

    `params` are values of the spec's parameters that the weights need: with others they may fit and still be wrong.
    """

    name: str
    title: str
    params: Mapping[str, Any]
    keys: tuple[KeyRule, ...]
    prefixes: tuple[KeyRule, ...]
    order: tuple[str, ...]
    transposed: tuple[KeyRule, ...] = ()
    span: Span | None = None

    def rename(self, key: str) -> str | None:
        """Our key for one of theirs, by the first rule of each kind that matches; None if it is dropped."""
        renamed = _by_first_rule(self.keys, key)
        return None if renamed is None else _by_first_rule(self.prefixes, renamed)

    def has_transposed(self, name: str) -> bool:
        """Return whether the state dict has the matrix of this key of ours transposed."""
        return any(rule.match(name) for rule in self.transposed)


def _by_first_rule(rules: Iterable[KeyRule], key: str) -> str | None:
    """The key as the first rule that matches renames it, unchanged if none does; None if it is dropped."""
    for rule in rules:
        if match := rule.match(key):
            return rule.rename(match)
    return key


def read_sources(
    entries: Mapping[str, Entry], parameters: Mapping[str, SpecParameter], findings: Findings
) -> tuple[WeightSource, ...]:
    """Read the sources that a spec lists under `weights`."""
    sources: list[WeightSource] = []
    for name, entry in entries.items():
        try:
            sources.append(_source(name, entry, parameters))
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return tuple(sources)


def _source(name: str, entry: Entry, parameters: Mapping[str, SpecParameter]) -> WeightSource:
    check_name(name, "a source of weights", entry.key_span)
    data = entry.value
    if not isinstance(data, Map):
        help = "such as `torchvision: {keys: {bn1: norm1}}`"
        fail("NS201", f"source `{name}` is a mapping with `keys` or `order`", data.span, help=help)
    outline = checked_model(WeightsOutline, data, f"source `{name}`")
    wrong = Findings()
    for parameter, value in data.section("params").items():
        declared = parameters.get(parameter)
        setting = plain_data(value.value)
        if declared is None:
            help = closest(parameter, parameters) or f"it has {choices(parameters)}"
            wrong.add(Diagnostic("NS204", f"the spec has no parameter `{parameter}`", value.key_span, help=help))
        elif not fits(setting, declared.kind):
            message = f"`{parameter}` takes {words_for(declared.kind)}, not {show(setting)}"
            wrong.add(Diagnostic("NS206", message, value.value.span, help=kind_hint(setting, declared.kind)))
    keys, prefixes = (_rules(data.section(section), wrong) for section in ("keys", "prefixes"))
    if outline.order and (keys or prefixes):
        message = f"source `{name}` goes by `order`, and has `{'keys' if keys else 'prefixes'}`"
        wrong.add(Diagnostic("NS201", message, data.entries["order"].key_span, help="one of the two says what fits"))
    transposed = _beginnings(data.entries.get("transposed"), wrong)
    wrong.check()
    title = " ".join(outline.title.split())
    order = tuple(outline.order)
    return WeightSource(name, title, dict(outline.params), keys, prefixes, order, transposed, entry.key_span)


def _rules(entries: Mapping[str, Entry], wrong: Findings) -> tuple[KeyRule, ...]:
    """The rules of a section; what is wrong with them goes to the findings."""
    rules: list[KeyRule] = []
    for theirs, ours in entries.items():
        text = plain_data(ours.value)
        _check_beginning(theirs, ours.key_span, wrong)
        if text is not None:
            _check_beginning(text, ours.value.span, wrong)
        if isinstance(text, str) and text.count("*") > theirs.count("*"):
            message = f"`{text}` has more `*` than `{theirs}`, whose texts they are"
            wrong.add(Diagnostic("NS206", message, ours.value.span))
        rules.append(KeyRule(theirs, text if isinstance(text, str) else None))
    return tuple(rules)


def _beginnings(entry: Entry | None, wrong: Findings) -> tuple[KeyRule, ...]:
    """The beginnings of keys in a list, as rules that keep them."""
    items = entry.value.items if entry is not None and isinstance(entry.value, Seq) else []
    rules: dict[str, KeyRule] = {}
    for item in items:
        text = str(plain_data(item))
        _check_beginning(text, item.span, wrong)
        if text in rules:
            wrong.add(Diagnostic("NS206", f"`{text}` stands twice in `transposed`, and is transposed once", item.span))
        rules[text] = KeyRule(text, text)
    return tuple(rules.values())


def _check_beginning(text: Any, span: Span, wrong: Findings) -> None:
    if not isinstance(text, str) or not _KEY.match(text):
        help = "letters, digits, `_` and dots, and `*` for what stands between two dots"
        wrong.add(Diagnostic("NS206", f"{show(text)} is no beginning of a key", span, help=help))
