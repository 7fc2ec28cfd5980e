"""MobileNetV2 in PyTorch, compiled by netspec from `mobilenet_v2`."""

from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")


class Conv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels,
            width,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
        self.batch_norm = nn.BatchNorm2d(width)
        self.relu6 = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu6(self.batch_norm(self.conv2d(x)))


class InvertedResidual(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, expansion: int = 6
    ) -> None:
        super().__init__()
        self.expand = (
            Conv(in_channels, expansion * in_channels)
            if expansion != 1
            else nn.Identity()
        )
        self.depthwise = Conv(
            expansion * in_channels,
            expansion * in_channels,
            kernel=3,
            stride=stride,
            groups=expansion * in_channels,
        )
        self.project = nn.Conv2d(expansion * in_channels, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.with_add = stride == 1 and in_channels == width

    def forward(self, x: Tensor) -> Tensor:
        out = self.expand(x)
        out = self.depthwise(out)
        out = self.project(out)
        out = self.norm(out)
        if self.with_add:
            out = out + x
        return out


class MobilenetV2(nn.Module):
    """MobileNetV2.

    Sandler, Howard, Zhu, Zhmoginov & Chen 2018, arXiv:1801.04381, Table 2

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = Conv(3, 32, kernel=3, stride=2)
        self.stage1 = InvertedResidual(32, 16, expansion=1)
        self.stage2 = nn.Sequential(
            InvertedResidual(16, 24, stride=2), InvertedResidual(24, 24)
        )
        self.stage3 = nn.Sequential(
            InvertedResidual(24, 32, stride=2),
            *(InvertedResidual(32, 32) for _ in range(2)),
        )
        self.stage4 = nn.Sequential(
            InvertedResidual(32, 64, stride=2),
            *(InvertedResidual(64, 64) for _ in range(3)),
        )
        self.stage5 = nn.Sequential(
            InvertedResidual(64, 96), *(InvertedResidual(96, 96) for _ in range(2))
        )
        self.stage6 = nn.Sequential(
            InvertedResidual(96, 160, stride=2),
            *(InvertedResidual(160, 160) for _ in range(2)),
        )
        self.stage7 = InvertedResidual(160, 320)
        self.head = Conv(320, 1280)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1280, classes)
        self.apply(init_weights)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = self.stage1(x)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.stage5(x)
        x = self.stage6(x)
        x = self.stage7(x)
        x = self.head(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        x = self.dropout(x)
        return self.fc(x)
