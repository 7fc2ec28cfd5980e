"""`netspec init`."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from netspec.cli.completion import complete_bundled
from netspec.cli.output import OutputFile
from netspec.cli.terminal import echo

if TYPE_CHECKING:
    from netspec.errors import NetspecError
    from netspec.network import Network
    from netspec.spec.read.spec import Spec

_SUFFIXES = (".yaml", ".yml")
_FIRST = """\
# A small residual network for images of 32 x 32 pixels, to change as you like.
# docs/language.md has every rule of the language; `netspec ops` lists the ops.
netspec: 1                                # the version of the language
name: {name}
title: A first network
params: {{classes: 10, base: 16}}           # other values: --set classes=100
inputs: {{image: [N, 3, 32, 32]}}           # batch, channels, height, width; a capital letter stays open

blocks:                                   # parts that are used like ops, with parameters of their own
  conv:
    params: {{width: int, stride: 1}}       # width has to be given, stride has a default
    body:
      - conv2d: {{out_channels: width, kernel_size: 3, stride: stride, padding: 1, bias: false}}
      - batch_norm
      - relu
  residual:
    params: {{width: int}}
    body:
      - add:                              # joins branches that begin with the same value
          branches:
            convs:
              - conv: width               # a bare value is the parameter that has to be given
              - conv: width
            shortcut: []                  # no steps: the value as it came in

network:                                  # each step takes the value of the step before it
  - {{conv: base, name: stem}}
  - {{residual: base, name: stage1, repeat: 2}}
  - {{conv: {{width: 2*base, stride: 2}}, name: down}}       # half the height and width, twice the channels
  - {{residual: 2*base, name: stage2, repeat: 2}}
  - adaptive_avg_pool2d: 1                # the mean of each channel
  - flatten
  - {{linear: classes, name: head}}

outputs: {{scores: head}}

expect:                                   # claims that `netspec validate` checks
  parameters: 51930
  steps:
    stage1: {{shape: [N, 16, 32, 32]}}
    stage2: {{shape: [N, 32, 16, 16], receptive_field: 29, stride: 2}}
"""
_LIKE = """\
# What is not said here is as in `netspec show {base}`.
netspec: 1
name: {name}
title: {title}
extends: {base}

# These are its parameters and inputs. To change one, take the `# ` away, from the line above it too.
{params}
# {inputs}
"""


@click.command("init")
@click.argument("name", default="network.yaml")
@click.option(
    "--like",
    metavar="NETWORK",
    shell_complete=complete_bundled,
    help="Begin from a bundled network, with its parameters to change.",
)
def command(name: str, like: str | None) -> None:
    """Write a first spec to NAME (network.yaml unless said), to begin from.

    It is a small residual network with comments that explain it, and it works as it is. The network is named after
    the file. With --like it is a spec that extends a bundled network, and lists what can be changed. A file that
    exists is never overwritten.

    \b
    Examples:
      netspec init
      netspec init nets/my_net.yaml
      netspec init --like resnet18 my_resnet
    """
    path = _path(name)
    if os.path.lexists(path):
        raise click.ClickException(f"{path} exists, and stays as it is: give the new spec another name")
    network = _network_name(path, like)
    text = _FIRST.format(name=network) if like is None else _extending(like, network)
    opened = _checked(text, path, network, like)
    OutputFile(path, lambda _: False, force=False).write(text)
    # A name that begins with `-` would be read as an option.
    shown = shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))
    echo(f"wrote {path}: `{network}`, {opened.summary()['totals']['parameters']:,} parameters", err=True)
    echo(f"next:\n  netspec validate {shown}\n  netspec summary {shown}\n  netspec compile {shown}", err=True)


def _path(name: str) -> Path:
    """The file to write; `.yaml` is added to a name without a suffix. Raises an error for other suffixes."""
    path = Path(name)
    if not path.name:
        raise click.UsageError("NAME is the file to write, such as my_net.yaml")
    if path.suffix and path.suffix not in _SUFFIXES:
        way = path.with_name(f"{_as_name(path.name)}.yaml" if path.suffix != ".json" else f"{path.stem}.yaml")
        raise click.ClickException(f"a spec's file ends in .yaml: write `netspec init {shlex.quote(str(way))}`")
    return path if path.suffix else path.with_name(f"{path.name}.yaml")


def _as_name(text: str) -> str:
    """A file's stem as the name of a network: `my-net` becomes `my_net`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def _network_name(path: Path, like: str | None) -> str:
    """The network's name, after the file; a file's name that no network can have is refused."""
    from netspec.errors import NetspecError
    from netspec.naming import check_class_name, check_name

    name = _as_name(path.stem)
    try:
        return check_class_name(check_name(name, "a network", None), "a network", None)
    except NetspecError as error:
        _refuse(path, name, like, error)


def _refuse(path: Path, name: str, like: str | None, error: NetspecError) -> NoReturn:
    """Raise an error that says why a network can't have a name, and suggests one."""
    from netspec.errors import fail

    way = path.with_name(f"net_{name.strip('_')[:50]}".rstrip("_") + ".yaml")
    options = f"--like {shlex.quote(like)} " if like else ""
    fail("NS202", error.diagnostics[0].message, help=f"write `netspec init {options}{shlex.quote(str(way))}`")


def _checked(text: str, path: Path, name: str, like: str | None) -> Network:
    """The network that a text stands for; a name that is also that of one of its blocks is refused."""
    from netspec.errors import NetspecError
    from netspec.network import loads

    try:
        return loads(text)
    except NetspecError as error:
        _refuse(path, name, like, error)


def _extending(like: str, name: str) -> str:
    """The text of a spec that extends a bundled network, with its parameters and inputs as comments."""
    from netspec.spec.read.read_spec import networks_of, read_spec
    from netspec.spec.sources.aliases import resolve_alias
    from netspec.spec.sources.bundled import bundled_names
    from netspec.spec.sources.find import find
    from netspec.spec.sources.spec_file import looks_like_path

    if looks_like_path(like) or like == "-":
        raise click.UsageError(f"--like takes the name of a bundled network (`netspec list`), not `{like}`")
    base, set_by_name = resolve_alias(like, bundled_names()) or (like, {})
    source = find(base)
    main = next(iter(networks_of(source)))
    spec = read_spec(source, main)
    title = json.dumps(f"{spec.title or like}, changed", ensure_ascii=False)
    inputs = f"inputs: {{{_inputs(spec)}}}"
    inputs = f"networks: {{{main}: {{{inputs}}}}}" if main else inputs
    return _LIKE.format(base=base, name=name, title=title, params=_params(spec, set_by_name), inputs=inputs)


def _params(spec: Spec, fixed: Mapping[str, bool]) -> str:
    """The lines of `params`: comments, but for the parameters that are `fixed` by the network's name."""
    from netspec.expression import show

    lines = ["params:" if fixed else "# params:"] if spec.parameters else ["# (it has no parameters)"]
    for p in spec.parameters.values():
        value = p.kind if p.required else show(fixed.get(p.name, p.default))
        lines.append(f"{'' if p.name in fixed else '# '}  {p.name}: {value}")
    return "\n".join(lines)


def _inputs(spec: Spec) -> str:
    """The inputs as a mapping in braces has them: `image: [N, 3, 224, 224]`."""
    from netspec.expression import expression_text

    shapes: list[str] = []
    for name, declared in spec.inputs.items():
        dims = [str(dim) if isinstance(dim, int | str) else expression_text(dim) for dim, _ in declared.dims]
        shape = f"[{', '.join(dims)}]"
        options = f", dtype: {declared.dtype}" if declared.dtype != "float32" else ""
        if declared.nominal:
            sizes = [f"{symbol}: {size}" for symbol, size in declared.nominal.items()]
            options += f", nominal: {{{', '.join(sizes)}}}"
        shapes.append(f"{name}: {{shape: {shape}{options}}}" if options else f"{name}: {shape}")
    return ", ".join(shapes)
