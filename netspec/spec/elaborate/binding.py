"""The check of the values that enter an embedded network against the inputs that it declares."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.dims import Dim, always_equal
from netspec.spec.elaborate.errors import ElaborationErrors
from netspec.spec.elaborate.frame import Frame
from netspec.spec.read.body import BlockDefinition, Step
from netspec.types import Tensor


def check_binding(
    network: BlockDefinition,
    entries: tuple[str, ...],
    types: Mapping[str, Tensor],
    step: Step,
    frame: Frame,
    errors: ElaborationErrors,
) -> None:
    """Refuse values whose rank or dtype a network does not declare, or that would give one symbol two sizes.

    `entries` are the values, in the order of the declared inputs, and `types` has their types. Declared sizes that
    are numbers are not compared: they hold for the network on its own, and a step takes the sizes that enter.
    """
    symbols: dict[str, tuple[Dim, str]] = {}
    for (name, declared), value in zip((network.declared or {}).items(), entries, strict=True):
        type = types[value]
        if type.rank != len(declared.dims):
            shape = " x ".join(str(dim) if isinstance(dim, int | str) else "?" for dim, _ in declared.dims)
            message = f"`{name}` of {network.what} has {len(declared.dims)} axes ({shape}), and what enters is {type}"
            errors.fail("NS302", message, step.span, frame)
        if type.dtype != declared.dtype:
            message = f"`{name}` of {network.what} is {declared.dtype}, and what enters is {type.dtype}"
            errors.fail("NS302", message, step.span, frame)
        for (dim, _), size in zip(declared.dims, type.shape, strict=True):
            if not isinstance(dim, str):
                continue
            bound, first = symbols.setdefault(dim, (size, name))
            if not always_equal(bound, size):
                where = f"`{first}` and `{name}`" if first != name else f"`{name}`"
                message = f"{dim} is one size in the inputs of {network.what}, and would be {bound} and {size}"
                errors.fail("NS302", message, step.span, frame, help=f"it stands in {where}")
