"""What a start does, and in which order: a start that fails touches no run, and what is not there yet is waited for."""

import os
import shutil
import socket
import sqlite3
import subprocess
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase

LONG = dict(TINY, epochs=100000)
ROWS = "SELECT id, state, attempt, reason, revision FROM run ORDER BY id"


class Start(DaemonTestCase):
    def rows(self, daemon):
        path = os.path.join(daemon.state_dir, "cutoutd.db")
        with sqlite3.connect(path) as database:
            return database.execute(ROWS).fetchall()

    def test_a_taken_port_touches_no_run(self):
        daemon = self.fresh()
        running = daemon.submit(**LONG)
        daemon.submit(**TINY)
        daemon.events(running, until=lambda event: event["event"] == "epoch")
        daemon.kill()
        before = self.rows(daemon)
        self.assertEqual([row[1] for row in before], ["running", "queued"])
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            for _ in range(2):
                result = subprocess.run(
                    [os.environ["CUTOUTD"], "serve", "--state-dir", daemon.state_dir, "--listen",
                     f"127.0.0.1:{taken.getsockname()[1]}"],
                    capture_output=True, text=True, timeout=PATIENCE_S, check=False)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("it is in use; `ss -ltnp` names by whom", result.stderr)
        self.assertEqual(self.rows(daemon), before)
        daemon.start()
        self.assertEqual(daemon.get(f"/api/v1/runs/{running}")["attempt"], 2)

    def test_a_database_that_has_lost_which_one_it_is_is_told_with_the_remedy(self):
        daemon = self.fresh()
        daemon.kill()
        with sqlite3.connect(os.path.join(daemon.state_dir, "cutoutd.db")) as database:
            database.execute("DELETE FROM setting WHERE name = 'instance'")
        with self.assertRaisesRegex(AssertionError, "it is damaged .*restore a backup"):
            daemon.start()

    def test_with_too_few_files_it_says_how_many_it_needs(self):
        daemon = self.make_daemon()
        self.addCleanup(self.dispose, daemon)
        daemon.prefix = ["prlimit", "--nofile=48:48"]
        with self.assertRaisesRegex(AssertionError, "may have 48 files open, and needs 160"):
            daemon.start()
        self.assertFalse(os.path.exists(daemon.state_dir))

    def test_clients_cannot_take_the_files_of_training(self):
        daemon = self.make_daemon()
        self.addCleanup(self.dispose, daemon)
        daemon.prefix = ["prlimit", "--nofile=160:160"]
        daemon.start()
        run = daemon.submit(**TINY)
        host, port = daemon.address.rsplit(":", 1)
        for _ in range(200):
            connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
            self.addCleanup(connection.close)
        daemon.wait_for_log(f"run {run}: (succeeded|failed)")
        self.assertIn(f"run {run}: succeeded", daemon.log())

    def test_a_run_says_where_it_is_trained(self):
        daemon = self.fresh()
        running = daemon.submit(**LONG)
        waiting = daemon.submit(executor="local", **TINY)
        daemon.events(running, until=lambda event: event["event"] == "epoch")
        self.assertEqual(daemon.get(f"/api/v1/runs/{running}")["placement"],
                         {"executor": "local", "job": None, "node": None, "state": None, "reason": None})
        self.assertIsNone(daemon.get(f"/api/v1/runs/{waiting}")["placement"])
        problem = self.assert_problem(
            daemon.curl("/api/v1/runs", "-d", '{"executor":"locl"}', "-H",
                        "Content-Type: application/json"), 422)
        self.assertEqual(problem["errors"][0]["pointer"], "/executor")
        self.assertIn("local", problem["errors"][0]["detail"])

    def test_runs_of_an_unmounted_data_set_wait_and_others_go_before_them(self):
        daemon = self.make_daemon()
        images = os.path.join(daemon.directory, "images")
        os.mkdir(images)
        subprocess.run([os.environ["SHAPES_EXPORT"], images, "64", "20"], check=True,
                       timeout=PATIENCE_S)
        daemon.flags = ["--dataset", f"lab={images}", "--dataset", f"never={images}-never"]
        self.addCleanup(self.dispose, daemon)
        daemon.start()
        daemon.curl("/api/v1/scheduler/drain", "-X", "POST")
        runs = [daemon.submit(**dict(TINY, dataset="lab", train_images=16, test_images=20,
                                     epochs=1)) for _ in range(3)]
        self.assertEqual(daemon.terminate(), 0)
        shutil.move(images, images + "-away")
        daemon.start()
        daemon.curl("/api/v1/scheduler/resume", "-X", "POST")
        other = daemon.submit(**dict(TINY, epochs=1))
        self.assertEqual(daemon.wait_for_end(other)["state"], "succeeded")
        # It was there before: a new run of it waits like those, whatever its size is now.
        lab = dict(TINY, dataset="lab", train_images=16, test_images=20, epochs=1)
        plan = daemon.curl("/api/v1/runs?dry_run=true", data=lab).json()
        self.assertEqual((plan["steps_per_epoch"], plan["images_per_epoch"]), (None, None))
        runs.append(daemon.submit(**lab))
        problem = self.assert_problem(
            daemon.curl("/api/v1/runs", "-d", '{"dataset":"never"}', "-H",
                        "Content-Type: application/json"), 422)
        self.assertIn("cannot be read", problem["errors"][0]["detail"])
        queue = daemon.get("/api/v1/queue")
        self.assertEqual([item["run"]["id"] for item in queue["items"]], runs)
        for item in queue["items"]:
            self.assertEqual(item["run"]["state"], "queued")
            self.assertIn(images, item["why_waiting"])
        shutil.move(images + "-away", images)
        for run in runs:
            ended = daemon.wait_for_end(run)
            self.assertEqual((ended["state"], ended["attempt"]), ("succeeded", 1))


if __name__ == "__main__":
    unittest.main()
