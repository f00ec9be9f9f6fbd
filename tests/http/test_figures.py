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


class PipeAsDataSet(DaemonTestCase):
    """A data set whose file is a pipe: who opened it to read would wait until somebody writes."""

    @classmethod
    def make_daemon(cls):
        daemon = super().make_daemon()
        os.mkfifo(os.path.join(daemon.directory, "data_batch_1.bin"))
        daemon.flags = ["--dataset", "slow=" + daemon.directory]
        return daemon

    def test_it_is_refused_and_holds_nobody_up(self):
        url = self.daemon.url("/api/v1/figures/cutout.png?dataset=slow")
        # More than there are threads that serve connections or draw.
        pictures = [subprocess.Popen(["curl", "-sS", "--max-time", str(PATIENCE_S), url],
                                     stdout=subprocess.PIPE) for _ in range(8)]
        for picture in pictures:
            problem = json.loads(picture.communicate(timeout=PATIENCE_S)[0])
            self.assertEqual(problem["status"], 500)
        self.assertEqual(self.daemon.curl("/healthz").status, 200)
        sets = {item["name"]: item for item in self.daemon.curl("/api/v1/datasets").json()["items"]}
        self.assertFalse(sets["slow"]["available"])
        self.assertIn("data_batch_1.bin", sets["slow"]["problem"])


if __name__ == "__main__":
    unittest.main()
