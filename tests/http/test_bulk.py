"""Labels, priority and forks of many runs by one request."""

import unittest

from daemon_process import DaemonTestCase


class Bulk(DaemonTestCase):
    def bulk(self, status=200, options=(), **body):
        response = self.daemon.curl("/api/v1/runs/bulk", *options, data=body)
        self.assertEqual(response.status, status, response.body)
        return response.json()

    def run_of(self, run):
        return self.daemon.get(f"/api/v1/runs/{run}")

    def test_labels_are_added_and_taken_away_and_others_stay(self):
        runs = [self.daemon.submit(hold=True, labels={"team": "a", "old": "x"}, priority=1),
                self.daemon.submit(hold=True)]
        done = self.bulk(action="edit", ids=runs, priority=7, labels={"old": None, "new": "y"})
        self.assertEqual((done["succeeded"], done["failed"]), (2, 0))
        self.assertEqual([item["status"] for item in done["items"]], [200, 200])
        self.assertEqual(done["items"][0]["run"]["labels"], {"team": "a", "new": "y"})
        self.assertEqual(self.run_of(runs[0])["labels"], {"team": "a", "new": "y"})
        self.assertEqual(self.run_of(runs[1])["labels"], {"new": "y"})
        self.assertEqual([self.run_of(run)["priority"] for run in runs], [7, 7])
        self.bulk(action="edit", ids=runs, priority=2)
        self.assertEqual(self.run_of(runs[0])["labels"], {"team": "a", "new": "y"})
        listed = self.daemon.get("/api/v1/runs?label=new:y")["items"]
        self.assertEqual({run["id"] for run in listed}, set(runs))

    def test_a_run_that_refuses_leaves_the_others_alone(self):
        full = self.daemon.submit(hold=True, labels={f"k{i}": "v" for i in range(16)})
        other = self.daemon.submit(hold=True)
        done = self.bulk(action="edit", ids=[full, other, "9999"], labels={"one": "more"})
        self.assertEqual([item["status"] for item in done["items"]], [409, 200, 404])
        self.assertIn("17 labels", done["items"][0]["problem"]["detail"])
        self.assertEqual(self.run_of(other)["labels"], {"one": "more"})

    def test_what_no_run_may_have_is_refused_at_once(self):
        run = self.daemon.submit(hold=True)
        for body, pointer in (({}, ""), ({"priority": "x"}, "/priority"), ({"labels": []}, "/labels"),
                              ({"labels": {"a": 1}}, "/labels/a"), ({"ids": [run, run], "name": "x"}, "/name"),
                              ({"not_before": "soon"}, "/not_before"), ({"m": 2}, "/m")):
            with self.subTest(body):
                response = self.daemon.curl("/api/v1/runs/bulk",
                                            data={"action": "edit", "ids": [run], **body}, malformed=True)
                problem = self.assert_problem(response, 422)
                self.assertEqual(problem["errors"][0]["pointer"], pointer)

    def test_name_labels_and_not_before_are_changed_in_one_commit(self):
        run = self.daemon.submit(epochs=1, labels={"team": "a"}, not_before="2099-01-01T00:00:00Z")
        done = self.bulk(action="edit", ids=[run], name="new", labels={"of": "b"}, not_before=None)
        self.assertEqual((done["succeeded"], done["items"][0]["run"]["name"]), (1, "new"))
        self.daemon.wait_for_end(run)  # whoever waited for its time is woken
        stored = self.run_of(run)
        self.assertEqual((stored["state"], stored["name"], stored["labels"], stored["not_before"]),
                         ("succeeded", "new", {"team": "a", "of": "b"}, None))

    def test_many_are_forked_at_once(self):
        sources = [self.daemon.submit(epochs=1, seed=seed, name=f"s{seed}") for seed in (1, 2)]
        for run in sources:
            self.daemon.wait_for_end(run)
        done = self.bulk(action="fork", ids=sources, overrides={"epochs": 3, "hold": True})
        self.assertEqual([item["id"] for item in done["items"]], sources)
        forks = [item["run"] for item in done["items"]]
        self.assertEqual([fork["forked_from"] for fork in forks],
                         [{"run": run, "epoch": 1} for run in sources])
        self.assertEqual([fork["name"] for fork in forks], ["s1", "s2"])
        self.assertEqual([fork["epochs_done"] for fork in forks], [1, 1])
        for fork in forks:
            self.daemon.curl(f"/api/v1/runs/{fork['id']}/release", "-X", "POST")
            self.assertEqual(self.daemon.wait_for_end(fork["id"])["state"], "succeeded")

    def test_all_are_forked_or_none(self):
        source = self.daemon.submit(epochs=1)
        self.daemon.wait_for_end(source)
        held = self.daemon.submit(hold=True)
        before = len(self.daemon.get("/api/v1/runs?limit=500")["items"])
        problem = self.bulk(422, action="fork", ids=[source, held], overrides={"epochs": 3})
        self.assertIn(f"Run {held}: ", problem["errors"][0]["detail"])
        self.bulk(404, action="fork", ids=[source, "9999"], overrides={"epochs": 3})
        self.assertEqual(len(self.daemon.get("/api/v1/runs?limit=500")["items"]), before)

    def test_repeated_with_its_key_it_is_done_once(self):
        source = self.daemon.submit(epochs=1)
        self.daemon.wait_for_end(source)
        key = ("-H", "Idempotency-Key: many-1")
        first = self.bulk(action="fork", ids=[source], overrides={"epochs": 2, "hold": True}, options=key)
        again = self.bulk(action="fork", ids=[source], overrides={"epochs": 2, "hold": True}, options=key)
        self.assertEqual(first, again)
        key = ("-H", "Idempotency-Key: many-2")
        first = self.bulk(action="edit", ids=[source], priority=3, options=key)
        self.bulk(action="edit", ids=[source], priority=4)
        self.assertEqual(self.bulk(action="edit", ids=[source], priority=3, options=key), first)
        self.assertEqual(self.run_of(source)["priority"], 4)


if __name__ == "__main__":
    unittest.main()
