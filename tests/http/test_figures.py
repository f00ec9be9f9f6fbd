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

    def test_the_view_of_the_page_is_drawn_by_the_same_arguments(self):
        daemon = self.daemon
        runs = [daemon.submit(m=m, seed=seed) for m in (1, 2) for seed in (1, 2)]
        for run in runs:
            daemon.wait_for_end(run)
        held = daemon.submit(m=4, hold=True)
        asked = f"{FIGURE}.svg?ids={','.join(runs + [held])}&group_by=m&title=a%20%3Cb%3E"

        def svg(query=""):
            answer = daemon.curl(asked + query)
            self.assertEqual(answer.status, 200, answer.body)
            return answer.body

        plain = svg()
        self.assertIn(">a &lt;b&gt;</text>", plain)
        self.assertIn(">M 1</text>", plain)
        self.assertNotIn(">M 4</text>", plain)  # has no epoch
        self.assertIn("validation error, %", plain)
        self.assertIn("Band: mean", plain)
        self.assertNotIn(", %", svg("&unit=fraction"))
        self.assertIn("Faint: each run", svg("&seeds=each"))
        self.assertIn("median of 5 epochs", svg("&smooth=5"))
        self.assertNotIn(">M 1</text>", svg("&hide=1"))
        self.assertIn("No epoch is finished yet.", svg("&hide=1,m%3D2"))
        self.assertIn(">1.5</text>", svg("&zoom=1.2,1.8"))
        views = [svg(view) for view in ("&y=log", "&y=linear", "&x=images&x_log=true", "&x=images",
                                        "&x=step", "&x=seconds", "&zoom=1,2,0.1,0.9", "&theme=dark",
                                        "&metric=train_accuracy")]
        self.assertEqual(len(set(views)), len(views))

    def test_one_run_is_called_by_its_name(self):
        run = self.daemon.submit(name="alone")
        self.daemon.wait_for_end(run)
        self.assertIn(f">run {run} alone</text>", self.daemon.curl(f"{FIGURE}.svg?ids={run}").body)

    def test_views_that_make_no_sense_are_named(self):
        for name, value in (("y", "cube"), ("x_log", "yes"), ("unit", "mm"), ("seeds", "some"),
                            ("smooth", "102"), ("zoom", "1"), ("zoom", "1,2,3"), ("zoom", "2,1"),
                            ("zoom", "0,5e-324"), ("zoom", "0,1e-50"), ("zoom", "-1e308,1e308"),
                            ("zoom", "1,2,3,4,5"), ("zoom", "1,nan"), ("zoom", "1,"), ("width", "20")):
            with self.subTest(name=name, value=value):
                answer = self.daemon.curl(f"{FIGURE}.svg?ids=1&{name}={value}")
                problem = self.assert_problem(answer, 400)
                self.assertEqual(problem["errors"][0]["parameter"], name)

    def test_instances_of_an_image(self):
        answer, first = self.picture("/api/v1/figures/cutout.png?index=5&m=8&cutout_size=12")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.type, "image/png")
        self.assertTrue(first.startswith(b"\x89PNG"))
        _, other = self.picture("/api/v1/figures/cutout.png?index=5&m=8&cutout_size=12&seed=2")
        self.assertNotEqual(first, other)
        large, next_to_it = (self.picture(f"/api/v1/figures/cutout.png?index=5&m=8&cutout_size=12&seed=900719925474099{i}")[1]
                             for i in (0, 1))
        self.assertTrue(large != next_to_it)
        seen = {first, other}
        for mix in ("cutmix", "mixup", "erasing"):
            answer, mixed = self.picture(f"/api/v1/figures/cutout.png?index=5&m=8&cutout_size=0&mix={mix}")
            self.assertEqual(answer.status, 200)
            seen.add(mixed)
        _, fewer = self.picture("/api/v1/figures/cutout.png?index=5&m=8&cutout_size=0&mix=mixup&train_images=20")
        self.assertEqual(len(seen | {fewer}), 6)

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
