"""Figures of the real daemon: curves of runs that were trained, the instances of an image."""

import json
import os
import subprocess
import unittest

from daemon_process import PATIENCE_S, DaemonTestCase

FIGURE = "/api/v1/figures/validation-error"


class Figures(DaemonTestCase):
    def picture(self, path):
        """The answer's head, and the picture as bytes."""
        file = os.path.join(self.daemon.directory, "picture")
        answer = self.daemon.curl(path, "--output", file)
        with open(file, "rb") as stream:
            return answer, stream.read()

    def test_curves_of_two_runs_as_svg_png_and_pdf(self):
        daemon = self.daemon
        ids = ",".join([daemon.submit(m=1, seed=1), daemon.submit(m=2, seed=1)])
        for run in ids.split(","):
            daemon.wait_for_end(run)
        kinds = {"svg": ("image/svg+xml", b"<?xml"), "png": ("image/png", b"\x89PNG"),
                 "pdf": ("application/pdf", b"%PDF")}
        for name, (content_type, head) in kinds.items():
            with self.subTest(name):
                answer, bytes_ = self.picture(f"{FIGURE}.{name}?ids={ids}&group_by=m&target=0.5")
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.type, content_type)
                self.assertTrue(bytes_.startswith(head))
                again = daemon.curl(f"{FIGURE}.{name}?ids={ids}&group_by=m&target=0.5", "-H",
                                    f"If-None-Match: {answer.headers['etag']}")
                self.assertEqual(again.status, 304)

    def test_instances_of_an_image(self):
        answer, first = self.picture("/api/v1/figures/cutout.png?index=5&m=8&cutout_size=12")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.type, "image/png")
        self.assertTrue(first.startswith(b"\x89PNG"))
        _, other = self.picture("/api/v1/figures/cutout.png?index=5&m=8&cutout_size=12&seed=2")
        self.assertNotEqual(first, other)

    def test_arguments_that_make_no_sense_are_named(self):
        for query, name in (("index=512", "index"), ("m=65", "m"), ("m=x", "m"),
                            ("colour=red", "colour"), ("theme=blue", "theme"),
                            ("epoch=0", "epoch"), ("cutout_size=99", "cutout_size")):
            with self.subTest(query):
                answer = self.daemon.curl("/api/v1/figures/cutout.png?" + query)
                problem = self.assert_problem(answer, 400)
                self.assertEqual(problem["errors"][0]["parameter"], name)


class SlowDataSet(DaemonTestCase):
    """A data set whose file is a pipe: who reads it waits until somebody opens the other end."""

    @classmethod
    def make_daemon(cls):
        daemon = super().make_daemon()
        cls.pipe = os.path.join(daemon.directory, "data_batch_1.bin")
        os.mkfifo(cls.pipe)
        daemon.flags = ["--dataset", "slow=" + daemon.directory]
        return daemon

    def test_reading_a_data_set_for_a_picture_holds_nobody_up(self):
        url = self.daemon.url("/api/v1/figures/cutout.png?dataset=slow")
        # More than there are threads that serve connections.
        pictures = [subprocess.Popen(["curl", "-sS", "--max-time", str(PATIENCE_S), url],
                                     stdout=subprocess.PIPE) for _ in range(8)]
        # The first has begun to read when this returns; then it sees that it is no file, and the
        # next one waits in its place.
        os.close(os.open(self.pipe, os.O_WRONLY))
        for _ in range(8):
            self.assertEqual(self.daemon.curl("/healthz").status, 200)
        self.assertTrue(any(picture.poll() is None for picture in pictures))
        # Both ends: nobody waits any more.
        both = os.open(self.pipe, os.O_RDWR)
        for picture in pictures:
            problem = json.loads(picture.communicate(timeout=PATIENCE_S)[0])
            self.assertEqual(problem["status"], 500)
        os.close(both)


if __name__ == "__main__":
    unittest.main()
