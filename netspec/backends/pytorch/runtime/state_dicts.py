"""Finds the state dict in a checkpoint or a caller's mapping, and checks that its tensors are plain."""

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
"""Keys under which training scripts save a state dict, or averaged weights, among other things."""
_DEEPEST, _LONGEST = 5, 100
"""Bounds of the search: the depth of nested mappings, and the length of a list that is searched."""
_PLAIN = "save the tensors alone: `{key: value for key, value in state.items() if torch.is_tensor(value)}`"


def state_dict_in(value: Any, name: str, key: str = "") -> dict[str, Tensor]:
    """The state dict in a value: the value itself, the part of a checkpoint at `key`, or the only one in a checkpoint.

    A key with dots, such as `ema.model`, goes into nested mappings; within a state dict it selects the weights whose
    keys begin with it. Errors call the value `name`. Raises NetspecError NS501 where there is no state dict, or
    several; for keys that are no strings; and for values that are no plain tensors, such as sparse or quantised ones.
    """
    value = _value_at(value, key, name) if key else value
    name = f"`{key}` of {name}" if key else name
    if not isinstance(value, Mapping | list | tuple):
        fail("NS501", f"{name} holds no state dict, but {_kind(cast(object, value))}")
    state = _only_state_dict(cast("Any", value), name, key)
    return {key: _plain_tensor(key, value, name) for key, value in state.items()}


def state_dict_given(mapping: Mapping[Any, Any], key: str = "") -> dict[str, Tensor]:
    """The state dict in a mapping that a caller passed, itself or in a checkpoint; empty for an empty mapping."""
    return state_dict_in(mapping, "what was given", key) if mapping or key else {}


def _children(value: Any) -> dict[str, Any]:
    """The values in a mapping or a short list, by the part of a `key` that selects them: a name, or a number."""
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
    """The values that a dotted key can mean, since names may have dots too.

    The last one is the part of a state dict whose keys begin with the key.
    """
    inside = _children(value)
    for head, inner in inside.items():
        if head == key:
            yield inner
        elif key.startswith(f"{head}."):
            yield from _values_at(inner, key[len(head) + 1 :])
    if below := {head: inner for head, inner in inside.items() if head.startswith(f"{key}.")}:
        yield below


def _only_state_dict(value: Any, name: str, path: str) -> dict[str, Any]:
    """The state dict in a value. Raises NetspecError NS501 where there is none, or several that could be meant."""
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
    has_tensors = any(map(_is_tensor, inside.values()))
    if len(state_dicts) == 1 and not has_tensors:
        return next(iter(state_dicts.values()))
    if state_dicts and (named or not has_tensors):
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
    mapping = cast("Mapping[Any, Any]", value)
    for key in mapping:
        if not isinstance(key, str):
            help = "the keys of a state dict are names, such as `conv1.weight`"
            fail("NS501", f"{name} holds no state dict: its key {key!r:.80} is no text", help=help)
    strange = [key for key, inner in mapping.items() if not _is_tensor(inner)]
    if not strange:
        fail("NS501", f"{name} holds no state dict, but an empty one")
    kinds = sorted({_kind(mapping[key]) for key in strange})
    help = _PLAIN if len(strange) < len(mapping) else ""
    are = "is no tensor" if len(strange) == 1 else "are no tensors"
    what = f"{choices(strange, 4)} {are}, but {' or '.join(kinds[:3])}"
    fail("NS501", f"{name} holds no state dict: {what}", help=help)


def _state_dicts_below(value: Any, path: str = "") -> dict[str, dict[str, Any]]:
    """The state dicts in a value, by their dotted keys; one that occurs twice is listed once."""
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
    """A tensor as a module can hold it, without a copy. Raises NetspecError NS501 for a sparse one, for example."""
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
    """The reason why a module can't hold a tensor, such as "sparse"; "" for a plain one."""
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
