"""The statements of `forward`."""

from __future__ import annotations

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.backends.pytorch.forward import ForwardWriter
from netspec.graph import Builder, Graph, Scope
from netspec.types import Layer
from tests.backends.pytorch.printing import CONV_BN, body_of, graph_of


def forward(graph: Graph, path: str = "", returned: str = "", conditions: dict[str, str] | None = None) -> list[str]:
    """The lines of the forward method of the class at a path, with `x` for what enters a scope."""
    body = body_of(graph, path)
    arguments = body.inputs if not path else [["x"], ["x1", "x2"]][len(body.inputs) - 1]
    return [line[8:] for line in ForwardWriter(body, arguments, conditions or {}).write(returned)]


def test_a_short_chain_in_a_block_is_nested() -> None:
    assert forward(graph_of("[conv_bn: 8]", CONV_BN), "conv_bn") == ["return self.bn(self.conv(x))"]


def test_the_network_has_a_statement_for_each_step() -> None:
    assert forward(graph_of("[{relu: {}, name: a}, {sigmoid: {}, name: b}]")) == [
        "x = self.a(image)",
        "return self.b(x)",
    ]


def test_operands_are_nested_in_their_merge() -> None:
    blocks = "\n  fork:\n    body: [add: {branches: {a: [relu], b: [sigmoid], c: []}}]\n"
    assert forward(graph_of("[fork]", blocks), "fork") == ["return self.a(x) + self.b(x) + x"]


def test_a_long_call_is_not_nested_in_an_expression_of_one_line() -> None:
    attention = "{scaled_dot_product_attention: {dropout_p: 0.1}, from: [input, input, input], name: attention}"
    blocks = f"\n  heads:\n    body: [{attention}, permute: {{dims: [0, 2, 1, 3]}}]\n"
    assert forward(graph_of("[heads]", blocks), "heads") == [
        "x = nn.functional.scaled_dot_product_attention(",
        "    x, x, x, dropout_p=self.attention.p if self.attention.training else 0.0",
        ")",
        "return x.permute(0, 2, 1, 3)",
    ]


def test_operands_keep_the_order_of_calls() -> None:
    network = "[{relu: {}, name: a}, {sigmoid: {}, name: b, from: input}, {add, from: [b, a], name: c}]"
    blocks = f"\n  fork:\n    body: {network}\n"
    # The call of `a` comes first, though it is the second operand.
    assert forward(graph_of("[fork]", blocks), "fork") == ["out = self.a(x)", "return self.b(x) + out"]


def test_operands_are_in_brackets_where_their_operators_bind_less() -> None:
    def of(steps: str) -> list[str]:
        blocks = f"\n  fork:\n    inputs: [a, b]\n    body: [{steps}]\n"
        network = "[{relu: {}, name: r}, {fork, from: [image, r], name: fork}]"
        return forward(graph_of(network, blocks), "fork")

    assert of("{add, from: [a, b]}, scale: 0.5") == ["return (x1 + x2) * 0.5"]
    assert of("{subtract, from: [a, b]}, scale: -2") == ["return (x1 - x2) * -2.0"]
    assert of("{divide, from: [a, b]}, scale: 0.5, scale: 4") == ["return x1 / x2 * 0.5 * 4.0"]
    assert of("{multiply, from: [a, b]}, scale: 0.5, {select: {dim: 1, index: 0}}") == ["return (x1 * x2 * 0.5)[:, 0]"]
    assert of("{scale: 0.5, from: a}, {select: {dim: 1, index: 0}}, {add, from: [b, b]}") == ["return x2 + x2"]


def test_a_value_that_is_used_again_keeps_the_name_of_its_step() -> None:
    graph = graph_of("[{relu: {}, name: low}, {sigmoid: {}, name: b}, {tanh: {}, name: c}, {add, from: [c, low]}]")
    assert forward(graph) == ["low = self.low(image)", "x = self.b(low)", "return self.c(x) + low"]


def test_steps_that_nothing_uses_are_not_called() -> None:
    graph = graph_of("[{relu: {}, name: a}, {sigmoid: {}, name: dead}, {tanh: {}, name: b, from: a}]")
    assert forward(graph) == ["x = self.a(image)", "return self.b(x)"]


def test_a_function_that_some_uses_call_is_conditional() -> None:
    blocks = "\n  b:\n    body: [{relu: {}, name: a}, {multiply, from: [a, a], name: squared}]\n"
    assert forward(graph_of("[b]", blocks), "b", conditions={"squared": "with_squared"}) == [
        "x = self.a(x)",
        "if self.with_squared:",
        "    x = x * x",
        "return x",
    ]


def test_outputs_for_training_are_built_last() -> None:
    builder = Builder("net")
    image = builder.input("image", ["N", 3, 8, 8])
    main = builder.add("relu", image, name="main")
    builder.output("aux", builder.add("sigmoid", main, name="side"), mode="train")
    builder.output("y", builder.add("tanh", main, name="last"))
    assert forward(builder.build(), returned="NetOutput") == [
        "main = self.main(image)",
        "x = self.last(main)",
        "if self.training:",
        "    side = self.side(main)",
        "    return NetOutput(x, side)",
        "return x",
    ]


STREAMS = """
  mix:
    inputs: [p, q]
    outputs: {p: sum, q: gate}
    body: [{add, from: [p, q], name: sum}, {sigmoid: {}, name: gate, from: q}]
"""


def test_copies_with_several_values_are_called_in_a_loop() -> None:
    network = (
        "[{relu: {}, name: a}, {mix: {}, from: [image, a], name: mixes, repeat: 3}, {add, from: [mixes.p, mixes.q]}]"
    )
    assert forward(graph_of(network, STREAMS)) == [
        "x = self.a(image)",
        "p, q = image, x",
        "for layer in self.mixes:",
        "    p, q = layer(p, q)",
        "return p + q",
    ]


def test_copies_are_called_one_by_one_where_a_value_of_an_earlier_one_leaves() -> None:
    values = ["image", "steps.0", "steps.1", "steps.2"]
    copies = [BodyItem(str(n), [values[n]], [values[n + 1]], printed=Layer("nn.ReLU", {})) for n in range(3)]
    inner = ScopeBody(Scope("steps", "repeat"), ["image"], ["steps.0", "steps.2"], items=copies)
    steps = BodyItem("steps", inner.inputs, inner.outputs, body=inner, labels=("low", "high"))
    body = ScopeBody(None, ["image"], ["steps.2", "steps.0"], items=[steps])
    assert [line.strip() for line in ForwardWriter(body, ["image"], {}).write()] == [
        "low = self.steps[0](image)",
        "x_0 = self.steps[1](low)",
        "high = self.steps[2](x_0)",
        "return high, low",
    ]


def test_one_module_is_called_once_for_each_copy_that_shares_it() -> None:
    graph = graph_of("[{conv_bn: 3, name: a}, {conv_bn: 3, name: b, share: a, repeat: 2}]", CONV_BN)
    assert forward(graph) == ["x = self.a(image)", "for _ in range(2):", "    x = self.a(x)", "return x"]
