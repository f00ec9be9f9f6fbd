"""Lists of runs: filters, orders, fields, pages, and what is not sent again."""

import json
import unittest

from daemon_process import DaemonTestCase


class Lists(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.done = [cls.daemon.submit(epochs=1, m=m, seed=seed, name=f"done {m}",
                                      labels={"team": "vision", "m": str(m)})
                    for m in (1, 2) for seed in (1, 2)]
        for run in cls.done:
            cls.daemon.wait_for_end(run)
        cls.canceled = [cls.daemon.submit(epochs=100000, m=4, priority=i, optimizer="adam",
                                          labels={"team": "speech"}) for i in range(-3, 0)]
        for run in cls.canceled:
            cls.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
            cls.daemon.wait_for_end(run)

    def ids(self, query):
        return [run["id"] for run in self.daemon.get("/api/v1/runs?" + query)["items"]]

    def pages(self, query):
        """The ids of a list, followed along its Link headers."""
        path = "/api/v1/runs?" + query
        ids = []
        while path:
            response = self.daemon.curl(path)
            self.assertEqual(response.status, 200, response.body)
            page = response.json()
            ids += [run["id"] for run in page["items"]]
            link = response.headers.get("link", "")
            self.assertEqual(link != "", page["next_cursor"] is not None)
            path = link.removeprefix("<").partition(">")[0]
        return ids

    def test_filters_are_and_and_commas_are_or(self):
        everything = self.done + self.canceled
        self.assertEqual(self.ids("m=1,2"), self.done[::-1])
        self.assertEqual(self.ids("m=1,2&seed=2"), [self.done[3], self.done[1]])
        self.assertEqual(self.ids("state=succeeded,canceled"), everything[::-1])
        self.assertEqual(self.ids("optimizer=adam&dataset=shapes&depth=8"), self.canceled[::-1])
        self.assertEqual(self.ids("label=team:vision,team:speech"), everything[::-1])
        self.assertEqual(self.ids("label=team:vision&label=m:2"), self.done[:1:-1])
        self.assertEqual(self.ids("name=done%202"), self.done[:1:-1])
        self.assertEqual(self.ids("state=running"), [])

    def test_a_page_says_in_what_its_runs_differ(self):
        def varies(query):
            return self.daemon.get("/api/v1/runs?" + query)["varies"]
        self.assertEqual(varies("state=succeeded"), ["m", "seed"])
        self.assertEqual(varies("m=1&fields=id,config"), ["seed"])
        self.assertEqual(varies("m=1&limit=1"), [])
        self.assertEqual(varies("m=77"), [])
        self.assertEqual(varies("seed=1&limit=500")[0], "epochs")
        self.assertNotIn("varies", self.daemon.get("/api/v1/runs?m=1&fields=id,best"))

    def test_every_order_is_paged_through_once(self):
        names = ("id created updated finished priority name state m cutout_size seed best "
                 "best_epoch last mean_last_5 train_seconds").split()
        for name in names:
            for sort in (name, "-" + name):
                with self.subTest(sort):
                    whole = self.ids(f"sort={sort}")
                    self.assertEqual(sorted(whole, key=int), self.done + self.canceled)
                    self.assertEqual(self.pages(f"sort={sort}&limit=2"), whole)

    def test_best_runs_come_first_and_those_without_a_result_last(self):
        items = self.daemon.get("/api/v1/runs?sort=best")["items"]
        errors = [run["best"]["val_error"] for run in items if run["best"]]
        self.assertEqual(errors, sorted(errors))
        backwards = self.daemon.get("/api/v1/runs?sort=-best")["items"]
        self.assertEqual([run["best"]["val_error"] for run in backwards if run["best"]],
                         errors[::-1])
        for order in (items, backwards):
            found = [run["best"] is not None for run in order]
            self.assertEqual(found, sorted(found, reverse=True))
        self.assertEqual(self.ids("sort=priority&state=canceled"), self.canceled)

    def test_only_the_fields_asked_for_are_sent(self):
        items = self.daemon.get("/api/v1/runs?fields=id,state,best,config&limit=2&m=1")["items"]
        self.assertEqual([list(run) for run in items], [["id", "state", "config", "best"]] * 2)
        run = self.daemon.get(f"/api/v1/runs/{self.done[0]}?fields=labels")
        self.assertEqual(run, {"labels": {"team": "vision", "m": "1"}})

    def test_unchanged_list_is_not_sent_again(self):
        path = "/api/v1/runs?sort=best&m=1,2"
        first = self.daemon.curl(path)
        tag = first.headers["etag"]
        self.assertTrue(tag.startswith('W/"'))
        again = self.daemon.curl(path, "-H", "If-None-Match: " + tag)
        self.assertEqual((again.status, again.body), (304, ""))
        self.assertEqual(again.headers["etag"], tag)
        other = self.daemon.curl(path + "&limit=1", "-H", "If-None-Match: " + tag)
        self.assertEqual(other.status, 200)

    def test_arguments_that_cannot_be_meant_are_named(self):
        for query in ("sort=colour", "sort=", "fields=id,colour", "label=team", "seed=x",
                      "state=queued,,running", "cursor=00", "cursor=zz", "owners=ada"):
            with self.subTest(query):
                problem = self.assert_problem(self.daemon.curl("/api/v1/runs?" + query), 400)
                self.assertEqual(problem["errors"][0]["parameter"], query.partition("=")[0])
        self.assert_problem(self.daemon.curl("/api/v1/runs?limit=1&limit=2"), 400)
        cursor = self.daemon.get("/api/v1/runs?limit=1")["next_cursor"]
        self.assert_problem(self.daemon.curl("/api/v1/runs?sort=best&cursor=" + cursor), 400)


class Histories(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_id = cls.daemon.submit(epochs=7)
        cls.daemon.wait_for_end(cls.run_id)
        cls.path = f"/api/v1/runs/{cls.run_id}/epochs"

    def test_all_formats_hold_the_same(self):
        items = self.daemon.get(self.path)["items"]
        by_accept = self.daemon.curl(self.path, "-H", "Accept: application/x-ndjson")
        self.assertEqual(by_accept.type, "application/x-ndjson")
        self.assertEqual([json.loads(line) for line in by_accept.body.splitlines()], items)
        lines = self.daemon.curl(self.path + "?format=csv").body.splitlines()
        self.assertEqual(len(lines), 8)
        self.assertEqual([float(line.split(",")[5]) for line in lines[1:]],
                         [row["val_error"] for row in items])

    def test_window_moves_on(self):
        self.assertEqual(self.epochs("since_epoch=5"), [6, 7])
        self.assertEqual(self.epochs("since_epoch=7"), [])
        page = self.daemon.curl(self.path + "?since_epoch=2&limit=3")
        self.assertEqual([row["epoch"] for row in page.json()["items"]], [3, 4, 5])
        self.assertEqual(page.json()["next_cursor"], "5")
        rest = page.headers["link"].removeprefix("<").partition(">")[0]
        self.assertEqual([row["epoch"] for row in self.daemon.get(rest)["items"]], [6, 7])
        self.assertIsNone(self.daemon.get(rest)["next_cursor"])

    def test_points_keep_first_best_and_last(self):
        run = self.daemon.get(f"/api/v1/runs/{self.run_id}")
        epochs = self.epochs("points=3")
        self.assertEqual((epochs[0], epochs[2]), (1, 7))
        self.assertIn(run["best_epoch"], epochs)
        curve = self.daemon.get(f"/api/v1/runs/{self.run_id}/validation-error?points=3")
        self.assertEqual(curve["epochs"], epochs)

    def test_unchanged_history_is_not_sent_again(self):
        for query in ("", "?format=csv", "?format=ndjson", "?points=4"):
            tag = self.daemon.curl(self.path + query).headers["etag"]
            again = self.daemon.curl(self.path + query, "-H", "If-None-Match: " + tag)
            self.assertEqual((again.status, again.body), (304, ""))

    def test_long_answers_are_packed_for_those_who_unpack(self):
        plain = self.daemon.curl(self.path)
        packed = self.daemon.curl(self.path, "--compressed")
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertIn("Accept-Encoding", packed.headers["vary"])
        self.assertEqual(packed.headers["etag"], plain.headers["etag"])
        self.assertLess(int(packed.headers["content-length"]), len(plain.body) / 2)
        self.assertEqual(packed.body, plain.body)
        self.assertNotIn("content-encoding", plain.headers)
        short = self.daemon.curl(self.path + "?since_epoch=6", "--compressed")
        self.assertNotIn("content-encoding", short.headers)
        refused = self.daemon.curl(self.path, "-H", "Accept-Encoding: gzip;q=0")
        self.assertNotIn("content-encoding", refused.headers)

    def test_log_has_the_newest_lines(self):
        path = f"/api/v1/runs/{self.run_id}/log"
        whole = self.daemon.curl(path).body.splitlines()
        newest = self.daemon.curl(path + "?limit=2").body.splitlines()
        self.assertGreater(len(whole), 3)
        self.assertEqual(newest[1:], whole[-2:])
        self.assertEqual(newest[0], "(the newest lines; limit=N shows more)")
        for limit in ("0", "5001", "x"):
            self.assertEqual(self.daemon.curl(path + "?limit=" + limit).status, 400)

    def test_log_tells_the_story_in_lines(self):
        log = self.daemon.curl(f"/api/v1/runs/{self.run_id}/log")
        self.assertEqual(log.type, "text/plain; charset=utf-8")
        stories = [line.partition(" ")[2] for line in log.body.splitlines()]
        self.assertEqual(stories[:2], ["queued, attempt 1", "running, attempt 1"])
        self.assertEqual(stories[-1], "succeeded, attempt 1")
        self.assertEqual(sum(story.startswith("epoch ") for story in stories), 7)
        self.assertTrue(any(story.startswith("checkpoint best: ") for story in stories))

    def test_windows_that_cannot_be_meant_are_named(self):
        for query in ("since_epoch=-1", "points=2", "points=5&limit=3", "format=xml", "epochs=3"):
            with self.subTest(query):
                problem = self.assert_problem(self.daemon.curl(self.path + "?" + query), 400)
                self.assertEqual(problem["errors"][0]["parameter"], query.partition("=")[0])

    def epochs(self, query):
        return [row["epoch"] for row in self.daemon.get(self.path + "?" + query)["items"]]


if __name__ == "__main__":
    unittest.main()
