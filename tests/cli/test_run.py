"""`netspec run`: what a model sees in images, and all that may be wrong with them."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.backends.onnx import packages
from netspec.cli import run_command
from tests.support.lazy import lazy_imports

from .conftest import TINY, Run

with lazy_imports():
    import onnx
    from onnx import TensorProto, helper
    from sklearn.datasets import load_sample_image

    from netspec.backends.onnx.seeded import seeded_weights

WITH_IMAGES = (
    TINY.replace("classes: 10", "classes: 3")
    + "preprocess: {image: {resize: 40, crop: 32, mean: 0.5, std: 0.25}}\nlabels: {logits: [cat, dog, horse]}\n"
)


@pytest.fixture
def model(folder: Path) -> Path:
    (folder / "tiny.yaml").write_text(WITH_IMAGES.replace("expect: {parameters: 162}\n", ""))
    network = netspec.load(folder / "tiny.yaml")
    network.to_onnx(folder / "tiny.onnx", dict(seeded_weights(network.graph, 1)))
    for name in ("china", "flower"):
        Image.fromarray(load_sample_image(f"{name}.jpg")).save(folder / f"{name}.png")
    np.save(folder / "a.npy", np.random.default_rng(0).random((2, 3, 32, 32), dtype="float32"))
    return folder / "tiny.onnx"


def test_a_table(run: Run, model: Path) -> None:
    result = run("run", "tiny.onnx", "--image", "china.png", "--image", "flower.png", "--top", "2", "--device", "cpu")
    assert result.status == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["image", "class", "label", "%"]
    session = netspec.Session(model, "cpu")
    wanted = [
        [image, str(each.index), each.label, f"{100 * each.probability:.1f}"]
        for image in ("china.png", "flower.png")
        for each in session.classify(image, top=2)[0]
    ]
    assert lines[2:] == wanted
    assert result.err.startswith("ONNX Runtime ")
    assert result.err.endswith(" on the CPU\n")


def test_it_says_why_it_is_the_cpu(run: Run, model: Path) -> None:
    session = netspec.Session(model)
    result = run("run", "tiny.onnx", "--image", "china.png")
    where = "CUDA" if session.device == "cuda" else f"the CPU: {session.why}"
    assert result.err == f"{session.runtime} on {where}\n"


def test_json_and_a_file(run: Run, model: Path, folder: Path) -> None:
    result = run("run", "tiny.onnx", "--image", "china.png", "--device", "cpu", "-o", "seen.json")
    assert (result.status, result.out) == (0, "")
    found = json.loads((folder / "seen.json").read_text())
    assert (found["model"], found["device"]) == ("tiny.onnx", "cpu")
    ((image,),) = (found["images"],)
    assert image["image"] == "china.png"
    assert {each["label"] for each in image["predictions"]} == {"cat", "dog", "horse"}
    assert sum(each["probability"] for each in image["predictions"]) == pytest.approx(1, abs=1e-5)


def test_a_model_with_random_weights_says_so(run: Run, model: Path, folder: Path) -> None:
    assert "random" not in run("run", "tiny.onnx", "--image", "china.png").err
    netspec.load(folder / "tiny.yaml").to_onnx(folder / "tiny.onnx", seed=7)
    for arguments in (("--image", "china.png"), ("--array", "image=a.npy")):
        result = run("run", "tiny.onnx", *arguments)
        assert result.status == 0
        assert "its weights are random (seed 7), and so is what it tells: `netspec export --weights FILE`" in result.err


def test_one_image_named_twice_is_told_twice(run: Run, model: Path) -> None:
    result = run("run", "tiny.onnx", "--image", "china.png", "--image", "china.png", "--top", "1", "--format", "csv")
    assert len(result.out.splitlines()) == 3


def test_all_outputs_of_many_images(run: Run, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_command, "_IMAGES_AT_A_TIME", 3)
    read: list[int] = []
    images_of = netspec.Session.images

    def images(self: netspec.Session, given: list[str]) -> dict[str, np.ndarray]:
        read.append(len(given))
        return images_of(self, given)

    monkeypatch.setattr(netspec.Session, "images", images)
    names = ["china.png", "flower.png"] * 4
    given = [part for name in names for part in ("--image", name)]
    result = run("run", "tiny.onnx", *given, "--save", "scores.npz", "--device", "cpu")
    assert (result.status, read) == (0, [3, 3, 2])
    assert "wrote scores.npz" in result.err
    session = netspec.Session(model, "cpu")
    expected = session.run(images_of(session, names))["logits"]
    with np.load(folder / "scores.npz") as saved:
        np.testing.assert_allclose(saved["logits"], expected, rtol=1e-5, atol=1e-6)


def test_arrays(run: Run, model: Path, folder: Path) -> None:
    result = run("run", "tiny.onnx", "--array", "image=a.npy", "--format", "json", "--device", "cpu")
    (row,) = json.loads(result.out)["outputs"]
    expected = netspec.Session(model, "cpu").run(image=np.load(folder / "a.npy"))["logits"]
    assert (row["output"], row["shape"], row["dtype"]) == ("logits", [2, 3], "float32")
    assert (row["min"], row["max"]) == pytest.approx((float(expected.min()), float(expected.max())))
    assert "2 x 3" in run("run", "tiny.onnx", "--array", "image=a.npy").out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "pipe", "--image", "china.png"), "NS502: pipe is no file: it is a pipe"),
        (("run", "/dev/zero", "--image", "china.png"), "NS502: /dev/zero is no file: it is a device"),
        (("run", "tiny.onnx", "--image", "pipe"), "NS503: pipe can't be used: is a pipe"),
        (("run", "tiny.onnx", "--array", "image=pipe"), "NS503: pipe is no file: it is a pipe"),
        (("run", "tiny.onnx", "--array", "image=."), "NS503: . is no file: it is a directory"),
        (("import", "pipe", "-o", "x.yaml"), "NS502: pipe is no file: it is a pipe"),
        (("export", "tiny.yaml", "--weights", "pipe.safetensors"), "NS501: pipe.safetensors is no file: it is a pipe"),
    ],
)
def test_what_is_no_file_is_refused_at_once(run: Run, model: Path, arguments: tuple[str, ...], words: str) -> None:
    for name in ("pipe", "pipe.safetensors"):
        os.mkfifo(model.with_name(name))
    result = run(*arguments)
    assert result.status == 1
    assert words in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tiny.onnx", "--image", "none.png"), "NS503", f"none.png can't be used: {os.strerror(errno.ENOENT).lower()}"),
        (("tiny.onnx", "--image", "tiny.yaml"), "NS503", "tiny.yaml can't be used: it is no image"),
        (("tiny.onnx", "--array", "image=none.npy"), "NS503", "there is no file none.npy"),
        (("tiny.onnx", "--array", "image=china.png"), "NS503", "china.png is no array of numpy, or damaged"),
        (("tiny.onnx", "--array", "img=a.npy"), "NS503", "did you mean `image`?"),
        (("none.onnx", "--image", "china.png"), "NS502", "there is no file none.onnx"),
        (("china.png", "--image", "china.png"), "NS502", "china.png can't be used: it is cut off, or no ONNX model"),
        (("resnet18", "--image", "china.png"), "NS502", "`resnet18` is a network, and no model yet"),
        (("tiny.yaml", "--image", "china.png"), "NS502", "help: netspec export tiny.yaml"),
    ],
)
def test_what_is_wrong(run: Run, model: Path, arguments: tuple[str, ...], code: str, words: str) -> None:
    result = run("run", *arguments)
    assert (result.status, result.out) == (1, "")
    assert f"error {code}: " in result.err
    assert words in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("tiny.onnx",),
        ("tiny.onnx", "--image", "china.png", "--array", "image=a.npy"),
        ("tiny.onnx", "--array", "a.npy"),
        ("tiny.onnx", "--array", "image=a.npy", "--array", "image=a.npy"),
        ("tiny.onnx", "--image", "china.png", "--top", "0"),
        ("tiny.onnx", "--image", "china.png", "--device", "tpu"),
        ("tiny.onnx", "--image", "china.png", "--save", "x.txt"),
    ],
)
def test_usage(run: Run, model: Path, arguments: tuple[str, ...]) -> None:
    assert run("run", *arguments).status == 2


def test_a_model_that_says_nothing_of_images(run: Run, model: Path, folder: Path) -> None:
    netspec.loads(TINY).to_onnx(folder / "bare.onnx")
    result = run("run", "bare.onnx", "--image", "china.png")
    assert (result.status, "say it in the spec under `preprocess`" in result.err) == (1, True)


def test_arrays_that_hold_objects_are_not_opened(run: Run, model: Path, folder: Path) -> None:
    np.save(folder / "o.npy", np.array([print], dtype=object), allow_pickle=True)
    result = run("run", "tiny.onnx", "--array", "image=o.npy")
    assert (result.status, "o.npy is no array of numpy" in result.err) == (1, True)


def test_two_packages_of_onnx_runtime(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"onnxruntime": ["onnxruntime", "onnxruntime-gpu"]}
    monkeypatch.setattr(packages, "packages_distributions", lambda: both)
    result = run("run", "tiny.onnx", "--image", "china.png")
    assert (result.status, result.out) == (3, "")
    assert "help: pip uninstall -y onnxruntime onnxruntime-gpu" in result.err


def test_it_runs_without_torch(spawn: Run, model: Path) -> None:
    code = (
        "import sys; from netspec.cli.main import main\n"
        "try: main(['run', 'tiny.onnx', '--image', 'china.png'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'torchvision'} & sys.modules.keys()"
    )
    result = spawn(code=code)
    assert result.status == 0, result.err
    assert "horse" in result.out


def test_a_batch_of_a_fixed_size(run: Run, model: Path, folder: Path) -> None:
    """So many images are run at a time as the model takes, and no other number."""
    (folder / "two.yaml").write_text((folder / "tiny.yaml").read_text().replace("[N, 3, 32, 32]", "[2, 3, 32, 32]"))
    netspec.load(folder / "two.yaml").to_onnx(folder / "two.onnx", seed=1)
    images = ["--image", "china.png", "--image", "flower.png"]
    together = run("run", "two.onnx", *images, *images, "--format", "csv")
    assert together.out == run("run", "tiny.onnx", *images, *images, "--format", "csv").out
    result = run("run", "two.onnx", *images, *images[:2])
    assert (result.status, "`image` is 2 x 3 x 32 x 32, and was given as 1 x 3" in result.err) == (1, True)


def test_outputs_that_score_no_classes(run: Run, model: Path, folder: Path) -> None:
    text = (folder / "tiny.yaml").read_text().replace("outputs: {logits: fc}", "outputs: {file: conv, all: fc}")
    (folder / "two.yaml").write_text(text[: text.index("labels:")])
    netspec.load(folder / "two.yaml").to_onnx(folder / "two.onnx", seed=1)
    result = run("run", "two.onnx", "--image", "china.png", "--save", "x.npz")
    assert result.status == 0
    assert [line.split()[0] for line in result.out.splitlines()[2:]] == ["file", "all"]
    with np.load(folder / "x.npz") as saved:
        assert {name: saved[name].shape for name in saved} == {"file": (1, 4, 32, 32), "all": (1, 3)}


def other_model(folder: Path, *nodes: onnx.NodeProto, output: tuple[str, int, list[int | str]]) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])
    y = helper.make_tensor_value_info(*output)
    made = helper.make_model(
        helper.make_graph(list(nodes), "other", [x], [y]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    (folder / "other.onnx").write_bytes(made.SerializeToString())
    np.save(folder / "x.npy", np.zeros(3, "float32"))


def test_outputs_that_have_no_range(run: Run, folder: Path) -> None:
    other_model(folder, helper.make_node("NonZero", ["x"], ["y"]), output=("y", TensorProto.INT64, [1, "K"]))
    result = run("run", "other.onnx", "--array", "x=x.npy", "--save", "y.npz")
    assert result.out.splitlines()[-1].split() == ["y", "1", "x", "0", "int64", "-", "-", "-"]
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING)
    other_model(folder, node, output=("y", TensorProto.STRING, ["N"]))
    assert run("run", "other.onnx", "--array", "x=x.npy").out.splitlines()[-1].split()[-3:] == ["-", "-", "-"]
    other_model(folder, helper.make_node("Log", ["x"], ["y"]), output=("y", TensorProto.FLOAT, ["N"]))
    (row,) = json.loads(run("run", "other.onnx", "--array", "x=x.npy", "--format", "json").out)["outputs"]
    assert (row["min"], row["mean"], row["max"]) == (None, None, None)


def test_a_scalar_is_saved(run: Run, folder: Path) -> None:
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    other_model(folder, node, output=("y", TensorProto.FLOAT, []))
    assert run("run", "other.onnx", "--array", "x=x.npy", "--save", "y.npz").status == 0
    with np.load(folder / "y.npz") as saved:
        assert saved["y"].shape == ()


def test_names_that_a_terminal_would_obey(run: Run, folder: Path) -> None:
    name = "\x1b[31mred\x1b[0m"
    other_model(folder, helper.make_node("Relu", ["x"], [name]), output=(name, TensorProto.FLOAT, ["N"]))
    result = run("run", "other.onnx", "--array", "x=x.npy")
    assert (result.status, "\x1b" in result.out) == (0, False)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr': ", b"x" * 100])
def test_arrays_that_are_damaged(run: Run, model: Path, folder: Path, content: bytes) -> None:
    (folder / "bad.npy").write_bytes(content)
    result = run("run", "tiny.onnx", "--array", "image=bad.npy")
    assert (result.status, "bad.npy is no array of numpy, or damaged" in result.err) == (1, True)


def test_a_report_that_can_not_be_written_leaves_nothing(run: Run, model: Path, folder: Path) -> None:
    result = run("run", "tiny.onnx", "--image", "china.png", "--save", "x.npz", "-o", "no/such/folder.json")
    assert (result.status, (folder / "x.npz").exists()) == (1, False)


def test_labels_that_only_torchvision_has(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.labels.find_spec", lambda name: None)
    netspec.load("resnet18").to_onnx(folder / "r.onnx")
    Image.fromarray(load_sample_image("china.jpg")).save(folder / "china.png")
    result = run("run", "r.onnx", "--image", "china.png", "--top", "1")
    assert (result.status, result.out.splitlines()[0].split()) == (0, ["image", "class", "%"])
    assert "pip install torchvision to see them" in result.err


def test_without_pillow(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "netspec.backends.images", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    result = run("run", "tiny.onnx", "--image", "china.png")
    assert (result.status, result.out) == (3, "")
    assert result.err.endswith(
        "error NS601: images are read by Pillow, which is not installed\n   help: pip install pillow\n"
    )
