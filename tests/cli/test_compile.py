"""`netspec compile`: source that stands alone, programs of torch.export, and files that are not ours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports

from .conftest import TINY, Run

with lazy_imports():
    import torch
    from safetensors.torch import load_file, save_file

ALONE = """
import importlib.util, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "netspec":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
spec = importlib.util.spec_from_file_location("written", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import torch
with torch.device("meta"):
    net = getattr(module, sys.argv[2])()
    print(sum(p.numel() for p in net.parameters()), tuple(net(torch.zeros(2, 3, 224, 224)).shape))
assert "netspec" not in sys.modules
"""


def test_writes_source_that_stands_alone(run: Run, folder: Path) -> None:
    result = run("compile", "vgg_e")
    assert result.status == 0
    talk = result.err.splitlines()
    assert talk[0] == "proved VggE: 38 weights by name and shape, 143,667,240 parameters, logits (2, 1000)"
    text = (folder / "vgg_e.py").read_text()
    assert talk[1:] == [f"wrote vgg_e.py: class VggE, {len(text.splitlines())} lines"]
    assert text == netspec.load("vgg_e").to_source()
    assert result.out == run("summary", "vgg_e").out
    alone = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, "vgg_e.py", "VggE"], capture_output=True, text=True, timeout=120
    )
    assert alone.stderr == ""
    assert alone.stdout == "143667240 (2, 1000)\n"


def test_settings_and_sizes(run: Run, folder: Path) -> None:
    result = run("compile", "tiny.yaml", "--set", "classes=7", "--input", "3x64x64", "-o", "other.py")
    assert result.status == 0
    assert "logits (2, 7)" in result.err
    expected = netspec.loads(TINY, params={"classes": 7}, inputs={"image": ["N", 3, 64, 64]})
    assert (folder / "other.py").read_text() == expected.to_source()
    assert not (folder / "tiny.py").exists()


def test_source_on_stdout(run: Run, folder: Path) -> None:
    result = run("compile", "-", "-o", "-", stdin=TINY)
    assert result.out == netspec.loads(TINY).to_source()
    assert result.err.startswith("proved Tiny: ")
    assert not list(folder.glob("*.py"))


def test_unproved_source_is_not_written(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = netspec.loads(TINY, params={"classes": 11}).to_source()
    monkeypatch.setattr("netspec.network.Network.to_source", lambda _: wrong)
    result = run("compile", "tiny.yaml")
    assert (result.status, result.out) == (1, "")
    assert "error NS402" in result.err
    assert not (folder / "tiny.py").exists()


# Files that are there already.


def test_keeps_a_file_that_is_not_ours(run: Run, folder: Path) -> None:
    for mine in (
        "print('mine')\n",
        "# compiled by netspec, then rewritten by hand\n",
        '"""Mine."""\n# compiled by netspec\n',
    ):
        (folder / "tiny.py").write_text(mine)
        result = run("compile", "tiny.yaml")
        assert (result.status, result.out) == (1, "")
        assert "tiny.py exists and was not written by netspec; --force overwrites it" in result.err
        assert (folder / "tiny.py").read_text() == mine
    assert run("compile", "tiny.yaml", "--force").status == 0
    assert (folder / "tiny.py").read_text() == netspec.loads(TINY).to_source()


def test_overwrites_what_it_wrote(run: Run, folder: Path) -> None:
    (folder / "long.yaml").write_text(TINY.replace("A tiny network", "A title that is " + "very " * 30 + "long"))
    for name in ("tiny", "long"):
        assert run("compile", f"{name}.yaml", "-o", f"{name}.py").status == 0
        again = run("compile", f"{name}.yaml", "--set", "classes=7", "-o", f"{name}.py")
        assert again.status == 0, again.err
        assert ": int = 7" in (folder / f"{name}.py").read_text()


def test_an_empty_file_is_nothing_to_lose(run: Run, folder: Path) -> None:
    (folder / "tiny.py").touch()
    assert run("compile", "tiny.yaml").status == 0


@pytest.mark.parametrize("target", ["model", "model.onxx", "no.py/model"])
def test_unknown_suffix(target: str, run: Run) -> None:
    result = run("compile", "tiny.yaml", "-o", target)
    assert (result.status, result.out) == (2, "")
    assert f"ends in .py or .pt2, not `{target}`" in result.err


def test_folders(run: Run, folder: Path) -> None:
    for suffix in ("py", "pt2"):
        result = run("compile", "tiny.yaml", "-o", f"no/tiny.{suffix}")
        assert (result.status, result.out) == (1, "")
        assert f"no/tiny.{suffix} can't be written: there is no such folder" in result.err
    (folder / "folder.py").mkdir()
    result = run("compile", "tiny.yaml", "-o", "folder.py")
    assert result.status == 1
    assert f"folder.py can't be written: {os.strerror(errno.EISDIR).lower()}" in result.err


# Programs.


# torch.export.load of torch 2.11 warns of a buffer of its own.
@pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")
def test_program_gives_the_modules_output_for_any_batch(run: Run, folder: Path) -> None:
    network = netspec.loads(TINY)
    module = network.compile().eval()
    save_file(module.state_dict(), folder / "tiny.safetensors")
    result = run("compile", "tiny.yaml", "--input", "3xHxW", "--weights", "tiny.safetensors", "-o", "tiny.pt2")
    assert result.status == 0, result.err
    assert "wrote tiny.pt2: a program for image N x 3 x H x W" in result.err
    program: Any = torch.export.load(folder / "tiny.pt2").module()
    for shape in ((1, 3, 32, 32), (5, 3, 40, 24)):
        image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(program(image), module(image))
    assert sorted(p.name for p in folder.iterdir()) == ["tiny.pt2", "tiny.safetensors", "tiny.yaml"]


def test_program_that_is_not_ours(run: Run, folder: Path) -> None:
    assert run("compile", "tiny.yaml", "-o", "tiny.pt2").status == 0
    assert run("compile", "tiny.yaml", "-o", "tiny.pt2").status == 0
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, folder / "theirs.pt2")
    (folder / "text.pt2").write_text("not an archive")
    for name in ("theirs.pt2", "text.pt2"):
        before = (folder / name).read_bytes()
        result = run("compile", "tiny.yaml", "-o", name)
        assert (result.status, result.out) == (1, "")
        assert "was not written by netspec" in result.err
        assert (folder / name).read_bytes() == before
    assert run("compile", "tiny.yaml", "-o", "theirs.pt2", "--force").status == 0


def test_weights_that_do_not_fit(run: Run, folder: Path) -> None:
    assert run("compile", "tiny.yaml", "-o", "good.pt2").status == 0
    before = (folder / "good.pt2").read_bytes()
    save_file({"conv.weight": torch.zeros(4, 3, 3, 3)}, folder / "few.safetensors")
    (folder / "text.pt").write_text("no weights")
    for weights in ("few.safetensors", "text.pt", "none.pt"):
        result = run("compile", "tiny.yaml", "--weights", weights, "-o", "good.pt2")
        assert (result.status, result.out) == (1, "")
        assert "error NS501" in result.err
    assert (folder / "good.pt2").read_bytes() == before
    assert len(list(folder.iterdir())) == 4


def test_weights_go_with_files(run: Run, folder: Path) -> None:
    result = run("compile", "tiny.yaml", "--weights", "x.pt", "-o", "-")
    assert (result.status, result.out) == (2, "")
    assert "--weights goes with a file" in result.err
    made = netspec.load("tiny.yaml").compile()
    torch.save({"state_dict": {f"module.{key}": value for key, value in made.state_dict().items()}}, folder / "x.pt")
    result = run("compile", "tiny.yaml", "--weights", "x.pt", "-o", "tiny.py")
    assert result.status == 0
    assert "and its weights, tiny.safetensors" in result.err
    found = load_file(folder / "tiny.safetensors")
    assert all(torch.equal(value, found[key]) for key, value in made.state_dict().items())
