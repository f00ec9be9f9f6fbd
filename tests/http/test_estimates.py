"""What is expected of runs: how long an epoch takes, when a run starts, when it ends."""

import datetime
import unittest

from daemon_process import SLOW_BUILD, TINY, DaemonTestCase, after_epoch, wait_for

NOTHING = {"seconds_per_epoch": None, "expected_start_at": None, "expected_end_at": None}
FIELDS = "/api/v1/runs?sort=id&limit=500&fields=id,epochs_done,train_seconds,estimate"
MOST = 200  # of the queue are forecast


def seconds_until(time):
    then = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (then - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


class Estimates(DaemonTestCase):
    def setUp(self):
        self.daemon = self.fresh()

    def drain(self, action="drain"):
        self.assertEqual(self.daemon.curl("/api/v1/scheduler/" + action, "-X", "POST").status, 200)

    def start_endless(self):
        run = self.daemon.submit(epochs=100000)
        self.daemon.events(run, until=after_epoch(5))
        return run

    def estimate(self, run):
        return self.daemon.get("/api/v1/runs/" + run)["estimate"]

    def listed(self):
        return {run["id"]: run["estimate"] for run in self.daemon.get(FIELDS)["items"]}

    def assert_about(self, seconds, expected):
        """Epochs differ, and more may be done between two looks."""
        self.assertLessEqual(abs(seconds - expected), 3 + 0.3 * expected)

    def test_run_that_ended_tells_what_its_epochs_took(self):
        run = self.daemon.submit(epochs=3)
        self.daemon.wait_for_end(run)
        run = self.daemon.get("/api/v1/runs/" + run)
        self.assertEqual(run["estimate"],
                         dict(NOTHING, seconds_per_epoch=run["train_seconds"] / 3))
        self.assertEqual(self.listed(), {run["id"]: run["estimate"]})

    def test_nothing_is_guessed_before_anything_was_measured(self):
        self.drain()
        answer = self.daemon.curl("/api/v1/runs", data=dict(TINY, epochs=5)).json()
        self.assertEqual(answer["estimate"], NOTHING)
        self.assertEqual(self.estimate(answer["id"]), NOTHING)

    def test_running_run_ends_by_its_measured_epochs_and_the_next_starts_then(self):
        first = self.start_endless()
        second = self.daemon.submit(epochs=50000)
        third = self.daemon.submit(epochs=10)
        held = self.daemon.submit(epochs=10, hold=True)
        dependent = self.daemon.submit(epochs=10, after=[third], priority=5)
        items = self.daemon.get(FIELDS)["items"]
        runs = {run["id"]: run["estimate"] for run in items}
        run = items[0]
        epoch_s = run["estimate"]["seconds_per_epoch"]
        self.assertAlmostEqual(epoch_s, run["train_seconds"] / run["epochs_done"], 9)
        self.assertIsNone(runs[first]["expected_start_at"])
        end = seconds_until(runs[first]["expected_end_at"])
        self.assert_about(end, epoch_s * (100000 - run["epochs_done"]))
        self.assert_about(seconds_until(runs[second]["expected_start_at"]), end)
        # Runs of the same kind take as long.
        self.assert_about(runs[second]["seconds_per_epoch"] * 1000, epoch_s * 1000)
        self.assert_about(seconds_until(runs[second]["expected_end_at"]), end + 50000 * epoch_s)
        self.assertLess(abs(seconds_until(runs[third]["expected_start_at"])
                            - seconds_until(runs[second]["expected_end_at"])), 1.5)
        # What waits for something else than a worker has no start.
        for other in (held, dependent):
            self.assertEqual(dict(runs[other], seconds_per_epoch=None), NOTHING)
            self.assert_about(runs[other]["seconds_per_epoch"] * 1000, epoch_s * 1000)
        # The queue says the same.
        starts = {item["run"]["id"]: item["expected_start_at"]
                  for item in self.daemon.get("/api/v1/queue")["items"]}
        self.assertEqual([run for run, start in starts.items() if start], [second, third])
        self.assert_about(seconds_until(starts[third]),
                          seconds_until(runs[third]["expected_start_at"]))
        # Nobody knows when a drained scheduler goes on.
        self.drain()
        self.assertIsNone(self.estimate(second)["expected_start_at"])
        self.assertIsNotNone(self.estimate(first)["expected_end_at"])
        self.drain("resume")
        self.assertIsNotNone(self.estimate(second)["expected_start_at"])

    def test_some_steps_of_a_run_are_timed_where_none_was_trained(self):
        asked = dict(TINY, epochs=7, m=2)
        plan = self.daemon.curl("/api/v1/runs?dry_run=true", data=asked).json()
        self.assertIsNone(plan["estimate"]["images_per_second"])
        answer = self.daemon.curl("/api/v1/runs/measure", data=asked)
        self.assertEqual(answer.status, 200, answer.body)
        speed = answer.json()
        self.assertGreater(speed["images_per_second"], 0)
        self.assertGreaterEqual(speed["steps"], 1)
        self.assertEqual(speed["images_per_step"], 2 * TINY["batch_size"])
        self.assertAlmostEqual(speed["seconds_per_epoch"], plan["images_per_epoch"] / speed["images_per_second"], 6)
        self.assertAlmostEqual(speed["seconds"], 7 * speed["seconds_per_epoch"], 6)
        # It is remembered, whatever does not change the time of an image; nothing was stored.
        self.assertEqual(self.daemon.curl("/api/v1/runs/measure", data=dict(asked, seed=5, lr=0.5)).json(), speed)
        self.assertEqual(self.daemon.get("/api/v1/runs")["items"], [])
        # It is of the size of what a run takes.
        run = self.daemon.submit(epochs=7, m=2)
        self.daemon.wait_for_end(run)
        trained = self.daemon.get(f"/api/v1/runs/{run}/epochs")["items"][-1]["images_per_second"]
        self.assertLess(max(trained, speed["images_per_second"]), 20 * min(trained, speed["images_per_second"]))

    def test_a_large_step_is_measured_by_a_small_one(self):
        # With a sanitizer a step of 64 images takes longer than a measurement may.
        for m, batch_size, n_images in ((3, 7, 21),) if SLOW_BUILD else ((8, 64, 64), (3, 7, 21)):
            answer = self.daemon.curl("/api/v1/runs/measure", data={"dataset": "shapes", "depth": 8, "m": m, "batch_size": batch_size})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.json()["images_per_step"], n_images)

    def test_a_batch_of_whole_images_with_all_their_copies_is_measured_as_such(self):
        # With unique_per_batch the batch_size counts the copies, of which a measurement takes 256 at most.
        for m, batch_size, n_images in ((3, 9, 9),) if SLOW_BUILD else ((8, 64, 64), (16, 64, 64), (3, 9, 9), (7, 700, None)):
            answer = self.daemon.curl("/api/v1/runs/measure", data={
                "dataset": "shapes", "depth": 8, "m": m, "batch_size": batch_size, "unique_per_batch": True})
            self.assertEqual(answer.status, 200, answer.body)
            images = answer.json()["images_per_step"]
            self.assertEqual(images % m, 0)
            self.assertEqual(images, n_images or images)
            self.assertLessEqual(images, 256)

    def test_a_run_that_is_trained_comes_before_a_measurement(self):
        self.start_endless()
        answer = self.daemon.curl("/api/v1/runs/measure", data=dict(TINY, m=3))
        self.assertEqual(answer.status, 503)
        self.assertIn("a run is being trained here", answer.json()["detail"])
        self.assertEqual(self.daemon.curl("/api/v1/runs/measure", data={"m": 0}).status, 422)

    def test_run_of_another_kind_makes_what_is_behind_it_unknown(self):
        self.start_endless()
        unknown = self.daemon.submit(epochs=10, m=3)
        behind = self.daemon.submit(epochs=10)
        self.assertIsNotNone(self.estimate(unknown)["expected_start_at"])
        self.assertIsNone(self.estimate(unknown)["expected_end_at"])
        self.assertIsNone(self.estimate(behind)["expected_start_at"])
        self.assertIsNotNone(self.estimate(behind)["seconds_per_epoch"])

    def test_start_is_known_for_the_front_of_a_long_queue(self):
        self.start_endless()
        response = self.daemon.curl("/api/v1/sweeps", data={
            "base": dict(TINY, epochs=5), "grid": {"seed": list(range(MOST + 3))}})
        self.assertEqual(response.status, 201, response.body)
        runs = response.json()["runs"]
        listed = self.listed()
        queue = self.daemon.get("/api/v1/queue?limit=500")["items"]
        for known in ([listed[run]["expected_start_at"] for run in runs],
                      [item["expected_start_at"] for item in queue]):
            self.assertEqual([start is not None for start in known], [True] * MOST + [False] * 3)
            self.assertEqual(known[:MOST], sorted(known[:MOST]))
        self.assertIsNotNone(self.estimate(runs[MOST - 1])["expected_start_at"])
        self.assertIsNone(self.estimate(runs[MOST])["expected_start_at"])


if __name__ == "__main__":
    unittest.main()
