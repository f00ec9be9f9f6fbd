#!/usr/bin/env python3
"""SVHN's cropped digits (MATLAB 5 files) as CIFAR-10's binary files. Python's standard library only.

    tools/python/svhn.py TRAIN.mat TEST.mat DIR

A file holds X, [32][32][3][n] bytes in MATLAB's order (rows vary fastest), and y, [n] labels 1 to 10
of which 10 is the digit 0. DIR gets data_batch_1.bin to data_batch_5.bin, test_batch.bin and
batches.meta.txt; the label of a row is the digit. Each file appears whole or not at all.
"""

import os
import struct
import sys
import zlib

SIDE = 32
PLANE = SIDE * SIDE
IMAGE = 3 * PLANE
TRAIN_FILES = 5

COMPRESSED, MATRIX = 15, 14
NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d"}  # of a data element


class Damaged(Exception):
    """With a sentence for people."""


def elements(data, at=0):
    """(type, bytes) of each data element from `at` on."""
    while at < len(data):
        if len(data) - at < 8:
            raise Damaged(f"it ends within a data element at byte {at}")
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:  # a small one: size and type share a word, the data follow in the next
            kind, size, begin, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        else:
            begin = at + 8
            end = begin + (size if kind == COMPRESSED else (size + 7) // 8 * 8)
        if begin + size > len(data):
            raise Damaged(f"it ends within the data element at byte {at}")
        yield kind, data[begin:begin + size]
        at = end


def read_matrix(data):
    """Name, dimensions, type of the numbers and their bytes."""
    parts = list(elements(data))
    if len(parts) < 4:
        raise Damaged("a matrix has no data")
    (_, _), (_, dimensions), (_, name), (kind, values) = parts[:4]
    shape = struct.unpack(f"<{len(dimensions) // 4}i", dimensions)
    return bytes(name).decode("latin-1"), shape, kind, values


def read_file(path):
    """The matrices by name."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 128 or data[126:128] != b"IM":
        raise Damaged(f"{path} is no MATLAB 5 file of a little-endian machine")
    matrices = {}
    try:
        for kind, content in elements(memoryview(data), 128):
            if kind == COMPRESSED:
                [(kind, content)] = elements(memoryview(zlib.decompress(content)))
            if kind == MATRIX:
                name, shape, number, values = read_matrix(content)
                matrices[name] = (shape, number, values)
    except (Damaged, ValueError, zlib.error, struct.error) as error:
        raise Damaged(f"{path}: {error}") from error
    return matrices


def read_images(path):
    """The pixels of all images, and their digits."""
    matrices = read_file(path)
    for name in ("X", "y"):
        if name not in matrices:
            raise Damaged(f"{path} has no {name}")
    shape, number, pixels = matrices["X"]
    n = shape[3] if len(shape) == 4 else 1  # MATLAB drops a last dimension of 1
    if number != 2 or shape[:3] != (SIDE, SIDE, 3) or len(shape) > 4 or len(pixels) != n * IMAGE:
        raise Damaged(f"{path}: X is not [32][32][3][n] bytes")
    _, number, values = matrices["y"]
    if number not in NUMBERS:
        raise Damaged(f"{path}: y holds no numbers")
    size = struct.calcsize(NUMBERS[number])
    labels = struct.unpack(f"<{len(values) // size}{NUMBERS[number]}", values)
    if len(labels) != n or any(label not in range(1, 11) for label in labels):
        raise Damaged(f"{path}: y is not a label from 1 to 10 for each of {n} images")
    return pixels, [int(label) % 10 for label in labels]


def write_rows(path, pixels, digits, first, end):
    """Rows of a label and the planes R, G, B, each row-major."""
    with open(path + ".part", "wb") as file:
        for i in range(first, end):
            file.write(bytes([digits[i]]))
            for at in range(i * IMAGE, (i + 1) * IMAGE, PLANE):
                plane = bytes(pixels[at:at + PLANE])
                file.write(b"".join(plane[row::SIDE] for row in range(SIDE)))
    os.replace(path + ".part", path)


def convert(train, test, directory):
    pixels, digits = read_images(train)
    tested = read_images(test)  # before anything is written
    if len(digits) < TRAIN_FILES:
        raise Damaged(f"{train} has {len(digits)} images; {TRAIN_FILES} files want one each")
    for i in range(TRAIN_FILES):
        write_rows(os.path.join(directory, f"data_batch_{i + 1}.bin"), pixels, digits,
                   len(digits) * i // TRAIN_FILES, len(digits) * (i + 1) // TRAIN_FILES)
    write_rows(os.path.join(directory, "test_batch.bin"), *tested, 0, len(tested[1]))
    with open(os.path.join(directory, "batches.meta.txt"), "w", encoding="ascii") as file:
        file.write("".join(f"{digit}\n" for digit in range(10)))
    return len(digits), len(tested[1])


def main():
    if len(sys.argv) != 4 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        n_train, n_test = convert(*sys.argv[1:])
    except (OSError, Damaged) as error:
        print(f"svhn: {error}", file=sys.stderr)
        return 1
    print(f"{n_train} training and {n_test} test images are in {sys.argv[3]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
