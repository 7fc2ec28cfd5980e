"""Inception-v3 in PyTorch, compiled by netspec from `inception_v3`."""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.1)
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.001)


class Conv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H_out, W_out)."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: tuple[int, ...] = (1, 1),
        stride: int = 1,
        padded: bool = True,
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels,
            width,
            kernel,
            stride=stride,
            padding=(kernel[0] // 2 if padded else 0, kernel[1] // 2 if padded else 0),
            bias=False,
        )
        self.batch_norm = nn.BatchNorm2d(width, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.batch_norm(self.conv2d(x)))


class InceptionA(nn.Module):
    """Maps (N, in_channels, H, W) to (N, 224 + pool_proj, H, W)."""

    def __init__(self, in_channels: int, pool_proj: int) -> None:
        super().__init__()
        self.b1x1 = nn.Sequential(OrderedDict(conv=Conv(in_channels, 64)))
        self.b5x5 = nn.Sequential(
            OrderedDict(conv=Conv(in_channels, 48), conv_2=Conv(48, 64, kernel=(5, 5)))
        )
        self.b3x3dbl = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, 64),
                conv_2=Conv(64, 96, kernel=(3, 3)),
                conv_3=Conv(96, 96, kernel=(3, 3)),
            )
        )
        self.pool = nn.Sequential(
            OrderedDict(
                avg_pool2d=nn.AvgPool2d(3, stride=1, padding=1),
                conv=Conv(in_channels, pool_proj),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.b1x1(x), self.b5x5(x), self.b3x3dbl(x), self.pool(x)], dim=1
        )


class InceptionB(nn.Module):
    """Maps (N, in_channels, H, W) to (N, 480 + in_channels, H_out, W_out)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.b3x3 = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, 384, kernel=(3, 3), stride=2, padded=False)
            )
        )
        self.b3x3dbl = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, 64),
                conv_2=Conv(64, 96, kernel=(3, 3)),
                conv_3=Conv(96, 96, kernel=(3, 3), stride=2, padded=False),
            )
        )
        self.pool = nn.Sequential(OrderedDict(max_pool2d=nn.MaxPool2d(3, stride=2)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b3x3(x), self.b3x3dbl(x), self.pool(x)], dim=1)


class InceptionC(nn.Module):
    """Maps (N, in_channels, H, W) to (N, 768, H, W)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.b1x1 = nn.Sequential(OrderedDict(conv=Conv(in_channels, 192)))
        self.b7x7 = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, width),
                conv_2=Conv(width, width, kernel=(1, 7)),
                conv_3=Conv(width, 192, kernel=(7, 1)),
            )
        )
        self.b7x7dbl = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, width),
                conv_2=Conv(width, width, kernel=(7, 1)),
                conv_3=Conv(width, width, kernel=(1, 7)),
                conv_4=Conv(width, width, kernel=(7, 1)),
                conv_5=Conv(width, 192, kernel=(1, 7)),
            )
        )
        self.pool = nn.Sequential(
            OrderedDict(
                avg_pool2d=nn.AvgPool2d(3, stride=1, padding=1),
                conv=Conv(in_channels, 192),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.b1x1(x), self.b7x7(x), self.b7x7dbl(x), self.pool(x)], dim=1
        )


class Aux(nn.Module):
    """Maps (N, in_channels, H, W) to (N, classes)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.avg_pool2d = nn.AvgPool2d(5, stride=3)
        self.conv = Conv(in_channels, 128)
        self.conv_2 = Conv(128, 768, kernel=(5, 5), padded=False)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avg_pool2d(x)
        x = self.conv(x)
        x = self.conv_2(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        return self.fc(x)


class InceptionD(nn.Module):
    """Maps (N, in_channels, H, W) to (N, 512 + in_channels, H_out, W_out)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.b3x3 = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, 192),
                conv_2=Conv(192, 320, kernel=(3, 3), stride=2, padded=False),
            )
        )
        self.b7x7x3 = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, 192),
                conv_2=Conv(192, 192, kernel=(1, 7)),
                conv_3=Conv(192, 192, kernel=(7, 1)),
                conv_4=Conv(192, 192, kernel=(3, 3), stride=2, padded=False),
            )
        )
        self.pool = nn.Sequential(OrderedDict(max_pool2d=nn.MaxPool2d(3, stride=2)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b3x3(x), self.b7x7x3(x), self.pool(x)], dim=1)


class Expanded(nn.Module):
    """Maps (N, in_channels, H, W) to (N, 768, H, W)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.row = nn.Sequential(
            OrderedDict(conv=Conv(in_channels, 384, kernel=(1, 3)))
        )
        self.column = nn.Sequential(
            OrderedDict(conv=Conv(in_channels, 384, kernel=(3, 1)))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.row(x), self.column(x)], dim=1)


class InceptionE(nn.Module):
    """Maps (N, in_channels, H, W) to (N, 2048, H, W)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.b1x1 = nn.Sequential(OrderedDict(conv=Conv(in_channels, 320)))
        self.b3x3 = nn.Sequential(
            OrderedDict(conv=Conv(in_channels, 384), expanded=Expanded(384))
        )
        self.b3x3dbl = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, 448),
                conv_2=Conv(448, 384, kernel=(3, 3)),
                expanded=Expanded(384),
            )
        )
        self.pool = nn.Sequential(
            OrderedDict(
                avg_pool2d=nn.AvgPool2d(3, stride=1, padding=1),
                conv=Conv(in_channels, 192),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.b1x1(x), self.b3x3(x), self.b3x3dbl(x), self.pool(x)], dim=1
        )


class InceptionV3Output(NamedTuple):
    """The outputs of Inception-v3."""

    logits: Tensor
    aux: Tensor | None = None


class InceptionV3(nn.Module):
    """Inception-v3.

    Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015, arXiv:1512.00567, Table 1

    image (N, 3, 299, 299) -> logits (N, classes), aux (N, classes) in training
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1a = Conv(3, 32, kernel=(3, 3), stride=2, padded=False)
        self.conv2a = Conv(32, 32, kernel=(3, 3), padded=False)
        self.conv2b = Conv(32, 64, kernel=(3, 3))
        self.pool1 = nn.MaxPool2d(3, stride=2)
        self.conv3b = Conv(64, 80)
        self.conv4a = Conv(80, 192, kernel=(3, 3), padded=False)
        self.pool2 = nn.MaxPool2d(3, stride=2)
        self.mixed5b = InceptionA(192, 32)
        self.mixed5c = InceptionA(256, 64)
        self.mixed5d = InceptionA(288, 64)
        self.mixed6a = InceptionB(288)
        self.mixed6b = InceptionC(768, 128)
        self.mixed6c = InceptionC(768, 160)
        self.mixed6d = InceptionC(768, 160)
        self.mixed6e = InceptionC(768, 192)
        self.aux = Aux(768, classes)
        self.mixed7a = InceptionD(768)
        self.mixed7b = InceptionE(1280)
        self.mixed7c = InceptionE(2048)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(p=dropout)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(2048, classes)
        self.apply(init_weights)
        nn.init.trunc_normal_(self.fc.weight, std=0.1)

    def forward(self, image: Tensor) -> Tensor | InceptionV3Output:
        x = self.conv1a(image)
        x = self.conv2a(x)
        x = self.conv2b(x)
        x = self.pool1(x)
        x = self.conv3b(x)
        x = self.conv4a(x)
        x = self.pool2(x)
        x = self.mixed5b(x)
        x = self.mixed5c(x)
        x = self.mixed5d(x)
        x = self.mixed6a(x)
        x = self.mixed6b(x)
        x = self.mixed6c(x)
        x = self.mixed6d(x)
        mixed6e = self.mixed6e(x)
        x = self.mixed7a(mixed6e)
        x = self.mixed7b(x)
        x = self.mixed7c(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.dropout(x)
        x = self.flatten(x)
        x = self.fc(x)
        if self.training:
            aux = self.aux(mixed6e)
            return InceptionV3Output(x, aux)
        return x
