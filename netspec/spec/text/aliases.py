"""Other names of the bundled specs: those that people type, where they mean one network and no other."""

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
    "plain34": ("resnet34_plain", _NONE),
    **{f"resnet{depth}_v1.5": (f"resnet{depth}", _STRIDE_IN_3X3) for depth in (50, 101, 152)},
    **{f"resnet{depth}": (f"resnet{depth}_cifar", _NONE) for depth in (20, 32, 44, 56, 110, 1202)},
    **{f"cifar_resnet{depth}": (f"resnet{depth}_cifar", _NONE) for depth in (20, 32, 44, 56, 110, 1202)},
}
"""Each other name with the bundled spec that it means, and the parameters that it sets."""

_OTHERS = frozenset({"resnext", "resnest", "iresnet", "xresnet"})
"""Networks in their own right whose names are one letter away from those of bundled ones."""
_LEAST = 5
"""How long a name is at least of which one letter may be a slip."""


def meant(name: str, bundled: Iterable[str]) -> tuple[str, Params] | None:
    """The bundled spec that another name means, and the parameters that it sets: `VGG-16` is `vgg_d`.

    Letter case, `-`, `_`, `.` and spaces make no difference.
    """
    return _known(bundled).get(_key(name)) if len(name) <= MAX_NAME else None


def aliases_of(bundled: str) -> dict[str, Params]:
    """The other names of a bundled spec, with the parameters that each sets."""
    return {name: params for name, (spec, params) in ALIASES.items() if spec == bundled}


def in_words(params: Params) -> str:
    """Parameters as a spec's text has them, without brackets."""
    return ", ".join(f"{name}: {str(value).lower()}" for name, value in params.items())


def way_to_name(name: str, bundled: Iterable[str]) -> str:
    """A hint at the one name that is a slip of the finger away, if there is one."""
    key = _key(name[: MAX_NAME + 1])
    if not _LEAST <= len(key) <= MAX_NAME or re.sub(r"\d.*", "", key) in _OTHERS:
        return ""
    # Another number is another network, unless its digits only changed places.
    near = [n for n in (*bundled, *ALIASES) if _digits(n) == _digits(name) and _one_slip(key, _key(n))]
    return f"did you mean `{near[0]}`?" if len(near) == 1 else ""


def _known(bundled: Iterable[str]) -> dict[str, tuple[str, Params]]:
    known = {_key(name): meaning for name, meaning in ALIASES.items()}
    return {**known, **{_key(name): (name, _NONE) for name in bundled}}


def _key(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).lower()


def _digits(name: str) -> list[str]:
    return sorted(filter(str.isdecimal, name))


def _one_slip(one: str, other: str) -> bool:
    """Whether one letter more, less or other, or two that changed places, make the one text the other."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[:start] + short[start : start + 2][::-1] + short[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or swapped == long
