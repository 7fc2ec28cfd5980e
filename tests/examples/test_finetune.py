"""The example of fine-tuning: run as a user would, in one process and in two, and begun from weights of others."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import netspec
from tests.support.lazy import lazy_imports
from tests.support.paths import REPOSITORY

with lazy_imports():
    import torch
    from safetensors.torch import load_file
    from torch import Tensor
    from torch.utils.data import TensorDataset
    from torchvision.models import resnet18

EXAMPLE = REPOSITORY / "examples" / "finetune" / "finetune.py"
SMALL = 96
"""Images to train on, where how well it reads is of no matter."""

DRIVER = f"""
import sys
import torch
sys.path.insert(0, {str(EXAMPLE.parent)!r})
import finetune

found = finetune.digits()
finetune.digits = lambda: tuple(torch.utils.data.TensorDataset(*data[:{SMALL}]) for data in found)
with finetune.worker() as me:
    module = finetune.finetune(finetune.parse(sys.argv[1:]), me)
torch.save(module.state_dict(), f"rank{{me.rank}}of{{me.count}}.pt")
"""


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("finetune", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["finetune"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quick(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example with few images."""
    few = tuple(TensorDataset(*data[:SMALL]) for data in example.digits())
    monkeypatch.setattr(example, "digits", lambda: few)
    return example


def run(command: Sequence[str | Path], folder: Path) -> str:
    """What a command prints, in processes of one thread in which warnings are errors."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **threads, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def of_torchvision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict for a thousand classes, with torchvision's keys."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.save(resnet18().state_dict(), path)
    return path


def test_it_learns_to_read_digits_and_what_it_saves_reads_as_well(tmp_path: Path) -> None:
    lines = run([EXAMPLE, "--epochs", "2", "--output", "made"], tmp_path).splitlines()
    assert lines[0] == "ResNet-18: 122 weights, all fresh"
    assert lines[1] == "1437 images to train on, 360 held out"
    assert re.fullmatch(r"trained for 2 epochs in \d+ s", lines[2])
    said = re.fullmatch(r"accuracy on the images held out: (0\.\d{4}|1\.0000)", lines[3])
    assert said
    assert float(said[1]) > 0.9
    assert lines[4:] == [
        "wrote made/resnet18.safetensors",
        f"accuracy with the weights in that file: {said[1]}",
        "wrote made/confusion.png",
    ]
    network = netspec.load("resnet18", params={"classes": 10})
    saved = load_file(tmp_path / "made" / "resnet18.safetensors")
    assert {key: tuple(value.shape) for key, value in saved.items()} == {
        key: weight.shape for key, weight in network.graph.state().items()
    }


def test_two_processes_end_with_equal_weights(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER, "utf-8")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out = run([*torchrun, "driver.py", "--epochs", "1", "--output", "made"], tmp_path)
    assert out.count(f"{SMALL} images to train on") == 1
    assert out.count("accuracy on the images held out: ") == 1
    first, second = (torch.load(tmp_path / f"rank{rank}of2.pt") for rank in range(2))
    # The statistics of batch norms are each process's own, of its share; those of the first are kept.
    own = [key for key in first if ".running_" in key]
    assert len(own) == 40
    assert [key for key in first if key not in own and not torch.equal(first[key], second[key])] == []
    assert any(not torch.equal(first[key], second[key]) for key in own)
    assert first["stem.batch_norm.num_batches_tracked"] == SMALL // 32
    saved = load_file(tmp_path / "made" / "resnet18.safetensors")
    assert saved.keys() == first.keys()
    assert all(torch.equal(saved[key], first[key]) for key in first)


def test_weights_for_other_classes_are_taken_but_for_the_head(
    quick: ModuleType, of_torchvision: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick.main(["--epochs", "1", "--weights", str(of_torchvision), "--output", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ResNet-18: 120 of 122 weights from {of_torchvision}, by keys of torchvision"
    assert lines[1] == "fresh: fc.weight, fc.bias"
    assert lines[-1] == f"wrote {tmp_path / 'confusion.png'}"

    mine = tmp_path / "resnet18.safetensors"
    quick.main(["--epochs", "1", "--weights", str(mine), "--output", str(tmp_path / "again")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ResNet-18: 122 of 122 weights from {mine}, by the network's own keys"
    assert lines[1] == f"{SMALL} images to train on, {SMALL} held out"


def test_it_starts_from_the_weights_given_and_the_head_learns_faster(example: ModuleType, of_torchvision: Path) -> None:
    network = netspec.load("resnet18", params={"classes": 10})
    module, fresh = example.start(network, of_torchvision, example.Worker(0, 1, torch.device("cpu")))
    given: dict[str, Tensor] = torch.load(of_torchvision)
    state = module.state_dict()
    assert torch.equal(state["stem.conv2d.weight"], given["conv1.weight"])
    assert torch.equal(state["layer2.0.shortcut.conv_bn.conv2d.weight"], given["layer2.0.downsample.0.weight"])
    assert fresh == {"fc.weight", "fc.bias"}
    head, rest = example.groups(module, fresh, 0.5)
    assert (head["lr"], [id(value) for value in head["params"]]) == (0.5, [id(module.fc.weight), id(module.fc.bias)])
    assert (rest["lr"], len(rest["params"])) == (0.05, 60)
    assert len(example.groups(module, set(state), 0.5)) == 1


def test_a_progress_bar_is_for_terminals_and_for_one_process(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (example.Worker(rank, 2, torch.device("cpu")) for rank in range(2))
    assert example.progress(first).disable
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert not example.progress(first).disable
    assert example.progress(second).disable


def test_the_matrix_is_drawn_right_side_up(example: ModuleType) -> None:
    counts = torch.zeros(10, 10, dtype=torch.int64)
    counts[0, 0], counts[7, 2] = 3, 1
    assert example.accuracy(counts) == 0.75
    picture = example.draw(counts)
    assert isinstance(picture, Image.Image)

    def corner(row: int, column: int) -> tuple[int, int, int]:
        return picture.getpixel((example.EDGE + column * example.CELL + 3, example.EDGE + row * example.CELL + 3))

    assert (corner(0, 0), corner(7, 2), corner(2, 7)) == ((0, 0x72, 0xB2), (0xE6, 0x9F, 0), (0xF5,) * 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "1"], "a batch of 1 gives each process 1 images: from 2 to 96 will do"),
        (["--batch", "97"], "a batch of 97 gives each process 97 images: from 2 to 96 will do"),
        (["--weights", "none.pth"], "error NS501: there is no file none.pth"),
    ],
)
def test_what_can_not_be_is_said(quick: ModuleType, arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=f"^{re.escape(message)}$"):
        quick.main(arguments)
