"""Checkpoints: listed, downloaded whole and in parts, and read by a program that knows nothing of cutoutd."""

import hashlib
import json
import os
import struct
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, DaemonTestCase

READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "read_checkpoint.py")
N_TRAIN = 64  # of the 512 that the daemon of these tests has
N_TEST = 100


class Checkpoints(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_id = cls.daemon.submit(epochs=4, train_images=N_TRAIN, test_images=N_TEST, batch_size=16, l2=0)
        cls.run_row = cls.daemon.wait_for_end(cls.run_id)
        cls.path = f"/api/v1/runs/{cls.run_id}/checkpoints"
        cls.items = cls.daemon.get(cls.path)["items"]
        cls.best = next(item for item in cls.items if item["kind"] == "best")
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-http-")
        cls.addClassCleanup(directory.cleanup)
        cls.directory = directory.name
        cls.file = os.path.join(cls.directory, "best.safetensors")
        subprocess.run(["curl", "-sSf", "-o", cls.file, cls.daemon.url(cls.path + "/best.safetensors")],
                       check=True, timeout=PATIENCE_S)
        with open(cls.file, "rb") as file:
            cls.content = file.read()
        subprocess.run([os.environ["SHAPES_EXPORT"], cls.directory, "512", str(N_TEST)],
                       check=True, timeout=PATIENCE_S)

    def part(self, value, *options):
        """Status, headers and bytes of a download with this Range."""
        out = os.path.join(self.directory, "part")
        head = self.daemon.curl(self.path + "/best.safetensors", "-H", "Range: " + value, "-o", out,
                                *options)
        with open(out, "rb") as file:
            return head, file.read()

    def test_list_says_what_there_is(self):
        self.assertEqual(sorted(item["kind"] for item in self.items), ["best", "last", "last"])
        self.assertEqual(self.items, sorted(self.items, key=lambda item: item["at"], reverse=True))
        self.assertEqual(self.best["epochs_done"], self.run_row["best_epoch"])
        self.assertEqual(self.best["links"]["download"], self.path + "/best.safetensors")
        last = [item for item in self.items if item["kind"] == "last"]
        self.assertEqual([item["epochs_done"] for item in last], [4, 3])
        self.assertEqual(last[1]["links"], {})

    def test_download_is_whole(self):
        self.assertEqual(len(self.content), self.best["bytes"])
        self.assertEqual(hashlib.sha256(self.content).hexdigest(), self.best["sha256"])
        head = self.daemon.curl(self.path + "/best", "--head")
        self.assertEqual(head.status, 200)
        self.assertEqual(head.headers["etag"], f'"{self.best["sha256"]}"')
        self.assertEqual(head.headers["content-length"], str(self.best["bytes"]))
        self.assertEqual(head.headers["accept-ranges"], "bytes")
        self.assertEqual(head.headers["content-disposition"],
                         f'attachment; filename="run-{self.run_id}-best.safetensors"')

    def test_parts_are_sent(self):
        size = len(self.content)
        for value, first, last in (("bytes=0-99", 0, 99), ("bytes=100-", 100, size - 1),
                                   ("bytes=-10", size - 10, size - 1),
                                   (f"bytes={size - 1}-{size + 5}", size - 1, size - 1)):
            with self.subTest(value):
                head, body = self.part(value)
                self.assertEqual(head.status, 206)
                self.assertEqual(head.headers["content-range"], f"bytes {first}-{last}/{size}")
                self.assertEqual(body, self.content[first:last + 1])
        head = self.daemon.curl(self.path + "/best", "-H", f"Range: bytes={size}-")
        self.assert_problem(head, 416)
        self.assertEqual(head.headers["content-range"], f"bytes */{size}")

    def test_part_of_another_file_is_the_whole_one(self):
        head, body = self.part("bytes=0-9", "-H", 'If-Range: "0"')
        self.assertEqual((head.status, len(body)), (200, len(self.content)))
        head, body = self.part("bytes=0-9", "-H", f'If-Range: "{self.best["sha256"]}"')
        self.assertEqual((head.status, len(body)), (206, 10))
        head, body = self.part("bytes=0-9", "-H", f'If-Range: "{"0" * 400}"')
        self.assertEqual((head.status, len(body)), (200, len(self.content)))
        head, body = self.part("bytes=0-1,5-6")
        self.assertEqual((head.status, len(body)), (200, len(self.content)))

    def test_unchanged_file_is_not_sent_again(self):
        again = self.daemon.curl(self.path + "/best", "-H", f'If-None-Match: "{self.best["sha256"]}"')
        self.assertEqual((again.status, again.body), (304, ""))

    def test_what_is_not_there_is_not_found(self):
        self.assert_problem(self.daemon.curl(self.path + "/worst.safetensors"), 404)
        self.assert_problem(self.daemon.curl(self.path + "/best.pt"), 404)
        self.assert_problem(self.daemon.curl("/api/v1/runs/999/checkpoints"), 404)

    def read(self, path):
        """What the reader finds: wrong, total, loss."""
        result = subprocess.run(["/usr/bin/python3", READER, path, self.directory, str(N_TRAIN)],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        wrong, total, loss = result.stdout.split()
        return int(wrong), int(total), float(loss)

    def test_a_running_run_writes_one_when_it_is_asked(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=1, m=64, batch_size=4, train_images=512)
        waiting = daemon.submit(epochs=1, hold=True)
        daemon.events(run, until=lambda event: event["event"] == "step")
        answer = daemon.curl(f"/api/v1/runs/{run}/checkpoint", "-X", "POST")
        self.assertEqual((answer.status, answer.json()["state"]), (202, "running"), answer.body)
        written = daemon.events(run, query="?since=0", until=lambda event: event["event"] == "checkpoint")[-1]["data"]
        self.assertEqual((written["kind"], written["epochs_done"]), ("last", 0))
        self.assertGreater(written["step"], 0)
        listed = daemon.get(f"/api/v1/runs/{run}/checkpoints")["items"]
        self.assertEqual([(item["kind"], item["step"]) for item in listed], [("last", written["step"])])
        self.assertEqual(daemon.get(f"/api/v1/runs/{run}")["state"], "running")
        daemon.curl(f"/api/v1/runs/{run}/kill", "-X", "POST")
        self.assertEqual(daemon.wait_for_end(run)["state"], "canceled")
        for other, state in ((run, "canceled"), (waiting, "held")):
            refused = daemon.curl(f"/api/v1/runs/{other}/checkpoint", "-X", "POST")
            self.assertIn("is " + state, self.assert_problem(refused, 409)["detail"])
        self.assert_problem(daemon.curl("/api/v1/runs/999/checkpoint", "-X", "POST"), 404)

    def test_another_program_reaches_the_same_validation_error(self):
        row = self.daemon.history(self.run_id)[self.run_row["best_epoch"] - 1]
        wrong, total, loss = self.read(self.file)
        self.assertEqual((wrong, total), (row["val_wrong"], row["val_total"]))
        self.assertAlmostEqual(loss, row["val_loss"], 4)

    def test_a_wrong_tensor_would_be_noticed(self):
        n_header = struct.unpack("<Q", self.content[:8])[0]
        header = json.loads(self.content[8:8 + n_header])
        loss = self.read(self.file)[2]
        for name in ("conv2d/kernel", "conv2d_4/kernel", "batch_normalization_2/moving_mean",
                     "batch_normalization_6/gamma", "dense/kernel", "dense/bias"):
            begin, end = (8 + n_header + at for at in header[name]["data_offsets"])
            values = struct.unpack(f"<{(end - begin) // 4}f", self.content[begin:end])
            wrong = [value + (0.5 if i % 2 else -0.5) for i, value in enumerate(values)]
            damaged = os.path.join(self.directory, "damaged.safetensors")
            with open(damaged, "wb") as file:
                file.write(self.content[:begin] + struct.pack(f"<{len(wrong)}f", *wrong) +
                           self.content[end:])
            with self.subTest(name):
                # Far more than what the test above lets pass.
                self.assertGreater(abs(self.read(damaged)[2] - loss), 0.001)


if __name__ == "__main__":
    unittest.main()
