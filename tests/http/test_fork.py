"""Forks: new runs that begin where another one was."""

import unittest

from daemon_process import TINY, DaemonTestCase


class Forks(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.daemon.submit(epochs=3, m=2, cutout_size=12, labels={"a": "b"})
        cls.daemon.wait_for_end(cls.source)

    def fork(self, body, status=201, run=None):
        response = self.daemon.curl(f"/api/v1/runs/{run or self.source}/fork", data=body)
        self.assertEqual(response.status, status, response.body)
        return response.json()

    def test_fork_with_more_epochs_ends_as_if_it_had_been_asked_for_at_once(self):
        fork = self.fork({"overrides": {"epochs": 5}})
        self.assertEqual(fork["forked_from"], {"run": self.source, "epoch": 3})
        self.assertEqual(fork["labels"], {"a": "b"})
        self.assertEqual(self.daemon.wait_for_end(fork["id"])["state"], "succeeded")
        whole = self.daemon.submit(epochs=5, m=2, cutout_size=12)
        self.daemon.wait_for_end(whole)
        self.assertEqual(self.daemon.history(fork["id"]), self.daemon.history(whole))
        epochs = [e["data"]["epoch"] for e in self.daemon.events(fork["id"], query="?since=0")
                  if e["event"] == "epoch"]
        self.assertEqual(epochs, [1, 2, 3, 4, 5])

    def test_numbers_of_the_source_are_kept_to_the_last_bit(self):
        exact = {"seed": 9007199254740991, "lr": 0.30000000000000004, "m": 2}
        source = self.daemon.submit(epochs=2, **exact)
        self.daemon.wait_for_end(source)
        fork = self.fork({"overrides": {"epochs": 3}}, run=source)
        many = self.daemon.curl("/api/v1/runs/bulk", data={"action": "fork", "ids": [source], "overrides": {"epochs": 3}})
        self.assertEqual(many.status, 200, many.body)
        whole = self.daemon.get("/api/v1/runs/" + self.daemon.submit(epochs=3, **exact))
        self.daemon.wait_for_end(whole["id"])
        for run in (fork["id"], many.json()["items"][0]["run"]["id"]):
            self.daemon.wait_for_end(run)
            self.assertEqual(self.daemon.get("/api/v1/runs/" + run)["config"], whole["config"])
            self.assertEqual(self.daemon.history(run), self.daemon.history(whole["id"]))

    def test_fork_keeps_the_history_and_takes_other_settings(self):
        best = self.daemon.get(f"/api/v1/runs/{self.source}")["best_epoch"]
        fork = self.fork({"from_epoch": "best",
                          "overrides": {"epochs": 6, "lr": 0.0001, "m": 1, "name": "slow"}})
        self.assertEqual((fork["forked_from"]["epoch"], fork["epochs_done"]), (best, best))
        self.assertEqual((fork["name"], fork["config"]["m"]), ("slow", 1))
        end = self.daemon.wait_for_end(fork["id"])
        self.assertEqual((end["state"], end["epochs_done"]), ("succeeded", 6), end["reason"])
        mine = self.daemon.history(fork["id"])
        self.assertEqual(mine[:best], self.daemon.history(self.source)[:best])
        self.assertEqual([row["lr"] for row in mine[best:]], [0.0001] * (6 - best))

    def test_fork_with_another_m_counts_each_epoch_with_its_own_images(self):
        daemon = self.fresh()
        source = daemon.submit(epochs=2, m=1, batch_size=16, train_images=32)
        daemon.wait_for_end(source)
        images = daemon.history(source)[0]["images"]
        fork = daemon.curl(f"/api/v1/runs/{source}/fork", data={
            "overrides": {"epochs": 4, "m": 8}}).json()["id"]
        self.assertEqual(daemon.wait_for_end(fork)["state"], "succeeded")
        epochs = daemon.get(f"/api/v1/runs/{fork}/epochs")["items"]
        self.assertEqual([e["images"] for e in epochs], [images] * 2 + [8 * images] * 2)
        self.assertEqual(len({e["steps"] for e in epochs}), 1)
        told = [e["data"]["images"] for e in daemon.events(fork, query="?since=0")
                if e["event"] == "epoch"]
        self.assertEqual(told, [e["images"] for e in epochs])
        group = daemon.get(f"/api/v1/compare?ids={fork}&x=images")["groups"][0]
        self.assertEqual([p["x"] for p in group["points"]],
                         [images, 2 * images, 10 * images, 18 * images])
        self.assertLessEqual(group["images_per_second"]["mean"],
                             max(e["images_per_second"] for e in epochs))
        # What is promised comes from the two epochs with eight copies alone.
        own = sum(e["seconds"] for e in epochs[2:])
        run = daemon.get(f"/api/v1/runs/{fork}")
        self.assertAlmostEqual(run["estimate"]["seconds_per_epoch"], own / 2, 9)
        plan = daemon.curl("/api/v1/runs?dry_run=true",
                           data=dict(TINY, epochs=4, m=8, batch_size=16, train_images=32)).json()
        self.assertAlmostEqual(plan["estimate"]["images_per_second"], 16 * images / own, 6)

    def test_fork_outlives_its_source(self):
        source = self.daemon.submit(epochs=2)
        self.daemon.wait_for_end(source)
        fork = self.fork({"overrides": {"epochs": 3, "hold": True}}, run=source)
        self.assertEqual(fork["state"], "held")
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{source}", "-X", "DELETE").status, 204)
        self.daemon.curl(f"/api/v1/runs/{fork['id']}/release", "-X", "POST")
        end = self.daemon.wait_for_end(fork["id"])
        self.assertEqual((end["state"], end["epochs_done"], end["reason"]),
                         ("succeeded", 3, None))
        self.assertEqual(end["forked_from"]["run"], source)

    def test_the_forks_of_a_run_are_listed(self):
        source = self.daemon.submit(epochs=2)
        self.daemon.wait_for_end(source)
        made = [self.daemon.curl(f"/api/v1/runs/{source}/fork", data={"overrides": {"epochs": 3, "seed": seed}}).json()["id"]
                for seed in (5, 6)]
        other = self.daemon.submit(epochs=1)
        for run in (*made, other):
            self.daemon.wait_for_end(run)
        again = self.daemon.curl(f"/api/v1/runs/{made[0]}/fork", data={"overrides": {"epochs": 4}}).json()["id"]
        self.daemon.wait_for_end(again)

        def forks(arguments):
            return [run["id"] for run in self.daemon.get("/api/v1/runs?sort=id&" + arguments)["items"]]

        self.assertEqual(forks(f"forked_from={source}"), made)
        self.assertEqual(forks(f"forked_from={source},{made[0]}"), [*made, again])
        self.assertEqual(forks(f"forked_from={source}&seed=6"), made[1:])
        self.assertEqual(forks(f"forked_from={source}&limit=1"), made[:1])
        self.assertEqual(forks(f"forked_from={other}"), [])
        self.assertEqual(self.daemon.curl("/api/v1/runs?forked_from=x").status, 400)

    def test_fork_survives_a_kill_of_the_daemon(self):
        daemon = self.fresh()
        source = daemon.submit(epochs=2)
        daemon.wait_for_end(source)
        whole = daemon.submit(epochs=8)
        daemon.wait_for_end(whole)
        response = daemon.curl(f"/api/v1/runs/{source}/fork", data={"overrides": {"epochs": 8}})
        self.assertEqual(response.status, 201, response.body)
        daemon.kill()
        daemon.start()
        fork = response.json()["id"]
        self.assertEqual(daemon.wait_for_end(fork)["state"], "succeeded")
        self.assertEqual(daemon.history(fork), daemon.history(whole))

    def test_fork_from_nothing_starts_anew(self):
        fork = self.fork({"from_epoch": 0, "overrides": {"epochs": 1, "depth": 14}})
        self.assertEqual((fork["epochs_done"], fork["config"]["depth"]), (0, 14))
        self.assertEqual(self.daemon.wait_for_end(fork["id"])["state"], "succeeded")

    def test_impossible_forks_name_what_is_wrong(self):
        problem = self.fork({"from_epoch": 77}, 422)
        self.assertEqual(problem["errors"][0]["pointer"], "/from_epoch")
        self.assertIn("(3", problem["errors"][0]["detail"])
        problem = self.fork({"overrides": {"depth": 14, "optimizer": "adam", "epochs": 3}}, 422)
        self.assertEqual([e["pointer"] for e in problem["errors"]],
                         ["/overrides/depth", "/overrides/optimizer", "/overrides/epochs"])
        problem = self.fork({"overrides": {"mm": 1}}, 422)
        self.assertEqual(problem["errors"][0]["pointer"], "/overrides/mm")
        self.fork({"x": 1}, 422)
        self.fork({}, 404, run="999")


if __name__ == "__main__":
    unittest.main()
