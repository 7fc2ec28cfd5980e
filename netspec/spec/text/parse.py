"""Parses the text of a spec as JSON or YAML, by the name of the file and the beginning of the text."""

from __future__ import annotations

import re

from netspec.source import Source
from netspec.spec.text.data import Data
from netspec.spec.text.json import is_json, parse_json
from netspec.spec.text.yaml import parse_yaml


def parse_text(source: Source) -> Data:
    """Parse a spec's text into data with places.

    >>> parse_text(Source("x.yaml", "netspec: 1")).entries["netspec"].value.value
    1
    """
    if source.text.startswith("\ufeff"):
        # Editors do not count a byte order mark as a column.
        source = Source(source.name, source.text.lstrip("\ufeff"))
    if source.name.lower().endswith(".json") or (re.match(r"\s*\{", source.text) and is_json(source)):
        return parse_json(source)
    return parse_yaml(source)
