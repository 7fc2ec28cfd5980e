"""Loads the network that a command's arguments name, with the values of `--set` and `--input`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from netspec.dims import Dim
    from netspec.network import Network
    from netspec.source import Source
    from netspec.spec.read.read_spec import Spec

_MAX_DIGITS = 19


def open_network(name: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """Load a network by the name of a bundled spec or the path of a file."""
    from netspec.spec.sources.find import find_network

    source, network = find_network(name)
    return open_source(source, network, settings, sizes)


def open_source(source: Source, network: str, settings: tuple[str, ...] = (), sizes: tuple[str, ...] = ()) -> Network:
    """Load the network of a source; `network` selects one of several, and is "" for a single one."""
    from netspec.gc_pause import gc_paused
    from netspec.network import Network, check_inputs
    from netspec.spec.read.read_spec import read_spec

    # Errors in the options are reported before errors in the spec.
    read_settings(settings)
    with gc_paused():
        spec = read_spec(source, network)
        lists = {parameter.name for parameter in spec.parameters.values() if parameter.kind == "list"}
        return Network(spec, read_settings(settings, lists), check_inputs(spec, read_sizes(sizes, spec)))


def read_settings(settings: tuple[str, ...], lists: Collection[str] = ()) -> dict[str, Any]:
    """The values of `--set` by parameter, parsed like values in a spec.

    `lists` are parameters whose lists need no brackets: `stages=1,1,1,1` is `{"stages": [1, 1, 1, 1]}`.
    """
    from netspec.errors import NetspecError, shortened
    from netspec.source import Source
    from netspec.spec.text.data import plain_data
    from netspec.spec.text.parse import parse_text

    values: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = (part.strip() for part in setting.partition("="))
        usage = f"--set takes NAME=VALUE, such as classes=10 or stages=1,1,1,1, not `{shortened(setting)}`"
        if not (name and sign and text):
            raise click.UsageError(usage)
        try:
            value = plain_data(parse_text(Source(f"--set {name}", text)))
            if name in lists and isinstance(value, str) and "," in value:
                value = plain_data(parse_text(Source(f"--set {name}", f"[{text}]")))
            values[name] = value
        except NetspecError as error:
            raise click.UsageError(f"{usage}: {error.diagnostics[0].message}") from None
    return values


def read_sizes(sizes: tuple[str, ...], spec: Spec) -> dict[str, list[Dim | str]]:
    """The shapes of `--input` by input; a batch that is left out stays as in the spec.

    For an input `image: [N, 3, 224, 224]`, both `3x512x512` and `image=Nx3x512x512` give
    `{"image": ["N", 3, 512, 512]}`.
    """
    shapes: dict[str, list[Dim | str]] = {}
    for text in sizes:
        name, sign, rest = text.rpartition("=")
        if not sign:
            if len(spec.inputs) != 1:
                raise click.UsageError(f"--input takes NAME=SIZES: `{spec.name}` has {', '.join(spec.inputs)}")
            name = next(iter(spec.inputs))
        parts = [_size(part) for part in rest.split("x")]
        shape: list[Dim | str] = [part for part in parts if part is not None]
        if len(shape) != len(parts):
            raise click.UsageError(f"--input takes sizes such as 3x512x512 or 3xHxW, not `{rest}`")
        declared = spec.inputs[name].dims if name in spec.inputs else []
        if len(shape) == len(declared) - 1 and isinstance(declared[0][0], int | str):
            shape = [declared[0][0], *shape]
        shapes[name] = shape
    return shapes


def _size(text: str) -> int | str | None:
    """A number, or a symbol such as `H`; None for anything else."""
    if not text.isascii():
        return None
    if text.isdecimal():
        return int(text) if len(text) <= _MAX_DIGITS else None
    return text if text.isidentifier() and text[0].isupper() else None
