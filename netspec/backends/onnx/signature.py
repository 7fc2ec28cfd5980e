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
from netspec.backends.onnx.read import refuse_model
from netspec.errors import choices, closest, fail
from netspec.shape_text import shape_text

UNKNOWN = "..."
"""The shape of what is said to have none."""


@dataclass(frozen=True, slots=True)
class ModelValue:
    """An input or output of a model: its name, its shape, and its dtype by numpy's name.

    Sizes that are open have names, those of other programs' models may have none: `?`.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{shape_text(self.shape, scalar='a scalar')}, {self.dtype}"


def values_of(path: Path, infos: Iterable[onnx.ValueInfoProto]) -> dict[str, ModelValue]:
    """Inputs or outputs of a model, by their names. Raises NetspecError NS502 for what is no tensor."""
    found: dict[str, ModelValue] = {}
    for info in infos:
        tensor = info.type.tensor_type
        if not info.type.HasField("tensor_type"):
            refuse_model(path, f"`{info.name}` is no tensor")
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except (KeyError, ValueError, TypeError):
            refuse_model(path, f"`{info.name}` has a dtype that numpy lacks")
        dims = tuple(map(_size, tensor.shape.dim)) if tensor.HasField("shape") else (UNKNOWN,)
        found[info.name] = ModelValue(info.name, dims, str(dtype))
    return found


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    known = dim.HasField("dim_value") and dim.dim_value >= 0
    return dim.dim_value if known else dim.dim_param or "?"


def input_arrays(wanted: Mapping[str, ModelValue], given: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays for the inputs of a model, in their order.

    Raises NetspecError NS503 where a name, a shape or a dtype is not the model's.
    """
    for name in given:
        if name not in wanted:
            help = closest(str(name), wanted) or (f"it takes {choices(wanted)}" if wanted else "it takes none")
            fail("NS503", f"the model has no input `{name}`", help=help)
    missing = [name for name in wanted if name not in given]
    if missing:
        fail("NS503", f"the model needs {choices(missing)}", help=run_example(wanted))
    found = {name: _array(value, given[name]) for name, value in wanted.items()}
    sizes: dict[str, tuple[int, str]] = {}
    for name, value in wanted.items():
        for symbol, size in zip(value.shape, found[name].shape, strict=value.shape != (UNKNOWN,)):
            if isinstance(symbol, str) and symbol not in ("?", UNKNOWN):
                first, other = sizes.setdefault(symbol, (size, name))
                if first != size:
                    fail("NS503", f"`{symbol}` is {first} in `{other}`, and {size} in `{name}`")
    return found


def _array(wanted: ModelValue, given: Any) -> Array:
    try:
        array = cast(Array, np.asarray(given))
    except (TypeError, ValueError, RuntimeError) as error:
        of_torch = type(given).__module__.partition(".")[0] == "torch"
        help = "a tensor: `.detach().float().cpu().numpy()`" if of_torch else ""
        said = str(error).partition("\n")[0]
        fail("NS503", f"`{wanted.name}` can't be made an array", notes=[said[:200]], help=help)
    if str(array.dtype) != wanted.dtype:
        help = f'`.astype("{wanted.dtype}")`' if array.dtype.kind in "fiub" else ""
        fail("NS503", f"`{wanted.name}` is {wanted.dtype}, and was given as {array.dtype}", help=help)
    if wanted.shape != (UNKNOWN,) and not _has_shape(array, wanted.shape):
        shape = shape_text(array.shape, scalar="a scalar")
        one_less = array.ndim + 1 == len(wanted.shape) and wanted.shape[0] in ("N", 1)
        help = f"a batch of one: `{wanted.name}[None]`" if one_less else ""
        needed = shape_text(wanted.shape, scalar="a scalar")
        fail("NS503", f"`{wanted.name}` is {needed}, and was given as {shape}", help=help)
    if array.size == 0 and 0 not in wanted.shape:
        fail("NS503", f"`{wanted.name}` is empty: {shape_text(array.shape)}")
    return np.asarray(array, order="C")


def _has_shape(array: Array, shape: tuple[int | str, ...]) -> bool:
    sizes = zip(shape, array.shape, strict=False)
    return array.ndim == len(shape) and all(size == given for size, given in sizes if isinstance(size, int))


def run_example(wanted: Mapping[str, ModelValue]) -> str:
    """How a model is run, for those who did it otherwise."""
    return f"such as `run({', '.join(f'{name}=array' for name in wanted)})`"


def batch_axis(inputs: Mapping[str, ModelValue], outputs: Mapping[str, ModelValue]) -> bool:
    """Whether all inputs and outputs have one open size for their first axis: a batch."""
    first = {value.shape[0] if value.shape else "" for value in (*inputs.values(), *outputs.values())}
    symbol = first.pop() if len(first) == 1 and inputs else ""
    return isinstance(symbol, str) and symbol not in ("", "?", UNKNOWN)


def is_fixed(inputs: Mapping[str, ModelValue], outputs: Mapping[str, ModelValue]) -> bool:
    """Whether nothing but the batch is open, the first axis of all inputs."""
    batches = {value.shape[0] if value.shape else 0 for value in inputs.values()}
    sizes = [size for value in (*inputs.values(), *outputs.values()) for size in value.shape[1:]]
    firsts = [value.shape[0] for value in outputs.values() if value.shape]
    known = all(isinstance(size, int) for size in sizes)
    return (
        known
        and len(batches) == 1
        and not batches & {"?", UNKNOWN}
        and all(isinstance(size, int) or size in batches for size in firsts)
    )
