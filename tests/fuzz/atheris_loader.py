"""What reads text, under atheris: any bytes at all end in a value or in the errors that are meant for users.

`make fuzz` runs it last. By itself, `python -m tests.fuzz.atheris_loader [libFuzzer's options]`:
-max_total_time=600, or the path of a file that it has written, to see what that did.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.paths import ERROR_CASES as CASES

try:
    import atheris
except ModuleNotFoundError:
    sys.exit("this fuzzer needs atheris: pip install atheris (where it has no wheel: a clang with libFuzzer, too)")

with atheris.instrument_imports(include=["netspec", "yaml"]):
    import click

    import netspec
    from netspec.cli.networks import read_settings, read_sizes
    from netspec.expression import ExpressionError, parse
    from netspec.source import Source
    from netspec.spec.read.read_spec import read_spec
    from netspec.spec.sources.bundled import bundled_folder

SPEC = read_spec(
    Source("two.yaml", "netspec: 1\nname: two\ninputs: {a: [N, 3, 8], b: [N, H, W]}\nnetwork: [{relu, from: a}]")
)
LARGEST = 20_000
"""Longer inputs run slowly; what they meet, shorter ones meet too."""


def load(data: bytes) -> None:
    """A spec's text, YAML or JSON by its looks or its name, to a graph with all that reports make of it."""
    text = data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")
    for name in ("spec.yaml", "spec.json"):
        try:
            net = netspec.loads(text, name=name)
            if len(net.graph) < 200:
                net.check_expectations()
                str(net.summary())
                str(net.graph)
                [str(warning) for warning in net.warnings]
        except netspec.NetspecError as error:
            check_message(str(error))


def read_expression(data: bytes) -> None:
    """An expression."""
    try:
        parse(data.decode("utf-8", "replace"))
    except ExpressionError as error:
        check_message(error.message)


def read_options(data: bytes) -> None:
    """The values of `--set` and `--input`."""
    text = data.decode("utf-8", "surrogateescape")
    for read in (lambda: read_settings((text,)), lambda: read_sizes((text,), SPEC)):
        try:
            read()
        except click.UsageError as error:
            check_message(error.format_message())


def check_message(text: str) -> None:
    """An error says something."""
    if not text.strip():
        raise AssertionError("an error without a word")


TARGETS: tuple[Callable[[bytes], None], ...] = (load, load, load, read_expression, read_options)


def one(data: bytes) -> None:
    """The first byte says which of the readers gets the rest."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1 : LARGEST + 1])


def seeds(folder: Path) -> None:
    """The corpus to begin with: specs that are fine, specs that are wrong, and options."""
    paths = [*bundled_folder().glob("*.yaml"), *(p for p in CASES.iterdir() if p.suffix in (".yaml", ".json"))]
    for path in paths:
        (folder / path.name).write_bytes(b"\0" + path.read_bytes())
    expressions = (
        "4*width if index == 0 else input.channels // 2",
        "stages[-1] % 3 >= 2 and not deep",
        "min(1, 2.5e3)",
    )
    options = ("stages=[1,1,1,1]", "classes=10", "3x512x512", "b=HxW", "image=3xHxW", "name='x'")
    for first, texts in ((3, expressions), (4, options)):
        for number, text in enumerate(texts):
            (folder / f"{first}-{number}").write_bytes(bytes((first,)) + text.encode())


def main() -> None:
    """Fuzz, from a corpus of its own unless one is given."""
    with tempfile.TemporaryDirectory() as corpus:
        seeds(Path(corpus))
        given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        options = [f"-max_len={LARGEST}", "-timeout=30", "-rss_limit_mb=4096", "-print_final_stats=1"]
        if minutes := float(os.environ.get("NETSPEC_FUZZ_MINUTES", "0")):
            options.append(f"-max_total_time={round(60 * minutes)}")
        atheris.Setup([sys.argv[0], *options, *sys.argv[1:], *([] if given else [corpus])], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
