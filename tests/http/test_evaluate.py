"""A checkpoint without a daemon: `cutoutd evaluate`, and tools/convert for other frameworks."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase
from test_datasets import HUNDRED, write_cifar100

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tools", "python"))
try:
    import numpy as np
    from read_checkpoint import Network, read_images
except ImportError:
    np = None
HAS_TORCH = np is not None and importlib.util.find_spec("torch") is not None
HAS_KERAS = np is not None and importlib.util.find_spec("keras") is not None
N_TEST = TINY["test_images"]


class Checkpoints(DaemonTestCase):
    """Trained on half of the images of a directory, so that the mean is not that of all."""

    @classmethod
    def make_daemon(cls):
        daemon = super().make_daemon()
        cls.images = os.path.join(daemon.directory, "images")
        cls.hundred = os.path.join(daemon.directory, "hundred")
        os.mkdir(cls.images)
        os.mkdir(cls.hundred)
        subprocess.run([os.environ["SHAPES_EXPORT"], cls.images, "128", str(N_TEST)], check=True,
                       timeout=PATIENCE_S)
        write_cifar100(cls.hundred)
        daemon.flags = ["--dataset", "lab=" + cls.images, "--dataset", "cifar100=" + cls.hundred]
        return daemon

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = {"lab": cls.daemon.submit(dataset="lab", epochs=2),
                    "cifar100": cls.daemon.submit(**dict(HUNDRED, epochs=1)),
                    "paper": cls.daemon.submit(dataset="lab", preset="paper", normalise="pixel_mean",
                                               lr=0.01),
                    "averaged": cls.daemon.submit(dataset="lab", epochs=2, ema=0.9)}
        cls.best = {name: cls.daemon.wait_for_end(run)["best"] for name, run in cls.runs.items()}
        cls.file = {}
        for name, run in cls.runs.items():
            cls.file[name] = os.path.join(cls.daemon.directory, name + ".safetensors")
            cls.daemon.curl(f"/api/v1/runs/{run}/checkpoints/best.safetensors", "-o", cls.file[name])

    def evaluate(self, *arguments, status=0):
        result = subprocess.run([os.environ["CUTOUTD"], "evaluate", "--config", "/dev/null", *arguments],
                                capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False,
                                env=dict(os.environ, CUTOUTD_SHAPES_TRAIN="512"))
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stderr if status else result.stdout

    def as_json(self, name="lab", *more):
        place = f"cifar100={self.hundred}" if name == "cifar100" else f"lab={self.images}"
        return json.loads(self.evaluate(self.file[name], "--dataset", place, "--format", "json", *more))


class Evaluate(Checkpoints):
    def test_the_numbers_are_those_of_the_run(self):
        for name, run in self.runs.items():
            with self.subTest(name):
                result = self.as_json(name)
                self.assertEqual({key: result[key] for key in ("epoch", "val_wrong", "val_total", "val_error")},
                                 self.best[name])
                matrix = self.daemon.get(f"/api/v1/runs/{run}/confusion")
                self.assertEqual((result["classes"], result["counts"]),
                                 (matrix["classes"], matrix["counts"]))
                self.assertEqual(len(result["images"]), self.best[name]["val_total"])
                wrong = sum(image["label"] != image["predicted"] for image in result["images"])
                self.assertEqual(wrong, result["val_wrong"])
                self.assertTrue(all(image["logits"].index(max(image["logits"])) == image["predicted"]
                                    for image in result["images"]))

    def test_the_average_of_the_weights_has_the_error_of_its_own(self):
        plain = self.as_json("averaged")
        averaged = self.as_json("averaged", "--ema")
        self.assertEqual((plain["weights"], averaged["weights"]), ("plain", "ema"))
        epochs = self.daemon.get(f"/api/v1/runs/{self.runs['averaged']}/epochs")["items"]
        epoch = next(one for one in epochs if one["epoch"] == averaged["epoch"])
        self.assertEqual(plain["val_error"], epoch["val_error"])
        self.assertEqual(averaged["val_error"], epoch["val_error_ema"])
        self.assertNotEqual(averaged["images"][0]["logits"], plain["images"][0]["logits"])
        self.assertIn("its run has no ema", self.evaluate(self.file["lab"], "--ema", "--dataset",
                                                         f"lab={self.images}", status=1))

    def test_csv_has_a_line_an_image(self):
        text = self.evaluate(self.file["lab"], f"--dataset=lab={self.images}", "--format=csv")
        rows = list(csv.DictReader(text.splitlines()))
        expected = self.as_json()["images"]
        self.assertEqual([(int(row["label"]), int(row["predicted"])) for row in rows],
                         [(image["label"], image["predicted"]) for image in expected])
        for row, image in zip(rows, expected):
            for j, logit in enumerate(image["logits"]):
                self.assertAlmostEqual(float(row[f"logit_{j}"]), logit, delta=1e-6 * max(1, abs(logit)))

    def test_the_summary_is_for_people(self):
        text = self.evaluate("--dataset", f"lab={self.images}", self.file["lab"])
        best = self.best["lab"]
        self.assertIn(f"{best['val_wrong']} of {N_TEST} images", text)
        self.assertEqual(len(text.splitlines()), 2 + 10)

    def test_another_data_set_can_be_meant(self):
        self.assertIn("on other\n", self.evaluate(self.file["lab"], "--dataset", f"lab={self.hundred}",
                                                  "--dataset", f"other={self.images}"))

    def test_what_cannot_be_validated_is_named(self):
        damaged = os.path.join(self.daemon.directory, "damaged.safetensors")
        with open(self.file["lab"], "rb") as file:
            whole = file.read()
        with open(damaged, "wb") as file:
            file.write(whole[:-100])
        lab = ["--dataset", f"lab={self.images}"]
        for arguments, words in (([damaged, *lab], "damaged.safetensors"),
                                 ([os.devnull, *lab], os.devnull),
                                 ([self.file["lab"]], "there is no data set 'lab'"),
                                 ([self.file["lab"], "--dataset", f"c={self.hundred}"],
                                  "tells 10 classes apart, the data set c has 100")):
            with self.subTest(words):
                self.assertIn(words, self.evaluate(*arguments, status=1))
        self.assertIn("--format", self.evaluate(self.file["lab"], *lab, "--format", "xml", status=2))
        self.assertIn("CHECKPOINT", self.evaluate(*lab, status=2))


@unittest.skipUnless(np is not None, "no python3-numpy")
class Convert(Checkpoints):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-convert-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def convert(self, name, source=None, status=0, says="", options=()):
        target = os.path.join(self.directory, name)
        result = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tools", "convert"),
                                 *options, source or self.file["lab"], target],
                                capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(os.listdir(self.directory), [] if status else [name])
        self.assertIn(says, result.stdout)
        return result.stderr if status else target

    def inputs(self):
        """As the run saw the test images: minus the mean of its 64 training images."""
        train, _ = read_images(self.images + "/data_batch_1.bin")
        images, _ = read_images(self.images + "/test_batch.bin")
        mean = train[:self.daemon.get(f"/api/v1/runs/{self.runs['lab']}")["config"]["train_images"]
                     ].mean(axis=0) / 255
        return (images / 255 - mean).astype(np.float32)

    def assert_logits(self, logits, name="lab", *options):
        expected = np.array([image["logits"] for image in self.as_json(name, *options)["images"]])
        self.assertLess(np.abs(logits - expected).max(), 1e-3 * np.abs(expected).max())

    def test_keras_weights_have_all_parts_in_the_order_of_a_layer(self):
        weights = np.load(self.convert("weights.npz"))
        self.assert_logits(Network(dict(weights)).logits(self.inputs()))
        self.assertEqual([name.split("/")[1] for name in weights.files
                          if name.startswith("batch_normalization_3/")],
                         ["gamma", "beta", "moving_mean", "moving_variance"])
        self.assertEqual([name for name in weights.files if name.startswith("dense/")],
                         ["dense/kernel", "dense/bias"])

    @unittest.skipUnless(HAS_TORCH, "no python3-torch")
    def test_pytorch_has_the_same_logits(self):
        import resnet_torch
        import torch
        for name, epsilon in (("lab", 1e-3), ("paper", 1e-5)):
            with self.subTest(name):
                path = self.convert("net.pt", self.file[name], says=f"bn_epsilon={epsilon:g}")
                network = resnet_torch.load(path, epsilon)
                with torch.no_grad():
                    logits = network(torch.from_numpy(self.inputs().transpose(0, 3, 1, 2).copy()))
                self.assert_logits(logits.numpy(), name)
                os.unlink(path)

    @unittest.skipUnless(HAS_TORCH, "no python3-torch")
    def test_pytorch_has_a_hundred_classes_where_the_run_had(self):
        import resnet_torch
        network = resnet_torch.load(self.convert("net.pt", self.file["cifar100"]))
        self.assertEqual(network.linear.out_features, 100)

    @unittest.skipUnless(HAS_KERAS, "no keras")
    def test_keras_takes_the_weights_of_a_layer(self):
        import keras
        weights = np.load(self.convert("weights.npz"))
        layer = keras.layers.Conv2D(16, 3, padding="same", name="conv2d")
        images = self.inputs()
        layer.build(images.shape)
        layer.set_weights([weights[name] for name in weights.files if name.startswith("conv2d/")])
        expected = Network(dict(weights)).conv(images, 1)
        self.assertLess(np.abs(np.array(layer(images)) - expected).max(), 1e-4)

    def test_a_state_dict_is_written_as_torch_save_writes_it(self):
        import pickle
        import zipfile
        with zipfile.ZipFile(self.convert("net.pt")) as file:
            self.assertTrue(all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist()))

            class Reader(pickle.Unpickler):
                def find_class(self, module, name):
                    allowed = {("torch._utils", "_rebuild_tensor_v2"):
                               lambda storage, offset, size, stride, *rest:
                               np.lib.stride_tricks.as_strided(storage, size, [4 * s for s in stride]),
                               ("torch", "FloatStorage"): "<f4", ("collections", "OrderedDict"): dict}
                    return allowed[module, name]

                def persistent_load(self, pid):
                    kind, dtype, key, place, n = pid
                    assert (kind, place) == ("storage", "cpu")
                    values = np.frombuffer(file.read(f"archive/data/{key}"), dtype)
                    assert len(values) == n
                    return values

            with file.open("archive/data.pkl") as data:
                state = Reader(data).load()
        keras = np.load(self.convert_again("weights.npz"))
        self.assertEqual(len(state), len(keras.files))
        np.testing.assert_array_equal(state["conv1.weight"], keras["conv2d/kernel"].transpose(3, 2, 0, 1))
        np.testing.assert_array_equal(state["linear.weight"], keras["dense/kernel"].T)
        np.testing.assert_array_equal(state["layer2.0.shortcut.weight"].squeeze(),
                                      keras["conv2d_5/kernel"].squeeze().T)
        np.testing.assert_array_equal(state["layer3.0.bn2.running_var"],
                                      keras["batch_normalization_6/moving_variance"])

    def convert_again(self, name):
        os.unlink(os.path.join(self.directory, "net.pt"))
        return self.convert(name)

    def test_the_average_of_the_weights_is_not_mixed_with_themselves(self):
        inputs = self.inputs()
        of = {}
        for which, options in (("plain", ()), ("ema", ("--ema",))):
            weights = np.load(self.convert("weights.npz", self.file["averaged"], options=options))
            self.assertEqual([name for name in weights.files if name.startswith("ema/")], [])
            of[which] = Network(dict(weights)).logits(inputs)
            self.assert_logits(of[which], "averaged", *options)
            os.unlink(os.path.join(self.directory, "weights.npz"))
            self.convert("net.pt", self.file["averaged"], options=options)
            os.unlink(os.path.join(self.directory, "net.pt"))
        self.assertGreater(np.abs(of["plain"] - of["ema"]).max(), 0.1 * np.abs(of["ema"]).max())
        self.assertIn("its run has no ema", self.convert("net.pt", options=("--ema",), status=1))

    def test_what_cannot_be_converted_is_refused_and_leaves_nothing(self):
        self.assertIn("no safetensors file", self.convert("net.pt", os.devnull, status=1))
        self.assertIn(".pt or .npz", self.convert("net.onnx", status=1))


if __name__ == "__main__":
    unittest.main()
