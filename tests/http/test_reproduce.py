"""tools/reproduce: a small one, stopped in the middle; and the tables it makes of histories."""

import argparse
import csv
import importlib.machinery
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from daemon_process import PATIENCE_S, SLOW_BUILD, DaemonTestCase

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
TOOL = os.path.join(ROOT, "tools", "reproduce")
PAGE = os.path.join(ROOT, "tests", "reproduction")
sys.path.insert(0, os.path.join(ROOT, "tools", "python"))
import cutoutd  # noqa: E402
import quickstart  # noqa: E402
import reproduction  # noqa: E402

SMALL = ["--depth", "8", "--m", "1,2", "--squares", "1,2", "--pair", "1", "--seeds", "1",
         "--epochs", "2", "--squares-epochs", "2", "--threads-per-run", "1",
         "--train-images", "64" if SLOW_BUILD else "128", "--test-images", "20"]


def load_tool():
    loader = importlib.machinery.SourceFileLoader("reproduce_tool", TOOL)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def rows(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Reproduce(DaemonTestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-reproduce-")
        self.addCleanup(directory.cleanup)
        self.output = directory.name

    def begin(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-B", TOOL, "--output", self.output, *SMALL, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            env=dict(os.environ, CUTOUTD_SHAPES_TRAIN="512", CUTOUTD_SHAPES_TEST="100"))

    def finish(self, *arguments):
        with self.begin(*arguments) as process:
            said, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 0, said)
        return said

    def test_a_stop_in_the_middle_loses_nothing_and_repeats_nothing(self):
        own = ["--cutoutd", os.environ["CUTOUTD"]]
        with self.begin(*own) as process:
            first = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=PATIENCE_S)
        self.assertIn("equal-epochs m=1 seed=1: succeeded", first)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM, rest)
        said = self.finish(*own)
        self.assertNotIn("equal-epochs m=1 seed=1:", said)
        runs = rows(self.output, "runs.csv")
        self.assertEqual([run["parts"] for run in runs[:3]],
                         ["equal-epochs equal-images equal-batch", "equal-epochs", "equal-images"])
        self.assertEqual(len({run["key"] for run in runs}), len(runs))
        self.assertEqual([int(run["run"]) for run in runs], list(range(1, len(runs) + 1)))
        self.assertEqual([row["key"] for row in rows(self.output, "plan.csv")],
                         [run["key"] for run in runs])
        for name in (*reproduction.PARTS, "equal-epochs-seconds"):
            for kind, head in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("csv", b"")):
                with open(os.path.join(self.output, f"{name}.{kind}"), "rb") as file:
                    self.assertTrue(file.read().startswith(head), name)
        with open(os.path.join(self.output, "tables.md"), encoding="utf-8") as file:
            self.assertIn("Every run of the plan has ended.", file.read())

    def test_the_end_of_its_daemon_ends_it_and_it_goes_on_later(self):
        own = ["--cutoutd", os.environ["CUTOUTD"]]
        with self.begin(*own) as process:
            process.stdout.readline()
            with open(os.path.join(self.output, "state", "lock"), encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGKILL)
            said, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("the daemon has ended (-9", said)
        self.assertNotIn("Traceback", said)
        self.finish(*own)

    def test_a_daemon_that_runs_already_is_used_and_left_running(self):
        server = ["--server", "http://" + self.daemon.address]
        self.finish(*server)
        n_runs = len(self.daemon.get("/api/v1/runs?limit=100")["items"])
        self.assertEqual(n_runs, len(rows(self.output, "runs.csv")))
        self.finish(*server)
        self.assertEqual(n_runs, len(self.daemon.get("/api/v1/runs?limit=100")["items"]))
        epochs = {row["run"]: row for row in rows(self.output, "epochs.csv")}
        for run in rows(self.output, "runs.csv"):
            last = self.daemon.get(f"/api/v1/runs/{run['run']}")["last"]
            self.assertEqual(float(epochs[run["run"]]["val_error"]), last["val_error"])

    def test_a_run_that_was_deleted_is_submitted_again(self):
        daemon = self.fresh()
        daemon.curl("/api/v1/scheduler/drain", "-X", "POST")
        lab = cutoutd.Client("http://" + daemon.address)
        tool = load_tool()
        with unittest.mock.patch.object(sys, "argv", [TOOL, "--output", self.output, *SMALL]):
            options = tool.read_arguments()
        job = tool.Reproduction(options, lab)
        job.submit()
        first = dict(job.ids)
        self.assertEqual(list(first), list(job.plan.entries))
        gone, ids = list(first)[1], [first[list(first)[1]]]
        for _ in range(2):
            daemon.curl(f"/api/v1/runs/{ids[-1]}/cancel", "-X", "POST")
            daemon.curl(f"/api/v1/runs/{ids[-1]}", "-X", "DELETE")
            job.submit()
            ids.append(job.ids[gone])
        self.assertEqual(len(set(ids)), 3)
        self.assertEqual(dict(job.ids, **{gone: ids[0]}), first)
        self.assertEqual({run["id"] for run in lab.runs()}, set(job.ids.values()))
        self.assertEqual(lab.run(ids[-1])["labels"], {"reproduce": gone})

    def test_what_cannot_be_done_is_said_before_anything_begins(self):
        for arguments, words in ((["--m", "3"], "shared evenly"), (["--m", "0"], "numbers from 1"),
                                 (["--m", "1,2,8"], "whole epochs"),
                                 (["--data", self.output, "--cutoutd", os.environ["CUTOUTD"]],
                                  "cifar10"),
                                 (["--train-images", "60", "--cutoutd", os.environ["CUTOUTD"]],
                                  "less than a batch")):
            with self.subTest(words):
                with self.begin(*arguments) as process:
                    said, _ = process.communicate(timeout=PATIENCE_S)
                self.assertNotEqual(process.returncode, 0)
                self.assertIn(words, said)
                self.assertNotIn("Traceback", said)


class Plan(unittest.TestCase):
    def plan(self, **changes):
        options = argparse.Namespace(**dict(
            {"m": [1, 2, 4], "squares": [1, 2], "pair": [1], "seeds": 2, "epochs": 2, "reference": 2,
             "squares_epochs": 7, "depth": 20, "train_images": 640, "test_images": 0,
             "dataset": "cifar10"}, **changes))
        return reproduction.Plan(options)

    def test_the_first_seed_of_everything_comes_first_and_no_run_twice(self):
        entries = list(self.plan().entries.values())
        seeds = [entry["fields"]["seed"] for entry in entries]
        self.assertEqual(seeds, sorted(seeds))
        self.assertEqual(len({repr(entry["fields"]) for entry in entries}), len(entries))
        self.assertEqual(sum("squares" in entry["parts"] for entry in entries), 3)
        shared = [entry["parts"] for entry in entries if entry["fields"]["m"] == 2][0]
        self.assertEqual(shared, ["equal-epochs", "equal-images"])  # M = 2 is what the others see

    def test_equal_means_what_it_says(self):
        plan = self.plan()
        images, steps = {}, {}
        for key, entry in plan.entries.items():
            for part in entry["parts"]:
                fields = entry["fields"]
                images.setdefault(part, set()).add(plan.images(key))
                steps.setdefault(part, set()).add(
                    fields["epochs"] * fields["train_images"] // fields["batch_size"])
        self.assertEqual(len(steps["equal-epochs"]), 1)
        self.assertEqual(len(images["equal-images"]), 1)
        self.assertEqual((images["equal-batch"], len(steps["equal-batch"])), (images["equal-images"], 1))

    def test_another_plan_is_other_runs(self):
        self.assertFalse(set(self.plan().entries) & set(self.plan(depth=26, pair=[2]).entries))


class Tables(unittest.TestCase):
    def results(self, errors):
        """Of runs [(part, m, seed, [errors])], each epoch of 100 instances per M in a second."""
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-reproduce-")
        self.addCleanup(directory.cleanup)
        with open(os.path.join(directory.name, "runs.csv"), "w", encoding="ascii") as file:
            file.write("run,parts,m,copies,cutout_squares,batch_size,epochs,seed\n")
            for i, (part, m, seed, history) in enumerate(errors):
                file.write(f"{i},{part},{m},independent,1,64,{len(history)},{seed}\n")
        with open(os.path.join(directory.name, "epochs.csv"), "w", encoding="ascii") as file:
            file.write("run,epoch,val_error,val_total,train_accuracy,images,steps,seconds,images_per_second\n")
            for i, (_, m, _, history) in enumerate(errors):
                for epoch, error in enumerate(history, 1):
                    file.write(f"{i},{epoch},{error},2000,0.5,{100 * m},2,1,{100 * m}\n")
        return reproduction.Results(directory.name)

    def test_the_time_to_the_error_of_m_1_counts_the_seeds_that_reached_it(self):
        results = self.results([("equal-epochs", 1, 1, [0.5, 0.4]), ("equal-epochs", 1, 2, [0.5, 0.2]),
                                ("equal-epochs", 4, 1, [0.25, 0.3]),
                                ("equal-epochs", 4, 2, [0.5, 0.31])])
        lines = reproduction.target_table(results).splitlines()
        self.assertIn("at most 30.00 %, which M = 1 ended with", lines[0])
        self.assertEqual(lines[-2:], ["| 1 | 1 of 2 | 2.0 | 200 | 2 |", "| 4 | 1 of 2 | 1.0 | 400 | 1 |"])

    def test_an_answer_says_whether_the_seeds_overlap(self):
        apart = self.results([("equal-epochs", 1, 1, [0.4]), ("equal-epochs", 1, 2, [0.42]),
                              ("equal-epochs", 8, 1, [0.3]), ("equal-epochs", 8, 2, [0.32])])
        first, second, _ = reproduction.answer(apart).splitlines()
        self.assertEqual(first, "* At equal epochs, M = 8 ends at 31.00 % and M = 1 at 41.00 % "
                                "validation error, by 8 times the instances (the seeds do not overlap).")
        self.assertEqual(second, "* At equal images: not trained yet.")
        close = self.results([("equal-epochs", 1, 1, [0.4]), ("equal-epochs", 1, 2, [0.4]),
                              ("equal-epochs", 8, 1, [0.39]), ("equal-epochs", 8, 2, [0.39])])
        self.assertIn("(the seeds do not overlap, but 2,000 test images do not tell 2.2 points apart)",
                      reproduction.answer(close))
        overlap = self.results([("equal-epochs", 1, 1, [0.4]), ("equal-epochs", 1, 2, [0.3]),
                                ("equal-epochs", 8, 1, [0.35]), ("equal-epochs", 8, 2, [0.2])])
        self.assertIn("the seeds overlap", reproduction.answer(overlap))
        uneven = self.results([("equal-epochs", 1, 1, [0.4]), ("equal-epochs", 1, 2, [0.3]),
                               ("equal-epochs", 8, 1, [0.35])])
        self.assertIn("(one seed of the former, 2 seeds of the latter)", reproduction.answer(uneven))

    def test_the_quickstart_says_whether_its_curves_differ_by_m(self):
        say = quickstart.sentence
        self.assertIn("Every seed with M = 4 is better", say({1: [0.4, 0.5], 2: [0.9, 0.1], 4: [0.3, 0.2]}))
        self.assertIn("Every seed with M = 4 is worse", say({1: [0.1, 0.2], 4: [0.3, 0.4]}))
        self.assertIn("so short a training", say({1: [0.1, 0.2], 4: [0.3, 0.4]}))
        self.assertNotIn("so short", say({1: [0.4, 0.5], 4: [0.3, 0.2]}))
        self.assertIn("The seeds overlap", say({1: [0.1, 0.3], 4: [0.3, 0.4]}))
        self.assertIn("With one seed of an M", say({1: [0.4], 4: [0.3, 0.2]}))
        self.assertIn("M alone", say({1: [0.4]}))
        self.assertIn("25.0 % (20.0 to 30.0 over 2 seeds)", say({1: [0.4, 0.5], 4: [0.3, 0.2]}))

    def test_without_any_run_the_tables_say_so(self):
        blocks = reproduction.tables(self.results([]), PAGE)
        self.assertIn("not trained yet", blocks["answer"])
        for name in ("target", "squares", "pair"):
            self.assertEqual(blocks[name], "None has been trained to the end yet.")

    def test_the_pages_of_the_repository_say_what_the_stored_histories_say(self):
        if not os.path.exists(os.path.join(PAGE, "runs.csv")):
            self.skipTest("no histories in tests/reproduction")
        blocks = reproduction.tables(reproduction.Results(PAGE), PAGE)
        for page in (os.path.join(PAGE, "README.md"), os.path.join(ROOT, "README.md")):
            with open(page, encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(re.search("<!-- reproduce: ", text), page)
            self.assertEqual(text, reproduction.fill_in(text, blocks), page)


if __name__ == "__main__":
    unittest.main()
