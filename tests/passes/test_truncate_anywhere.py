"""`truncate` at any value: equal to what the whole network makes, under the keys there were, in clean source."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.passes import truncate
from tests.passes.truncated import FORMS, NETWORKS, PARTS, SMALL, check, graph_of, names_of
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor, nn
    from torchvision.models.feature_extraction import create_feature_extractor

    from tests.passes.modules import assert_same, images, made_of, run, trained


@pytest.mark.parametrize("name", NETWORKS)
def test_any_value_of_any_network(name: str) -> None:
    graph, chance = graph_of(name), random.Random(name)
    names = names_of(graph)
    wanted = [chance.sample(names, number) for number in (1, 1, 1, 2, 2, 2, 3)]
    assert check(graph, wanted) == len(wanted)


OTHER_BODY = "NS401"


@pytest.mark.parametrize("name", PARTS)
def test_any_value_of_any_part(name: str) -> None:
    """Where weights are shared, a part of the step that shares them can't always be said."""
    graph, chance = netspec.loads(PARTS[name]).graph, random.Random(name)
    names = names_of(graph)
    wanted = [[each] for each in chance.sample(names, min(3, len(names)))]
    wanted += [chance.sample(names, min(number, len(names))) for number in (2, 2, 3)]
    shares = any(node.weights_of != node.path for node in graph)
    assert check(graph, wanted, OTHER_BODY if shares else "") or shares


@pytest.mark.parametrize("name", list(FORMS)[::9])
def test_any_value_of_any_form(name: str) -> None:
    graph, chance = netspec.loads(FORMS[name]).graph, random.Random(name)
    names = names_of(graph)
    wanted = [chance.sample(names, min(number, len(names))) for number in (1, 2, 3)]
    assert check(graph, wanted) == len(wanted)


FOUND = {
    "a value of a copy in the middle": ("streams shared", ["t.0.transient", "t.1"]),
    "other copies in each use": (
        "index in a block, counts differ",
        ["stage.layers.0", "stage_3.layers.1.relu", "stage_3.layers.3"],
    ),
    "a function's name": ("up and down", ["concat_2", "center_crop"]),
    "a value that nothing takes": ("one shared by all copies", ["more.2", "more.1.conv2d"]),
    "two values of two copies": ("streams shared", ["s.residual", "t.0.sum"]),
}
"""What was written wrong once: the spec, and what was wanted of it."""


@pytest.mark.parametrize("case", FOUND)
def test_what_was_wrong_once(case: str) -> None:
    name, wanted = FOUND[case]
    assert check(netspec.loads(SMALL[name]).graph, [wanted]) == 1


def test_sources_are_clean(tmp_path: Path) -> None:
    """Several values that leave one block, or copy, as linters and `ruff format` want it."""
    wanted = [(netspec.loads(SMALL[name]).graph, names) for name, names in FOUND.values()]
    wanted.append((graph_of("vit"), ["layers.1.attended"]))
    wanted.append(
        (netspec.loads(PARTS["another spec twice"]).graph, ["b.layer2.0.residual.relu", "b.layer3.1.add", "b"])
    )
    for name in ("resnet18", "rir", "googlenet", "mobilenet_v2"):
        chance = random.Random(name)
        wanted += [(graph_of(name), chance.sample(names_of(graph_of(name)), 3)) for _ in range(3)]
    for number, (graph, names) in enumerate(wanted):
        (tmp_path / f"f{number}.py").write_text(netspec.to_source(truncate(graph, names).graph))
    for command in (["check"], ["format", "--check", "--diff"]):
        line = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "-q", str(tmp_path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_hooks_of_the_whole_module_see() -> None:
    """Every module of the network whose output is a value of it."""
    graph = graph_of("resnet18")
    before, inputs, seen = trained(graph), images(graph, batch=1), dict[str, Tensor]()

    def watch(path: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda module, given, output: seen.update({path: output.clone()}))

    for path, module in before.named_modules():
        if path in graph.by_path or path in graph.scopes:
            watch(path, module)
    run(before, *inputs)
    assert len(seen) > 80
    for path, expected in seen.items():
        made = truncate(graph, [path])
        after = netspec.compile(made.graph).double().eval()
        after.load_state_dict(made.weights(before.state_dict()), strict=True)
        assert_same(run(after, *inputs), [expected])


THEIRS: dict[str, tuple[str, dict[str, str]]] = {
    "resnet18": (
        "resnet18",
        {
            "stem": "bn1",
            "layer1": "layer1",
            "layer2.0": "layer2.0",
            "layer3.1.residual.conv_bn": "layer3.1.bn1",
            "layer4.0.shortcut": "layer4.0.downsample",
            "layer4.0.add": "layer4.0.add",
            "logits": "fc",
        },
    ),
    "googlenet_bn": (
        "googlenet",
        {
            "inception5b": "inception5b.cat",
            "conv3": "conv3",
            "inception4a.b3x3": "inception4a.branch2",
            "inception4a.b5x5.conv.conv2d": "inception4a.branch3.0.conv",
            "pool4": "maxpool4",
        },
    ),
}


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize("name", THEIRS)
def test_torchvisions_feature_extractor(name: str) -> None:
    """The same values of torchvision's own network, found by tracing it."""
    theirs, names = THEIRS[name]
    options = {"init_weights": False, "transform_input": False} if theirs == "googlenet" else {}
    other = getattr(torchvision.models, theirs)(**options).eval()
    for module in other.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.3, 2.0)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
        elif isinstance(module, nn.ReLU):
            module.inplace = False  # Else what is before it is overwritten.
    net = netspec.load(name)
    before = net.compile(other.state_dict()).double()
    made = truncate(net.graph, list(names))
    image = torch.randn(1, 3, 224, 224, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    extractor = create_feature_extractor(other.double(), list(names.values()), suppress_diff_warning=True)
    expected = extractor(image)
    assert_same(run(made_of(before, made), image), [expected[each] for each in names.values()])
