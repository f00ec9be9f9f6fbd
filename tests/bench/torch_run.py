#!/usr/bin/python3
"""One `notebook-q3` run in PyTorch, to see whether ours learns as fast, epoch by epoch.

    /usr/bin/python3 torch_run.py CIFAR10_DIR --m 2 --cutout-size 12 --epochs 2 [--seed 1]

The same network, starting values, data, normalisation, cutout, optimizer and metrics as a run of
cutoutd; only the random numbers differ, so histories agree as two seeds do. Prints the columns of
epochs.csv that mean the same. Needs Debian's python3-torch.
"""
import argparse
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from torch_peer import Conv, ResNet

L2 = 1e-4


def read(path):
    rows = np.fromfile(path, np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32), torch.tensor(rows[:, 0].astype(np.int64))


def keras_start(net):
    """He-normal, truncated at two sigma; zero biases. Those in front of a BN are left out."""
    for module in net.modules():
        if isinstance(module, (Conv, nn.Linear)):
            sigma = (2 / module.weight[0].numel())**0.5 / 0.87962566103423978
            nn.init.trunc_normal_(module.weight, 0, sigma, -2 * sigma, 2 * sigma)
            nn.init.zeros_(module.bias)
    for name, parameter in net.named_parameters():
        if name.endswith(("conv1.bias", "conv2.bias", "stem.bias")):
            parameter.requires_grad_(False)


def cut_out(images, size, generator):
    if size == 0:
        return images
    n = images.shape[0]
    centres = torch.randint(0, 32, (2, n, 1), generator=generator)
    line = torch.arange(32)
    inside = (line >= centres - size // 2) & (line < centres - size // 2 + 2 * (size // 2))
    mask = ~(inside[0][:, :, None] & inside[1][:, None, :])
    return images * mask[:, None].to(images.dtype)


def penalty(net):
    return L2 * sum((m.weight**2).sum() for m in net.modules() if isinstance(m, Conv))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--m", type=int, default=1)
    parser.add_argument("--cutout-size", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--depth", type=int, default=44)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)

    train_bytes, train_labels = read(args.directory / "data_batch_1.bin")
    test_bytes, test_labels = read(args.directory / "test_batch.bin")
    mean = torch.tensor(train_bytes.mean(0, dtype=np.float64) / 255).float()
    train = torch.tensor(train_bytes).float() / 255 - mean
    test = torch.tensor(test_bytes).float() / 255 - mean

    net = ResNet(args.depth)
    keras_start(net)
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop([p for p in net.parameters() if p.requires_grad], lr=1e-3,
                                    alpha=0.9, eps=1e-7)
    print("epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_error,seconds")
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        net.train()
        order = torch.randperm(len(train), generator=generator)
        loss_sum, correct, images = 0.0, 0, 0
        for step in range(len(train) // 64):
            chosen = order[step * 64:(step + 1) * 64].repeat_interleave(args.m)
            batch = cut_out(train[chosen], args.cutout_size, generator)
            logits = net(batch.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, train_labels[chosen]) + penalty(net)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(chosen)
            correct += (logits.argmax(1) == train_labels[chosen]).sum().item()
            images += len(chosen)
        net.eval()
        with torch.no_grad():
            logits = torch.cat([net(part.contiguous(memory_format=torch.channels_last))
                                for part in test.split(250)])
            val_loss = (F.cross_entropy(logits, test_labels) + penalty(net)).item()
        accuracy = (logits.argmax(1) == test_labels).float().mean().item()
        print(f"{epoch},{loss_sum / images:.4f},{correct / images:.4f},{val_loss:.4f},"
              f"{accuracy:.4f},{1 - accuracy:.4f},{time.perf_counter() - start:.1f}", flush=True)


if __name__ == "__main__":
    main()
