"""What the code promises about itself: who imports whom, what loads when, what is public and documented."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import netspec
from netspec.naming import MODULE_ATTRIBUTES
from netspec.ops import REGISTRY
from netspec.spec.read.initializers import INITIALIZERS
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

PACKAGE = Path(netspec.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Each layer with the layers it may import besides itself: all imports count, wherever in a file they stand.
BASE = "printable files shape_text source errors gc_pause dims expression types naming preprocess labels version"
GRAPH = f"{BASE} ops graph"
SPEC = "spec.limits spec.text spec.sources spec.read spec.elaborate"
FILES_OF_WEIGHTS = "backends.opened backends.stored backends.marks backends.not_weights"
BACKENDS = f"backends backends.collapse backends.pytorch backends.pytorch.runtime {FILES_OF_WEIGHTS}"
LAYERS = {
    "version": "",
    "printable": "",
    "files": "",
    "shape_text": "",
    "markdown": "printable",
    "table_layout": "printable",
    "source": "printable",
    "gc_pause": "",
    "errors": "printable source",
    "tables": "printable markdown table_layout",
    "dims": "source errors",
    "report": "gc_pause dims tables",
    "expression": "source errors dims",
    "types": "shape_text source errors dims expression",
    "naming": "source errors expression",
    "preprocess": "",
    "labels": "",
    "ops": BASE,
    "graph": f"{BASE} ops",
    # A text becomes data, data a Spec, and a Spec a graph, without a way back.
    "spec": "",
    "spec.limits": "",
    "spec.text": f"{BASE} spec.limits",
    "spec.sources": f"{BASE} spec.limits spec.text",
    "spec.read": f"{GRAPH} spec.limits spec.text spec.sources",
    "spec.elaborate": f"{GRAPH} spec.limits spec.text spec.sources spec.read",
    "spec.schema": f"{GRAPH} spec.limits spec.read",
    "analysis": f"{GRAPH} tables report",
    "lazy": "",
    "passes": f"{GRAPH} analysis lazy",
    "weights": f"{GRAPH} {SPEC}",
    "weights_report": f"{GRAPH} {SPEC} tables report weights",
    "backends.collapse": "",
    "backends.opened": "errors files",
    "backends.stored": "errors files backends.opened",
    "backends.marks": "version errors files backends.stored",
    "backends.not_weights": "",
    "backends.pytorch": f"{GRAPH} backends.collapse",
    "backends.pytorch.runtime": f"{GRAPH} analysis passes weights {FILES_OF_WEIGHTS} backends.pytorch",
    "backends": f"{GRAPH} {SPEC} analysis passes tables report weights lazy __init__ {FILES_OF_WEIGHTS} "
    "backends.collapse backends.pytorch backends.pytorch.runtime",
    "expect": f"{GRAPH} {SPEC} analysis report",
    # What people import to train detectors: a room of its own, which nothing else imports.
    "detection": "shape_text errors ops",
    "explanation": f"{GRAPH} {SPEC} analysis tables report",
    "network": f"{GRAPH} {SPEC} analysis expect explanation weights tables report {BACKENDS}",
    "cli": f"{GRAPH} {SPEC} spec.schema analysis passes expect network weights weights_report tables report __init__ "
    f"{BACKENDS}",
    "__main__": "cli",
}
FRONT_DOOR = "__init__"

# Third-party packages and the layers that may import them; `|` marks those that may for type checkers only.
MAY_IMPORT = {
    "pydantic": "ops spec.read spec.schema",
    "yaml": "spec.text",
    "click": "cli",
    "torch": "backends.pytorch.runtime detection cli network| passes| backends|",
    "safetensors": "backends.marks backends.pytorch.runtime",
    "graphviz": "backends",
    "rich": "cli",
    "networkx": "graph",
    "onnx": "backends",
    "onnxruntime": "backends",
    "numpy": "backends backends.pytorch.runtime",
    "PIL": "backends",
    "google": "backends",
}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def layer_of(module: str) -> str:
    return max((name for name in (*LAYERS, FRONT_DOOR) if f"{module}.".startswith(f"{name}.")), key=len, default=module)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether for type checkers only."""
    tree = tree_of(path)
    typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    for_types = {id(inner) for block in typing for inner in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or "", id(node) in for_types


def may_import(layer: str, name: str, for_types: bool) -> bool:
    """Whether a layer may import a module."""
    package, _, inside = name.partition(".")
    if package == "netspec":
        target = layer_of(inside or FRONT_DOOR)
        return target == layer or target in LAYERS.get(layer, "").split()
    allowed = MAY_IMPORT.get(package, "").split()
    return package in sys.stdlib_module_names or layer in allowed or (for_types and f"{layer}|" in allowed)


def test_imports_run_one_way() -> None:
    layers = {path: layer_of(module_of(path)) for path in FILES}
    assert [
        f"{module_of(path)}, of {layer}, imports {name}"
        for path, layer in layers.items()
        if layer != FRONT_DOOR
        for name, for_types in imports(path)
        if not may_import(layer, name, for_types)
    ] == []


def test_the_table_of_layers_runs_one_way() -> None:
    names = list(LAYERS)
    for name, allowed in LAYERS.items():
        earlier = {*names[: names.index(name)], FRONT_DOOR}
        assert set(allowed.split()) <= earlier, name
    layers = {layer_of(module_of(path)) for path in FILES}
    assert sorted(layers - {*LAYERS, FRONT_DOOR}) == [], "modules without a line in LAYERS"
    assert sorted({*LAYERS, FRONT_DOOR} - layers) == [], "lines of LAYERS without a module"


# What a report may load. Tests of the command's own speed would be stopwatches; this is not one.

LOADS = """
import json, sys
from netspec.cli.main import main
try:
    main(sys.argv[1:])
finally:
    roots = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}
    print(json.dumps(sorted(roots - set(sys.stdlib_module_names))), file=sys.stderr)
"""
LIGHT = {"netspec", "click", "typing_extensions", "_sysconfigdata"}
DRAWS = {"graphviz"}
MAY_LOAD = LIGHT | {"pydantic", "pydantic_core", "annotated_types", "typing_inspection", "yaml", "_yaml"}


@pytest.mark.parametrize(
    "arguments",
    [
        "summary vgg_e",
        "summary resnet50 --format json --depth all",
        "validate vgg_e resnet50",
        "show resnet18 --expanded",
        "list",
        "memory resnet18 --train",
        "explain resnet18 layer2.0",
        "summary vgg_a vgg_b",
        "diff vgg_d vgg_e",
        "ops",
        "ops conv2d",
        "schema",
        "init first",
        "diagram resnet34",
        "--help",
        "compile --help",
    ],
)
def test_reports_load_little(arguments: str, tmp_path: Path) -> None:
    # -S, so that no .pth file of the environment loads anything of its own; the paths are handed over.
    code = f"import sys; sys.path += {sys.path[1:]!r}\n{LOADS}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments.split()], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == arguments.startswith("diff"), done.stderr
    loaded = {name.partition("__")[0] for name in json.loads(done.stderr.splitlines()[-1])}
    assert loaded <= (
        LIGHT if arguments.endswith("--help") else MAY_LOAD | (DRAWS if "diagram" in arguments else set())
    )
    assert {"netspec", "click"} <= loaded


def test_importing_netspec_loads_nothing_else(tmp_path: Path) -> None:
    code = f"import sys; sys.path += {sys.path[1:]!r}; before = set(sys.modules); import netspec; "
    code += "print([m for m in set(sys.modules) - before if m.partition('.')[0] not in sys.stdlib_module_names])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "['netspec']\n"


LOADS_NO_TORCH = {
    "importing the printer": "import netspec.backends.pytorch.source",
    "compile --help": "from netspec.cli.main import main\nmain(['compile', '--help'])",
    "to_source": "print(netspec.to_source(netspec.load('resnet18').graph))",
    "Network.to_source": "print(netspec.load('resnet18').to_source())",
}


@pytest.mark.parametrize("code", LOADS_NO_TORCH.values(), ids=LOADS_NO_TORCH)
def test_printing_source_loads_no_torch(code: str, tmp_path: Path) -> None:
    code = f"import atexit, sys, netspec\natexit.register(lambda: print('torch' in sys.modules))\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "False"), done.stderr


# Public names.


def test_public_names() -> None:
    homes: dict[str, str] = netspec._HOMES  # pyright: ignore[reportPrivateUsage]
    assert len(netspec.__all__) == len(set(netspec.__all__))
    # Every analysis, every pass and every backend has a name here, with the types that they give: no more than a page.
    assert 15 <= len(netspec.__all__) <= 60
    assert sorted({*homes} ^ {*netspec.__all__}) == [], "names in one of _HOMES and __all__"
    typed = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree_of(PACKAGE / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("netspec.")
        for alias in node.names
    }
    assert sorted(typed.items() ^ homes.items()) == [], "names that type checkers import from another module, or not"
    assert set(netspec.__all__) <= set(dir(netspec))
    for name in netspec.__all__:
        found = getattr(netspec, name)
        assert name == "Dim" or inspect.getdoc(found), f"netspec.{name} has no docstring"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        netspec.nothing  # noqa: B018


def test_every_pass_and_every_analysis_has_a_public_name() -> None:
    homes: dict[str, str] = netspec._HOMES  # pyright: ignore[reportPrivateUsage]
    passes = {name for name in import_module("netspec.passes").__all__ if not name[0].isupper()}
    assert sorted(passes - {*homes}) == [], "passes without a line in _HOMES of netspec/__init__.py"
    analyses = {name for name, home in homes.items() if home.startswith("netspec.analysis.") and name[0].islower()}
    assert sorted(analyses - {*dir(netspec.Network)}) == [], "analyses that are no method of Network"
    reports = {inspect.signature(getattr(netspec, name)).return_annotation for name in analyses}
    assert sorted(reports - {*homes}) == [], "reports without a line in _HOMES of netspec/__init__.py"


def test_packages_that_are_attributes_load_when_they_are_used(tmp_path: Path) -> None:
    packages: dict[str, str] = netspec._SUBPACKAGES  # pyright: ignore[reportPrivateUsage]
    assert {*packages} <= {*dir(netspec)}
    assert {*packages}.isdisjoint(netspec.__all__)
    code = "import sys, netspec; packages = netspec._SUBPACKAGES; "
    code += "print(any(name in sys.modules for name in ['torch', *packages.values()])); "
    code += "[print(getattr(netspec, name).__name__) for name in packages]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines() == ["False", *packages.values()]


def test_no_public_name_is_that_of_a_module() -> None:
    """Importing `netspec.NAME` puts the module in the place of what has the name."""
    modules = {module_of(path).partition(".")[0] for path in FILES}
    assert sorted(modules & {*netspec.__all__}) == [], "rename these modules"


# Files.


MOST_LINES = 400


def test_files_are_short() -> None:
    lines = {module_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


def test_all_that_is_public_has_a_docstring() -> None:
    assert [
        f"{module_of(path)}: {getattr(node, 'name', 'the module')}"
        for path in FILES
        for node in [tree_of(path), *tree_of(path).body]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if not getattr(node, "name", "").startswith("_") and not ast.get_docstring(node)
    ] == []


# Ops say all of themselves: nothing outside netspec/ops/ has a list of their names.

OTHER_WORDS = {
    # The kind of a weight, everywhere.
    "parameter": "",
    # A family of ops.
    "embedding": "backends.diagram.theme",
    # A family of ops, and one of the gains of torch.nn.init.
    "linear": "analysis.diff.align backends.diagram.theme spec.read.initializers",
    "leaky_relu": "backends.onnx.fillings spec.read.initializers",
    "relu": "backends.onnx.fillings spec.read.initializers",
    "tanh": "backends.onnx.fillings spec.read.initializers",
    # A key of a report on what a detector finds.
    "detections": "backends.onnx.reports",
    # Parameters of initialisers, figures of a range, and what is taken from images.
    "mean": "backends.onnx.reports spec.read.initializers spec.read.preprocess spec.schema.images",
    "selu": "backends.onnx.fillings spec.read.initializers",
    "sigmoid": "spec.read.initializers",
    # What others call the attribute `padding`.
    "pad": "spec.read.arguments",
    # How a loss is reduced.
    "sum": "detection.losses",
    # A parameter of bundled networks.
    "batch_norm": "spec.sources.aliases",
    # An attribute of attention.
    "dropout": "passes.strip_dropout",
}
"""Names of ops that are words of something else, with the modules in which they are."""


def test_no_list_of_op_names_outside_ops() -> None:
    ops = {name for name, cls in REGISTRY.items() if cls.__module__.startswith("netspec.ops.")}
    modules: dict[str, set[str]] = {}
    for path in FILES:
        if not (module := module_of(path)).startswith("ops."):
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Constant) and node.value in ops:
                    modules.setdefault(str(node.value), set()).add(module)
    assert modules.pop("parameter")
    words = {name: set(where.split()) for name, where in OTHER_WORDS.items()}
    beyond = {name: sorted(found - words.get(name, set())) for name, found in modules.items()}
    gone = {name: sorted(where - modules.get(name, set())) for name, where in words.items()}
    assert {name: where for name, where in beyond.items() if where} == {}, "names of ops outside netspec/ops"
    assert {name: where for name, where in gone.items() if where} == {}, "words of OTHER_WORDS that are gone"


# Tables of ours that stand for torch's.


def test_names_that_modules_have() -> None:
    kinds = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)
    theirs = {name for kind in kinds for name in {*dir(kind()), *dir(kind), *kind.__annotations__}}
    assert {name for name in theirs if not name.startswith("_")} - MODULE_ATTRIBUTES == set()


# Of torch.nn.init: not for weights (constants are written as numbers), or not for the weights our ops have.
NO_INITIALIZERS = {"constant_", "sparse_"}


def test_initializers_are_those_of_torch() -> None:
    theirs = {name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")}
    assert {f"{name}_" for name in INITIALIZERS} == theirs - NO_INITIALIZERS
    tensors = {"dirac": torch.zeros(4, 2, 3), "eye": torch.zeros(3, 4)}
    values = {float: 0.5, int: 2, str: "relu"}
    for name, options in INITIALIZERS.items():
        function = getattr(nn.init, f"{name}_")
        known = [p for p in inspect.signature(function).parameters if p not in ("tensor", "generator")]
        assert set(options) == set(known), name
        given = {option: kind[0] if isinstance(kind, tuple) else values[kind] for option, kind in options.items()}
        if "b" in given:
            given |= {"a": -1.0, "b": 1.0}
        function(tensors.get(name, torch.zeros(4, 6)), **given)
