"""Other names of the bundled specs: what they mean, what they never hide, and what is said of names that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec import NetspecError, load, loads
from netspec.cli.main import main
from netspec.spec.sources.aliases import ALIASES
from netspec.weights import best_fit
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision

# fmt: off
SPELLINGS = [
    ("vgg16", "vgg_d", {}), ("VGG-16", "vgg_d", {}), ("VGG16", "vgg_d", {}), ("vgg_16", "vgg_d", {}),
    ("vgg11", "vgg_a", {}), ("vgg13", "vgg_b", {}), ("vgg19", "vgg_e", {}), ("VGG 19", "vgg_e", {}),
    ("vgg11_bn", "vgg_a", {"batch_norm": True}), ("VGG-13-BN", "vgg_b", {"batch_norm": True}),
    ("vgg16_bn", "vgg_d", {"batch_norm": True}), ("vgg19bn", "vgg_e", {"batch_norm": True}),
    ("VGG-E", "vgg_e", {}), ("ResNet-50", "resnet50", {}), ("resnet_50", "resnet50", {}),
    ("ResNet50", "resnet50", {}), ("resnet50_v1.5", "resnet50", {"stride_in_3x3": True}),
    ("GoogLeNet", "googlenet", {}), ("inception_v1", "googlenet", {}), ("InceptionV1", "googlenet", {}),
    ("AlexNet", "alexnet", {}), ("zf", "zfnet", {}), ("zf_net", "zfnet", {}), ("ZFNet", "zfnet", {}),
    ("rin", "rir", {}), ("resnet_in_resnet", "rir", {}), ("RiR", "rir", {}),
    ("resnet-110", "resnet110_cifar", {}), ("resnet20", "resnet20_cifar", {}),
    ("cifar_resnet20", "resnet20_cifar", {}), ("resnet_34_plain", "resnet34_plain", {}),
]
# fmt: on


@pytest.mark.parametrize(("name", "bundled", "params"), SPELLINGS)
def test_what_a_name_means(name: str, bundled: str, params: dict[str, Any]) -> None:
    network, wanted = load(name), load(bundled, params=params)
    assert network.graph.hash() == wanted.graph.hash()
    assert (network.params, network.graph.source) == (wanted.params, wanted.graph.source)
    assert network.name == (bundled if not params else network.name.lower())
    assert network.title.startswith(wanted.title)


def test_names_are_told_apart() -> None:
    def key(name: str) -> str:
        return "".join(filter(str.isalnum, name)).lower()

    keys = [key(name) for name in (*netspec.names(), *ALIASES)]
    assert len(set(keys)) == len(keys)
    assert {spec for spec, _ in ALIASES.values()} <= set(netspec.names())


def test_parameters_compose() -> None:
    assert load("vgg16_bn", params={"classes": 10}).params["classes"] == 10
    plain = load("vgg16_bn", params={"batch_norm": False})
    assert plain.graph.hash() == load("vgg_d").graph.hash()


def test_names_that_torchvision_has_mean_its_networks() -> None:
    names = [name for name in ALIASES if hasattr(torchvision.models, name) and "resnet" not in name]
    assert "vgg16_bn" in names
    for name in names:
        with torch.device("meta"):
            theirs = getattr(torchvision.models, name)(weights=None)
        ours = load(name)
        shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
        assert best_fit(ours.graph, shapes, ours.spec.weights, ours.params).fits, name


def test_a_file_is_never_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "netspec: 1\nname: mine\ninputs: {x: [N, 3]}\nnetwork: [relu]\n"
    Path("vgg16.yaml").write_text(text)
    Path("resnet-50").write_text(text)
    assert load("vgg16.yaml").name == load("./vgg16.yaml").name == load("./resnet-50").name == "mine"
    with pytest.raises(NetspecError, match=r"is given with its suffix: `vgg16\.yaml`"):
        load("vgg16")
    with pytest.raises(NetspecError, match=r"is given by its path: `\./resnet-50`"):
        load("resnet-50")
    assert load("vgg-16").name == "vgg_d"
    with pytest.raises(NetspecError, match=r"there is no file vgg19\.yaml"):
        load("vgg19.yaml")


HEAD = "netspec: 1\nname: a\n"
INPUTS = "inputs: {image: [N, 3, 224, 224]}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}extends: {{}}\n",
        f"{HEAD}{INPUTS}network: [{{network: {{}}}}]\n",
        f"{HEAD}{INPUTS}use: [{{}}]\nnetwork: [relu]\n",
    ],
    ids=["extends", "network", "use"],
)
@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("vgg16", "its name in specs is `vgg_d`"),
        ("VGG16_bn", "its name in specs is `vgg_d`, with `params: {batch_norm: true}`"),
        ("ResNet-50", "its name in specs is `resnet50`"),
    ],
)
def test_specs_have_the_bundled_names_alone(text: str, name: str, way: str) -> None:
    with pytest.raises(NetspecError) as caught:
        loads(text.replace("{}", name))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.help) == ("NS213", way)
    assert diagnostic.span is not None
    assert diagnostic.span.text == name


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, "") for name in ("vgg17", "vgg", "vgg_f", "resnet", "resnet51", "resnext101", "mobilenet_v1")),
        *((name, "") for name in ("seresnet50", "lenet", "nin", "vit_l_7", "inception_v4", "x" * 200)),
        ("goglenet", "googlenet"), ("reset50", "resnet50"), ("resnet81", "resnet18"), ("Alexnt", "alexnet"),
        ("vgg61", "vgg16"), ("incepton_v1", "inception_v1"),
    ],
)  # fmt: skip
def test_names_that_are_none(name: str, way: str) -> None:
    with pytest.raises(NetspecError) as caught:
        load(name)
    (diagnostic,) = caught.value.diagnostics
    other = "`netspec list` shows them; a file is given by its path"
    assert diagnostic.help == (f"did you mean `{way}`?" if way else other)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    main(["init", "--like", "VGG16_bn", "mine"])
    main(["show", "vgg16_bn"])
    assert "extends: vgg_d\n" in Path("mine.yaml").read_text()
    assert load("mine.yaml").params["batch_norm"] is True
    capsys.readouterr()
    main(["summary", "vgg16"])
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == ("VGG-16 (configuration D)", "")
