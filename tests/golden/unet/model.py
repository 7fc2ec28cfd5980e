"""U-Net in PyTorch, compiled by netspec from `unet`."""

import torch
from torch import Tensor, nn


def center_crop(x: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as large as another one."""
    height, width = like.shape[-2:]
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)


class DoubleConv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H_out, W_out)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3)
        self.relu_2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu_2(self.conv2(self.relu(self.conv1(x))))


class Up(nn.Module):
    """Maps (N, below_channels, H, W) and (N, left_channels, H2, W2) to
    (N, width, H_out, W_out).
    """

    def __init__(self, below_channels: int, left_channels: int, width: int) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose2d(below_channels, width, 2, stride=2)
        self.double_conv = DoubleConv(left_channels + width, width)

    def forward(self, below: Tensor, left: Tensor) -> Tensor:
        x = self.up_conv(below)
        out = center_crop(left, x)
        return self.double_conv(torch.cat([out, x], dim=1))


class Unet(nn.Module):
    """U-Net.

    Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, Figure 1

    image (N, 1, 572, 572) -> logits (N, classes, 388, 388)
    """

    def __init__(self, classes: int = 2, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.down1 = DoubleConv(1, width)
        self.pool1 = nn.MaxPool2d(2)
        self.down2 = DoubleConv(width, 2 * width)
        self.pool2 = nn.MaxPool2d(2)
        self.down3 = DoubleConv(2 * width, 4 * width)
        self.pool3 = nn.MaxPool2d(2)
        self.down4 = DoubleConv(4 * width, 8 * width)
        self.dropout4 = nn.Dropout(p=dropout)
        self.pool4 = nn.MaxPool2d(2)
        self.bottom = DoubleConv(8 * width, 16 * width)
        self.dropout5 = nn.Dropout(p=dropout)
        self.up4 = Up(16 * width, 8 * width, 8 * width)
        self.up3 = Up(8 * width, 4 * width, 4 * width)
        self.up2 = Up(4 * width, 2 * width, 2 * width)
        self.up1 = Up(2 * width, width, width)
        self.scores = nn.Conv2d(width, classes, 1)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        down1 = self.down1(image)
        x = self.pool1(down1)
        down2 = self.down2(x)
        x = self.pool2(down2)
        down3 = self.down3(x)
        x = self.pool3(down3)
        x = self.down4(x)
        x = self.dropout4(x)
        out = self.pool4(x)
        out = self.bottom(out)
        out = self.dropout5(out)
        x = self.up4(out, x)
        x = self.up3(x, down3)
        x = self.up2(x, down2)
        x = self.up1(x, down1)
        return self.scores(x)
