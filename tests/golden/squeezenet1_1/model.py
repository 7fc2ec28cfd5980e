"""SqueezeNet 1.1 in PyTorch, compiled by netspec from `squeezenet1_1`."""

import torch
from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class Fire(nn.Module):
    """Maps (N, in_channels, H, W) to (N, e1x1 + e3x3, H, W)."""

    def __init__(self, in_channels: int, s1x1: int, e1x1: int, e3x3: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, s1x1, 1)
        self.squeezed = nn.ReLU()
        self.expand1x1 = nn.Conv2d(s1x1, e1x1, 1)
        self.expanded1x1 = nn.ReLU()
        self.expand3x3 = nn.Conv2d(s1x1, e3x3, 3, padding=1)
        self.expanded3x3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        x = self.squeezed(x)
        out = self.expand1x1(x)
        out = self.expanded1x1(out)
        x = self.expand3x3(x)
        return torch.cat([out, self.expanded3x3(x)], dim=1)


class Squeezenet11(nn.Module):
    """SqueezeNet 1.1.

    Iandola, Han, Moskewicz, Ashraf, Dally & Keutzer 2016, arXiv:1602.07360; the
    authors' release 1.1

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2)
        self.relu = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fire2 = Fire(64, 16, 64, 64)
        self.fire3 = Fire(128, 16, 64, 64)
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fire4 = Fire(128, 32, 128, 128)
        self.fire5 = Fire(256, 32, 128, 128)
        self.pool5 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fire6 = Fire(256, 48, 192, 192)
        self.fire7 = Fire(384, 48, 192, 192)
        self.fire8 = Fire(384, 64, 256, 256)
        self.fire9 = Fire(512, 64, 256, 256)
        self.dropout = nn.Dropout()
        self.conv10 = nn.Conv2d(512, classes, 1)
        self.relu_2 = nn.ReLU()
        self.pool10 = nn.AdaptiveAvgPool2d(1)
        self.scores = nn.Flatten()
        self.apply(init_weights)
        nn.init.normal_(self.conv10.weight, std=0.01)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image)
        x = self.relu(x)
        x = self.pool1(x)
        x = self.fire2(x)
        x = self.fire3(x)
        x = self.pool3(x)
        x = self.fire4(x)
        x = self.fire5(x)
        x = self.pool5(x)
        x = self.fire6(x)
        x = self.fire7(x)
        x = self.fire8(x)
        x = self.fire9(x)
        x = self.dropout(x)
        x = self.conv10(x)
        x = self.relu_2(x)
        x = self.pool10(x)
        return self.scores(x)
