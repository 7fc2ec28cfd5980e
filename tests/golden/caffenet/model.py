"""CaffeNet in PyTorch, compiled by netspec from `caffenet`."""

from torch import Tensor, nn


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.ones_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.005)
        nn.init.ones_(module.bias)


class Caffenet(nn.Module):
    """CaffeNet.

    Jia et al. 2014, arXiv:1408.5093; BVLC/caffe, models/bvlc_reference_caffenet

    image (N, 3, 227, 227) -> logits (N, classes)
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.relu = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.local_response_norm = nn.LocalResponseNorm(5)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.relu_2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.local_response_norm_2 = nn.LocalResponseNorm(5)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.relu_3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.relu_4 = nn.ReLU()
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.relu_5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.flat5 = nn.Flatten()
        self.fc6 = nn.Linear(9216, 4096)
        self.relu6 = nn.ReLU()
        self.dropout = nn.Dropout()
        self.fc7 = nn.Linear(4096, 4096)
        self.relu7 = nn.ReLU()
        self.dropout_2 = nn.Dropout()
        self.fc8 = nn.Linear(4096, classes)
        self.apply(init_weights)
        for layer in (self.conv1, self.conv3, self.fc8):
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.fc8.weight, std=0.01)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image)
        x = self.relu(x)
        x = self.pool1(x)
        x = self.local_response_norm(x)
        x = self.conv2(x)
        x = self.relu_2(x)
        x = self.pool2(x)
        x = self.local_response_norm_2(x)
        x = self.conv3(x)
        x = self.relu_3(x)
        x = self.conv4(x)
        x = self.relu_4(x)
        x = self.conv5(x)
        x = self.relu_5(x)
        x = self.pool5(x)
        x = self.flat5(x)
        x = self.fc6(x)
        x = self.relu6(x)
        x = self.dropout(x)
        x = self.fc7(x)
        x = self.relu7(x)
        x = self.dropout_2(x)
        return self.fc8(x)
