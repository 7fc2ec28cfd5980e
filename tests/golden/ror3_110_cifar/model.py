"""RoR-3-110 for CIFAR-10 in PyTorch, compiled by netspec from `ror3_110_cifar`."""

from collections import OrderedDict

from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ConvBn(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self, in_channels: int, width: int, kernel: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels, width, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.batch_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.batch_norm(self.conv2d(x))


class Basic(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, last: bool = False
    ) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            OrderedDict(
                conv_bn=ConvBn(in_channels, width, stride=stride),
                relu=nn.ReLU(),
                conv_bn_2=ConvBn(width, width),
            )
        )
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.add_module("avg_pool2d", nn.AvgPool2d(1, stride=stride))
        if in_channels != width:
            self.shortcut.add_module(
                "pad",
                nn.ZeroPad3d(
                    (0, 0, 0, 0, (width - in_channels) // 2, (width - in_channels) // 2)
                ),
            )
        self.relu = nn.ReLU() if not last else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


class Stage(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, last: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            Basic(in_channels, width, stride=stride),
            *(Basic(width, width) for _ in range(16)),
            Basic(width, width, last=True),
        )
        self.shortcut = (
            ConvBn(in_channels, width, kernel=1, stride=stride)
            if stride != 1 or in_channels != width
            else nn.Identity()
        )
        self.relu = nn.ReLU() if not last else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.blocks(x) + self.shortcut(x))


class Ror3110Cifar(nn.Module):
    """RoR-3-110 for CIFAR-10.

    Zhang, Sun, Han, Yuan, Guo & Liu 2016, arXiv:1608.02908, section III: residual
    networks of residual networks

    image (N, 3, 32, 32) -> logits (N, classes)
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = ConvBn(3, 16)
        self.entering = nn.ReLU()
        self.stage1 = Stage(16, 16)
        self.stage2 = Stage(16, 32, stride=2)
        self.stage3 = Stage(32, 64, stride=2, last=True)
        self.shortcut = ConvBn(16, 64, kernel=1, stride=4)
        self.relu = nn.ReLU()
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, classes)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        entering = self.entering(x)
        x = self.stage1(entering)
        x = self.stage2(x)
        x = self.stage3(x) + self.shortcut(entering)
        x = self.relu(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        return self.fc(x)
