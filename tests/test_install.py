"""What gets installed: the wheel, and an editable checkout, each in an environment of its own and used from elsewhere.

Nothing is downloaded: the environments see the packages that are installed already, by a .pth file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from netspec.spec.sources.bundled import bundled_names
from tests.support.paths import REPOSITORY as CHECKOUT

PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation"]


def call(*command: str | Path, cwd: Path) -> str:
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd, timeout=120, env=outside)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Environment:
    """A virtual environment with netspec in it, and a folder to work in that is not the checkout."""

    bin: Path
    work: Path

    def run(self, command: str, *arguments: str) -> str:
        return call(self.bin / command, *arguments, cwd=self.work)


def environment(folder: Path, *install: str) -> Environment:
    """An environment that sees all packages of this one, and has netspec by `pip install` in these words."""
    place = folder / "env"
    venv.create(place, symlinks=True)
    found = Environment(place / "bin", folder / "work")
    found.work.mkdir(parents=True)
    # A .pth file that is found by way of another is not read: this checkout's own stays out of it.
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    site = found.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "others.pth").write_text("\n".join(sorted(paths)) + "\n")
    found.run("python", *PIP, "install", *OFFLINE, "--ignore-installed", *install)
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is needed to install, so that no build leaves anything in the real one."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    for name in ("netspec", "specs", "tests"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, *PIP, "wheel", *OFFLINE, "--wheel-dir", folder, checkout, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def from_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return environment(tmp_path_factory.mktemp("from_wheel"), str(wheel))


@pytest.fixture(scope="module")
def editable(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return environment(tmp_path_factory.mktemp("editable"), "--editable", str(checkout))


def test_what_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folders = {name.split("/")[0] for name in names}
    (info,) = (name for name in folders if name.endswith(".dist-info"))
    assert folders == {"netspec", info}
    code = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "netspec").rglob("*.py")}
    specs = {f"netspec/specs/{path.name}" for path in (CHECKOUT / "specs").glob("*.yaml")}
    assert code | specs | {"netspec/py.typed", f"{info}/licenses/LICENSE"} <= names
    assert not [name for name in names if "tests" in name or name.endswith(".pyc")]


@pytest.mark.parametrize("kind", ["from_wheel", "editable"])
def test_works_from_another_folder(kind: str, checkout: Path, request: pytest.FixtureRequest) -> None:
    installed: Environment = request.getfixturevalue(kind)
    root = installed.bin.parent if kind == "from_wheel" else checkout
    where = "import netspec, netspec.spec.sources.bundled as l; print(netspec.__file__); print(l.bundled_folder())"
    package, specs = map(Path, installed.run("python", "-c", where).splitlines())
    assert package.is_relative_to(root)
    assert specs.is_relative_to(root)
    assert not package.is_relative_to(CHECKOUT)

    listed = json.loads(installed.run("netspec", "list", "--format", "json"))
    assert [row["name"] for row in listed["networks"] if ":" not in row["name"]] == bundled_names()
    summary = json.loads(installed.run("netspec", "summary", "vgg_e", "--format", "json"))
    assert summary["totals"]["parameters"] == 143667240
    assert installed.run("python", "-m", "netspec", "--version") == installed.run("netspec", "--version")
    assert list(installed.work.iterdir()) == []


def test_the_installed_command_compiles(from_wheel: Environment) -> None:
    assert "143,667,240" in from_wheel.run("netspec", "compile", "vgg_e")
    assert (from_wheel.work / "vgg_e.py").read_text().startswith('"""VGG-19')
    (from_wheel.work / "vgg_e.py").unlink()


def test_one_version_everywhere(wheel: Path) -> None:
    import netspec

    assert wheel.name.startswith(f"netspec_compiler-{netspec.__version__}-")


def test_advice_is_what_works() -> None:
    """Nothing tells people to install `netspec` by name: on the package index that is another project."""
    texts = [CHECKOUT / "README.md", CHECKOUT / "pyproject.toml", *(CHECKOUT / "docs").glob("*.md")]
    texts += [*(CHECKOUT / "netspec").rglob("*.py"), *(CHECKOUT / "examples").rglob("*.py")]
    by_name = re.compile(r"""(?:install|add) [^\n`]*?["' ]netspec(?:["'\[ `]|$)|["'(]netspec\[""")
    wrong = {path.name: by_name.findall(path.read_text("utf-8")) for path in texts}
    assert {name: lines for name, lines in wrong.items() if lines} == {}
    config = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    assert set(re.findall(r"install_extra\(['\"](\w+)", "".join(p.read_text("utf-8") for p in texts))) <= set(
        config["project"]["optional-dependencies"]
    )
