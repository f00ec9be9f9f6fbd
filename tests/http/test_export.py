"""`cutoutctl export`: TensorBoard's event files and CSV, also when it is repeated."""

import csv
import importlib.util
import os
import struct
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, DaemonTestCase

TAGS = ("val_error", "val_loss", "val_accuracy", "train_loss", "train_accuracy", "lr",
        "images_per_second")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """The records of an event file, which must be whole, each with right checksums."""
    while data:
        length, head = struct.unpack("<QI", data[:12])
        assert head == masked(data[:8]), "checksum of a length"
        body, (tail,) = data[12:12 + length], struct.unpack("<I", data[12 + length:16 + length])
        assert tail == masked(body), "checksum of a record"
        yield body
        data = data[16 + length:]


def fields(message):
    """(number, value) of a protocol buffer: integers, 4 or 8 raw bytes, or bytes."""
    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
    at = 0
    while at < len(message):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        else:
            n, at = (8, at) if key & 7 == 1 else (4, at) if key & 7 == 5 else varint(at)
            assert key & 7 in (1, 2, 5) and at + n <= len(message), "a wrong field"
            value, at = message[at:at + n], at + n
        yield key >> 3, value


def read_events(path):
    """[(wall time, step, {tag: value})] behind the version, which must come first."""
    with open(path, "rb") as file:
        first, *rest = [dict(fields(record)) for record in records(file.read())]
    assert first[3] == b"brain.Event:2"
    events = []
    for event in rest:
        values = {}
        for number, value in fields(event[5]):
            assert number == 1
            value = dict(fields(value))
            values[value[1].decode()] = struct.unpack("<f", value[2])[0]
        events.append((struct.unpack("<d", event[1])[0], event[2], values))
    return events


def as_float(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Export(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = [cls.daemon.submit(m=m, name=f'm "{m}", first') for m in (1, 2)]
        for run in cls.runs:
            cls.daemon.wait_for_end(run)
        cls.daemon.submit(hold=True)  # has no history

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-export-")
        self.addCleanup(directory.cleanup)
        self.directory = os.path.join(directory.name, "out")

    def export(self, *arguments, status=0, daemon=None, prefix=()):
        daemon = daemon or self.daemon
        result = subprocess.run([*prefix, os.environ["CUTOUTCTL"], "--server", "http://" + daemon.address,
                                 "export", *arguments],
                                capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stderr if status else result.stdout

    def events_of(self, run):
        return os.path.join(self.directory, f"run-{run}", "events.out.tfevents.cutoutd")

    def history(self, run):
        return self.daemon.get(f"/api/v1/runs/{run}/epochs")["items"]

    def test_tensorboard_gets_each_epoch_of_each_run(self):
        self.assertEqual(self.export("--to", "tensorboard", self.directory),
                         f"2 runs are in {self.directory}\n")
        self.assertEqual(sorted(os.listdir(self.directory)), [f"run-{run}" for run in self.runs])
        for run in self.runs:
            events = read_events(self.events_of(run))
            history = self.history(run)
            self.assertEqual([(step, values) for _, step, values in events],
                             [(row["epoch"], {tag: as_float(row[tag]) for tag in TAGS})
                              for row in history])
            times = [at for at, _, _ in events]
            self.assertAlmostEqual(times[1] - times[0], history[1]["seconds"], places=5)

    @unittest.skipUnless(importlib.util.find_spec("tensorboard"), "no tensorboard")
    def test_tensorboards_own_reader_reads_it(self):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        run = self.runs[0]
        self.export("--to", "tensorboard", self.directory, run)
        reader = EventAccumulator(os.path.dirname(self.events_of(run)))
        reader.Reload()
        self.assertEqual([(point.step, point.value) for point in reader.Scalars("val_error")],
                         [(row["epoch"], as_float(row["val_error"])) for row in self.history(run)])

    def test_repeated_it_adds_what_is_new_and_nothing_twice(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=100000)

        def export():
            self.export("--to", "tensorboard", self.directory, daemon=daemon)
            with open(self.events_of(run), "rb") as file:
                return file.read()

        daemon.events(run, until=lambda event: event["event"] == "epoch")
        daemon.curl(f"/api/v1/runs/{run}/pause", "-X", "POST")
        daemon.events(run, until=lambda event: event["data"].get("state") == "paused")
        first = export()
        number = os.stat(self.events_of(run)).st_ino
        self.assertEqual(export(), first)
        with open(self.events_of(run), "r+b") as file:
            file.truncate(len(first) - 5)  # an export that was cut off
        n_before = len(daemon.get(f"/api/v1/runs/{run}/epochs")["items"])
        daemon.curl(f"/api/v1/runs/{run}/resume", "-X", "POST")
        daemon.events(run, until=lambda event: event["event"] == "epoch"
                      and event["data"]["epoch"] > n_before)
        daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        daemon.wait_for_end(run)
        self.assertTrue(export().startswith(first))
        steps = [step for _, step, _ in read_events(self.events_of(run))]
        self.assertGreater(len(steps), n_before)
        self.assertEqual(steps, list(range(1, len(steps) + 1)))
        self.assertEqual(os.stat(self.events_of(run)).st_ino, number)  # it grew
        with open(self.events_of(run), "r+b") as file:
            file.write(b"something else")
        export()
        self.assertEqual(len(read_events(self.events_of(run))), len(steps))

    def test_csv_has_the_histories_and_the_configurations(self):
        self.export("--to", "csv", self.directory)
        with open(os.path.join(self.directory, "runs.csv"), encoding="utf-8", newline="") as file:
            runs = list(csv.DictReader(file))
        self.assertEqual([(run["id"], run["name"], run["m"], run["state"]) for run in runs],
                         [(run, f'm "{m}", first', m, "succeeded") for run, m in zip(self.runs, "12")])
        for run in self.runs:
            with open(os.path.join(self.directory, f"run-{run}.csv"), encoding="utf-8") as file:
                text = file.read()
            rows = list(csv.DictReader(text.splitlines()))
            expected = self.history(run)
            self.assertEqual(list(rows[0]), list(expected[0]))
            self.assertEqual([{name: float(value) if value else None for name, value in row.items()} for row in rows],
                             [{name: None if value is None else float(value) for name, value in row.items()}
                              for row in expected])
        self.export("--to", "csv", self.directory, self.runs[1])
        with open(os.path.join(self.directory, "runs.csv"), encoding="utf-8") as file:
            self.assertEqual(len(file.read().splitlines()), 2)

    def test_an_export_that_fails_leaves_the_files_of_before(self):
        self.export("--to", "csv", self.directory)
        runs = os.path.join(self.directory, "runs.csv")
        with open(runs, encoding="utf-8") as file:
            before = file.read()
        self.assertIn("999", self.export("--to", "csv", self.directory, self.runs[0], "999", status=1))
        with open(runs, encoding="utf-8") as file:
            self.assertEqual(file.read(), before)

    def test_a_file_that_cannot_be_written_leaves_that_of_before(self):
        self.export("--to", "csv", self.directory)
        names = sorted(os.listdir(self.directory))
        other = os.path.join(self.directory, f"run-{self.runs[0]}.csv")
        with open(other, "w", encoding="utf-8") as file:
            file.write("something else")
        said = self.export("--to", "csv", self.directory, status=3, prefix=["prlimit", "--fsize=100", "--"])
        self.assertIn(f"cannot write {other}: File too large", said)
        with open(other, encoding="utf-8") as file:
            self.assertEqual(file.read(), "something else")
        self.assertEqual(sorted(os.listdir(self.directory)), names)

    def test_what_cannot_be_exported_is_said(self):
        self.assertIn("--to tensorboard", self.export(self.directory, status=64))
        self.assertIn("needs --to", self.export("--to", "xml", self.directory, status=64))
        self.assertIn("ids of runs", self.export("--to", "csv", self.directory, "7x", status=64))
        self.assertIn("999", self.export("--to", "csv", self.directory, "999", status=1))
        self.assertIn("cannot make the directory",
                      self.export("--to", "csv", self.directory + "/a/b", status=3))


if __name__ == "__main__":
    unittest.main()
