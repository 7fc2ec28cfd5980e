"""What names mean: each consumer of a spec's expressions says the same, under other values of the parameters too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.expression import Attribute, Expression, Literal, evaluate, leaves, parse, rewrite
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph
from netspec.spec.elaborate import elaborate
from netspec.spec.elaborate.body import elaborate_body
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.frame import Frame, Values
from netspec.spec.read.body import Body
from tests.graph.specs_of_scopes import EMBEDDED, EXTENDED, HEAD, SETTINGS, SPECS
from tests.support.lazy import lazy_imports

with lazy_imports():
    from netspec.backends.pytorch.classes import network_class_name
    from netspec.backends.pytorch.runtime.load import _module  # pyright: ignore[reportPrivateUsage]

Open = Callable[..., netspec.Network]
FILES = ("scopes", "extended")


@pytest.fixture(params=list(SPECS))
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one of the specs, or one that extends it."""
    (tmp_path / "embedded.yaml").write_text(EMBEDDED)
    (tmp_path / "extended.yaml").write_text(EXTENDED)
    (tmp_path / "scopes.yaml").write_text(HEAD + SPECS[request.param])
    return lambda file="scopes", **params: netspec.load(tmp_path / f"{file}.yaml", params=params)


def readings(graph: Graph) -> list[tuple[Expression, str, str, Any]]:
    """Every expression that a spec wrote for a value, with where it stands, and the value that it was elaborated to."""
    found = [
        (tree, node.scope, node.path, getattr(node.op, name))
        for node in graph.nodes
        for name, tree in node.written.items()
    ]
    for scope in graph.scopes.values():
        found += [(tree, scope.parent, scope.path, scope.params[name]) for name, tree in scope.written.items()]
        found += [(scope.when, scope.parent, scope.path, True)] if scope.when is not None else []
    found += [(node.when, node.scope, node.path, True) for node in graph.nodes if node.when is not None]
    return found


def assert_agrees(graph: Graph) -> int:
    """Hold the lexicon against what elaboration made of every expression; how many there were."""
    lexicon = Lexicon(graph)
    for tree, scope, path, value in readings(graph):
        names = lexicon.names(scope, path)
        for leaf in leaves(tree):
            if isinstance(leaf, Attribute):
                entering = lexicon.value(scope, leaf.name)
                assert entering is not None, (path, leaf)
                names[leaf.name] = graph.types[entering]
            else:
                binding = lexicon.binding(scope, leaf, path)
                assert binding is not None, (path, leaf)
                assert leaf.of_file or binding.value == names[leaf.name]
                names[leaf.name] = binding.value
        given = evaluate(tree, names)
        assert (given, given) == value if isinstance(value, tuple) and isinstance(given, int) else given == value, path
    return len(readings(graph))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_elaboration(spec: Open, file: str, params: dict[str, int]) -> None:
    assert assert_agrees(spec(file, **params).graph)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_elaboration_and_the_lexicon_agree_on_every_name(
    spec: Open, file: str, params: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[Frame] = []

    def recorded(run: Elaboration, body: Body, frame: Frame, inputs: Values, only: Collection[int] | None) -> Values:
        frames.append(frame)
        return elaborate_body(run, body, frame, inputs, only)

    monkeypatch.setattr(elaborate, "elaborate_body", recorded)
    graph = spec(file, **params).graph
    lexicon = Lexicon(graph)
    frames = [frame for frame in frames if frame.scope in graph.scopes]
    assert frames
    for frame in frames:
        environment = lexicon.environment(frame.scope)
        for elaborated, bindings in (
            (frame.environment.file, environment.file),
            (frame.environment.parameters, environment.parameters),
            (frame.environment.copy, environment.copy),
        ):
            assert elaborated == {name: binding.value for name, binding in bindings.items()}, frame.scope
        types = {name: graph.types[binding.value] for name, binding in environment.inputs.items()}
        assert frame.environment.inputs == types, frame.scope
        for name, type in frame.environment.steps.items():
            value = lexicon.value(frame.scope, name)
            assert value is not None, (frame.scope, name)
            assert graph.types[value] == type, (frame.scope, name)


@pytest.mark.parametrize("name", ["resnet50", "rir", "googlenet", "resnet34_plain", "vgg_c"])
def test_elaboration_of_bundled_networks(name: str) -> None:
    assert assert_agrees(netspec.load(name).graph)


def test_explain_gives_the_values_that_make_a_value(spec: Open) -> None:
    network = spec(other=5)
    rows = 0
    for node in network.graph:
        values = network.explain(node.path)["values"]
        for number, row in enumerate(values):
            if not row["written"]:
                continue
            names: dict[str, Any] = {}
            for other in values[number + 1 :]:
                if other["depth"] <= row["depth"]:
                    break
                if other["depth"] == row["depth"] + 1:
                    names[other["name"]] = other["value"]
            tree = rewrite(
                parse(row["written"].lstrip("$")),
                lambda leaf, names=names: (
                    Literal(names[f"{leaf.name}.{leaf.attribute}"]) if isinstance(leaf, Attribute) else leaf
                ),
            )
            given = evaluate(tree, names)
            assert given == row["value"], (node.path, row)
            rows += 1
    assert rows


def origins(network: netspec.Network, path: str) -> list[tuple[str, Any, str]]:
    return [(v["name"], v["value"], v["from"]) for v in network.explain(path)["values"] if v["depth"]]


def test_explain_says_where_names_come_from() -> None:
    network = netspec.loads(HEAD + SPECS["argument and file"])
    assert origins(network, "b.inner.conv2d") == [("width", 6, "params")]
    assert origins(network, "b.conv2d") == [("width", 6, "argument of b"), ("other", 3, "params")]
    network = netspec.loads(HEAD + SPECS["steps with a repeat"])
    assert origins(network, "b.1.inner.conv2d.0") == [("width", 6, "params"), ("index", 0, "copy of b.1.inner.conv2d")]
    assert origins(network, "b.1.inner.conv2d_2") == [("width", 6, "params"), ("index", 1, "copy of b")]
    network = netspec.loads(HEAD + SPECS["shadowed twice"])
    # Written in `b`, passed to `a`.
    assert origins(network, "b.a.inner.conv2d")[0] == ("width", 6, "argument of b")
    assert origins(network, "b.a.inner.inner.conv2d") == [("width", 6, "params")]


def state_of(module: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


@pytest.mark.parametrize("file", FILES)
def test_a_class_given_other_arguments_is_what_the_spec_says(spec: Open, file: str) -> None:
    graph = spec(file).graph
    source = netspec.to_source(graph)
    cls = getattr(_module(graph.name, source), network_class_name(graph))
    arguments = inspect.signature(cls).parameters
    for params in SETTINGS:
        other = spec(file, **params).graph
        wanted = {key: weight.shape for key, weight in other.state().items()}
        assert state_of(netspec.compile(other)) == wanted
        if params.keys() <= arguments.keys():
            assert state_of(cls(**params)) == wanted


def test_the_class_of_the_first_spec_has_both_widths() -> None:
    source = netspec.to_source(netspec.loads(HEAD + SPECS["argument and file"]).graph)
    assert "def __init__(self, in_channels: int, width: int, width_2: int) -> None:" in source
    assert "def __init__(self, width: int = 6, other: int = 3) -> None:" in source
    assert "self.b = B(3, 2 * other, width)" in source


@pytest.mark.parametrize("file", FILES)
def test_a_spec_that_is_written_means_the_same_under_other_values(spec: Open, file: str) -> None:
    text = netspec.to_yaml(spec(file).graph)
    for params in SETTINGS:
        if params.keys() <= netspec.loads(text).params.keys():
            assert netspec.loads(text, params=params).graph.hash() == spec(file, **params).graph.hash()


def test_steps_of_equal_values_are_not_one_block() -> None:
    text = netspec.to_yaml(netspec.loads(HEAD + SPECS["equal by chance"]).graph)
    assert netspec.loads(text).params == {"width": 6, "other": 3}


def test_an_embedded_network_gives_what_its_last_step_gives(tmp_path: Path) -> None:
    (tmp_path / "embedded.yaml").write_text(EMBEDDED)
    (tmp_path / "top.yaml").write_text(
        "netspec: 1\nname: top\ninputs: {x: [N, 3, 8, 8]}\nnetwork: [network: {spec: embedded.yaml}, relu]\n"
    )
    graph = netspec.load(tmp_path / "top.yaml").graph
    assert graph["relu"].inputs == ("network.conv2d",)
    netspec.to_source(graph)
    netspec.to_yaml(graph)
