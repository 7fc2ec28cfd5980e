"""Ops of one's own: from a file that a flag names, and from installed packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import pytest

import netspec
from netspec.cli.main import main
from netspec.ops.base import REGISTRY
from netspec.ops.own import find_op, load_ops, op_names
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

SWISH = '''
"""Swish with a learned slope, as a module and as an op."""

import torch
from torch import nn

from netspec.ops.base import Elementwise, example
from netspec.ops.fields import PositiveReal
from netspec.types import Layer, Weight


class LearnedSwish(nn.Module):
    def __init__(self, channels: int, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.full((channels, 1, 1), beta))

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


class Swish(Elementwise, name="learned_swish", principal="beta", family="activation"):
    """x * sigmoid(beta * x) with beta learned for each channel (Ramachandran et al. 2017)."""

    beta: PositiveReal = 1.0

    examples = (example((2, 3, 4, 5)), example((2, 3, 4, 5), beta=2))

    def weights(self, x):
        return (Weight("beta", (x.channels, 1, 1)),)

    def torch(self, x):
        return self.layer("swish_ops.LearnedSwish", channels=x.channels)
'''

SPEC = """\
netspec: 1
name: swished
inputs: {image: [N, 3, 8, 8]}
blocks:
  stage:
    params: {width: int, slope: 1.0}
    body:
      - conv2d: {out_channels: width, kernel_size: 3, padding: 1}
      - learned_swish: slope
network:
  - {stage: 4, name: one}
  - {stage: {width: 6, slope: 2}, name: two}
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_ops_forgotten: None) -> None:
    """Each test with its own folder, and without the ops of the others."""
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        main(arguments)
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    return status, *capsys.readouterr()


def test_an_op_from_a_file_is_an_op_like_any_other() -> None:
    (cls,) = load_ops(write("swish_ops.py", SWISH))
    assert cls is find_op("learned_swish")
    net = netspec.loads(SPEC)
    summary = net.summary()
    # Two 3x3 convolutions and a slope a channel, counted by hand.
    assert summary["totals"]["parameters"] == (3 * 4 * 9 + 4) + 4 + (4 * 6 * 9 + 6) + 6
    assert summary["layers"][-1]["receptive_field"]["size"] == [5, 5]
    source = net.to_source()
    assert "import swish_ops\nfrom torch import Tensor, nn\n" in source
    assert "self.learned_swish = swish_ops.LearnedSwish(width, beta=slope)" in source
    module = net.compile()
    x = torch.randn(2, 3, 8, 8)
    assert module(x).shape == (2, 6, 8, 8)
    assert {k: tuple(v.shape) for k, v in module.state_dict().items()} == {
        k: w.shape for k, w in net.graph.state().items()
    }


def test_its_errors_have_places() -> None:
    load_ops(write("swish_ops.py", SWISH))
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.loads(SPEC.replace("slope: 2", "slope: -2.0"))
    assert "<string>:9:9" not in str(caught.value)
    assert "NS206: `beta` takes a number greater than 0, not -2.0" in str(caught.value)
    with pytest.raises(netspec.NetspecError, match="did you mean `learned_swish`"):
        netspec.loads(SPEC.replace("learned_swish", "learned_swich"))


def test_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    write("swish_ops.py", SWISH)
    write("swished.yaml", SPEC)
    status, out, err = run(capsys, "summary", "swished.yaml")
    assert (status, out) == (1, "")
    assert "NS203: there is no op or block `learned_swish`" in err
    status, out, err = run(capsys, "summary", "swished.yaml", "--ops", "swish_ops.py", "--depth", "all")
    assert (status, err) == (0, "")
    assert "one.learned_swish" in out or "learned swish" in out
    status, out, err = run(capsys, "compile", "swished.yaml", "--ops", "swish_ops.py", "-o", "swished.py")
    assert status == 0, err
    assert "proved Swished" in err


def test_the_flag_is_on_every_command_that_reads_specs() -> None:
    from netspec.cli.main import COMMANDS, cli

    context = cli.make_context("netspec", ["list"])
    without = {"list", "init", "run", "help"}
    for name in set(COMMANDS) - without:
        command = cli.get_command(context, name)
        assert command is not None
        inner = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        assert all(any("--ops" in p.opts for p in each.params) for each in inner), name


def test_a_spec_never_names_code() -> None:
    write("swish_ops.py", SWISH)
    for line in ("ops: swish_ops.py", "ops: [swish_ops.py]"):
        with pytest.raises(netspec.NetspecError, match="NS201: a spec has no key `ops`"):
            netspec.loads(SPEC.replace("name: swished", f"name: swished\n{line}"))
    assert "swish_ops" not in sys.modules


BROKEN = {
    "x = 1 / 0": "{file} can't be used: ZeroDivisionError: division by zero ({file}:1)",
    "x = (": "{file} can't be used: SyntaxError: '(' was never closed",
    "x = 1": "{file} defines no op",
    "import netspec\nclass A(netspec.Op, name='own_a'): pass": "op `own_a` does not say its `infer`, `macs`",
    "import netspec\nclass A(netspec.Op, name='conv2d'): pass": "there is an op `conv2d` already",
    "import netspec\nclass A(netspec.Op, name='forward'): pass": "`forward` can't be the name of an op",
    "import netspec\nclass A(netspec.Op, name='no-name'): pass": "'no-name' can't be the name of an op",
}
RULES = {
    "examples = (example((2, 3), b=2),)": "example 1 of op `own_a`: `own_a` has no attribute `b`",
    "k: 'Nothing' = 1": "the attributes of op `own_a` can't be read",
    "def infer(self, x): return x.nothing": "can't be worked out: AttributeError: 'Tensor' object has no attribute",
    "def infer(self, x): return [x]": "`infer` gives a tuple of Tensors, and here does not",
    "def infer(self, x): return (x, x)": "`infer` gives 2 outputs, and `output_names` has 1",
    "def weights(self, x): return []": "`weights` gives a tuple of Weights",
    "def macs(self, y, x): return 0.5": "`macs` gives a number, or None",
    "def window(self, x): return None": "`window` gives a Window, an Upsampling or a Reach",
    "def torch(self, x): return 'nn.ReLU()'": "`torch` gives a Layer, a Call, an Infix or a Code",
    "def infer(self, x): raise RuleError('not today')": "example 1 of op `own_a`: not today",
}
RULE_FILE = """
from netspec.ops.base import Elementwise, RuleError, example
from netspec.types import Layer

class Base(Elementwise):
    examples = (example((2, 3)),)
    def torch(self, x): return Layer("nn.ReLU", {{}})

class A(Base, name="own_a"):
    {rule}
"""


@pytest.mark.parametrize("text", [*BROKEN, *RULES])
def test_what_can_not_be_used_is_said_and_leaves_nothing(text: str) -> None:
    file = write("broken_ops.py", RULE_FILE.format(rule=text) if text in RULES else text)
    before = dict(REGISTRY)
    with pytest.raises(netspec.NetspecError) as caught:
        load_ops(file)
    assert (BROKEN | RULES)[text].format(file=file) in str(caught.value)
    assert before == REGISTRY


def test_a_complete_op_of_that_form_can_be_used() -> None:
    load_ops(write("broken_ops.py", RULE_FILE.format(rule="pass")))
    assert "own_a" in REGISTRY


def test_files_that_are_no_modules() -> None:
    for name, message in {
        "nothing.py": "there is no file nothing.py",
        "ops.txt": "ops.txt is no Python file",
        "my-ops.py": "`my-ops` is no name of a module",
        "json.py": "json.py would hide the module `json`",
    }.items():
        if name != "nothing.py":
            write(name, SWISH)
        with pytest.raises(netspec.NetspecError, match=f"NS218: .*{message}"):
            load_ops(Path(name))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_told_as_one() -> None:
    os.mkfifo("piped_ops.py")
    with pytest.raises(netspec.NetspecError, match=r"NS218: piped_ops\.py is no file: it is a pipe"):
        load_ops(Path("piped_ops.py"))


def test_the_same_file_twice() -> None:
    file = write("swish_ops.py", SWISH)
    first, second = load_ops(file), load_ops(file)
    assert first[0] is not second[0] is find_op("learned_swish")


def test_a_name_of_the_network_can_not_hide_the_module() -> None:
    load_ops(write("swish_ops.py", SWISH))
    with pytest.raises(netspec.NetspecError, match="NS401: `swish_ops` is a name in `swished`"):
        netspec.loads(SPEC.replace("image", "swish_ops")).to_source()


WINDOW = """
from torch import nn

from netspec.ops.base import Elementwise, example
from netspec.ops.fields import Positive
from netspec.types import Layer


class Windowed(nn.Module):
    def __init__(self, window_size: list[int], shifts: tuple[int, ...], rate: float, names: dict) -> None:
        super().__init__()
        self.given = window_size, shifts, rate, names

    def forward(self, x):
        return x


class WindowOp(Elementwise, name="windowed", principal="width"):
    width: Positive
    examples = (example((2, 3, 4, 5), width=2),)

    def torch(self, x):
        w = x.height if self.width == 9 else self.width
        arguments = {"window_size": [w, w], "shifts": (w, w), "rate": float("-inf"), "names": {"a": [w]}}
        return Layer("window_ops.Windowed", arguments)
"""
WINDOWS = """
netspec: 1
name: windows
inputs: {x: [N, 3, H, 4]}
blocks: {one: {params: {w: int}, body: [windowed: w]}}
network: [%s]
"""


def test_arguments_of_a_layer_are_written_as_they_are() -> None:
    """A list was no value that two uses could be compared by; and [7, 7] is no 7, as a kernel's pair is."""
    load_ops(write("window_ops.py", WINDOW))
    net = netspec.loads(WINDOWS % "{one: 2, name: a}, {one: 3, name: b}, {windowed: index + 1, repeat: 2, name: c}")
    module = net.compile()
    layers = [module.a.windowed, module.b.windowed, *module.c]
    assert [layer.given for layer in layers] == [([w, w], (w, w), float("-inf"), {"a": [w]}) for w in (2, 3, 1, 2)]


def test_an_argument_that_is_no_literal_is_refused_at_its_step() -> None:
    load_ops(write("window_ops.py", WINDOW))
    with pytest.raises(netspec.NetspecError, match=r"6:11: error NS401: the argument `window_size` of `windowed`"):
        netspec.loads(WINDOWS % "windowed: 9").to_source()
    assert "[4, 4]" in netspec.loads(WINDOWS % "windowed: 9", inputs={"x": ["N", 3, 4, 4]}).to_source()


# Installed packages: what `pip install` leaves, in a folder that is on the path.


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    write("site/swish_ops.py", SWISH)
    write("site/netspec_swish-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: netspec-swish\nVersion: 1.0\n")
    write(
        "site/netspec_swish-1.0.dist-info/entry_points.txt",
        "[netspec.ops]\nlearned_swish = swish_ops:Swish\nmissing = no_such_module:Op\nother = swish_ops:LearnedSwish\n",
    )
    monkeypatch.syspath_prepend(str(site))
    return site


def test_an_installed_op_is_imported_when_a_spec_uses_it(installed: Path) -> None:
    assert "learned_swish" in op_names()
    netspec.load("vgg_a")
    assert "swish_ops" not in sys.modules
    assert netspec.loads(SPEC).summary()["totals"]["parameters"] == 344
    assert "swish_ops" in sys.modules


def test_an_installed_op_that_does_not_load(installed: Path) -> None:
    with pytest.raises(netspec.NetspecError, match="NS218: `missing` of netspec-swish can't be used: ModuleNotFound"):
        netspec.loads(SPEC.replace("learned_swish: slope", "missing: slope"))
    with pytest.raises(netspec.NetspecError, match="netspec-swish announces an op `other`, and swish_ops:Learned"):
        netspec.loads(SPEC.replace("learned_swish: slope", "other: slope"))


def test_a_block_may_have_the_name_of_an_installed_op(installed: Path) -> None:
    own_block = SPEC.replace("blocks:\n", "blocks:\n  learned_swish:\n    params: {k: float}\n    body: [relu]\n")
    alone = netspec.loads(own_block).summary()["totals"]["parameters"]
    netspec.loads(SPEC)
    assert netspec.loads(own_block).summary()["totals"]["parameters"] == alone == 334


FAULTY = """
from netspec import Op
from netspec.types import Call, Memory, Reach

class Faulty(Op, name="faulty"):
    def infer(self, x): return x
    def weights(self, x): return ()
    def macs(self, y, x): return 0
    def window(self, x): return Reach.POINT
    def memory(self, train, y, x): return Memory()
    def torch(self, x): return Call("torch.relu")
"""
USES_FAULTY = "netspec: 1\nname: x\ninputs: {image: [N, 3, 8, 8]}\nnetwork:\n  - relu\n  - faulty\n"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("infer(self, x): return x", "infer(self, x): return x.nosuch", r"no attribute 'nosuch' \(faulty_ops.py:6\)"),
        ("infer(self, x): return x", "infer(self, x): return 3", "TypeError: `infer` gives a tuple of Tensors"),
        ("weights(self, x): return ()", "weights(self, x): return None", "TypeError: `weights` gives"),
        ("y, x): return 0", "y, x): return 'many'", "TypeError: `macs` gives a number"),
        ("y, x): return 0", "y, x): return 1 // 0", r"ZeroDivisionError: .* \(faulty_ops.py:8\)"),
        ("return Reach.POINT", "return 1", "TypeError: `window` gives"),
        ("return Memory()", "return 1", "TypeError: `memory` gives"),
        ("return Memory()", "return x.shape[0] + y.no", r"no attribute 'no' \(faulty_ops.py:10\)"),
        ('return Call("torch.relu")', "raise KeyError(x)", r"KeyError: .* \(faulty_ops.py:11\)"),
    ],
)
def test_a_rule_with_a_fault_is_told_at_the_step(right: str, wrong: str, message: str) -> None:
    load_ops(write("faulty_ops.py", FAULTY))
    assert len(netspec.loads(USES_FAULTY).graph) == 2
    assert right in FAULTY
    load_ops(write("faulty_ops.py", FAULTY.replace(right, wrong)))
    with pytest.raises(netspec.NetspecError, match=f"NS218: op `faulty` has a fault: .*{message}") as caught:
        netspec.loads(USES_FAULTY)
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.line == 6


def test_a_file_that_exits() -> None:
    with pytest.raises(netspec.NetspecError, match=r"NS218: exits.py can't be used: SystemExit: 3 \(exits.py:2\)"):
        load_ops(write("exits.py", "import sys\nsys.exit(3)\n"))


# Sizes that only the data tell.

PLACES = '''
"""`nonzero`, whose size only the data tell."""

from netspec import Op
from netspec.types import DATA, Call, Reach, Tensor


class Nonzero(Op, name="nonzero", family="shape"):
    """Where a tensor is not zero, as torch.nonzero."""

    def infer(self, x):
        return Tensor((DATA, x.rank), "int64")

    def weights(self, x):
        return ()

    def macs(self, y, x):
        return y.shape[0]

    def window(self, x):
        return Reach.DATA

    def torch(self, x):
        return Call("torch.nonzero")
'''

FOUND = """
netspec: 1
name: places
inputs: {map: [N, 1, H, W]}
blocks: {found: {body: [relu, {nonzero, name: where}]}}
network:
  - {found, name: a}
  - {found, from: map, name: b}
  - {concat: {dim: 0}, from: [a, b], name: both}
outputs: {places: both, first: a}
"""


def test_a_size_that_only_the_data_tell_is_a_symbol_named_after_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    load_ops(write("places_ops.py", PLACES))
    net = netspec.loads(FOUND)
    # Not the same nodes once more, though it is the same block on the same value: the sizes are two.
    shapes = {node.path: str(node.type) for node in net.graph}
    assert (shapes["a.where"], shapes["b.where"]) == ("AWhere x 4", "BWhere x 4")
    assert shapes["both"] == "(AWhere + BWhere) x 4"
    assert net.summary()["totals"]["macs"] is None
    assert "fix them with `--input`" in str(net.summary())
    fixed = netspec.loads(FOUND, inputs={"map": ["N", 1, 8, 8]})
    assert "where only the data tell sizes" in str(fixed.summary())
    x = torch.zeros(2, 1, 3, 3)
    x[1, 0, 2, 1] = 5.0
    given = net.compile()(x)
    assert given.first.tolist() == [[1, 0, 2, 1]]
    assert given.places.shape == (2, 4)
    write("places.yaml", FOUND)
    assert run(capsys, "compile", "places.yaml", "-o", "places.py")[0] == 0
    with pytest.raises(netspec.NetspecError, match="only the data tell AWhere, BWhere of `places`"):
        net.memory()


def test_such_sizes_are_equal_to_no_others() -> None:
    load_ops(write("places_ops.py", PLACES))
    with pytest.raises(netspec.NetspecError, match=r"NS301[\s\S]*a is AWhere x 4, b is BWhere x 4"):
        netspec.loads(FOUND.replace("concat: {dim: 0}", "add: "))
    copies = FOUND.replace("{found, name: a}", "{found, name: a, repeat: 2}").replace("[a, b]", "[b, b]")
    assert str(netspec.loads(copies).graph["a.1.where"].type) == "A1Where x 2"
    # A name that an input has is taken.
    taken = FOUND.replace("[N, 1, H, W]", "[N, 1, AWhere, W]")
    assert str(netspec.loads(taken).graph["a.where"].type) == "AWhere_2 x 4"
