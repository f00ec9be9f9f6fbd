"""Backups that can be started from, and room on the disk."""

import glob
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import threading
import unittest

from daemon_process import (PATIENCE_S, Daemon, DaemonTestCase, after_epoch, make_certificate, tls_daemon, unix_daemon,
                            wait_for)

BACKUP = "/api/v1/admin/backup"
PURGE = "/api/v1/admin/purge"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Backup(DaemonTestCase):
    def backup(self, daemon=None, **fields):
        response = (daemon or self.daemon).curl(BACKUP, "-X", "POST", data=fields)
        self.assertEqual(response.status, 201, response.body)
        return response.json()

    def restore(self, directory):
        """A daemon that starts from a backup."""
        daemon = Daemon(tempfile.mkdtemp(prefix="cutoutd-http-"))
        self.addCleanup(self.dispose, daemon)
        shutil.copytree(directory, daemon.state_dir)
        daemon.start()
        return daemon

    def test_a_backup_is_a_whole_database_with_its_digest(self):
        run = self.daemon.submit(epochs=2)
        self.daemon.wait_for_end(run)
        backup = self.backup(name="nightly-1")
        self.assertEqual(backup["name"], "nightly-1")
        self.assertEqual(backup["bytes"], os.path.getsize(backup["path"]))
        self.assertEqual(backup["sha256"], digest(backup["path"]))
        self.assertIsNone(backup["checkpoints"])
        self.assertEqual(os.listdir(backup["directory"]), ["cutoutd.db"])
        with sqlite3.connect(f"file:{backup['path']}?mode=ro", uri=True) as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            self.assertEqual(database.execute("SELECT count(*) FROM epoch WHERE run_id = ?",
                                              (run,)).fetchone(), (2,))

    def test_a_restored_daemon_has_the_history_and_goes_on_without_checkpoints(self):
        daemon = self.fresh()
        done = daemon.submit(epochs=2, seed=7)
        daemon.wait_for_end(done)
        long = daemon.submit(**daemon.lasting())
        waiting = daemon.submit(epochs=1)
        daemon.events(long, until=lambda e: e["event"] == "epoch")
        backup = self.backup(daemon)
        history = daemon.history(done)
        daemon.kill()
        restored = self.restore(backup["directory"])
        self.assertEqual(restored.history(done), history)
        self.assertEqual(restored.wait_for_end(long)["state"], "succeeded")
        self.assertEqual(restored.wait_for_end(waiting)["state"], "succeeded")
        self.assertEqual(restored.submit(), str(int(waiting) + 1))

    def test_with_checkpoints_a_run_goes_on_from_them(self):
        daemon = self.fresh()
        long = daemon.submit(**daemon.lasting())
        daemon.events(long, until=after_epoch(2))
        backup = self.backup(daemon, checkpoints=True)
        self.assertGreater(backup["checkpoints"]["files"], 0)
        self.assertGreater(backup["checkpoints"]["bytes"], 0)
        reference = daemon.wait_for_end(long)
        history = daemon.history(long)
        restored = self.restore(backup["directory"])
        end = restored.wait_for_end(long)
        self.assertEqual((end["state"], end["attempt"]), ("succeeded", 2))
        self.assertEqual(restored.history(long), history)
        self.assertEqual(end["best"], reference["best"])

    def test_writers_and_readers_go_on_during_backups(self):
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.backup()["name"]))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        runs = [self.daemon.submit(epochs=1, hold=True) for _ in range(10)]
        for thread in threads:
            thread.join(PATIENCE_S)
        self.assertEqual(len(set(results)), 4)
        self.assertEqual(len(set(runs)), 10)

    def test_names_are_kept_once_and_stay_below_the_directory(self):
        self.backup(name="once")
        self.assert_problem(self.daemon.curl(BACKUP, data={"name": "once"}), 409)
        for name in ("../x", ".x", "a/b", "", "x" * 101, 5):
            problem = self.assert_problem(self.daemon.curl(BACKUP, data={"name": name}), 422)
            self.assertEqual([e["pointer"] for e in problem["errors"]], ["/name"])
        problem = self.assert_problem(
            self.daemon.curl(BACKUP, data={"nane": "x", "checkpoints": 1}), 422)
        self.assertEqual({e["pointer"] for e in problem["errors"]}, {"/nane", "/checkpoints"})
        for body in (b"[]", b"{", b"null"):
            self.assert_problem(self.daemon.curl(BACKUP, data=body), 400)

    def test_a_stop_while_backups_run_and_wait_answers_them_all(self):
        """Four at once: one is being made, the others wait. Each is whole or refused, none is half, and
        who hears nothing came when nobody listened any more."""
        daemon = self.fresh()
        names = ["a", "b", "c", "d"]
        curls = [subprocess.Popen(["curl", "-sS", "-w", "\n%{http_code}", "-d", json.dumps({"name": name}),
                                   daemon.url(BACKUP)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in names]
        directory = os.path.join(daemon.state_dir, "backups")
        wait_for(lambda: os.path.isdir(directory) and os.listdir(directory))  # the first has begun
        self.assertEqual(daemon.terminate(), 0)
        made = []
        n_answered = 0
        for name, curl in zip(names, curls):
            output, errors = curl.communicate(timeout=PATIENCE_S)
            body, status = output.rsplit("\n", 1)
            n_answered += status != "000"
            if status == "201":
                made.append(name)
                self.assertEqual(digest(json.loads(body)["path"]), json.loads(body)["sha256"])
            elif status == "503":
                self.assertRegex(json.loads(body)["detail"], "stopping|try again later")
            else:
                self.assertEqual(status, "000", output)
                # Refused, closed before it was read, or reset.
                self.assertRegex(errors, r"curl: \((7|52|56)\)")
        self.assertEqual(sorted(os.listdir(directory)), made)
        self.assertGreater(n_answered, 0)  # the one that was being made, at least


class Command(DaemonTestCase):
    def backup(self, daemon, file, **environment):
        return subprocess.run(
            [os.environ["CUTOUTD"], "backup", file, "--state-dir", daemon.state_dir],
            env=dict(os.environ, **environment), capture_output=True, text=True,
            timeout=PATIENCE_S, check=False)

    def assert_history(self, file, run, n_epochs):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM epoch WHERE run_id = ?",
                                              (run,)).fetchone(), (n_epochs,))

    def test_of_a_running_and_of_a_stopped_daemon(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=2)
        daemon.wait_for_end(run)
        file = os.path.join(daemon.directory, "backup.db")
        result = self.backup(daemon, file)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("running daemon", result.stdout)
        self.assert_history(file, run, 2)
        self.assertEqual(os.listdir(os.path.join(daemon.state_dir, "backups")), [])
        daemon.kill()  # with a log that is not in the database yet
        os.unlink(file)
        result = self.backup(daemon, file)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("running daemon", result.stdout)
        self.assert_history(file, run, 2)

    def test_of_daemons_on_a_path_and_with_tls(self):
        for make in (unix_daemon, tls_daemon):
            daemon = make()
            self.addCleanup(self.dispose, daemon)
            daemon.start()
            run = daemon.submit(hold=True)
            file = os.path.join(daemon.directory, "backup.db")
            environment = dict(daemon.environment, http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1")
            result = self.backup(daemon, file, **environment)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("running daemon", result.stdout)
            self.assert_history(file, run, 0)

    def test_another_certificate_is_not_trusted(self):
        daemon = tls_daemon()
        self.addCleanup(self.dispose, daemon)
        daemon.start()
        other = os.path.join(daemon.directory, "other")
        make_certificate(other + ".pem", other + ".key")
        result = self.backup(daemon, os.path.join(daemon.directory, "backup.db"),
                             CUTOUTD_TLS_CERT=other + ".pem", CUTOUTD_TLS_KEY=other + ".key")
        self.assertEqual(result.returncode, 1)
        self.assertIn("certificate", result.stderr)
        self.assertFalse(os.path.exists(os.path.join(daemon.directory, "backup.db")))

    def test_what_cannot_be_brought_to_its_place_is_not_left_in_the_state_directory(self):
        daemon = self.fresh()
        result = subprocess.run(["prlimit", "--fsize=4096", "--", os.environ["CUTOUTD"], "backup",
                                 daemon.directory + "/copy.db", "--state-dir", daemon.state_dir, "--config", "/dev/null"],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("cannot be brought here: cannot write", result.stderr)
        self.assertEqual(os.listdir(daemon.state_dir + "/backups"), [])
        self.assertEqual(glob.glob(daemon.directory + "/copy*"), [])

    def test_replaces_no_directory_and_nothing_that_is_no_file(self):
        daemon = self.fresh()
        directory = os.path.join(daemon.directory, "copies")
        os.mkdir(directory)
        with open(os.path.join(directory, "monday.db"), "w", encoding="ascii"):
            pass
        fifo = os.path.join(daemon.directory, "fifo")
        os.mkfifo(fifo)
        for running in (True, False):
            for target in (directory, directory + "/", fifo):
                result = self.backup(daemon, target)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertIn("give the copy a name of its own, such as " + target.rstrip("/") + "/cutoutd.db",
                              result.stderr)
            if running:
                self.assertEqual(daemon.terminate(), 0)
        self.assertEqual(os.listdir(directory), ["monday.db"])
        self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))
        self.assertEqual(glob.glob(daemon.directory + "/*in-the-way"), [])

    def test_does_not_take_the_place_of_what_the_daemon_works_with(self):
        daemon = self.fresh()
        link = os.path.join(daemon.directory, "link")
        os.symlink(daemon.state_dir, link)
        for target in (daemon.state_dir + "/cutoutd.db", link + "/cutoutd.db", daemon.state_dir + "/cutoutd.db-wal"):
            result = self.backup(daemon, target)
            self.assertEqual(result.returncode, 1, result.stdout)
            self.assertIn("is a file of the daemon's own", result.stderr)
        run = daemon.submit(epochs=1)
        self.assertEqual(daemon.wait_for_end(run)["state"], "succeeded")
        self.assertEqual(self.backup(daemon, daemon.state_dir + "/copy.db").returncode, 0)

    def test_says_what_is_in_the_way(self):
        daemon = self.fresh()
        file = os.path.join(daemon.directory, "nowhere", "backup.db")
        result = self.backup(daemon, file)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot create", result.stderr)


class Purge(DaemonTestCase):
    def purge(self, **fields):
        response = self.daemon.curl(PURGE, data=fields)
        self.assertEqual(response.status, 200, response.body)
        return response.json()

    def files(self, run):
        return set(os.listdir(os.path.join(self.daemon.state_dir, "runs", run))) - {"instance"}

    def test_only_the_best_checkpoint_of_a_finished_run_stays(self):
        run = self.daemon.submit(epochs=4)
        self.daemon.wait_for_end(run)
        best = self.daemon.get(f"/api/v1/runs/{run}")["best"]["epoch"]
        before = self.files(run)
        path = os.path.join(self.daemon.state_dir, "runs", run)
        size = sum(os.path.getsize(os.path.join(path, name)) for name in before)
        self.assertEqual(self.purge(older_than_days=1, dry_run=False)["runs"], 0)
        planned = self.purge(older_than_days=0, dry_run=True)
        self.assertEqual(self.files(run), before)
        done = self.purge(older_than_days=0)
        self.assertEqual((planned["files"], planned["bytes"]), (done["files"], done["bytes"]))
        self.assertEqual(self.files(run), {f"{best:06}-000000.safetensors"})
        left = sum(os.path.getsize(os.path.join(path, name)) for name in self.files(run))
        self.assertEqual(done["bytes"], size - left)
        self.assertEqual(len(self.daemon.history(run)), 4)
        self.assertEqual(self.purge(older_than_days=0)["runs"], 0)

    def test_running_runs_keep_theirs(self):
        run = self.daemon.submit(epochs=100000)
        self.daemon.events(run, until=lambda e: e["event"] == "checkpoint")
        self.purge(older_than_days=0)
        self.assertTrue(self.files(run))
        self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        self.daemon.wait_for_end(run)

    def test_the_age_must_be_given(self):
        for fields in ({}, {"older_than_days": -1}, {"older_than_days": 1.5},
                       {"older_than_days": "1"}, {"older_than_days": 40000}):
            problem = self.assert_problem(self.daemon.curl(PURGE, data=fields), 422)
            self.assertEqual([e["pointer"] for e in problem["errors"]], ["/older_than_days"])


if __name__ == "__main__":
    unittest.main()
