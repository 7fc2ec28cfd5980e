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
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        identity = x[:, :, :: self.stride, :: self.stride]
        zeros = identity.new_zeros(len(x), self.new // 2, *identity.shape[2:])
        return functional.relu(y + torch.cat([zeros, identity, zeros], 1))


def cifar_resnet(n: int) -> nn.Module:
    """The ResNet of 6n + 2 layers for CIFAR of He et al. 2015, section 4.2."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    entering = 16
    for width in (16, 32, 64):
        for index in range(n):
            layers.append(Block(entering, width, 2 if width > 16 and index == 0 else 1))
            entering = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


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


class UnetByHand(nn.Module):
    """U-Net as Figure 1 and section 2 of Ronneberger, Fischer & Brox 2015 say it."""

    def __init__(self) -> None:
        super().__init__()
        widths = [64, 128, 256, 512, 1024]
        entering = [1, *widths]
        self.down = nn.ModuleList(self.pair(entering[n], widths[n]) for n in range(5))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[3::-1])
        self.after = nn.ModuleList(self.pair(2 * w, w) for w in widths[3::-1])
        self.last = nn.Conv2d(64, 2, 1)

    def pair(self, entering: int, width: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(entering, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for number, pair in enumerate(self.down):
            x = pair(x if number == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for up, pair, skip in zip(self.up, self.after, kept[-2::-1], strict=True):
            x = up(x)
            spare = (skip.shape[2] - x.shape[2]) // 2
            # Sizes of skip and map differ by even numbers: 4 of 64, 16 of 136, 40 of 280, 88 of 568 on each side.
            skip = skip[:, :, spare:-spare, spare:-spare]
            assert skip.shape == x.shape
            x = pair(torch.cat([skip, x], 1))
        return self.last(x)
