"""Backups come back: cutoutd restore, and cutoutd doctor, on the state directory of a daemon that is stopped."""

import glob
import hashlib
import os
import shutil
import sqlite3
import subprocess
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase, make_certificate

LONG = dict(TINY, epochs=100000)
STRANGER = 12345  # a user that owns nothing here


def run(command, daemon, *arguments, user=None, file_bytes=None):
    """A command of cutoutd on the daemon's state directory: exit status, and all that it says."""
    line = [os.environ["CUTOUTD"], command, *arguments, "--state-dir", daemon.state_dir, "--config", "/dev/null"]
    if user:
        line = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *line]
    if file_bytes:
        line = ["prlimit", f"--fsize={file_bytes}", "--", *line]
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

    def paused_with_a_backup(self, **fields):
        """A daemon whose run 1 is paused in the middle, and the directory of a backup of that."""
        daemon = self.fresh()
        daemon.submit(**fields)
        daemon.events("1", until=lambda event: event["event"] == "epoch")
        daemon.curl("/api/v1/runs/1/pause", "-X", "POST")
        daemon.events("1", until=lambda event: event["data"].get("state") == "paused")
        made = daemon.curl("/api/v1/admin/backup", data={"name": "all", "checkpoints": True})
        self.assertEqual(made.status, 201, made.body)
        return daemon, os.path.join(daemon.state_dir, "backups", "all")

    def assert_whole(self, daemon):
        """Every checkpoint that the database knows is there, and is what was written."""
        with sqlite3.connect(os.path.join(daemon.state_dir, "cutoutd.db")) as database:
            rows = database.execute("SELECT run_id, path, sha256 FROM checkpoint").fetchall()
        self.assertTrue(rows)
        for run_id, path, sha256 in rows:
            with open(os.path.join(daemon.state_dir, "runs", str(run_id), path), "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), sha256, path)

    def test_a_checkpoint_whose_copy_was_cut_short_is_copied_again(self):
        old, backup = self.paused_with_a_backup(**LONG)
        self.assertEqual(old.terminate(), 0)
        checkpoints = glob.glob(backup + "/runs/1/*.safetensors")
        database_bytes = os.path.getsize(backup + "/cutoutd.db")
        self.assertLess(database_bytes, min(map(os.path.getsize, checkpoints)))
        new = self.empty_daemon()
        status, said = run("restore", new, backup, file_bytes=database_bytes)
        self.assertEqual(status, 1, said)
        self.assertIn("File too large", said)
        self.assertEqual(glob.glob(new.state_dir + "/runs/1/*"), [])
        # What a power cut leaves of such a copy is in nobody's way.
        with open(os.path.join(new.state_dir, "runs", "1", os.path.basename(checkpoints[0]) + ".tmp"), "wb"):
            pass
        status, said = run("restore", new, backup)
        self.assertEqual(status, 0, said)
        self.assertIn(f"{len(checkpoints)} checkpoint(s) copied", said)
        self.assert_whole(new)

    def test_a_checkpoint_of_the_backup_that_cannot_be_read_does_not_keep_the_rest_from_coming_back(self):
        old, backup = self.paused_with_a_backup(**LONG)
        self.assertEqual(old.terminate(), 0)
        checkpoints = sorted(glob.glob(backup + "/runs/1/*.safetensors"))
        os.unlink(checkpoints[-1])
        os.mkdir(checkpoints[-1])
        new = self.empty_daemon()
        status, said = run("restore", new, backup)
        self.assertEqual(status, 0, said)
        self.assertIn("1 checkpoint(s) are not there or damaged", said)
        self.assertEqual(sorted(map(os.path.basename, glob.glob(new.state_dir + "/runs/1/*.safetensors"))),
                         [os.path.basename(path) for path in checkpoints[:-1]])
        new.start()
        self.assertTrue(new.history("1"))

    def test_a_checkpoint_that_is_another_one_is_put_aside_and_replaced(self):
        old, backup = self.paused_with_a_backup(**LONG)
        self.assertEqual(old.terminate(), 0)
        [name, *_] = map(os.path.basename, glob.glob(backup + "/runs/1/*.safetensors"))
        new = self.empty_daemon()
        path = f"{new.state_dir}/runs/1/{name}"
        os.makedirs(path)  # a directory in its place
        self.assertEqual(run("restore", new, backup)[0], 0)
        self.assert_whole(new)
        os.unlink(new.state_dir + "/cutoutd.db")
        with open(path, "w", encoding="ascii") as file:
            file.write("of a later state")
        # Without a better one it stays, and is told of.
        status, said = run("restore", new, backup + "/cutoutd.db")
        self.assertEqual(status, 0, said)
        self.assertIn("1 checkpoint(s) are not there or damaged", said)
        self.assertTrue(os.path.exists(path))
        os.unlink(new.state_dir + "/cutoutd.db")
        status, said = run("restore", new, backup)
        self.assertEqual(status, 0, said)
        self.assertIn("put aside in " + new.state_dir + "/unknown/", said)
        self.assertIn("1 checkpoint(s) copied", said)
        self.assert_whole(new)
        [aside] = filter(os.path.isfile, glob.glob(f"{new.state_dir}/unknown/*/1/{name}"))
        with open(aside, encoding="ascii") as file:
            self.assertEqual(file.read(), "of a later state")

    def test_files_of_a_short_lived_database_do_not_take_the_restored_weights_along(self):
        fields = self.fresh().lasting(**TINY)
        old, backup = self.paused_with_a_backup(**fields)
        n_before = len(old.history("1"))
        self.assertLess(n_before, fields["epochs"])
        undisturbed = old.submit(**fields)
        old.wait_for_end(undisturbed)
        new = self.fresh()
        new.wait_for_end(new.submit(seed=2, **TINY))
        self.assertEqual(new.terminate(), 0)
        foreign = sorted(map(os.path.basename, glob.glob(new.state_dir + "/runs/1/*")))
        for path in glob.glob(new.state_dir + "/cutoutd.db*"):
            os.rename(path, os.path.join(new.directory, os.path.basename(path)))
        status, said = run("restore", new, backup)
        self.assertEqual(status, 0, said)
        self.assertIn("put aside in " + new.state_dir + "/unknown/", said)
        self.assert_whole(new)
        [aside] = glob.glob(new.state_dir + "/unknown/*/1")
        self.assertEqual(sorted(os.listdir(aside)), foreign)
        new.start()
        new.curl("/api/v1/runs/1/resume", "-X", "POST")
        new.wait_for_log(f"run 1: attempt 2 goes on from epoch {n_before}")
        self.assertEqual(new.wait_for_end("1")["state"], "succeeded")
        self.assertEqual(new.history("1"), old.history(undisturbed))
        self.assertEqual(len(glob.glob(new.state_dir + "/unknown/*")), 1)

    def test_the_files_of_a_daemon_that_runs_are_not_copied(self):
        old = self.stopped_daemon()
        old.start()
        new = self.empty_daemon()
        link = os.path.join(old.directory, "link.db")
        os.symlink(old.state_dir + "/cutoutd.db", link)
        for source in (old.state_dir, old.state_dir + "/cutoutd.db", link):
            status, said = run("restore", new, source)
            self.assertEqual(status, 1, said)
            self.assertIn("stop the daemon there first, or restore what `cutoutd backup` makes", said)
            self.assertEqual(os.listdir(new.state_dir), ["lock"])
        self.assertEqual(old.terminate(), 0)
        status, said = run("restore", new, old.state_dir)
        self.assertEqual(status, 0, said)
        self.assertNotIn("are not there", said)

    def test_a_copy_in_the_directory_itself_comes_back(self):
        daemon = self.stopped_daemon()
        os.rename(daemon.state_dir + "/cutoutd.db", daemon.state_dir + "/friday.db")
        status, said = run("restore", daemon, daemon.state_dir + "/friday.db")
        self.assertEqual(status, 0, said)

    def test_after_a_restore_that_was_killed_no_empty_database_takes_its_place(self):
        old, backup = self.paused_with_a_backup(**LONG)
        self.assertEqual(old.terminate(), 0)
        new = self.empty_daemon()
        # What one leaves that was killed before its last step.
        os.makedirs(new.state_dir)
        shutil.copy(backup + "/cutoutd.db", new.state_dir + "/restore.tmp")
        status, said = run("serve", new, "--listen", "127.0.0.1:0")
        self.assertEqual(status, 1, said)
        self.assertIn("was cut short: give `cutoutd restore FILE` again", said)
        self.assertFalse(os.path.exists(new.state_dir + "/cutoutd.db"))
        status, said = run("doctor", new)
        self.assertEqual(status, 1)
        self.assertIn("restore.tmp is of a restore that was cut short", said)
        self.assertNotIn("nothing needs it", said)
        status, said = run("restore", new, backup)
        self.assertEqual(status, 0, said)
        status, said = run("doctor", new)
        self.assertEqual(status, 0, said)
        new.start()

    def test_the_doctor_knows_what_settings_name_and_what_is_the_file_systems(self):
        daemon = self.stopped_daemon()
        tls = os.path.join(daemon.state_dir, "tls")
        os.mkdir(tls)
        make_certificate(tls + "/cert.pem", tls + "/key.pem")
        for name in ("users", "restored.db"):
            with open(os.path.join(daemon.state_dir, name), "w", encoding="ascii"):
                pass
        os.mkdir(daemon.state_dir + "/lost+found")
        link = os.path.join(daemon.directory, "link")
        os.symlink(daemon.state_dir, link)
        status, said = run("doctor", daemon, "--tls-cert", tls + "/cert.pem", "--tls-key", link + "/tls/key.pem",
                           "--tokens-file", link + "/users")
        self.assertEqual(status, 1)
        self.assertIn("restored.db is not the daemon's", said)
        self.assertIn(": 1 problem\n", said)

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

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files to others")
    def test_a_run_directory_that_root_has_made_is_given_back_not_moved_away(self):
        daemon = self.stopped_daemon()
        os.chmod(daemon.directory, 0o755)
        subprocess.run(["chown", "-R", f"{STRANGER}:{STRANGER}", daemon.state_dir], check=True)
        of_root = daemon.state_dir + "/runs/2"
        os.chown(of_root, 0, 0)
        os.chmod(of_root, 0o700)
        status, said = run("serve", daemon, "--listen", "127.0.0.1:0", user=STRANGER)
        self.assertEqual(status, 1, said)
        self.assertIn("it is not the daemon's to read: do what `cutoutd doctor` says of it", said)
        self.assertNotIn("move it away", said)
        remedy = f"chown -hR --reference={daemon.state_dir}/ {of_root}"
        self.assertIn(remedy, run("doctor", daemon)[1])
        subprocess.run(remedy.split(), check=True)
        self.assertEqual(run("doctor", daemon)[0], 0)

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
