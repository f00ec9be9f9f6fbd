"""What a researcher may ask of a run on its way: hold, pause, kill and the ways back."""

import glob
import os
import unittest

from daemon_process import DaemonTestCase

# Far longer than any test waits.
ENDLESS = {"epochs": 100000}


def is_epoch(event):
    return event["event"] == "epoch"


def in_state(state):
    return lambda event: event["event"] == "state" and event["data"]["state"] == state


class Actions(DaemonTestCase):
    def act(self, daemon, run, action, status=200):
        response = daemon.curl(f"/api/v1/runs/{run}/{action}", "-X", "POST")
        self.assertEqual(response.status, status, response.body)
        return response.json()

    def asked(self, daemon, run, action):
        """Asks a running run; it may have obeyed before the answer."""
        response = daemon.curl(f"/api/v1/runs/{run}/{action}", "-X", "POST")
        self.assertIn(response.status, (200, 202), response.body)

    def test_paused_run_resumes_to_the_same_bits(self):
        daemon = self.fresh()
        long = daemon.lasting(m=2, cutout_size=12)
        undisturbed = daemon.submit(**long)
        daemon.wait_for_end(undisturbed)
        run = daemon.submit(**long)
        daemon.events(run, until=is_epoch)
        self.asked(daemon, run, "pause")
        daemon.events(run, query="?since=0", until=in_state("paused"))
        paused = daemon.get(f"/api/v1/runs/{run}")
        self.assertEqual((paused["state"], paused["reason"]), ("paused", "paused by the user"))
        self.assertIsNone(paused["request"])
        # The worker is free for others meanwhile.
        self.assertEqual(daemon.wait_for_end(daemon.submit(epochs=1))["state"], "succeeded")
        self.assertEqual(self.act(daemon, run, "resume")["attempt"], 2)
        self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")
        self.assertEqual(daemon.history(run), daemon.history(undisturbed))

    def test_pause_is_not_forgotten_by_a_kill_of_the_daemon(self):
        daemon = self.fresh()
        run = daemon.submit(**ENDLESS)
        daemon.events(run, until=is_epoch)
        self.asked(daemon, run, "pause")
        daemon.kill()
        daemon.start()
        self.assertEqual(daemon.get(f"/api/v1/runs/{run}")["state"], "paused")

    def test_killed_run_leaves_its_checkpoints_as_they_were_and_can_go_on(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=100000)
        daemon.events(run, until=is_epoch)
        self.asked(daemon, run, "kill")
        end = daemon.wait_for_end(run)
        self.assertEqual((end["state"], end["reason"]), ("canceled", "killed by the user"))
        # Whole epochs only: nothing was written when it stopped between two of them.
        files = glob.glob(os.path.join(daemon.state_dir, "runs", run, "*.safetensors"))
        self.assertTrue(files)
        for file in files:
            self.assertRegex(os.path.basename(file), r"-000000\.safetensors$")
        self.assertEqual(self.act(daemon, run, "requeue")["state"], "queued")
        daemon.events(run, until=is_epoch)
        events = daemon.events(run, query="?since=0", until=lambda e: in_state("running")(e)
                               and e["data"]["attempt"] == 2)
        self.assertIn("queued again by the user", [e["data"].get("reason") for e in events])
        daemon.wait_for_log("goes on from epoch")
        self.asked(daemon, run, "kill")

    def test_held_run_waits_until_it_is_released(self):
        daemon = self.fresh()
        blocker = daemon.submit(**ENDLESS)
        daemon.events(blocker, until=is_epoch)
        run = daemon.submit(epochs=1)
        self.assertEqual(self.act(daemon, run, "hold")["state"], "held")
        self.asked(daemon, blocker, "cancel")
        self.assertEqual(daemon.wait_for_end(daemon.submit(epochs=1))["state"], "succeeded")
        self.assertEqual(daemon.get(f"/api/v1/runs/{run}")["state"], "held")
        self.act(daemon, run, "release")
        self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")

    def test_refusal_says_the_state_and_what_may_be_asked(self):
        run = self.daemon.submit(epochs=1)
        self.daemon.wait_for_end(run)
        problem = self.act(self.daemon, run, "requeue", 409)
        self.assertEqual(problem["state"], "succeeded")
        self.assertEqual(problem["allowed_actions"], [])
        self.assertIn("fork", problem["detail"])
        for action in ("cancel", "kill", "pause", "resume", "hold", "release"):
            self.act(self.daemon, run, action, 409)
            self.act(self.daemon, 999999, action, 404)

    def test_queued_run_is_held_not_paused(self):
        daemon = self.fresh()
        blocker = daemon.submit(**ENDLESS)
        daemon.events(blocker, until=is_epoch)
        run = daemon.submit(epochs=1)
        problem = self.act(daemon, run, "pause", 409)
        self.assertEqual(problem["allowed_actions"], ["cancel", "kill", "hold"])
        self.assertIn("hold", problem["detail"])
        self.act(daemon, run, "kill")
        self.asked(daemon, blocker, "kill")


if __name__ == "__main__":
    unittest.main()
