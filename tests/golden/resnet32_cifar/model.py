"""ResNet-32 for CIFAR-10 in PyTorch, compiled by netspec from `resnet32_cifar`."""

from collections import OrderedDict

from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ConvBn(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels, width, 3, stride=stride, padding=1, bias=False
        )
        self.batch_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.batch_norm(self.conv2d(x))


class Basic(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
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
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


class Resnet32Cifar(nn.Module):
    """ResNet-32 for CIFAR-10.

    He, Zhang, Ren & Sun 2015, arXiv:1512.03385, section 4.2

    image (N, 3, 32, 32) -> logits (N, classes)
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = ConvBn(3, 16)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(*(Basic(16, 16) for _ in range(5)))
        self.layer2 = nn.Sequential(
            Basic(16, 32, stride=2), *(Basic(32, 32) for _ in range(4))
        )
        self.layer3 = nn.Sequential(
            Basic(32, 64, stride=2), *(Basic(64, 64) for _ in range(4))
        )
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, classes)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = self.relu(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        return self.fc(x)
