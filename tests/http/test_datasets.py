"""Other data sets: CIFAR-100 through the daemon, SVHN's conversion, and what fetches them."""

import csv
import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

from daemon_process import PATIENCE_S, TINY, Daemon, DaemonTestCase

TOOLS = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
HUNDRED = dict(TINY, dataset="cifar100", train_images=0, test_images=0, batch_size=16)


def write_cifar100(directory):
    """64 training and 100 test images of noise; every fine label is tested once."""
    noise = random.Random(1)
    for name, n in (("train.bin", 64), ("test.bin", 100)):
        with open(os.path.join(directory, name), "wb") as file:
            for i in range(n):
                file.write(bytes([i % 20, i % 100]) + noise.randbytes(3072))
    with open(os.path.join(directory, "fine_label_names.txt"), "w", encoding="ascii") as file:
        file.write("".join(f"fine {i}\n" for i in range(100)))


class HundredClasses(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        daemon = super().make_daemon()
        cls.images = os.path.join(daemon.directory, "images")
        os.mkdir(cls.images)
        write_cifar100(cls.images)
        daemon.flags = ["--dataset", "cifar100=" + cls.images]
        return daemon

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_id = cls.daemon.submit(**dict(HUNDRED, epochs=3))
        cls.ended = cls.daemon.wait_for_end(cls.run_id)

    def test_the_set_is_described(self):
        sets = {item["name"]: item for item in self.daemon.get("/api/v1/datasets")["items"]}
        self.assertEqual([sets["cifar100"][member] for member in
                          ("available", "train_images", "test_images", "classes", "warning")],
                         [True, 64, 100, 100, None])
        self.assertEqual(sets["shapes"]["classes"], 10)

    def test_it_is_trained_and_its_last_layer_has_a_hundred_outputs(self):
        self.assertEqual(self.ended["state"], "succeeded", self.ended["reason"])
        layers = self.daemon.get(f"/api/v1/runs/{self.run_id}/summary")
        self.assertEqual(layers["layers"][-1]["output_shape"], [100])
        self.assertEqual(layers["layers"][-1]["parameters"], 65 * 100)
        self.assertGreater(self.daemon.history(self.run_id)[0]["train_loss"], 3)  # ln(100) is 4.6

    def test_errors_by_class_are_a_matrix_of_a_hundred(self):
        matrix = self.daemon.get(f"/api/v1/runs/{self.run_id}/confusion")
        self.assertEqual(matrix["classes"], [f"fine {i}" for i in range(100)])
        self.assertEqual([sum(row) for row in matrix["counts"]], [1] * 100)
        wrong = 100 - sum(matrix["counts"][i][i] for i in range(100))
        self.assertEqual(wrong, self.ended["best"]["val_wrong"])
        table = self.daemon.curl(f"/api/v1/runs/{self.run_id}/confusion?format=csv").body
        head, *rows = list(csv.reader(io.StringIO(table)))
        self.assertEqual(head[1:], matrix["classes"])
        self.assertEqual([[int(cell) for cell in row[1:]] for row in rows], matrix["counts"])

    def test_its_images_can_be_looked_at(self):
        picture = os.path.join(self.daemon.directory, "picture")
        answer = self.daemon.curl("/api/v1/figures/cutout.png?dataset=cifar100&m=2&index=63",
                                  "--output", picture)
        self.assertEqual(answer.status, 200)
        with open(picture, "rb") as file:
            self.assertTrue(file.read().startswith(b"\x89PNG"))

    def test_interrupted_it_ends_with_the_same_history(self):
        daemon = self.fresh()
        long = daemon.lasting(**HUNDRED)
        run = daemon.submit(**long)
        daemon.events(run, until=lambda event: event["event"] == "epoch")
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        ended = daemon.wait_for_end(run)
        self.assertEqual((ended["state"], ended["attempt"]), ("succeeded", 2))
        whole = daemon.submit(**long)
        daemon.wait_for_end(whole)
        self.assertEqual(daemon.history(run), daemon.history(whole))


def element(kind, data, small=False):
    """A data element of a MATLAB 5 file."""
    if small and len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name, shape, kind, data, small=False):
    return element(14, element(6, struct.pack("<II", 9, 0))
                   + element(5, struct.pack(f"<{len(shape)}i", *shape))
                   + element(1, name.encode(), small) + element(kind, data, small))


def write_mat(path, images, labels, compressed, label_kind=(2, "B")):
    """images: [n][32][32][3] as a function (i, row, column, channel)."""
    n = len(labels)
    pixels = bytes(images(i, row, column, channel) for i in range(n) for channel in range(3)
                   for column in range(32) for row in range(32))
    kind, letter = label_kind
    parts = [matrix("X", (32, 32, 3, n), 2, pixels),
             matrix("y", (n, 1), kind, struct.pack(f"<{n}{letter}", *labels), small=True)]
    with open(path, "wb") as file:
        file.write(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM")
        for part in parts:
            if compressed:
                packed = zlib.compress(part)
                part = struct.pack("<II", 15, len(packed)) + packed
            file.write(part)


def pixel(i, row, column, channel):
    return (i * 31 + row * 7 + column * 3 + channel * 85) % 256


class Svhn(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-svhn-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def path(self, name):
        return os.path.join(self.directory, name)

    def convert(self, train="train.mat", test="test.mat"):
        return subprocess.run([sys.executable, "-B", os.path.join(TOOLS, "python", "svhn.py"),
                               self.path(train), self.path(test), self.directory],
                              capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)

    def test_rows_have_the_digit_and_row_major_planes(self):
        labels = [10, 1, 2, 9, 10, 3, 4]  # 10 is the digit 0
        write_mat(self.path("train.mat"), pixel, labels, compressed=True)
        write_mat(self.path("test.mat"), pixel, [5.0, 10.0], compressed=False, label_kind=(9, "d"))
        result = self.convert()
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = b""
        for i in range(1, 6):
            with open(self.path(f"data_batch_{i}.bin"), "rb") as file:
                rows += file.read()
        expected = b"".join(
            bytes([labels[i] % 10]) + bytes(pixel(i, row, column, channel) for channel in range(3)
                                            for row in range(32) for column in range(32))
            for i in range(len(labels)))
        self.assertEqual(rows, expected)
        with open(self.path("test_batch.bin"), "rb") as file:
            tested = file.read()
        self.assertEqual((len(tested), tested[0], tested[3073]), (2 * 3073, 5, 0))
        with open(self.path("batches.meta.txt"), encoding="ascii") as file:
            self.assertEqual(file.read().split(), [str(digit) for digit in range(10)])

    def test_the_daemon_reads_what_came_out(self):
        write_mat(self.path("train.mat"), pixel, list(range(1, 11)) * 2, compressed=True)
        write_mat(self.path("test.mat"), pixel, [1, 2, 3], compressed=True)
        self.assertEqual(self.convert().returncode, 0)
        daemon = Daemon(tempfile.mkdtemp(prefix="cutoutd-http-"))
        daemon.flags = ["--dataset", "svhn=" + self.directory]
        self.addCleanup(DaemonTestCase.dispose, daemon)
        daemon.start()
        run = daemon.submit(**dict(HUNDRED, dataset="svhn", epochs=1, batch_size=8))
        self.assertEqual(daemon.wait_for_end(run)["last"]["val_total"], 3)

    def test_damaged_files_are_refused_and_nothing_is_written(self):
        write_mat(self.path("good.mat"), pixel, [1, 2, 3, 4, 5], compressed=False)
        with open(self.path("good.mat"), "rb") as file:
            good = file.read()
        wrong = {"cut": good[:-40], "no header": good[128:], "text": b"no matrix", "empty": b"",
                 "other": good.replace(b"X", b"Z", 1)}
        for name, data in wrong.items():
            with self.subTest(name):
                with open(self.path("wrong.mat"), "wb") as file:
                    file.write(data)
                for order in (("wrong.mat", "good.mat"), ("good.mat", "wrong.mat")):
                    result = self.convert(*order)
                    self.assertEqual(result.returncode, 1)
                    self.assertIn("wrong.mat", result.stderr)
                    self.assertNotIn("Traceback", result.stderr)
                    self.assertEqual(sorted(os.listdir(self.directory)), ["good.mat", "wrong.mat"])
        write_mat(self.path("labels.mat"), pixel, [1, 2, 3, 4, 11], compressed=True)
        self.assertIn("a label from 1 to 10", self.convert("labels.mat", "good.mat").stderr)


class Fetch(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-fetch-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def fetch(self, *arguments, **environment):
        return subprocess.run([os.path.join(TOOLS, "fetch-data"), *arguments],
                              env=dict(os.environ, **environment), capture_output=True,
                              encoding="utf-8", timeout=PATIENCE_S, check=False)

    def test_without_a_set_and_a_directory_it_explains_itself(self):
        for arguments in ((), ("cifar10",), ("mnist", self.directory), ("cifar10", "-x")):
            result = self.fetch(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn("tools/fetch-data cifar100 DIR", result.stderr)

    def test_what_is_there_is_not_fetched_again(self):
        sizes = {"cifar10": {"test_batch.bin": 30730000,
                             **{f"data_batch_{i}.bin": 30730000 for i in range(1, 6)}},
                 "cifar100": {"train.bin": 153700000, "test.bin": 30740000},
                 "svhn": {"test_batch.bin": 26032 * 3073,
                          **{f"data_batch_{i + 1}.bin":
                             (73257 * (i + 1) // 5 - 73257 * i // 5) * 3073 for i in range(5)}}}
        for name, files in sizes.items():
            with self.subTest(name):
                place = os.path.join(self.directory, name)
                os.mkdir(place)
                for file, size in files.items():
                    with open(os.path.join(place, file), "wb") as sparse:
                        sparse.truncate(size)
                result = self.fetch(name, place)
                self.assertEqual((result.returncode, result.stdout),
                                 (0, f"{name} is already in {place}\n"))

    def test_what_is_not_the_official_file_is_deleted(self):
        served = os.path.join(self.directory, "train_32x32.mat")
        with open(served, "wb") as file:
            file.write(b"something else")
        for name, variable, source in (("cifar10", "CIFAR10_URL", served),
                                       ("cifar100", "CIFAR100_URL", served),
                                       ("svhn", "SVHN_URL", self.directory)):
            with self.subTest(name):
                place = os.path.join(self.directory, name)
                result = self.fetch(name, place, **{variable: "file://" + source})
                self.assertEqual(result.returncode, 1)
                self.assertIn("wrong SHA-256", result.stderr)
                self.assertEqual(os.listdir(place), [])


if __name__ == "__main__":
    unittest.main()
