"""Random specs over larger maps: every kind of window, branches of equal strides that begin apart, nested repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from tests.support.random_specs import Choose

SMALLEST = 3
"""The least size of a map, so that another window can follow."""

BLOCKS: dict[str, Any] = {
    "unit": {
        "params": {"w": "int", "k": 3, "s": 1, "d": 1},
        "body": [
            {"conv2d": {"out_channels": "w", "kernel_size": "k", "stride": "s", "padding": "d*(k - 1) // 2",
                        "dilation": "d"}},
            "batch_norm",
            "relu",
        ],
    },
    "pair": {
        "params": {"w": "int", "s": 1, "n": 1},
        "body": [
            {"unit": {"w": "w", "s": "s if index == 0 else 1", "d": "1 + index"}, "repeat": "n"},
            {"unit": {"w": "w", "k": 1}},
        ],
    },
    "residual": {
        "params": {"w": "int", "s": 1},
        "body": [
            {
                "add": {
                    "branches": {
                        "deep": [{"pair": {"w": "w", "s": "s", "n": 2}}],
                        "skip": [
                            {"unit": {"w": "w", "k": 1, "s": "s"}, "when": "s != 1 or input.channels != w"},
                        ],
                    }
                },
                "name": "sum",
            },
        ],
    },
}  # fmt: skip


@dataclass(frozen=True)
class Map:
    """The size of a value, without the batch."""

    channels: int
    height: int
    width: int

    @property
    def sizes(self) -> tuple[int, int]:
        return self.height, self.width


@dataclass(frozen=True)
class Slide:
    """A window along one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int = 1

    def over(self, size: int, ceil: bool = False) -> int:
        """The number of positions of the window, by torch's formula, independently of netspec."""
        room = size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1
        places = (-(-room // self.stride) if ceil else room // self.stride) + 1
        return places - 1 if ceil and (places - 1) * self.stride >= size + self.padding else places


class MapMaker:
    """Generates the parts of one spec, and keeps the sizes of its values."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose

    def pick(self, *options: Any) -> Any:
        return self.choose(options)

    def chance(self, percent: int) -> bool:
        return self.choose(range(100)) < percent

    def spec(self) -> dict[str, Any]:
        start = Map(self.pick(1, 2, 3), self.choose(range(20, 41)), self.choose(range(20, 41)))
        network, end = self.body(start, depth=2, most=5)
        network += self.ending(end)
        return {
            "netspec": 1,
            "name": "net",
            "inputs": {"image": ["N", start.channels, start.height, start.width]},
            "blocks": BLOCKS,
            "network": network,
        }

    def body(self, x: Map, depth: int, most: int) -> tuple[list[Any], Map]:
        steps: list[Any] = []
        for number in range(self.choose(range(1, most + 1))):
            kinds = [
                "conv",
                "conv",
                "pool",
                "pool",
                "simple",
                "simple",
                "block",
                *(["merge", "merge"] if depth else []),
            ]
            match self.choose(kinds):
                case "conv":
                    step, x = self.conv(x)
                case "pool":
                    step, x = self.pool(x)
                case "block":
                    step, x = self.block(x)
                case "merge":
                    step, x = self.merge(x, depth - 1)
                    step["name"] = f"join{number}"
                case _:
                    step = self.simple(x)
            steps.append(step)
        return steps, x

    def conv(self, x: Map, slides: tuple[Slide, Slide] | None = None) -> tuple[dict[str, Any], Map]:
        groups = self.pick(1, 1, 1, *(g for g in (2, 3) if x.channels % g == 0))
        width = groups * self.pick(1, 2) if groups > 1 else self.pick(1, 2, 3, 4)
        found: dict[str, Any] = {"out_channels": width, **({"groups": groups} if groups > 1 else {})}
        if slides is None and self.chance(15):
            kernel, dilation = self.pick(2, 3, 4, [2, 3]), self.pick(1, 2)
            same = {"kernel_size": kernel, "padding": "same", "dilation": dilation}
            return {"conv2d": {**found, **same}}, replace(x, channels=width)
        slides = slides or self.slides(x, kernels=(1, 2, 3, 3, 4, 5), dilations=(1, 1, 1, 2, 3), padded=True)
        found |= self.written(slides, ("kernel_size", "stride", "padding", "dilation"))
        modes = ["replicate", *(["reflect", "circular"] if max(s.padding for s in slides) < min(x.sizes) else [])]
        if "padding" in found and self.chance(10):
            found["padding_mode"] = self.choose(modes)
        if self.chance(20):
            found["bias"] = False
        return {"conv2d": found}, Map(width, *(s.over(size) for s, size in zip(slides, x.sizes, strict=True)))

    def pool(self, x: Map) -> tuple[dict[str, Any], Map]:
        op = self.pick("max_pool2d", "avg_pool2d")
        largest, ceil = op == "max_pool2d", self.chance(40)
        slides = self.slides(x, (1, 2, 3, 3, 4), (1, 1, 2) if largest else (1,), padded=False, ceil=ceil)
        found = self.written(slides, ("kernel_size", "padding", "dilation"))
        if any(s.stride != s.kernel for s in slides):
            found["stride"] = self.pair([s.stride for s in slides])
        if ceil:
            found["ceil_mode"] = True
        if not largest and self.chance(30):
            found |= self.pick({"count_include_pad": False}, {"divisor_override": 2})
        return {op: found}, Map(x.channels, *(s.over(n, ceil) for s, n in zip(slides, x.sizes, strict=True)))

    def slides(
        self, x: Map, kernels: tuple[int, ...], dilations: tuple[int, ...], *, padded: bool, ceil: bool = False
    ) -> tuple[Slide, Slide]:
        """Windows that fit a map, mostly equal on both axes; `padded` allows any padding."""

        def one(size: int) -> Slide:
            for _ in range(4):
                kernel = self.choose(kernels)
                padding = self.pick(0, 1, 2) if padded else self.choose(range(kernel // 2 + 1))
                found = Slide(kernel, self.pick(1, 1, 1, 2, 2, 3), padding, self.choose(dilations))
                if found.over(size, ceil) >= min(SMALLEST, size):
                    return found
            return Slide(1, 1, 0)

        first = one(min(x.sizes))
        return (first, first) if self.chance(60) else (one(x.height), one(x.width))

    def written(self, slides: tuple[Slide, Slide], names: tuple[str, ...]) -> dict[str, Any]:
        """The attributes of windows that differ from their defaults."""
        defaults = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
        values = {name: [getattr(s, name.removesuffix("_size")) for s in slides] for name in names}
        return {name: self.pair(value) for name, value in values.items() if value != defaults.get(name)}

    def pair(self, values: list[int]) -> Any:
        return values[0] if values[0] == values[1] and self.chance(70) else values

    def block(self, x: Map) -> tuple[dict[str, Any], Map]:
        stride, width = self.pick(1, 1, 2, 3), self.pick(2, 3, 4)
        if stride > 1 and min(x.sizes) < stride * SMALLEST:
            stride = 1
        name = self.pick("unit", "pair", "residual")
        arguments: dict[str, Any] = {"w": width, "s": stride}
        if name == "unit":
            arguments |= {"k": self.pick(1, 3, 5), "d": self.pick(1, 1, 2)}
        if name == "pair":
            arguments["n"] = self.pick(1, 2)
        step: dict[str, Any] = {name: arguments}
        if self.chance(30):
            step["repeat"] = self.pick(1, 2, 3)
            arguments["s"] = f"{stride} if index == 0 else 1"
        return step, Map(width, *(-(-size // stride) for size in x.sizes))

    def merge(self, x: Map, depth: int) -> tuple[dict[str, Any], Map]:
        """Branches that end at the same size, mostly with equal strides."""
        op = self.pick("add", "concat", "multiply")
        if self.chance(40):
            steps, end = self.body(x, depth, most=2)
            strides: tuple[int, ...] = (1, 2, 3)
        else:
            step, end = self.conv(x)
            steps, given = [step], step["conv2d"].get("stride", 1)
            strides = (given,) if isinstance(given, int) else tuple(given)
        branches: dict[str, Any] = {"a": steps}
        widths = 0
        for name in self.pick("b", "b", "bc"):
            other, width = self.fitting(x, end, strides, None if op == "concat" else end.channels)
            branches[name] = other
            widths += width
        if op != "concat":
            return {op: {"branches": branches}}, end
        return {op: {"branches": branches}}, replace(end, channels=end.channels + widths)

    def fitting(self, x: Map, end: Map, strides: tuple[int, ...], width: int | None) -> tuple[list[Any], int]:
        """A branch from one size to another with a given width; a global pool if no window leads there."""
        if x == end and self.chance(30):
            return [], x.channels
        first: list[Any] = []
        if self.chance(30):
            step, y = self.conv(x)
            if all(self.ways(a, b, strides) for a, b in zip(y.sizes, end.sizes, strict=True)):
                first, x = [step], y
        ways = [
            self.ways(a, b, strides) or self.ways(a, b, (1, 2, 3, 4, 5, 6))
            for a, b in zip(x.sizes, end.sizes, strict=True)
        ]
        if not all(ways):
            first.append({"adaptive_avg_pool2d": {"output_size": [end.height, end.width]}})
            slides = (Slide(1, 1, 0), Slide(1, 1, 0))
        else:
            slides = (self.choose(ways[0]), self.choose(ways[1]))
        step, y = self.conv(x, slides)
        step["conv2d"].pop("groups", None)
        step["conv2d"]["out_channels"] = width or y.channels
        return [*first, step], width or y.channels

    @staticmethod
    def ways(size: int, end: int, strides: tuple[int, ...]) -> list[Slide]:
        """Windows that turn a map of one size into a map of another size."""
        return [slide for slide in _every(strides) if slide.over(size) == end]

    def simple(self, x: Map) -> dict[str, Any]:
        plain = ("relu", "sigmoid", "tanh", "batch_norm", "softplus", "gelu", "silu", "hardswish", "identity", "elu")
        rare = ({"softmax": 1}, {"softmax": 2}, {"log_softmax": -1}, {"batch_norm": {"track_running_stats": False}})
        some = ({"leaky_relu": 0.2}, {"prelu": x.channels}, {"local_response_norm": 2}, {"dropout": 0.3}, "relu6")
        found = self.pick(*plain, *some, *(3 * rare if self.chance(50) else ()), {"dropout2d": 0.5})
        return {found: None} if isinstance(found, str) else found

    def ending(self, x: Map) -> list[Any]:
        match self.pick("none", "none", "flatten", "global", "adaptive", "adaptive", "line"):
            case "flatten":
                return ["flatten", {"linear": 3}]
            case "global":
                return [{"adaptive_max_pool2d": 1}, {"conv2d": {"out_channels": 2, "kernel_size": 1}}, "flatten"]
            case "adaptive":
                divisors = [[n for n in range(2, size) if size % n == 0] or [1, size] for size in x.sizes]
                even = [self.choose(divisors[0]), self.choose(divisors[1])]
                return [{"adaptive_avg_pool2d": {"output_size": self.pick(even, even, [even[0], None], 3)}}, "relu"]
            case "line":
                return [{"linear": self.pick(2, 5)}]
            case _:
                return []


def _every(strides: tuple[int, ...]) -> Iterator[Slide]:
    for kernel, stride, padding, dilation in product(range(1, 7), strides, range(3), (1, 2)):
        yield Slide(kernel, stride, padding, dilation)


def random_map(choose: Choose) -> dict[str, Any]:
    """A random spec whose windows are of every kind, over a map larger than most of its fields."""
    return MapMaker(choose).spec()
