"""EfficientNet-Lite0 in PyTorch, compiled by netspec from `efficientnet_lite0`."""

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
        self.pad = (
            nn.ZeroPad2d((kernel // 2 - 1, kernel // 2, kernel // 2 - 1, kernel // 2))
            if stride == 2
            else nn.Identity()
        )
        self.conv2d = nn.Conv2d(
            in_channels,
            width,
            kernel,
            stride=stride,
            padding=0 if stride == 2 else kernel // 2,
            groups=groups,
            bias=False,
        )
        self.batch_norm = nn.BatchNorm2d(width, eps=0.001, momentum=0.01)
        self.relu6 = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu6(self.batch_norm(self.conv2d(self.pad(x))))


class Mbconv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        number: int,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 6,
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
            kernel=kernel,
            stride=stride,
            groups=expansion * in_channels,
        )
        self.project = nn.Conv2d(expansion * in_channels, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width, eps=0.001, momentum=0.01)
        self.stochastic_depth = (
            StochasticDepth(0.2 * number / 16)
            if stride == 1 and in_channels == width
            else nn.Identity()
        )
        self.with_add = stride == 1 and in_channels == width

    def forward(self, x: Tensor) -> Tensor:
        out = self.expand(x)
        out = self.depthwise(out)
        out = self.project(out)
        out = self.norm(out)
        out = self.stochastic_depth(out)
        if self.with_add:
            out = out + x
        return out


class EfficientnetLite0(nn.Module):
    """EfficientNet-Lite0.

    tensorflow/tpu, models/official/efficientnet/lite, 2020, after Tan & Le 2019,
    arXiv:1905.11946, Table 1

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = Conv(3, 32, kernel=3, stride=2)
        self.stage1 = Mbconv(32, 16, 0, expansion=1)
        self.stage2 = nn.Sequential(Mbconv(16, 24, 1, stride=2), Mbconv(24, 24, 2))
        self.stage3 = nn.Sequential(
            Mbconv(24, 40, 3, kernel=5, stride=2), Mbconv(40, 40, 4, kernel=5)
        )
        self.stage4 = nn.Sequential(
            Mbconv(40, 80, 5, stride=2), Mbconv(80, 80, 6), Mbconv(80, 80, 7)
        )
        self.stage5 = nn.Sequential(
            Mbconv(80, 112, 8, kernel=5),
            Mbconv(112, 112, 9, kernel=5),
            Mbconv(112, 112, 10, kernel=5),
        )
        self.stage6 = nn.Sequential(
            Mbconv(112, 192, 11, kernel=5, stride=2),
            Mbconv(192, 192, 12, kernel=5),
            Mbconv(192, 192, 13, kernel=5),
            Mbconv(192, 192, 14, kernel=5),
        )
        self.stage7 = Mbconv(192, 320, 15)
        self.head = Conv(320, 1280)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1280, classes)
        self.apply(init_weights)
        nn.init.kaiming_uniform_(self.fc.weight, mode="fan_out", a=2.23606797749979)
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
