#!/usr/bin/python3
"""How far float32 gradients of ResNet-44 are from the true ones: ours and PyTorch's.

    /usr/bin/python3 gradient_error.py GRADIENT_DUMP [--images 64] [--seeds 3]

GRADIENT_DUMP is the built tests/gradient_dump. For each seed it makes a network, a batch of noise and
a gradient with every variant; PyTorch makes the same gradient in double (the truth) and in float32 (the
peer, oneDNN on). Printed: the relative L2 distance of the whole gradient from the truth.
Needs Debian's python3-torch.
"""
import argparse
import json
import statistics
import struct
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

VARIANTS = [("ref", "direct"), ("blas", "direct"), ("avx2", "direct"), ("avx2", "winograd"),
            ("avx512", "direct"), ("avx512", "winograd")]


def read_safetensors(path):
    with open(path, "rb") as file:
        content = file.read()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__", None)
    data = memoryview(content)[8 + size:]
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32)
            .reshape(entry["shape"]) for name, entry in header.items()}


def torch_gradient(dump, dtype):
    values = {name[6:]: torch.tensor(array.copy(), dtype=dtype, requires_grad=True)
              for name, array in dump.items() if name.startswith("value/")}
    convs = iter(range(100))
    bns = iter(range(100))

    def layer(base, number):
        return base if number == 0 else f"{base}_{number}"

    def conv(x, stride):
        name = layer("conv2d", next(convs))
        kernel = values[f"{name}/kernel"]
        if kernel.shape[0] == 3:
            x = F.pad(x, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))
        return F.conv2d(x, kernel.permute(3, 2, 0, 1), values[f"{name}/bias"], stride)

    def bn(x):
        name = layer("batch_normalization", next(bns))
        return F.batch_norm(x, None, None, values[f"{name}/gamma"], values[f"{name}/beta"], True,
                            0.0, 1e-3)

    x = torch.tensor(dump["images"][..., :3].copy(), dtype=dtype).permute(0, 3, 1, 2)
    x = F.relu(bn(conv(x, 1)))
    for stage in range(3):
        for i in range(7):
            stride = 2 if stage and i == 0 else 1
            y = F.relu(bn(conv(x, stride)))
            y = bn(conv(y, 1))
            x = F.relu(y + (conv(x, 2) if stride == 2 else x))
    logits = x.mean((2, 3)) @ values["dense/kernel"] + values["dense/bias"]
    labels = torch.tensor(dump["labels"].astype(np.int64))
    F.cross_entropy(logits, labels).backward()
    return {name: value.grad.double().numpy() for name, value in values.items()}


def distance(gradient, truth):
    """Biases in front of a batch normalisation have no gradient; PyTorch's are rounding noise."""
    names = [name for name in truth if np.linalg.norm(truth[name]) > 1e-12]
    difference = sum(np.sum((gradient[name].astype(np.float64) - truth[name])**2) for name in names)
    return float(np.sqrt(difference / sum(np.sum(truth[name]**2) for name in names)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradient_dump")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    results = {}
    for seed in range(1, args.seeds + 1):
        truth = None
        for variant, algorithm in VARIANTS:
            with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
                made = subprocess.run([args.gradient_dump, file.name, variant, algorithm,
                                       str(args.images), str(seed)], stderr=subprocess.DEVNULL)
                if made.returncode != 0:
                    continue  # this processor lacks the variant
                dump = read_safetensors(file.name)
            if truth is None:
                truth = torch_gradient(dump, torch.float64)
                results.setdefault("PyTorch float32", []).append(
                    distance(torch_gradient(dump, torch.float32), truth))
            ours = {name[9:]: array for name, array in dump.items() if name.startswith("gradient/")}
            results.setdefault(f"{variant} {algorithm}", []).append(distance(ours, truth))
    for name, values in results.items():
        print(f"{name:18s} median {statistics.median(values):.2e}   "
              + " ".join(f"{value:.2e}" for value in values))


if __name__ == "__main__":
    main()
