"""Which setting is best: runs compared by curl, checked against their epochs."""

import csv
import io
import math
import statistics
import unittest

from daemon_process import TINY, DaemonTestCase


N_TRAIN = TINY["train_images"]


class Comparison(DaemonTestCase):
    """m=2 with seeds 1 and 2, m=1 with seed 1."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = [cls.daemon.submit(m=2, seed=1, name="a"), cls.daemon.submit(m=2, seed=2),
                    cls.daemon.submit(m=1, seed=1)]
        for run in cls.runs:
            if cls.daemon.wait_for_end(run)["state"] != "succeeded":
                raise AssertionError(cls.daemon.log())
        cls.ids = ",".join(cls.runs)
        cls.histories = [cls.daemon.get(f"/api/v1/runs/{run}/epochs")["items"]
                         for run in cls.runs]

    def compare(self, query=""):
        return self.daemon.get(f"/api/v1/compare?ids={self.ids}{query}")

    def column(self, run, name):
        return [row[name] for row in self.histories[run]]

    def test_curves_are_means_over_seeds(self):
        answer = self.compare()
        self.assertEqual(answer["metric"], "val_error")
        self.assertEqual(answer["x"], "epoch")
        self.assertEqual(answer["group_by"], ["m"])
        self.assertIsNone(answer["target"])
        one, two = answer["groups"]
        self.assertEqual(one["label"], "m=1")
        self.assertEqual(two["key"], {"m": 2})
        self.assertEqual(two["runs"], self.runs[:2])
        self.assertIsNone(two["to_target"])
        self.assertIsNone(two["versus_baseline"])
        for i, point in enumerate(two["points"]):
            pair = [self.histories[run][i]["val_error"] for run in (0, 1)]
            self.assertEqual(point["x"], i + 1)
            self.assertEqual(point["n"], 2)
            self.assertAlmostEqual(point["mean"], statistics.mean(pair))
            self.assertAlmostEqual(point["std"], statistics.stdev(pair))
            self.assertEqual((point["min"], point["max"]), (min(pair), max(pair)))
        self.assertIsNone(one["points"][0]["std"])
        self.assertAlmostEqual(two["best"]["mean"], statistics.mean(
            min(self.column(run, "val_error")) for run in (0, 1)))

    def test_time_and_speed_are_those_of_the_epochs(self):
        two = self.compare()["groups"][1]
        totals = [sum(self.column(run, "seconds")) for run in (0, 1)]
        self.assertAlmostEqual(two["total_seconds"]["mean"], statistics.mean(totals))
        self.assertAlmostEqual(two["seconds_per_epoch"]["mean"], statistics.mean(totals) / 2)
        self.assertAlmostEqual(two["images_per_second"]["mean"],
                               statistics.mean(2 * 2 * N_TRAIN / total for total in totals), places=4)

    def test_curves_run_along_images_and_seconds(self):
        points = self.compare("&x=images&metric=train_loss")["groups"][1]["points"]
        self.assertEqual([point["x"] for point in points], [2 * N_TRAIN, 4 * N_TRAIN])
        self.assertAlmostEqual(points[0]["mean"], statistics.mean(
            self.column(run, "train_loss")[0] for run in (0, 1)))
        points = self.compare("&x=step")["groups"][0]["points"]
        self.assertEqual([point["x"] for point in points], [4, 8])
        points = self.compare("&x=seconds")["groups"][1]["points"]
        self.assertAlmostEqual(points[1]["x"], statistics.mean(
            sum(self.column(run, "seconds")) for run in (0, 1)))

    def test_differences_are_paired_by_seed(self):
        answer = self.compare("&group_by=m&baseline=1&metric=val_loss")
        self.assertEqual(answer["baseline"], "m=1")
        versus = answer["groups"][1]["versus_baseline"]
        self.assertEqual(versus["n"], 1)
        self.assertIsNone(versus["std"])
        self.assertAlmostEqual(versus["mean"], min(self.column(0, "val_loss")) -
                               min(self.column(2, "val_loss")))

    def test_it_says_in_what_the_runs_differ(self):
        self.assertEqual(self.compare()["varies"], ["m", "seed"])
        self.assertEqual(self.compare("&group_by=none")["varies"], ["m", "seed"])
        alone = self.daemon.get(f"/api/v1/compare?ids={self.runs[0]}")
        self.assertEqual(alone["varies"], [])

    def test_without_groups_each_run_is_a_curve(self):
        answer = self.compare("&group_by=none")
        self.assertEqual([group["label"] for group in answer["groups"]],
                         [f"run {self.runs[0]} a", f"run {self.runs[1]}", f"run {self.runs[2]}"])
        self.assertEqual(answer["groups"][0]["key"], {"run": self.runs[0]})

    def test_csv_is_wide(self):
        response = self.daemon.curl(f"/api/v1/compare?ids={self.ids}&format=csv")
        self.assertEqual(response.type, "text/csv; charset=utf-8")
        rows = list(csv.DictReader(io.StringIO(response.body)))
        self.assertEqual(list(rows[0]), ["epoch", "m1_mean", "m1_std", "m1_n", "m2_mean",
                                         "m2_std", "m2_n"])
        groups = self.compare()["groups"]
        for i, row in enumerate(rows):
            self.assertEqual(row["epoch"], str(i + 1))
            self.assertEqual(row["m1_std"], "")
            self.assertEqual(row["m1_n"], "1")
            self.assertTrue(math.isclose(float(row["m2_std"]), groups[1]["points"][i]["std"],
                                         abs_tol=1e-15))
        response = self.daemon.curl(f"/api/v1/compare?ids={self.ids}&x=images",
                                    "-H", "Accept: text/csv")
        self.assertTrue(response.body.startswith("epoch,m1_images,m1_mean"), response.body)

    def test_unchanged_runs_are_not_compared_again(self):
        path = f"/api/v1/compare?ids={self.ids}"
        tag = self.daemon.curl(path).headers["etag"]
        response = self.daemon.curl(path, "-H", f"If-None-Match: {tag}")
        self.assertEqual((response.status, response.body), (304, ""))
        self.assertEqual(self.daemon.curl(path + "&format=csv", "-H",
                                          f"If-None-Match: {tag}").status, 200)
        response = self.daemon.curl(f"/api/v1/compare?ids={self.runs[0]}", "-H",
                                    f"If-None-Match: {tag}")
        self.assertEqual(response.status, 200)

    def test_refusals_name_the_argument(self):
        for query, name in (("", "ids"), ("?ids=1&sweep=1", "sweep"), ("?ids=", "ids"),
                            ("?ids=1,x", "ids"), ("?ids=1,1", "ids"), ("?sweep=x", "sweep"),
                            ("?ids=1&x=hours", "x"), ("?ids=1&metric=loss", "metric"),
                            ("?ids=1&target=nan", "target"), ("?ids=1&target=", "target"),
                            ("?ids=1&group_by=cutout", "group_by"),
                            ("?ids=1&group_by=name", "group_by"),
                            ("?ids=1&group_by=m,labels", "group_by"),
                            ("?ids=1&group_by=" + "m" * 300, "group_by"),
                            ("?ids=1&group_by=m&baseline=7", "baseline"),
                            ("?ids=1&format=svg", "format"), ("?ids=1&theme=dark", "theme")):
            with self.subTest(query=query[:40]):
                problem = self.assert_problem(self.daemon.curl("/api/v1/compare" + query), 400)
                self.assertEqual(problem["errors"][0]["parameter"], name)
        for query, detail in (("?ids=1,999", "run 999"), ("?sweep=999", "sweep 999")):
            problem = self.assert_problem(self.daemon.curl("/api/v1/compare" + query), 404)
            self.assertIn(detail, problem["detail"])


class UnfinishedRuns(DaemonTestCase):
    def test_a_run_without_epochs_is_a_group_without_points(self):
        blocker = self.daemon.submit(epochs=100000, priority=10)
        waiting = self.daemon.submit()
        answer = self.daemon.get(f"/api/v1/compare?ids={waiting}&target=0.5&x=seconds")
        group, = answer["groups"]
        self.assertEqual(group["label"], f"run {waiting}")
        self.assertEqual(group["points"], [])
        self.assertIsNone(group["best"]["mean"])
        self.assertEqual(group["to_target"]["epochs"],
                         {"mean": None, "std": None, "min": None, "max": None, "n_reached": 0,
                          "n": 1})
        response = self.daemon.curl(f"/api/v1/compare?ids={waiting}&format=csv")
        self.assertEqual(response.body, f"epoch,run_{waiting}_mean,run_{waiting}_std,run_{waiting}_n\n")
        for run in (waiting, blocker):
            self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        self.daemon.wait_for_end(blocker)


if __name__ == "__main__":
    unittest.main()
