"""Finds specs: bundled ones by name, others by path; a spec can't name files outside its own folder."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from netspec.errors import choices, fail
from netspec.files import note_input
from netspec.naming import IDENTIFIER
from netspec.source import Source, Span
from netspec.spec.limits import MAX_FILE_BYTES
from netspec.spec.sources.aliases import Params, name_hint, params_text, resolve_alias
from netspec.spec.sources.bundled import bundled_names, bundled_source
from netspec.spec.sources.exported_model import MODEL_SUFFIX, SPEC_KEY, read_exported_spec
from netspec.spec.sources.spec_file import SPEC_SUFFIXES, check_path, decode, looks_like_path, read_file
from netspec.spec.text.data import plain_data
from netspec.spec.text.parse import parse_text


def find(name: str) -> Source:
    """Read the spec of a name or path: `vgg_e` (or `VGG-19`), `x.yaml`, a model `x.onnx`, or `-` for standard input."""
    if name in ("-", "<stdin>"):
        return Source("<stdin>", decode(sys.stdin.buffer.read(MAX_FILE_BYTES + 1), "<stdin>"))
    if name.endswith(MODEL_SUFFIX):
        return _read_model(name)
    if looks_like_path(name):
        check_path(name)
        return read_file(Path(name), name)
    if (source := bundled_source(name)) is not None:
        return source
    # The name of an existing file is never taken as the alias of a bundled spec.
    hint = _file_hint(name)
    meaning = resolve_alias(name, bundled_names())
    if hint or meaning is None:
        help = hint or name_hint(name, bundled_names()) or "`netspec list` shows them; a file is given by its path"
        fail("NS213", f"there is no bundled spec `{name}`", help=help)
    return _alias_source(name, *meaning)


def _file_hint(name: str) -> str:
    """A hint about a file of this name; "" if there is none."""
    for suffix in SPEC_SUFFIXES:
        if os.path.isfile(f"{name}{suffix}"):
            return f"a file of yours is given with its suffix: `{name}{suffix}`"
    return f"a file of yours is given by its path: `./{name}`" if os.path.isfile(name) else ""


def _alias_source(alias: str, bundled: str, params: Params) -> Source:
    """The spec of an alias: the bundled one, or a spec that extends it with the alias's parameters."""
    base = bundled_source(bundled)
    assert base is not None
    if not params:
        return base
    said = plain_data(parse_text(base))
    title = f"{said.get('title', bundled)}, {params_text(params)}"
    lines = [
        "netspec: 1",
        f"name: {re.sub(r'[^a-z0-9]+', '_', alias.lower())}",
        f"title: {json.dumps(title, ensure_ascii=False)}",
        f"source: {json.dumps(said.get('source', ''), ensure_ascii=False)}",
        f"extends: {bundled}",
        f"params: {{{params_text(params)}}}",
    ]
    return Source(f"<{alias}>", "\n".join([*lines, ""]))


def _read_model(name: str) -> Source:
    """Read the spec in a model that netspec exported."""
    check_path(name)
    if not os.path.isfile(name):
        return read_file(Path(name), name)
    note_input(name)
    # A name in `<...>` has no folder, so the spec can name no files: a downloaded model must not read any.
    shown = f"<{name}: {SPEC_KEY}>"
    return Source(shown, decode(read_exported_spec(Path(name), name), shown))


def find_network(name: str) -> tuple[Source, str]:
    """Read the spec of a name or path such as `gan:generator`; return it with the name of the network, or ""."""
    spec, network = named_network(name)
    if network and not os.path.exists(name):
        return find(spec), network
    return find(name), ""


def named_network(name: str) -> tuple[str, str]:
    """Split the name of a spec from that of one of its networks, which may be missing.

    >>> named_network("gan:generator"), named_network("vgg_e")
    (('gan', 'generator'), ('vgg_e', ''))
    """
    spec, colon, network = name.rpartition(":")
    return (spec, network) if colon and IDENTIFIER.match(network) and (len(spec) > 1 or spec == "-") else (name, "")


def find_beside(name: str, asker: Source, span: Span) -> Source:
    """Read a spec that another one, `asker`, names: a path relative to its folder, or a bundled spec.

    Raises NetspecError NS213 for a path outside that folder.
    """
    if not looks_like_path(name):
        return _find_bundled(name, span)
    folder = Path(asker.name).parent
    if asker.name.startswith("<"):
        fail("NS213", "a spec that is no file can name bundled ones only", span)
    check_path(name, span)
    path = folder / name
    try:
        resolved = path.resolve()
        within = not Path(name).is_absolute() and resolved.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        fail("NS105", f"`{name}` is no path of a file", span)
    if not within:
        help = "put it into the same folder, or below"
        fail("NS213", f"`{name}` is outside the folder of this file", span, help=help)
    # Read the resolved path: a symbolic link may have changed since the check.
    return read_file(resolved, str(path), span)


def _find_bundled(name: str, span: Span) -> Source:
    """Read a bundled spec that another spec names; aliases are refused, since they are for people at a prompt."""
    source = bundled_source(name)
    if source is None:
        help = name_hint(name, bundled_names()) or f"bundled are {choices(bundled_names())}"
        if (meaning := resolve_alias(name, bundled_names())) is not None:
            bundled, params = meaning
            help = f"its name in specs is `{bundled}`"
            help += f", with `params: {{{params_text(params)}}}`" if params else ""
        fail("NS213", f"there is no bundled spec `{name}`", span, help=help)
    return source
