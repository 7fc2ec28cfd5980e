"""The inputs and outputs of a model, with names, shapes and dtypes, and checks of arrays for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnx import helper

from netspec.backends.onnx.narrow import Array
from netspec.backends.onnx.read import refuse_model
from netspec.errors import choices, closest, fail
from netspec.shape_text import shape_text

_UNKNOWN = "..."
"""The only size in the shape of a value whose rank is unknown."""


@dataclass(frozen=True, slots=True)
class ModelValue:
    """An input or output of a model: its name, shape, and NumPy dtype.

    An open size is a name such as `N`, or `?` if a model of another program does not name it.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{shape_text(self.shape, scalar='a scalar')}, {self.dtype}"


def values_of(path: Path, infos: Iterable[onnx.ValueInfoProto]) -> dict[str, ModelValue]:
    """Inputs or outputs of a model, by name. Raises NetspecError NS502 for a value that is no tensor."""
    values: dict[str, ModelValue] = {}
    for info in infos:
        tensor = info.type.tensor_type
        if not info.type.HasField("tensor_type"):
            refuse_model(path, f"`{info.name}` is no tensor")
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except (KeyError, ValueError, TypeError):
            refuse_model(path, f"`{info.name}` has a dtype that numpy lacks")
        dims = tuple(map(_size, tensor.shape.dim)) if tensor.HasField("shape") else (_UNKNOWN,)
        values[info.name] = ModelValue(info.name, dims, str(dtype))
    return values


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    is_number = dim.HasField("dim_value") and dim.dim_value >= 0
    return dim.dim_value if is_number else dim.dim_param or "?"


def input_arrays(inputs: Mapping[str, ModelValue], values: Mapping[str, Any]) -> dict[str, Array]:
    """Check values for the inputs of a model, and return them as arrays in the order of the inputs.

    Raises NetspecError NS503 if a name, shape or dtype does not fit the model.
    """
    for name in values:
        if name not in inputs:
            help = closest(str(name), inputs) or (f"it takes {choices(inputs)}" if inputs else "it takes none")
            fail("NS503", f"the model has no input `{name}`", help=help)
    missing = [name for name in inputs if name not in values]
    if missing:
        fail("NS503", f"the model needs {choices(missing)}", help=run_example(inputs))
    arrays = {name: _array(expected, values[name]) for name, expected in inputs.items()}
    sizes: dict[str, tuple[int, str]] = {}
    for name, expected in inputs.items():
        for symbol, size in zip(expected.shape, arrays[name].shape, strict=expected.shape != (_UNKNOWN,)):
            if isinstance(symbol, str) and symbol not in ("?", _UNKNOWN):
                first_size, first_name = sizes.setdefault(symbol, (size, name))
                if first_size != size:
                    fail("NS503", f"`{symbol}` is {first_size} in `{first_name}`, and {size} in `{name}`")
    return arrays


def _array(expected: ModelValue, value: Any) -> Array:
    """A value as an array. Raises NetspecError NS503 if its dtype or shape is not that of the input."""
    try:
        array = cast(Array, np.asarray(value))
    except (TypeError, ValueError, RuntimeError) as error:
        of_torch = type(value).__module__.partition(".")[0] == "torch"
        help = "a tensor: `.detach().float().cpu().numpy()`" if of_torch else ""
        reason = str(error).partition("\n")[0]
        fail("NS503", f"`{expected.name}` can't be made an array", notes=[reason[:200]], help=help)
    if str(array.dtype) != expected.dtype:
        help = f'`.astype("{expected.dtype}")`' if array.dtype.kind in "fiub" else ""
        fail("NS503", f"`{expected.name}` is {expected.dtype}, and was given as {array.dtype}", help=help)
    if expected.shape != (_UNKNOWN,) and not _has_shape(array, expected.shape):
        shape = shape_text(array.shape) or "a scalar"
        one_less = array.ndim + 1 == len(expected.shape) and expected.shape[0] in ("N", 1)
        help = f"a batch of one: `{expected.name}[None]`" if one_less else ""
        needed = shape_text(expected.shape) or "a scalar"
        fail("NS503", f"`{expected.name}` is {needed}, and was given as {shape}", help=help)
    if array.size == 0 and 0 not in expected.shape:
        fail("NS503", f"`{expected.name}` is empty: {' x '.join(map(str, array.shape))}")
    return np.asarray(array, order="C")


def _has_shape(array: Array, shape: tuple[int | str, ...]) -> bool:
    sizes = zip(shape, array.shape, strict=False)
    return array.ndim == len(shape) and all(size == actual for size, actual in sizes if isinstance(size, int))


def run_example(inputs: Mapping[str, ModelValue]) -> str:
    """An example of a call of `run`, for the help of an error: ``such as `run(image=array)` ``."""
    return f"such as `run({', '.join(f'{name}=array' for name in inputs)})`"


def has_batch_axis(inputs: Mapping[str, ModelValue], outputs: Mapping[str, ModelValue]) -> bool:
    """Whether the first axes of all inputs and outputs have the same open size, which is then the batch."""
    first = {value.shape[0] if value.shape else "" for value in (*inputs.values(), *outputs.values())}
    symbol = first.pop() if len(first) == 1 and inputs else ""
    return isinstance(symbol, str) and symbol not in ("", "?", _UNKNOWN)


def all_but_batch_fixed(inputs: Mapping[str, ModelValue], outputs: Mapping[str, ModelValue]) -> bool:
    """Whether all sizes are fixed except the batch, the first axis of all inputs."""
    batches = {value.shape[0] if value.shape else 0 for value in inputs.values()}
    sizes = [size for value in (*inputs.values(), *outputs.values()) for size in value.shape[1:]]
    firsts = [value.shape[0] for value in outputs.values() if value.shape]
    return (
        all(isinstance(size, int) for size in sizes)
        and len(batches) == 1
        and not batches & {"?", _UNKNOWN}
        and all(isinstance(size, int) or size in batches for size in firsts)
    )
