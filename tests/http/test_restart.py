"""No accepted run is ever lost, and an interrupted one ends with the same bits."""

import unittest

from daemon_process import DaemonTestCase, after_epoch


class Restart(DaemonTestCase):
    environment = {"CUTOUTD_CHECKPOINT_INTERVAL_S": "1"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.long = cls.daemon.lasting(m=2, cutout_size=12, flip=True, shift=0.1)
        run = cls.daemon.submit(**cls.long)
        cls.daemon.wait_for_end(run)
        cls.expected = cls.daemon.history(run)
        cls.confusion = cls.daemon.get(f"/api/v1/runs/{run}/confusion")

    def assert_same_end(self, daemon, run):
        """The run goes on to the history that it would have had without the interruption."""
        ended = daemon.wait_for_end(run)
        self.assertEqual(ended["state"], "succeeded")
        self.assertGreaterEqual(ended["attempt"], 2)
        self.assertEqual(daemon.history(run), self.expected)
        self.assertEqual(daemon.get(f"/api/v1/runs/{run}/confusion"), self.confusion)
        return ended

    def test_stopped_in_the_middle_it_goes_on_to_the_same_bits(self):
        daemon = self.fresh()
        run = daemon.submit(**self.long)
        waiting = daemon.submit(epochs=1)
        daemon.events(run, until=after_epoch(1))
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        self.assert_same_end(daemon, run)
        states = [(event["data"]["state"], event["data"]["attempt"])
                  for event in daemon.events(run, query="?since=0") if event["event"] == "state"]
        self.assertEqual(states, [("queued", 1), ("running", 1), ("queued", 2), ("running", 2),
                                  ("succeeded", 2)])
        self.assertEqual(daemon.wait_for_end(waiting)["state"], "succeeded")

    def test_killed_in_the_middle_it_goes_on_to_the_same_bits(self):
        daemon = self.fresh()
        run = daemon.submit(**self.long)
        waiting = daemon.submit(epochs=1)
        daemon.events(run, until=after_epoch(2))
        daemon.kill()
        daemon.start()
        self.assert_same_end(daemon, run)
        events = daemon.events(run, query="?since=0")
        epochs = [event["data"]["epoch"] for event in events if event["event"] == "epoch"]
        self.assertEqual(epochs, list(range(1, self.long["epochs"] + 1)))
        self.assertIn("interrupted", [event["data"].get("reason") for event in events])
        self.assertEqual(daemon.wait_for_end(waiting)["state"], "succeeded")

    def test_killed_again_and_again(self):
        daemon = self.fresh()
        run = daemon.submit(**self.long)
        for _ in range(3):
            daemon.events(run, until=lambda event: event["event"] in ("step", "end"))
            daemon.kill()
            daemon.start()
        self.assert_same_end(daemon, run)

    def test_accepted_run_survives_an_immediate_kill(self):
        daemon = self.fresh()
        runs = [daemon.submit(epochs=1, seed=i) for i in range(5)]
        daemon.kill()
        daemon.start()
        listed = [run["id"] for run in daemon.get("/api/v1/runs")["items"]]
        self.assertEqual(sorted(listed, key=int), runs)
        for run in runs:
            self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")

    def test_cancel_is_not_forgotten_by_a_kill(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=100000)
        daemon.events(run, until=lambda event: event["event"] == "step")
        self.assertIn(daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST").status, (200, 202))
        daemon.kill()
        daemon.start()
        self.assertEqual(daemon.wait_for_end(run)["state"], "canceled")


if __name__ == "__main__":
    unittest.main()
