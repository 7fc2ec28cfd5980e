"""Valid specs to spoil, as data: the bundled ones, and random ones of both makers."""

from __future__ import annotations

import copy
import random
from functools import cache
from typing import Any

import netspec
from netspec.source import Source
from netspec.spec.sources.bundled import bundled_folder
from netspec.spec.text.data import plain_data
from netspec.spec.text.parse import parse_text
from tests.fuzz.spec_text import Text
from tests.support.networks import TEXTS
from tests.support.random_maps import random_map
from tests.support.random_specs import random_spec


@cache
def bundled() -> list[Any]:
    """The specs of networks of images that come with netspec: mistakes are made with maps."""
    paths = [path for path in sorted(bundled_folder().glob("*.yaml")) if path.stem not in TEXTS]
    return [plain_data(parse_text(Source(path.name, path.read_text(encoding="utf-8")))) for path in paths]


def valid_spec(chance: random.Random) -> dict[str, Any]:
    """One of the bundled specs, or a random one."""
    if chance.random() < 0.3:
        return copy.deepcopy(chance.choice(bundled()))
    while True:
        make = chance.choice((random_spec, random_map))
        # Blocks and lists are shared by all that is made: what is spoilt is a copy.
        data = copy.deepcopy(make(chance.choice))
        try:
            netspec.loads(str(Text(data, "yaml")))
        except netspec.NetspecError:
            continue
        return data
