#!/usr/bin/python3
"""Makes the reference values for the training engine with PyTorch in double precision.

    /usr/bin/python3 make_golden.py           writes the *.safetensors beside this file
    /usr/bin/python3 make_golden.py --check   compares them byte for byte with a fresh computation

Needs Debian's python3-torch. README.md beside this file says what is in the files and defines the
generator that the C tests repeat. Nothing here is shared with the C code: the network, the gradient
(autograd) and the optimizers are written a second time from the description of the experiment.
"""

import os

# The same bits on every x86-64: no instruction set beyond the baseline, one thread. Before torch.
os.environ.update(
    ATEN_CPU_CAPABILITY="default", OPENBLAS_CORETYPE="Prescott", OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1")

import json
import math
import pathlib
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
L2 = 1e-4
BN_EPSILON = 1e-3
BN_MOMENTUM = 0.99
N_STEPS = 10
CLIP = 3.9
EPOCH_BATCHES = [300, 70, 13]
IMAGES_TENSOR = 1000000  # tensor numbers of the generator that no parameter has
LABELS_TENSOR = 1000001


# ---- the generator: numbers that the C test computes again instead of storing them --------------

def unit(tensor, n):
    """n numbers in [0, 1), multiples of 2^-24, as float64 (exact)."""
    x = (np.uint64(tensor) << np.uint64(32)) | np.arange(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = x + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def times_float32(a, scale):
    """a (exact in float32) times scale rounded to float32; one rounding, that of the product."""
    return a.astype(np.float32) * np.float32(scale)


def parameter(tensor, kind, shape):
    u = unit(tensor, math.prod(shape))
    if kind == "kernel":
        fan_in = math.prod(shape[:-1])
        values = times_float32(2 * u - 1, math.sqrt(6 / fan_in))
    elif kind == "bias":
        values = times_float32(2 * u - 1, 0.2)
    elif kind == "gamma":
        values = (0.75 + 0.5 * u).astype(np.float32)
    elif kind == "beta":
        values = times_float32(u - 0.5, 0.4)
    elif kind == "moving_mean":
        values = np.zeros(shape, np.float32)
    else:
        values = np.ones(shape, np.float32)
    return values.reshape(shape)


def batch(n_images):
    """Images [n][32][32][3] as float32 in [-1, 1), labels [n] in 0 .. 9."""
    images = (2 * unit(IMAGES_TENSOR, n_images * 3072) - 1).astype(np.float32)
    labels = (unit(LABELS_TENSOR, n_images) * 2**24).astype(np.int64) % 10
    return images.reshape(n_images, 32, 32, 3), labels


# ---- the network ---------------------------------------------------------------------------------

class Plan:
    """The tensors in Keras' order of creation, and how the layers hang together. paper: the network
    of the batch augmentation authors' code: no biases but the dense layer's, a batch normalisation
    behind each shortcut's convolution, PyTorch's own epsilon and momentum."""

    def __init__(self, depth, paper=False):
        self.n = (depth - 2) // 6
        self.paper = paper
        self.tensors = []  # (name, kind, shape)
        self.frozen = set()  # biases that feed a batch normalisation
        self.n_convs = self.n_bns = 0
        self.stem = self._conv_bn(3, 3, 16)
        self.blocks = []  # (conv-bn a, conv-bn b, shortcut conv or None)
        ic = 16
        for stage in range(3):
            oc = 16 << stage
            for i in range(self.n):
                a = self._conv_bn(3, ic, oc)
                b = self._conv_bn(3, oc, oc)
                shortcut = None
                if stage > 0 and i == 0:
                    shortcut = self._conv_bn(1, ic, oc) if paper else self._conv(1, ic, oc)
                self.blocks.append((a, b, shortcut))
                ic = oc
        self._add("dense", "kernel", (64, 10))
        self._add("dense", "bias", (10,))

    def _add(self, layer, kind, shape):
        self.tensors.append((f"{layer}/{kind}", kind, shape))

    def _conv(self, k, ic, oc):
        layer = "conv2d" + (f"_{self.n_convs}" if self.n_convs else "")
        self.n_convs += 1
        self._add(layer, "kernel", (k, k, ic, oc))
        if not self.paper:
            self._add(layer, "bias", (oc,))
        return layer

    def _conv_bn(self, k, ic, oc):
        conv = self._conv(k, ic, oc)
        self.frozen.add(f"{conv}/bias")
        bn = "batch_normalization" + (f"_{self.n_bns}" if self.n_bns else "")
        self.n_bns += 1
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            self._add(bn, kind, (oc,))
        return conv, bn

    def trained(self):
        return [name for name, kind, _ in self.tensors
                if not kind.startswith("moving") and name not in self.frozen]

    def penalised(self):
        return [name for name, kind, _ in self.tensors
                if kind == "kernel" and name.startswith("conv2d")]


def parameters(plan, dtype):
    """Name -> tensor, in the layout of the names (HWIO); those that train want gradients."""
    result = {}
    for number, (name, kind, shape) in enumerate(plan.tensors):
        result[name] = torch.tensor(parameter(number, kind, shape), dtype=dtype)
    for name in plan.trained():
        result[name].requires_grad_(True)
    return result


class Pass:
    """One pass of a batch through the network; keeps what the engine is asked for afterwards."""

    def __init__(self, plan, params, images, training):
        self.plan = plan
        self.params = params
        self.training = training
        self.outputs = []  # of the stem and each block, NCHW
        self.statistics = {}  # bn -> (mean, biased variance, values a channel)
        dtype = params["dense/kernel"].dtype
        x = torch.tensor(images, dtype=dtype).permute(0, 3, 1, 2)
        x = F.relu(self._conv_bn(x, plan.stem, 1))
        self.outputs.append(x)
        for a, b, shortcut in plan.blocks:
            stride = 2 if shortcut else 1
            y = F.relu(self._conv_bn(x, a, stride))
            y = self._conv_bn(y, b, 1)
            if shortcut:
                x = self._conv_bn(x, shortcut, 2) if plan.paper else self._conv(x, shortcut, 2)
            x = F.relu(y + x)
            self.outputs.append(x)
        self.logits = x.mean((2, 3)) @ params["dense/kernel"] + params["dense/bias"]

    def _conv(self, x, layer, stride):
        kernel = self.params[f"{layer}/kernel"]
        if kernel.shape[0] == 3:  # "same": an even side and stride 2 pad at the right and bottom
            x = F.pad(x, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))
        return F.conv2d(x, kernel.permute(3, 2, 0, 1), self.params.get(f"{layer}/bias"), stride)

    def _conv_bn(self, x, layers, stride):
        conv, bn = layers
        z = self._conv(x, conv, stride)
        if self.plan.paper:
            return self._torch_bn(z, bn)
        if self.training:
            mean = z.mean((0, 2, 3))
            variance = ((z - mean[:, None, None])**2).mean((0, 2, 3))
            self.statistics[bn] = (mean.detach(), variance.detach(), z.numel() // z.shape[1])
        else:
            mean = self.params[f"{bn}/moving_mean"]
            variance = self.params[f"{bn}/moving_variance"]
        scale = self.params[f"{bn}/gamma"] / torch.sqrt(variance + BN_EPSILON)
        return ((z - mean[:, None, None]) * scale[:, None, None]
                + self.params[f"{bn}/beta"][:, None, None])

    def _torch_bn(self, z, bn):
        """PyTorch's own, at its defaults (epsilon 1e-5, momentum 0.1), moving statistics included."""
        if self.training:
            mean = z.mean((0, 2, 3)).detach()
            variance = z.var((0, 2, 3), unbiased=False).detach()
            self.statistics[bn] = (mean, variance, None)
        moving = [self.params[f"{bn}/moving_{part}"] for part in ("mean", "variance")]
        return F.batch_norm(z, *moving, self.params[f"{bn}/gamma"], self.params[f"{bn}/beta"],
                            self.training)

    def update_moving(self):
        if self.plan.paper:
            return  # done in passing
        for bn, (mean, variance, n) in self.statistics.items():
            for part, value in (("mean", mean), ("variance", variance * (n / (n - 1)))):
                moving = self.params[f"{bn}/moving_{part}"]
                moving.mul_(BN_MOMENTUM).add_(value * (1 - BN_MOMENTUM))


def penalty(plan, params):
    return L2 * sum((params[name]**2).sum() for name in plan.penalised())


def gradients(plan, params, loss):
    """Of every trained tensor; a bias that feeds a batch normalisation has none (it is zero)."""
    names = plan.trained()
    return dict(zip(names, torch.autograd.grad(loss, [params[name] for name in names])))


# ---- the files -----------------------------------------------------------------------------------

def to_36_bits(values):
    """Drops the last bits of doubles: they depend on the machine's mathematics library."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissa, 36)), exponent - 36)


class Safetensors:
    def __init__(self, metadata):
        self.header = {"__metadata__": {key: str(value) for key, value in metadata.items()}}
        self.data = bytearray()

    def add(self, name, values, dtype="F64"):
        if torch.is_tensor(values):
            values = values.detach().numpy()
        values = np.ascontiguousarray(values, {"F64": "<f8", "F32": "<f4"}[dtype])
        if values.ndim == 0:
            values = values.reshape(1)
        assert np.isfinite(values).all(), name
        if dtype == "F64":
            values = to_36_bits(values)
        start = len(self.data)
        self.data += values.tobytes()
        assert name not in self.header, name
        self.header[name] = {"dtype": dtype, "shape": list(values.shape),
                             "data_offsets": [start, len(self.data)]}

    def bytes(self):
        header = json.dumps(self.header, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        return struct.pack("<Q", len(header)) + header + bytes(self.data)


def spread(values, count):
    """Up to `count` elements at even distances: number k is element k * n // count."""
    flat = values.detach().reshape(-1)
    n = flat.numel()
    count = min(count, n)
    return flat[[k * n // count for k in range(count)]]


def relative(a, reference):
    return float(torch.linalg.norm(a.double() - reference) / torch.linalg.norm(reference))


def make_gradients(depth, n_images, paper=False):
    """Activations, statistics, loss and every gradient of one training step."""
    full = depth == 8 and not paper
    plan = Plan(depth, paper)
    images, labels = batch(n_images)
    labels = torch.tensor(labels)
    params = parameters(plan, torch.float64)
    result = Pass(plan, params, images, training=True)
    image_loss = F.cross_entropy(result.logits, labels, reduction="none")
    data_loss = image_loss.mean()
    l2_loss = penalty(plan, params)
    gradient = gradients(plan, params, data_loss + l2_loss)

    single = parameters(plan, torch.float32)
    single_loss = F.cross_entropy(Pass(plan, single, images, training=True).logits, labels)
    single_gradient = gradients(plan, single, single_loss + penalty(plan, single))

    out = Safetensors({"depth": depth, "images": n_images, "l2": L2})
    out.add("loss/data", data_loss)
    out.add("loss/l2", l2_loss)
    out.add("loss/images", image_loss)
    out.add("logits", result.logits)
    for number, output in enumerate(result.outputs):
        image = output[0].permute(1, 2, 0).contiguous()
        if full:
            out.add(f"output/{number}", image)
        else:
            out.add(f"output/{number}/sum", image.sum())
            out.add(f"output/{number}/sum_of_squares", (image**2).sum())
            out.add(f"output/{number}/samples", spread(image, 64))
    for bn, (mean, variance, _) in result.statistics.items():
        out.add(f"statistics/{bn}/mean", mean)
        out.add(f"statistics/{bn}/variance", variance)
    for name, kind, shape in plan.tensors:
        if kind.startswith("moving"):
            continue
        g = gradient.get(name, torch.zeros(shape, dtype=torch.float64))
        if full:
            out.add(f"gradient/{name}", g, "F32")
        else:
            out.add(f"gradient/{name}/norm", torch.linalg.norm(g))
            out.add(f"gradient/{name}/samples", spread(g, 256))
    out.add("float32_deviation/loss", abs(single_loss.double() - data_loss) / data_loss)
    for name in plan.trained():
        out.add(f"float32_deviation/{name}", relative(single_gradient[name], gradient[name]))

    result.update_moving()
    for bn in result.statistics:
        for part in ("moving_mean", "moving_variance"):
            out.add(f"moving/{bn}/{part}", params[f"{bn}/{part}"])
    with torch.no_grad():
        evaluated = Pass(plan, params, images, training=False)
    out.add("evaluation/logits", evaluated.logits)
    return out


# ---- the optimizers ------------------------------------------------------------------------------

def step_adam(w, g, slots, step, lr):
    m, v = slots
    m.mul_(0.9).add_(0.1 * g)
    v.mul_(0.999).add_(0.001 * g * g)
    w -= lr * math.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (torch.sqrt(v) + 1e-7)


def step_rmsprop(w, g, slots, step, lr):
    v = slots[0]
    v.mul_(0.9).add_(0.1 * g * g)
    w -= lr * g / (torch.sqrt(v) + 1e-7)


def step_sgd(w, g, slots, step, lr):
    v = slots[0]
    v.mul_(0.9).add_(g)
    w -= lr * v


def step_nesterov(w, g, slots, step, lr):
    v = slots[0]
    v.mul_(0.9).add_(g)
    w -= lr * (g + 0.9 * v)


OPTIMIZERS = {  # name -> (step, slots, learning rate, bound of the gradient's norm or 0)
    "adam": (step_adam, 2, 1e-3, 0),
    "rmsprop": (step_rmsprop, 1, 1e-3, 0),
    "sgd": (step_sgd, 1, 1e-2, 0),
    "nesterov": (step_nesterov, 1, 1e-2, 0),
    "clipped": (step_sgd, 1, 1e-2, CLIP),
}


def clip(params, gradient, bound):
    """PyTorch's own clip_grad_norm_. Returns the norm before it."""
    for name, g in gradient.items():
        params[name].grad = g.clone()
    norm = torch.nn.utils.clip_grad_norm_([params[name] for name in gradient], bound)
    for name in gradient:
        gradient[name] = params[name].grad
        params[name].grad = None
    return float(norm)


def train(plan, batches, optimizer, dtype):
    """A step on each batch. Returns the loss before each step (L2 included) and the weights."""
    step_function, n_slots, lr, bound = OPTIMIZERS[optimizer]
    params = parameters(plan, dtype)
    slots = {name: [torch.zeros_like(params[name]) for _ in range(n_slots)]
             for name in plan.trained()}
    losses = []
    norms = []
    for step, (images, labels) in enumerate(batches, 1):
        result = Pass(plan, params, images, training=True)
        loss = F.cross_entropy(result.logits, labels) + penalty(plan, params)
        losses.append(float(loss))
        gradient = gradients(plan, params, loss)
        result.update_moving()
        if bound:
            norms.append(clip(params, gradient, bound))
        with torch.no_grad():
            for name, g in gradient.items():
                step_function(params[name], g, slots[name], step, lr)
    # Both sides of the bound are passed, or the file would not show what clipping does.
    assert not bound or min(norms) < bound < max(norms), norms
    return losses, params


def add_training(out, plan, batches, optimizer):
    losses, params = train(plan, batches, optimizer, torch.float64)
    single_losses, single = train(plan, batches, optimizer, torch.float32)
    out.add(f"{optimizer}/losses", np.array(losses))
    out.add(f"{optimizer}/losses_float32", np.array(single_losses))
    for name, _, _ in plan.tensors:
        out.add(f"{optimizer}/norm/{name}", torch.linalg.norm(params[name]))
        out.add(f"{optimizer}/samples/{name}", spread(params[name], 16))
        out.add(f"{optimizer}/float32_deviation/{name}", relative(single[name], params[name]))


def make_optimizers(depth, n_images):
    images, labels = batch(n_images)
    out = Safetensors({"depth": depth, "images": n_images, "l2": L2, "steps": N_STEPS, "clip": CLIP})
    for optimizer in OPTIMIZERS:
        add_training(out, Plan(depth), [(images, torch.tensor(labels))] * N_STEPS, optimizer)
    return out


def make_epoch(depth, sizes):
    """One step on each of several batches of different images."""
    images, labels = batch(sum(sizes))
    ends = np.cumsum(sizes)
    batches = [(images[end - n:end], torch.tensor(labels[end - n:end]))
               for n, end in zip(sizes, ends)]
    out = Safetensors({"depth": depth, "batches": sizes, "l2": L2})
    add_training(out, Plan(depth), batches, "sgd")
    return out


# ---- options ---------------------------------------------------------------------------------------

OPTION_STEPS = 5
SMOOTHING = 0.2
SHARE = 0.5
EMA = 0.75
WARMUP = 0.4


def warmed_up(step):
    """Of LambdaLR: up over WARMUP of the steps, then down to 0."""
    peak = WARMUP * OPTION_STEPS
    return min(1, (step + 1) / peak, (OPTION_STEPS - step) / (OPTION_STEPS - peak))


def loss_of(option, logits, labels):
    if option == "smoothing":
        return F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)
    if option == "mixed":  # image i has i / 8 of the label after its own
        share = torch.arange(len(labels), dtype=logits.dtype) / 8
        own = F.cross_entropy(logits, labels, reduction="none")
        other = F.cross_entropy(logits, (labels + 1) % 10, reduction="none")
        return ((1 - share) * own + share * other).mean()
    return F.cross_entropy(logits, labels)


def hardest(plan, params, images, labels):
    """The half with the highest loss, in order; the moving statistics stay as they are."""
    with torch.no_grad():
        logits = Pass(plan, params, images, training=True).logits
        losses = F.cross_entropy(logits, labels, reduction="none")
    return sorted(torch.topk(losses, math.ceil(SHARE * len(labels))).indices.tolist())


def train_option(option, dtype):
    """Steps of torch.optim.SGD without L2. Returns the losses and what the weights have become."""
    plan = Plan(8)
    params = parameters(plan, dtype)
    images, labels = batch(6)
    labels = torch.tensor(labels)
    optimizer = torch.optim.SGD([params[name] for name in plan.trained()], 1e-2, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmed_up if option == "linear" else lambda step: 1.0)
    average = {name: value.detach().clone() for name, value in params.items()}
    losses = []
    for _ in range(OPTION_STEPS):
        chosen = hardest(plan, params, images, labels) if option == "hardest" else list(range(6))
        result = Pass(plan, params, images[chosen], training=True)
        loss = loss_of(option, result.logits, labels[chosen])
        losses.append(float(loss))
        optimizer.zero_grad()
        loss.backward()
        result.update_moving()
        optimizer.step()
        schedule.step()
        for name, value in params.items():
            average[name].mul_(EMA).add_(value.detach(), alpha=1 - EMA)
    return losses, average if option == "ema" else params, plan


def make_options():
    out = Safetensors({"depth": 8, "images": 6, "steps": OPTION_STEPS})
    for option in ("smoothing", "mixed", "linear", "ema", "hardest"):
        losses, params, plan = train_option(option, torch.float64)
        single_losses, single, _ = train_option(option, torch.float32)
        out.add(f"{option}/losses", np.array(losses))
        out.add(f"{option}/losses_float32", np.array(single_losses))
        for name, _, _ in plan.tensors:
            out.add(f"{option}/norm/{name}", torch.linalg.norm(params[name]))
            out.add(f"{option}/samples/{name}", spread(params[name], 16))
            out.add(f"{option}/float32_deviation/{name}", relative(single[name], params[name]))
    plan = Plan(8)
    params = parameters(plan, torch.float64)
    images, _ = batch(6)
    with torch.no_grad():
        both = [Pass(plan, params, np.ascontiguousarray(side), training=False).logits
                for side in (images, images[:, :, ::-1])]
    out.add("tta/logits", both[0] + both[1])
    return out


def make_generator_sample():
    """The beginning of every tensor, so that a C generator can be checked on its own."""
    plan = Plan(8)
    images, labels = batch(6)
    out = Safetensors({"depth": 8, "images": 6})
    for number, (name, kind, shape) in enumerate(plan.tensors):
        out.add(name, parameter(number, kind, shape).reshape(-1)[:16], "F32")
    out.add("images", images.reshape(-1)[:64], "F32")
    out.add("labels", labels, "F32")
    return out


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False
    different = []
    for name, content in (
            ("generator", make_generator_sample()), ("depth8", make_gradients(8, 6)),
            ("depth44", make_gradients(44, 4)), ("paper", make_gradients(14, 6, paper=True)),
            ("optimizers", make_optimizers(8, 6)),
            ("epoch", make_epoch(8, EPOCH_BATCHES)), ("options", make_options())):
        path = HERE / f"{name}.safetensors"
        new = content.bytes()
        if not check:
            path.write_bytes(new)
            print(f"{path.name}: {len(new)} bytes, {len(content.header) - 1} tensors")
        elif not path.exists() or path.read_bytes() != new:
            different.append(path.name)
    if different:
        sys.exit("different from what the script makes: " + ", ".join(different))


if __name__ == "__main__":
    main()
