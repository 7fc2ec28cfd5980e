"""Finds the state dict in what a file or a caller gave, and gives its tensors as plain ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from netspec.errors import choices, fail

StateDict = Mapping[str, Tensor]

_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "ema",
    "model_ema",
    "params_ema",
    "ema_state_dict",
    "state_dict_ema",
)
"""Names under which training scripts save a state dict beside other things, or an average of weights."""
_DEEPEST, _LONGEST = 5, 100
"""Bounds of the search: how deep a state dict may stand, and in how long a list."""
_PLAIN = "save the tensors alone: `{key: value for key, value in state.items() if torch.is_tensor(value)}`"


def state_dict_in(given: Any, name: str, key: str = "") -> dict[str, Tensor]:
    """The state dict that was given, or the one in a checkpoint: at `key`, else where one is plainly meant.

    A key is dotted where mappings stand in mappings; of a state dict it selects the keys that begin so. `name` is
    what errors call it. Raises NetspecError NS501 where there is none, or several; for a key that is no text, and for
    values that are no tensors, or tensors of another kind than a module has.
    """
    value = _value_at(given, key, name) if key else given
    name = f"`{key}` of {name}" if key else name
    if not isinstance(value, Mapping | list | tuple):
        fail("NS501", f"{name} holds no state dict, but {_kind(cast(object, value))}")
    state = _only_state_dict(cast("Any", value), name, key)
    return {key: _plain_tensor(key, value, name) for key, value in state.items()}


def state_dict_given(given: Mapping[Any, Any], key: str = "") -> dict[str, Tensor]:
    """The state dict that a caller gave, or the one in the checkpoint; empty where nothing was given."""
    return state_dict_in(given, "what was given", key) if given or key else {}


def _children(value: Any) -> dict[str, Any]:
    """The values in a mapping or a list, by names that `key` can have."""
    if isinstance(value, Mapping):
        return {name: inner for name, inner in cast("Mapping[Any, Any]", value).items() if isinstance(name, str)}
    if isinstance(value, list | tuple) and len(cast("list[Any]", value)) <= _LONGEST:
        return {str(number): inner for number, inner in enumerate(cast("list[Any]", value))}
    return {}


def _value_at(value: Any, key: str, name: str) -> Any:
    """The value at a dotted key; NetspecError NS501 where there is none."""
    for inner in _values_at(value, key):
        return inner
    state_dicts = _state_dicts_below(value)
    help = f"it has state dicts at {choices(state_dicts)}" if state_dicts else ""
    if "" in state_dicts:
        help = f"it is a state dict itself, whose first key is `{next(iter(state_dicts['']))}`"
    return fail("NS501", f"{name} has nothing at `{key}`", help=help)


def _values_at(value: Any, key: str) -> Iterator[Any]:
    """The values at a dotted key: names may have dots too. The last is the part of a state dict whose keys begin so."""
    inside = _children(value)
    for head, inner in inside.items():
        if head == key:
            yield inner
        elif key.startswith(f"{head}."):
            yield from _values_at(inner, key[len(head) + 1 :])
    if below := {head: inner for head, inner in inside.items() if head.startswith(f"{key}.")}:
        yield below


def _only_state_dict(value: Any, name: str, path: str) -> dict[str, Any]:
    """The state dict in a value, where only one can be meant; else NetspecError NS501."""
    if _is_state_dict(value):
        return value
    state_dicts = _state_dicts_below(value, path)
    inside = _children(value)
    prefix = f"{path}." if path else ""
    named = [
        head
        for head in _WRAPPERS
        if _has_tensors(inside.get(head)) or any(f"{place}.".startswith(f"{prefix}{head}.") for place in state_dicts)
    ]
    if len(named) == 1:
        return _only_state_dict(inside[named[0]], name, f"{prefix}{named[0]}")
    beside = any(map(_is_tensor, inside.values()))
    if len(state_dicts) == 1 and not beside:
        return next(iter(state_dicts.values()))
    if state_dicts and (named or not beside):
        listed = choices(f"{place} ({_count_of(state)})" for place, state in state_dicts.items())
        first = next(iter(state_dicts))
        help = f"`--key {first}` takes the first, and so does `key={first!r}` in Python"
        fail("NS501", f"{name} holds several state dicts", notes=[listed], help=help)
    return _no_state_dict(value, inside, name)


def _count_of(state: Mapping[str, Any]) -> str:
    return f"{len(state)} tensor{'s' if len(state) > 1 else ''}"


def _no_state_dict(value: Any, inside: Mapping[str, Any], name: str) -> NoReturn:
    if not isinstance(value, Mapping):
        fail("NS501", f"{name} holds no state dict, but {_kind(cast(object, value))}")
    if set(inside) == {"state", "param_groups"}:
        fail("NS501", f"{name} holds no state dict of a network, but that of an optimizer")
    given = cast("Mapping[Any, Any]", value)
    for key in given:
        if not isinstance(key, str):
            help = "the keys of a state dict are names, such as `conv1.weight`"
            fail("NS501", f"{name} holds no state dict: its key {key!r:.80} is no text", help=help)
    strange = [key for key, inner in given.items() if not _is_tensor(inner)]
    if not strange:
        fail("NS501", f"{name} holds no state dict, but an empty one")
    kinds = sorted({_kind(given[key]) for key in strange})
    help = _PLAIN if len(strange) < len(given) else ""
    are = "is no tensor" if len(strange) == 1 else "are no tensors"
    what = f"{choices(strange, 4)} {are}, but {' or '.join(kinds[:3])}"
    fail("NS501", f"{name} holds no state dict: {what}", help=help)


def _state_dicts_below(value: Any, path: str = "") -> dict[str, dict[str, Any]]:
    """The state dicts in a value, by their dotted keys; one that stands there twice is told once."""
    state_dicts: dict[str, dict[str, Any]] = {}
    seen: set[int] = set()

    def look(value: Any, path: str, depth: int) -> None:
        if id(value) in seen or depth > _DEEPEST:
            return
        seen.add(id(value))
        if _is_state_dict(value):
            state_dicts[path] = value
            return
        for name, inner in _children(value).items():
            look(inner, f"{path}.{name}" if path else name, depth + 1)

    look(value, path, 0)
    return state_dicts


def _is_state_dict(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(key, str) and _is_tensor(inner) for key, inner in cast("Mapping[Any, Any]", value).items())


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(map(_is_tensor, cast("Mapping[Any, Any]", value).values()))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _kind(value: object) -> str:
    if isinstance(value, nn.Module):
        return "a module"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


_WAYS_OUT = {
    "sparse": "`to_dense()` makes it a plain tensor",
    "quantized": "`dequantize()` makes it a plain tensor",
    "of numbers that count with a scale": "convert it first to a wider dtype, with its scales",
    "without numbers, on the meta device": "save the weights from a device",
    "a nested tensor": "`unbind()` gives the tensors in it",
    "of a size that is not known yet": "run its module once, and save its weights then",
}


def _plain_tensor(key: str, value: Any, name: str) -> Tensor:
    """A tensor that is as a module's are, with its numbers where they were; else NetspecError NS501."""
    if isinstance(value, np.ndarray):
        return _of_array(key, cast("np.ndarray[Any, Any]", value), name)
    tensor: Tensor = value
    what = _why_not_plain(tensor)
    if what:
        fail(
            "NS501", f"{name}: `{key}` is {what}", help=_WAYS_OUT.get(what, "`.as_subclass(torch.Tensor)` may be plain")
        )
    return tensor.detach().resolve_conj().resolve_neg()


def _why_not_plain(value: Tensor) -> str:
    """Why a tensor is none that a module can have, in words; "" for a plain one."""
    if is_lazy(value):
        return "of a size that is not known yet"
    if value.is_nested:
        return "a nested tensor"
    if type(value) not in (Tensor, nn.Parameter) and not isinstance(value, nn.Buffer):
        return f"a {type(value).__name__}, and no plain tensor"
    if value.is_meta:
        return "without numbers, on the meta device"
    if value.is_quantized:
        return "quantized"
    if value.layout != torch.strided:
        return "sparse" if "sparse" in str(value.layout) else f"of the layout {value.layout}"
    if value.is_floating_point() and value.dtype.itemsize < 2:
        return "of numbers that count with a scale"
    return ""


def _of_array(key: str, value: np.ndarray[Any, Any], name: str) -> Tensor:
    try:
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))  # pyright: ignore
    except (TypeError, ValueError):
        fail("NS501", f"{name}: `{key}` is an array of {value.dtype}, which torch does not have")
