"""Backups come back: cutoutd restore, and cutoutd doctor, on the state directory of a daemon that is stopped."""

import glob
import os
import shutil
import sqlite3
import subprocess
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase

LONG = dict(TINY, epochs=1000)
STRANGER = 12345  # a user that owns nothing here


def run(command, daemon, *arguments, user=None):
    """A command of cutoutd on the daemon's state directory: exit status, and all that it says."""
    line = [os.environ["CUTOUTD"], command, *arguments, "--state-dir", daemon.state_dir, "--config", "/dev/null"]
    if user:
        line = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *line]
    result = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
                            check=False)
    return result.returncode, result.stdout


class Restore(DaemonTestCase):
    @classmethod
    def setUpClass(cls):
        pass  # each test has daemons of its own

    def stopped_daemon(self):
        """With a run that is done and one that is in the middle."""
        daemon = self.fresh()
        daemon.wait_for_end(daemon.submit(**TINY))
        running = daemon.submit(**LONG)
        daemon.events(running, until=lambda event: event["event"] == "epoch")
        self.assertEqual(daemon.terminate(), 0)
        return daemon

    def empty_daemon(self):
        daemon = self.make_daemon()
        with open(daemon.log_path, "w", encoding="ascii"):
            pass  # it may never be started
        self.addCleanup(self.dispose, daemon)
        return daemon

    def test_a_database_comes_back_with_its_histories(self):
        old = self.stopped_daemon()
        copy = os.path.join(old.directory, "copy.db")
        self.assertEqual(run("backup", old, copy)[0], 0)
        new = self.empty_daemon()
        status, said = run("restore", new, copy)
        self.assertEqual(status, 0, said)
        self.assertIn("2 run(s), 1 of them not finished", said)
        self.assertIn("checkpoint(s) are not there", said)
        status, said = run("restore", new, copy)
        self.assertEqual(status, 1)
        self.assertIn("nothing is replaced", said)
        new.start()
        self.assertEqual(len(new.history("1")), TINY["epochs"])
        status, said = run("restore", new, copy)
        self.assertEqual(status, 1)
        self.assertIn("stop the daemon first", said)
        self.assertEqual(run("doctor", new)[0], 1)

    def test_a_backup_with_checkpoints_goes_on_where_it_was(self):
        old = self.fresh()
        run_id = old.submit(**LONG)
        old.events(run_id, until=lambda event: event["event"] == "checkpoint")
        old.curl(f"/api/v1/runs/{run_id}/pause", "-X", "POST")
        old.events(run_id, until=lambda event: event["data"].get("state") == "paused")
        made = old.curl("/api/v1/admin/backup", data={"name": "all", "checkpoints": True})
        self.assertEqual(made.status, 201, made.body)
        self.assertEqual(old.terminate(), 0)
        new = self.empty_daemon()
        status, said = run("restore", new, os.path.join(old.state_dir, "backups", "all"))
        self.assertEqual(status, 0, said)
        self.assertNotIn("are not there", said)
        status, said = run("doctor", new)
        self.assertEqual(status, 0, said)
        n_before = len(old_history(new))
        new.start()
        new.curl(f"/api/v1/runs/{run_id}/resume", "-X", "POST")
        new.wait_for_log(f"run {run_id}: attempt 2 goes on from epoch {n_before}")

    def test_what_is_no_good_database_is_refused_and_leaves_nothing(self):
        old = self.stopped_daemon()
        good = os.path.join(old.state_dir, "cutoutd.db")
        bad = {name: os.path.join(old.directory, name + ".db") for name in ("text", "damaged", "newer", "other")}
        with open(bad["text"], "w", encoding="ascii") as file:
            file.write("no database at all\n" * 1000)
        shutil.copy(good, bad["damaged"])
        with open(bad["damaged"], "r+b") as file:
            size = os.path.getsize(bad["damaged"])
            for at in range(size // 2, size, 512):
                file.seek(at)
                file.write(b"\xff" * 256)
        shutil.copy(good, bad["newer"])
        with sqlite3.connect(bad["newer"]) as database:
            database.execute("PRAGMA user_version = 9999")
        with sqlite3.connect(bad["other"]) as database:
            database.execute("CREATE TABLE other (x)")
        expected = {"text": "cannot be restored", "damaged": "cannot be restored", "newer": "by a newer cutoutd",
                    "other": "is no database of cutoutd"}
        new = self.empty_daemon()
        for name, path in bad.items():
            with self.subTest(name):
                status, said = run("restore", new, path)
                self.assertEqual(status, 1)
                self.assertIn(expected[name], said)
                self.assertEqual(os.listdir(new.state_dir), ["lock"])
        self.assertEqual(run("restore", new, old.directory + "/nothing")[0], 1)
        self.assertEqual(run("restore", new)[0], 2)

    def test_a_copy_that_was_made_with_cp_has_its_log_beside_it(self):
        old = self.fresh()
        old.wait_for_end(old.submit(**TINY))
        old.kill()
        new = self.empty_daemon()
        status, said = run("restore", new, os.path.join(old.state_dir, "cutoutd.db"))
        self.assertEqual(status, 0, said)
        new.start()
        self.assertEqual(new.get("/api/v1/runs/1")["state"], "succeeded")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become others")
    def test_a_state_directory_that_is_missing_is_made_or_there_is_a_remedy(self):
        old = self.stopped_daemon()
        copy = os.path.join(old.directory, "copy.db")
        self.assertEqual(run("backup", old, copy)[0], 0)
        new = self.empty_daemon()
        for path in (old.directory, new.directory, copy):
            os.chmod(path, 0o755)
        status, said = run("restore", new, copy, user=STRANGER)
        self.assertEqual(status, 1)
        self.assertIn("run this as root, or name a directory of yours with --state-dir: cannot make the directory", said)
        self.assertFalse(os.path.exists(new.state_dir))
        status, said = run("restore", new, copy)
        self.assertEqual(status, 0, said)
        self.assertIn("was made, and is root's: cutoutd.service gives it to its user when it starts", said)

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files to others")
    def test_what_root_restores_belongs_to_the_owner_of_the_directory(self):
        old = self.stopped_daemon()
        copy = os.path.join(old.directory, "copy.db")
        self.assertEqual(run("backup", old, copy)[0], 0)
        new = self.empty_daemon()
        os.chmod(new.directory, 0o755)
        os.mkdir(new.state_dir, 0o750)
        os.chown(new.state_dir, STRANGER, STRANGER)
        self.assertEqual(run("restore", new, copy)[0], 0)
        for name in os.listdir(new.state_dir):
            self.assertEqual(os.stat(os.path.join(new.state_dir, name)).st_uid, STRANGER, name)
        # And as everybody tries it first: root's copy in its place.
        os.chmod(copy, 0o600)
        os.unlink(os.path.join(new.state_dir, "cutoutd.db"))
        shutil.copy(copy, os.path.join(new.state_dir, "cutoutd.db"))
        os.chmod(os.path.join(new.state_dir, "cutoutd.db"), 0o600)
        status, said = run("serve", new, "--listen", "127.0.0.1:0", user=STRANGER)
        self.assertEqual(status, 1, said)
        self.assertIn("belongs to user 0 (mode 600), and the daemon is user 12345", said)
        self.assertIn("cutoutd restore FILE", said)

    def test_the_doctor_names_what_is_wrong_and_what_to_do(self):
        daemon = self.stopped_daemon()
        status, said = run("doctor", daemon)
        self.assertEqual(status, 0, said)
        self.assertIn("every page and key is whole", said)
        checkpoints = sorted(glob.glob(daemon.state_dir + "/runs/1/*.safetensors"))
        with open(checkpoints[0], "r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\xff\xff\xff\xff")
        missing = sorted(glob.glob(daemon.state_dir + "/runs/2/*.safetensors"))[-1]
        os.unlink(missing)
        with open(daemon.state_dir + "/runs/2/stray", "w", encoding="ascii"):
            pass
        os.mkdir(daemon.state_dir + "/runs/77")
        with open(daemon.state_dir + "/notes.txt", "w", encoding="ascii"):
            pass
        status, said = run("doctor", daemon)
        self.assertEqual(status, 1)
        for words in (f"{checkpoints[0]} is not what was written", missing, "runs/2/stray is no checkpoint",
                      "runs/77 belongs to no run", "notes.txt is not the daemon's", ": 5 problems"):
            self.assertIn(words, said)
        database = os.path.join(daemon.state_dir, "cutoutd.db")
        with open(database, "r+b") as file:
            file.truncate(os.path.getsize(database) // 2)
        status, said = run("doctor", daemon)
        self.assertEqual(status, 1)
        self.assertIn("cutoutd restore FILE", said)
        os.unlink(database)
        self.assertIn("there is no " + database, run("doctor", daemon)[1])


def old_history(daemon):
    with sqlite3.connect(os.path.join(daemon.state_dir, "cutoutd.db")) as database:
        return database.execute("SELECT epoch FROM epoch WHERE run_id = 1").fetchall()


if __name__ == "__main__":
    unittest.main()
