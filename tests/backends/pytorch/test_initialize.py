"""Initialisers as source, and the names of submodules in it."""

from __future__ import annotations

from netspec.backends.pytorch.initialize import initializer_code
from netspec.backends.pytorch.submodule import places_of_copies, submodule
from tests.backends.pytorch.printing import graph_of

CONV = "conv2d: {out_channels: 3, kernel_size: 1}"


def steps(*inits: str) -> str:
    """A network of convolutions, each with an initialiser for its weight."""
    return f"[{', '.join(f'{{{CONV}, name: c{n}, init: {{weight: {init}}}}}' for n, init in enumerate(inits))}]"


def test_layers_that_begin_alike_have_a_rule() -> None:
    code = initializer_code(graph_of(steps("kaiming_normal", "kaiming_normal")))
    assert code.statements == {"": ["        self.apply(init_weights)"]}
    assert code.functions == {
        "init_weights": [
            "def init_weights(module: nn.Module) -> None:",
            '    """Initialize the weights of a layer."""',
            "    if isinstance(module, nn.Conv2d):",
            "        nn.init.kaiming_normal_(module.weight)",
        ]
    }


def test_layers_that_differ_from_the_rule_have_statements() -> None:
    code = initializer_code(graph_of(steps("0.5", "0.5", "0", "1")))
    assert code.functions["init_weights"][-1] == "        nn.init.constant_(module.weight, 0.5)"
    assert code.statements[""][1:] == [
        "        nn.init.zeros_(self.c2.weight)",
        "        nn.init.ones_(self.c3.weight)",
    ]


def test_equal_exceptions_are_a_loop() -> None:
    code = initializer_code(graph_of(steps("0", "0", "0", "1", "1")))
    assert code.statements[""][1:] == [
        "        for layer in (self.c3, self.c4):",
        "            nn.init.ones_(layer.weight)",
    ]


PAIR = f"""
  pair:
    body:
      - {{{CONV}, name: a, init: {{weight: 0.5}}}}
      - {{{CONV}, name: b, init: {{weight: 1}}}}
"""


def test_a_layer_of_every_copy_is_filled_in_a_loop_over_them() -> None:
    code = initializer_code(graph_of("[{pair: {}, name: stack, repeat: 3}]", PAIR))
    assert code.statements[""][1:] == [
        "        for layer in self.stack:",
        "            nn.init.ones_(layer.b.weight)",
    ]


def test_a_layer_of_two_copies_is_named() -> None:
    code = initializer_code(graph_of("[{pair: {}, name: stack, repeat: 2}]", PAIR))
    assert code.statements[""][1:] == [
        "        for layer in (self.stack[0].b, self.stack[1].b):",
        "            nn.init.ones_(layer.weight)",
    ]


def test_a_kind_of_layer_of_which_some_are_left_to_torch_has_no_rule() -> None:
    network = (
        f"[{{{CONV}, name: a, init: {{weight: 0.5}}}}, {{{CONV}, name: b, init: {{weight: 0.5}}}}, {{{CONV}, name: c}}]"
    )
    code = initializer_code(graph_of(network))
    assert code.functions == {}
    assert code.statements[""][0] == "        for layer in (self.a, self.b):"


def test_without_initialisers_there_is_no_code() -> None:
    code = initializer_code(graph_of(f"[{CONV}]"))
    assert (code.functions, code.statements) == ({}, {})


def test_copies_are_told_by_their_place() -> None:
    graph = graph_of(f"[{{{CONV}, name: stack, repeat: 2}}]")
    places = places_of_copies(graph)
    assert places == {"stack.0": 0, "stack.1": 1}
    assert submodule(places, "stack.1") == "self.stack[1]"
    assert submodule({"a.b.2": 1}, "a.b.2.conv", "a") == "self.b[1].conv"


def test_an_exception_of_an_inner_network_that_is_filled_with_0_has_a_statement() -> None:
    """Its class has a rule for linear layers, of which the outer network has none; that for biases is the latter's."""
    conv = "conv2d: {out_channels: 3, kernel_size: 1}, init: {bias:"
    blocks = f"""
  inner:
    body:
      - {{{conv} 0}}, name: a}}
      - {{{conv} 1}}, name: b}}
      - {{{conv} 1}}, name: c}}
      - {{linear: 8, name: d, init: {{bias: 2}}}}
      - {{linear: 8, name: e, init: {{bias: 2}}}}
"""
    graph = graph_of("[{inner: {}, name: inner}, {linear: 8, name: f}]", blocks)
    code = initializer_code(graph, [["inner"]])
    assert code.statements["inner"] == ["        self.apply(init_weights_2)"]
    assert code.statements[""] == ["        self.apply(init_weights)", "        nn.init.zeros_(self.inner.a.bias)"]
