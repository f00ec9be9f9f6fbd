#!/usr/bin/python3
"""The peer of `cutoutd bench`: the same network in PyTorch, timed the same way.

    /usr/bin/python3 torch_peer.py --batch 64 --threads 2 --seconds 5

Prints one line of JSON: training and evaluation images a second, medians over steps. Channels-last,
oneDNN on; tools/bench-vs-pytorch sets the allocator's variables that make it fastest. A step is
forward, cross-entropy, backward and Adam; no augmentation and no L2, which ours pays for as well.
Needs Debian's python3-torch.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class Conv(nn.Conv2d):
    """Keras' `same` padding: an even side and stride 2 pad at the right and at the bottom."""

    def __init__(self, ic, oc, k, stride):
        super().__init__(ic, oc, k, stride, padding=1 if k == 3 and stride == 1 else 0)
        self.pads_end = k == 3 and stride == 2

    def forward(self, x):
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.pads_end else x)


class Block(nn.Module):
    def __init__(self, ic, oc, stride):
        super().__init__()
        self.conv1, self.conv2 = Conv(ic, oc, 3, stride), Conv(oc, oc, 3, 1)
        self.bn1 = nn.BatchNorm2d(oc, eps=1e-3, momentum=0.01)
        self.bn2 = nn.BatchNorm2d(oc, eps=1e-3, momentum=0.01)
        self.shortcut = Conv(ic, oc, 1, 2) if stride == 2 else nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        n = (depth - 2) // 6
        self.stem, self.bn = Conv(3, 16, 3, 1), nn.BatchNorm2d(16, eps=1e-3, momentum=0.01)
        blocks = [Block(16 << max(stage - (i == 0), 0), 16 << stage, 2 if stage and i == 0 else 1)
                  for stage in range(3) for i in range(n)]
        self.blocks, self.dense = nn.Sequential(*blocks), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)), inplace=True)
        return self.dense(self.blocks(x).mean((2, 3)))


def median_time(step, seconds, warm_up=2):
    for _ in range(warm_up):
        step()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=44)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = ResNet(args.depth).to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in net.parameters())
    assert args.depth != 44 or parameters == 662826, parameters
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def batch_of(n):
        images = torch.randn(n, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        return images, torch.randint(0, 10, (n,))

    images, labels = batch_of(args.batch)

    def train():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()

    train_s = median_time(train, args.seconds)
    net.eval()
    images, _ = batch_of(256)

    def evaluate():
        with torch.no_grad():
            net(images)

    eval_s = median_time(evaluate, args.seconds / 4)
    print(json.dumps({"images_per_second": args.batch / train_s,
                      "eval_images_per_second": 256 / eval_s}))


if __name__ == "__main__":
    main()
