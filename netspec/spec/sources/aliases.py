"""Aliases of the bundled specs: common names that mean exactly one of them, such as `vgg16`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from netspec.naming import MAX_NAME

Params = Mapping[str, bool]
_NONE: Params = MappingProxyType({})
_BATCH_NORM: Params = MappingProxyType({"batch_norm": True})
_STRIDE_IN_3X3: Params = MappingProxyType({"stride_in_3x3": True})

ALIASES: Mapping[str, tuple[str, Params]] = {
    "vgg11": ("vgg_a", _NONE),
    "vgg13": ("vgg_b", _NONE),
    "vgg16": ("vgg_d", _NONE),
    "vgg19": ("vgg_e", _NONE),
    "vgg11_bn": ("vgg_a", _BATCH_NORM),
    "vgg13_bn": ("vgg_b", _BATCH_NORM),
    "vgg16_bn": ("vgg_d", _BATCH_NORM),
    "vgg19_bn": ("vgg_e", _BATCH_NORM),
    "inception_v1": ("googlenet", _NONE),
    "googlenet_v1": ("googlenet", _NONE),
    "zf": ("zfnet", _NONE),
    "resnet_in_resnet": ("rir", _NONE),
    "rin": ("rir", _NONE),
    **{f"ror3_{depth}": (f"ror3_{depth}_cifar", _NONE) for depth in (56, 110, 164)},
    "plain34": ("resnet34_plain", _NONE),
    "resnext50": ("resnext50_32x4d", _NONE),
    **{f"resnet{depth}_v1.5": (f"resnet{depth}", _STRIDE_IN_3X3) for depth in (50, 101, 152)},
    **{f"resnet{depth}": (f"resnet{depth}_cifar", _NONE) for depth in (20, 32, 44, 56, 110, 1202)},
    **{f"cifar_resnet{depth}": (f"resnet{depth}_cifar", _NONE) for depth in (20, 32, 44, 56, 110, 1202)},
}
"""The bundled spec that each alias means, and the parameters that it sets."""

_SIMILAR_NETWORKS = frozenset({"resnext", "resnest", "iresnet", "xresnet"})
"""Networks that are not bundled, but whose names are one letter away from those of bundled ones."""
_MIN_LENGTH = 5
"""The shortest name in which one letter may be a typing error."""


def resolve_alias(name: str, bundled: Iterable[str]) -> tuple[str, Params] | None:
    """The bundled spec that a name or alias means, and the parameters that it sets; None for other names.

    Letter case, `-`, `_`, `.` and spaces make no difference.

    >>> spec, params = resolve_alias("VGG-16 BN", ["vgg_d"])
    >>> spec, params_text(params)
    ('vgg_d', 'batch_norm: true')
    """
    if len(name) > MAX_NAME:
        return None
    meanings = {_normalized(alias): meaning for alias, meaning in ALIASES.items()}
    meanings |= {_normalized(spec): (spec, _NONE) for spec in bundled}
    return meanings.get(_normalized(name))


def aliases_of(bundled: str) -> dict[str, Params]:
    """The aliases of a bundled spec, with the parameters that each sets."""
    return {name: params for name, (spec, params) in ALIASES.items() if spec == bundled}


def params_text(params: Params) -> str:
    """Parameters as YAML without brackets: `batch_norm: true`."""
    return ", ".join(f"{name}: {str(value).lower()}" for name, value in params.items())


def name_hint(name: str, bundled: Iterable[str]) -> str:
    """A hint `did you mean ...?` about the only name that is one typing error away; "" if there is none, or several."""
    key = _normalized(name[: MAX_NAME + 1])
    if not _MIN_LENGTH <= len(key) <= MAX_NAME or re.sub(r"\d.*", "", key) in _SIMILAR_NETWORKS:
        return ""
    # A different number means a different network, unless its digits only changed places.
    near = [n for n in (*bundled, *ALIASES) if _digits(n) == _digits(name) and _one_slip(key, _normalized(n))]
    return f"did you mean `{near[0]}`?" if len(near) == 1 else ""


def _normalized(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).lower()


def _digits(name: str) -> list[str]:
    return sorted(filter(str.isdecimal, name))


def _one_slip(a: str, b: str) -> bool:
    """Return whether two texts differ by one letter added, removed or replaced, or by two swapped neighbours."""
    short, long = sorted((a, b), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((i for i, (c, d) in enumerate(zip(short, long, strict=False)) if c != d), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[:start] + short[start : start + 2][::-1] + short[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or swapped == long
