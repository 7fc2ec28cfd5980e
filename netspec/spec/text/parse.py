"""The text of a spec as data: JSON or YAML, by the file's name and by the looks of the text."""

from __future__ import annotations

import re

from netspec.source import Source
from netspec.spec.text.data import Data
from netspec.spec.text.json import is_json, parse_json
from netspec.spec.text.yaml import parse_yaml


def parse_text(source: Source) -> Data:
    """The data of a spec's text.

    >>> parse_text(Source("x.yaml", "netspec: 1")).entries["netspec"].value.value
    1
    """
    if source.text.startswith("\ufeff"):
        # Editors count no byte order mark, so our columns can't either.
        source = Source(source.name, source.text.lstrip("\ufeff"))
    if source.name.lower().endswith(".json") or (re.match(r"\s*\{", source.text) and is_json(source)):
        return parse_json(source)
    return parse_yaml(source)
