"""Networks to truncate, and what truncating them has to give."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import netspec
from netspec.graph import Graph
from netspec.passes import truncate
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER
from tests.support.specs_of_every_form import FORMS
from tests.support.specs_of_parts import PARTS

with lazy_imports():
    import torch

    from tests.passes.modules import assert_whole, every_value, images, made_of, run, trained

SMALL = {**FORMS, **PARTS}
"""Small specs by their names."""

NETWORKS: dict[str, Callable[[], netspec.Network]] = {
    "resnet18": lambda: netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]}),
    "resnet50": lambda: netspec.load("resnet50", inputs={"image": ["N", 3, 64, 64]}),
    "resnet20_cifar": lambda: netspec.load("resnet20_cifar"),
    "googlenet": lambda: netspec.load("googlenet", params={"classes": 7}),
    "googlenet_bn": lambda: netspec.load("googlenet_bn", inputs={"image": ["N", 3, 96, 96]}),
    "rir": lambda: netspec.load("rir", params={"width": 8}),
    "alexnet": lambda: netspec.load("alexnet", inputs={"image": ["N", 3, 99, 99]}),
    "mobilenet_v2": lambda: netspec.load("mobilenet_v2", inputs={"image": ["N", 3, 64, 64]}),
    "unet": lambda: netspec.load("unet", inputs={"image": ["N", 1, 188, 188]}),
    "vit": lambda: netspec.load("vit_b_16", params={"size": 32, "width": 48, "layers": 3, "heads": 4, "mlp_width": 64}),
    "fpn": lambda: netspec.load(OTHER / "resnet50_fpn.yaml", inputs={"image": ["N", 3, 64, 64]}),
}


@cache
def graph_of(name: str) -> Graph:
    return NETWORKS[name]().graph


def value_of(graph: Graph, name: str) -> str:
    outputs = {o.name: o.value for o in graph.outputs}
    if name in outputs or name in graph.types:
        return outputs.get(name, name)
    return graph.scopes[name].output


def check(graph: Graph, wanted: list[list[str]], refused: str = "") -> int:
    """Truncate at each of these lists of names, and hold what is made against the whole; how many could be said."""
    before = trained(graph)
    inputs = images(graph, batch=1)
    by_name = dict(zip([i.name for i in graph.inputs], inputs, strict=True))
    values = every_value(graph, before, inputs)
    said = 0
    for names in wanted:
        made = truncate(graph, names)
        assert_whole(made.graph)
        assert [o.value for o in made.graph.outputs] == [value_of(graph, name) for name in names]
        assert {node.path for node in made.graph} <= {node.path for node in graph}
        try:
            after = made_of(before, made)
        except netspec.NetspecError as error:
            if not refused or refused not in str(error):
                raise
            continue
        found = run(after, *[by_name[i.name] for i in made.graph.inputs])
        torch.testing.assert_close(found, tuple(values[value_of(graph, name)] for name in names), rtol=1e-9, atol=1e-9)
        said += 1
    return said


def names_of(graph: Graph) -> list[str]:
    """All that may be named and is computed."""
    inputs = {i.name for i in graph.inputs}
    scopes = [path for path, scope in graph.scopes.items() if scope.output not in inputs]
    outputs = {o.name for o in graph.outputs}
    return [name for name in dict.fromkeys([*graph.by_path, *scopes]) if name not in outputs]
