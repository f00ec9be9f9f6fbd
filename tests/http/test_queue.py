"""The queue: order, dependencies, changes, deletion, many at once, and the scheduler."""

import os
import unittest

from daemon_process import TINY, DaemonTestCase

ENDLESS = {"epochs": 100000}


def is_epoch(event):
    return event["event"] == "epoch"


class Queue(DaemonTestCase):
    """One worker, which is busy with an endless run."""

    def setUp(self):
        self.daemon = self.fresh()
        self.blocker = self.daemon.submit(**ENDLESS)
        self.daemon.events(self.blocker, until=is_epoch)

    def send(self, method, path, data=None, status=200):
        response = self.daemon.curl("/api/v1" + path, "-X", method, data=data)
        self.assertEqual(response.status, status, response.body)
        return response.json() if response.body else None

    def free_the_worker(self):
        self.daemon.curl(f"/api/v1/runs/{self.blocker}/kill", "-X", "POST")

    def queue(self, query=""):
        return self.daemon.get("/api/v1/queue" + query)

    def test_queue_shows_order_and_why_each_run_waits(self):
        late = self.daemon.submit(epochs=1)
        urgent = self.daemon.submit(epochs=1, priority=5)
        dependent = self.daemon.submit(epochs=1, after=[self.blocker, late])
        held = self.daemon.submit(epochs=1, hold=True)
        queue = self.queue()
        self.assertEqual([item["run"]["id"] for item in queue["running"]], [self.blocker])
        self.assertEqual((queue["scheduler"]["state"], queue["scheduler"]["workers"]),
                         ("running", 1))
        self.assertEqual([(item["run"]["id"], item["position"], item["why_waiting"])
                          for item in queue["items"]],
                         [(urgent, 1, "The worker is training; it is next."),
                          (late, 2, "1 run is before it."),
                          (dependent, 3,
                           f"It comes after run {self.blocker}, which is running."),
                          (held, None, "It is held: release puts it into the queue.")])
        self.assertEqual((queue["queued"], queue["held"]), (3, 1))
        self.assertEqual(queue["items"][3]["run"]["state"], "held")

    def test_pages_of_the_queue_are_the_queue(self):
        for i in range(3):
            self.daemon.submit(epochs=1, priority=i % 2)
            self.daemon.submit(epochs=1, priority=i % 2, hold=True)
        whole = self.queue()["items"]
        self.assertEqual([item["run"]["state"] for item in whole], ["queued"] * 3 + ["held"] * 3)
        for limit in range(1, 7):
            items = []
            cursor = ""
            while cursor is not None:
                page = self.queue(f"?limit={limit}" + (cursor and "&cursor=" + cursor))
                self.assertLessEqual(len(page["items"]), limit)
                items += page["items"]
                cursor = page["next_cursor"]
            for item in items + whole:
                item.pop("expected_start_at", None)  # moves on with the clock
            self.assertEqual(items, whole)
        for cursor in ("x", "5", "5.x", "5.1x", "5.1hh", "5.0", "%205.1", "%2B5.1", "5.%201", "05.1",
                       "4294967301.1", "5.9223372036854775808"):
            self.assertEqual(self.daemon.curl("/api/v1/queue?cursor=" + cursor).status, 400)

    def test_changed_priority_changes_the_order(self):
        first = self.daemon.submit(epochs=1, labels={"a": "1"})
        second = self.daemon.submit(epochs=1)
        run = self.send("PATCH", f"/runs/{second}",
                        {"priority": 7, "name": "now", "labels": {"b": "2"}})
        self.assertEqual((run["priority"], run["name"], run["labels"]), (7, "now", {"b": "2"}))
        self.assertEqual([item["run"]["id"] for item in self.queue()["items"]], [second, first])
        listed = self.daemon.get("/api/v1/runs?label=b:2")["items"]
        self.assertEqual([run["id"] for run in listed], [second])
        # Only what is given changes.
        run = self.send("PATCH", f"/runs/{first}", {"priority": -1})
        self.assertEqual((run["priority"], run["labels"]), (-1, {"a": "1"}))
        problem = self.send("PATCH", f"/runs/{first}", {"m": 4, "priority": "x"}, 422)
        self.assertEqual([e["pointer"] for e in problem["errors"]], ["/m"])
        problem = self.send("PATCH", f"/runs/{first}", {"priority": "x"}, 422)
        self.assertEqual([e["pointer"] for e in problem["errors"]], ["/priority"])
        self.send("PATCH", "/runs/999", {"priority": 1}, 404)

    def test_dependents_start_after_success_and_survive_a_kill(self):
        first = self.daemon.submit(epochs=1)
        second = self.daemon.submit(epochs=1, after=[first], priority=9)
        self.assertEqual(self.daemon.get(f"/api/v1/runs/{second}")["after"], [first])
        self.daemon.kill()
        self.daemon.start()
        self.free_the_worker()
        self.assertEqual(self.daemon.wait_for_end(second)["state"], "succeeded")
        runs = [self.daemon.get(f"/api/v1/runs/{run}") for run in (first, second)]
        self.assertLessEqual(runs[0]["finished_at"], runs[1]["started_at"])

    def test_dependents_fail_with_what_they_come_after(self):
        first = self.daemon.submit(epochs=1)
        second = self.daemon.submit(epochs=1, after=[first])
        third = self.daemon.submit(epochs=1, after=[second], hold=True)
        self.send("POST", f"/runs/{first}/cancel")
        ends = [self.daemon.get(f"/api/v1/runs/{run}") for run in (second, third)]
        self.assertEqual([end["state"] for end in ends], ["failed", "failed"])
        self.assertEqual([end["reason"] for end in ends],
                         [f"run {first}, which it comes after, was canceled",
                          f"run {first}, which it comes after, was canceled"])
        # Nothing can be made to wait for what cannot come.
        self.send("POST", f"/runs/{second}/requeue", status=409)
        problem = self.send("POST", "/runs", dict(TINY, after=[first]), 422)
        self.assertEqual(problem["errors"][0]["pointer"], "/after")
        self.assertIn(f"run {first}, which is canceled", problem["errors"][0]["detail"])
        for after in (["999"], [7], "1"):
            response = self.daemon.curl("/api/v1/runs", data=dict(TINY, after=after))
            self.assert_problem(response, 422)
        # A dry run, and a sweep and a fork, say the same, at the field.
        done = self.daemon.submit(epochs=1, priority=9)
        for path, wrap, pointer in (("/runs?dry_run=true", lambda run: run, "/after"),
                                    ("/sweeps?dry_run=true", lambda run: {"base": run, "grid": {"seed": [1]}}, "/base/after"),
                                    ("/sweeps", lambda run: {"base": run, "grid": {"seed": [1, 2]}}, "/base/after"),
                                    (f"/runs/{done}/fork", lambda run: {"from_epoch": 0, "overrides": run}, "/overrides/after")):
            for missing, why in ((first, f"run {first}, which is canceled"), ("999", "there is no run 999")):
                problem = self.send("POST", path, wrap(dict(TINY, after=[missing])), 422)
                self.assertEqual([error["pointer"] for error in problem["errors"]], [pointer], path)
                self.assertIn(why, problem["errors"][0]["detail"])
        # In the right order it goes.
        for run in (first, second, third):
            self.send("POST", f"/runs/{run}/requeue")
        self.free_the_worker()
        self.assertEqual(self.daemon.wait_for_end(third)["state"], "succeeded")

    def test_deletion_frees_the_disk(self):
        self.send("DELETE", f"/runs/{self.blocker}", status=409)
        waiting = self.daemon.submit(epochs=1)
        dependent = self.daemon.submit(epochs=1, after=[waiting])
        self.send("DELETE", f"/runs/{waiting}", status=409)
        self.free_the_worker()
        self.daemon.wait_for_end(dependent)
        directory = os.path.join(self.daemon.state_dir, "runs", waiting)
        self.assertTrue(os.listdir(directory))
        self.send("DELETE", f"/runs/{waiting}", status=204)
        self.assertFalse(os.path.exists(directory))
        self.send("GET", f"/runs/{waiting}", status=404)
        self.send("DELETE", f"/runs/{waiting}", status=404)
        self.assertEqual(self.daemon.get(f"/api/v1/runs/{dependent}")["after"], [])

    def test_a_deleted_run_is_not_waited_for(self):
        first = self.daemon.submit(epochs=1)
        second = self.daemon.submit(epochs=1, after=[first])
        third = self.daemon.submit(epochs=1, after=[second])
        self.send("POST", f"/runs/{first}/cancel")
        self.send("POST", f"/runs/{second}/requeue", status=409)
        self.send("DELETE", f"/runs/{first}", status=204)
        row = self.daemon.get(f"/api/v1/runs/{second}")
        self.assertEqual((row["state"], row["after"]), ("failed", []))
        self.assertEqual(row["reason"], f"run {first}, which it comes after, was canceled;"
                                        f" run {first} was deleted since: a requeue goes on without it")
        # Deleting it was the wish to go without it; what it had failed still counts for the next.
        self.send("POST", f"/runs/{third}/requeue", status=409)
        self.assertEqual(self.send("POST", f"/runs/{second}/requeue")["state"], "queued")
        self.free_the_worker()
        self.assertEqual(self.daemon.wait_for_end(second)["state"], "succeeded")

    def test_leftovers_of_a_deletion_go_at_the_next_start(self):
        self.daemon.kill()
        orphan = os.path.join(self.daemon.state_dir, "runs", "4711")
        os.makedirs(orphan)
        with open(os.path.join(orphan, "000001-000000.safetensors"), "w", encoding="ascii"):
            pass
        self.daemon.start()
        self.assertFalse(os.path.exists(orphan))
        self.assertTrue(os.path.exists(os.path.join(self.daemon.state_dir, "runs", self.blocker)))

    def test_bulk_answers_item_by_item(self):
        runs = [self.daemon.submit(epochs=1) for _ in range(2)]
        result = self.send("POST", "/runs/bulk",
                           {"action": "hold", "ids": [*runs, self.blocker, "999"]})
        self.assertEqual((result["succeeded"], result["failed"]), (2, 2))
        self.assertEqual([item["status"] for item in result["items"]], [200, 200, 409, 404])
        self.assertEqual(result["items"][0]["run"]["state"], "held")
        self.assertEqual(result["items"][2]["problem"]["state"], "running")
        self.assertEqual(result["items"][3]["problem"]["type"], "urn:cutoutd:problem:not-found")
        result = self.send("POST", "/runs/bulk", {"action": "delete", "ids": runs})
        self.assertEqual([item["status"] for item in result["items"]], [204, 204])
        problem = self.send("POST", "/runs/bulk", {"action": "x", "ids": [1], "y": 0}, 422)
        self.assertEqual([e["pointer"] for e in problem["errors"]], ["/action", "/y", "/ids"])
        result = self.send("POST", "/runs/bulk", {"action": "pause", "ids": [self.blocker]})
        self.assertEqual([item["status"] for item in result["items"]], [202])
        self.assertEqual(result["items"][0]["run"]["request"], "pause")
        self.daemon.events(self.blocker, query="?since=0", until=lambda event: event["event"]
                           == "state" and event["data"]["state"] == "paused")

    def test_draining_scheduler_starts_nothing_also_after_a_restart(self):
        self.assertEqual(self.send("POST", "/scheduler/drain")["state"], "draining")
        run = self.daemon.submit(epochs=1)
        self.free_the_worker()
        self.daemon.wait_for_end(self.blocker)
        self.assertEqual(self.queue()["items"][0]["why_waiting"], "The scheduler is draining: no run is started.")
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.send("GET", "/scheduler")["state"], "draining")
        self.assertEqual(self.daemon.get(f"/api/v1/runs/{run}")["state"], "queued")
        self.assertEqual(self.send("POST", "/scheduler/resume")["state"], "running")
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "succeeded")

    def test_number_of_workers_changes_without_a_restart_and_is_kept(self):
        second = self.daemon.submit(**ENDLESS)
        self.assertEqual(self.send("PATCH", "/scheduler", {"workers": 2})["workers"], 2)
        self.daemon.events(second, until=is_epoch)
        self.daemon.kill()
        self.daemon.start()
        for run in (self.blocker, second):
            self.daemon.events(run, until=is_epoch)
        self.assertEqual(self.send("PATCH", "/scheduler", {"workers": 1})["workers"], 1)
        third = self.daemon.submit(epochs=1)
        # One of the two goes on; the other's worker takes nothing more.
        self.daemon.curl(f"/api/v1/runs/{second}/kill", "-X", "POST")
        self.daemon.wait_for_end(second)
        self.assertEqual(self.daemon.get(f"/api/v1/runs/{third}")["state"], "queued")
        self.free_the_worker()
        self.assertEqual(self.daemon.wait_for_end(third)["state"], "succeeded")
        for body in ({"workers": 0}, {"workers": 1.5}, {"workers": 65}, {}, {"x": 1}):
            self.send("PATCH", "/scheduler", body, 422)


class Idempotency(DaemonTestCase):
    def post(self, path, body, key, daemon=None):
        return (daemon or self.daemon).curl("/api/v1" + path, "-H", "Idempotency-Key: " + key,
                                            data=body)

    def test_same_key_gives_the_stored_answer_and_makes_nothing_new(self):
        first = self.post("/runs", dict(TINY, epochs=1, seed=77), "a-1")
        self.assertEqual(first.status, 201)
        self.assertNotIn("idempotency-replayed", first.headers)
        again = self.post("/runs", dict(TINY, epochs=1, seed=77), "a-1")
        self.assertEqual((again.status, again.body), (201, first.body))
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertEqual(again.headers["location"], first.headers["location"])
        self.assertEqual(len(self.daemon.get("/api/v1/runs?seed=77")["items"]), 1)
        self.assert_problem(self.post("/runs", dict(TINY, epochs=2), "a-1"), 422)
        self.assert_problem(self.post("/runs/bulk", dict(TINY, epochs=1, seed=77), "a-1"), 422)

    def test_refused_request_may_be_corrected_under_its_key(self):
        self.assert_problem(self.post("/runs", dict(TINY, m=0), "b-1"), 422)
        self.assertEqual(self.post("/runs", dict(TINY, epochs=1), "b-1").status, 201)

    def test_key_survives_a_kill_of_the_daemon(self):
        daemon = self.fresh()
        sent = dict(TINY, epochs=1)
        first = self.post("/runs", sent, "c-1", daemon)
        daemon.kill()
        daemon.start()
        again = self.post("/runs", sent, "c-1", daemon)
        self.assertEqual((again.status, again.body), (201, first.body))
        self.assertEqual(len(daemon.get("/api/v1/runs")["items"]), 1)

    def test_repeated_sweep_and_action_act_once(self):
        daemon = self.fresh()
        sweep = {"name": "s", "base": dict(TINY, epochs=1), "grid": {"seed": [1, 2]}}
        answers = [self.post("/sweeps", sweep, "d-1", daemon) for _ in range(2)]
        self.assertEqual([a.status for a in answers], [201, 201])
        self.assertEqual(answers[0].body, answers[1].body)
        self.assertEqual(len(daemon.get("/api/v1/runs")["items"]), 2)
        run = daemon.submit(epochs=1, hold=True)
        for _ in range(2):
            response = self.post(f"/runs/{run}/release", {}, "d-2", daemon)
            self.assertEqual(response.status, 200, response.body)

    def test_unusable_key_is_refused(self):
        self.assert_problem(self.post("/runs", TINY, "two words"), 400)
        self.assert_problem(self.post("/runs", TINY, "x" * 200), 400)


class DryRun(DaemonTestCase):
    def test_dry_run_tells_the_cost_and_stores_nothing(self):
        daemon = self.fresh()
        path = "/api/v1/runs?dry_run=true"
        before = daemon.curl(path, data=dict(TINY, m=2))
        self.assertEqual(before.status, 200, before.body)
        plan = before.json()
        self.assertEqual((plan["steps_per_epoch"], plan["images_per_epoch"]), (4, 2 * TINY["train_images"]))
        self.assertEqual(plan["config"]["m"], 2)
        self.assertGreater(plan["memory"]["needed_bytes"], 0)
        self.assertEqual(set(plan["estimate"].values()), {None})
        self.assertEqual(daemon.get("/api/v1/runs")["items"], [])
        run = daemon.submit(m=2, epochs=3)
        end = daemon.wait_for_end(run)
        estimate = daemon.curl(path, data=dict(TINY, m=2, epochs=9)).json()["estimate"]
        self.assertAlmostEqual(estimate["seconds"], 3 * end["train_seconds"], 6)
        self.assertAlmostEqual(estimate["seconds_per_epoch"], end["train_seconds"] / 3, 6)
        self.assertEqual(estimate["source"], "the last run of this depth, m and batch_size")
        # Twice the images take twice the time.
        twice = daemon.curl(path, data=dict(TINY, m=2, train_images=2 * TINY["train_images"])).json()["estimate"]
        self.assertAlmostEqual(twice["seconds_per_epoch"], 2 * estimate["seconds_per_epoch"], 6)
        self.assertIsNone(daemon.curl(path, data=TINY).json()["estimate"]["seconds"])
        self.assertEqual(daemon.curl(path, data=dict(TINY, m=0)).status, 422)
        self.assertEqual(daemon.curl("/api/v1/runs?dry_run=1", data=TINY).status, 400)
        self.assertEqual(daemon.curl("/api/v1/runs?dry=true", data=TINY).status, 400)


class Divergence(DaemonTestCase):
    def test_run_that_must_be_finite_fails_with_the_epoch(self):
        run = self.daemon.submit(epochs=50, lr=100, optimizer="sgd", l2=1, stop_on_nan=True)
        end = self.daemon.wait_for_end(run)
        self.assertEqual(end["state"], "failed", end)
        self.assertTrue(end["diverged"])
        self.assertIn("stop_on_nan", end["reason"])
        self.assertLess(end["epochs_done"], 50)
        other = self.daemon.submit(epochs=3, lr=100, optimizer="sgd", l2=1)
        end = self.daemon.wait_for_end(other)
        self.assertEqual((end["state"], end["diverged"]), ("succeeded", True))


if __name__ == "__main__":
    unittest.main()
