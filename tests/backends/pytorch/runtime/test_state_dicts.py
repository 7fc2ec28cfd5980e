"""State dicts as people have them: in checkpoints, behind prefixes, and with what no module has in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec import NetspecError
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from safetensors.torch import save_file
    from torch import Tensor, nn

SPEC = """
netspec: 1
name: prefix
inputs: {x: [N, 4]}
network:
  - {linear: 4, name: fc}
weights:
  theirs:
    keys: {model.0: fc, spare: null}
"""


@cache
def fc() -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.eye(4), "fc.bias": torch.ones(4)}


@pytest.fixture
def net() -> netspec.Network:
    return netspec.loads(SPEC)


def takes(net: netspec.Network, given: Any, key: str = "") -> bool:
    """Whether a module has the weights, and an ONNX model too."""
    weight = net.compile(given, key=key).fc.weight
    net.to_onnx("fc.onnx", given, key=key)
    return torch.equal(weight, torch.eye(4)) and torch.eye(4).numpy().tobytes() in Path("fc.onnx").read_bytes()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def behind(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in fc().items()}


# Prefixes.


@pytest.mark.parametrize(
    "prefix", ["model.0", "module.model.0", "_orig_mod.module.model.0", "module.fc", "model.fc", "a.b.fc"]
)
def test_rules_are_tried_on_the_keys_as_they_are_and_behind_a_prefix(net: netspec.Network, prefix: str) -> None:
    state = {key.replace("fc", prefix): value for key, value in fc().items()}
    assert takes(net, state)
    torch.save(state, "w.pt")
    assert takes(net, "w.pt")
    _, found = net.fit_weights("w.pt")
    assert found.pairs == {key: key.replace("fc", prefix) for key in fc()}


def test_reports_name_the_keys_of_the_file(net: netspec.Network) -> None:
    torch.save({"model.0.weight": torch.eye(4), "model.0.bia": torch.ones(4)}, "w.pt")
    with pytest.raises(NetspecError, match=r"1 missing, such as `fc.bias`\n   note: 1 unused, such as `model.0.bia`"):
        net.compile("w.pt")
    torch.save({"module.fc.weight": torch.eye(5), "module.fc.bias": torch.ones(4)}, "w.pt")
    with pytest.raises(NetspecError, match=r"`module.fc.weight` is \[5, 5\], and `fc.weight` of the network \[4, 4\]"):
        net.compile("w.pt")


def test_a_network_whose_own_keys_begin_so() -> None:
    net = netspec.loads("netspec: 1\nname: n\ninputs: {x: [N, 4]}\nblocks: {b: {body: [{linear: 4, name: fc}]}}\n"
                        "network: [{b: , name: model}]\n")  # fmt: skip
    state = net.compile().state_dict()
    assert list(state) == ["model.fc.weight", "model.fc.bias"]
    for prefix in ("", "model.", "module."):
        torch.save({f"{prefix}{key}": value for key, value in state.items()}, "w.pt")
        assert torch.equal(net.compile("w.pt").state_dict()["model.fc.weight"], state["model.fc.weight"])


# Checkpoints, and where in them.


@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model", "net", "ema", "module", "anything"])
def test_what_is_plainly_meant(net: netspec.Network, name: str) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 0.1}]}
    checkpoint = {name: behind("module."), "optimizer": optimizer, "epoch": 3, "args": {"lr": 0.1, "names": ["a"]}}
    assert takes(net, checkpoint)
    torch.save(checkpoint, "w.pt")
    assert takes(net, "w.pt")
    assert takes(net, "w.pt", name)


def test_a_name_that_is_known_goes_before_others(net: netspec.Network) -> None:
    assert takes(net, {"batch": {"x": torch.zeros(2)}, "rng": torch.zeros(3), "state_dict": {"model": fc()}})


def test_several_state_dicts(net: netspec.Network) -> None:
    other = {key: value * 2 for key, value in fc().items()}
    torch.save({"generator": fc(), "discriminator": other, "epoch": 2}, "gan.pt")
    with pytest.raises(NetspecError, match=r"several state dicts\n   note: `generator \(2 tensors\)`, `discriminator "
                       r"\(2 tensors\)`\n   help: `--key generator` takes the first, and so"):  # fmt: skip
        net.compile("gan.pt")
    assert takes(net, "gan.pt", "generator")
    assert not takes(net, "gan.pt", "discriminator")
    # An average may be meant, or not.
    for average in ("ema", "state_dict_ema", "model_ema"):
        with pytest.raises(NetspecError, match="several state dicts"):
            net.compile({"model": other, average: fc()})
        assert takes(net, {"model": other, average: fc()}, average)
        assert takes(net, {"model": fc(), average: fc()})
    with pytest.raises(NetspecError, match=r"several state dicts\n   note: `x.0 \(2 tensors\)`, `x.1 \(2 tensors\)`"):
        net.compile({"x": [fc(), other]}, key="x")


def test_keys_that_lead_to_a_state_dict(net: netspec.Network) -> None:
    other = {key: value * 2 for key, value in fc().items()}
    checkpoint = {
        "checkpoint": {"model": fc(), "ema": other},
        "a.b": {"c": dict(fc())},
        "parts": [dict(other), dict(fc())],
        "flat": behind("one.") | {"two.x": torch.ones(1)},
    }
    torch.save(checkpoint, "w.pt")
    for key in ("checkpoint.model", "a.b", "a.b.c", "parts.1", "flat.one"):
        assert takes(net, "w.pt", key), key
        assert takes(net, checkpoint, key), key
    with pytest.raises(NetspecError, match=r"w.pt has nothing at `checkpoint.models`\n   help: it has state dicts at "
                       r"`checkpoint.model`, `checkpoint.ema`, `a.b.c`, `parts.0`, `parts.1`, `flat`"):  # fmt: skip
        net.compile("w.pt", key="checkpoint.models")
    with pytest.raises(NetspecError, match=r"`checkpoint` of w\.pt holds several state dicts"):
        net.compile("w.pt", key="checkpoint")
    with pytest.raises(NetspecError, match=r"`checkpoint.model.fc.bias` of w.pt holds no state dict, but a Tensor"):
        net.compile("w.pt", key="checkpoint.model.fc.bias")


def test_a_key_takes_a_part_of_a_state_dict(net: netspec.Network) -> None:
    save_file({**behind("student."), **{key: value * 2 for key, value in behind("teacher.").items()}}, "w.safetensors")
    assert takes(net, "w.safetensors", "student")
    assert not takes(net, "w.safetensors", "teacher")
    with pytest.raises(
        NetspecError, match=r"has nothing at `x`\n   help: it is a state dict itself, whose first key is"
    ):
        net.compile("w.safetensors", key="x")


# What no module has.


def loop() -> dict[str, Any]:
    """A state dict that holds itself."""
    state: dict[str, Any] = {"fc.weight": torch.eye(4)}
    state["fc.bias"] = state
    return state


def odd() -> Tensor:
    """A tensor with a class of its own."""
    return torch.ones(4).as_subclass(type("Odd", (torch.Tensor,), {}))


STRANGE: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (lambda: torch.ones(4).to_sparse(), "`fc.bias` is sparse\n   help: `to_dense"),
    "sparse rows": (lambda: torch.eye(4).to_sparse_csr(), "`fc.bias` is sparse\n   help: `to_dense"),
    "meta": (lambda: torch.empty(4, device="meta"), "`fc.bias` is without numbers, on the meta device"),
    "float8": (lambda: torch.ones(4).to(torch.float8_e5m2), "`fc.bias` is of numbers that count with a scale"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(2)]), "`fc.bias` is a nested tensor"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8), "`fc.bias` is quantized"),
    "itself": (loop, "`fc.bias` is no tensor, but a dict"),
    "int": (lambda: 3, "`fc.bias` is no tensor, but an int"),
    "none": (lambda: None, "`fc.bias` is no tensor, but None"),
    "list": (lambda: [1.0], "`fc.bias` is no tensor, but a list"),
    "complex": (lambda: torch.ones(4, dtype=torch.complex64), "`fc.bias` is float32, and complex64 in the file"),
    "integers": (lambda: torch.ones(4, dtype=torch.int32), "`fc.bias` is float32, and int32 in the file"),
}
"""Values, and what is said of them; all of these torch.save writes."""
GIVEN: dict[str, tuple[Callable[[], Any], str]] = {
    "a module": (lambda: nn.Linear(2, 2), "`fc.bias` is no tensor, but a module"),
    "an optimizer": (lambda: torch.optim.SGD([torch.ones(1)]), "`fc.bias` is no tensor, but a SGD"),
    "a class": (odd, "`fc.bias` is a Odd, and no plain tensor"),
    "mkldnn": (lambda: torch.ones(4).to_mkldnn(), "`fc.bias` is of the layout torch._mkldnn"),
    "unborn": (lambda: nn.LazyLinear(4).bias, "`fc.bias` is of a size that is not known yet"),
    "objects": (lambda: np.array([None]), "`fc.bias` is an array of object, which torch does not have"),
}


CASES = [(name, "given") for name in GIVEN] + [
    (name, form)
    for name in STRANGE
    for form in ("given", "zip", "wrapped", "legacy")
    # torch.load reads no such files as torch.save wrote once.
    if (name, form) not in (("nested", "legacy"), ("float8", "legacy"))
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "form"), CASES)
def test_what_no_module_has_is_refused_with_its_key(net: netspec.Network, name: str, form: str) -> None:
    make, said = (STRANGE | GIVEN)[name]
    state: Any = {"fc.weight": torch.eye(4), "fc.bias": make()}
    given = state if form == "given" else "w.pt"
    if form != "given":
        state = {"epoch": 1, "state_dict": state} if form == "wrapped" else state
        torch.save(state, "w.pt", _use_new_zipfile_serialization=form != "legacy")
    for call in (net.compile, lambda given: net.to_onnx("o.onnx", given)):
        with pytest.raises(NetspecError, match=f"(?s)NS501: .*{said}"):
            call(given)


@pytest.mark.parametrize("form", ["given", "zip", "legacy"])
def test_keys_that_are_no_text(net: netspec.Network, form: str) -> None:
    state: Any = {"fc.weight": torch.eye(4), 7: torch.ones(4)}
    if form != "given":
        torch.save(state, "w.pt", _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(NetspecError, match="its key 7 is no text"):
        net.compile(state if form == "given" else "w.pt")


def test_what_has_no_state_dict(net: netspec.Network) -> None:
    for given, said in (
        ({"state": {0: {"exp_avg": torch.zeros(1)}}, "param_groups": [{"lr": 1}]}, "but that of an optimizer"),
        ({"epoch": 3, "x": "y"}, "`epoch`, `x` are no tensors, but a str or an int"),
        ([1, 2], "holds no state dict, but a list"),
        (torch.zeros(1), "holds no state dict, but a Tensor"),
        (
            {**fc(), "epoch": 3},
            r"`epoch` is no tensor, but an int\n   help: save the tensors alone: `{key: value for",
        ),
    ):
        torch.save(given, "w.pt")
        with pytest.raises(NetspecError, match=said):
            net.compile("w.pt")


def test_a_checkpoint_that_holds_itself(net: netspec.Network) -> None:
    loop: dict[str, Any] = {"model": fc(), "epoch": 1}
    loop["all"] = [loop, {"all": loop}]
    assert takes(net, loop)
    del loop["model"]
    torch.save(loop, "w.pt")
    with pytest.raises(NetspecError, match="holds no state dict"):
        net.compile("w.pt")


def test_arrays_are_tensors_too(net: netspec.Network) -> None:
    arrays = {key: value.numpy() for key, value in fc().items()}
    assert takes(net, arrays)
    assert takes(net, {"state_dict": arrays})
    assert takes(net, {**arrays, "fc.bias": fc()["fc.bias"]})
    for array in arrays.values():
        array.flags.writeable = False
    assert takes(net, arrays)


# Weights of another network.


def weights_of(name: str, **options: Any) -> dict[str, Tensor]:
    with torch.device("meta"):
        module = getattr(torchvision.models, name)(**options)
    return {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in module.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("resnet50", {}, "`resnet50` with `--set stride_in_3x3=true`"),
        ("resnet50", {"num_classes": 7}, "`resnet50` with `--set classes=7 --set stride_in_3x3=true`"),
        ("vgg16_bn", {"num_classes": 7}, "`vgg_d` with `--set batch_norm=true --set classes=7`"),
        ("googlenet", {"init_weights": False}, "`googlenet_bn`"),
    ],
)
def test_weights_of_another_network_are_known(name: str, options: dict[str, Any], known: str) -> None:
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights_of(name, **options).items()}}, "w.pt")
    with pytest.raises(NetspecError) as caught:
        netspec.load("resnet18").compile("w.pt")
    assert caught.value.diagnostics[0].notes[0] == f"these are the weights of {known}"


def test_weights_of_no_network_that_is_known(net: netspec.Network) -> None:
    with pytest.raises(NetspecError) as caught:
        net.compile({"a.weight": torch.zeros(3, 3)})
    assert "these are" not in str(caught.value)
    # Where other parameters are the way, no other network is named.
    with pytest.raises(NetspecError) as caught:
        netspec.load("resnet18").compile(weights_of("resnet18", num_classes=7))
    assert "these are" not in str(caught.value)
    assert "they fit with `--set classes=7`" in str(caught.value)


def test_a_report_of_weights_of_another_network_is_short() -> None:
    from netspec.network import known_as
    from netspec.weights_report import weights_report

    net = netspec.load("vgg_d")
    _, found = net.fit_weights(weights_of("resnet18"))
    report = weights_report(found, "vgg_d", "w.pt", (), known_as(found))
    assert str(report).splitlines()[1:] == [
        "These are the weights of `resnet18`.",
        "154 weights are missing, unused or of another shape: --format json has them all.",
    ]
    assert report["weights_of"] == {"network": "resnet18", "params": {}}
    assert len(json.loads(report.to("json"))["unused"]) == 122
