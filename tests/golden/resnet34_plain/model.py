"""34-layer plain network in PyTorch, compiled by netspec from `resnet34_plain`."""

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

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv_bn = ConvBn(in_channels, width, stride=stride)
        self.relu = nn.ReLU()
        self.conv_bn_2 = ConvBn(width, width)
        self.relu_2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu_2(self.conv_bn_2(self.relu(self.conv_bn(x))))


class Resnet34Plain(nn.Module):
    """34-layer plain network.

    He, Zhang, Ren & Sun 2015, arXiv:1512.03385, Figure 3, middle

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvBn(3, 64, kernel=7, stride=2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(*(Basic(64, 64) for _ in range(3)))
        self.layer2 = nn.Sequential(
            Basic(64, 128, stride=2), *(Basic(128, 128) for _ in range(3))
        )
        self.layer3 = nn.Sequential(
            Basic(128, 256, stride=2), *(Basic(256, 256) for _ in range(5))
        )
        self.layer4 = nn.Sequential(
            Basic(256, 512, stride=2), *(Basic(512, 512) for _ in range(2))
        )
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, classes)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = self.relu(x)
        x = self.pool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        return self.fc(x)
