"""Errors by class: which class the validation of the best epoch took for which."""

import csv
import io
import os
import sqlite3
import unittest

from daemon_process import TINY, DaemonTestCase


class Confusion(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_id = cls.daemon.submit(epochs=3)
        cls.daemon.wait_for_end(cls.run_id)

    def matrix(self, run, daemon=None):
        return (daemon or self.daemon).get(f"/api/v1/runs/{run}/confusion")

    def test_it_is_that_of_the_best_epoch(self):
        best = self.daemon.get(f"/api/v1/runs/{self.run_id}")["best"]
        matrix = self.matrix(self.run_id)
        self.assertEqual(matrix["epoch"], best["epoch"])
        self.assertEqual(len(matrix["classes"]), 10)
        self.assertEqual(sum(map(sum, matrix["counts"])), TINY["test_images"])
        right = sum(matrix["counts"][i][i] for i in range(10))
        self.assertEqual(TINY["test_images"] - right, best["val_wrong"])

    def test_csv_has_a_row_a_true_class(self):
        response = self.daemon.curl(f"/api/v1/runs/{self.run_id}/confusion?format=csv")
        self.assertEqual(response.type, "text/csv; charset=utf-8")
        head, *rows = list(csv.reader(io.StringIO(response.body)))
        matrix = self.matrix(self.run_id)
        self.assertEqual(head, ["class"] + matrix["classes"])
        self.assertEqual([row[0] for row in rows], matrix["classes"])
        self.assertEqual([[int(cell) for cell in row[1:]] for row in rows], matrix["counts"])

    def test_unchanged_it_is_not_sent_again(self):
        path = f"/api/v1/runs/{self.run_id}/confusion"
        tag = self.daemon.curl(path).headers["etag"]
        self.assertEqual(self.daemon.curl(path, "-H", f"If-None-Match: {tag}").status, 304)

    def test_a_fork_begins_with_that_of_its_source(self):
        fork = self.daemon.curl(f"/api/v1/runs/{self.run_id}/fork",
                                data={"overrides": {"epochs": 9, "hold": True},
                                      "from_epoch": "best"}).json()["id"]
        self.assertEqual(self.matrix(fork), self.matrix(self.run_id))

    def test_without_one_the_answer_says_why(self):
        held = self.daemon.submit(hold=True)
        response = self.daemon.curl(f"/api/v1/runs/{held}/confusion")
        self.assertEqual(response.status, 404)
        self.assertIn("has not finished an epoch yet", response.json()["detail"])
        self.assertEqual(self.daemon.curl("/api/v1/runs/999/confusion").status, 404)
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{held}/confusion?format=xml",
                                          malformed=True).status, 400)

    def test_a_run_of_before_it_was_counted_has_none(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=1)
        daemon.wait_for_end(run)
        self.assertEqual(daemon.terminate(), 0)
        with sqlite3.connect(os.path.join(daemon.state_dir, "cutoutd.db")) as database:
            database.execute("DELETE FROM confusion")
        database.close()
        daemon.start()
        response = daemon.curl(f"/api/v1/runs/{run}/confusion")
        self.assertEqual(response.status, 404)
        self.assertIn("was not counted", response.json()["detail"])


if __name__ == "__main__":
    unittest.main()
