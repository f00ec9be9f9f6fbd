"""Many runs at once: submitted, looked at, compared, as a researcher does it with curl."""

import os
import unittest

from daemon_process import TINY, DaemonTestCase

BASE = {name: value for name, value in TINY.items() if name != "m"}


class Submission(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.blocker = cls.daemon.submit(epochs=100000, priority=1000)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.curl(f"/api/v1/runs/{cls.blocker}/cancel", "-X", "POST")
        super().tearDownClass()

    def post(self, query="", **sweep):
        return self.daemon.curl("/api/v1/sweeps" + query, data=sweep)

    def test_sweep_is_created_with_its_runs_in_order(self):
        grid = {"m": [2, 1], "seed": [1, 2]}
        response = self.post(name="which", base=dict(BASE, labels={"a": "b"}), grid=grid)
        self.assertEqual(response.status, 201, response.body)
        sweep = response.json()
        self.assertEqual(response.headers["location"], "/api/v1/sweeps/" + sweep["id"])
        self.assertEqual(sweep["name"], "which")
        self.assertIsNone(sweep["owner"])
        self.assertEqual(sweep["spec"], {"base": dict(BASE, labels={"a": "b"}), "grid": grid})
        self.assertEqual(sweep["progress"]["runs"], 4)
        self.assertEqual(sweep["progress"]["by_state"]["queued"], 4)
        self.assertEqual(sweep["progress"]["epochs_total"], 8)
        self.assertEqual(sweep["progress"]["fraction"], 0)
        self.assertIsNone(sweep["progress"]["eta_seconds"])
        runs = [self.daemon.get(f"/api/v1/runs/{run}") for run in sweep["runs"]]
        self.assertEqual([(run["config"]["m"], run["config"]["seed"]) for run in runs],
                         [(2, 1), (2, 2), (1, 1), (1, 2)])
        self.assertEqual(runs[1]["name"], "which m=2 seed=2")
        self.assertEqual(runs[1]["sweep"], sweep["id"])
        self.assertEqual(runs[1]["labels"], {"a": "b"})
        self.assertEqual(self.daemon.get("/api/v1/sweeps/" + sweep["id"]), sweep)
        listed = self.daemon.get(sweep["links"]["runs"])["items"]
        self.assertEqual(sorted(int(run["id"]) for run in listed), [int(i) for i in sweep["runs"]])

    def test_a_sweep_shows_the_numbers_that_its_runs_have(self):
        base = dict(BASE, lr=0.30000000000000004)
        grid = {"seed": [9007199254740990, 9007199254740991], "bn_epsilon": [1e-7, 1.0000000000000002e-7]}
        sweep = self.post(base=base, grid=grid, hold=True).json()
        self.assertEqual(sweep["spec"], {"base": base, "grid": grid})
        runs = [self.daemon.get(f"/api/v1/runs/{run}") for run in sweep["runs"]]
        self.assertEqual([run["name"] for run in runs],
                         [f"seed={seed} bn_epsilon={epsilon}" for seed in grid["seed"]
                          for epsilon in ("1e-07", "1.0000000000000002e-07")])
        self.assertEqual({run["config"]["lr"] for run in runs}, {base["lr"]})

    def test_an_unchanged_sweep_is_not_sent_again(self):
        sweep = self.post(base=BASE, grid={"m": [1, 2]}, hold=True).json()
        path = "/api/v1/sweeps/" + sweep["id"]
        tag = self.daemon.curl(path).headers["etag"]
        self.assertEqual(self.daemon.curl(path, "-H", f"If-None-Match: {tag}").status, 304)
        self.daemon.curl(f"/api/v1/runs/{sweep['runs'][1]}/cancel", "-X", "POST")
        self.assertEqual(self.daemon.curl(path, "-H", f"If-None-Match: {tag}").status, 200)

    def test_held_sweep_starts_held(self):
        sweep = self.post(base=BASE, grid={"m": [1, 2]}, hold=True).json()
        self.assertIsNone(sweep["name"])
        self.assertEqual(sweep["progress"]["by_state"]["held"], 2)

    def test_dry_run_stores_nothing(self):
        before = self.daemon.get("/api/v1/sweeps")
        response = self.post("?dry_run=true", base=BASE, grid={"m": [1, 2]})
        self.assertEqual(response.status, 200, response.body)
        answer = response.json()
        self.assertEqual(answer["runs"], 2)
        self.assertEqual(answer["epochs_total"], 4)
        self.assertEqual([item["images_per_epoch"] for item in answer["items"]],
                         [m * TINY["train_images"] for m in (1, 2)])
        self.assertEqual(answer["items"][1]["config"]["m"], 2)
        self.assertEqual(answer["items"][1]["steps_per_epoch"], 4)
        self.assertGreater(answer["items"][1]["memory"]["needed_bytes"],
                           answer["items"][0]["memory"]["needed_bytes"])
        self.assertEqual(self.daemon.get("/api/v1/sweeps"), before)

    def test_all_mistakes_are_named_and_nothing_is_stored(self):
        before = self.daemon.get("/api/v1/sweeps")
        response = self.post(base=dict(BASE, depth=9), grid={"m": [2, 0], "seeds": [1]})
        problem = self.assert_problem(response, 422)
        self.assertEqual({error["pointer"] for error in problem["errors"]},
                         {"/grid/seeds", "/base/depth", "/grid/m/1"})
        self.assertIn('Did you mean "seed"?', problem["errors"][0]["detail"])
        response = self.post(base=dict(BASE, depth=9), grid={"m": [2, 0, 1025], "seed": [1, 2]})
        problem = self.assert_problem(response, 422)
        self.assertEqual(sorted(error["pointer"] for error in problem["errors"]),
                         ["/base/depth", "/grid/m/1", "/grid/m/2"])
        self.assert_problem(self.daemon.curl("/api/v1/sweeps", data=b"[1]"), 400)
        self.assertEqual(self.daemon.get("/api/v1/sweeps"), before)

    def test_what_this_daemon_cannot_train_is_named(self):
        response = self.post(base=dict(BASE, batch_size=4096, train_images=512, drop_last=False),
                             grid={"m": [1, 1024], "seed": [1, 2]})
        problem = self.assert_problem(response, 422)
        self.assertEqual([error["pointer"] for error in problem["errors"]], ["/grid/m/1"])
        self.assertIn("memory", problem["errors"][0]["detail"])
        response = self.post(base=dict(BASE, batch_size=4096, train_images=0,
                                       drop_last=True), grid={"m": [1]})
        problem = self.assert_problem(response, 422)
        self.assertEqual([error["pointer"] for error in problem["errors"]], ["/base/batch_size"])

    def test_sweeps_are_listed_in_pages(self):
        for _ in range(3):
            self.post(base=BASE, grid={"m": [1]}, hold=True)
        seen, cursor = [], ""
        while cursor is not None:
            response = self.daemon.curl("/api/v1/sweeps?limit=2" + (cursor and f"&cursor={cursor}"))
            page = response.json()
            self.assertEqual("link" in response.headers, page["next_cursor"] is not None)
            self.assertLessEqual(len(page["items"]), 2)
            seen += [int(item["id"]) for item in page["items"]]
            cursor = page["next_cursor"]
        self.assertEqual(seen, sorted(set(seen), reverse=True))
        self.assertGreaterEqual(len(seen), 3)

    def test_unknown_sweeps_and_arguments_are_refused(self):
        for path in ("999", "x"):
            self.assert_problem(self.daemon.curl(f"/api/v1/sweeps/{path}"), 404)
        for path, name in (("?page=2", "page"), ("?limit=0", "limit"), ("?cursor=x", "cursor"),
                           ("/999?a=1", "a")):
            problem = self.assert_problem(self.daemon.curl("/api/v1/sweeps" + path), 400)
            self.assertEqual(problem["errors"][0]["parameter"], name)
        response = self.post("?dry_run=maybe", base=BASE, grid={"m": [1]})
        self.assertEqual(self.assert_problem(response, 400)["errors"][0]["parameter"], "dry_run")


class Science(DaemonTestCase):
    """The whole question: which m is best, and how long does it take?"""

    def test_small_sweep_is_trained_and_compared(self):
        daemon = self.daemon
        response = daemon.curl("/api/v1/sweeps", data={
            "name": "science", "base": dict(BASE, epochs=3, train_images=32),
            "grid": {"m": [1, 2], "seed": [1, 2]}})
        self.assertEqual(response.status, 201, response.body)
        sweep = response.json()
        for run in sweep["runs"]:
            self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")
        progress = daemon.get(f"/api/v1/sweeps/{sweep['id']}")["progress"]
        self.assertEqual(progress["by_state"]["succeeded"], 4)
        self.assertEqual((progress["epochs_done"], progress["fraction"]), (12, 1))
        self.assertEqual(progress["eta_seconds"], 0)
        histories = {run: daemon.get(f"/api/v1/runs/{run}/epochs")["items"]
                     for run in sweep["runs"]}
        # The second lowest best error: some runs reach it, and not all of them.
        bests = sorted({min(row["val_error"] for row in rows) for rows in histories.values()})
        target = bests[min(1, len(bests) - 1)]
        answer = daemon.get(f"/api/v1/compare?sweep={sweep['id']}&target={target!r}&baseline=1")
        self.assertEqual(answer["group_by"], ["m"])
        self.assertEqual([group["label"] for group in answer["groups"]], ["m=1", "m=2"])
        self.assertEqual(answer["groups"][0]["runs"], sweep["runs"][:2])
        for group in answer["groups"]:
            self.check_target(group, [histories[run] for run in group["runs"]], target)
        self.check_differences(answer, histories)

    def check_target(self, group, histories, target):
        images = 32 * group["key"]["m"]
        reached = []
        for rows in histories:
            epoch = next((row["epoch"] for row in rows if row["val_error"] <= target), None)
            if epoch is not None:
                reached.append((epoch, sum(row["seconds"] for row in rows[:epoch])))
        to_target = group["to_target"]
        self.assertEqual(to_target["epochs"]["n"], 2)
        self.assertEqual(to_target["epochs"]["n_reached"], len(reached))
        if not reached:
            self.assertIsNone(to_target["seconds"]["mean"])
            return
        mean = sum(epoch for epoch, _ in reached) / len(reached)
        self.assertAlmostEqual(to_target["epochs"]["mean"], mean)
        self.assertAlmostEqual(to_target["images"]["mean"], mean * images)
        self.assertAlmostEqual(to_target["seconds"]["mean"],
                               sum(seconds for _, seconds in reached) / len(reached))

    def check_differences(self, answer, histories):
        best = [[min(row["val_error"] for row in histories[run]) for run in group["runs"]]
                for group in answer["groups"]]
        differences = [two - one for one, two in zip(best[0], best[1])]
        versus = answer["groups"][1]["versus_baseline"]
        self.assertEqual(versus["n"], 2)
        self.assertAlmostEqual(versus["mean"], sum(differences) / 2)
        self.assertAlmostEqual(versus["std"], abs(differences[0] - differences[1]) / 2 ** 0.5)


class Actions(DaemonTestCase):
    """A sweep of three long runs, of which one worker trains one at a time."""

    def setUp(self):
        response = self.daemon.curl("/api/v1/sweeps", data={
            "base": dict(BASE, epochs=100000), "grid": {"seed": [1, 2, 3]}})
        self.assertEqual(response.status, 201, response.body)
        self.sweep = response.json()
        self.runs = self.sweep["runs"]
        self.daemon.events(self.runs[0], until=lambda event: event["event"] == "epoch")

    def act(self, action):
        response = self.daemon.curl(f"/api/v1/sweeps/{self.sweep['id']}/{action}", "-X", "POST")
        self.assertEqual(response.status, 200, response.body)
        return response.json()

    def wait_until(self, run, *states):
        """Follows the run until it is in one of the states."""
        self.daemon.events(run, "-H", "Last-Event-ID: 0", until=lambda event: event["event"] in (
            "state", "end") and event["data"]["state"] in states)

    def by_state(self):
        progress = self.daemon.get(f"/api/v1/sweeps/{self.sweep['id']}")["progress"]
        return {state: n for state, n in progress["by_state"].items() if n}

    def tearDown(self):
        self.act("kill")
        self.wait_until(self.runs[0], "canceled")

    def test_sweep_is_paused_and_resumed_as_one(self):
        answer = self.act("pause")
        self.assertEqual((answer["succeeded"], answer["failed"], answer["skipped"]), (3, 0, 0))
        self.assertEqual([(item["id"], item["status"]) for item in answer["items"]],
                         list(zip(self.runs, (202, 200, 200))))
        self.wait_until(self.runs[0], "paused")
        self.assertEqual(self.by_state(), {"held": 2, "paused": 1})
        answer = self.act("pause")
        self.assertEqual((answer["items"], answer["skipped"]), ([], 3))
        answer = self.act("resume")
        self.assertEqual(answer["succeeded"], 3)
        self.assertEqual({item["run"]["state"] for item in answer["items"]}, {"queued"})

    def test_sweep_is_canceled_as_one(self):
        answer = self.act("cancel")
        self.assertEqual(answer["succeeded"], 3)
        self.wait_until(self.runs[0], "canceled")
        self.assertEqual(self.by_state(), {"canceled": 3})
        self.assertGreaterEqual(
            self.daemon.get(f"/api/v1/runs/{self.runs[0]}")["epochs_done"], 1)
        self.assertEqual(self.act("requeue")["succeeded"], 3)

    def test_waiting_runs_are_held_and_released(self):
        answer = self.act("hold")
        self.assertEqual((answer["succeeded"], answer["skipped"]), (2, 1))
        self.assertEqual(self.by_state(), {"running": 1, "held": 2})
        self.assertEqual(self.act("release")["succeeded"], 2)

    def test_followers_hear_of_each_run_of_a_canceled_sweep(self):
        dependent = self.daemon.submit(epochs=1, after=[self.runs[2]])
        before = self.daemon.events(dependent, query="?since=0", until=lambda event: True)[0]["id"]
        self.act("cancel")
        heard = {}

        def all_heard(event):
            if event["event"] == "state":
                heard[event["data"]["run"]] = event["data"]["state"]
            return len(heard) == 4

        self.daemon.follow(f"/api/v1/events?since={before}", until=all_heard)
        self.assertEqual(heard, {**{run: "canceled" for run in self.runs}, dependent: "failed"})

    def test_unknown_sweeps_and_actions_are_refused(self):
        self.assert_problem(self.daemon.curl("/api/v1/sweeps/999/cancel", "-X", "POST"), 404)
        path = f"/api/v1/sweeps/{self.sweep['id']}/stop"
        self.assert_problem(self.daemon.curl(path, "-X", "POST", malformed=True), 404)


class Deletion(DaemonTestCase):
    def test_sweep_is_deleted_with_its_runs_and_files(self):
        daemon = self.daemon
        kept = daemon.submit(epochs=1)
        sweep = daemon.curl("/api/v1/sweeps", data={
            "base": dict(BASE, epochs=1), "grid": {"seed": [1, 2]}}).json()
        for run in sweep["runs"]:
            daemon.wait_for_end(run)
        path = f"/api/v1/sweeps/{sweep['id']}"
        self.assertEqual(daemon.curl(path, "-X", "DELETE").status, 204)
        self.assert_problem(daemon.curl(path), 404)
        self.assert_problem(daemon.curl(path, "-X", "DELETE"), 404)
        for run in sweep["runs"]:
            self.assert_problem(daemon.curl(f"/api/v1/runs/{run}"), 404)
        self.assertEqual(os.listdir(os.path.join(daemon.state_dir, "runs")), [kept])

    def test_sweep_with_a_running_run_stays_whole(self):
        daemon = self.daemon
        sweep = daemon.curl("/api/v1/sweeps", data={
            "base": dict(BASE, epochs=100000), "grid": {"seed": [1, 2]}}).json()
        daemon.events(sweep["runs"][0], until=lambda event: event["event"] == "epoch")
        path = f"/api/v1/sweeps/{sweep['id']}"
        problem = self.assert_problem(daemon.curl(path, "-X", "DELETE"), 409)
        self.assertIn(f"Run {sweep['runs'][0]} is running", problem["detail"])
        self.assertEqual(daemon.get(path)["runs"], sweep["runs"])
        daemon.curl(path + "/kill", "-X", "POST")


class Retries(DaemonTestCase):
    def test_the_same_key_makes_one_sweep(self):
        body = {"base": BASE, "grid": {"seed": [1, 2]}, "hold": True}
        key = ("-H", "Idempotency-Key: k1")
        before = len(self.daemon.get("/api/v1/sweeps")["items"])
        first = self.daemon.curl("/api/v1/sweeps", *key, data=body)
        again = self.daemon.curl("/api/v1/sweeps", *key, data=body)
        self.assertEqual(first.status, 201)
        self.assertEqual((again.status, again.body), (201, first.body))
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertEqual(len(self.daemon.get("/api/v1/sweeps")["items"]), before + 1)
        body["hold"] = False
        self.assert_problem(self.daemon.curl("/api/v1/sweeps", *key, data=body), 422)

    def test_runs_of_a_sweep_may_come_after_another_run(self):
        first = self.daemon.submit(hold=True)
        sweep = self.daemon.curl("/api/v1/sweeps", data={
            "base": dict(BASE, after=[first]), "grid": {"seed": [1, 2]}}).json()
        for run in sweep["runs"]:
            self.assertEqual(self.daemon.get(f"/api/v1/runs/{run}")["after"], [first])
        self.daemon.curl(f"/api/v1/runs/{first}/cancel", "-X", "POST")
        progress = self.daemon.get(f"/api/v1/sweeps/{sweep['id']}")["progress"]
        self.assertEqual(progress["by_state"]["failed"], 2)


class Durability(DaemonTestCase):
    def test_an_accepted_sweep_survives_a_kill(self):
        daemon = self.daemon
        sweep = daemon.curl("/api/v1/sweeps", data={
            "base": dict(BASE, epochs=1), "grid": {"seed": [1, 2]}}).json()
        daemon.kill()
        daemon.start()
        self.assertEqual(daemon.get(f"/api/v1/sweeps/{sweep['id']}")["runs"], sweep["runs"])
        for run in sweep["runs"]:
            self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")


if __name__ == "__main__":
    unittest.main()
