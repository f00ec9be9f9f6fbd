"""The executor slurm over commands that go wrong in every way (fake_slurm); tests/slurm has the real ones."""

import datetime
import json
import os
import pathlib
import shutil
import signal
import tempfile
import unittest

from daemon_process import SLOW_BUILD, Daemon, wait_for
from slurm_runs import ENDLESS, SMALL, SlurmRuns

LONGER_S = 10  # where several of its seconds pass before what is asked has reached a job
FAKE = pathlib.Path(__file__).with_name("fake_slurm")

CONFIG = """
executors = local, slurm
[slurm]
shared_dir = {root}/shared
bin_dir = {root}/bin
poll_s = 1
timeout_s = 3
absent_s = 3
shared_lag_s = 1
max_jobs = 2
retry = lost:5, launch_failure:5
"""


# A sanitizer's build sees the paths; that it goes on to the same bits after each fault is the release build's.
release_only = unittest.skipIf(SLOW_BUILD, "takes long under a sanitizer")


class Slurm(SlurmRuns, unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="cutoutd-slurm-"))
        self.addCleanup(shutil.rmtree, self.root, True)
        for name in ("shared", "bin", "jobs", "faults"):
            (self.root / name).mkdir()
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            shutil.copy(FAKE, self.root / "bin" / name)
        (self.root / "conf").write_text(CONFIG.format(root=self.root))
        self.addCleanup(self.end_jobs)
        self.daemon = Daemon(str(self.root), {"SBATCH_PARTITION": "wrong", "SLURM_JOB_ID": "77"})
        self.daemon.flags = ["--config", str(self.root / "conf")]
        self.daemon.start()
        self.addCleanup(lambda: self.daemon.running and self.daemon.kill())

    def end_jobs(self):
        for job in self.jobs():
            if "pid" in job and not (self.root / "jobs" / f"{job['id']}.exit").exists():
                try:
                    os.killpg(job["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def jobs(self):
        return [json.loads(path.read_text())
                for path in sorted((self.root / "jobs").glob("*.json"), key=lambda path: int(path.stem))]

    def fault(self, name, text=""):
        (self.root / "faults" / name).write_text(text)

    def heal(self, name):
        (self.root / "faults" / name).unlink(missing_ok=True)

    def n_epochs(self, run):
        return len(self.daemon.get(f"/api/v1/runs/{run}/epochs")["items"])

    def session_of(self, job):
        """Processes of a job that live."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == job["pid"] and fields[0] != "Z":
                found.append(int(path.parent.name))
        return found

    def kill_job(self, job, number=signal.SIGKILL):
        os.kill(self.trainer(job["id"]), number)

    def trainer(self, number):
        """The process that trains, of this job; None: there is none."""
        for pid in self.session_of(self.jobs()[number - 1]):
            try:
                if b"--attempt" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
            except OSError:
                pass
        return None

    def configure(self, before, after):
        """Starts the daemon with another config."""
        path = self.root / "conf"
        text = path.read_text()
        self.assertIn(before, text)
        path.write_text(text.replace(before, after))
        self.daemon.terminate()
        self.daemon.start()

    def used(self):
        """Core-seconds of whoever comes without a token."""
        [owner] = self.daemon.get("/api/v1/owners")["items"]
        return owner["core_seconds"]["day"]

    def checkpoints(self, run):
        items = self.daemon.get(f"/api/v1/runs/{run}/checkpoints")["items"]
        return {(item["epochs_done"], item["step"]) for item in items}

    def test_a_sweep_is_trained_there_to_the_same_bits_and_never_more_at_once_than_allowed(self):
        response = self.daemon.curl("/api/v1/sweeps", data={
            "base": dict(SMALL, executor="slurm"), "grid": {"seed": [1, 2, 3]}})
        self.assertEqual(response.status, 201, response.body)
        sweep = response.json()["id"]
        self.daemon.follow(f"/api/v1/sweeps/{sweep}/events")
        runs = self.daemon.get(f"/api/v1/runs?sweep={sweep}&sort=id")["items"]
        self.assertEqual([run["state"] for run in runs], ["succeeded"] * 3, self.daemon.log())
        for run in runs:
            self.assertEqual(run["placement"]["node"], "n1")
            self.assertIsNone(run["placement"]["state"])
            self.succeeds(run["id"], 1, dict(SMALL, seed=run["config"]["seed"]))
        names = [job["name"] for job in self.jobs()]
        self.assertEqual(names, [f"run-{run['id']}.1" for run in runs])
        options = self.jobs()[0]["options"]
        self.assertEqual((options["export"], options["signal"], options["nice"]), ("NONE", "B:USR2@120", "1000"))
        self.assertIn("no-requeue", options)
        leaked = [name for name in self.jobs()[0]["environment"] if name.startswith(("SLURM", "SBATCH", "CUTOUTD"))]
        self.assertEqual(leaked, [])
        weights = self.daemon.curl(f"/api/v1/runs/{runs[0]['id']}/checkpoints")
        self.assertEqual(weights.json()["items"][0]["epochs_done"], 2)

    def test_jobs_compute_as_the_processor_that_the_daemon_is_told_to_compute_as(self):
        self.daemon.terminate()
        self.daemon.environment.update(CUTOUTD_ISA="blas", OPENBLAS_CORETYPE="Prescott")
        self.daemon.start()
        run = self.submit()
        row = self.daemon.wait_for_end(run)
        self.assertEqual(row["state"], "succeeded", self.daemon.log())
        self.assertRegex(row["arithmetic"], "^blas-[0-9]+-prescott-")

    def test_a_lost_answer_of_sbatch_starts_nothing_twice(self):
        self.fault("lose_reply")
        run = self.submit()
        self.succeeds(run, 1)
        self.assertEqual(len(self.jobs()), 1)

    @release_only
    def test_a_refusal_is_said_and_tried_again(self):
        self.fault("refuse")
        first = self.submit()
        wait_for(lambda: "Invalid partition" in ((self.run_of(first)["placement"] or {}).get("reason") or ""))
        wait_for(lambda: self.daemon.get("/api/v1/system")["executors"][1]["problem"])
        second = self.submit(seed=5)
        items = self.daemon.get("/api/v1/queue")["items"]
        self.assertIn("Invalid partition", items[0]["why_waiting"])
        self.assertIn('cutoutd_executor_up{executor="slurm"} 0', self.daemon.curl("/metrics").body)
        self.heal("refuse")
        self.succeeds(first, 1)
        self.assertEqual(self.daemon.wait_for_end(second)["state"], "succeeded")

    @release_only
    def test_a_slurm_that_hangs_keeps_nobody_else_waiting(self):
        run = self.submit(self.long(LONGER_S))
        self.wait_for_epoch(run)
        self.fault("hang")
        wait_for(lambda: "does not answer" in (self.daemon.get("/api/v1/system")["executors"][1]["problem"] or ""))
        self.assertEqual(self.daemon.wait_for_end(self.daemon.submit(**SMALL))["state"], "succeeded")
        self.heal("hang")
        self.succeeds(run, 1, self.long(LONGER_S))

    @release_only
    def test_what_squeue_does_not_show_is_not_gone_while_it_writes(self):
        self.fault("absent")
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.fault("garbage")
        self.succeeds(run, 1, self.long())
        self.assertEqual(len(self.jobs()), 1)

    def test_a_job_that_is_killed_is_followed_by_another_attempt(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.kill_job(self.jobs()[0])
        self.succeeds(run, 2, self.long())

    def test_a_daemon_that_is_killed_finds_what_goes_on(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.daemon.kill()
        self.daemon.start()
        self.succeeds(run, 1, self.long())
        self.assertEqual(len(self.jobs()), 1)

    @release_only
    def test_a_daemon_that_stops_leaves_its_jobs_alone(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.assertEqual(self.daemon.terminate(), 0)
        self.daemon.start()
        self.succeeds(run, 1, self.long())

    def test_an_orphan_of_a_lost_node_is_refused_and_ends(self):
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        self.fault("state.1", "NODE_FAIL")
        wait_for(lambda: self.run_of(run)["attempt"] == 2)
        wait_for(lambda: not self.session_of(self.jobs()[0]))
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST").status, 202)
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "canceled")
        epochs = [row["epoch"] for row in self.daemon.history(run)]
        self.assertEqual(epochs, list(range(1, len(epochs) + 1)))

    @release_only
    def test_canceled_in_slurm_is_a_failure_that_a_requeue_goes_on_from(self):
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        (self.root / "jobs" / "1.canceled").touch()
        self.kill_job(self.jobs()[0], signal.SIGTERM)
        end = self.daemon.wait_for_end(run)
        self.assertEqual((end["state"], end["reason"]), ("failed", "canceled: its job 1 was canceled in Slurm"))
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{run}/requeue", "-X", "POST").status, 200)
        self.wait_for_epoch(run)
        self.assertEqual(self.run_of(run)["attempt"], 2)

    @release_only
    def test_a_time_limit_is_no_failure(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.fault("state.1", "TIMEOUT")
        self.kill_job(self.jobs()[0], signal.SIGUSR2)
        self.succeeds(run, 2, self.long())

    def test_requests_reach_what_waits_and_what_runs(self):
        self.fault("pend")
        waiting = self.submit()
        wait_for(lambda: (self.run_of(waiting)["placement"] or {}).get("reason") == "Priority")
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{waiting}", "-X", "PATCH", data={"priority": 7}).status, 200)
        wait_for((self.root / "jobs" / "1.nice").exists)
        self.assertEqual((self.root / "jobs" / "1.nice").read_text(), "993")
        self.assertEqual(self.daemon.curl("/api/v1/runs/bulk", data={
            "action": "edit", "ids": [waiting], "priority": 9}).status, 200)
        wait_for(lambda: (self.root / "jobs" / "1.nice").read_text() == "991")
        self.daemon.curl(f"/api/v1/runs/{waiting}/cancel", "-X", "POST")
        self.assertEqual(self.daemon.wait_for_end(waiting)["state"], "canceled")
        self.heal("pend")
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        self.daemon.curl(f"/api/v1/runs/{run}/pause", "-X", "POST")
        wait_for(lambda: self.run_of(run)["state"] == "paused")
        paused_at = self.n_epochs(run)
        self.daemon.curl(f"/api/v1/runs/{run}/resume", "-X", "POST")
        wait_for(lambda: self.n_epochs(run) > paused_at)
        self.assertEqual(self.run_of(run)["attempt"], 2)
        self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "canceled", self.daemon.log())

    @release_only
    def test_a_job_that_is_preempted_goes_on_however_often(self):
        run = self.submit(self.long())
        for attempt in (1, 2):
            wait_for(lambda: self.run_of(run)["attempt"] == attempt and len(self.jobs()) == attempt)
            wait_for(lambda: self.run_of(run)["state"] == "running" and self.trainer(attempt))
            self.fault(f"state.{attempt}", "PREEMPTED")
            os.kill(self.trainer(attempt), signal.SIGTERM)
        self.succeeds(run, 3, self.long())

    @release_only
    def test_out_of_memory_is_a_failure_unless_the_config_says_otherwise(self):
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        self.fault("state.1", "OUT_OF_MEMORY")
        self.kill_job(self.jobs()[0])
        end = self.daemon.wait_for_end(run)
        self.assertEqual(end["state"], "failed")
        self.assertIn("out_of_memory: its job 1 ended as OUT_OF_MEMORY", end["reason"])
        self.configure("retry = lost:5", "retry = out_of_memory:1, lost:5")
        again = self.submit(self.long())
        self.wait_for_epoch(again)
        self.fault("state.2", "OUT_OF_MEMORY")
        self.kill_job(self.jobs()[1])
        self.succeeds(again, 2, self.long())

    @release_only
    def test_a_node_on_which_attempts_die_at_once_gets_no_more(self):
        self.fault("dead_node")
        self.configure("launch_failure:5", "launch_failure:5/0")
        run = self.submit()
        row = self.succeeds(run, 3)
        self.assertEqual(row["placement"]["node"], "n2")
        self.assertEqual([job["options"].get("exclude") for job in self.jobs()], [None, None, "n1"])
        self.assertEqual(self.daemon.get("/api/v1/system")["executors"][1]["excluded_nodes"], "n1")
        self.assertIn('cutoutd_executor_excluded_nodes{executor="slurm"} 1', self.daemon.curl("/metrics").body)

    @release_only
    def test_a_run_whose_kernels_no_node_has_waits_alone_and_says_why(self):
        if self.daemon.get("/api/v1/system")["kernel_variant"] not in ("avx2", "avx512"):
            self.skipTest("without AVX2 no features are asked for")
        self.configure("retry = ", "constraint.avx2 = modern\nretry = ")
        self.fault("features", "old")
        run = self.submit()
        wait_for(lambda: (self.run_of(run)["placement"] or {}).get("reason") == "Slurm has no node with modern")
        self.assertIsNone(self.daemon.get("/api/v1/system")["executors"][1]["problem"])
        self.assertEqual(self.jobs(), [])
        self.fault("features", "modern")
        self.succeeds(run, 1)
        self.assertEqual(self.jobs()[0]["options"]["constraint"], "modern")

    @release_only
    def test_what_waits_for_a_node_keeps_no_trouble_of_others_alive(self):
        if self.daemon.get("/api/v1/system")["kernel_variant"] not in ("avx2", "avx512"):
            self.skipTest("without AVX2 no features are asked for")
        self.configure("max_jobs = 2", "max_jobs = 3\nconstraint.avx2 = modern")
        self.fault("features", "old")
        lacking = "Slurm has no node with modern"
        first = self.submit()
        wait_for(lambda: (self.run_of(first)["placement"] or {}).get("reason") == lacking)
        (self.root / "shared").rename(self.root / "aside")
        second = self.submit(seed=2)
        wait_for(lambda: self.daemon.get("/api/v1/system")["executors"][1]["problem"])
        self.daemon.curl(f"/api/v1/runs/{second}/cancel", "-X", "POST")
        self.assertEqual(self.daemon.wait_for_end(second)["state"], "canceled")
        (self.root / "aside").rename(self.root / "shared")
        third = self.submit(seed=3)
        wait_for(lambda: (self.run_of(third)["placement"] or {}).get("reason") == lacking)

    @release_only
    def test_a_checkpoint_that_cannot_be_read_is_left_out_and_holds_nobody_up(self):
        base = self.long(LONGER_S)
        run = self.submit(base)
        wait_for(lambda: self.n_epochs(run) > 2)
        self.daemon.curl(f"/api/v1/runs/{run}/pause", "-X", "POST")
        wait_for(lambda: self.run_of(run)["state"] == "paused")
        newest = max((pathlib.Path(self.daemon.state_dir) / "runs" / str(run)).glob("*.safetensors"))
        newest.unlink()
        newest.mkdir()
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{run}/resume", "-X", "POST").status, 200)
        other = self.submit(seed=5)
        self.succeeds(run, 2, base)
        reasons = [event["data"].get("reason") or "" for event in self.daemon.events(run, query="?since=0")]
        self.assertTrue([one for one in reasons if "the last checkpoint is damaged; went on from epoch" in one], reasons)
        self.assertEqual(self.daemon.wait_for_end(other)["state"], "succeeded")

    @release_only
    def test_a_checkpoint_can_be_asked_for_with_a_signal(self):
        run = self.submit(dict(ENDLESS, train_images=512, batch_size=4))  # most of an epoch is within it
        self.wait_for_epoch(run)
        trainer = self.trainer(1)

        def one_was_written_within_an_epoch():
            os.kill(trainer, signal.SIGUSR1)  # scancel --batch --signal=USR1
            return any(step > 0 for _, step in self.checkpoints(run))

        wait_for(one_was_written_within_an_epoch)
        self.assertEqual((self.run_of(run)["state"], self.run_of(run)["attempt"]), ("running", 1))
        self.assertEqual(self.trainer(1), trainer)

    def test_a_signal_to_stop_is_obeyed_and_told(self):
        for number in (signal.SIGUSR2, signal.SIGTERM):  # the time limit is near; the job is preempted
            run = self.submit(ENDLESS)
            self.wait_for_epoch(run)
            job = len(self.jobs())
            os.kill(self.trainer(job), number)
            wait_for((self.root / "jobs" / f"{job}.exit").exists)
            wait_for((self.root / "jobs" / f"{job}.exit").read_text)
            self.assertEqual((self.root / "jobs" / f"{job}.exit").read_text(), "0\n")
            wait_for(lambda: self.run_of(run)["attempt"] == 2)
            self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
            self.assertEqual(self.daemon.wait_for_end(run)["state"], "canceled", self.daemon.log())

    @release_only
    def test_a_number_that_slurm_gives_away_again_is_not_the_job(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.fault("renumber.1")  # a controller that lost its state: scontrol shows another job by that number, running
        self.kill_job(self.jobs()[0])
        self.succeeds(run, 2, self.long())
        self.assertFalse((self.root / "jobs" / "1.canceled").exists())

    @release_only
    def test_what_waits_for_a_place_there_says_so_and_uses_nothing_yet(self):
        self.fault("pend")
        self.assertEqual(self.daemon.wait_for_end(self.daemon.submit(**SMALL))["state"], "succeeded")  # its speed is known
        there = [self.submit(seed=seed) for seed in (1, 2)]
        for run in there:
            wait_for(lambda: (self.run_of(run)["placement"] or {}).get("state") == "PENDING")
        self.submit(seed=3)
        self.submit(seed=4)
        here = self.daemon.submit(**ENDLESS)
        self.wait_for_epoch(here)
        last = self.daemon.submit(**SMALL)
        items = self.daemon.get("/api/v1/queue")["items"]
        self.assertEqual([item["why_waiting"] for item in items],
                         ["The executor slurm has as many runs as it takes (2); it is next.", "1 run is before it.",
                          "The worker is training; it is next."])
        starts = [item["expected_start_at"] for item in items]
        self.assertTrue(starts[0] and starts[1])
        self.assertLess(max(starts[:2]), starts[2])  # two places; the worker is taken for long
        self.assertEqual(self.daemon.curl(f"/api/v1/runs/{here}/kill", "-X", "POST").status, 202)
        self.daemon.wait_for_end(last)
        used = self.used()
        for run in there:
            self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
            self.assertEqual(self.daemon.wait_for_end(run)["state"], "canceled")
        self.assertEqual(self.used(), used)

    @release_only
    def test_what_trains_there_is_charged_and_heeds_quiet_hours(self):
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        wait_for(lambda: self.used() > 0)
        now = datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        self.configure("[slurm]", f"quiet = {now - hour:%H:%M}-{now + hour:%H:%M}\n[slurm]")
        wait_for(lambda: self.run_of(run)["state"] == "queued")
        self.assertIn("stopped for quiet hours", self.run_of(run)["reason"])
        self.assertRegex(self.daemon.get("/api/v1/queue")["items"][0]["why_waiting"], "^Quiet hours until .*: nothing trains")
        epochs_done = self.run_of(run)["epochs_done"]
        self.configure("max_jobs", "quiet = off\nmax_jobs")
        wait_for(lambda: self.run_of(run)["epochs_done"] > epochs_done)
        self.assertEqual((self.run_of(run)["state"], self.run_of(run)["attempt"]), ("running", 2))

    @release_only
    def test_a_job_that_never_begins_fails_after_some_tries(self):
        self.daemon.terminate()
        text = (self.root / "conf").read_text() + f"program = {self.root}/nothing\n"
        (self.root / "conf").write_text(text.replace("launch_failure:5", "lost:1, launch_failure:1"))
        self.daemon.start()
        run = self.submit()
        end = self.daemon.wait_for_end(run)
        self.assertEqual(end["state"], "failed")
        self.assertIn("exit status 127", end["reason"])


if __name__ == "__main__":
    unittest.main()
