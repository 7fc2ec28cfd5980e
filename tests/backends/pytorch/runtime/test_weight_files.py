"""Files of weights in every form: as torch.load reads them, in memory of their own, and never half."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec import NetspecError
from netspec.backends.onnx.weights import arrays_of
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnx
    import torch
    from safetensors.torch import load_file, save_file
    from torch import Tensor, nn

    from netspec.backends.pytorch.runtime.weights import read_weights
    from tests.backends.pytorch.runtime import random_state_dicts

SPEC = """
netspec: 1
name: two
inputs: {x: [N, 4]}
network:
  - {linear: 4, name: first}
  - relu
  - {linear: 4, name: second}
"""
KEYS = ["first.weight", "first.bias", "second.weight", "second.bias"]


@pytest.fixture
def net() -> netspec.Network:
    return netspec.loads(SPEC)


@pytest.fixture
def state() -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(0)
    return {key: torch.randn(*([4, 4] if "weight" in key else [4]), generator=chance) for key in KEYS}


def same(module: nn.Module, state: dict[str, Tensor]) -> bool:
    return list(module.state_dict()) == KEYS and all(torch.equal(module.state_dict()[key], state[key]) for key in KEYS)


def packed_anew(old: Path, new: Path, method: int) -> None:
    with zipfile.ZipFile(old) as one, zipfile.ZipFile(new, "w", method) as other:
        for name in one.namelist():
            other.writestr(name, one.read(name))


def test_a_compressed_archive_gives_the_numbers_in_it(
    net: netspec.Network, state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "a.pt")
    packed_anew(tmp_path / "a.pt", tmp_path / "b.pt", zipfile.ZIP_DEFLATED)
    assert same(net.compile(tmp_path / "b.pt"), state)
    for method, name in ((zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")):
        packed_anew(tmp_path / "a.pt", tmp_path / "c.pt", method)
        with pytest.raises(NetspecError, match=f"it was compressed anew by {name}, which torch.load does not read"):
            net.compile(tmp_path / "c.pt")


def loaded(path: Path) -> Any:
    """What torch.load reads from a file, whatever it is called; None where it refuses it."""
    try:
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception:
        return None


def equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


@pytest.mark.parametrize("begin", range(0, 200, 50))
def test_random_files_are_read_as_torch_reads_them(begin: int, tmp_path: Path) -> None:
    """Or refused; this has been tried on 3,000."""
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(begin, begin + 50):
            path = random_state_dicts.write_file(random.Random(seed), tmp_path)
            wanted = loaded(path)
            try:
                state = read_weights(path)
            except NetspecError:
                continue
            while not isinstance(next(iter(wanted.values())), Tensor):
                wanted = next(iter(wanted.values()))
            assert list(state) == list(wanted), seed
            assert all(equal(state[key], wanted[key]) for key in wanted), seed
            read += 1
    assert read > 10


# Views, tied tensors and parameters: what a module takes has its own memory, and lies as in a new one.


@cache
def numbered() -> Tensor:
    return torch.arange(64.0).reshape(8, 8)


ODD: dict[str, Callable[[], Tensor]] = {
    "turned": lambda: numbered()[:4, :4].T,
    "part": lambda: numbered()[2:6, 4:],
    "every other": lambda: numbered()[::2, ::2],
    "wide": lambda: torch.arange(4.0).expand(4, 4),
    "parameter": lambda: nn.Parameter(numbered()[:4, :4].clone()),
    "with a past": lambda: torch.ones(4, 4, requires_grad=True) * 2,
    "half": lambda: numbered()[:4, :4].half(),
    "double": lambda: numbered()[:4, :4].double(),
    "bfloat16": lambda: numbered()[:4, :4].bfloat16(),
    "imaginary": lambda: torch.complex(numbered()[:4, :4], numbered()[4:, 4:]).conj().imag,
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("form", ["zip", "legacy", "given"])
def test_views_become_weights_of_their_own(net: netspec.Network, tmp_path: Path, name: str, form: str) -> None:
    odd = ODD[name]()
    bias = torch.ones(8)
    given = {"first.weight": odd, "second.weight": odd, "first.bias": bias[:4], "second.bias": bias[2:6]}
    if form != "given":
        torch.save({key: value.detach() for key, value in given.items()}, tmp_path / "w.pt",
                   _use_new_zipfile_serialization=form == "zip")  # fmt: skip
    module = net.compile(given if form == "given" else tmp_path / "w.pt")
    for key, value in module.state_dict().items():
        assert torch.equal(value, given[key].detach().float())
        assert value.is_contiguous()
        assert value.untyped_storage().nbytes() == value.nbytes
    before = module.second.weight.detach().clone()
    with torch.no_grad():
        module.first.weight.add_(1)
    assert torch.equal(module.second.weight, before)
    assert len({value.data_ptr() for value in module.state_dict().values()}) == len(KEYS)
    # ONNX models take them, too.
    net.to_onnx(tmp_path / "o.onnx", given if form == "given" else tmp_path / "w.pt")
    kept = {entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(tmp_path / "o.onnx").graph.initializer}
    assert np.array_equal(kept["second.weight"], before.numpy())


# What happens to a file later.

LATER = """
import shutil, sys, torch, netspec
from pathlib import Path
from safetensors import safe_open
from safetensors.torch import save_file
path = Path(sys.argv[1])
here = [file for file in Path(".").iterdir() if file.is_file()]

def save(module):
    state = module.state_dict()
    if path.suffix == ".pth":
        torch.save(state, path)
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        with safe_open("a.safetensors", framework="pt") as file:
            keys = list(file.keys())
        save_file({key: state[key] for key in keys}, "a.safetensors")

def copy(module):
    for file in here:
        shutil.copyfile(Path("other") / file, file)

def cut(module):
    for file in here:
        file.write_bytes(b"")

def delete(module):
    for file in here:
        file.unlink()

for way, factor in ((save, 1), (copy, 2), (cut, None), (delete, None)):
    print(way.__name__, flush=True)
    module = netspec.load("resnet20_cifar").compile(path)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    way(module)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    module(torch.rand(2, 3, 32, 32)).sum().backward()
    if factor:
        again = netspec.load("resnet20_cifar").compile(path).state_dict()
        assert all(torch.equal(value, before[key] * factor) for key, value in again.items())
    if way is cut:
        copy(module)
"""


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.index.json"])
def test_a_module_does_not_depend_on_its_file(tmp_path: Path, name: str) -> None:
    """In a process of its own: where a file is mapped, it is killed."""
    made = netspec.load("resnet20_cifar").compile().state_dict()
    first = [key for number, key in enumerate(made) if number % 2]
    for folder, factor in ((tmp_path, 1), (tmp_path / "other", 2)):
        folder.mkdir(exist_ok=True)
        state = {key: value * factor for key, value in made.items()}
        if name == "w.pth":
            torch.save(state, folder / name)
        elif name == "w.safetensors":
            save_file(state, folder / name)
        else:
            save_file({key: state[key] for key in first}, folder / "a.safetensors")
            save_file({key: value for key, value in state.items() if key not in first}, folder / "b.safetensors")
            places = {key: "a.safetensors" if key in first else "b.safetensors" for key in state}
            (folder / name).write_text(json.dumps({"weight_map": places}))
    done = subprocess.run(
        [sys.executable, "-c", LATER, name], cwd=tmp_path, capture_output=True, text=True, timeout=180
    )
    assert (done.returncode, done.stdout.split()) == (0, ["save", "copy", "cut", "delete"]), done.stderr


def test_a_file_that_changes_while_it_is_read_is_refused(
    net: netspec.Network, state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(state, tmp_path / "w.pt")
    load = torch.load

    def slow(file: Any, **options: Any) -> Any:
        whole = load(file, **options)
        torch.save({key: value + 1 for key, value in state.items()}, tmp_path / "w.pt")
        with (tmp_path / "w.pt").open("ab") as other:
            other.write(b"more")
        return whole

    monkeypatch.setattr(torch, "load", slow)
    with pytest.raises(NetspecError, match=r"w\.pt changed while it was read"):
        net.compile(tmp_path / "w.pt")


def test_a_file_that_is_cut_off_while_it_is_exported_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    """Its weights are read one by one, and none is mapped: that would be a signal."""
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    arrays = arrays_of(path)
    assert np.array_equal(arrays["first.weight"], state["first.weight"].numpy())
    path.write_bytes(b"")
    with pytest.raises(NetspecError, match=r"w.safetensors changed while it was read"):
        arrays["second.weight"]
    save_file({key: value + 1 for key, value in state.items()}, path)
    with pytest.raises(NetspecError, match=r"w.safetensors changed while it was read"):
        arrays["second.weight"]


def test_weights_beside_an_onnx_model_are_read_into_memory(state: dict[str, Tensor], tmp_path: Path) -> None:
    from netspec.backends.onnx.read import initializers_of

    tensor = onnx.TensorProto(name="a", dims=[4, 4], data_type=onnx.TensorProto.FLOAT, data_location=1)
    tensor.external_data.add(key="location", value="w.data")
    model = onnx.ModelProto()
    model.graph.initializer.append(tensor)
    (tmp_path / "w.data").write_bytes(state["first.weight"].numpy().tobytes())
    array = initializers_of(model, tmp_path / "m.onnx")["a"]
    (tmp_path / "w.data").write_bytes(b"")
    assert np.array_equal(array, state["first.weight"].numpy())


def test_safetensors_of_every_dtype_are_those_of_the_library(tmp_path: Path) -> None:
    chance = random.Random(1)
    names = [name for name in dict.fromkeys(random_state_dicts.DTYPES) if name != "complex128"]
    state = {f"{name}.{n}": random_state_dicts.tensor(chance, name) for name in names for n in range(6)}
    plain = {key: value for key, value in state.items() if "float8" not in key}
    save_file(plain, tmp_path / "w.bin", metadata={"format": "pt"})
    read = read_weights(tmp_path / "w.bin")
    assert {key: equal(value, load_file(tmp_path / "w.bin")[key]) for key, value in read.items()} == dict.fromkeys(
        plain, True
    )
    save_file({key: value for key, value in plain.items() if "bfloat16" not in key}, tmp_path / "n.bin")
    arrays = arrays_of(tmp_path / "n.bin")
    assert all(np.array_equal(arrays[key], plain[key].numpy(), equal_nan=True) for key in arrays)
    save_file(state, tmp_path / "w.bin")
    with pytest.raises(NetspecError, match=r"`float8_e4m3fn.0` is of numbers that count with a scale"):
        read_weights(tmp_path / "w.bin")


HEADER = {"first.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}
ENTRY = HEADER["first.weight"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"a": {**ENTRY, "shape": [4, 5]}}, "`a` is not as long as its shape says"),
        ({"a": {**ENTRY, "shape": [0, 2**70]}}, "`a` has a shape or a place that is none"),
        ({"a": {**ENTRY, "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}}, "`a` is not as long as its shape says"),
        ({"a": {**ENTRY, "shape": [True, 16]}}, "`a` has a shape or a place that is none"),
        ({"a": {**ENTRY, "shape": [-4, -4]}}, "`a` has a shape or a place that is none"),
        ({"a": {**ENTRY, "shape": "44"}}, "`a` has a shape or a place that is none"),
        ({"a": {**ENTRY, "shape": [1] * 100 + [16]}}, "`a` has a shape or a place that is none"),
        ({"a": {**ENTRY, "dtype": ["F32"]}}, r"`a` has the dtype \['F32'\], which is not read"),
        ({"a": {**ENTRY, "dtype": "F4"}}, "`a` has the dtype 'F4', which is not read"),
        ({"a": {"dtype": "F32"}}, "`a` has no dtype, shape or place"),
        ({"a": 3}, "`a` has no dtype, shape or place"),
        ({"a": ENTRY, "b": ENTRY}, "leave a gap, or stand in one another, at byte"),
        ({"a": {**ENTRY, "shape": [4, 2], "data_offsets": [32, 64]}}, "leave a gap, or stand in one another"),
        ({"a": {**ENTRY, "shape": [4, 2], "data_offsets": [0, 32]}}, "its tensors end at byte"),
    ],
)
def test_headers_that_are_not_so(header: dict[str, Any], said: str, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    (tmp_path / "w").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    for read in (read_weights, arrays_of):
        with pytest.raises(NetspecError, match=rf"no safetensors file\n   note: .*{said}"):
            read(tmp_path / "w")


def test_shards_are_those_that_the_index_names(state: dict[str, Tensor], tmp_path: Path) -> None:
    """An index is known by what it holds, and a key that stands in two shards is taken from the one it names."""
    save_file({"first.weight": state["first.weight"], "first.bias": state["first.bias"] + 1}, tmp_path / "a")
    torch.save({key: state[key] for key in KEYS[1:]}, tmp_path / "b")
    places = {"first.weight": "a", **dict.fromkeys(KEYS[1:], "b")}
    (tmp_path / "index").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert same(netspec.loads(SPEC).compile(tmp_path / "index"), state)
    (tmp_path / "index").write_text(json.dumps({"weight_map": {**places, "third.weight": "b"}}))
    with pytest.raises(NetspecError, match=r"says that `third\.weight` is in b, which lacks it"):
        read_weights(tmp_path / "index")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.index.json", "w"])
def test_a_name_says_nothing_of_what_a_file_holds(
    net: netspec.Network, state: dict[str, Tensor], tmp_path: Path, name: str
) -> None:
    save_file(state, tmp_path / name)
    assert same(net.compile(tmp_path / name), state)
    net.to_onnx(tmp_path / "a.onnx", tmp_path / name)
    torch.save(state, tmp_path / name)
    assert same(net.compile(str(tmp_path / name)), state)
    net.to_onnx(tmp_path / "b.onnx", tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    shutil.copyfile(tmp_path / name, tmp_path / "copy")
    assert same(net.compile(tmp_path / "copy"), state)


def test_files_with_flipped_bits_of_every_form(state: dict[str, Tensor], tmp_path: Path) -> None:
    """They are read, or refused with a word: cut off, longer, or with other bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=False)
    torch.save(state, tmp_path / "zip")
    packed_anew(tmp_path / "zip", tmp_path / "deflated", zipfile.ZIP_DEFLATED)
    save_file(state, tmp_path / "safe")
    index = json.dumps({"weight_map": dict.fromkeys(KEYS, "safe")}).encode()
    forms = [buffer.getvalue(), *((tmp_path / name).read_bytes() for name in ("zip", "deflated", "safe")), index]
    outcomes: set[bool] = set()
    for seed in range(300):
        chance = random.Random(seed)
        data = bytearray(chance.choice(forms))
        if seed % 4 == 0:
            data = data[: chance.randrange(len(data))]
        elif seed % 4 == 1:
            data += bytes(chance.randrange(1, 50))
        for _ in range(chance.choice((1, 2, 4, 16)) if seed % 4 > 1 else 0):
            data[chance.randrange(min(len(data), chance.choice((300, len(data)))))] = chance.randrange(256)
        (tmp_path / "broken").write_bytes(data)
        for read in (read_weights, lambda path: dict(arrays_of(path))):
            try:
                read(tmp_path / "broken")
                outcomes.add(True)
            except NetspecError:
                outcomes.add(False)
    assert outcomes == {True, False}
