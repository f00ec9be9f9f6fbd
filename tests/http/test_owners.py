"""Many on one server: limits of owners, whose turn it is, quiet hours, runs that wait for their time."""

import datetime
import os
import re
import sqlite3
import struct
import subprocess
import tempfile
import unittest

from daemon_process import TINY, Daemon, DaemonTestCase, wait_for
from test_access import bearer, make_token
from test_queue import ENDLESS, is_epoch

API = "/api/v1"
HOUR = datetime.timedelta(hours=1)


def write_zone(path, hours, mtime):
    """A file of tzfile(5) with one type of time, so many hours before UTC, in the place of what is there."""
    counts = (0, 0, 0, 0, 1, 4)
    with open(path, "wb") as file:
        file.write(b"TZif" + bytes(16) + struct.pack(">6l", *counts) + struct.pack(">lBB", hours * 3600, 0, 0) + b"LAB\0")
    os.utime(path, (mtime, mtime))


class Lab(DaemonTestCase):
    """A daemon with tokens and a config file that the tests write."""

    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        cls.token, lines = {}, []
        for name, scope in (("anna", "submit"), ("bert", "submit"), ("root", "admin"), ("rita", "read")):
            cls.token[name], line = make_token(name, scope)
            lines.append(line)
        cls.tokens_file = os.path.join(directory, "tokens")
        with open(os.open(cls.tokens_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        cls.config = os.path.join(directory, "cutoutd.conf")
        cls.configure("")
        daemon = Daemon(directory, {"CUTOUTD_TOKENS_FILE": cls.tokens_file, "TZ": "UTC"})
        daemon.flags = ["--config", cls.config]
        return daemon

    @classmethod
    def configure(cls, text):
        with open(cls.config, "w", encoding="ascii") as file:
            file.write(text)

    def setUp(self):
        self.daemon = self.fresh()

    def reload(self, text, expected):
        """Returns when the settings are in force: tokens are read again behind them."""
        self.configure(text)
        self.daemon.hang_up("token(s) in force")
        self.daemon.wait_for_log(re.escape(expected))

    def ask(self, name, path, *options, data=None, status=200):
        response = self.daemon.curl(API + path, *bearer(self.token[name]), *options, data=data)
        self.assertEqual(response.status, status, response.body)
        return response.json() if response.body else None

    def submit(self, who, status=201, **fields):
        return self.ask(who, "/runs", data=dict(TINY, **dict({"epochs": 1}, **fields)), status=status)

    def block(self, name="root"):
        """The one worker has an endless run, which is training when this returns."""
        run = self.submit(name, **ENDLESS)["id"]
        self.daemon.follow(f"{API}/runs/{run}/events", *bearer(self.token["root"]), until=is_epoch)
        return run

    def queue(self):
        return self.ask("rita", "/queue")

    def order(self):
        return [item["run"]["id"] for item in self.queue()["items"]]

    def state(self, run):
        return self.ask("rita", f"/runs/{run}")["state"]

    def kill(self, run):
        """Whether it is running, or back in the queue."""
        path = f"{API}/runs/{run}/kill"
        response = self.daemon.curl(path, *bearer(self.token["root"]), "-X", "POST")
        self.assertIn(response.status, (200, 202))

    def wait_for(self, run, state):
        wait_for(lambda: self.state(run) == state)


class Owners(Lab):
    def owner(self, name):
        return next(row for row in self.ask("rita", "/owners")["items"] if row["owner"] == name)

    def test_an_owner_is_told_what_it_has_and_used(self):
        run = self.block("anna")
        self.submit("anna")
        self.submit("anna", hold=True)
        self.submit("bert")
        anna = self.owner("anna")
        self.assertEqual((anna["running"], anna["queued"], anna["held"]), (1, 1, 1))
        self.assertGreater(anna["core_seconds"]["day"], 0)
        self.assertIsNone(anna["core_seconds"]["recent"])
        self.assertEqual(anna["limits"], {"max_running": None, "max_queued": None, "max_priority": 1000,
                                          "max_checkpoint_bytes": None, "half_life_s": None})
        self.assertEqual(self.owner("bert")["core_seconds"]["month"], 0)
        self.kill(run)
        self.wait_for(run, "canceled")
        used = self.owner("anna")["core_seconds"]
        self.assertGreaterEqual(used["day"], anna["core_seconds"]["day"])
        # One core for as long as it ran, to what a busy machine takes to store it.
        row = self.ask("rita", f"/runs/{run}")
        ran = (datetime.datetime.fromisoformat(row["finished_at"].replace("Z", "+00:00"))
               - datetime.datetime.fromisoformat(row["started_at"].replace("Z", "+00:00")))
        self.assertGreaterEqual(used["day"], ran.total_seconds() - 0.01)
        names, cursor = [], ""
        while cursor is not None:
            page = self.ask("rita", "/owners?limit=1" + (cursor and "&cursor=" + cursor))
            names += [row["owner"] for row in page["items"]]
            cursor = page["next_cursor"]
        self.assertEqual(names, ["anna", "bert"])
        self.ask("rita", "/owners?cursor=x", status=400)

    def test_who_has_used_least_is_next_and_settings_are_read_again(self):
        blocker = self.block("anna")
        annas = [self.submit("anna")["id"] for _ in range(2)]
        bert = self.submit("bert")["id"]
        self.assertEqual(self.order(), [*annas, bert])
        self.reload("[owners]\nhalf_life = 7d\n", "half_life = 7d")
        self.assertEqual(self.order(), [bert, *annas])
        self.assertEqual(self.queue()["limits"]["half_life_s"], 7 * 86400)
        self.assertGreater(self.owner("anna")["core_seconds"]["recent"], 0)
        self.daemon.kill()  # kept in the store, and the config says the same
        self.daemon.start()
        self.kill(blocker)
        for run in (bert, *annas):
            self.wait_for(run, "succeeded")
        ends = [self.ask("rita", f"/runs/{run}")["started_at"] for run in (bert, *annas)]
        self.assertEqual(ends, sorted(ends))

    def test_a_half_life_that_cannot_be_stored_is_not_in_force_and_tried_again(self):
        database = sqlite3.connect(os.path.join(self.daemon.state_dir, "cutoutd.db"), isolation_level=None)
        self.addCleanup(database.close)
        database.execute("BEGIN IMMEDIATE")  # another process is in the middle of a write
        self.reload("[owners]\nhalf_life = 7d\nmax_queued = 30\n", "max_queued = 30")
        self.daemon.wait_for_log(r"half_life = 7d \(.*:2\) cannot be stored, 'off' stays in force until the next SIGHUP")
        limits = self.queue()["limits"]
        self.assertEqual((limits["half_life_s"], limits["max_queued"]), (None, 30))
        database.execute("ROLLBACK")
        self.daemon.hang_up("half_life = 7d")
        self.daemon.hang_up("token(s) in force")
        self.assertEqual(self.queue()["limits"]["half_life_s"], 7 * 86400)
        self.assertEqual(database.execute("SELECT value FROM setting WHERE name = 'owners_half_life_s'").fetchone()[0],
                         str(7 * 86400))

    def test_an_edit_that_leaves_the_priority_as_it_is_needs_none(self):
        self.reload("[owners]\nmax_priority = -5\n", "max_priority = -5")
        self.assertEqual(self.submit("anna", hold=True, status=422)["errors"][0]["pointer"], "/priority")
        run = self.submit("anna", hold=True, priority=-5)["id"]
        changed = self.ask("anna", f"/runs/{run}", "-X", "PATCH", data={"name": "another"})
        self.assertEqual((changed["name"], changed["priority"]), ("another", -5))
        self.ask("anna", f"/runs/{run}/cancel", "-X", "POST", data={})

    def test_limits_are_told_and_hold(self):
        self.reload("[owners]\nmax_running = 1\nmax_queued = 2\nmax_priority = 5\n",
                    "max_priority = 5")
        self.ask("root", "/scheduler", "-X", "PATCH", data={"workers": 2})
        running = self.block("anna")
        waits = self.submit("anna")["id"]
        item = self.queue()["items"][0]
        self.assertEqual((item["run"]["id"], item["why_waiting"]),
                         (waits, "Its owner anna has 1 run running, as many as max_running allows."))
        other = self.submit("bert", priority=-1)["id"]  # goes by
        self.wait_for(other, "succeeded")
        self.submit("anna", hold=True)
        problem = self.submit("anna", status=409)
        self.assertEqual(problem["type"], "urn:cutoutd:problem:quota")
        self.assertIn("The queue would have 3 runs of anna; max_queued allows 2", problem["detail"])
        sweep = {"base": {k: v for k, v in TINY.items() if k != "seed"}, "grid": {"seed": [1, 2, 3]}}
        self.ask("bert", "/sweeps", data=sweep, status=409)
        self.assertEqual(self.ask("rita", "/runs?owner=bert")["items"][0]["id"], other)
        problem = self.submit("bert", priority=6, status=422)
        self.assertEqual(problem["errors"][0]["pointer"], "/priority")
        problem = self.ask("anna", f"/runs/{waits}", "-X", "PATCH", data={"priority": 6}, status=422)
        self.assertIn("max_priority", problem["errors"][0]["detail"])
        self.ask("anna", "/runs/bulk", data={"action": "edit", "ids": [waits], "priority": 6}, status=422)
        self.assertEqual(self.ask("root", f"/runs/{waits}", "-X", "PATCH", data={"priority": 6})["priority"], 6)
        self.assertEqual(self.queue()["limits"],
                         {"max_running": 1, "max_queued": 2, "max_priority": 5, "max_checkpoint_bytes": None,
                          "half_life_s": None})
        self.kill(running)
        self.wait_for(waits, "succeeded")

    def test_what_comes_back_counts_in_the_queue(self):
        self.reload("[owners]\nmax_queued = 2\n", "max_queued = 2")
        self.block()
        gone = [self.submit("anna")["id"] for _ in range(2)]
        self.ask("anna", "/runs/bulk", data={"action": "cancel", "ids": gone})
        held = self.submit("anna", hold=True)["id"]
        answer = self.ask("anna", "/runs/bulk", data={"action": "requeue", "ids": gone})
        self.assertEqual([item["status"] for item in answer["items"]], [200, 409])
        self.assertEqual(answer["items"][1]["problem"]["type"], "urn:cutoutd:problem:quota")
        problem = self.ask("anna", f"/runs/{gone[1]}/requeue", "-X", "POST", status=409)
        self.assertIn("The queue would have 3 runs of anna; max_queued allows 2", problem["detail"])
        self.assertEqual(self.state(gone[1]), "canceled")
        self.ask("anna", f"/runs/{held}/release", "-X", "POST")  # it counted already
        self.ask("anna", f"/runs/{held}/cancel", "-X", "POST")
        self.ask("anna", f"/runs/{gone[1]}/requeue", "-X", "POST")


class Time(Lab):
    def now(self):
        return datetime.datetime.now(datetime.timezone.utc)

    def test_a_run_waits_for_its_time(self):
        at = (self.now() + HOUR).strftime("%Y-%m-%dT%H:%M:00Z")
        late = self.submit("anna", not_before=at, priority=9)
        self.assertEqual(late["not_before"], at.replace("Z", ".000Z"))
        early = self.submit("anna")["id"]
        self.wait_for(early, "succeeded")
        item = self.queue()["items"][0]
        self.assertEqual(item["why_waiting"],
                         f"It starts no earlier than {late['not_before']} (not_before).")
        # Its time comes while the daemon waits for nothing else.
        soon = (self.now() + datetime.timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        self.ask("anna", f"/runs/{late['id']}", "-X", "PATCH", data={"not_before": soon})
        self.wait_for(late["id"], "succeeded")
        run = self.ask("rita", f"/runs/{late['id']}")
        self.assertGreaterEqual(run["started_at"], run["not_before"])
        cleared = self.submit("anna", not_before=at)["id"]
        self.ask("anna", f"/runs/{cleared}", "-X", "PATCH", data={"not_before": None})
        self.wait_for(cleared, "succeeded")
        self.submit("anna", not_before="tonight", status=422)
        base = {k: v for k, v in dict(TINY, not_before=at).items() if k != "seed"}
        sweep = self.ask("anna", "/sweeps", data={"base": base, "grid": {"seed": [1, 2]}}, status=201)
        for run in sweep["runs"]:
            self.assertEqual(self.ask("rita", f"/runs/{run}")["not_before"], late["not_before"])

    def test_quiet_hours_stop_what_runs_and_it_goes_on_afterwards(self):
        running = self.block("anna")
        until = (self.now() + HOUR).replace(second=0, microsecond=0)
        window = f"{self.now() - HOUR:%H:%M}-{until:%H:%M}"
        self.reload(f"quiet = Mon-Sun {window}\n", "quiet hours until")
        self.wait_for(running, "queued")
        end = until.strftime("%Y-%m-%dT%H:%M:00.000Z")
        row = self.ask("rita", f"/runs/{running}")
        self.assertEqual((row["reason"], row["attempt"]), (f"stopped for quiet hours, goes on after {end}", 2))
        self.assertTrue(self.ask("rita", f"/runs/{running}/checkpoints")["items"])
        queue = self.queue()
        self.assertEqual((queue["scheduler"]["quiet"], queue["scheduler"]["quiet_until"]), (True, end))
        self.assertEqual(queue["items"][0]["why_waiting"], f"Quiet hours until {end}: nothing trains.")
        # Nothing to remember: also after a restart.
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.state(running), "queued")
        self.reload("", "quiet hours are over")
        self.wait_for(running, "running")
        self.daemon.follow(f"{API}/runs/{running}/events?since=0", *bearer(self.token["root"]),
                           until=lambda e: e["event"] == "epoch" and e["data"]["epoch"] > row["epochs_done"])
        # What it had trained is not trained again.
        epochs = self.ask("rita", f"/runs/{running}/epochs")["items"]
        self.assertEqual([e["epoch"] for e in epochs], list(range(1, len(epochs) + 1)))

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/etc/localtime"), "only root can give it a time zone")
    def test_quiet_hours_follow_the_machines_time_zone_after_a_reload(self):
        if subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
            self.skipTest("no mount namespaces here")
        zone = os.path.join(self.daemon.directory, "localtime")
        write_zone(zone, hours=0, mtime=1)
        self.daemon.terminate()
        self.daemon.prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {zone} /etc/localtime && exec env -u TZ "$@"', "sh"]
        self.configure(f"quiet = {self.now() + 4 * HOUR:%H:%M}-{self.now() + 6 * HOUR:%H:%M}\n")
        self.daemon.start()
        running = self.block("anna")
        self.assertFalse(self.queue()["scheduler"]["quiet"])
        write_zone(zone, hours=5, mtime=2)
        self.daemon.hang_up("token(s) in force")
        self.assertTrue(self.queue()["scheduler"]["quiet"])
        self.wait_for(running, "queued")

    def test_what_is_no_window_stops_the_start(self):
        self.configure("quiet = Mon-Fri 8-18\n")
        self.daemon.terminate()
        self.assertEqual(self.daemon.spawn().wait(30), 2)
        self.daemon.wait_for_log(r"cutoutd\.conf:1: quiet: 'Mon-Fri 8-18' should be a window")
        self.configure("quiet = Mon 08:00-09:00\nquiet = Tue 08:00-09:00\n[owners]\nhalf_life = 3w\n")
        self.assertEqual(self.daemon.spawn().wait(30), 2)
        self.daemon.wait_for_log(r"cutoutd\.conf:4: half_life is '3w', it should be off, or a time")
        self.configure("half_life = 3d\n")
        self.assertEqual(self.daemon.spawn().wait(30), 2)
        self.daemon.wait_for_log(r"cutoutd\.conf:1: half_life belongs below \[owners\]")
