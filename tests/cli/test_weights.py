"""`netspec weights`: whether files fit, as text and as data, and converting them."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors import SafetensorError

import netspec
from tests.support.lazy import lazy_imports

from .conftest import Run

with lazy_imports():
    import torch
    from safetensors.torch import load_file, save_file

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


@pytest.mark.parametrize("kind", ["int64", "complex64", "bool"])
def test_numbers_of_another_kind_do_not_fit(run: Run, folder: Path, kind: str) -> None:
    state = {key: value.to(getattr(torch, kind)) for key, value in written(folder).items()}
    torch.save(state, folder / "k.pth")
    result = run("weights", "check", "little.yaml", "k.pth")
    assert (result.status, result.out) == (1, "")
    assert f"is float32, and {kind} in the file" in result.err


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


def test_a_report_names_the_keys_of_the_file(run: Run, folder: Path) -> None:
    (folder / "net.yaml").write_text("netspec: 1\nname: n\ninputs: {x: [N, 4]}\nnetwork: [{linear: 4, name: fc}]\n"
                                     "weights: {theirs: {keys: {model.0: fc}}}\n")  # fmt: skip
    torch.save({"model.0.weight": torch.eye(4), "model.0.bias": torch.ones(4)}, folder / "w.pt")
    result = run("weights", "check", "net.yaml", "w.pt")
    assert (result.status, result.out) == (0, "w.pt fits net.yaml: 2 of 2 weights, by keys of theirs\n")
    torch.save({"module.model.0.weight": torch.eye(4), "module.model.0.more": torch.ones(3)}, folder / "w.pt")
    result = run("weights", "check", "net.yaml", "w.pt")
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[0] == "w.pt does not fit net.yaml: 1 of 2 weights, by keys of theirs behind `module.`"
    assert "unused module.model.0.more 3" in lines
    assert json.loads(run("weights", "check", "net.yaml", "w.pt", "--format", "json").out)["prefix"] == "module."


def test_a_state_dict_in_a_checkpoint(run: Run, folder: Path) -> None:
    state = written(folder)
    other = {key: value + 1 for key, value in state.items()}
    torch.save({"step": 3, "a": {"ours": other, "average": state}}, folder / "w.pt")
    refused = run("weights", "check", "little.yaml", "w.pt")
    assert refused.status == 1
    assert "`a.ours (4 tensors)`, `a.average (4 tensors)`\n   help: `--key a.ours` takes the first" in refused.err
    key = ("--key", "a.average")
    assert run("weights", "check", "little.yaml", "w.pt", *key).status == 0
    assert run("weights", "convert", "little.yaml", "w.pt", *key, "-o", "converted.safetensors").status == 0
    assert run("compile", "little.yaml", "--weights", "w.pt", *key, "-o", "compiled.py").status == 0
    assert run("transform", "little.yaml", "--weights", "w.pt", *key, "-o", "transformed.yaml").status == 0
    for name in ("converted", "compiled", "transformed"):
        found = load_file(folder / f"{name}.safetensors")
        assert {key: torch.equal(found[key], value) for key, value in state.items()} == dict.fromkeys(state, True)
    assert run("export", "little.yaml", "--weights", "w.pt", *key, "-o", "one.onnx").status == 0
    assert run("export", "little.yaml", "--weights", "converted.safetensors", "-o", "two.onnx").status == 0
    assert (folder / "one.onnx").read_bytes() == (folder / "two.onnx").read_bytes()
    for command in ("compile", "export", "transform"):
        result = run(command, "little.yaml", "--key", "a.ours")
        assert (result.status, "--key goes with --weights" in result.err) == (2, True)


def test_weights_of_another_network_in_a_line(run: Run, folder: Path) -> None:
    torch.save(netspec.load("resnet20_cifar").compile().state_dict(), folder / "w.pt")
    result = run("weights", "check", "vgg_d", "w.pt")
    assert result.status == 1
    assert result.out.splitlines()[1] == "These are the weights of `resnet20_cifar`."
    assert len(result.out.splitlines()) == 3
    assert "note: these are the weights of `resnet20_cifar`" in run("compile", "vgg_d", "--weights", "w.pt").err


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file may be larger than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WIDE = "netspec: 1\nname: wide\ninputs: {x: [N, 100]}\nnetwork: [{linear: 1000, name: fc}]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "weights convert wide.yaml w.pt -o out.safetensors",
        "compile wide.yaml --weights w.pt -o out.py",
        "compile wide.yaml --weights w.pt -o out.pt2",
        "transform wide.yaml --weights w.pt -o out.yaml",
        "export wide.yaml --weights w.pt -o out.onnx",
        "import w.onnx -o out.yaml",
    ],
)
def test_a_disk_without_room(run: Run, folder: Path, arguments: str) -> None:
    """It is told, and nothing is left half written; torch's own writer would end the process."""
    (folder / "wide.yaml").write_text(WIDE)
    net = netspec.loads(WIDE)
    torch.save(net.compile().state_dict(), folder / "w.pt")
    net.to_onnx(folder / "w.onnx", folder / "w.pt")
    before = sorted(folder.iterdir())
    with small_disk(100_000):
        result = run(*arguments.split())
    assert (result.status, result.out) == (1, "")
    written = "safetensors" if "out.py" in arguments or "out.yaml" in arguments else arguments.rpartition(".")[2]
    assert f"Error: out.{written} can't be written: file too large\n" in result.err
    assert sorted(folder.iterdir()) == before
    assert run(*arguments.split()).status == 0


@pytest.mark.parametrize("said", ["I/O error: No space left on device (os error 28)",
                                  'IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })',
                                  "MetadataIncompleteBuffer"])  # fmt: skip
def test_what_safetensors_says_against_writing(
    run: Run, folder: Path, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError(f"Error while serializing: {said}")

    written(folder)
    monkeypatch.setattr("netspec.backends.pytorch.runtime.weights.save_file", full)
    result = run("weights", "convert", "little.yaml", "w.pt", "-o", "out.safetensors")
    reason = "no space left on device" if "28" in said else "error while serializing: metadataincompletebuffer"
    assert (result.status, result.err) == (1, f"Error: out.safetensors can't be written: {reason}\n")
    assert not list(folder.glob("*out*"))
