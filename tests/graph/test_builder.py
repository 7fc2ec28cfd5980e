"""The Builder, the only way to make a graph; `rebuild`, by which one is edited; and the ways to read one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from pydantic import ValidationError

import netspec
from netspec import Builder, Editor, Graph, NetspecError, Node, rebuild
from netspec.graph.tree import Group, tree
from netspec.graph.walk import live_nodes, needed_for, outputs_of
from netspec.ops.activation import Relu, Tanh
from netspec.ops.convolution import Conv2d
from netspec.types import Tensor


def small() -> Graph:
    """A convolution, a block with two nodes, a merge, and a head in training only."""
    b = Builder("small", title="A small one", source="Nowhere", params={"width": 8})
    image = b.input("image", ["N", 3, "H", "W"], nominal={"H": 16, "W": 8})
    x = b.add("conv2d", image, name="stem", out_channels=8, kernel_size=3, padding=1)
    with b.scope("block", block="pair", width=8):
        y = b.add("conv2d", x, out_channels=8, kernel_size=(1, 1), bias=False)
        y = b.add("relu", y)
    x = b.add("add", x, y)
    b.output("maps", x)
    b.output("aux", b.add("tanh", y, name="head"), mode="train")
    return b.build()


TEXT = """graph small
  input image: N x 3 x H x W
  stem = conv2d(image; out_channels=8, kernel_size=(3, 3), padding=(1, 1)): N x 8 x H x W
  block.conv2d = conv2d(stem; out_channels=8, kernel_size=(1, 1), bias=False): N x 8 x H x W
  block.relu = relu(block.conv2d): N x 8 x H x W
  add = add(stem, block.relu): N x 8 x H x W
  head = tanh(block.relu): N x 8 x H x W
  output maps = add
  output aux = head in training"""


def failing(action: Callable[[], Any]) -> tuple[str, str]:
    """The code of the one error of an action, and all that it says."""
    with pytest.raises(NetspecError) as caught:
        action()
    (found,) = caught.value.diagnostics
    return found.code, str(caught.value)


def keep(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
    return editor.keep(node, inputs)


class TestBuilder:
    def test_the_text_of_what_is_built(self) -> None:
        assert str(small()) == TEXT

    def test_paths_of_unnamed_nodes_are_counted_in_their_scope(self) -> None:
        b = Builder("names")
        x = b.add("relu", b.input("image", ["N", 4]))
        x = b.add("relu", x)
        with b.scope("inner"):
            x = b.add("relu", x)
            with b.scope("deeper") as path:
                x = b.add("relu", x)
        assert path == "inner.deeper"
        b.output("x", b.add("relu", x))
        assert [node.path for node in b.build()] == ["relu", "relu_2", "inner.relu", "inner.deeper.relu", "relu_3"]

    def test_an_op_may_be_given_as_one(self) -> None:
        b = Builder("given")
        x = b.add(Conv2d(out_channels=4, kernel_size=(1, 1)), b.input("image", [1, 3, 8, 8]))
        assert b.types[x] == Tensor((1, 4, 8, 8))

    def test_nominal_sizes_are_sizes_that_it_can_have(self) -> None:
        b = Builder("small")
        x = b.input("image", ["N", 3, "H", "W"], nominal={"H": 2, "W": 8})
        b.output("y", b.add("avg_pool2d", x, name="pool", kernel_size=4))
        with pytest.raises(NetspecError, match=r"NS303: pool: a window of 4 .* at the nominal sizes H = 2, W = 8"):
            b.build()

    def test_scopes(self) -> None:
        graph = small()
        scope = graph.scopes["block"]
        assert (scope.kind, scope.parent, scope.output, scope.params) == ("block", "", "block.relu", {"width": 8})
        assert scope.block is not None
        assert scope.block.name == "pair"
        assert graph["block.conv2d"].scope == "block"
        assert graph["stem"].scope == ""

    def test_a_scope_without_nodes_is_none(self) -> None:
        b = Builder("empty")
        with b.scope("nothing"):
            pass
        b.output("x", b.input("image", ["N"]))
        assert b.build().scopes == {}

    def test_a_scope_is_left_where_its_body_fails(self) -> None:
        b = Builder("left")
        image = b.input("image", ["N", 3])
        with pytest.raises(NetspecError), b.scope("inner"):
            b.add("conv2d", image, out_channels=1, kernel_size=1)
        assert b.add("relu", image) == "relu"

    @pytest.mark.parametrize(
        ("call", "code", "fragment"),
        [
            (lambda b: b.add("rleu", "image"), "NS203", "did you mean `relu`?"),
            (lambda b: b.add("relu", "imgae"), "NS209", "did you mean `image`?"),
            (lambda b: b.add("conv2d", "image", kernel_size=1), "NS205", "needs `out_channels`"),
            (lambda b: b.add("conv2d", "image", out_channels=1, kernel_size=0), "NS206", "not 0"),
            (lambda b: b.add("conv2d", "image", out_channels=1, kernel_size=1, strid=1), "NS204", "`stride`"),
            (lambda b: b.add("conv2d", "image", name="c", out_channels=1, kernel_size=9), "NS303", "c: a window of 9"),
            (lambda b: b.add("conv2d", "image", out_channels=1, kernel_size=1, groups=2), "NS304", "do not divide"),
            (lambda b: b.add("add", "image"), "NS302", "2 or more"),
            (lambda b: b.add("relu", "image", "image"), "NS302", "takes 1 input, not 2"),
            (lambda b: b.add("relu", "image", name="image"), "NS210", "`image`"),
            (lambda b: b.input("image", ["N"]), "NS210", "`image`"),
            (lambda b: b.output("x", "y"), "NS209", "no value is called `y`"),
            (lambda b: (b.output("x", "image"), b.output("x", "image")), "NS210", "two outputs"),
            (lambda b: b.build(), "NS201", "has no output"),
        ],
    )
    def test_errors(self, call: Callable[[Builder], Any], code: str, fragment: str) -> None:
        b = Builder("wrong")
        b.input("image", ["N", 3, 8, 8])
        found, text = failing(lambda: call(b))
        assert (found, fragment in text) == (code, True), text

    def test_a_path_is_taken_once(self) -> None:
        b = Builder("twice")
        image = b.input("image", ["N"])
        with b.scope("a"):
            b.add("relu", image)
        assert failing(lambda: b.add("relu", image, name="a"))[0] == "NS210"

        def again() -> None:
            with b.scope("a"):
                pass

        assert failing(again)[0] == "NS210"

    def test_what_was_built_does_not_change_when_more_is_added(self) -> None:
        b = Builder("more")
        x = b.input("image", ["N"])
        b.output("x", x)
        before = b.build()
        with b.scope("later"):
            b.add("relu", x)
        assert (len(before), before.scopes) == (0, {})


class TestGraph:
    def test_it_is_frozen(self) -> None:
        graph = small()
        for thing, name in (
            (graph, "nodes"),
            (graph["stem"], "op"),
            (graph.scopes["block"], "path"),
            (graph.inputs[0], "name"),
            (graph.outputs[0], "value"),
        ):
            with pytest.raises(FrozenInstanceError):
                setattr(thing, name, None)
        with pytest.raises(ValidationError):
            graph["stem"].op.out_channels = 3  # type: ignore[attr-defined]

    def test_reading(self) -> None:
        graph = small()
        assert len(graph) == 5
        assert [node.name for node in graph] == ["stem", "conv2d", "relu", "add", "head"]
        assert [node.path for node in graph.users["stem"]] == ["block.conv2d", "add"]
        assert graph.users["head"] == ()
        assert graph.input_types(graph["add"]) == (graph.types["stem"], graph.types["block.relu"])
        assert graph.nominal == {"N": 1, "H": 16, "W": 8}
        assert graph.at(W=4)["stem"].shape == (1, 8, 16, 4)
        with pytest.raises(KeyError):
            graph["nothing"]

    def test_state(self) -> None:
        state = small().state()
        assert {key: weight.shape for key, weight in state.items()} == {
            "stem.weight": (8, 3, 3, 3),
            "stem.bias": (8,),
            "block.conv2d.weight": (8, 8, 1, 1),
        }

    def test_walks(self) -> None:
        graph = small()
        assert outputs_of(graph, "inference") == ["add"]
        assert outputs_of(graph, "train") == ["add", "head"]
        assert needed_for(graph, ["block.relu"]) == {"stem", "block.conv2d", "block.relu"}
        assert [node.path for node in live_nodes(graph, "inference")] == ["stem", "block.conv2d", "block.relu", "add"]
        assert len(live_nodes(graph, "train")) == 5

    def test_tree(self) -> None:
        def outline(group: Group) -> list[Any]:
            return [outline(item) if isinstance(item, Group) else item.path for item in group.items]

        root = tree(small())
        assert outline(root) == ["stem", ["block.conv2d", "block.relu"], "add", "head"]
        assert [node.path for node in root.nodes()] == [node.path for node in small()]
        spec = (
            "netspec: 1\nname: nested\ninputs: {image: [N, 3, 8, 8]}\nblocks: {b: {body: [relu, {add: {branches:"
            " {x: [tanh], y: []}}}]}}\nnetwork: [{b, repeat: 2, name: s}, relu]\n"
        )
        copy = [["s.{0}.relu", ["s.{0}.x.tanh"], "s.{0}.add"]]
        first, second = (str(copy[0]).replace("{0}", str(i)) for i in (0, 1))
        assert str(outline(tree(netspec.loads(spec).graph))) == f"[[{first}, {second}], 'relu']"


class TestRebuild:
    def test_keeping_all_gives_the_same(self) -> None:
        for graph in (small(), netspec.load("resnet18").graph):
            again = rebuild(graph, keep)
            assert str(again) == str(graph)
            assert again.nodes == graph.nodes
            assert again.scopes == graph.scopes
            assert (again.inputs, again.outputs) == (graph.inputs, graph.outputs)
            assert (again.title, again.source, again.params) == (graph.title, graph.source, graph.params)

    def test_another_op(self) -> None:
        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            return editor.keep(node, inputs, Tanh() if isinstance(node.op, Relu) else None)

        assert str(rebuild(small(), visit)) == TEXT.replace("block.relu = relu(", "block.relu = tanh(")

    def test_shapes_are_inferred_again(self) -> None:
        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            op = node.op.model_copy(update={"out_channels": 16}) if isinstance(node.op, Conv2d) else None
            return editor.keep(node, inputs, op)

        graph = rebuild(small(), visit)
        assert {str(node.type) for node in graph} == {"N x 16 x H x W"}
        assert graph.state()["block.conv2d.weight"].shape == (16, 16, 1, 1)

    def test_dropping(self) -> None:
        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            return inputs[0] if node.path == "block.relu" else editor.keep(node, inputs)

        graph = rebuild(small(), visit)
        assert graph["add"].inputs == ("stem", "block.conv2d")
        assert graph.scopes["block"].output == "block.conv2d"

    def test_a_scope_goes_with_its_last_node(self) -> None:
        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            return inputs[0] if node.scope else editor.keep(node, inputs)

        graph = rebuild(small(), visit)
        assert graph.scopes == {}
        assert graph["add"].inputs == ("stem", "stem")

    def test_shared_weights(self) -> None:
        b = Builder("shared")
        x = b.input("image", ["N", 8])
        x = b.add("linear", x, name="a", out_features=8)
        b.output("x", b.add("linear", x, name="b", out_features=8))

        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            return editor.keep(node, inputs, weights_of="a")

        graph = rebuild(b.build(), visit)
        assert list(graph.state()) == ["a.weight", "a.bias"]
        assert "weights of a" in str(graph)
        assert [layer["parameters"] for layer in netspec.summary(graph)["layers"]] == [72, 0]
        assert rebuild(graph, keep).nodes == graph.nodes

    def test_a_node_more(self) -> None:
        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            value = editor.keep(node, inputs)
            return editor.builder.add("relu", value, name="after") if node.path == "stem" else value

        graph = rebuild(small(), visit)
        assert graph["block.conv2d"].inputs == ("after",)
        assert graph["add"].inputs == ("after", "block.relu")

    def test_an_edit_that_does_not_fit_is_said_at_its_node(self) -> None:
        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            op = node.op.model_copy(update={"out_channels": 4}) if node.path == "block.conv2d" else None
            return editor.keep(node, inputs, op)

        code, text = failing(lambda: rebuild(small(), visit))
        assert code == "NS301"
        assert "add: `add` needs equal shapes" in text

    @pytest.mark.parametrize(
        ("visit", "code"),
        [
            (lambda e, n, i: "nothing", "NS209"),
            (lambda e, n, i: e.keep(n, ("nothing",)), "NS209"),
            (lambda e, n, i: e.keep(n, i) and e.keep(n, i), "NS210"),
        ],
        ids=["an-unknown-value", "an-unknown-input", "a-node-twice"],
    )
    def test_bad_edits(self, visit: Any, code: str) -> None:
        assert failing(lambda: rebuild(small(), visit))[0] == code

    def test_an_error_after_a_pass_points_into_the_spec(self) -> None:
        text = "netspec: 1\nname: s\ninputs: {image: [N, 3, 8, 8]}\nnetwork: [{max_pool2d: 2}, {max_pool2d: 4}]\n"
        graph = netspec.loads(text).graph

        def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
            op = node.op.model_copy(update={"kernel_size": (4, 4), "stride": (4, 4)})
            return editor.keep(node, inputs, op)

        code, said = failing(lambda: rebuild(graph, visit))
        assert code == "NS303"
        assert said.startswith("<string>:4:29: error NS303: a window of 4 is larger than the map of 2")
