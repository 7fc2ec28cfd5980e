"""MobileNetV3-Large in PyTorch, compiled by netspec from `mobilenet_v3_large`."""

from collections import OrderedDict

from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


class ConvBn(nn.Module):
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
        self.batch_norm = nn.BatchNorm2d(width, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.batch_norm(self.conv2d(x))


class SqueezeExcitation(nn.Module):
    """Maps (N, in_channels, H, W) to (N, in_channels, H, W)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            OrderedDict(
                adaptive_avg_pool2d=nn.AdaptiveAvgPool2d(1),
                fc1=nn.Conv2d(in_channels, width, 1),
                relu=nn.ReLU(),
                fc2=nn.Conv2d(width, in_channels, 1),
                hardsigmoid=nn.Hardsigmoid(),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(x) * x


class BneckRe(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        exp: int,
        kernel: int = 3,
        squeeze: int = 0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.expand = ConvBn(in_channels, exp) if exp != in_channels else nn.Identity()
        self.expand_relu = nn.ReLU() if exp != in_channels else nn.Identity()
        self.depthwise = ConvBn(exp, exp, kernel=kernel, stride=stride, groups=exp)
        self.relu = nn.ReLU()
        self.se = SqueezeExcitation(exp, squeeze) if squeeze > 0 else nn.Identity()
        self.project = ConvBn(exp, width)
        self.with_add = stride == 1 and in_channels == width

    def forward(self, x: Tensor) -> Tensor:
        out = self.expand(x)
        out = self.expand_relu(out)
        out = self.depthwise(out)
        out = self.relu(out)
        out = self.se(out)
        out = self.project(out)
        if self.with_add:
            out = out + x
        return out


class BneckHs(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        exp: int,
        kernel: int = 3,
        squeeze: int = 0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.expand = ConvBn(in_channels, exp)
        self.expand_hardswish = nn.Hardswish()
        self.depthwise = ConvBn(exp, exp, kernel=kernel, stride=stride, groups=exp)
        self.hardswish = nn.Hardswish()
        self.se = SqueezeExcitation(exp, squeeze) if squeeze > 0 else nn.Identity()
        self.project = ConvBn(exp, width)
        self.with_add = stride == 1 and in_channels == width

    def forward(self, x: Tensor) -> Tensor:
        out = self.expand(x)
        out = self.expand_hardswish(out)
        out = self.depthwise(out)
        out = self.hardswish(out)
        out = self.se(out)
        out = self.project(out)
        if self.with_add:
            out = out + x
        return out


class MobilenetV3Large(nn.Module):
    """MobileNetV3-Large.

    Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le & Adam
    2019, arXiv:1905.02244, Table 1

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = ConvBn(3, 16, kernel=3, stride=2)
        self.hardswish = nn.Hardswish()
        self.bneck1 = BneckRe(16, 16, 16)
        self.bneck2 = BneckRe(16, 24, 64, stride=2)
        self.bneck3 = BneckRe(24, 24, 72)
        self.bneck4 = BneckRe(24, 40, 72, kernel=5, squeeze=24, stride=2)
        self.bneck5 = BneckRe(40, 40, 120, kernel=5, squeeze=32)
        self.bneck6 = BneckRe(40, 40, 120, kernel=5, squeeze=32)
        self.bneck7 = BneckHs(40, 80, 240, stride=2)
        self.bneck8 = BneckHs(80, 80, 200)
        self.bneck9 = BneckHs(80, 80, 184)
        self.bneck10 = BneckHs(80, 80, 184)
        self.bneck11 = BneckHs(80, 112, 480, squeeze=120)
        self.bneck12 = BneckHs(112, 112, 672, squeeze=168)
        self.bneck13 = BneckHs(112, 160, 672, kernel=5, squeeze=168, stride=2)
        self.bneck14 = BneckHs(160, 160, 960, kernel=5, squeeze=240)
        self.bneck15 = BneckHs(160, 160, 960, kernel=5, squeeze=240)
        self.head = ConvBn(160, 960)
        self.head_hardswish = nn.Hardswish()
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(960, 1280)
        self.hardswish_2 = nn.Hardswish()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1280, classes)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = self.hardswish(x)
        x = self.bneck1(x)
        x = self.bneck2(x)
        x = self.bneck3(x)
        x = self.bneck4(x)
        x = self.bneck5(x)
        x = self.bneck6(x)
        x = self.bneck7(x)
        x = self.bneck8(x)
        x = self.bneck9(x)
        x = self.bneck10(x)
        x = self.bneck11(x)
        x = self.bneck12(x)
        x = self.bneck13(x)
        x = self.bneck14(x)
        x = self.bneck15(x)
        x = self.head(x)
        x = self.head_hardswish(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        x = self.fc1(x)
        x = self.hardswish_2(x)
        x = self.dropout(x)
        return self.fc2(x)
