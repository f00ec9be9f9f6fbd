"""tools/python/cutoutd.py against the daemon, and the notebook that shows it."""

import contextlib
import http.client
import http.server
import json
import os
import queue
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
import unittest
import unittest.mock

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


class Proxy:
    """Between a client and the daemon. `plan` says what happens to the next requests, one after the
    other: a status that is answered in the daemon's place, "forward", "drop" (the daemon's answer
    is lost), "cut" (it ends in the middle of its first line), or "leave" (the connection is given
    up while the daemon answers). Behind the plan all are forwarded."""

    def __init__(self, daemon):
        self.daemon, self.plan = daemon, []
        self.answered = []  # the statuses that the client got
        self.left = queue.Queue()  # those of requests that were left
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                proxy.serve(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        todo = self.plan.pop(0) if self.plan else "forward"
        if isinstance(todo, int):
            self.answered.append(todo)
            handler.send_response(todo)
            handler.send_header("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")
            handler.end_headers()
            handler.wfile.write(b"<html>")
        elif todo == "leave":
            # Sent twice, one of the two is refused: the other one is being answered by now.
            for _ in range(2):
                threading.Thread(target=lambda: self.left.put(self.ask(handler, body)), daemon=True).start()
            assert self.left.get(timeout=PATIENCE_S) == 409
        else:
            self.ask(handler, body, todo)

    def ask(self, handler, body, todo="drop"):
        connection = http.client.HTTPConnection(self.daemon.address, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(handler.command, handler.path, body, dict(handler.headers))
            with connection.getresponse() as response:
                if todo == "drop":
                    response.read()
                    return response.status
                self.answered.append(response.status)
                handler.send_response(response.status)
                for name, value in response.getheaders():
                    if name not in ("Transfer-Encoding", "Connection"):
                        handler.send_header(name, value)
                handler.end_headers()
                for line in response:
                    handler.wfile.write(line[:len(line) // 2] if todo == "cut" else line)
                    if todo == "cut":
                        break
                return response.status


class BehindAProxy(DaemonTestCase):
    def setUp(self):
        self.proxy = Proxy(self.daemon)
        self.addCleanup(self.proxy.stop)
        self.lab = cutoutd.Client(self.proxy.url)
        self.now_s, self.pauses = 0, []
        self.pause = self.pauses.append
        clock = types.SimpleNamespace(monotonic=lambda: self.now_s, sleep=lambda s: self.pause(s))
        patch = unittest.mock.patch.object(cutoutd, "time", clock)
        patch.start()
        self.addCleanup(patch.stop)

    def submit_one(self, *plan):
        """Submits a run by way of the proxy's plan: there must be one more then, the one it is."""
        before = {run["id"] for run in self.lab.runs()}
        self.proxy.plan = list(plan)
        run = self.lab.submit(**dict(TINY, hold=True))
        self.assertEqual(self.proxy.plan, [])
        self.assertEqual({run["id"] for run in self.lab.runs()} - before, {run["id"]})

    def test_what_a_proxy_says_while_the_daemon_is_away_makes_no_run_twice(self):
        for plan in (["drop"], [502], [504], [503], ["drop", 502, 504], [502, "drop", 503]):
            with self.subTest(plan=plan):
                self.submit_one(*plan)

    def test_what_a_repeat_cannot_change_is_said_at_once(self):
        run = self.lab.submit(**dict(TINY, hold=True))
        for plan, status in (([403], 403), ([500], 500), ([], 409)):
            self.proxy.plan, self.proxy.answered = plan, []
            with self.subTest(status=status), self.assertRaises(cutoutd.Problem) as refused:
                self.lab.request("POST", f"/runs/{run['id']}/resume", headers={"Idempotency-Key": str(status)})
            self.assertEqual((refused.exception.status, self.proxy.answered), (status, [status]))

    def test_the_patience_begins_with_the_first_failure(self):
        answer = self.proxy.serve

        def slow(handler):
            self.now_s += self.lab.timeout  # which is also the patience
            self.proxy.serve = answer
            answer(handler)
        self.lab.runs()
        before = len(self.lab.runs())
        self.proxy.serve, self.proxy.plan = slow, ["drop"]
        self.lab.submit(**dict(TINY, hold=True))
        self.assertEqual(len(self.lab.runs()), before + 1)

    def test_the_patience_ends(self):
        def pause(seconds):
            self.pauses.append(seconds)
            self.now_s += seconds
        self.pause, self.proxy.plan = pause, 100 * [502]
        with self.assertRaises(cutoutd.Problem) as refused:
            self.lab.runs()
        self.assertEqual(refused.exception.status, 502)
        self.assertLessEqual(self.now_s, self.lab.patience)
        self.assertGreater(self.now_s, self.lab.patience - 6)

    def test_a_repeat_while_the_first_is_still_being_answered_gets_its_run(self):
        lock = sqlite3.connect(os.path.join(self.daemon.state_dir, "cutoutd.db"), isolation_level=None)
        self.addCleanup(lock.close)

        def pause(seconds):
            self.pauses.append(seconds)
            if seconds >= 1:
                lock.rollback()
                self.assertEqual(self.proxy.left.get(timeout=PATIENCE_S), 201)
        self.pause = pause
        lock.execute("BEGIN IMMEDIATE")  # so that the daemon cannot answer yet
        self.submit_one("leave")
        self.assertIn(409, self.proxy.answered)
        self.assertEqual(self.pauses, [0.1, 1])

    def test_wait_passes_over_what_a_proxy_says_and_streams_that_it_cuts(self):
        run = self.lab.submit(**dict(TINY, hold=True))
        self.proxy.plan = [502, "forward", 502, "forward", 504, "forward", 503, "forward", "cut"]
        heard = []

        def hear(event):
            heard.append(event["event"])
            if event["event"] == "snapshot":
                self.daemon.curl(f"/api/v1/runs/{run['id']}/cancel", "-X", "POST")
        [ended] = self.lab.wait(run, on_event=hear)
        self.assertEqual((ended["state"], self.proxy.plan), ("canceled", []))
        self.assertEqual((heard.count("snapshot"), heard[-1]), (1, "end"))


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

    def wait_in_time(self, lab, what, **more):
        """What lab.wait() returns; fails instead of waiting for ever."""
        ended = []
        waiting = threading.Thread(target=lambda: ended.append(lab.wait(what, **more)), daemon=True)
        waiting.start()
        waiting.join(PATIENCE_S)
        self.assertEqual(len(ended), 1, "wait() has not returned")
        return ended[0]

    def test_a_run_that_halving_left_behind_has_ended(self):
        base = dict({name: value for name, value in TINY.items() if name != "m"}, epochs=2)
        sweep = self.lab.request("POST", "/sweeps", None, {
            "base": base, "grid": {"seed": [1, 2, 3]}, "halving": {"first_epochs": 1, "eta": 3}}).json()
        heard = []
        runs = self.wait_in_time(self.lab, sweep, on_event=heard.append)
        self.assertEqual(sorted(run["state"] for run in runs), ["paused", "paused", "succeeded"])
        self.assertIn("paused", [event["data"]["state"] for event in heard if event["event"] == "state"])
        self.assertEqual([run["id"] for run in self.wait_in_time(self.lab, sweep)], sweep["runs"])
        # Left behind between the question for the run and the first event of its stream.
        lab = cutoutd.Client(self.lab.server)
        [left, _] = [run for run in runs if run["state"] == "paused"]
        answers = iter([dict(left, state="running", halving=None)])
        lab.run = lambda run: next(answers, None) or self.lab.run(run)
        self.assertEqual(self.wait_in_time(lab, left)[0]["state"], "paused")

    def test_streams_may_break_off_as_often_as_they_like(self):
        run = self.lab.submit(**dict(TINY, hold=True))
        lab = cutoutd.Client(self.lab.server)
        broken, pauses = [], []

        def stream(_):
            broken.append(True)
            if len(broken) == 1100:
                self.lab.request("POST", f"/runs/{run['id']}/cancel")
            raise ConnectionResetError("broken off")
        lab.stream = stream
        with unittest.mock.patch.object(cutoutd.time, "sleep", pauses.append):
            self.assertEqual(self.wait_in_time(lab, run)[0]["state"], "canceled")
        self.assertEqual(pauses[:3], [0.2, 0.4, 0.8])
        self.assertEqual(set(pauses[5:]), {5})

    def test_nothing_there_is_said_after_the_patience(self):
        with self.assertRaises(cutoutd.Unreachable):
            cutoutd.Client("http://127.0.0.1:1", patience=0).get("/system")
        with self.assertRaises(cutoutd.Unreachable) as unknown:
            cutoutd.Client("http://127.0.0.1:1", patience=0).submit("mine")
        self.assertIn("it may have been done: idempotency_key='mine' gets its answer", str(unknown.exception))
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
