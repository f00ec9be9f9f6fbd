"""Sweeps by halving: runs pause at rungs, the best go on, the same under any restart."""

import os
import subprocess
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase, wait_for

BASE = dict({name: value for name, value in TINY.items() if name not in ("m", "seed")}, epochs=6)
GRID = {"m": [1, 2], "seed": [1, 2, 3]}


class Halving(DaemonTestCase):
    def setUp(self):
        self.daemon = self.fresh()

    def post(self, grid=GRID, base=BASE, query="", **halving):
        return self.daemon.curl("/api/v1/sweeps" + query,
                                data={"base": base, "grid": grid, "halving": halving})

    def wait_for_sweep(self, sweep):
        events = self.daemon.follow(f"/api/v1/sweeps/{sweep['id']}/events")
        self.assertEqual(events[-1]["event"], "end")
        return self.daemon.get("/api/v1/sweeps/" + sweep["id"])

    def told(self, sweep):
        """The rungs with places in the sweep instead of ids."""
        place = {run: i for i, run in enumerate(sweep["runs"])}
        return [(rung["epochs"], [(entry["rank"], entry["setting"], entry["value"],
                                   entry["promoted"], [place[run] for run in entry["runs"]])
                                  for entry in rung["ranking"]])
                for rung in sweep["halving"]["rungs"]]

    def test_best_go_on_and_the_others_can_be_resumed_to_the_same_bits(self):
        sweep = self.post(first_epochs=1, eta=3).json()
        self.assertEqual(sweep["spec"]["halving"], {"first_epochs": 1, "eta": 3})
        sweep = self.wait_for_sweep(sweep)
        first, second = self.told(sweep)
        self.assertEqual((first[0], second[0]), (1, 3))
        self.assertEqual([entry[3] for entry in first[1]], [True, True] + 4 * [False])
        self.assertEqual([entry[3] for entry in second[1]], [True, False])
        errors = [self.daemon.history(run)[0]["val_error"] for run in sweep["runs"]]
        ranking = sorted(range(6), key=lambda i: (errors[i], i))
        self.assertEqual([entry[4] for entry in first[1]], [[i] for i in ranking])
        self.assertEqual(sweep["progress"]["by_state"]["succeeded"], 1)
        self.assertEqual(sweep["progress"]["by_state"]["paused"], 5)
        self.assertEqual((sweep["halving"]["ranked_out"], sweep["halving"]["epochs_saved"]),
                         (5, 4 * 5 + 3))
        self.assertEqual(sweep["progress"]["eta_seconds"], 0)
        # One that was left behind goes on to the bits of a run that nobody paused.
        out = sweep["runs"][ranking[-1]]
        shown = self.daemon.get("/api/v1/runs/" + out)
        self.assertIn("rank 6 of 6 at epoch 1 (val_error ", shown["reason"])
        self.assertEqual(shown["halving"], {"rung": None, "pause_at": None, "ranked_out": True})
        plain = self.daemon.submit(**{name: value for name, value in shown["config"].items()})
        self.daemon.curl(f"/api/v1/runs/{out}/resume", "-X", "POST")
        self.assertEqual(self.daemon.wait_for_end(out)["state"], "succeeded")
        self.daemon.wait_for_end(plain)
        self.assertEqual(self.daemon.history(out), self.daemon.history(plain))

    def test_ranking_is_the_same_when_the_daemon_is_killed_at_any_time(self):
        whole = self.told(self.wait_for_sweep(self.post(first_epochs=1, eta=3).json()))
        sweep = self.post(first_epochs=1, eta=3).json()
        for n_paused in (1, 3, 5):
            wait_for(lambda: self.daemon.get("/api/v1/sweeps/" + sweep["id"])["progress"]
                     ["by_state"]["paused"] >= n_paused)
            self.daemon.kill()
            self.daemon.start()
        self.assertEqual(self.told(self.wait_for_sweep(sweep)), whole)

    def test_settings_are_ranked_by_the_mean_over_seeds(self):
        sweep = self.wait_for_sweep(self.post(first_epochs=2, eta=2, rank_by=["m"]).json())
        (epochs, ranking), = self.told(sweep)
        self.assertEqual((epochs, len(ranking)), (2, 2))
        for _, setting, value, _, places in ranking:
            errors = [self.daemon.history(sweep["runs"][i])[1]["val_error"] for i in places]
            self.assertAlmostEqual(value, sum(errors) / 3, places=8)
            self.assertEqual(places, [0, 1, 2] if setting == "m=1" else [3, 4, 5])
        self.assertEqual(sweep["progress"]["by_state"]["succeeded"], 3)

    def test_its_figure_marks_the_rungs_and_who_paused(self):
        sweep = self.wait_for_sweep(self.post(first_epochs=1, eta=3).json())
        figure = f"/api/v1/figures/validation-error.svg?sweep={sweep['id']}&group_by=none"
        text = self.daemon.curl(figure).body
        for words in (">2 of 6<", ">1 of 2<", "\u2016 runs paused here"):
            self.assertIn(words, text)
        self.assertNotIn(">2 of 6<", self.daemon.curl(figure + "&x=images").body)
        ids = ",".join(sweep["runs"])
        self.assertNotIn(">2 of 6<", self.daemon.curl(f"/api/v1/figures/validation-error.svg?ids={ids}").body)

    def test_wait_of_the_client_knows_that_the_sweep_has_ended(self):
        sweep = self.post(first_epochs=1, eta=3).json()
        done = subprocess.run([os.environ["CUTOUTCTL"], "--server", self.daemon.url("").rstrip("/"),
                               "wait", *sweep["runs"]], timeout=PATIENCE_S, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_makes_no_sense_is_refused(self):
        for halving, grid, pointer in (
                ({"eta": 3}, GRID, "/halving"),
                ({"first_epochs": 0}, GRID, "/halving/first_epochs"),
                ({"first_epochs": 6}, GRID, "/halving/first_epochs"),
                ({"first_epochs": 1, "eta": 1}, GRID, "/halving/eta"),
                ({"first_epochs": 1, "metric": "accuracy"}, GRID, "/halving/metric"),
                ({"first_epochs": 1, "rank_by": ["lr"]}, GRID, "/halving/rank_by"),
                ({"first_epochs": 1, "rank": ["m"]}, GRID, "/halving/rank"),
                ({"first_epochs": 1}, {"epochs": [2, 4]}, "/halving")):
            answer = self.post(grid=grid, **halving)
            self.assert_problem(answer, 422)
            self.assertEqual([error["pointer"] for error in answer.json()["errors"]], [pointer])


if __name__ == "__main__":
    unittest.main()
