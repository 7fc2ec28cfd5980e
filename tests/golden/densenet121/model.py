"""DenseNet-121 in PyTorch, compiled by netspec from `densenet121`."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)


class DenseLayer(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels + 32, H, W)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            OrderedDict(
                norm1=nn.BatchNorm2d(in_channels),
                relu=nn.ReLU(),
                conv1=nn.Conv2d(in_channels, 128, 1, bias=False),
                norm2=nn.BatchNorm2d(128),
                relu_2=nn.ReLU(),
                conv2=nn.Conv2d(128, 32, 3, padding=1, bias=False),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.new(x)], dim=1)


class DenseBlock(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels + 32 * depth, H, W)."""

    def __init__(self, in_channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(DenseLayer(in_channels + index * 32) for index in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Transition(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels // 2, H / 2, W / 2)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.avg_pool2d = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.avg_pool2d(self.conv(self.relu(self.norm(x))))


class Densenet121(nn.Module):
    """DenseNet-121.

    Huang, Liu, van der Maaten & Weinberger 2017, arXiv:1608.06993, Table 1, k =
    32

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.norm0 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.pool0 = nn.MaxPool2d(3, stride=2, padding=1)
        self.denseblock1 = DenseBlock(64, 6)
        self.transition1 = Transition(256)
        self.denseblock2 = DenseBlock(128, 12)
        self.transition2 = Transition(512)
        self.denseblock3 = DenseBlock(256, 24)
        self.transition3 = Transition(1024)
        self.denseblock4 = DenseBlock(512, 16)
        self.norm5 = nn.BatchNorm2d(1024)
        self.relu_2 = nn.ReLU()
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(1024, classes)
        self.apply(init_weights)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv0(image)
        x = self.norm0(x)
        x = self.relu(x)
        x = self.pool0(x)
        x = self.denseblock1(x)
        x = self.transition1(x)
        x = self.denseblock2(x)
        x = self.transition2(x)
        x = self.denseblock3(x)
        x = self.transition3(x)
        x = self.denseblock4(x)
        x = self.norm5(x)
        x = self.relu_2(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        return self.classifier(x)
