"""Runs that end before their last epoch, by a rule of `stop`."""

import datetime
import unittest

from daemon_process import DaemonTestCase, after_epoch


class Stop(DaemonTestCase):
    def end(self, **fields):
        run = self.daemon.submit(**fields)
        self.daemon.wait_for_end(run)
        return self.daemon.get("/api/v1/runs/" + run)

    def test_run_that_reaches_its_target_succeeds_and_says_so(self):
        run = self.end(epochs=50, stop={"val_error": 1})
        self.assertEqual((run["state"], run["stopped_by"], run["epochs_done"]),
                         ("succeeded", "val_error", 1))
        self.assertIn("stopped after epoch 1: its validation error of ", run["reason"])
        self.assertEqual(run["config"]["stop"], {"val_error": 1})
        # It counts as one that has reached what it was stopped at.
        error = run["last"]["val_error"]
        group, = self.daemon.get(f"/api/v1/compare?ids={run['id']}&target={error}")["groups"]
        reached = group["to_target"]["epochs"]
        self.assertEqual((reached["n_reached"], reached["mean"]), (1, 1))

    def test_run_that_no_rule_ends_says_nothing(self):
        run = self.end(epochs=2, stop={"patience": 50, "max_seconds": 3600})
        self.assertEqual((run["state"], run["stopped_by"], run["reason"], run["epochs_done"]),
                         ("succeeded", None, None, 2))

    def test_budget_of_seconds_ends_a_run_and_its_estimate(self):
        run = self.end(epochs=50, stop={"max_seconds": 0.000001})
        self.assertEqual((run["stopped_by"], run["epochs_done"]), ("max_seconds", 1))
        run = self.daemon.submit(epochs=100000, stop={"max_seconds": 60})
        self.daemon.events(run, until=after_epoch(5))
        shown = self.daemon.get("/api/v1/runs/" + run)
        end = datetime.datetime.fromisoformat(
            shown["estimate"]["expected_end_at"].replace("Z", "+00:00"))
        left = (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        self.assertLess(left, 63)
        self.assertLess(shown["progress"]["eta_seconds"], 60)
        self.daemon.curl(f"/api/v1/runs/{run}/kill", "-X", "POST")

    def test_sweep_goes_over_rules(self):
        answer = self.daemon.curl("/api/v1/sweeps", data={
            "base": {"dataset": "shapes", "depth": 8, "batch_size": 8, "train_images": 16,
                     "test_images": 8, "epochs": 2, "m": 1},
            "grid": {"stop": [{}, {"val_error": 1}]}})
        self.assertEqual(answer.status, 201)
        ends = []
        for run in answer.json()["runs"]:
            self.daemon.wait_for_end(run)
            ends.append(self.daemon.get("/api/v1/runs/" + run)["stopped_by"])
        self.assertEqual(ends, [None, "val_error"])


if __name__ == "__main__":
    unittest.main()
