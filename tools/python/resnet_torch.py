"""The network as a PyTorch module, for what tools/convert has written (OUT.pt)."""

import torch
import torch.nn.functional as F
from torch import nn

BN = {"eps": 1e-3, "momentum": 0.01}


def conv3x3(width_in, width, stride=1):
    """Stride 2 pads as Keras does: nothing at the top and the left, 1 at the bottom and the right."""
    return nn.Conv2d(width_in, width, 3, stride, padding=1 if stride == 1 else 0)


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.stride = stride
        self.conv1 = conv3x3(width_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width, **BN)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width, **BN)
        self.shortcut = nn.Conv2d(width_in, width, 1, stride) if stride == 2 else nn.Identity()

    def forward(self, x):
        y = self.conv1(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)
        y = self.bn2(self.conv2(F.relu(self.bn1(y))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet v1 of depth 6n+2 for [n][3][32][32] images."""

    def __init__(self, depth, n_classes):
        super().__init__()
        self.conv1 = conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16, **BN)
        width_in = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(Block(width_in, width, 2 if stage > 1 and block == 0 else 1))
                width_in = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, n_classes)

    @classmethod
    def of(cls, state):
        """A network of the form that a state dict has."""
        depth = 6 * sum(name.startswith("layer1.") and name.endswith(".conv1.weight")
                        for name in state) + 2
        return cls(depth, len(state["linear.bias"]))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def load(path):
    """The network of a file of tools/convert, ready for images."""
    state = torch.load(path)
    network = ResNet.of(state)
    network.load_state_dict(state)
    return network.eval()
