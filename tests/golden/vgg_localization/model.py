"""VGG-16 for localisation (configuration D) in PyTorch, compiled by netspec from
`vgg_localization`.
"""

from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class Conv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H, W)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, width, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2d(x))


class VggLocalization(nn.Module):
    """VGG-16 for localisation (configuration D).

    Simonyan & Zisserman 2014, arXiv:1409.1556, appendix A

    image (N, 3, 224, 224) -> boxes (N, 1000, 4)
    """

    def __init__(self, classes: int = 1000, per_class: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(Conv(3, 64), Conv(64, 64))
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Sequential(Conv(64, 128), Conv(128, 128))
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Sequential(Conv(128, 256), *(Conv(256, 256) for _ in range(2)))
        self.pool3 = nn.MaxPool2d(2)
        self.conv4 = nn.Sequential(Conv(256, 512), *(Conv(512, 512) for _ in range(2)))
        self.pool4 = nn.MaxPool2d(2)
        self.conv5 = nn.Sequential(*(Conv(512, 512) for _ in range(3)))
        self.pool5 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(25088, 4096)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout()
        self.fc7 = nn.Linear(4096, 4096)
        self.relu_2 = nn.ReLU()
        self.dropout_2 = nn.Dropout()
        self.fc8 = nn.Linear(4096, 4 * classes if per_class else 4)
        self.boxes = nn.Unflatten(1, (-1, 4))
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image)
        x = self.pool1(x)
        x = self.conv2(x)
        x = self.pool2(x)
        x = self.conv3(x)
        x = self.pool3(x)
        x = self.conv4(x)
        x = self.pool4(x)
        x = self.conv5(x)
        x = self.pool5(x)
        x = self.flatten(x)
        x = self.fc6(x)
        x = self.relu(x)
        x = self.dropout(x)
        x = self.fc7(x)
        x = self.relu_2(x)
        x = self.dropout_2(x)
        x = self.fc8(x)
        return self.boxes(x)
