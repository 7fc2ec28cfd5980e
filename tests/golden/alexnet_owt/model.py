"""AlexNet, one tower in PyTorch, compiled by netspec from `alexnet_owt`."""

from torch import Tensor, nn


class Conv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H_out, W_out)."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(
            in_channels, width, kernel, stride=stride, padding=padding
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2d(x))


class AlexnetOwt(nn.Module):
    """AlexNet, one tower.

    Krizhevsky 2014, arXiv:1404.5997, as torchvision has it

    image (N, 3, 224, 224) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = Conv(3, 64, kernel=11, stride=4, padding=2)
        self.pool1 = nn.MaxPool2d(3, stride=2)
        self.conv2 = Conv(64, 192, kernel=5, padding=2)
        self.pool2 = nn.MaxPool2d(3, stride=2)
        self.conv3 = Conv(192, 384)
        self.conv4 = Conv(384, 256)
        self.conv5 = Conv(256, 256)
        self.pool5 = nn.MaxPool2d(3, stride=2)
        self.pool6 = nn.AdaptiveAvgPool2d(6)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(p=dropout)
        self.fc6 = nn.Linear(9216, 4096)
        self.relu = nn.ReLU()
        self.dropout_2 = nn.Dropout(p=dropout)
        self.fc7 = nn.Linear(4096, 4096)
        self.relu_2 = nn.ReLU()
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image)
        x = self.pool1(x)
        x = self.conv2(x)
        x = self.pool2(x)
        x = self.conv3(x)
        x = self.conv4(x)
        x = self.conv5(x)
        x = self.pool5(x)
        x = self.pool6(x)
        x = self.flatten(x)
        x = self.dropout(x)
        x = self.fc6(x)
        x = self.relu(x)
        x = self.dropout_2(x)
        x = self.fc7(x)
        x = self.relu_2(x)
        return self.fc8(x)
