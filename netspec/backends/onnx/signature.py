"""What goes into a model and comes out of it: names, shapes and dtypes, and the arrays that fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnx import helper

from netspec.backends.onnx.lower import Array
from netspec.errors import choices, closest, fail


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of a model: its name, its shape, and its dtype by numpy's name.

    Sizes that are open have names, those of other programs' models may have none: `?`.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape)) or 'a scalar'}, {self.dtype}"


def values_of(path: Path, infos: Iterable[onnx.ValueInfoProto]) -> dict[str, Value]:
    """Inputs or outputs of a model, by their names. Raises NetspecError NS502 for what is no tensor."""
    found: dict[str, Value] = {}
    for info in infos:
        tensor = info.type.tensor_type
        if not info.type.HasField("tensor_type") or not tensor.HasField("shape"):
            fail("NS502", f"{path} can't be used: `{info.name}` is no tensor with a shape")
        dims = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except (KeyError, ValueError, TypeError):
            fail("NS502", f"{path} can't be used: `{info.name}` has a dtype that numpy lacks")
        found[info.name] = Value(info.name, tuple(dims), str(dtype))
    return found


def fit(wanted: Mapping[str, Value], given: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays for the inputs of a model, in their order.

    Raises NetspecError NS503 where a name, a shape or a dtype is not the model's.
    """
    for name in given:
        if name not in wanted:
            help = closest(name, wanted) or f"it takes {choices(wanted)}"
            fail("NS503", f"the model has no input `{name}`", help=help)
    missing = [name for name in wanted if name not in given]
    if missing:
        fail("NS503", f"the model needs {choices(missing)}", help=_example(wanted))
    found = {name: _array(value, given[name]) for name, value in wanted.items()}
    sizes: dict[str, tuple[int, str]] = {}
    for name, value in wanted.items():
        for symbol, size in zip(value.shape, found[name].shape, strict=True):
            if isinstance(symbol, str) and symbol != "?":
                first, other = sizes.setdefault(symbol, (size, name))
                if first != size:
                    fail("NS503", f"`{symbol}` is {first} in `{other}`, and {size} in `{name}`")
    return found


def _array(wanted: Value, given: Any) -> Array:
    try:
        array = cast(Array, np.asarray(given))
    except (TypeError, ValueError, RuntimeError) as error:
        help = "a tensor: `.detach().cpu().numpy()`" if type(given).__module__.partition(".")[0] == "torch" else ""
        said = str(error).partition("\n")[0]
        fail("NS503", f"`{wanted.name}` can't be made an array", notes=[said[:200]], help=help)
    if str(array.dtype) != wanted.dtype:
        help = f'`.astype("{wanted.dtype}")`' if array.dtype.kind in "fiub" else ""
        fail("NS503", f"`{wanted.name}` is {wanted.dtype}, and was given as {array.dtype}", help=help)
    if array.ndim != len(wanted.shape) or any(
        size != given_size for size, given_size in zip(wanted.shape, array.shape, strict=True) if isinstance(size, int)
    ):
        shape = " x ".join(map(str, array.shape)) or "a scalar"
        one_less = array.ndim + 1 == len(wanted.shape) and wanted.shape[0] in ("N", 1)
        help = f"a batch of one: `{wanted.name}[None]`" if one_less else ""
        fail("NS503", f"`{wanted.name}` is {' x '.join(map(str, wanted.shape))}, and was given as {shape}", help=help)
    if array.size == 0:
        fail("NS503", f"`{wanted.name}` is empty: {' x '.join(map(str, array.shape))}")
    return np.ascontiguousarray(array)


def _example(wanted: Mapping[str, Value]) -> str:
    return f"such as `run({', '.join(f'{name}=array' for name in wanted)})`"


def batch_axis(inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> bool:
    """Whether all inputs and outputs have one open size for their first axis: a batch, which may be split."""
    first = {value.shape[0] if value.shape else "" for value in (*inputs.values(), *outputs.values())}
    return len(first) == 1 and isinstance(symbol := next(iter(first)), str) and symbol not in ("", "?")


def is_fixed(inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> bool:
    """Whether nothing but the batch is open."""
    others = [size for value in (*inputs.values(), *outputs.values()) for size in value.shape[1:]]
    return all(isinstance(size, int) for size in others)
