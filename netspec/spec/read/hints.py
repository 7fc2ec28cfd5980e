"""Hints for steps that are written as in other tools."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netspec.errors import closest
from netspec.naming import MAX_NAME, SIBLINGS


def op_hint(key: str, names: Iterable[str]) -> str:
    """A hint for the name of no op: the op that was meant, or how a step is written; `names` are all that exist."""
    if len(key) > MAX_NAME:
        return ""
    names = list(names)
    name = re.sub(r"(torch|nn|functional|F|tf|keras|layers)\.", "", key)
    word = re.match(r"[A-Za-z_]\w*|", name)
    first = word[0] if word else ""
    op = next((word for word in (first, _snake(first)) if word in names), "")
    if op and re.match(r"\w+ *//", name):
        return "a comment starts with `#`"
    if op and re.match(r"\w+ +- ", name):
        return f"write each step on a line of its own, with its dash as far in as that of `- {op}`"
    if op and re.match(r"\w+[( ]", name):
        return f"write `- {op}`" if name.strip("() ") == first else f"arguments stand after a colon: `- {op}: ...`"
    meant = _FOREIGN.get(name.lower()) or _FOREIGN.get(_snake(name))
    if not meant and (op := f"{_snake(first)}2d") in names:
        return f"did you mean `{op}`?"
    return meant or closest(name, names) or closest(_snake(name), names)


def step_hint(text: str) -> str:
    """A hint for text where a list of steps is due: its dash or space may be a character that only looks like one."""
    if re.match(r"[\u2010-\u2015\u2212]", text):
        return f"write `-`, the hyphen of the keyboard, and not `{text[0]}`"
    if re.match(r"-[^\S ]", text):
        return "write an ordinary space after the `-`: this is another character"
    return "a comment starts with `#`" if text.startswith("//") else "a step is written `- op`"


def sibling_hint(key: str) -> str:
    """A hint for a key that can't stand beside an op, such as `if`; "" where none is similar."""
    return _SIBLINGS_MEANT.get(key.lower(), "") or closest(key, SIBLINGS)


_SIBLINGS_MEANT = {
    **dict.fromkeys(("input", "inputs", "bottom"), "did you mean `from`?"),
    **dict.fromkeys(("if", "condition"), "did you mean `when`?"),
    **dict.fromkeys(("times", "n", "count", "number"), "did you mean `repeat`?"),
    **dict.fromkeys(("id", "label"), "did you mean `name`?"),
}
"""Hints for keys beside an op, by their names in other tools."""

_RESIZE = "did you mean `interpolate`?"
_RESHAPE = "there are `flatten`, `unflatten`, `permute` and `transpose`"
_RESIDUAL = "a residual is an `add` with `branches`, one of them `shortcut: []`"
_GLOBAL_POOL = "a global pool is `adaptive_avg_pool2d: 1`"
_OF_AXES = {
    "convolution{}d": "did you mean `conv{}d`?",
    "deconv{}d": "did you mean `conv_transpose{}d`?",
    **dict.fromkeys(
        ("global_average_pooling{}d", "globalaveragepooling{}d", "global_avg_pool{}d", "globalavgpool{}d"),
        "a global pool is `adaptive_avg_pool{}d: 1`",
    ),
}
"""Hints for ops that there are for one, two and three spatial axes, by their names in other tools."""
_FOREIGN = {
    **dict.fromkeys(("pool", "pooling", "subsample"), "there are `max_pool2d` and `avg_pool2d`"),
    **dict.fromkeys(("activation", "act"), "an activation is a step by its own name, such as `- relu`"),
    **dict.fromkeys(("sequential", "steps", "layers"), "steps in a row need no op around them; a `block` groups them"),
    **dict.fromkeys(("concatenate", "cat"), "did you mean `concat`?"),
    "convolution": "did you mean `conv2d`?",
    **dict.fromkeys(("upsample", "upsampling", "up_sampling2_d", "upsampling2d", "resize"), _RESIZE),
    **dict.fromkeys(("deconv", "deconvolution"), "did you mean `conv_transpose2d`?"),
    **dict.fromkeys(("reshape", "view"), _RESHAPE),
    **dict.fromkeys(("residual", "skip", "shortcut"), _RESIDUAL),
    "block": "blocks are declared under `blocks` of the spec, and used by their names",
    "bn": "did you mean `batch_norm`?",
    **dict.fromkeys(("sub", "minus"), "did you mean `subtract`?"),
    **dict.fromkeys(("mul", "times"), "did you mean `multiply`, or `scale` by a constant?"),
    "div": "did you mean `divide`?",
    **dict.fromkeys(("max", "reduce_max", "reducemax"), "did you mean `amax`?"),
    **dict.fromkeys(("min", "reduce_min", "reducemin"), "did you mean `amin`?"),
    **dict.fromkeys(("hsigmoid", "hard_sigmoid"), "did you mean `hardsigmoid`?"),
    **dict.fromkeys(("hswish", "hard_swish"), "did you mean `hardswish`?"),
    "dense": "did you mean `linear`?",
    "fc": "did you mean `linear`?",
    "fully_connected": "did you mean `linear`?",
    "global_average_pooling": _GLOBAL_POOL,
    "global_avg_pool": _GLOBAL_POOL,
    "lrn": "did you mean `local_response_norm`?",
    **{name.format(axes): hint.format(axes) for name, hint in _OF_AXES.items() for axes in (1, 2, 3)},
}
"""Hints for ops, by their names in other tools."""


def _snake(name: str) -> str:
    """The name of a class in snake case: `max_pool2d` for `MaxPool2d`."""
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
