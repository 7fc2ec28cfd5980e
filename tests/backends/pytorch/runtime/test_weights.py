"""Weights that people have: torchvision's state dicts as they are, checkpoints, shards, and files that are broken."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec import NetspecError
from netspec.backends.marks import written_for
from netspec.weights import best_fit, nearest
from netspec.weights_report import weights_report
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from safetensors.torch import save_file
    from torch import nn

    from netspec.backends.pytorch.runtime.weights import read_weights, save_weights
    from tests.support.interpret import randomize

IN_3X3 = {"stride_in_3x3": True}
TORCHVISION: list[tuple[str, str, dict[str, Any]]] = [
    ("alexnet_owt", "alexnet", {}),
    ("vgg_a", "vgg11", {}),
    ("vgg_b", "vgg13", {}),
    ("vgg_d", "vgg16", {}),
    ("vgg_e", "vgg19", {}),
    ("vgg_a", "vgg11_bn", {"batch_norm": True}),
    ("vgg_b", "vgg13_bn", {"batch_norm": True}),
    ("vgg_d", "vgg16_bn", {"batch_norm": True}),
    ("vgg_e", "vgg19_bn", {"batch_norm": True}),
    ("googlenet_bn", "googlenet", {}),
    ("resnet18", "resnet18", {}),
    ("resnet34", "resnet34", {}),
    ("resnet50", "resnet50", IN_3X3),
    ("resnet101", "resnet101", IN_3X3),
    ("resnet152", "resnet152", IN_3X3),
]


def theirs(name: str, **options: Any) -> nn.Module:
    """torchvision's module with random weights and statistics, without its initialisers, which take their time."""
    if name.startswith(("vgg", "googlenet")):
        options["init_weights"] = False
    with torch.device("meta"):
        made = getattr(torchvision.models, name)(**options)
    made = made.to_empty(device="cpu").eval()
    randomize(made)
    return made


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize(("ours", "name", "params"), TORCHVISION, ids=[case[1] for case in TORCHVISION])
def test_torchvisions_weights_as_they_are(ours: str, name: str, params: dict[str, Any]) -> None:
    other = theirs(name)
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    if name == "googlenet":
        other.transform_input = False
    module = netspec.load(ours, params=params).compile(other.state_dict()).eval()
    wanted = other(x)
    assert wanted.std() > 1e-4
    torch.testing.assert_close(module(x), wanted, rtol=1e-3, atol=1e-5 * float(wanted.abs().max()))


def test_layers_are_counted_by_their_numbers(tmp_path: Path) -> None:
    """A safetensors file has its keys in another order."""
    state = {key: torch.rand(value.shape) for key, value in theirs("vgg11_bn").state_dict().items() if value.ndim}
    save_file(state, tmp_path / "vgg.safetensors")
    module = netspec.load("vgg_a", params={"batch_norm": True}).compile(tmp_path / "vgg.safetensors")
    assert torch.equal(module.get_submodule("conv5.1.conv2d").weight, state["features.25.weight"])
    assert torch.equal(module.get_submodule("fc8").bias, state["classifier.6.bias"])
    with pytest.raises(NetspecError, match=r"they fit with `--set batch_norm=true`"):
        netspec.load("vgg_a").compile(tmp_path / "vgg.safetensors")


def test_googlenet_without_its_auxiliary_classifiers() -> None:
    other = theirs("googlenet", aux_logits=False)
    module = netspec.load("googlenet_bn").compile(other.state_dict())
    state = other.state_dict()
    assert torch.equal(
        module.get_submodule("inception5b.pool.conv.conv2d").weight, state["inception5b.branch4.1.conv.weight"]
    )
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


def test_what_fits_by_shape_and_is_wrong_is_refused_with_the_way_out() -> None:
    state = theirs("resnet50").state_dict()
    with pytest.raises(NetspecError, match=r"keys of torchvision have its shapes, and are for `stride_in_3x3=true`"):
        netspec.load("resnet50").compile(state)
    with pytest.raises(NetspecError, match=r"they fit with `--set stride_in_3x3=true`"):
        netspec.load("resnet50").compile(state, partial=True)


def test_a_converted_file_remembers_what_it_is_for(tmp_path: Path) -> None:
    small = {"stages": [1, 1, 1, 1], "classes": 3}
    made = netspec.load("resnet50", params={**small, **IN_3X3})
    path = tmp_path / "w.safetensors"
    save_weights(dict(made.compile().state_dict()), path, made.params)
    assert written_for(path) == made.params
    made.compile(path)
    with pytest.raises(NetspecError, match=r"are for `stride_in_3x3=true`\n +help: they fit with `--set stride_in_3x3"):
        netspec.load("resnet50", params=small).compile(path)


SPEC = """
netspec: 1
name: little
params: {classes: 4, wide: false}
inputs: {image: [N, 3, 8, 8]}
network:
  - {conv2d: {out_channels: 6, kernel_size: 3}, name: conv}
  - {batch_norm, name: norm}
  - relu
  - {conv2d: {out_channels: 6, kernel_size: 3}, name: conv2}
  - {conv2d: {out_channels: 6, kernel_size: 1}, name: extra, when: wide}
  - adaptive_avg_pool2d: 1
  - flatten
  - {linear: classes, name: head}
weights:
  other:
    title: the others
    keys: {features.0: conv, "features.*.norm": norm, features.2: conv2, classifier: head, counter: null}
"""


@pytest.fixture
def little() -> netspec.Network:
    return netspec.loads(SPEC)


@pytest.fixture
def state(little: netspec.Network) -> dict[str, torch.Tensor]:
    module = little.compile()
    randomize(module)
    return {key: value.clone() for key, value in module.state_dict().items()}


def same(module: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def in_their_words(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {"conv": "features.0", "norm": "features.1.norm", "conv2": "features.2", "head": "classifier"}
    return {f"{names[key.partition('.')[0]]}.{key.partition('.')[2]}": value for key, value in state.items()}


def test_rules_for_keys(little: netspec.Network, state: dict[str, torch.Tensor]) -> None:
    assert same(little.compile(in_their_words(state)), state)
    assert same(little.compile({**in_their_words(state), "counter.steps": torch.zeros(1)}), state)
    with pytest.raises(NetspecError, match=r"1 unused, such as `features.20.weight`"):
        little.compile({**in_their_words(state), "features.20.weight": torch.zeros(1)})


def test_rules_for_prefixes_rename_what_rules_for_keys_give(state: dict[str, torch.Tensor]) -> None:
    """The first of either counts; a prefix ends at a dot, so that `features.0` is none of `features.01`."""
    rules = """
    keys: {features.*.norm: layers.*.norm, features.*: layers.*, classifier: head}
    prefixes: {layers.0: conv, layers.1.norm: norm, layers.1: nowhere, layers.2: conv2, layers.01: null}
"""
    little = netspec.loads(SPEC.partition("    keys:")[0] + rules.lstrip("\n"))
    theirs = {**in_their_words(state), "features.01.weight": torch.zeros(1)}
    assert same(little.compile(theirs), state)


def test_weights_of_a_module_are_copied(little: netspec.Network) -> None:
    first = little.compile()
    second = little.compile(first.state_dict())
    with torch.no_grad():
        first.get_submodule("head").bias.add_(1)
    assert not torch.equal(first.get_submodule("head").bias, second.get_submodule("head").bias)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "old.pt", "checkpoint.pt", "compiled.pt", "index"])
def test_files(little: netspec.Network, state: dict[str, torch.Tensor], tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    match name:
        case "w.safetensors":
            save_file(state, path)
        case "old.pt":
            torch.save(state, path, _use_new_zipfile_serialization=False)
        case "checkpoint.pt":
            wrapped = {f"module.{key}": value for key, value in in_their_words(state).items()}
            torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, "model_state_dict": wrapped}, path)
        case "compiled.pt":
            torch.save({f"_orig_mod.module.{key}": value for key, value in state.items()}, path)
        case "index":
            path = tmp_path / "model.safetensors.index.json"
            keys = list(state)
            files = {key: f"model-{number % 2}.safetensors" for number, key in enumerate(keys)}
            for file in set(files.values()):
                save_file({key: state[key] for key in keys if files[key] == file}, tmp_path / file)
            path.write_text(json.dumps({"weight_map": files}))
        case _:
            torch.save(state, path)
    module = little.compile(path)
    assert same(module, state)
    # What came from a file can be trained, and the file stays as it was.
    before = path.read_bytes()
    module(torch.rand(2, 3, 8, 8)).sum().backward()
    torch.optim.SGD(module.parameters(), lr=1.0).step()
    assert not same(module, state)
    assert path.read_bytes() == before


def test_other_classes(little: netspec.Network, state: dict[str, torch.Tensor]) -> None:
    other = netspec.loads(SPEC, params={"classes": 7})
    with pytest.raises(NetspecError, match=r"`head.weight` is \[4, 6\][\s\S]*they fit with `--set classes=4`"):
        other.compile(state)
    torch.manual_seed(0)
    module = other.compile(state, partial=True)
    assert torch.equal(module.get_submodule("conv").weight, state["conv.weight"])
    assert module.get_submodule("head").weight.shape == (7, 6)
    assert module.get_submodule("head").weight.std() > 0
    with pytest.raises(NetspecError, match="do not fit"):
        other.compile({"nothing": torch.zeros(1)}, partial=True)


def test_half_floats_become_floats_and_ints_do_not(little: netspec.Network, state: dict[str, torch.Tensor]) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    assert little.compile(half).get_submodule("conv").weight.dtype == torch.float32
    ints = {**state, "conv.weight": state["conv.weight"].to(torch.int8)}
    with pytest.raises(NetspecError, match=r"`conv.weight` is float32, and int8 in the file"):
        little.compile(ints)


def test_counters_may_be_missing(little: netspec.Network, state: dict[str, torch.Tensor]) -> None:
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert torch.equal(little.compile(old).get_submodule("norm").running_mean, state["norm.running_mean"])


def test_a_failed_match_names_what_may_be_meant(little: netspec.Network, state: dict[str, torch.Tensor]) -> None:
    renamed = {key.replace("conv2.", "second.").replace("head.", "top."): value for key, value in state.items()}
    shapes = {key: tuple(value.shape) for key, value in renamed.items()}
    found = best_fit(little.graph, shapes, little.spec.weights, little.params)
    assert nearest(found) == {
        "conv2.weight": "second.weight",
        "conv2.bias": "second.bias",
        "head.weight": "top.weight",
        "head.bias": "top.bias",
    }
    with pytest.raises(NetspecError, match=r"`conv2.weight` may be `second.weight`: rules for keys stand under"):
        little.compile(renamed)
    report = weights_report(found, "little", "w.pt")
    assert (report["matched"], len(report["missing"]), len(report["unused"]), report["fits"]) == (7, 4, 4, False)
    assert "missing  conv2.bias" in str(report)


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("this ran",))


def broken_files(folder: Path, state: dict[str, torch.Tensor]) -> dict[str, str]:
    """Files that hold no weights, each with what is said of it."""
    torch.save(state, folder / "whole.pt")
    save_file(state, folder / "whole.safetensors")
    data, safe = (folder / "whole.pt").read_bytes(), (folder / "whole.safetensors").read_bytes()
    files: dict[str, tuple[bytes, str]] = {
        "cut.pt": (data[: len(data) // 2], "cut off"),
        "cut.safetensors": (safe[: len(safe) // 2], "cut off"),
        "head.safetensors": (safe[:20], "cut off"),
        "empty.pt": (b"", "cut off"),
        "empty.safetensors": (b"", "cut off"),
        "text.pt": (b"not weights at all", "not one that torch.save wrote"),
        "huge.safetensors": ((2**62).to_bytes(8, "little") + b"{}", "cut off"),
        "code.pt": (pickle.dumps({"a": Code()}), "holds more than tensors|not one that torch.save wrote"),
        "none.index.json": (b"{}", "no index of shards"),
        "list.index.json": (b"[1]", "no index of shards"),
        "out.index.json": (b'{"weight_map": {"a": "../whole.safetensors"}}', "not beside it"),
        "gone.index.json": (b'{"weight_map": {"a": "gone.safetensors"}}', "there is no file"),
    }
    for name, value in {
        "module.pt": nn.Linear(2, 2),
        "code2.pt": {"a": Code()},
        "list.pt": [torch.zeros(1)],
        "nothing.pt": {},
        "strings.pt": {"a": "b", "epoch": 3},
    }.items():
        buffer = io.BytesIO()
        torch.save(value, buffer)
        said = "more than tensors" if name in ("module.pt", "code2.pt") else f"{name} holds no state dict"
        files[name] = (buffer.getvalue(), said)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hello.txt", "no weights")
    files["zip.pt"] = (archive.getvalue(), "not one that torch.save wrote")
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    return {name: said for name, (_, said) in files.items()}


def test_files_that_hold_no_weights(
    state: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, said in broken_files(tmp_path, state).items():
        with pytest.raises(NetspecError, match=said) as caught:
            read_weights(tmp_path / name)
        assert caught.value.diagnostics[0].code == "NS501"
    with pytest.raises(NetspecError, match="there is no file"):
        read_weights(tmp_path / "missing.pt")
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_shard_that_is_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "m.index.json").write_text('{"weight_map": {"a": "a.safetensors"}}')
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(NetspecError, match=r"a\.safetensors is no file: it is a pipe, which .* names"):
        read_weights(tmp_path / "m.index.json")


def test_files_with_flipped_bits(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """They are read, or refused with a word."""
    broken_files(tmp_path, state)
    chance = random.Random(0)
    for name in ("whole.pt", "whole.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for number in range(60):
            data = bytearray(whole)
            for _ in range(chance.choice((1, 4, 16))):
                data[chance.randrange(min(len(data), 400 if number % 2 else len(data)))] = chance.randrange(256)
            path = tmp_path / f"{number}-{name}"
            path.write_bytes(bytes(data))
            with suppress(NetspecError):
                read_weights(path)


SEVERAL = """
netspec: 1
name: pair
params: {wide: false}
networks:
  first:
    inputs: {x: [N, 4]}
    body: [{linear: 3, name: fc}]
    weights: {theirs: {keys: {head: fc}}}
  second:
    inputs: {x: [N, 4]}
    body: [{linear: 3, name: fc}]
    weights: {others: {params: {wide: true}, keys: {tail: fc}}}
  both:
    inputs: {x: [N, 4]}
    body: [first, {linear: 4, name: between}, second]
"""


def test_each_of_several_networks_has_origins_of_its_own() -> None:
    heads = {"head.weight": torch.randn(3, 4), "head.bias": torch.randn(3)}
    tails = {key.replace("head", "tail"): value for key, value in heads.items()}
    first = netspec.loads(SEVERAL, network="first").compile(heads)
    assert torch.equal(first.fc.weight, heads["head.weight"])
    with pytest.raises(netspec.NetspecError, match="NS501"):
        netspec.loads(SEVERAL, network="first").compile(tails)
    with pytest.raises(netspec.NetspecError, match=r"NS501: .*wide=true"):
        netspec.loads(SEVERAL, network="second").compile(tails)
    second = netspec.loads(SEVERAL, network="second", params={"wide": True}).compile(tails)
    assert torch.equal(second.fc.bias, heads["head.bias"])
    assert netspec.loads(SEVERAL, network="both").spec.weights == ()
