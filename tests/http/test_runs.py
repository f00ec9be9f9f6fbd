"""Runs from submission to history, as a researcher does it with curl."""

import csv
import io
import unittest

from daemon_process import TINY, DaemonTestCase

COLUMNS = ("epoch train_loss train_accuracy val_loss val_accuracy val_error val_wrong val_total lr "
           "seconds images_per_second images steps val_error_tta val_error_ema").split()


class Submission(DaemonTestCase):
    def test_run_is_created_and_answered_whole(self):
        response = self.daemon.curl("/api/v1/runs", data=dict(
            TINY, m=2, cutout_size=12, name="first", priority=-5,
            labels={"team": "vision"}, seed=2**53 - 1))
        self.assertEqual(response.status, 201)
        run = response.json()
        self.assertEqual(response.headers["location"], "/api/v1/runs/" + run["id"])
        self.assertIsInstance(run["id"], str)
        self.assertEqual(run["name"], "first")
        self.assertEqual(run["labels"], {"team": "vision"})
        self.assertEqual(run["priority"], -5)
        self.assertEqual(run["config"]["seed"], 2**53 - 1)
        self.assertEqual(run["config"]["optimizer"], "rmsprop")
        self.assertEqual(run["config"]["preset"], "notebook-q3")
        self.assertEqual(run["config"]["lr_schedule"], [{"epoch": 80, "lr": 0.0001}])
        self.assertRegex(run["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(self.daemon.get(response.headers["location"])["id"], run["id"])

    def test_config_of_a_run_can_be_submitted_again(self):
        run = self.daemon.get("/api/v1/runs/" + self.daemon.submit(lr=0.0123, flip=True))
        again = self.daemon.curl("/api/v1/runs", data=run["config"])
        self.assertEqual(again.status, 201)
        self.assertEqual(again.json()["config"], run["config"])

    def test_head_and_form_content_type_work(self):
        response = self.daemon.curl("/api/v1/runs", "-d",
                                    '{"dataset":"shapes","depth":8,"train_images":64,"epochs":1}')
        self.assertEqual(response.status, 201)
        head = self.daemon.curl(response.headers["location"], "--head")
        self.assertEqual(head.status, 200)
        self.assertEqual(head.body, "")


class History(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_id = cls.daemon.submit(epochs=3, m=2, cutout_size=12, name="curve")
        cls.ended = cls.daemon.wait_for_end(cls.run_id)

    def path(self, rest=""):
        return f"/api/v1/runs/{self.run_id}{rest}"

    def test_finished_run_says_how_it_went(self):
        run = self.daemon.get(self.path())
        self.assertEqual(run["state"], "succeeded")
        self.assertEqual(run["attempt"], 1)
        self.assertEqual(run["epochs_done"], 3)
        self.assertIsNone(run["progress"])
        self.assertEqual(run["last"]["epoch"], 3)
        self.assertEqual(run["last"]["val_total"], TINY["test_images"])
        self.assertEqual(run["best"]["val_wrong"],
                         min(row["val_wrong"] for row in self.daemon.history(self.run_id)))
        self.assertLessEqual(run["created_at"], run["started_at"])
        self.assertLess(run["started_at"], run["finished_at"])
        self.assertIn(run["kernel_variant"], ("ref", "blas", "avx2", "avx512"))
        self.assertRegex(run["arithmetic"], r"^(ref|blas|avx)-[0-9]+")
        self.assertEqual(run, self.ended)

    def test_epochs_have_all_columns_and_exact_errors(self):
        items = self.daemon.get(self.path("/epochs"))["items"]
        self.assertEqual([row["epoch"] for row in items], [1, 2, 3])
        for row in items:
            self.assertEqual(list(row), COLUMNS)
            self.assertEqual(row["val_error"], row["val_wrong"] / row["val_total"])
            self.assertAlmostEqual(row["val_error"], 1 - row["val_accuracy"], 12)
            self.assertEqual(row["lr"], 0.001)
            self.assertGreater(row["train_loss"], 0)
            self.assertGreater(row["images_per_second"], 0)

    def test_csv_holds_the_same_numbers(self):
        items = self.daemon.get(self.path("/epochs"))["items"]
        by_format = self.daemon.curl(self.path("/epochs?format=csv"))
        by_accept = self.daemon.curl(self.path("/epochs"), "-H", "Accept: text/csv")
        self.assertEqual(by_format.type, "text/csv; charset=utf-8")
        self.assertEqual(by_format.body, by_accept.body)
        rows = list(csv.DictReader(io.StringIO(by_format.body)))
        self.assertEqual(list(rows[0]), COLUMNS)
        self.assertEqual([{k: float(v) if v else None for k, v in row.items()} for row in rows],
                         [{k: None if v is None else float(v) for k, v in row.items()} for row in items])

    def test_validation_error_is_the_curve_alone(self):
        history = self.daemon.history(self.run_id)
        curve = self.daemon.get(self.path("/validation-error"))
        self.assertEqual(curve["run"], self.run_id)
        self.assertEqual(curve["m"], 2)
        self.assertEqual(curve["epochs"], [1, 2, 3])
        self.assertEqual(curve["val_wrong"], [row["val_wrong"] for row in history])
        self.assertEqual(curve["val_error"], [row["val_error"] for row in history])
        self.assertEqual(curve["val_total"], TINY["test_images"])
        text = self.daemon.curl(self.path("/validation-error?format=csv")).body
        self.assertEqual(text.splitlines()[0], "epoch,val_error,val_wrong,val_total")
        self.assertEqual(len(text.splitlines()), 4)

    def test_unchanged_run_is_not_sent_again(self):
        first = self.daemon.curl(self.path())
        tag = first.headers["etag"]
        self.assertTrue(tag.startswith('W/"'))
        again = self.daemon.curl(self.path(), "-H", f"If-None-Match: {tag}")
        self.assertEqual(again.status, 304)
        self.assertEqual(again.body, "")
        other = self.daemon.curl(self.path(), "-H", 'If-None-Match: W/"0-0"')
        self.assertEqual(other.status, 200)

    def test_summary_counts_parameters(self):
        summary = self.daemon.get(self.path("/summary"))
        self.assertEqual(summary["depth"], 8)
        self.assertEqual(sum(layer["parameters"] for layer in summary["layers"]),
                         summary["parameters"]["total"])
        text = self.daemon.curl(self.path("/summary?format=text"))
        self.assertEqual(text.type, "text/plain; charset=utf-8")
        self.assertIn(f"Total parameters: {summary['parameters']['total']}", text.body)

    def test_same_config_gives_the_same_history(self):
        again = self.daemon.submit(epochs=3, m=2, cutout_size=12)
        self.daemon.wait_for_end(again)
        self.assertEqual(self.daemon.history(again), self.daemon.history(self.run_id))
        other = self.daemon.submit(epochs=3, m=2, cutout_size=12, seed=2)
        self.daemon.wait_for_end(other)
        self.assertNotEqual(self.daemon.history(other), self.daemon.history(self.run_id))


class Divergence(DaemonTestCase):
    def test_loss_that_is_no_number_is_null_and_said_so(self):
        run = self.daemon.submit(lr=100, l2=1, epochs=5, optimizer="sgd",
                                 lr_schedule="constant")
        self.daemon.wait_for_end(run)
        items = self.daemon.get(f"/api/v1/runs/{run}/epochs")["items"]
        self.assertTrue(self.daemon.get(f"/api/v1/runs/{run}")["diverged"])
        self.assertIsNone(items[-1]["train_loss"])
        self.assertIs(items[-1]["diverged"], True)
        rows = list(csv.DictReader(io.StringIO(
            self.daemon.curl(f"/api/v1/runs/{run}/epochs?format=csv").body)))
        self.assertEqual(rows[-1]["train_loss"], "")


class Lists(DaemonTestCase):
    def test_filters_and_pages(self):
        daemon = self.daemon
        blocker = daemon.submit(epochs=100000)
        runs = [daemon.submit(m=m, cutout_size=size) for m in (2, 4, 8) for size in (0, 12)]
        def ids(query):
            return [run["id"] for run in daemon.get("/api/v1/runs" + query)["items"]]
        self.assertEqual(ids(""), list(reversed([blocker] + runs)))
        self.assertEqual(ids("?m=4"), [runs[3], runs[2]])
        self.assertEqual(ids("?m=2,8&cutout_size=12"), [runs[5], runs[1]])
        self.assertEqual(ids("?state=queued&m=1"), [])
        page = daemon.get("/api/v1/runs?limit=3")
        self.assertEqual([run["id"] for run in page["items"]], [runs[5], runs[4], runs[3]])
        rest = daemon.get(f"/api/v1/runs?limit=10&cursor={page['next_cursor']}")
        self.assertEqual([run["id"] for run in rest["items"]],
                         [runs[2], runs[1], runs[0], blocker])
        self.assertIsNone(rest["next_cursor"])
        daemon.events(blocker, until=lambda event: event["event"] == "step")
        self.assertEqual(ids("?state=running"), [blocker])
        self.assertEqual(ids("?state=running,queued"), list(reversed([blocker] + runs)))


class Cancel(DaemonTestCase):
    def test_queued_and_running_runs_can_be_canceled(self):
        daemon = self.daemon
        running = daemon.submit(epochs=100000)
        queued = daemon.submit()
        daemon.events(running, until=lambda event: event["event"] == "step")
        run = daemon.get(f"/api/v1/runs/{running}")
        self.assertEqual(run["state"], "running")
        self.assertEqual(run["progress"]["epochs"], 100000)
        self.assertEqual(run["progress"]["steps_per_epoch"], 4)
        self.assertGreater(run["progress"]["eta_seconds"], 0)
        response = daemon.curl(f"/api/v1/runs/{queued}/cancel", "-X", "POST")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.json()["state"], "canceled")
        response = daemon.curl(f"/api/v1/runs/{running}/cancel", "-X", "POST")
        self.assertIn(response.status, (200, 202))
        self.assertEqual(daemon.wait_for_end(running)["state"], "canceled")
        for run in (queued, running):
            response = daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
            problem = self.assert_problem(response, 409)
            self.assertEqual(problem["state"], "canceled")
            self.assertEqual(problem["allowed_actions"], ["requeue"])

    def test_higher_priority_goes_first(self):
        daemon = self.daemon
        blocker = daemon.submit(epochs=100000, priority=1000)
        late = daemon.submit(epochs=1)
        soon = daemon.submit(epochs=1, priority=10)
        daemon.curl(f"/api/v1/runs/{blocker}/cancel", "-X", "POST")
        first = daemon.wait_for_end(soon)
        second = daemon.wait_for_end(late)
        self.assertLessEqual(first["finished_at"], second["started_at"])


if __name__ == "__main__":
    unittest.main()
