"""ConvNeXt-T in PyTorch, compiled by netspec from `convnext_tiny`."""

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Zeroes each row of a batch, or all of it, with probability p in training."""

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        ones = x.new_ones(rows, *(1,) * (x.ndim - 1))
        return x * nn.functional.dropout(ones, self.p)


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class LayerNorm2d(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels, H, W)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(in_channels, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer_norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels, H, W)."""

    def __init__(self, in_channels: int, number: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 7, padding=3, groups=in_channels
        )
        self.norm = nn.LayerNorm(in_channels, eps=1e-06)
        self.expand = nn.Linear(in_channels, 4 * in_channels)
        self.gelu = nn.GELU()
        self.project = nn.Linear(4 * in_channels, in_channels)
        self.layer_scale = nn.Parameter(torch.full((in_channels, 1, 1), 1e-06))
        self.stochastic_depth = StochasticDepth(0.1 * number / 17)

    def forward(self, x: Tensor) -> Tensor:
        out = self.depthwise(x).permute(0, 2, 3, 1)
        out = self.norm(out)
        out = self.expand(out)
        out = self.gelu(out)
        out = self.project(out).permute(0, 3, 1, 2)
        out = self.layer_scale * out
        return self.stochastic_depth(out) + x


class Downsample(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / 2, W / 2)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, width, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))


class ConvnextTiny(nn.Module):
    """ConvNeXt-T.

    Liu, Mao, Wu, Feichtenhofer, Darrell & Xie 2022, arXiv:2201.03545, Table 9

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 96, 4, stride=4)
        self.stem_norm = LayerNorm2d(96)
        self.stage1 = nn.Sequential(*(Block(96, index) for index in range(3)))
        self.downsample1 = Downsample(96, 192)
        self.stage2 = nn.Sequential(*(Block(192, 3 + index) for index in range(3)))
        self.downsample2 = Downsample(192, 384)
        self.stage3 = nn.Sequential(*(Block(384, 6 + index) for index in range(9)))
        self.downsample3 = Downsample(384, 768)
        self.stage4 = nn.Sequential(*(Block(768, 15 + index) for index in range(3)))
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.norm = LayerNorm2d(768)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(768, classes)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = self.stem_norm(x)
        x = self.stage1(x)
        x = self.downsample1(x)
        x = self.stage2(x)
        x = self.downsample2(x)
        x = self.stage3(x)
        x = self.downsample3(x)
        x = self.stage4(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.norm(x)
        x = self.flatten(x)
        return self.fc(x)
