"""ResNet in ResNet, 18 layers, wide in PyTorch, compiled by netspec from `rir`."""

import torch
from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class NormRelu(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels, H, W)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.batch_norm(x))


class GeneralizedLayer(nn.Module):
    """Maps (N, r_channels, H, W) and (N, t_channels, H, W) to
    (N, width, H / stride, W / stride) and (N, width, H / stride, W / stride).
    """

    def __init__(
        self, r_channels: int, t_channels: int, width: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.r_to_r = nn.Conv2d(
            r_channels, width, 3, stride=stride, padding=1, bias=False
        )
        self.t_to_r = nn.Conv2d(
            t_channels, width, 3, stride=stride, padding=1, bias=False
        )
        self.shortcut = (
            nn.Conv2d(r_channels, width, 1, stride=stride, bias=False)
            if stride != 1 or r_channels != width
            else nn.Identity()
        )
        self.r_out = NormRelu(width)
        self.r_to_t = nn.Conv2d(
            r_channels, width, 3, stride=stride, padding=1, bias=False
        )
        self.t_to_t = nn.Conv2d(
            t_channels, width, 3, stride=stride, padding=1, bias=False
        )
        self.t_out = NormRelu(width)

    def forward(self, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x = self.r_to_r(r) + self.t_to_r(t) + self.shortcut(r)
        r_out = self.r_out(x)
        x = self.r_to_t(r) + self.t_to_t(t)
        t_out = self.t_out(x)
        return r_out, t_out


class RirBlock(nn.Module):
    """Maps (N, r_channels, H, W) and (N, t_channels, H, W) to
    (N, width, H / stride, W / stride) and (N, width, H / stride, W / stride).
    """

    def __init__(
        self, r_channels: int, t_channels: int, width: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.first = GeneralizedLayer(r_channels, t_channels, width, stride=stride)
        self.second = GeneralizedLayer(width, width, width)
        self.shortcut = (
            nn.Conv2d(r_channels, width, 1, stride=stride, bias=False)
            if stride != 1 or r_channels != width
            else nn.Identity()
        )

    def forward(self, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        r_2, t = self.first(r, t)
        r_2, t = self.second(r_2, t)
        r_out = r_2 + self.shortcut(r)
        return r_out, t


class Rir(nn.Module):
    """ResNet in ResNet, 18 layers, wide.

    Targ, Almeida & Lyman 2016, arXiv:1603.08029

    image (N, 3, 32, 32) -> logits (N, classes)
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv_r = nn.Conv2d(3, 48, 3, padding=1, bias=False)
        self.stem_r = NormRelu(48)
        self.conv_t = nn.Conv2d(3, 48, 3, padding=1, bias=False)
        self.stem_t = NormRelu(48)
        self.stage1 = nn.ModuleList(RirBlock(48, 48, 48) for _ in range(2))
        self.stage2 = nn.ModuleList(
            [RirBlock(48, 48, 96, stride=2), *(RirBlock(96, 96, 96) for _ in range(2))]
        )
        self.stage3 = nn.ModuleList(
            [
                RirBlock(96, 96, 192, stride=2),
                *(RirBlock(192, 192, 192) for _ in range(2)),
            ]
        )
        self.classifier = nn.Conv2d(384, classes, 1)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.scores = nn.Flatten()
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv_r(image)
        stem_r = self.stem_r(x)
        x = self.conv_t(image)
        x = self.stem_t(x)
        r, t = stem_r, x
        for layer in self.stage1:
            r, t = layer(r, t)
        for layer in self.stage2:
            r, t = layer(r, t)
        for layer in self.stage3:
            r, t = layer(r, t)
        x = torch.cat([r, t], dim=1)
        x = self.classifier(x)
        x = self.adaptive_avg_pool2d(x)
        return self.scores(x)
