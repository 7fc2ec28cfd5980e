"""`netspec transform`: specs and source of transformed networks, weights beside them, and what is told of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import netspec
from tests.support.lazy import lazy_imports

from .conftest import Run

with lazy_imports():
    import torch
    from safetensors.torch import load_file, save_file

SPEC = """\
netspec: 1
name: small
title: A small network
params: {classes: 6}
inputs: {image: [N, 3, 16, 16]}
blocks:
  conv:
    params: {width: int}
    body:
      - conv2d: {out_channels: width, kernel_size: 3, padding: 1, bias: false}
      - batch_norm
      - relu
network:
  - {conv: 8, name: conv1}
  - {max_pool2d: 2, name: pool1}
  - {conv: 12, name: conv2, repeat: 2}
  - {max_pool2d: 2, name: pool2}
  - flatten
  - {linear: 20, name: fc1}
  - relu
  - dropout: 0.5
  - {linear: classes, name: fc2}
outputs: {logits: fc2}
"""


@pytest.fixture
def state(folder: Path) -> dict[str, torch.Tensor]:
    """The spec as `small.yaml`, and trained weights of it, which are `w.safetensors` too."""
    (folder / "small.yaml").write_text(SPEC)
    torch.manual_seed(0)
    found = netspec.loads(SPEC).compile().state_dict()
    for key, tensor in found.items():
        if key.endswith(("running_mean", "running_var")):
            tensor.uniform_(0.5, 2)
    save_file(found, folder / "w.safetensors")
    return found


def image_of_16() -> torch.Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def scores(path: Path, weights: Path | None = None, image: torch.Tensor | None = None) -> torch.Tensor:
    """What the network of a spec gives, with the weights beside it."""
    module = netspec.load(path).compile(load_file(weights or path.with_suffix(".safetensors"))).eval()
    with torch.inference_mode():
        return module(image_of_16() if image is None else image)


def test_folded_and_stripped(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    arguments = ("--fold-batch-norm", "--strip-dropout", "--weights", "w.safetensors", "-o", "lean.yaml")
    result = run("transform", "small.yaml", *arguments)
    assert (result.status, result.out) == (0, "")
    told = result.err.splitlines()
    assert told[0] == "1 dropout dropped"
    assert told[1] == "3 batch norms folded into the layers before them"
    assert told[2].startswith("proved with these weights: outputs equal to ")
    assert told[3] == (
        "wrote lean.yaml: 16 -> 12 nodes, 6,426 -> 6,394 parameters, 197,496 -> 197,496 MACs;"
        " and its weights, lean.safetensors"
    )
    text = (folder / "lean.yaml").read_text()
    assert text.splitlines()[:4] == [
        "# Written by netspec from a graph.",
        "# from small.yaml",
        "# 1 dropout dropped",
        "# 3 batch norms folded into the layers before them",
    ]
    assert "batch_norm" not in text
    assert "- {conv: 12, name: conv2, repeat: 2}" in text
    found = scores(folder / "lean.yaml")
    torch.testing.assert_close(found, scores(folder / "small.yaml", folder / "w.safetensors"), rtol=1e-4, atol=1e-5)


def test_source_with_weights(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run("transform", "small.yaml", "--until", "pool2", "--weights", "w.safetensors", "-o", "features.py")
    assert result.status == 0
    assert "11 of 16 nodes kept" in result.err
    names: dict[str, object] = {}
    exec(compile((folder / "features.py").read_text(), "features.py", "exec"), names)
    module = names["Small"]()  # type: ignore[operator]
    module.load_state_dict(load_file(folder / "features.safetensors"))
    assert module.eval()(image_of_16()).shape == (2, 12, 4, 4)
    whole = netspec.loads(SPEC).compile(state).eval()
    caught: list[torch.Tensor] = []
    whole.pool2.register_forward_hook(lambda _, __, y: caught.append(y))
    whole(image_of_16())
    torch.testing.assert_close(module(image_of_16()), caught[0])


def test_a_head_of_other_classes(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run("transform", "small.yaml", "--head", "classes=4", "--weights", "w.safetensors", "-o", "mine.yaml")
    assert result.status == 0
    assert "no proof: weights that are fresh give other outputs" in result.err
    assert result.err.endswith("; and its weights, mine.safetensors, of which fc2.bias, fc2.weight are fresh\n")
    assert "params: {classes: 4}" in (folder / "mine.yaml").read_text()
    made = load_file(folder / "mine.safetensors")
    assert made["fc2.weight"].shape == (4, 20)
    assert all(torch.equal(made[key], state[key]) for key in state if not key.startswith("fc2"))
    assert scores(folder / "mine.yaml").shape == (2, 4)


def test_any_image(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run("transform", "small.yaml", "--fully-convolutional", "--weights", "w.safetensors", "-o", "dense.yaml")
    assert result.status == 0
    same = scores(folder / "dense.yaml")
    assert same.shape == (2, 6, 1, 1)
    torch.testing.assert_close(same.flatten(1), scores(folder / "small.yaml", folder / "w.safetensors"))
    assert scores(folder / "dense.yaml", image=torch.randn(1, 3, 24, 32)).shape == (1, 6, 3, 5)


def test_truncated_matrices(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    arguments = ("--truncate-svd", "fc1=6, fc2=4", "--weights", "w.safetensors", "-o", "light.yaml")
    result = run("transform", "small.yaml", *arguments)
    assert (result.status, result.out) == (0, "")
    told = result.err.splitlines()
    assert told[:2] == [
        "`fc1` split at rank 6 of 20: 3,840 -> 1,272 weights",
        "`fc2` split at rank 4 of 6: 120 -> 104 weights",
    ]
    for line, key, rank in zip(told[2:4], ("fc1.weight", "fc2.weight"), (6, 4), strict=True):
        values = torch.linalg.svdvals(state[key].double()) ** 2
        error = (values[rank:].sum() / values.sum()).sqrt()
        assert line == f"`{key}` has a relative error of {error:.2g} (Frobenius norm)"
    difference = re.fullmatch(
        r"measured with these weights, on random inputs: outputs differ by up to (\de-0\d) of the largest value",
        told[4],
    )
    assert difference
    assert 1e-3 < float(difference[1]) < 1
    assert told[5].endswith("6,426 -> 3,842 parameters, 197,496 -> 194,912 MACs; and its weights, light.safetensors")
    exact = scores(folder / "small.yaml", folder / "w.safetensors")
    assert 1e-3 < float((scores(folder / "light.yaml") - exact).abs().max() / exact.abs().max()) < 1


def test_matrices_of_full_rank_are_proved(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run(
        "transform", "small.yaml", "--truncate-svd", "fc1=20,fc2=6", "--weights", "w.safetensors", "-o", "x.py"
    )
    assert result.status == 0
    told = result.err.splitlines()
    assert [line for line in told if "relative error" in line] == []
    assert told[2].startswith("proved with these weights: outputs equal to ")
    without = run("transform", "small.yaml", "--truncate-svd", "fc1=6", "--strip-dropout")
    assert without.err.splitlines()[2] == (
        "no proof: the new network approximates the old one; with --weights the error is measured"
    )


def test_on_stdout(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run("transform", "small.yaml", "--outputs", "conv1, conv2.0", "--no-proof")
    assert result.status == 0
    assert "proved" not in result.err
    graph = netspec.loads(result.out).graph
    assert [(o.name, o.value) for o in graph.outputs] == [("conv1", "conv1.relu"), ("conv2_0", "conv2.0.relu")]


def test_without_a_transform_it_is_written_as_it_is(run: Run, folder: Path) -> None:
    result = run("transform", "resnet34", "--set", "classes=10", "--input", "3x64x64")
    assert (result.status, result.err) == (0, "")
    assert "extends" not in result.out
    expected = netspec.load("resnet34", params={"classes": 10}, inputs={"image": ["N", 3, 64, 64]})
    assert netspec.loads(result.out).graph.hash() == expected.graph.hash()


def test_what_is_declined_is_told(run: Run, folder: Path) -> None:
    (folder / "norms.yaml").write_text(
        "netspec: 1\nname: norms\ninputs: {x: [N, 4, 8, 8]}\n"
        "network: [{batch_norm, name: stem, repeat: 7}, {conv2d: {out_channels: 4, kernel_size: 1}}, batch_norm]\n"
    )
    result = run("transform", "norms.yaml", "--fold-batch-norm")
    assert result.status == 0
    assert result.err.splitlines()[:2] == [
        "1 batch norm folded into the layers before them",
        "declined `stem.0`, `stem.1`, `stem.2`, `stem.3`, `stem.4` and 2 more: "
        "no convolution or linear layer is right before it",
    ]


def test_what_a_spec_cannot_say(run: Run, folder: Path) -> None:
    result = run("transform", "resnet18", "--outputs", "layer1.0,layer2", "-o", "x.yaml")
    assert (result.status, result.out) == (1, "")
    assert "error NS401: `layer1.0.relu` is used outside the copies of `layer1`" in result.err
    assert "help: PyTorch source can: `-o NAME.py`" in result.err
    assert not (folder / "x.yaml").exists()
    assert run("transform", "resnet18", "--outputs", "layer1.0,layer2", "-o", "x.py").status == 0


# Files that are there, and usage.


@pytest.mark.parametrize("name", ["x.yaml", "x.py"])
def test_keeps_a_file_that_is_not_ours(run: Run, folder: Path, name: str) -> None:
    (folder / name).write_text("# mine\n")
    refused = run("transform", "alexnet", "--no-proof", "-o", name)
    assert refused.status == 1
    assert f"{name} exists and was not written by netspec; --force overwrites it" in refused.err
    assert (folder / name).read_text() == "# mine\n"
    assert run("transform", "alexnet", "--no-proof", "--force", "-o", name).status == 0
    # What it wrote itself it writes again.
    assert run("transform", "alexnet", "--no-proof", "-o", name).status == 0


def test_keeps_the_file_of_weights(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    before = (folder / "w.safetensors").read_bytes()
    result = run("transform", "small.yaml", "--strip-dropout", "--weights", "w.safetensors", "-o", "w.yaml")
    assert result.status == 1
    assert "w.safetensors is the file of weights, and would be overwritten" in result.err
    assert (folder / "w.safetensors").read_bytes() == before
    assert not (folder / "w.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until", "conv1", "--outputs", "conv1"), "--until NAME is short for --outputs NAME"),
        (("--head", "10"), "--head takes classes=N, such as classes=10, not `10`"),
        (("--head", "classes=x"), "--head takes classes=N, such as classes=10, not `classes=x`"),
        (("--truncate-svd", "fc"), "--truncate-svd takes LAYER=RANK, such as fc6=1024,fc7=256, not `fc`"),
        (("--truncate-svd", "fc=1.5"), "not `fc=1.5`"),
        (("--truncate-svd", "=3"), "not `=3`"),
        (("--truncate-svd", "fc=3,"), "not ``"),
        (("--truncate-svd", "fc=3,fc=4"), "--truncate-svd has `fc` twice"),
        (("-o", "x.onnx"), "-o takes a file that ends in .yaml or .py, not `x.onnx`"),
        (("--weights", "w.safetensors"), "--weights goes with a file"),
    ],
)
def test_usage(run: Run, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("transform", "resnet18", *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until", "layer9"), "`resnet18` has no value `layer9`"),
        (("--outputs", "layer1,layer1"), "`layer1` is named twice"),
        (("--until", "image"), "`image` is an input"),
        (("--head", "classes=0"), "classes"),
        (("--truncate-svd", "fd=3"), "`resnet18` has no linear layer `fd`"),
        (
            ("--truncate-svd", "fc=513"),
            "the rank of `fc`, a matrix of 1,000 x 512, is an integer from 1 to 512, not 513",
        ),
        (("--weights", "nothing.pt", "-o", "x.py"), "there is no file nothing.pt"),
    ],
)
def test_what_is_wrong_is_said(run: Run, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("transform", "resnet18", *arguments)
    assert (result.status, result.out) == (1, "")
    assert said in result.err
    assert "Traceback" not in result.err
    assert not list(folder.glob("x.*"))


def test_an_unproved_transform_is_not_written(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netspec import passes

    right = passes.strip_dropout

    def wrong(graph: netspec.Graph) -> passes.Transformed:
        """A pass that loses what it says it keeps."""
        made = right(graph)
        keys = [key for key in made.graph.state() if key.endswith("fc6.bias")]
        return passes.Transformed(
            made.graph, derived={key: passes.Derived((key,), lambda bias: bias + 1) for key in keys}
        )

    monkeypatch.setattr(passes, "strip_dropout", wrong)
    result = run("transform", "alexnet", "--strip-dropout", "-o", "x.yaml")
    assert result.status == 1
    assert "error NS402: output `logits` of the new graph differs" in result.err
    assert not (folder / "x.yaml").exists()


def test_a_pass_that_computes_something_else_is_not_proved(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netspec import passes

    right = passes.strip_dropout
    arguments = ("transform", "small.yaml", "--strip-dropout", "--fold-batch-norm", "-o", "x.yaml")
    (folder / "small.yaml").write_text(SPEC)
    assert "\nproved " in run(*arguments).err
    monkeypatch.setattr(passes, "strip_dropout", lambda graph: replace(right(graph), equal=False))
    result = run(*arguments)
    assert result.status == 0
    assert result.err.splitlines()[2] == "no proof: the new network computes something else"


def test_every_pass_has_an_option(run: Run) -> None:
    from netspec import passes
    from netspec.cli import transform_command

    table = transform_command._PASS_OPTIONS  # pyright: ignore[reportPrivateUsage]
    names = {name for name in passes.__all__ if not name[0].isupper()}
    assert sorted({option.name for option in table} ^ names) == [], "each pass needs a line in _PASS_OPTIONS"
    told = run("transform", "--help").out
    places = [told.index(f"  {option.flag} ") for option in table]
    assert places == sorted(places)


PROVED = {
    # Integers are the smallest that ops take: the sum of words is 0, and the mean over no words no number.
    "a sum of integers": """
inputs: {words: {shape: [N, 4], dtype: int64}}
network: [{sum: 1, name: total}, {embedding: {num_embeddings: 9, embedding_dim: 4}}, {dropout: 0.5, name: d}]
outputs: {total: total, vectors: d}
""",
    "no number": """
inputs: {x: [N, T, 5], lengths: {shape: [N], dtype: int64}}
network:
  - {sequence_mask, from: [lengths, x], name: mask}
  - {sum: {dim: 1, keepdim: true}, name: count}
  - {sum: 1, from: x, name: total}
  - {divide, from: [total, count]}
  - dropout
""",
    "a network of two samples at least": "\ninputs: {x: [N, 4]}\nnetwork: [{select: {dim: 0, index: 1}}, dropout]\n",
}


@pytest.mark.parametrize("body", PROVED.values(), ids=PROVED)
def test_outputs_of_any_numbers_are_compared(body: str, run: Run, folder: Path) -> None:
    (folder / "one.yaml").write_text(f"netspec: 1\nname: one{body}")
    done = run("transform", "one.yaml", "--strip-dropout", "-o", "lean.yaml")
    assert "proved with random weights: outputs equal to 0e+00 of the largest value" in done.err
