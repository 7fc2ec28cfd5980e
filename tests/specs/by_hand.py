"""Modules written by hand from papers: what bundled specs are held against where no library has the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """He et al. 2015, section 4.2: as its text says it, with option A."""

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.new = stride, width - entering

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.summed(x))

    def summed(self, x: Tensor) -> Tensor:
        """The sum of both ways, in front of the last ReLU."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        identity = x[:, :, :: self.stride, :: self.stride]
        zeros = identity.new_zeros(len(x), self.new // 2, *identity.shape[2:])
        return y + torch.cat([zeros, identity, zeros], 1)


def cifar_resnet(n: int) -> nn.Module:
    """The ResNet of 6n + 2 layers for CIFAR of He et al. 2015, section 4.2."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    entering = 16
    for width in (16, 32, 64):
        for index in range(n):
            layers.append(Block(entering, width, 2 if width > 16 and index == 0 else 1))
            entering = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Ror(nn.Module):
    """RoR-3 of 6n + 2 layers, as section III of Zhang et al. 2016 says it.

    Of each stage x, ..., x_L the last block gives y_L = g(x) + h(x_L) + F(x_L), and f(y_L) enters the next one; to that
    of the last stage the root's shortcut is added. f is ReLU, h has option A, and g option B.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.stem = self.conv(3, 16, 3, 1)
        self.stages = nn.ModuleList()
        entering = 16
        for width in (16, 32, 64):
            stride = width // entering
            blocks = [Block(entering if i == 0 else width, width, stride if i == 0 else 1) for i in range(n)]
            over = nn.Identity() if stride == 1 else self.conv(entering, width, 1, stride)
            self.stages.append(nn.ModuleDict({"blocks": nn.ModuleList(blocks), "over": over}))
            entering = width
        self.root = self.conv(16, 64, 1, 4)
        self.fc = nn.Linear(64, 10)

    def conv(self, entering: int, width: int, kernel: int, stride: int) -> nn.Sequential:
        convolution = nn.Conv2d(entering, width, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(width))

    def forward(self, image: Tensor) -> Tensor:
        x = first = functional.relu(self.stem(image))
        for number, stage in enumerate(self.stages):
            over = stage["over"](x)
            *blocks, last = stage["blocks"]
            for block in blocks:
                x = block(x)
            y = over + last.summed(x)
            x = functional.relu(self.root(first) + y if number == 2 else y)
        return self.fc(x.mean((2, 3)))


class GeneralizedLayer(nn.Module):
    """Equation 1 of Targ, Almeida & Lyman 2016, as one convolution of both streams, whose weights are four."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.both = nn.Conv2d(2 * before, 2 * width, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * width)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        new_r, new_t = self.both(torch.cat([r, t], dim=1)).chunk(2, dim=1)
        joined = torch.cat([new_r + self.shortcut(r), new_t], dim=1)
        new_r, new_t = functional.relu(self.norm(joined)).chunk(2, dim=1)
        return new_r, new_t

    def take(self, state: dict[str, Tensor], path: str) -> None:
        """The weights that `rir` has at a path."""
        ways = [[f"{path}.{a}_to_{b}.weight" for a in "rt"] for b in "rt"]
        weight = torch.cat([torch.cat([state[key] for key in row], dim=1) for row in ways])
        self.both.weight.data.copy_(weight)
        for name, value in self.norm.state_dict().items():
            if value.ndim:
                value.copy_(torch.cat([state[f"{path}.{s}_out.batch_norm.{name}"] for s in "rt"]))
        if isinstance(self.shortcut, nn.Conv2d):
            self.shortcut.weight.data.copy_(state[f"{path}.shortcut.weight"])


def same_conv(x: Tensor, weight: Tensor, stride: int, groups: int = 1) -> Tensor:
    """A convolution whose map is padded as TensorFlow's `SAME` says: one more below and right where it is uneven."""
    around: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + weight.shape[2] - size, 0)
        around += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, around), weight, stride=stride, groups=groups)


def efficientnet_lite0(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """EfficientNet-Lite0 of tensorflow/tpu's `efficientnet_lite_builder.py`, from a PyTorch port's state dict.

    The table has the blocks of each stage and the stride of the first; sizes of kernels are those of the weights.
    """

    def norm(x: Tensor, name: str) -> Tensor:
        values = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *values, eps=1e-3)

    x = functional.relu6(norm(same_conv(x, state["_conv_stem.weight"], 2), "_bn0"))
    number = 0
    for blocks, first_stride in [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)]:
        for block in range(blocks):
            at, entering = f"_blocks.{number}", x
            stride = first_stride if block == 0 else 1
            if f"{at}._expand_conv.weight" in state:
                x = functional.relu6(norm(same_conv(x, state[f"{at}._expand_conv.weight"], 1), f"{at}._bn0"))
            x = same_conv(x, state[f"{at}._depthwise_conv.weight"], stride, groups=x.shape[1])
            x = functional.relu6(norm(x, f"{at}._bn1"))
            x = norm(same_conv(x, state[f"{at}._project_conv.weight"], 1), f"{at}._bn2")
            if stride == 1 and x.shape == entering.shape:
                x = x + entering
            number += 1
    x = functional.relu6(norm(same_conv(x, state["_conv_head.weight"], 1), "_bn1"))
    return functional.linear(x.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])


class UnetByHand(nn.Module):
    """U-Net as Figure 1 and section 2 of Ronneberger, Fischer & Brox 2015 say it, or with maps that keep their size."""

    def __init__(self, width: int = 64, padded: bool = False) -> None:
        super().__init__()
        self.padding = 1 if padded else 0
        widths = [width * 2**n for n in range(5)]
        entering = [1, *widths]
        self.down = nn.ModuleList(self.pair(entering[n], widths[n]) for n in range(5))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[3::-1])
        self.after = nn.ModuleList(self.pair(2 * w, w) for w in widths[3::-1])
        self.last = nn.Conv2d(width, 2, 1)

    def pair(self, entering: int, width: int) -> nn.Sequential:
        first = nn.Conv2d(entering, width, 3, padding=self.padding)
        return nn.Sequential(first, nn.ReLU(), nn.Conv2d(width, width, 3, padding=self.padding), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for number, pair in enumerate(self.down):
            x = pair(x if number == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for up, pair, skip in zip(self.up, self.after, kept[-2::-1], strict=True):
            x = up(x)
            # At Figure 1's sizes a skipped map loses 4 of 64, 16 of 136, 40 of 280 and 88 of 568 on each side.
            spare = [skip.shape[axis] - x.shape[axis] for axis in (2, 3)]
            top, left = (size // 2 for size in spare)
            skip = functional.pad(skip, (-left, left - spare[1], -top, top - spare[0]))
            x = pair(torch.cat([skip, x], 1))
        return self.last(x)


class TextClassifier(nn.Module):
    """A classifier of IMDb's reviews: words, an LSTM in both directions, and its last states (2 layers of 256)."""

    def __init__(self, words: int = 25_002) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 100, padding_idx=1)
        self.lstm = nn.LSTM(100, 256, num_layers=2, dropout=0.5, bidirectional=True)
        self.fc = nn.Linear(512, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Of tokens (N, T), sorted by their lengths; torch's layers have time first by default."""
        embedded = self.dropout(self.words(tokens.t()))
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths)
        _, (states, _) = self.lstm(packed)
        return self.fc(self.dropout(torch.cat((states[2], states[3]), dim=1)))
