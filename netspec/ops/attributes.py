"""Creates ops from attributes as data, reports invalid ones, and describes in words what each attribute takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from netspec.errors import choices, closest
from netspec.expression import bool_hint, show
from netspec.ops.base import Op
from netspec.ops.fields import MAX_INT, Takes


class AttributeProblem(Exception):
    """An invalid attribute of an op: its name, the error, and a hint."""

    def __init__(self, attribute: str, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.attribute = attribute
        self.code = code
        self.message = message
        self.help = help


def make_op(cls: type[Op], attributes: Mapping[str, Any]) -> tuple[Op | None, list[AttributeProblem]]:
    """Create an op with these attributes. Returns None and the problems if some are invalid, else the op and []."""
    try:
        return cls.model_validate(dict(attributes)), []
    except ValidationError as error:
        problems: dict[str, AttributeProblem] = {}
        for detail in error.errors(include_url=False, include_context=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            # "missing" inside of a value, such as `[1]` for a pair, means that the value is wrong.
            kind = detail["type"] if len(detail["loc"]) == 1 else "wrong"
            problems.setdefault(name, _problem(cls, name, kind, attributes.get(name)))
        return None, list(problems.values())


def _problem(cls: type[Op], name: str, kind: str, value: Any) -> AttributeProblem:
    if kind == "missing":
        return AttributeProblem(name, "NS205", f"`{cls.opname}` needs `{name}`, {takes(cls, name)}")
    if kind == "extra_forbidden":
        fields = list(cls.model_fields)
        part = [field for field in fields if name in field.split("_")]
        help = f"did you mean `{part[0]}`?" if len(part) == 1 else closest(name, fields)
        help = help or (f"it takes {choices(fields)}" if fields else "it takes no arguments")
        return AttributeProblem(name, "NS204", f"`{cls.opname}` has no attribute `{name}`", help)
    most = "; the largest number is 2**31 - 1" if type(value) is int and value > MAX_INT else ""
    is_integral = isinstance(value, float) and value.is_integer() and "integer" in takes(cls, name)
    flag = bool_hint(value) if "true or false" in takes(cls, name) else ""
    text = f"text stands in quotes: '{show(value)}'" if takes_any_text(cls, name) and value is not None else ""
    help = f"write {value:.0f}" if is_integral else flag or (text if not isinstance(value, str | list) else "")
    return AttributeProblem(name, "NS206", f"`{name}` takes {takes(cls, name)}, not {show(value)}{most}", help)


def takes(cls: type[Op], attribute: str) -> str:
    """The values that an attribute takes, in words."""
    field = cls.model_fields[attribute]
    words = next((extra.words for extra in field.metadata if isinstance(extra, Takes)), None)
    return words or _in_words(field.annotation)


_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def _in_words(annotation: Any) -> str:
    """The type of a field in words: those of its `Takes`, else words for Python's types."""
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Takes):
            return extra.words
    if get_origin(annotation) is Literal:
        return choices(str(word) for word in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return ", or ".join(_in_words(part) for part in get_args(annotation))
    if hasattr(annotation, "__metadata__"):
        return _in_words(annotation.__origin__)
    return _WORDS.get(annotation, "another kind of value")


@lru_cache(maxsize=1024)
def literal_words(cls: type[Op], attribute: str) -> frozenset[str]:
    """The words that an attribute takes literally, such as `same`; other text is an expression."""
    field = cls.model_fields.get(attribute)
    if takes_any_text(cls, attribute):
        return _ANY_TEXT
    return frozenset() if field is None else frozenset(_words(field.annotation))


def takes_any_text(cls: type[Op], attribute: str) -> bool:
    """Return whether an attribute is free text, such as the equation of `einsum`: only `$name` is an expression."""
    field = cls.model_fields.get(attribute)
    return field is not None and field.annotation is str


class _AnyText(frozenset[str]):
    """The words of an attribute of free text: all text but `$name`, which is an expression."""

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and not text.startswith("$")


_ANY_TEXT = _AnyText()


def _words(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return {word for word in get_args(annotation) if isinstance(word, str)}
    if get_origin(annotation) in (Union, UnionType):
        return set[str]().union(*(_words(part) for part in get_args(annotation)))
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__)
    return set()
