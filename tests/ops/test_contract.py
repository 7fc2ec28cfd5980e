"""The contract of every op, on each of its examples: what its rules say is what torch does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest

from netspec.dims import Dim, substitute, symbol
from netspec.ops.attributes import make_op, takes
from netspec.ops.base import REGISTRY, AxisOrigins, Merge, Op, RuleError
from netspec.types import DATA, Layer, Reach, Tensor, Upsampling, Window
from tests.support.choose import WRONG
from tests.support.contract import (
    Case,
    data_sizes,
    each_case,
    each_op,
    flat,
    infer,
    inferred,
    op_of,
    random,
    run,
    type_of,
    with_open_batch,
    written,
)
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.support.macs import count_macs
    from tests.support.printed import made as module
    from tests.support.printed import meaning, state

# torch's own remark on what the examples with an even kernel and `padding: same` are there for.
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"),
]


# The checks.


@each_op
def test_every_op_has_examples(cls: type[Op]) -> None:
    assert cls.examples
    assert cls.__doc__
    assert cls.principal is None or cls.principal in cls.model_fields
    assert not getattr(cls, "__abstractmethods__", None)


@each_case
def test_shape_and_dtype_are_torchs(case: Case) -> None:
    assert data_sizes(case.outputs, run(case.op, case.inputs)) is not None


@pytest.mark.parametrize("cls", WRONG)
def test_an_op_that_says_other_shapes_breaks_it(cls: type[Op]) -> None:
    with pytest.raises(AssertionError):
        test_shape_and_dtype_are_torchs(Case(cls(), cls.examples[0]))


@each_case
def test_weights_are_those_of_the_state_dict(case: Case) -> None:
    form, found = case.op.torch(*case.inputs), []
    if isinstance(form, Layer):
        built = module(form)
        parameters = {"": built} if form.inside else dict(built.named_parameters())
        for name, value in state(built).items():
            found.append((name, type_of(value), "parameter" if name in parameters else "buffer"))
    assert [(w.name, Tensor(w.shape, w.dtype), w.kind) for w in case.op.weights(*case.inputs)] == found


@each_case
def test_defaults_are_torchs(case: Case) -> None:
    """A printer leaves out the named arguments that have the op's default: the module is the same without them."""
    form = case.op.torch(*case.inputs)
    if isinstance(form, Layer):
        named = list(form.arguments)[form.positional :]
        silent = frozenset(name for name in named if form.arguments[name] == type(case.op).default(name))
        assert settings(module(form)) == settings(module(form, without=silent))


def settings(built: Any) -> dict[str, Any]:
    """The plain attributes of a module, (2, 2) being 2, and the shapes of its weights."""
    plain = {name: value for name, value in vars(built).items() if not name.startswith("_")}
    same = {
        name: value[0] if isinstance(value, tuple) and len({*value}) == 1 else value for name, value in plain.items()
    }
    return {**same, "weights": [(name, value.shape) for name, value in state(built).items()]}


@each_case
def test_macs_are_those_that_torch_counts(case: Case) -> None:
    counted, outputs = count_macs(case.op, case.inputs)
    sizes = data_sizes(case.outputs, outputs)
    assert sizes is not None
    assert substitute(case.op.macs(*case.outputs[:1], *case.inputs), sizes) == counted


Table = dict[tuple[int, ...], list["torch.Tensor"]]
"""By a position of an input: for each output, which of its elements change with the input's values there."""


def seen(case: Case) -> tuple[list[Table], tuple[torch.Tensor, ...]]:
    """Which input positions change which outputs, a table for each input, and the outputs.

    An input is changed by far at one spatial position, in every sample and channel, up and then down: a Jacobian that
    neither a maximum nor a minimum can hide from.
    """
    torch.manual_seed(0)
    form = case.op.torch(*case.inputs)
    layer = module(form).to(torch.float64) if isinstance(form, Layer) else None
    values = random(case.inputs, dtype=torch.float64)
    with torch.no_grad():
        if getattr(case.op, "nonlinearity", "") == "relu":
            for weight in layer.parameters():  # a ReLU that is 0 would hide what it sees
                weight.abs_()

        def function(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return flat(meaning(form, layer)(*values))

        before = function(*values)
        tables = [
            {
                position: [
                    difference(high, y) | difference(low, y)
                    for high, low, y in zip(
                        function(*changed(values, number, position)),
                        function(*changed(values, number, position, -1)),
                        before,
                        strict=True,
                    )
                ]
                for position in positions(case.op, number, value)
            }
            for number, value in enumerate(values)
        ]
    return tables, before


def positions(op: Any, number: int, value: torch.Tensor) -> Iterator[tuple[int, ...]]:
    """The spatial positions of an input; none of regions: a changed one would be of an image that is not there."""
    return iter(()) if number == op.regions else itertools.product(*(range(size) for size in value.shape[2:]))


def difference(y: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Which elements differ; all, where even the sizes do."""
    return y != before if y.shape == before.shape else torch.ones_like(before, dtype=torch.bool)


def changed(values: list[torch.Tensor], number: int, position: tuple[int, ...], sign: int = 1) -> list[torch.Tensor]:
    """The values, but for those of one input at one spatial position, which are larger, or smaller if `sign` is -1."""
    other = values[number].clone()
    part = other[(slice(None), slice(None), *position)[: other.ndim]]
    if other.is_floating_point():
        # By another step in each channel: what is added to all keys alike changes no attention.
        part += sign * (10.0 + torch.rand(part.shape, dtype=other.dtype))
    else:
        part.copy_(~part if other.dtype == torch.bool else part % 3 + 1)
    return [other if place == number else value for place, value in enumerate(values)]


def promised(op: Any, window: Window | Upsampling | Reach, axis: int, index: int, size: int) -> set[int]:
    """The positions that `window` says are seen on an axis: every one, or every `dilation`-th."""
    if isinstance(window, Upsampling):
        period, place = divmod(index, len(window.axes[axis]))
        ends = window.axes[axis][place]
        return set() if ends is None else set(range(period + ends[0], period + ends[1] + 1)) & set(range(size))
    if not isinstance(window, Window):
        # A gate of one place is there for all of them.
        return {index if size > 1 else 0} if window is Reach.POINT else set(range(size))
    start = window.stride[axis] * index + window.start[axis]
    step = getattr(op, "dilation", (1,) * len(window.size))[axis]
    taps = set(range(math.ceil(start), math.ceil(start + window.size[axis]), step))
    if getattr(op, "padding_mode", "") == "circular" or getattr(op, "opname", "") == "roll":
        return {tap % size for tap in taps}
    return taps & set(range(size))


@each_case
def test_window_is_what_a_unit_sees(case: Case) -> None:
    window = case.op.window(*case.inputs)
    tables, outputs = seen(case)
    reads = len(tables) if case.op.reads is None else case.op.reads
    assert not any(changes.any() for table in tables[reads:] for changed in table.values() for changes in changed)
    read = list(zip(case.inputs, tables, strict=True))[:reads]
    if isinstance(window, tuple):
        for each, one in zip(window, read, strict=True):
            assert_keeps(case, each, [one], outputs)
    else:
        assert_keeps(case, window, read, outputs)


def assert_keeps(case: Case, window: Any, read: list[tuple[Tensor, Table]], outputs: tuple[torch.Tensor, ...]) -> None:
    """Every unit of the outputs sees what `window` says of these inputs, each with its table."""
    if window in (Reach.VARIES, Reach.DATA):
        return
    for place, y in enumerate(outputs):
        if window is Reach.UNPLACED:
            changes = [changed[place] for _, table in read for changed in table.values()]
            assert (torch.stack(changes).sum(0) == 1).all()
            continue
        axes = case.op.axes(*case.inputs)
        for x, table in read:
            changes = {position: changed[place] for position, changed in table.items()}
            if axes is not None and len(axes) < x.rank and case.op.mixed(*case.inputs):
                assert_elements_see(window, axes, x, y, changes)
            else:
                assert_sees(case.op, window, x, y, changes)


def assert_sees(op: Any, window: Any, x: Tensor, y: torch.Tensor, changes: dict[tuple[int, ...], torch.Tensor]) -> None:
    """Each position of an output, with all its samples and channels, sees what `window` says of an input."""
    spatial = len(x.spatial)
    sees = {position: where.flatten(0, min(1, where.ndim - 1)).any(0) for position, where in changes.items()}
    for unit in itertools.product(*(range(size) for size in y.shape[2:])):
        indices = unit or (0,) * spatial
        placed = itertools.zip_longest(indices[:spatial], x.spatial, fillvalue=0)
        box = [promised(op, window, axis, index, size) for axis, (index, size) in enumerate(placed)]
        places = {position for position, where in sees.items() if where[unit]}
        # An integer of the output, such as the place of a maximum, stays the same under some changes.
        seen = set(itertools.product(*box))
        assert places == seen if y.is_floating_point() else places <= seen, unit


def assert_elements_see(
    window: Any, axes: AxisOrigins, x: Tensor, y: torch.Tensor, changes: dict[tuple[int, ...], torch.Tensor]
) -> None:
    """Each element of an output that lacks axes sees what `window` says, by its indices on the axes that are left."""
    for element in itertools.product(*map(range, y.shape)):
        indices = [element[axes.index(axis)] if axis in axes else 0 for axis in range(2, x.rank)]
        sizes = enumerate(zip(indices, x.spatial, strict=True))
        box = [promised(None, window, axis, index, size) for axis, (index, size) in sizes]
        assert {place for place, where in changes.items() if where[element]} == set(itertools.product(*box)), element


def symbolic(x: Tensor, ones: bool = False) -> Tensor:
    """A type whose batch and spatial axes are symbols, one for equal sizes of one axis; `ones` stay numbers."""
    spatial = [1 if ones and size == 1 else symbol(f"S{axis}_{size}") for axis, size in enumerate(x.spatial)]
    return Tensor((symbol("N"), *x.shape[1:2], *spatial), x.dtype)


def at(x: Tensor, values: dict[str, Dim]) -> Tensor:
    return Tensor(tuple(substitute(dim, values) for dim in x.shape), x.dtype)


@each_case
def test_symbols_stand_for_every_size(case: Case) -> None:
    # Nothing goes with every size but a 1 that is written.
    xs = tuple(symbolic(x, ones=issubclass(type(case.op), Merge)) for x in case.inputs)
    ys = inferred(case.op, xs)
    if isinstance(ys, RuleError):
        assert ys.code == "NS305" or len(xs) > 1
        xs = tuple(with_open_batch(x, case.inputs[0].shape[0]) for x in case.inputs)
        ys = infer(case.op, xs)
    assert case.op.weights(*xs) == case.op.weights(*case.inputs)
    names = {str(dim) for x in xs for dim in x.shape if not isinstance(dim, int)}
    tried = 0
    own = {name: int(name.rpartition("_")[2]) for name in names if "_" in name}
    for base in range(20):
        values: dict[str, Dim] = {name: base + 3 * number for number, name in enumerate(sorted(names))}
        # First the example's own sizes, which are in the names.
        values |= {} if base else {**own, "N": case.inputs[0].shape[0]}
        numbers = tuple(at(x, values) for x in xs)
        expected = inferred(case.op, numbers)
        if isinstance(expected, RuleError):
            continue
        tried += 1
        assert tuple(at(y, values) for y in ys) == expected
        assert substitute(case.op.macs(ys[0], *xs), values) == case.op.macs(expected[0], *numbers)
    assert tried


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("conv1d", {"out_channels": [1], "dilation": [1, 2]}),
        ("max_pool1d", {"dilation": [1, 2], "ceil_mode": [False, True]}),
        ("avg_pool1d", {"ceil_mode": [False, True]}),
        ("conv2d", {"out_channels": [1], "dilation": [1, 2]}),
        ("max_pool2d", {"dilation": [1, 2], "ceil_mode": [False, True]}),
        ("avg_pool2d", {"ceil_mode": [False, True]}),
    ],
    ids=["conv1d", "max_pool1d", "avg_pool1d", "conv2d", "max_pool2d", "avg_pool2d"],
)
def test_sizes_of_windows_are_torchs(name: str, more: dict[str, list[Any]]) -> None:
    """On a grid of all ways to slide: we refuse what torch refuses, and a symbolic size is right at every number."""
    x = Tensor((1, 1, symbol("H"), symbol("W"))[: 4 if name.endswith("2d") else 3])
    grid = {"kernel_size": [1, 2, 3, 5], "stride": [1, 2, 3], "padding": [0, 1, 2], **more}
    for settled in itertools.product(*grid.values()):
        op = op_of(REGISTRY[name], dict(zip(grid, settled, strict=True)))
        for height in range(1, 15):
            values: dict[str, Dim] = {"H": height, "W": 15 - height}
            numbers = at(x, values)
            found = inferred(op, (numbers,))
            if isinstance(found, RuleError):
                with pytest.raises(RuntimeError):
                    run(op, (numbers,))
            else:
                assert found == run(op, (numbers,)), (op, values)
                assert at(op.infer(x), values) == found[0], (op, values)


def shapes(count: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Inputs of every rank up to 5, of one rank and of several."""
    of_rank = [
        [(2, size, size, size, size)[:rank] for size in (1, 2, 3)] + [(2, 4, 6, 5, 7)[:rank]] for rank in range(6)
    ]
    for group in of_rank:
        yield from ((shape,) * count for shape in group)
    if count > 1:
        yield from itertools.product(*([group[-1] for group in of_rank],) * count)


def run_on_any_integers(op: Any, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The types of torch's outputs; where an integer is no index of a small input, on zeros."""
    try:
        return run(op, xs)
    except (RuntimeError, IndexError):
        values = [value if value.is_floating_point() else torch.zeros_like(value) for value in random(xs)]
        return tuple(map(type_of, written(op, xs)(*values)))


@each_case
def test_inputs_that_do_not_fit_are_refused(case: Case) -> None:
    """Any rank and size is either refused with a RuleError, or then torch agrees and every rule holds."""
    refused = 0
    for given in shapes(len(case.inputs)):
        xs = tuple(Tensor(shape, x.dtype) for shape, x in zip(given, case.inputs, strict=True))
        ys = inferred(case.op, xs)
        if isinstance(ys, RuleError):
            assert ys.message
            assert not ys.at or ys.at in type(case.op).model_fields
            refused += 1
            continue
        assert data_sizes(ys, run_on_any_integers(case.op, xs)) is not None
        assert all(weight.size for weight in case.op.weights(*xs))
        assert substitute(case.op.macs(ys[0], *xs), {str(DATA): 1}) >= 0
        window = case.op.window(*xs)
        for each in window if isinstance(window, tuple) else (window,):
            assert isinstance(each, Window | Upsampling | Reach)
    picky = case.op.family not in ("activation", "regularization", "arithmetic") and case.op.opname != "identity"
    assert refused or not picky


# What a field refuses, by what it says it takes.
NEVER = ["3", "", [1, 2, 3], [], {}, {"a": 1}, math.nan, math.inf, -math.inf, 10**400, -(10**400)]
NO_INT = [True, False, 1.5, 2.0, 2**31, None]
NO_SIZE = [*NO_INT, 0, -1, [1, 0], [0, 1], [-1, 1], [1.0, 1], [True, 1], ["1", 1], [1]]
NO_LENGTH = [*NO_INT, 0, -1, [0], [-1], [1, 1], [1.0], [True], ["1"]]
NO_REAL = [True, False, [1.0], None]
REFUSED: dict[str, list[Any]] = {
    "a positive integer": NO_SIZE,
    "a positive integer, or null": NO_SIZE,
    "a positive integer, or [length]": NO_LENGTH,
    "a positive integer, or [length], or null": NO_LENGTH,
    "a positive integer, or [height, width]": NO_SIZE,
    "a positive integer, or [height, width], or null": NO_SIZE,
    "a positive integer, or [height, width], null for that of the input": [*NO_SIZE, [None, 0]],
    "a positive integer, or [depth, height, width]": NO_SIZE,
    "a positive integer, or [depth, height, width], or null": NO_SIZE,
    "a positive integer, or [depth, height, width], null for that of the input": [*NO_SIZE, [None, 0, 1]],
    "an integer of 0 or more, or [length]": [*NO_INT, -1, [-1], [0, 0], "same"],
    "an integer of 0 or more, [length], `same` or `valid`": [*NO_INT, -1, [-1], [0, 0], "full"],
    "an integer of 0 or more, or [height, width]": [*NO_INT, -1, [0, -1], "same"],
    "an integer of 0 or more, [height, width], `same` or `valid`": [*NO_INT, -1, [0, -1], "full"],
    "an integer of 0 or more, or [depth, height, width]": [*NO_INT, -1, [0, 0, -1], [0, 0], "same"],
    "an integer of 0 or more, [depth, height, width], `same` or `valid`": [*NO_INT, -1, [0, 0, -1], [0, 0], "full"],
    "`zeros`, `reflect`, `replicate` or `circular`": [True, 0, 1.5, None, "zero"],
    "the number of an axis, such as 1 or -1": [True, False, 1.5, 2.0, 8, -9, None, [1]],
    "the number of an axis, such as 1 or -1, or a list of them": (
        [True, False, 1.5, 2.0, 8, -9, None, [8], [1, -9], [1.5], [True], [1] * 9]
    ),
    "a number": NO_REAL,
    "a number greater than 0, or null": [True, False, [1.0], 0, 0.0, -1, -0.5],
    "a number of 0 or more": [*NO_REAL, -1, -0.5],
    "a number greater than 0": [*NO_REAL, 0, 0.0, -1, -0.5],
    "a list of 2, 4 or 6 integers of 0 or more, before and after each axis, the last axis first": (
        1,
        [1],
        [-1, 0],
        [0.5, 1],
        [1] * 8,
        "1",
        True,
        None,
    ),
    "a probability, from 0 to 1": [*NO_REAL, 2, 1.5, -1, -0.1],
    "an overlap of boxes, from 0 to 1": [*NO_REAL, 2, 1.5, -1, -0.1],
    "a list of 1 to 16 numbers greater than 0": [1, 2.0, None, [0], [1, -1], [True], [None], ["1"], [1] * 17],
    "a probability, from 0 to 1, or null": [*NO_REAL, 2, 1.5, -1, -0.1],
    "an integer from 2 to 64": [*NO_INT, 1, 0, 65, [2]],
    "an integer from -1 to 64": [*NO_INT, -2, 65, [2]],
    "a list of 2 to 64 positive integers, the sizes of the parts": [
        1,
        [0, 1],
        [1],
        [1.5, 1],
        [1] * 65,
        "1",
        True,
        None,
    ],
    "letters for the axes of inputs and output, such as `nqd,nkd->nqk`": (
        [1, True, None, "n...->n", "nm->n->m", "->n", ",n->n", "n1->n", "nm;mk", "nm -> n."]
    ),
    "true or false": [0, 1, 1.0, -1, None, "true"],
    "`relu` or `tanh`": [True, 1, None, "sin"],
    "`tanh` or `relu`": [True, 1, None, "sin"],
    "`none` or `tanh`": [True, 1, None, "sin"],
    "`bilinear`, `nearest` or `bicubic`": [True, 1, None, "linear"],
    "`zeros`, `border` or `reflection`": [True, 0, None, "reflect"],
    "`across_channels` or `within_channel`": [True, 1, None, "across"],
    "`row` or `batch`": [True, 1, None, "column"],
    "an integer of 0 or more": [*NO_INT, -1, [0]],
    "the number of an axis, or a list of them": [True, 1.5, 8, -9, None, [8], [1.5], [1] * 9, "1"],
    "an integer, or a list of them, one for each axis": [True, 1.5, 2**31, None, [1.5], [1] * 9, "1"],
    "an integer, such as 0, or -1 for the last": [*NO_INT, [0]],
    "an integer, such as 0, or -1 for the last, or null": [*NO_INT, [0]],
    "a list of 1 to 7 positive integers": [1, [0], [-1, 1], [1.5], [True], [1] * 8, "1", True, None],
    "a list of 1 to 7 positive integers, or null": [1, [0], [-1, 1], [1.5], [True], [1] * 8, "1", True],
    "a list of 1 to 7 positive integers, of which one may be -1 for what remains": (
        [1, [0], [-2], [-1, -1], [1.5], [True], [1] * 8, "1", True, None]
    ),
    "a list of the numbers of axes, such as [0, 2, 1]": [1, [8], [-9], [1.5], [True], [1] * 9, "1", True, None],
    "a number greater than 0, or [height, width], or null": [True, 0, 0.0, -1, -0.5, [1], [0, 1], [1, -1.0], [True, 1]],
    "true or false, or null": [0, 1, 1.0, -1, "true"],
    "`nearest`, `bilinear`, `bicubic`, `area` or `nearest-exact`": [True, 1, None, "linear"],
}


@each_op
def test_attributes_of_the_wrong_kind_are_refused(cls: type[Op]) -> None:
    good = cls.examples[0].attributes
    for name in cls.model_fields:
        words = takes(cls, name)
        bad = [value for value in REFUSED[words] if value is not None or "null" not in words]
        lists = ("a list of", "[depth, height, width]")
        never = [value for value in NEVER if value != [1, 2, 3] or not any(text in words for text in lists)]
        for value in never + bad:
            op, problems = make_op(cls, {**good, name: value})
            assert op is None, (name, value)
            assert [(p.attribute, p.code) for p in problems] == [(name, "NS206")]
            assert f"`{name}`" in problems[0].message
            assert words in problems[0].message


@each_op
def test_unknown_and_missing_attributes_are_named(cls: type[Op]) -> None:
    good = cls.examples[0].attributes
    op, problems = make_op(cls, {**good, "strid": 3})
    assert op is None
    assert [(p.attribute, p.code) for p in problems] == [("strid", "NS204")]
    assert "`strid`" in problems[0].message
    for name in (name for name, field in cls.model_fields.items() if field.is_required()):
        op, problems = make_op(cls, {key: value for key, value in good.items() if key != name})
        assert op is None
        assert [(p.attribute, p.code) for p in problems] == [(name, "NS205")]
        assert f"`{name}`" in problems[0].message
