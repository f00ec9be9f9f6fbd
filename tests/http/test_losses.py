"""What a daemon finds at its start is never lost: weights without a database, files cut short."""

import glob
import hashlib
import os
import resource
import shutil
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, SLOW_BUILD, DaemonTestCase


def checkpoints(directory):
    """name of the file -> digest"""
    found = {}
    for path in glob.glob(os.path.join(directory, "**", "*.safetensors"), recursive=True):
        with open(path, "rb") as file:
            found["/".join(path.split("/")[-2:])] = hashlib.sha256(file.read()).hexdigest()
    return found


class Losses(DaemonTestCase):
    def trained(self):
        """A stopped daemon that has trained one run."""
        daemon = self.fresh()
        daemon.wait_for_end(daemon.submit())
        self.assertEqual(daemon.terminate(), 0)
        return daemon

    def assert_put_aside(self, daemon, before):
        daemon.start()
        self.assertEqual(checkpoints(os.path.join(daemon.state_dir, "unknown")), before)
        self.assertEqual(checkpoints(os.path.join(daemon.state_dir, "runs")), {})
        daemon.wait_for_log("do not belong to this database")
        daemon.wait_for_end(daemon.submit())
        self.assertEqual(checkpoints(os.path.join(daemon.state_dir, "unknown")), before)

    def test_weights_outlive_a_database_that_is_gone_or_empty(self):
        for empty in (False, True):
            with self.subTest(empty=empty):
                daemon = self.trained()
                before = checkpoints(os.path.join(daemon.state_dir, "runs"))
                self.assertTrue(before)
                for path in glob.glob(os.path.join(daemon.state_dir, "cutoutd.db*")):
                    os.unlink(path)
                if empty:
                    with open(os.path.join(daemon.state_dir, "cutoutd.db"), "wb"):
                        pass
                self.assert_put_aside(daemon, before)

    def test_weights_outlive_another_database(self):
        daemon, other = self.trained(), self.trained()
        before = checkpoints(os.path.join(daemon.state_dir, "runs"))
        shutil.copy(os.path.join(other.state_dir, "cutoutd.db"), daemon.state_dir)
        self.assert_put_aside(daemon, before)

    def test_a_deleted_run_whose_files_a_crash_left_behind_is_removed(self):
        daemon = self.fresh()
        run = daemon.submit()
        daemon.wait_for_end(run)
        directory = os.path.join(daemon.state_dir, "runs", run)
        shutil.copytree(directory, directory + ".copy")
        self.assertEqual(daemon.curl(f"/api/v1/runs/{run}", "-X", "DELETE").status, 204)
        self.assertFalse(os.path.exists(directory))
        os.rename(directory + ".copy", directory)
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        self.assertFalse(os.path.exists(directory))
        self.assertFalse(os.path.exists(os.path.join(daemon.state_dir, "unknown")))

    def test_a_log_that_nobody_reads_stops_nothing(self):
        daemon = self.make_daemon()
        self.addCleanup(self.dispose, daemon)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(writer, b"full" * 1024)
        os.set_blocking(writer, True)
        daemon.stderr = writer
        daemon.start()
        os.close(writer)
        run = daemon.submit()
        self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")
        self.assertEqual(daemon.terminate(), 0)

    def change_a_byte(self, daemon, run):
        """In all checkpoints of the run; the copies of other runs stay as they are."""
        for path in glob.glob(os.path.join(daemon.state_dir, "runs", run, "*.safetensors")):
            with open(path, "rb") as file:
                content = bytearray(file.read())
            content[-5] ^= 1
            os.unlink(path)
            with open(path, "wb") as file:
                file.write(content)

    def test_a_fork_of_a_damaged_checkpoint_fails_with_the_reason(self):
        daemon = self.daemon
        source = daemon.submit()
        daemon.wait_for_end(source)
        answer = daemon.curl(f"/api/v1/runs/{source}/fork",
                             data={"overrides": {"epochs": 4, "hold": True}})
        self.assertEqual(answer.status, 201, answer.body)
        fork = answer.json()["id"]
        self.change_a_byte(daemon, fork)
        daemon.curl(f"/api/v1/runs/{fork}/release", "-X", "POST")
        end = daemon.wait_for_end(fork)
        self.assertEqual((end["state"], end["epochs_done"]), ("failed", 2))
        self.assertIn(f"a fork of run {source} does not begin before that", end["reason"])

    def test_changed_bytes_are_not_given_under_the_old_digest(self):
        daemon = self.daemon
        run = daemon.submit()
        daemon.wait_for_end(run)
        path = f"/api/v1/runs/{run}/checkpoints/best.safetensors"
        self.assertEqual(daemon.curl(path, "--head").status, 200)
        self.change_a_byte(daemon, run)
        for options in ((), ("-H", "Range: bytes=0-99")):
            self.assert_problem(daemon.curl(path, *options), 500)
        daemon.wait_for_log("is damaged: its SHA-256 is")

    def test_a_limit_on_file_sizes_is_a_full_disk(self):
        daemon = self.fresh()
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (1_500_000, hard))
        run = daemon.submit(depth=20)  # its checkpoint is larger, the database is not
        events = daemon.events(run, until=lambda event: "will be tried again" in (
            event["data"].get("reason") or ""))
        self.assertIn("will be tried again", events[-1]["data"]["reason"])
        self.assertTrue(daemon.running)
        self.assertEqual(daemon.terminate(), 0)

    def test_more_images_than_there_are_are_refused_at_once(self):
        for field, n, there in (("train_images", 513, 512), ("test_images", 101, 100)):
            problem = self.assert_problem(
                self.daemon.curl("/api/v1/runs", data={"dataset": "shapes", field: n}), 422)
            self.assertEqual(problem["errors"][0]["pointer"], "/" + field)
            self.assertIn(str(there), problem["errors"][0]["detail"])

    def test_a_lost_lock_file_lets_no_second_daemon_in(self):
        daemon = self.fresh()
        os.unlink(os.path.join(daemon.state_dir, "lock"))
        second = subprocess.run(
            [os.environ["CUTOUTD"], "serve", "--listen", "127.0.0.1:0", "--state-dir",
             daemon.state_dir], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another cutoutd", second.stderr)

    @unittest.skipIf(SLOW_BUILD, "sanitizers need more address space than there is")
    def test_with_too_little_memory_it_ends_by_itself_or_by_a_signal(self):
        for n_bytes in range(120_000_000, 240_000_000, 30_000_000):
            with self.subTest(n_bytes=n_bytes), tempfile.TemporaryDirectory() as directory:
                process = subprocess.Popen(
                    [os.environ["CUTOUTD"], "serve", "--listen", "127.0.0.1:0",
                     "--state-dir", directory], stderr=subprocess.DEVNULL,
                    preexec_fn=lambda n=n_bytes: resource.setrlimit(resource.RLIMIT_AS, (n, n)))
                self.addCleanup(process.kill)
                try:
                    process.wait(2)  # it could not start
                except subprocess.TimeoutExpired:
                    process.terminate()
                process.wait(PATIENCE_S)


if __name__ == "__main__":
    unittest.main()
