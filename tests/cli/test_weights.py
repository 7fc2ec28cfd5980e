"""`netspec weights`: whether files fit, as text and as data, and converting them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import netspec

from .conftest import Run

SPEC = """\
netspec: 1
name: little
params: {classes: 4, slow: false}
inputs: {image: [N, 3, 8, 8]}
network:
  - {conv2d: {out_channels: 6, kernel_size: 3}, name: conv}
  - {relu, when: slow}
  - {adaptive_avg_pool2d: 1}
  - flatten
  - {linear: classes, name: head}
weights:
  other:
    title: the others
    params: {slow: true}
    keys: {first: conv, last: head}
"""


def written(folder: Path, **names: str) -> dict[str, torch.Tensor]:
    """The spec, and its weights as `w.pt` with other names for its layers."""
    (folder / "little.yaml").write_text(SPEC)
    state = {key: value.clone() for key, value in netspec.loads(SPEC).compile().state_dict().items()}
    renamed = {f"{names.get(key.partition('.')[0], key.partition('.')[0])}.{key.partition('.')[2]}": value
               for key, value in state.items()}  # fmt: skip
    torch.save({"state_dict": renamed}, folder / "w.pt")
    return state


def test_a_file_that_fits(run: Run, folder: Path) -> None:
    written(folder)
    result = run("weights", "check", "little.yaml", "w.pt")
    assert (result.status, result.out) == (0, "w.pt fits little.yaml: 4 of 4 weights, by the network's own keys\n")


def test_a_file_that_is_for_another_setting(run: Run, folder: Path) -> None:
    written(folder, conv="first", head="last")
    result = run("weights", "check", "little.yaml", "w.pt", "--format", "json")
    data = json.loads(result.out)
    assert result.status == 1
    assert (data["fits"], data["source"], data["matched"]) == (False, "other", 4)
    assert data["params"] == {"slow": {"needs": True, "has": False}}
    assert data["fits_with"] == [{"slow": True}]
    assert run("weights", "check", "little.yaml", "w.pt", "--set", "slow=true").status == 0
    # With other classes too, both have to be said.
    both = run("weights", "check", "little.yaml", "w.pt", "--set", "classes=7")
    assert "It fits with `--set classes=4 --set slow=true`." in both.out
    refused = run("weights", "convert", "little.yaml", "w.pt", "-o", "out.safetensors")
    assert (refused.status, refused.out) == (1, "")
    assert "they fit with `--set slow=true`" in refused.err
    assert not (folder / "out.safetensors").exists()


def test_what_is_missing_and_what_it_may_be(run: Run, folder: Path) -> None:
    written(folder, head="top")
    result = run("weights", "check", "little.yaml", "w.pt")
    assert result.status == 1
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[0] == "w.pt does not fit little.yaml: 2 of 4 weights, by the network's own keys"
    assert "missing head.weight 4 x 6 top.weight?" in lines
    assert "unused top.bias 4" in lines


def test_convert(run: Run, folder: Path) -> None:
    state = written(folder, conv="first", head="last")
    result = run("weights", "convert", "little.yaml", "w.pt", "--set", "slow=true", "-o", "out.safetensors")
    assert (result.status, result.out) == (0, "")
    assert result.err == "wrote out.safetensors: 4 weights, by keys of the others\n"
    found = load_file(folder / "out.safetensors")
    assert list(found) == sorted(state)
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert run("weights", "check", "little.yaml", "out.safetensors", "--set", "slow=true").status == 0
    # What it was converted for, it remembers.
    assert run("weights", "check", "little.yaml", "out.safetensors").status == 1


def test_convert_a_part(run: Run, folder: Path) -> None:
    written(folder, head="top")
    assert run("weights", "convert", "little.yaml", "w.pt", "-o", "out.safetensors").status == 1
    result = run("weights", "convert", "little.yaml", "w.pt", "-o", "out.safetensors", "--partial")
    assert result.err == "wrote out.safetensors: 2 weights, by the network's own keys, 2 of the network left out\n"


def test_nothing_is_lost(run: Run, folder: Path) -> None:
    written(folder)
    assert run("weights", "convert", "little.yaml", "w.pt", "-o", "out.pt").status == 2
    save_file({"mine": torch.zeros(1)}, folder / "little.safetensors")
    before = (folder / "little.safetensors").read_bytes()
    result = run("compile", "little.yaml", "--weights", "w.pt", "-o", "little.py")
    assert "little.safetensors exists and was not written by netspec" in result.err
    assert ((folder / "little.safetensors").read_bytes(), (folder / "little.py").exists()) == (before, False)
    assert run("compile", "little.yaml", "--weights", "w.pt", "-o", "little.py", "--force").status == 0
    result = run("compile", "little.yaml", "--weights", "little.safetensors", "-o", "little.py")
    assert "is the file of weights, and would be overwritten" in result.err
    assert run("compile", "little.yaml", "--weights", "none.pt", "-o", "little.py").status == 1
