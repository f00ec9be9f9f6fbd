#!/usr/bin/python3
"""read_checkpoint.py FILE.safetensors CIFAR_DIR N_TRAIN: validates a checkpoint without cutoutd.

Rebuilds the network from the tensors of the file with nothing but numpy, and prints how many images of
CIFAR_DIR/test_batch.bin it gets wrong, of how many, and the mean cross entropy. N_TRAIN: images of data_batch_1.bin in the mean image
that is subtracted (0: all).
"""

import json
import struct
import sys

import numpy as np

BN_EPSILON = 1e-3


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return tensors


def read_images(path):
    rows = np.fromfile(path, np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, 0]


class Network:
    """ResNet v1 as the names of the tensors count it: conv2d, conv2d_1, ..., dense."""

    def __init__(self, tensors):
        self.tensors = tensors
        self.n_convs = sum(name.startswith("conv2d") and name.endswith("/kernel") for name in tensors)
        self.conv_index = self.bn_index = 0

    def layer(self, name, index):
        prefix = f"{name}_{index}/" if index else f"{name}/"
        return {key[len(prefix):]: value for key, value in self.tensors.items()
                if key.startswith(prefix)}

    def conv(self, x, stride):
        layer = self.layer("conv2d", self.conv_index)
        self.conv_index += 1
        kernel = layer["kernel"]  # (3, 3, in, out) or (1, 1, in, out)
        size, side = kernel.shape[0], x.shape[1]
        if size == 3:  # "same": an even side and stride 2 need padding at the end only
            x = np.pad(x, ((0, 0), (2 - stride, 1), (2 - stride, 1), (0, 0)))
        out = sum(x[:, i:i + side:stride, j:j + side:stride] @ kernel[i, j]
                  for i in range(size) for j in range(size))
        return out + layer["bias"]

    def bn(self, x):
        layer = self.layer("batch_normalization", self.bn_index)
        self.bn_index += 1
        scale = layer["gamma"] / np.sqrt(layer["moving_variance"] + BN_EPSILON)
        return (x - layer["moving_mean"]) * scale + layer["beta"]

    def logits(self, x):
        # The stem, two convolutions a block, and a shortcut in the first blocks of stages 2 and 3.
        blocks_per_stage = (self.n_convs - 3) // 6
        x = np.maximum(self.bn(self.conv(x, 1)), 0)
        for stage in range(3):
            for block in range(blocks_per_stage):
                reduces = stage > 0 and block == 0
                y = np.maximum(self.bn(self.conv(x, 2 if reduces else 1)), 0)
                y = self.bn(self.conv(y, 1))
                x = np.maximum(y + (self.conv(x, 2) if reduces else x), 0)
        assert self.conv_index == self.n_convs, "the file is no ResNet of this kind"
        dense = self.layer("dense", 0)
        return x.mean(axis=(1, 2)) @ dense["kernel"] + dense["bias"]


def main():
    path, directory, n_train = sys.argv[1], sys.argv[2], int(sys.argv[3])
    train, _ = read_images(directory + "/data_batch_1.bin")
    images, labels = read_images(directory + "/test_batch.bin")
    mean = train[:n_train or None].mean(axis=0) / 255
    inputs = (images / 255 - mean).astype(np.float32)
    logits = Network(read_safetensors(path)).logits(inputs).astype(np.float64)
    wrong = np.argmax(logits, axis=1) != labels
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]
    print(int(wrong.sum()), len(labels), losses.mean())


if __name__ == "__main__":
    main()
