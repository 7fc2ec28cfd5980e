"""Receptive fields against an oracle: where the gradient of one output position is not zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

import netspec
from netspec.analysis.field import MISALIGNED, UNEVEN, UNPLACED, VARIES, Field
from netspec.analysis.field_propagation import propagate_fields
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

Interval = tuple[int, int]


def net(network: str, size: int | str = 32, channels: int = 2) -> netspec.Network:
    inputs = f"{{image: [N, {channels}, {size}, {size}]}}"
    return netspec.loads(f"netspec: 1\nname: example\ninputs: {inputs}\nnetwork: {network}\n")


def seen_by_gradient(
    module: Callable[[torch.Tensor], torch.Tensor], size: int, position: tuple[int, ...], channels: int = 2
) -> list[Interval]:
    """First and last row and column that the unit at a position, of all channels, depends on."""
    image = torch.linspace(0.5, 1.5, channels * size * size, dtype=torch.float64).reshape(1, channels, size, size)
    image = image[:, :, torch.randperm(size, generator=torch.Generator().manual_seed(1))].requires_grad_()
    value = module(image)
    value[(0, slice(None), *position)].sum().backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum(0) > 0
    intervals: list[Interval] = []
    for axis in (0, 1):
        where = touched.any(1 - axis).nonzero().flatten().tolist()
        intervals.append((where[0], where[-1]))
    return intervals


def positive(module: nn.Module) -> nn.Module:
    """Weights all positive: nothing cancels, ReLU lets all pass. Pools here are means, since a maximum sees one."""
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(0.5, 1.5)
    return module


def predicted(field: Field, position: tuple[int, ...], size: int) -> list[Interval]:
    """The interval that a field gives for a position, cut at the borders of the input."""
    found: list[Interval] = []
    for own, step, begin, index in zip(field.size, field.stride, field.start, position, strict=True):
        assert isinstance(own, int)
        assert isinstance(step, int)
        assert isinstance(begin, int)
        first = step * index + begin
        found.append((max(0, first), min(size - 1, first + own - 1)))
    return found


def positions(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Corners and middle of a map."""
    for row in sorted({0, 1, shape[0] // 2, shape[0] - 1} & set(range(shape[0]))):
        for column in sorted({0, shape[1] // 2, shape[1] - 1}):
            yield row, column


def conv(kernel: str, **options: str) -> str:
    rest = "".join(f", {key}: {value}" for key, value in options.items())
    return f"{{conv2d: {{out_channels: 3, kernel_size: {kernel}{rest}}}}}"


PLACED = {
    "one": f"[{conv('3')}]",
    "padding": f"[{conv('3', padding='1')}]",
    "stride": f"[{conv('7', stride='2', padding='3')}, {{avg_pool2d: {{kernel_size: 3, stride: 2, padding: 1}}}}]",
    "uneven": f"[{conv('[3, 5]', stride='[1, 2]', padding='[0, 2]')}, {conv('[2, 1]', stride='[2, 1]')}]",
    "even-kernel": f"[{conv('4', stride='2', padding='1')}, {conv('2')}]",
    "dilation": f"[{conv('3', dilation='2')}, {conv('3', dilation='[1, 3]', padding='[1, 3]')}]",
    "same": f"[{conv('3', padding='same')}, {conv('4', padding='same')}, {conv('3', padding='same', dilation='2')}]",
    "groups": "[{conv2d: {out_channels: 4, kernel_size: 3, groups: 2}}]",
    "pointwise-stride": f"[{conv('1', stride='2')}, {conv('3')}]",
    "elementwise": f"[{conv('3')}, relu, batch_norm, sigmoid, {{dropout: 0.5}}, softplus]",
    "response-norm": f"[{conv('3')}, {{local_response_norm: 3}}, {{avg_pool2d: 2}}]",
    "ceil-mode": "[{avg_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}},"
    " {avg_pool2d: {kernel_size: 2, ceil_mode: true}}]",
    "adaptive": "[{adaptive_avg_pool2d: 8}, {adaptive_avg_pool2d: {output_size: [4, 8]}}]",
    "residual": f"[{{add: {{branches: {{a: [{conv('3', padding='1')}, {conv('3', padding='1')}],"
    f" b: [{conv('1')}]}}}}}}]",
    "inception": f"[{{concat: {{branches: {{a: [{conv('1')}], b: [{conv('3', padding='1')}],"
    f" c: [{conv('5', padding='2')}],"
    " d: [{avg_pool2d: {kernel_size: 3, stride: 1, padding: 1}}]}}}, " + conv("3", stride="2") + "]",
    "off-centre": f"[{{add: {{branches: {{a: [{conv('5', stride='2', padding='2')}],"
    f" b: [{conv('2', stride='2')}]}}}}}}]",
    "shifted": f"[{{add: {{branches: {{a: [{conv('3')}], b: [{conv('2')}, {conv('2')}]}}}}}}, {conv('3', stride='3')}]",
    "skip": "[{conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, name: a},"
    " {conv2d: {out_channels: 3, kernel_size: 5, padding: 2}, name: b}, {add, from: [a, b]}]",
}


ODD_TOO = [name for name in PLACED if name not in ("adaptive", "off-centre")]
"""Those that take a map of odd size: 8 does not divide 33, and strides part ways there."""


@pytest.mark.filterwarnings("ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device")
@pytest.mark.parametrize(("name", "size"), [*((name, 32) for name in PLACED), *((name, 33) for name in ODD_TOO)])
def test_placed_fields_are_where_the_gradient_is(name: str, size: int) -> None:
    network = PLACED[name]
    made = net(network, size)
    module = positive(made.compile())
    output = made.graph.outputs[0].value
    field = propagate_fields(made.graph)[output]["image"]
    assert field.note == ""
    height, width = made.graph.types[output].spatial
    assert isinstance(height, int)
    assert isinstance(width, int)
    for position in positions((height, width)):
        assert seen_by_gradient(module, size, position) == predicted(field, position, size), position


def up(kernel: str, **options: str) -> str:
    return conv(kernel, **options).replace("conv2d", "conv_transpose2d")


def scaled(mode: str, factor: str = "2") -> str:
    return f"{{interpolate: {{scale_factor: {factor}, mode: {mode}}}}}"


UPSAMPLED = {
    "up": f"[{up('2', stride='2')}]",
    "up-3": f"[{conv('3')}, {up('3', stride='2', padding='1', output_padding='1')}, {conv('3', padding='1')}]",
    "up-5-by-3": f"[{up('5', stride='3', padding='2')}, {conv('2')}]",
    "up-and-down": f"[{conv('3', stride='2', padding='1')}, {up('4', stride='2', padding='1')},"
    f" {conv('3', stride='2')}]",
    "uneven-axes": f"[{up('[2, 3]', stride='[2, 1]')}, {conv('3')}]",
    "holes": f"[{up('1', stride='2')}, {conv('2')}]",
    "dilated": f"[{up('3', stride='2', dilation='3', padding='2')}, {conv('3')}]",
    "nearest": f"[{conv('3', stride='2')}, {scaled('nearest')}, {conv('3', padding='1')}, {conv('3', stride='2')}]",
    "bilinear": f"[{{avg_pool2d: 2}}, {scaled('bilinear')}, {conv('3')}]",
    "bilinear-odd": f"[{{avg_pool2d: 2}}, {scaled('bilinear', '3')}, {conv('2', stride='2')}]",
    "bicubic": f"[{{avg_pool2d: 2}}, {scaled('bicubic', '[2, 3]')}]",
    "twice": f"[{{avg_pool2d: 4}}, {conv('3', padding='1')}, {scaled('nearest')}, {conv('3', padding='1')},"
    f" {up('2', stride='2')}, {conv('3')}]",
    "skip": f"[{{{conv('3', padding='1')[1:-1]}, name: a}}, {{avg_pool2d: 2}}, {conv('3')}, {up('2', stride='2')[:-1]},"
    " name: b}, {center_crop, from: [a, b], name: c}, {concat, from: [c, b]}, " + conv("3") + "]",
    "pyramid": f"[{{{conv('3', padding='1')[1:-1]}, name: a}}, {{{conv('3', stride='2', padding='1')[1:-1]}, name: b}},"
    " {interpolate, from: [b, a], name: c}, {add, from: [c, a]}]",
}


@pytest.mark.parametrize("name", UPSAMPLED)
def test_fields_behind_upsampling_are_where_the_gradient_is(name: str) -> None:
    """Of each unit apart; the field tells the most that one sees, and how far apart two see on average."""
    made = net(UPSAMPLED[name], 24)
    module = positive(made.compile())
    output = made.graph.outputs[0].value
    field = propagate_fields(made.graph)[output]["image"]
    height, width = made.graph.types[output].spatial
    assert isinstance(height, int)
    assert isinstance(width, int)
    for axis, size in enumerate((height, width)):
        most = 0
        for unit in range(size):
            position = (unit, width // 2) if axis == 0 else (height // 2, unit)
            seen = seen_or_not(module, 24, position, axis)
            if field.spans:
                span = field.spans[axis].of(unit)
                promised = span and (max(0, span[0]), min(23, span[1]))
                whole = span is None or (span[0] >= 0 and span[1] < 24)
            else:
                promised = predicted(field, (unit, unit), 24)[axis]
                whole = promised[0] > 0 and promised[1] < 23
            assert seen == (promised if promised is None or promised[0] <= promised[1] else None), (axis, unit)
            most = max(most, seen[1] - seen[0] + 1) if seen and whole else most
        assert most == field.size[axis]


def seen_or_not(module: nn.Module, size: int, position: tuple[int, int], axis: int) -> Interval | None:
    image = torch.linspace(0.5, 1.5, 2 * size * size, dtype=torch.float64).reshape(1, 2, size, size).requires_grad_()
    (gradient,) = torch.autograd.grad(module(image)[(0, slice(None), *position)].sum(), image)
    where = gradient[0].abs().sum(0).sum(1 - axis).nonzero().flatten().tolist()
    return (where[0], where[-1]) if where else None


def test_up_and_down_again_is_an_even_field() -> None:
    """Downsampling by as much undoes the difference of units, and the field has a start again."""
    fields = propagate_fields(net(UPSAMPLED["nearest"]).graph)
    assert fields["interpolate"]["image"].note == UNEVEN
    assert fields["interpolate"]["image"].stride == (1, 1)
    assert fields["conv2d_3"]["image"] == Field((7, 7), (2, 2), (-2, -2))
    doubled = propagate_fields(net("[{interpolate: 2}]").graph)["interpolate"]["image"]
    assert (doubled.size, doubled.stride, doubled.start) == ((1, 1), (Fraction(1, 2),) * 2, (None, None))


def test_what_is_upsampled_alike_may_merge() -> None:
    other = "{conv_transpose2d: {out_channels: 2, kernel_size: 2, stride: 2}}"
    text = f"[{{add: {{branches: {{a: [{{interpolate: 2}}], b: [{other}]}}}}}}]"
    assert propagate_fields(net(text).graph)["add"]["image"].note == UNEVEN
    apart = (
        "[{add: {branches: {a: [{interpolate: 2}, {avg_pool2d: 2}], b: [{interpolate: 2}, {narrow: {dim: 2, start: 0,"
    )
    apart += " length: 32}}, {narrow: {dim: 3, start: 0, length: 32}}]}}}]"
    assert propagate_fields(net(apart).graph)["add"]["image"].note == MISALIGNED
    long = f"[{', '.join(['{interpolate: 64}', '{avg_pool2d: 63}'] * 3)}]"
    assert propagate_fields(net(long).graph)["avg_pool2d_3"]["image"].note == VARIES


EVERYTHING = {
    "global-pool": f"[{conv('3')}, {{adaptive_avg_pool2d: 1}}]",
    "linear": f"[{conv('3')}, {{avg_pool2d: 5}}, flatten, {{linear: 4}}]",
    "global-pool-in-a-branch": f"[{{concat: {{branches: {{a: [{{adaptive_avg_pool2d: 1}}], b: [{conv('8', stride='8')},"
    f" {conv('4')}]}}}}}}]",
    "then-more": f"[{conv('3')}, {{adaptive_avg_pool2d: 1}}, {conv('1')}, relu, flatten, {{linear: 3}}]",
}


@pytest.mark.parametrize("network", EVERYTHING.values(), ids=EVERYTHING)
def test_what_sees_everything(network: str) -> None:
    made = net(network)
    output = made.graph.outputs[0].value
    assert propagate_fields(made.graph)[output]["image"] == Field((32, 32), (0, 0), (0, 0))
    rank = made.graph.types[output].rank
    found = seen_by_gradient(positive(made.compile()), 32, (0,) * (rank - 2))
    assert found == [(0, 31), (0, 31)]


def test_linear_over_a_map_sees_a_line() -> None:
    made = net("[{linear: 5}]", 8)
    assert propagate_fields(made.graph)["linear"]["image"] == Field((1, 8), (1, 0), (0, 0))
    assert seen_by_gradient(positive(made.compile()), 8, (3, 2)) == [(3, 3), (0, 7)]


PARTED = f"{{concat: {{branches: {{a: [{conv('1', stride='2')}], b: [{conv('17')}]}}}}}}"
UNKNOWN = {
    "misaligned": (f"[{PARTED}]", MISALIGNED),
    "after-misaligned": (f"[{PARTED}, {conv('3')}]", MISALIGNED),
    "varies": ("[{adaptive_avg_pool2d: 7}]", VARIES),
    "flattened": ("[{avg_pool2d: 4}, flatten]", UNPLACED),
}  # fmt: skip


@pytest.mark.parametrize(("network", "note"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_has_no_place_says_why(network: str, note: str) -> None:
    made = net(network)
    field = propagate_fields(made.graph)[made.graph.outputs[0].value]["image"]
    assert field.note == note
    assert field.stride == (None, None)


def test_flatten_of_single_units_keeps_their_place() -> None:
    field = propagate_fields(net("[{avg_pool2d: 32}, flatten]").graph)["flatten"]["image"]
    assert field == Field((32, 32), (32, 32), (0, 0))


def test_a_flattened_unit_still_has_a_size() -> None:
    assert propagate_fields(net("[{avg_pool2d: 4}, flatten, relu]").graph)["relu"]["image"].size == (4, 4)


def test_several_inputs_have_a_field_each() -> None:
    text = (
        "netspec: 1\nname: example\ninputs: {left: [N, 2, 16, 16], right: [N, 2, 16, 16], flat: [N, 4]}\n"
        "network:\n  - {avg_pool2d: {kernel_size: 3, stride: 1, padding: 1}, from: left}\n"
        "  - {add, from: [one, right], name: two}\n  - {linear: 3, from: flat, name: fc}\noutputs: {two: two, fc: fc}\n"
    ).replace("from: left", "from: left, name: one")
    fields = propagate_fields(netspec.loads(text).graph)
    assert fields["two"] == {"left": Field((3, 3), (1, 1), (-1, -1)), "right": Field((1, 1), (1, 1), (0, 0))}
    assert fields["fc"] == {}


def test_measured_from_an_inner_value() -> None:
    made = net(f"[{{{conv('7', stride='4')[1:-1]}, name: a}}, {conv('3', stride='2')}, {{{conv('3')[1:-1]}, name: b}}]")
    assert propagate_fields(made.graph, "a")["b"] == {"a": Field((7, 7), (2, 2), (0, 0))}
    assert propagate_fields(made.graph)["b"]["image"] == Field((31, 31), (8, 8), (0, 0))


def test_open_sizes_do_not_matter_to_windows() -> None:
    fixed = propagate_fields(net(f"[{conv('3')}, {{avg_pool2d: 2}}]").graph)
    made = netspec.loads(
        "netspec: 1\nname: example\ninputs: {image: [N, 2, H, W]}\n" + f"network: [{conv('3')}, {{avg_pool2d: 2}}]\n"
    )
    assert propagate_fields(made.graph)["avg_pool2d"] == fixed["avg_pool2d"]


@pytest.mark.parametrize(
    ("name", "value", "size"),
    [
        ("alexnet", "pool5", 195),
        ("vgg_d", "conv5.2.relu", 196),
        ("resnet50", "layer4", 483),
        ("resnet101", "layer4", 1027),
        ("resnet152", "layer4", 1507),
    ],
)
def test_figures_that_were_published(name: str, value: str, size: int) -> None:
    """Araujo, Norris & Sim 2019 (Distill), table of receptive fields; AlexNet's pool5: Girshick et al. 2014."""
    made = netspec.load(name)
    path = made.graph.scopes[value].output if value in made.graph.scopes else value
    assert propagate_fields(made.graph)[path]["image"].size == (size, size)


SHAPES = [
    ("googlenet", "{}", ["inception3a", "inception3b"], 97),
    ("resnet18", "{stages: [2, 1, 1, 1]}", ["layer1", "layer2", "layer3"], 64),
    ("resnet50", "{stages: [2, 2, 1, 1]}", ["layer1", "layer2"], 65),
    ("resnet20_cifar", "{n: 2}", ["layer1", "layer2", "layer3"], 32),
    ("rir", "{width: 4, depths: [1, 2, 1]}", ["stage1", "stage2", "stage3"], 32),
]


@pytest.mark.parametrize(("spec", "params", "values", "size"), SHAPES, ids=[case[0] for case in SHAPES])
def test_fields_of_the_networks_shapes_are_where_the_gradient_is(
    spec: str, params: str, values: list[str], size: int
) -> None:
    """Their branches, joined: the specs themselves, cut off where maps are still large."""
    steps = f"[{{network: {{spec: {spec}, params: {params}, outputs: [{', '.join(values)}]}}, name: part}}]"
    made = net(steps, size, channels=3)
    module = positive(made.compile())
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                mean = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
                setattr(parent, name, mean)
    fields = propagate_fields(made.graph)
    for number, output in enumerate(made.graph.outputs):
        field = fields[output.value]["image"]
        assert field.note == ""
        height, width = made.graph.types[output.value].spatial
        assert isinstance(height, int)
        assert isinstance(width, int)
        for position in ((0, 0), (height // 2, width // 2), (height - 1, 1)):
            seen = seen_by_gradient(lambda x, number=number: module(x)[number], size, position, channels=3)
            assert seen == predicted(field, position, size), output.name


def test_fields_are_ints_where_they_are_whole() -> None:
    for fields in propagate_fields(netspec.load("resnet18").graph).values():
        for field in fields.values():
            assert not any(isinstance(entry, Fraction) for entry in (*field.size, *field.stride, *field.start))
