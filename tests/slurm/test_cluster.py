"""cutoutd over a real Slurm: two nodes on this machine (cluster.py)."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "http")]

from cluster import Cluster, kill, trainers, wait_for, why_not  # noqa: E402
from daemon_process import Daemon  # noqa: E402
from slurm_runs import ENDLESS, SMALL, SlurmRuns  # noqa: E402

CONFIG = """
executors = local, slurm
[slurm]
shared_dir = {root}/shared
conf = {root}/slurm.conf
bin_dir = {root}/bin
poll_s = 1
timeout_s = 5
absent_s = 5
shared_lag_s = 1
retry = lost:5/0, launch_failure:5/0
"""


class OverSlurm(SlurmRuns, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="cutoutd-cluster-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, True)
        cls.cluster = Cluster(cls.root)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        (cls.root / "conf").write_text(CONFIG.format(root=cls.root))

    def setUp(self):
        wait_for(self.cluster.recover, "two idle nodes")
        self.directory = tempfile.mkdtemp(prefix="cutoutd-slurm-")
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.daemon = Daemon(self.directory)
        self.daemon.flags = ["--config", str(self.root / "conf")]
        self.daemon.start()
        self.addCleanup(self.end)

    def end(self):
        if self.daemon.running:
            self.daemon.kill()
        for name, state, number in self.cluster.jobs():
            if state in ("RUNNING", "PENDING"):
                self.cluster.call("scancel", "--signal=KILL", number, check=False)
                self.cluster.call("scancel", number, check=False)

    def trainer(self, run, attempt=1):
        return trainers(self.root / "shared").get(f"run-{run}.{attempt}")

    def configure(self, line):
        """Starts the daemon with one more line in its config."""
        path = pathlib.Path(self.directory) / "conf"
        path.write_text(CONFIG.format(root=self.root) + line + "\n")
        self.daemon.terminate()
        self.daemon.flags = ["--config", str(path)]
        self.daemon.start()

    def cancel(self, run):
        self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "canceled", self.daemon.log())

    def test_a_sweep_of_six_over_both_nodes_beside_a_local_run(self):
        response = self.daemon.curl("/api/v1/sweeps", data={
            "base": dict(SMALL, epochs=200, executor="slurm"), "grid": {"seed": [1, 2, 3, 4, 5, 6]}})
        self.assertEqual(response.status, 201, response.body)
        beside = self.daemon.submit(**dict(SMALL, executor="local"))
        sweep = response.json()["id"]
        self.daemon.follow(f"/api/v1/sweeps/{sweep}/events")
        runs = self.daemon.get(f"/api/v1/runs?sweep={sweep}&sort=id")["items"]
        self.assertEqual(self.daemon.wait_for_end(beside)["state"], "succeeded")
        self.assertEqual({run["placement"]["node"] for run in runs}, {"n1", "n2"})
        for run in runs:
            self.succeeds(run["id"], 1, dict(SMALL, epochs=200, seed=run["config"]["seed"]))

    def test_a_job_that_is_killed_goes_on_from_its_checkpoint(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        kill(self.trainer(run))
        self.succeeds(run, 2, self.long())

    def test_a_daemon_that_is_killed_finds_its_jobs(self):
        run = self.submit(self.long())
        self.wait_for_epoch(run)
        self.daemon.kill()
        self.daemon.start()
        self.succeeds(run, 1, self.long())

    def test_a_controller_that_is_killed_is_said_and_nothing_is_lost(self):
        run = self.submit(self.long())
        wait_for(lambda: self.trainer(run), "a job")
        self.cluster.kill("slurmctld")  # early in its life
        wait_for(lambda: self.daemon.get("/api/v1/system")["executors"][1]["problem"], "that it is said")
        waiting = self.submit(seed=9)
        self.assertIn("Slurm", self.daemon.get("/api/v1/queue")["items"][0]["why_waiting"])
        self.cluster.start_slurmctld()
        self.assertEqual(self.daemon.wait_for_end(waiting)["state"], "succeeded", self.daemon.log())
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "succeeded", self.daemon.log())
        self.assertEqual(self.daemon.history(run), self.history_here(self.long()))

    def test_a_controller_that_is_killed_late_finds_its_jobs_again(self):
        run = self.submit(ENDLESS)
        wait_for(lambda: (self.run_of(run)["placement"] or {}).get("state") == "RUNNING", "a job")
        began = time.time()
        saved = self.cluster.root / "state/job_state"
        wait_for(lambda: saved.exists() and saved.stat().st_mtime > began, "that Slurm has stored that the job runs")
        job = self.run_of(run)["placement"]["job"]
        self.cluster.kill("slurmctld")
        wait_for(lambda: self.daemon.get("/api/v1/system")["executors"][1]["problem"], "that it is said")
        self.cluster.start_slurmctld()
        wait_for(lambda: not self.daemon.get("/api/v1/system")["executors"][1]["problem"], "that it is over")
        self.assertEqual(self.run_of(run)["placement"]["job"], job)
        self.cancel(run)
        self.assertEqual(self.run_of(run)["attempt"], 1)

    def test_canceled_held_and_put_back_behind_our_back(self):
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        self.cluster.call("scontrol", "requeue", self.run_of(run)["placement"]["job"], check=False)  # --no-requeue
        self.cluster.call("scancel", self.run_of(run)["placement"]["job"])
        end = self.daemon.wait_for_end(run)
        self.assertEqual(end["state"], "failed", self.daemon.log())
        self.assertIn("canceled in Slurm", end["reason"])
        self.cluster.call("scontrol", "update", "NodeName=n1,n2", "State=DRAIN", "Reason=test")
        self.addCleanup(self.cluster.recover)
        held = self.submit()
        job = wait_for(lambda: (self.run_of(held)["placement"] or {}).get("job"), "a job")
        self.cluster.call("scontrol", "hold", job)
        wait_for(lambda: (self.run_of(held)["placement"]["reason"] or "").startswith("JobHeld"), "that it is said")
        self.cluster.call("scontrol", "update", "NodeName=n1,n2", "State=RESUME")
        self.cluster.call("scontrol", "release", job)
        self.succeeds(held, 1)

    def test_a_node_that_dies_is_replaced_and_its_orphan_refused(self):
        run = self.submit(ENDLESS)
        self.wait_for_epoch(run)
        node = self.run_of(run)["placement"]["node"]
        orphan = self.trainer(run)
        self.cluster.kill_node(node)
        self.assertIsNotNone(self.trainer(run))
        wait_for(lambda: self.run_of(run)["attempt"] == 2, self.cluster.log())
        wait_for(lambda: self.run_of(run)["placement"]["node"] not in (None, node), "the other node")
        wait_for(lambda: not os.path.exists(f"/proc/{orphan}"), "the end of the orphan")
        self.cluster.start_slurmd(node)
        self.cancel(run)
        epochs = [row["epoch"] for row in self.daemon.history(run)]
        self.assertEqual(epochs, list(range(1, len(epochs) + 1)))

    def test_a_preempted_job_writes_a_checkpoint_and_goes_on_elsewhere_or_later(self):
        run = self.submit(ENDLESS)  # pre-emption takes some seconds
        self.wait_for_epoch(run)
        node = self.run_of(run)["placement"]["node"]
        urgent = self.cluster.call("sbatch", "--parsable", "--partition=urgent", "--nodelist=" + node, "--output=/dev/null",
                                   "--wrap=sleep 600").strip()
        self.addCleanup(self.cluster.call, "scancel", urgent, check=False)
        kept = wait_for(lambda: (row := self.run_of(run))["attempt"] == 2 and row["epochs_done"], "another attempt")
        self.assertRegex(self.daemon.log(), "preempted: its job .*PREEMPTED")
        self.cluster.call("scancel", urgent)
        wait_for(lambda: self.run_of(run)["epochs_done"] > kept, "another epoch")
        self.cancel(run)
        self.assertEqual(self.daemon.history(run)[:kept + 1], self.history_here(dict(SMALL, epochs=kept + 1)))

    def test_kernels_are_asked_for_by_the_features_of_nodes(self):
        if self.daemon.get("/api/v1/system")["kernel_variant"] not in ("avx2", "avx512"):
            self.skipTest("without AVX2 no features are asked for")
        self.configure("constraint.avx2 = modern")
        runs = [self.submit(seed=seed) for seed in (1, 2)]
        for seed, run in zip((1, 2), runs):
            self.assertEqual(self.succeeds(run, 1, dict(SMALL, seed=seed))["placement"]["node"], "n1")
        self.configure("constraint.avx2 = future")
        run = self.submit()
        wait_for(lambda: (self.run_of(run)["placement"] or {}).get("reason") == "Slurm has no node with future", "that it is said")
        self.assertIsNone(self.daemon.get("/api/v1/system")["executors"][1]["problem"])
        self.cancel(run)

    def test_a_job_that_cannot_be_launched_is_tried_on_another_node(self):
        (self.root / "broken.n1").touch()
        self.addCleanup(self.cluster.recover)
        self.addCleanup((self.root / "broken.n1").unlink)
        self.cluster.call("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
        run = self.submit()
        wait_for(lambda: self.cluster.states()["n1"].startswith("drain"), "that the node is drained")
        self.cluster.call("scontrol", "update", "NodeName=n2", "State=RESUME")
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "succeeded", self.daemon.log())
        self.assertEqual(self.run_of(run)["placement"]["node"], "n2")

    def test_a_full_shared_disk_is_waited_for(self):
        small = self.root / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small], capture_output=True,
                          check=False).returncode != 0:
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        self.daemon.terminate()
        other = self.root / "conf.small"
        other.write_text(CONFIG.format(root=self.root).replace("/shared", "/small"))
        (small / "ballast").write_bytes(bytes((6 << 20) - 40960))
        self.daemon.flags = ["--config", str(other)]
        self.daemon.start()
        run = self.submit()
        wait_for(lambda: "space" in self.daemon.log() or "full" in self.daemon.log(), "that it is said")
        (small / "ballast").unlink()
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "succeeded", self.daemon.log())


if __name__ == "__main__":
    if reason := why_not():
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()
