"""GoogLeNet with batch norm in PyTorch, compiled by netspec from `googlenet_bn`."""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Conv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self, in_channels: int, width: int, kernel: int = 1, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels, width, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.batch_norm = nn.BatchNorm2d(width, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.batch_norm(self.conv2d(x)))


class Inception(nn.Module):
    """Maps (N, in_channels, H, W) to (N, n1x1 + n3x3 + n5x5 + pool_proj, H, W)."""

    def __init__(
        self,
        in_channels: int,
        n1x1: int,
        reduce3x3: int,
        n3x3: int,
        reduce5x5: int,
        n5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.b1x1 = nn.Sequential(OrderedDict(conv=Conv(in_channels, n1x1)))
        self.b3x3 = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, reduce3x3),
                conv_2=Conv(reduce3x3, n3x3, kernel=3),
            )
        )
        self.b5x5 = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, reduce5x5),
                conv_2=Conv(reduce5x5, n5x5, kernel=3),
            )
        )
        self.pool = nn.Sequential(
            OrderedDict(
                max_pool2d=nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
                conv=Conv(in_channels, pool_proj),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.b1x1(x), self.b3x3(x), self.b5x5(x), self.pool(x)], dim=1
        )


class Aux(nn.Module):
    """Maps (N, in_channels, H, W) to (N, classes)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(4)
        self.conv = Conv(in_channels, 128)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(2048, 1024)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.adaptive_avg_pool2d(x)
        x = self.conv(x)
        x = self.flatten(x)
        x = self.fc1(x)
        x = self.relu(x)
        x = self.dropout(x)
        return self.fc2(x)


class GooglenetBnOutput(NamedTuple):
    """The outputs of GoogLeNet with batch norm."""

    logits: Tensor
    aux1: Tensor | None = None
    aux2: Tensor | None = None


class GooglenetBn(nn.Module):
    """GoogLeNet with batch norm.

    torchvision.models.googlenet, after Szegedy et al. 2014, arXiv:1409.4842

    image (N, 3, 224, 224) -> logits (N, classes), aux1 (N, classes) in training,
    aux2 (N, classes) in training
    """

    def __init__(
        self, classes: int = 1000, dropout: float = 0.2, last_pool: int = 2
    ) -> None:
        super().__init__()
        self.conv1 = Conv(3, 64, kernel=7, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = Conv(64, 64)
        self.conv3 = Conv(64, 192, kernel=3)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.pool4 = nn.MaxPool2d(last_pool, stride=2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = Aux(512, classes)
        self.aux2 = Aux(528, classes)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, classes)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, image: Tensor) -> Tensor | GooglenetBnOutput:
        x = self.conv1(image)
        x = self.pool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.pool2(x)
        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.pool3(x)
        inception4a = self.inception4a(x)
        x = self.inception4b(inception4a)
        x = self.inception4c(x)
        inception4d = self.inception4d(x)
        x = self.inception4e(inception4d)
        x = self.pool4(x)
        x = self.inception5a(x)
        x = self.inception5b(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        x = self.dropout(x)
        x = self.fc(x)
        if self.training:
            aux1 = self.aux1(inception4a)
            aux2 = self.aux2(inception4d)
            return GooglenetBnOutput(x, aux1, aux2)
        return x
