"""What a daemon finds at its start is never lost: weights without a database, files cut short."""

import glob
import hashlib
import os
import shutil
import unittest

from daemon_process import DaemonTestCase


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
        self.assertIn("do not belong to this database", daemon.log())
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


if __name__ == "__main__":
    unittest.main()
