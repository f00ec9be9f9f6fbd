"""The network as a PyTorch module, for what tools/convert has written (OUT.pt)."""

import torch
import torch.nn.functional as F
from torch import nn


def conv(width_in, width, size, stride, bias):
    """3x3 with stride 2 pads as Keras does, which forward does: nothing at the top and the left, 1 at
    the bottom and the right."""
    return nn.Conv2d(width_in, width, size, stride, bias=bias,
                     padding=1 if size == 3 and stride == 1 else 0)


class Block(nn.Module):
    def __init__(self, width_in, width, stride, bias, shortcut_bn):
        super().__init__()
        self.stride = stride
        self.conv1 = conv(width_in, width, 3, stride, bias)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, 1, bias)
        self.bn2 = nn.BatchNorm2d(width)
        reduces = stride == 2
        self.shortcut = conv(width_in, width, 1, 2, bias) if reduces else nn.Identity()
        self.shortcut_bn = nn.BatchNorm2d(width) if reduces and shortcut_bn else nn.Identity()

    def forward(self, x):
        y = self.conv1(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)
        y = self.bn2(self.conv2(F.relu(self.bn1(y))))
        return F.relu(y + self.shortcut_bn(self.shortcut(x)))


class ResNet(nn.Module):
    """ResNet v1 of depth 6n+2 for [n][3][32][32] images; bias and shortcut_bn as the run has them."""

    def __init__(self, depth, n_classes, bias=True, shortcut_bn=False, bn_epsilon=1e-3):
        super().__init__()
        self.conv1 = conv(3, 16, 3, 1, bias)
        self.bn1 = nn.BatchNorm2d(16)
        width_in = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = []
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(Block(width_in, width, stride, bias, shortcut_bn))
                width_in = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, n_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = bn_epsilon

    @classmethod
    def of(cls, state, bn_epsilon=1e-3):
        """A network of the form that a state dict has."""
        depth = 6 * sum(name.startswith("layer1.") and name.endswith(".conv1.weight")
                        for name in state) + 2
        return cls(depth, len(state["linear.bias"]), "conv1.bias" in state,
                   any("shortcut_bn" in name for name in state), bn_epsilon)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def load(path, bn_epsilon=1e-3):
    """The network of a file of tools/convert, ready for images."""
    state = torch.load(path)
    network = ResNet.of(state, bn_epsilon)
    network.load_state_dict(state)
    return network.eval()
