"""tools/python/cutoutd.py against the daemon, and the notebook that shows it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase, tls_daemon, unix_daemon

PYTHON = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "tools", "python"))
sys.path.insert(0, PYTHON)
import cutoutd  # noqa: E402

try:
    import pandas
except ImportError:
    pandas = None
HAS_JUPYTER = shutil.which("jupyter-nbconvert") is not None and subprocess.run(
    ["/usr/bin/python3", "-c", "import ipykernel"], capture_output=True, check=False).returncode == 0


def rows_of(frame):
    return frame if pandas is None else frame.to_dict("records")


class Client(DaemonTestCase):
    def setUp(self):
        self.lab = cutoutd.Client("http://" + self.daemon.address)

    def test_a_run_from_submit_to_its_figure(self):
        run = self.lab.submit(**TINY)
        heard = []
        [ended] = self.lab.wait(run, on_event=heard.append)
        self.assertEqual(ended["state"], "succeeded")
        self.assertIn("end", [event["event"] for event in heard])
        rows = rows_of(self.lab.epochs(run))
        self.assertEqual([row["epoch"] for row in rows], [1, 2])
        self.assertEqual({row["run"] for row in rows}, {run["id"]})
        self.assertEqual(list(rows[0]), ["run", *cutoutd.EPOCH_COLUMNS])
        self.assertEqual(rows[-1]["val_error"], ended["last"]["val_error"])
        figure = self.lab.figure(run, title="a, b & c")
        self.assertIn("<svg", figure._repr_svg_())
        self.assertIn("a, b &amp; c", figure._repr_svg_())
        self.assertIsNone(figure._repr_png_())
        png = self.lab.figure(run, "png")
        self.assertTrue(png._repr_png_().startswith(b"\x89PNG"))
        with tempfile.TemporaryDirectory() as directory:
            png.save(os.path.join(directory, "curves.png"))
            with open(os.path.join(directory, "curves.png"), "rb") as file:
                self.assertEqual(file.read(), png.data)

    def test_a_sweep_is_the_product_of_its_lists(self):
        sweep = self.lab.sweep(name="which m", **dict(TINY, m=[1, 2], seed=range(1, 3), epochs=1,
                                                      lr_schedule=[{"epoch": 1, "lr": 1e-4}]))
        runs = self.lab.wait(sweep)
        self.assertEqual([(run["config"]["m"], run["config"]["seed"]) for run in runs],
                         [(1, 1), (1, 2), (2, 1), (2, 2)])
        self.assertEqual(len(rows_of(self.lab.epochs(sweep))), 4)
        compared = self.lab.compare(sweep, group_by="m", target=1)
        self.assertEqual([(group["key"]["m"], group["n"]) for group in compared["groups"]],
                         [(1, 2), (2, 2)])
        self.assertIn("<svg", self.lab.figure(sweep, group_by=["m", "seed"]).data.decode())
        self.assertEqual({run["id"] for run in self.lab.runs(sweep=sweep["id"], state="succeeded")},
                         set(sweep["runs"]))

    def test_what_a_halving_ranks_out_is_not_waited_for(self):
        body = {"base": {name: value for name, value in TINY.items() if name != "seed"},
                "grid": {"seed": [1, 2, 3]}, "halving": {"first_epochs": 1}}
        runs = []
        waiting = threading.Thread(target=lambda: runs.extend(self.lab.wait(
            self.lab.request("POST", "/sweeps", None, body).json())), daemon=True)
        waiting.start()
        waiting.join(PATIENCE_S)
        self.assertEqual(sorted(run["state"] for run in runs), ["paused", "paused", "succeeded"])

    def test_the_same_key_is_the_same_run(self):
        first = self.lab.submit("once", **dict(TINY, hold=True))
        again = self.lab.submit("once", **dict(TINY, hold=True))
        self.assertEqual(first["id"], again["id"])
        self.assertNotEqual(first["id"], self.lab.submit(**dict(TINY, hold=True))["id"])

    def test_a_refusal_says_what_is_wrong(self):
        with self.assertRaises(cutoutd.Problem) as refused:
            self.lab.submit(dephth=8, m=0)
        self.assertEqual(refused.exception.status, 422)
        self.assertIn("dephth", str(refused.exception))
        self.assertIn("depth", str(refused.exception))
        with self.assertRaises(cutoutd.Problem) as refused:
            self.lab.run(999999)
        self.assertEqual(refused.exception.status, 404)
        with self.assertRaises(cutoutd.Problem):
            list(self.lab.stream("/runs/999999/events"))

    def test_lists_longer_than_a_page_come_whole(self):
        n = 7
        before = len(self.lab.runs())
        for _ in range(n):
            self.lab.submit(**dict(TINY, hold=True))
        self.assertEqual(len(list(self.lab.pages("/runs", limit=3))), before + n)

    def test_a_restart_of_the_daemon_is_waited_for(self):
        daemon = self.fresh()
        daemon.listen = daemon.address  # the same port again
        lab = cutoutd.Client("http://" + daemon.address)
        run = lab.submit(**dict(TINY, epochs=100000))
        daemon.events(run["id"], until=lambda event: event["event"] == "epoch")
        ended = []
        waiting = threading.Thread(target=lambda: ended.extend(lab.wait(run)))
        waiting.start()
        daemon.kill()
        daemon.start()
        daemon.curl(f"/api/v1/runs/{run['id']}/cancel", "-X", "POST")
        waiting.join(PATIENCE_S)
        self.assertEqual([run["state"] for run in ended], ["canceled"])

    def test_nothing_there_is_said_after_the_patience(self):
        with self.assertRaises(cutoutd.Unreachable):
            cutoutd.Client("http://127.0.0.1:1", patience=0).get("/system")
        with self.assertRaises(ValueError):
            cutoutd.Client("ftp://127.0.0.1").get("/system")

    def test_sockets_and_certificates(self):
        for daemon in (unix_daemon(), tls_daemon()):
            self.addCleanup(self.dispose, daemon)
            daemon.start()
            server = daemon.address if "://" in daemon.address else daemon.address
            cacert = dict(zip(daemon.curl_options[::2], daemon.curl_options[1::2])).get("--cacert")
            lab = cutoutd.Client(server, cacert=cacert)
            self.assertEqual(lab.get("/runs")["items"], [])

    def test_a_notebook_completes_the_fields(self):
        import inspect
        for function, names in ((cutoutd.Client.submit, cutoutd.RUN_FIELDS),
                                (cutoutd.Client.figure, cutoutd.FIGURE_ARGUMENTS)):
            self.assertLessEqual(set(names), set(inspect.signature(function).parameters))

    @unittest.skipUnless(HAS_JUPYTER, "no jupyter-nbconvert with python3-ipykernel")
    def test_the_example_notebook_runs(self):
        with tempfile.TemporaryDirectory(prefix="cutoutd-notebook-") as directory:
            shutil.copy(os.path.join(PYTHON, "example.ipynb"), directory)
            shutil.copy(os.path.join(PYTHON, "cutoutd.py"), directory)
            result = subprocess.run(
                ["jupyter-nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb",
                 "example.ipynb"], cwd=directory, capture_output=True, encoding="utf-8",
                timeout=2 * PATIENCE_S, check=False,
                env=dict(os.environ, CUTOUTCTL_SERVER="http://" + self.daemon.address,
                         HOME=directory, PYTHONPATH="", PYTHONDONTWRITEBYTECODE="1"))
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(os.path.join(directory, "done.ipynb"), encoding="utf-8") as file:
                cells = json.load(file)["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        self.assertTrue(all(output["output_type"] == "execute_result" for output in outputs))
        self.assertEqual(len(outputs), sum(cell["cell_type"] == "code" for cell in cells))
        texts = ["".join(output["data"].get("text/plain", "")) for output in outputs]
        self.assertIn("'succeeded'", texts[2])
        self.assertIn("<svg", "".join(outputs[-1]["data"]["image/svg+xml"]))


if __name__ == "__main__":
    unittest.main()
