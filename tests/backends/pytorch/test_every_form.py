"""Every form of the language, as source: it says what the graph does, stands alone, and reads as linters want it."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.network import names
from netspec.types import helpers_of
from tests.support.lazy import lazy_imports
from tests.support.specs_of_every_form import FORMS as FORMS_OF_STEPS
from tests.support.specs_of_parts import PARTS
from tests.support.specs_of_uses import USES

with lazy_imports():
    import torch
    from torch import nn

    from netspec.backends.pytorch.runtime.prove import prove_module
    from tests.support.interpret import assert_means, example_inputs, outputs_of, randomize

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"),
]


FORMS = {**FORMS_OF_STEPS, **PARTS, **USES}


def classes(source: str) -> list[str]:
    return re.findall(r"^class (\w+)\(", source, re.MULTILINE)


def arguments(module: nn.Module) -> list[inspect.Parameter]:
    return list(inspect.signature(type(module).__init__).parameters.values())[1:]


@pytest.mark.parametrize("name", FORMS)
def test_module_is_what_the_graph_says(name: str) -> None:
    net = netspec.loads(FORMS[name])
    assert_means(net.graph, net.compile())


@pytest.mark.parametrize("name", FORMS)
def test_initialised_alike_on_every_run(name: str) -> None:
    net = netspec.loads(FORMS[name])
    torch.manual_seed(0)
    first = net.compile().state_dict()
    torch.manual_seed(0)
    second = net.compile().state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("name", [name for name, text in FORMS.items() if "\nparams:" in text])
def test_arguments_of_the_networks_class_mean_its_parameters(name: str) -> None:
    net = netspec.loads(FORMS[name])
    module = net.compile()
    for argument in arguments(module):
        value = argument.default
        others: dict[type, list[object]] = {
            bool: [not value],
            int: [value + 1, 2 * value, max(1, value - 1)] if isinstance(value, int) else [],
            float: [value / 2] if isinstance(value, float) else [],
            str: ["reflect"],
        }
        for other in others[type(value)]:
            try:
                changed = netspec.loads(FORMS[name], params={argument.name: other})
            except netspec.NetspecError:
                continue
            assert_means(changed.graph, type(module)(**{argument.name: other}))


ARGUMENTS = {
    "classes": ["classes", "hidden"],
    "width before a linear": ["classes"],
    "width before a global pool": ["width", "classes"],
    "stride before a linear": ["classes"],
    "stride down to one pixel": ["width"],
    "stride before a block that flattens": [],
    "width into a block that flattens": ["classes"],
    "block argument that decides": ["more"],
    "block argument that counts": ["width"],
    "root argument that two things read": ["width"],
    "root arguments of every type": ["width", "p", "bias", "mode"],
    "file parameters in blocks": ["kernel", "classes"],
    "symbols": ["classes"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_the_networks_class_takes(name: str) -> None:
    assert [argument.name for argument in arguments(netspec.loads(FORMS[name]).compile())] == ARGUMENTS[name]


DECIDING = {
    "a step left out": """
params: {width: 4}
network: [{conv2d: {out_channels: width, kernel_size: 1}}, {conv2d: {out_channels: 3, kernel_size: 1}, when: width > 4}]
""",
    "no copies": """
params: {n: 0}
network: [{conv2d: {out_channels: 3, kernel_size: 1}, repeat: n}, {conv2d: {out_channels: n + 1, kernel_size: 1}}]
""",
    "no copy that stands": """
params: {n: 1}
network: [{relu, repeat: n, when: index > 0}, {conv2d: {out_channels: n + 1, kernel_size: 1}}]
""",
    "a size of the input": """
params: {size: 4}
network: [{conv2d: {out_channels: size, kernel_size: 1}}]
""",
    "a step left out in a block": """
params: {width: 4}
blocks:
  some:
    params: {w: int}
    body: [{conv2d: {out_channels: w, kernel_size: 1}}, {conv2d: {out_channels: 3, kernel_size: 1}, when: w > 4}]
network: [{some: width}]
""",
    "a step left out for its input": """
params: {width: 4}
network:
  - {conv2d: {out_channels: width, kernel_size: 1}}
  - add:
      branches:
        a: [{conv2d: {out_channels: 4, kernel_size: 1}}]
        b: [{conv2d: {out_channels: 4, kernel_size: 1}, when: input.channels != 4}]
""",
}
"""Parameters that decide what is there, where a graph no longer shows it."""


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_is_no_argument(name: str) -> None:
    size = "size" if "{size:" in DECIDING[name] else "4"
    text = f"netspec: 1\nname: net\ninputs: {{image: [N, {size}, 4, 4]}}\n{DECIDING[name]}"
    assert not arguments(netspec.loads(text).compile())


CLASSES = {
    "one op": ["Net"],
    "block used often": ["Conv", "Net"],
    "nested three deep": ["Conv", "Pair", "Quad", "Net"],
    "list compared": ["Tower", "Net"],
    "text with quotes": ["Pick", "Pick2", "Net"],
    "residual in residual": ["Conv", "InnerAMid", "Inner", "Net"],
    "count differs by use": ["Conv", "Stage", "Net"],
    "count of none in some uses": ["Conv", "Stage", "Net"],
    "index in a block, counts differ": ["Conv", "Stage", "Net"],
    "index of a kernel, counts differ": ["Conv", "Stage", "Net"],
    "index in a repeated merge": ["Conv", "StageLayers", "Stage", "Net"],
    "repeated merge in a block": ["Conv", "DenseLayers", "Dense", "Net"],
    "repeat in a repeat": ["Conv", "Group", "Net"],
    "when in a branch": ["Conv", "Basic", "Net"],
    # One use has no step that only another lacks: each class is that of its longest use.
    "when first, last and in the middle": ["Conv", "Some", "Some2", "Net"],
    "when on a merge with from": ["Inverted", "Net"],
    "when on a repeated step": ["Conv", "Some", "Net"],
    "when on a named merge with branches": ["Conv", "SomeJoin", "Some", "Net"],
    "when deep inside": ["Conv", "SomeADeep", "Some", "Net"],
    "defaults that differ by use": ["Act", "Net"],
    "parameters of every type": ["Odd", "Net"],
    "parameters named badly": ["Conv", "Net"],
    "dead steps in a block": ["Conv", "Some", "Gone", "Net"],
    "several outputs": ["Conv", "NetOutput", "Net"],
}


@pytest.mark.parametrize("name", CLASSES)
def test_one_class_for_each_block(name: str) -> None:
    assert classes(netspec.loads(FORMS[name]).to_source()) == CLASSES[name]


@pytest.mark.parametrize("name", names())
def test_bundled_specs_have_one_class_for_each_block(name: str) -> None:
    net = netspec.load(name)
    blocks = {scope.block.name for scope in net.graph.scopes.values() if scope.block is not None}
    helpers = {helper.name for node in net.graph for helper in helpers_of(node.op.torch(*net.graph.input_types(node)))}
    # And the network's own, with the named tuple of what training gives, where it gives more.
    others = [name for name in classes(net.to_source()) if name not in helpers]
    assert len(others) == len(blocks) + 1 + (len(net.graph.outputs) > 1)


def test_sources_are_clean(tmp_path: Path) -> None:
    sources = {name: netspec.loads(text).to_source() for name, text in FORMS.items()}
    sources |= {name: netspec.load(name).to_source() for name in names()}
    for number, (name, source) in enumerate(sources.items()):
        # The mark stands in the first docstring, and nowhere else is netspec spoken of.
        assert source.count("netspec") == source.split('"""')[1].count("netspec") == 1, name
        assert "compiled by netspec" in " ".join(source.split('"""')[1].split()), name
        (tmp_path / f"f{number}_{re.sub('[^a-z]+', '_', name.lower())}.py").write_text(source)
    for command in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "-q", str(tmp_path)]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_sources_stand_alone(tmp_path: Path) -> None:
    lines = ["import sys", "import torch"]
    names = ["residual", "when on a merge with from", "copies with an outer value in a block"]
    names += ["several outputs", "initialisers"]
    for number, name in enumerate(names):
        net = netspec.loads(FORMS[name])
        (tmp_path / f"model{number}.py").write_text(net.to_source())
        module = net.compile()
        randomize(module)
        inputs = example_inputs(net.graph)
        torch.save((module.state_dict(), inputs, outputs_of(module, inputs)), tmp_path / f"{number}.pt")
        lines += [
            f"from model{number} import Net",
            f"state, inputs, wanted = torch.load({str(tmp_path / f'{number}.pt')!r})",
            "module = Net().eval()",
            "module.load_state_dict(state)",
            "found = module(*inputs)",
            "found = found if isinstance(found, tuple) else (found,)",
            "assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(found, wanted, strict=True))",
        ]
    lines.append("assert not [name for name in sys.modules if name.startswith('netspec')]")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + "\n".join(lines)
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_loaded_is_what_a_file_would_be() -> None:
    """Type hints were never evaluated here, and one of them was a name that no file has."""
    b = netspec.Builder("hints")
    x = b.input("image", ["N", 3, 8, 8])
    for number, size in enumerate(((None, 7), (3, 4), 5)):
        with b.scope(f"unit{number}", block="unit"):
            x = b.add("adaptive_avg_pool2d", x, output_size=size)
    b.output("y", x)
    graph = b.build()
    unit = sys.modules[type(netspec.compile(graph)).__module__].Unit
    hints = inspect.signature(unit.__init__, eval_str=False).parameters
    assert [str(p.annotation) for p in hints.values()][1:] == ["tuple[None, int] | tuple[int, int] | int"]
    assert_means(graph, netspec.compile(graph))


OPEN_SIZES = ("avg_pool2d: 300", "narrow: {dim: 0, start: 2, length: 3}", "select: {dim: 3, index: -299}")


@pytest.mark.parametrize("step", OPEN_SIZES)
def test_the_proof_takes_sizes_that_fit(step: str) -> None:
    net = netspec.loads(f"netspec: 1\nname: large\ninputs: {{image: [N, 3, H, W]}}\nnetwork:\n  - {step}\n")
    assert "proved Large" in prove_module(net.graph, net.to_source())


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("step", ["conv2d: {out_channels: 4, kernel_size: 3}", "prelu", "batch_norm", "linear: 3"])
def test_the_proof_works_in_the_dtype_of_the_inputs(dtype: str, step: str) -> None:
    head = f"netspec: 1\nname: small\ninputs: {{x: {{shape: [N, 3, 8, 8], dtype: {dtype}}}}}\n"
    net = netspec.loads(f"{head}network:\n  - {step}\n")
    assert "proved Small" in prove_module(net.graph, net.to_source())


def test_a_module_of_two_dtypes_is_refused() -> None:
    two = "{a: {shape: [N, 3, 8, 8], dtype: float16}, b: [N, 3, 8, 8]}"
    steps = "[{linear: 2, from: a, name: x}, {linear: 2, from: b, name: y}]\noutputs: {x: x, y: y}"
    net = netspec.loads(f"netspec: 1\nname: two\ninputs: {two}\nnetwork: {steps}\n")
    with pytest.raises(netspec.NetspecError, match="NS401: a module of PyTorch works in one dtype, and here is `x` in"):
        prove_module(net.graph, net.to_source())


def test_the_proof_says_that_no_sizes_fit() -> None:
    net = netspec.loads("netspec: 1\nname: large\ninputs: {x: [N, 3, H, W]}\nnetwork:\n  - avg_pool2d: 5000\n")
    with pytest.raises(netspec.NetspecError, match="5:5: error NS303: a window of 5000 is larger than the map of 256"):
        prove_module(net.graph, net.to_source())


FILLED = {
    "conv2d.weight": lambda w: 0.01 < w.std() < 3,
    "conv2d.bias": lambda w: torch.equal(w, torch.tensor([0.1, 0.2, 0.3])),
    "conv2d_2.weight": lambda w: w.abs().max() <= 0.1,
    "conv2d_2.bias": lambda w: not w.any(),
    "conv2d_3.bias": lambda w: (w == 1).all(),
    "conv2d_5.bias": lambda w: (w == 1).all(),
    "batch_norm.weight": lambda w: (w == 1).all(),
    "linear.bias": lambda w: torch.equal(w, torch.full_like(w, 0.1)),
    "linear_2.bias": lambda w: torch.equal(w, torch.full_like(w, 0.1)),
    "linear.weight": lambda w: 0.008 < w.std() < 0.012,
    "linear_2.weight": lambda w: w.std() > 0.1,
}


@pytest.mark.parametrize("key", FILLED)
def test_weights_begin_as_the_spec_says(key: str) -> None:
    torch.manual_seed(0)
    assert FILLED[key](netspec.loads(FORMS["initialisers"]).compile().state_dict()[key])


def test_copies_that_are_left_out_keep_their_numbers_and_initialisers() -> None:
    state = netspec.loads(FORMS["initialisers on some layers"]).compile().state_dict()
    assert [key for key in state if key.startswith("odd") and key.endswith("weight")] == [
        "odd.1.weight",
        "odd.3.weight",
    ]
    assert (state["odd.1.weight"] == 0.5).all()
    assert (state["odd.3.weight"] == 0.5).all()
    assert all(torch.equal(state[f"copies.{k}.bias"], torch.tensor([0.1, 0.2, 0.3, 0.4])) for k in range(3))


@pytest.mark.parametrize("name", ["tensor", "ordered_dict", "named_tuple", "i"])
def test_networks_named_as_what_the_code_needs(name: str) -> None:
    net = netspec.loads(f"netspec: 1\nname: {name}\n" + FORMS["several outputs"].split("\n", 2)[2])
    assert_means(net.graph, net.compile())


WORDS = """
netspec: 1
name: words
title: "torch.cat, math.ceil, it's a NamedTuple of OrderedDict( in \\"quotes\\""
params: {width: 4}
inputs: {image: [N, 3, 8, 8]}
network:
  - {conv2d: {out_channels: width, kernel_size: 1}, name: math}
  - %s
"""


WORDY = (
    "relu",
    "concat: {branches: {a: [{relu, name: math}], b: []}}",
    "{conv2d: {out_channels: ceil(width / 3), kernel_size: 1}}",
)


@pytest.mark.parametrize("text", [*FORMS.values(), *(WORDS % step for step in WORDY)], ids=[*FORMS, *WORDY])
def test_imports_are_what_the_code_reads(text: str) -> None:
    tree = ast.parse(netspec.loads(text).to_source())
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert imported - {"Tensor", "nn"} == read & {"math", "torch", "torchvision", "OrderedDict", "NamedTuple"}
