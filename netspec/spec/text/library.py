"""Finding specs: bundled ones by name, others by path, never outside the folder of the file that asks."""

from __future__ import annotations

import os
import re
import stat
import sys
from functools import lru_cache
from pathlib import Path

from netspec.errors import choices, closest, fail
from netspec.files import note_input
from netspec.naming import IDENTIFIER
from netspec.source import Source, Span
from netspec.spec.text import exported
from netspec.spec.text.aliases import Params, in_words, meant, way_to_name

SPEC_SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 4 * 1024 * 1024
MAX_PATH = 4096
"""How many characters a path may have: to resolve a long one takes quadratic time."""


@lru_cache(maxsize=1)
def bundled_folder() -> Path:
    """The folder of the specs that come with netspec: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


def bundled_names() -> list[str]:
    """The names of the specs that come with netspec."""
    return sorted(_bundled_names(), key=_natural)


def is_bundled(name: str) -> bool:
    """Whether a name, or another name for it, is that of a spec that comes with netspec."""
    return not looks_like_path(name) and meant(name, _bundled_names()) is not None


def _bundled_names() -> list[str]:
    folder = bundled_folder()
    files = os.listdir(folder) if folder.is_dir() else []
    return [name.removesuffix(".yaml") for name in files if name.endswith(".yaml")]


def _natural(name: str) -> tuple[str, str, int]:
    """The order people expect: resnet50 before resnet101, and the kinds of a network after the network."""
    word, number, kind = re.findall(r"^(\D*)(\d*)(.*)$", name)[0]
    return word, kind, int(number or 0)


def find(name: str) -> Source:
    """The spec of this name or path: `vgg_e` (or `VGG-19`), `x.yaml`, a model `x.onnx`, or `-` for standard input."""
    if name in ("-", "<stdin>"):
        return Source("<stdin>", _decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>"))
    if name.endswith(exported.SUFFIX):
        return _read_model(name)
    if looks_like_path(name):
        check_path(name)
        return read_file(Path(name), name)
    if (bundled := _bundled(name)) is not None:
        return bundled
    # What may be meant as a file is never taken for another name of a bundled spec.
    hint = _file_of(name)
    meaning = meant(name, _bundled_names())
    if hint or meaning is None:
        help = hint or way_to_name(name, bundled_names()) or "`netspec list` shows them; a file is given by its path"
        fail("NS213", f"there is no bundled spec `{name}`", help=help)
    return _called(name, *meaning)


def _file_of(name: str) -> str:
    """A hint at a file of this name, if there is one."""
    for suffix in SPEC_SUFFIXES:
        if os.path.isfile(f"{name}{suffix}"):
            return f"a file of yours is given with its suffix: `{name}{suffix}`"
    return f"a file of yours is given by its path: `./{name}`" if os.path.isfile(name) else ""


def _called(name: str, bundled: str, params: Params) -> Source:
    """The spec that another name means: the bundled one, or one that extends it by parameters."""
    found = _bundled(bundled)
    assert found is not None
    if not params:
        return found
    said = dict(re.findall(r'^(title|source): "?(.+?)"?$', found.text, re.MULTILINE))
    lines = [
        "netspec: 1",
        f"name: {re.sub(r'[^a-z0-9]+', '_', name.lower())}",
        f'title: "{said.get("title", bundled)}, {in_words(params)}"',
        f'source: "{said.get("source", "")}"',
        f"extends: {bundled}",
        f"params: {{{in_words(params)}}}",
    ]
    return Source(f"<{name}>", "\n".join([*lines, ""]))


def _read_model(name: str) -> Source:
    """The spec in a model that netspec exported."""
    check_path(name)
    if not os.path.isfile(name):
        return read_file(Path(name), name)
    note_input(name)
    # It stands in no folder, and names no files: a model from elsewhere reads none.
    said = f"<{name}: {exported.SPEC}>"
    return Source(said, _decode(exported.spec_in(Path(name), name), said))


def find_network(name: str) -> tuple[Source, str]:
    """The spec of a name or path, and which of its networks is meant: `gan:generator`, or "" where none is said."""
    file, network = named_network(name)
    if network and not os.path.exists(name):
        return find(file), network
    return find(name), ""


def named_network(name: str) -> tuple[str, str]:
    """`gan:generator` as a spec's name and that of one of its networks, which is "" where none is said."""
    spec, colon, network = name.rpartition(":")
    return (spec, network) if colon and IDENTIFIER.match(network) and (len(spec) > 1 or spec == "-") else (name, "")


def find_beside(name: str, asker: Source, span: Span) -> Source:
    """The spec that another one names: by path from its own folder, which it can't leave, or a bundled one."""
    if not looks_like_path(name):
        if (bundled := _bundled(name)) is not None:
            return bundled
        help = way_to_name(name, bundled_names()) or f"bundled are {choices(bundled_names())}"
        if (meaning := meant(name, _bundled_names())) is not None:
            help = f"its name in specs is `{meaning[0]}`"
            help += f", with `params: {{{in_words(meaning[1])}}}`" if meaning[1] else ""
        fail("NS213", f"there is no bundled spec `{name}`", span, help=help)
    folder = Path(asker.name).parent
    if asker.name.startswith("<"):
        fail("NS213", "a spec that is no file can name bundled ones only", span)
    check_path(name, span)
    path = folder / name
    try:
        found = path.resolve()
        within = not Path(name).is_absolute() and found.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        fail("NS105", f"`{name}` is no path of a file", span)
    if not within:
        fail(
            "NS213", f"`{name}` is outside the folder of this file", span, help="put it into the same folder, or below"
        )
    # What was found to be within is what is read, wherever a link may point by then.
    return read_file(found, str(path), span)


def _bundled(name: str) -> Source | None:
    if name not in _bundled_names():
        return None
    path = bundled_folder() / f"{name}.yaml"
    return read_file(path, _shown(path))


def looks_like_path(name: str) -> bool:
    """Whether a name is meant as a file's path."""
    return name.endswith(SPEC_SUFFIXES) or "/" in name or os.sep in name


_STDIN = "`-` is standard input"


def check_path(name: str, span: Span | None = None) -> None:
    """Refuse what can't be the path of a file."""
    if len(name) > MAX_PATH:
        fail("NS105", f"a path has at most {MAX_PATH:,} characters, and this one {len(name):,}", span)
    if re.match(r"[a-z][a-z0-9+.-]+://", name, re.IGNORECASE):
        fail("NS213", f"`{name}` is an address, and specs are read from files", span, help="download it first")


def _open(path: str, flags: int) -> int:
    # A file that turned into a pipe since it was looked at would block otherwise.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_file(path: Path, shown: str, span: Span | None = None) -> Source:
    """The text of a spec file: an ordinary file, UTF-8, of a sensible size."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            fail("NS105", f"{shown} is a folder", span, help="give a spec file in it")
        if not stat.S_ISREG(mode):
            fail(
                "NS105",
                f"{shown} is not an ordinary file",
                span,
                help=_STDIN if "/fd/" in shown or "stdin" in shown else "",
            )
        note_input(path)
        with open(path, "rb", opener=_open) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        known = [name.name for name in path.parent.glob("*") if name.suffix in SPEC_SUFFIXES and os.path.isfile(name)]
        fail("NS213", f"there is no file {shown}", span, help=closest(path.name, known))
    except OSError as error:
        fail("NS105", f"{shown} can't be read: {(error.strerror or str(error)).lower()}", span)
    except ValueError:  # a null byte, or half a character
        fail("NS105", f"{shown} is no path of a file", span)
    return Source(shown, _decode(data, shown, span))


def _decode(data: bytes, shown: str, span: Span | None = None) -> str:
    if len(data) > MAX_BYTES:
        fail("NS104", f"{shown} is larger than {MAX_BYTES >> 20} MiB", span)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or re.match(rb"\0[\t-~]|[\t-~]\0", data):
        fail("NS105", f"{shown} is UTF-16 text", span, help="save it as UTF-8")
    if 0 in data:
        fail("NS105", f"{shown} is no text: its byte {data.index(0)} is 0", span, help="a spec is UTF-8 text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail("NS105", f"{shown} is not UTF-8 text (byte {error.start})", span, help="save it as UTF-8")


def _shown(path: Path) -> str:
    """A bundled file's path as errors show it: from the current folder where it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
