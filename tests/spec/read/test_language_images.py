"""`preprocess` and `labels`: what a spec says of images and classes, and where it lapses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import netspec
from netspec.graph.model import Graph
from netspec.labels import names_of
from netspec.passes import fold_batch_norm, fully_convolutional, replace_head, truncate
from netspec.preprocess import Preprocess
from tests.support.networks import classifiers
from tests.support.paths import HALVES

SPEC = """
netspec: 1
name: images
params: {classes: 2, side: 32}
inputs: {image: [N, 3, side, side]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 3}, name: conv}
  - batch_norm
  - adaptive_avg_pool2d: 1
  - flatten
  - {linear: classes, name: fc}
outputs: {logits: fc}
preprocess: {image: {resize: 40, crop: 32, mean: [0.5, 0.4, 0.3], std: 2, channels: bgr}}
labels: {logits: [cat, 7]}
"""


DETECTOR = """
netspec: 1
name: detector
inputs: {image: [N, 3, H, W]}
network: [{halves, name: halves}]
outputs: {boxes: halves.boxes, labels: halves.labels}
preprocess: {image: {resize: 600, max_size: 1000}}
labels: {labels: [background, left, upper]}
"""


def of(graph: Graph) -> tuple[Preprocess | None, object]:
    return graph.inputs[0].preprocess, graph.outputs[0].labels


def given(**changes: object) -> Preprocess:
    values = {"resize": 40, "crop": (32, 32), "mean": (0.5, 0.4, 0.3), "std": 2, "channels": "bgr", **changes}
    return Preprocess(**values)  # type: ignore[arg-type]


def test_they_stand_in_the_graph() -> None:
    assert of(netspec.loads(SPEC).graph) == (given(), ("cat", "7"))


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (["N", 3, 64, 64], given(resize=80, crop=(64, 64))),
        (["N", 3, 64, 96], given(resize=120, crop=(64, 96))),
        (["N", 3, 30, 30], given(resize=38, crop=(30, 30))),
        (["N", 3, "H", "W"], given()),
        (["N", 1, 32, 32], None),
    ],
)
def test_another_input(shape: list[int | str], wanted: Preprocess | None) -> None:
    """The crop is the input, `resize` keeps its ratio to it; means of three channels say nothing of one."""
    assert of(netspec.loads(SPEC, inputs={"image": shape}).graph)[0] == wanted


def test_a_parameter_that_sizes_the_input() -> None:
    assert of(netspec.loads(SPEC, params={"side": 48}).graph)[0] == given(resize=60, crop=(48, 48))


def test_resize_keeps_its_ratio_where_no_crop_is_said() -> None:
    text = SPEC.replace("crop: 32, ", "")
    assert of(netspec.loads(text).graph)[0] == given()
    assert of(netspec.loads(text, inputs={"image": ["N", 3, 64, 48]}).graph)[0] == given(resize=80, crop=(64, 48))
    text = SPEC.replace("resize: 40, crop: 32", "resize: [40, 50]")
    shape: list[int | str] = ["N", 3, 64, 96]
    assert of(netspec.loads(text, inputs={"image": shape}).graph)[0] == given(resize=(80, 150), crop=(64, 96))


def test_resize_is_the_shorter_side() -> None:
    """A photograph of 3 x 4 just covers an input of 30 x 40 when its shorter side is 30."""
    text = SPEC.replace("side, side]", "30, side + 8]").replace("resize: 40, crop: 32, ", "resize: 30, ")
    assert of(netspec.loads(text).graph)[0] == given(resize=30, crop=(30, 40))


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({"[N, 3, side, side]": "[N, 1, 28, 28]"}, "N x 1"),
        ({"[N, 3, side, side]": "[N, 4, 32, 32]"}, "N x 4"),
        ({"[N, 3, side, side]": "[N, 3, H, 32]"}, "N x 3"),
    ],
)
def test_what_is_inherited_lapses_with_the_input(changes: dict[str, str], shape: str, tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(SPEC)
    ((old, new),) = changes.items()
    (tmp_path / "mine.yaml").write_text(f"netspec: 1\nname: mine\nextends: images.yaml\ninputs: {{image: {new}}}\n")
    graph = netspec.load(tmp_path / "mine.yaml").graph
    assert str(graph.inputs[0].type).startswith(shape)
    assert graph.inputs[0].preprocess is None
    with pytest.raises(netspec.NetspecError, match="NS206"):
        netspec.loads(SPEC.replace(old, new))


def test_bundled_specs_extend_to_images_of_one_channel() -> None:
    text = "netspec: 1\nname: mnist\nextends: resnet18\nparams: {classes: 10}\ninputs: {image: [N, 1, 28, 28]}\n"
    assert of(netspec.loads(text).graph) == (None, ())


def test_parameters_that_change_the_channels() -> None:
    text = SPEC.replace("params: {", "params: {ch: 3, ").replace("[N, 3, ", "[N, ch, ")
    assert of(netspec.loads(text).graph)[0] == given()
    assert of(netspec.loads(text, params={"ch": 4}).graph)[0] is None


def test_labels_lapse_under_other_classes() -> None:
    assert of(netspec.loads(SPEC, params={"classes": 3}).graph)[1] == ()
    assert netspec.load("vgg_a", params={"classes": 10}).graph.outputs[0].labels == ()
    assert netspec.load("vgg_a").graph.outputs[0].labels == "imagenet"


def test_extends_replaces_by_key(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text(SPEC)
    (tmp_path / "pets.yaml").write_text("netspec: 1\nname: pets\nextends: images.yaml\nparams: {classes: 3}\n")
    assert of(netspec.load(tmp_path / "pets.yaml").graph) == (given(), ())
    with (tmp_path / "pets.yaml").open("a") as file:
        file.write("labels: {logits: [cat, dog, horse]}\npreprocess: {image: {mean: 0.5}}\n")
    wanted = (Preprocess(crop=(32, 32), mean=0.5), ("cat", "dog", "horse"))
    assert of(netspec.load(tmp_path / "pets.yaml").graph) == wanted


def test_each_of_several_networks_has_its_own() -> None:
    text = """
netspec: 1
name: two
networks:
  a:
    inputs: {x: [N, 3, 8, 8]}
    body: [adaptive_avg_pool2d: 1, {flatten, name: scores}]
    outputs: {scores: scores}
    preprocess: {x: {mean: 0.5}}
    labels: {scores: [a, b, c]}
  b:
    inputs: {y: [N, 3, 8, 8]}
    body: [a]
"""
    assert of(netspec.loads(text, network="a").graph) == (Preprocess(crop=(8, 8), mean=0.5), ("a", "b", "c"))
    assert of(netspec.loads(text, network="b").graph) == (None, ())


def test_passes_keep_what_still_holds() -> None:
    graph = netspec.loads(SPEC).graph
    assert of(fold_batch_norm(graph).graph) == (given(), ("cat", "7"))
    assert of(truncate(graph, ["conv"]).graph) == (given(), ())
    assert of(replace_head(graph, 5).graph) == (given(), ())
    vgg = fully_convolutional(netspec.load("vgg_a").graph).graph
    preprocess, labels = of(vgg)
    assert isinstance(preprocess, Preprocess)
    assert (preprocess.resize, preprocess.crop, labels) == (256, None, "imagenet")


def test_another_head_keeps_the_labels_of_other_outputs() -> None:
    text = SPEC.replace("outputs: {logits: fc}", "outputs: {logits: fc, features: conv}")
    graph = netspec.loads(text.replace("labels: {", "labels: {features: [a, b, c, d], ")).graph
    found = {o.name: o.labels for o in replace_head(graph, 5).graph.outputs}
    assert found == {"logits": (), "features": ("a", "b", "c", "d")}


def test_they_do_not_change_what_the_network_is() -> None:
    bare = netspec.loads(SPEC[: SPEC.index("preprocess")]).graph
    assert bare.hash() == netspec.loads(SPEC).graph.hash()


def test_a_spec_that_is_written_has_them() -> None:
    graph = netspec.loads(SPEC).graph
    assert of(netspec.loads(netspec.to_yaml(graph)).graph) == of(graph)


def test_what_is_not_square_is_written() -> None:
    text = SPEC.replace("side, side]", "32, 48]").replace("resize: 40, crop: 32", "resize: [40, 60], crop: [32, 48]")
    graph = netspec.loads(text.replace("params: {classes: 2, side: 32}", "params: {classes: 2}")).graph
    assert of(graph)[0] == given(resize=(40, 60), crop=(32, 48))
    assert of(netspec.loads(netspec.to_yaml(graph)).graph) == of(graph)


@pytest.mark.parametrize("change", [("0.5, 0.4", "0.5, 0.5"), ("[cat,", "[dog,")])
def test_what_is_written_is_proved(change: tuple[str, str]) -> None:
    from netspec.backends.yaml.prove import prove_spec

    graph = netspec.loads(SPEC).graph
    with pytest.raises(netspec.NetspecError, match=r"NS401: .*would be another"):
        prove_spec(graph, netspec.to_yaml(graph).replace(*change))


@pytest.mark.parametrize(
    "label", ["arrêt\u00a0!", "柴犬", "\u0645\u06cc\u200c\u062e\u0648", "no", "3.5", "a: b", "'", '"']
)
def test_labels_of_every_script(label: str) -> None:
    graph = netspec.loads(SPEC.replace("[cat, 7]", json.dumps([label, "x"]))).graph
    assert of(graph)[1] == (label, "x")
    assert of(netspec.loads(netspec.to_yaml(graph)).graph) == of(graph)


NUMBERS = ["010", "0x1F", "0o17", "+7", "-0", "00", "1e3", "1.50", ".inf", ".nan", "~", "null", "true", "False"]
"""Words that YAML reads as something other than what stands there."""


@pytest.mark.parametrize("label", ["7", "-7", "1_000", "2020-01-01", "12:30:45", "no", "yes", "On", "0b1"])
def test_labels_are_the_text_as_it_is_written(label: str) -> None:
    graph = netspec.loads(SPEC.replace("[cat, 7]", f"[{label}, x]")).graph
    assert of(graph)[1] == (label, "x")
    assert of(netspec.loads(netspec.to_yaml(graph)).graph) == of(graph)


@pytest.mark.parametrize("label", NUMBERS)
def test_labels_that_would_be_another_text_are_refused(label: str) -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.loads(SPEC.replace("[cat, 7]", f"[{label}, x]"))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span.text if diagnostic.span else "") == ("NS206", label)
    assert diagnostic.help in ("put it in quotes", f'"{label}" is text')
    for quote in "'\"":
        graph = netspec.loads(SPEC.replace("[cat, 7]", f"[{quote}{label}{quote}, x]")).graph
        assert of(graph)[1] == (label, "x")
        assert of(netspec.loads(netspec.to_yaml(graph)).graph) == of(graph)


@pytest.mark.parametrize("key", ["title", "source", "name", "extends"])
@pytest.mark.parametrize("value", ["010", "0x1F", "1e3", ".inf", "true"])
def test_text_is_never_made_of_a_number(key: str, value: str) -> None:
    with pytest.raises(netspec.NetspecError, match=f"`{key}` takes text, not") as caught:
        netspec.loads(f"netspec: 1\n{key}: {value}\nnetwork: [relu]\n")
    assert "put it in quotes" in [diagnostic.help for diagnostic in caught.value.diagnostics]


def test_labels_in_json() -> None:
    steps = {"network": [{"relu": {}, "name": "a"}], "outputs": {"y": "a"}, "labels": {"y": [7, "b"]}}
    text = json.dumps({"netspec": 1, "name": "n", "inputs": {"x": ["N", 2]}, **steps})
    assert netspec.loads(text).graph.outputs[0].labels == ("7", "b")
    for number in ("-0", "1.0", "1e3", "null"):
        with pytest.raises(netspec.NetspecError, match=r"NS206: .* (is|a label is) text"):
            netspec.loads(text.replace("[7,", f"[{number},"))


def test_long_lists_of_labels_are_written_one_on_a_line() -> None:
    names = [f"class number {number}: 'quoted', \"twice\"" for number in range(40)]
    text = SPEC.replace("[cat, 7]", json.dumps(names)).replace("classes: 2", "classes: 40")
    graph = netspec.loads(text).graph
    written = netspec.to_yaml(graph)
    assert max(map(len, written.splitlines())) <= 120
    assert of(netspec.loads(written).graph) == of(graph)


def test_imagenets_names_are_those_of_torchvision() -> None:
    from torchvision.models import ResNet50_Weights

    assert names_of("imagenet") == tuple(ResNet50_Weights.DEFAULT.meta["categories"])


def test_vocs_names_have_the_background_first() -> None:
    names = names_of("voc")
    assert names is not None
    assert (len(names), names[0], list(names[1:])) == (21, "background", sorted(names[1:]))


@pytest.fixture
def halves(own_ops_forgotten: None) -> None:
    netspec.load_ops(HALVES)


@pytest.mark.usefixtures("halves")
def test_labels_of_integers_are_names_of_values() -> None:
    graph = netspec.loads(DETECTOR).graph
    assert [o.labels for o in graph.outputs] == [(), ("background", "left", "upper")]
    written = netspec.loads(netspec.to_yaml(graph)).graph
    assert [o.labels for o in written.outputs] == [o.labels for o in graph.outputs]
    without = DETECTOR[: DETECTOR.index("labels: {")]
    voc = "labels: {labels: voc}"
    with pytest.raises(netspec.NetspecError, match="`labels` has 3 classes, and 21 labels"):
        netspec.loads(without + voc)
    with pytest.raises(netspec.NetspecError, match=r"(?s)`labels` has 3 classes, and 2 labels.*that of the background"):
        netspec.loads(without + "labels: {labels: [left, upper]}")
    with pytest.raises(netspec.NetspecError, match=r"(?s)`boxes` is of detections, and names no classes.*`labels`"):
        netspec.loads(without + "labels: {boxes: [a, b, c, d]}")


def test_integers_of_any_origin_have_labels() -> None:
    text = "netspec: 1\nname: a\ninputs: {x: {shape: [N, T], dtype: int64}}\nnetwork: [{arange, name: p}]\n"
    graph = netspec.loads(text + "outputs: {y: p}\nlabels: {y: [a, b]}\n").graph
    assert graph.outputs[0].labels == ("a", "b")


@pytest.mark.usefixtures("halves")
def test_a_detector_of_one_size_stretches_images() -> None:
    def preprocess(shape: list[int | str]) -> Preprocess | None:
        return netspec.loads(DETECTOR, inputs={"image": shape}).graph.inputs[0].preprocess

    assert preprocess(["N", 3, "H", "W"]) == Preprocess(resize=600, max_size=1000)
    assert preprocess([1, 3, 600, 800]) == Preprocess(resize=(600, 800), crop=(600, 800))
    graph = netspec.loads(DETECTOR, inputs={"image": [1, 3, 600, 800]}).graph
    assert of(netspec.loads(netspec.to_yaml(graph)).graph) == of(graph)


def test_without_torchvision_there_are_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.labels.find_spec", lambda name: None)
    assert names_of("imagenet") is None


@pytest.mark.parametrize("name", classifiers())
def test_bundled_networks_name_their_classes(name: str) -> None:
    graph = netspec.load(name).graph
    assert any(names_of(o.labels) for o in graph.outputs)
    assert (graph.inputs[0].preprocess is not None) == (name not in ("rir", "unet")), "their papers have no word of it"
