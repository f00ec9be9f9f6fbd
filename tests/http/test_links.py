"""Links that show one sweep without a token, and nothing else."""

import os
import sqlite3
import subprocess
import tempfile
import unittest
from datetime import datetime, timedelta, timezone

from daemon_process import PATIENCE_S, TINY, Daemon, DaemonTestCase, read_events
from test_access import bearer, make_token

GRID = {"base": {k: v for k, v in TINY.items() if k not in ("m", "epochs")} | {"epochs": 1},
        "grid": {"m": [1, 2]}}


def after(**time):
    return (datetime.now(timezone.utc) + timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


class LinkTestCase(DaemonTestCase):
    """Two sweeps and a run of neither; a link to the first."""

    who = ()

    def setUp(self):
        self.sweep, self.other = [
            self.daemon.curl("/api/v1/sweeps", *self.who, data=dict(GRID, hold=True)).json()
            for _ in range(2)]
        self.link, self.secret = self.make()

    def make(self, status=201, sweep=None, **body):
        response = self.daemon.curl(f"/api/v1/sweeps/{sweep or self.sweep['id']}/links", *self.who,
                                    data=body)
        self.assertEqual(response.status, status, response.body)
        if status != 201:
            return response.json(), None
        link = response.json()
        path, _, secret = link["url"].partition("#link=")
        self.assertEqual(path, f"/sweeps/{self.sweep['id']}")
        return link, secret

    def through(self, path, *options, secret=None, **more):
        return self.daemon.curl("/api/v1" + path, *bearer(secret or self.secret), *options, **more)


class OfASweep(LinkTestCase):
    """Of a daemon without tokens: the link is as narrow there."""

    def test_it_shows_the_sweep_and_its_runs(self):
        sweep, run = self.sweep["id"], self.sweep["runs"][0]
        for path in (f"/sweeps/{sweep}", f"/runs?sweep={sweep}", f"/runs/{run}",
                     f"/runs/{run}/epochs", f"/runs/{run}/validation-error", f"/runs/{run}/log",
                     f"/runs/{run}/summary", f"/compare?sweep={sweep}", f"/compare?ids={run}",
                     f"/runs?sweep={sweep}&m=1&fields=id",
                     f"/figures/validation-error.svg?sweep={sweep}"):
            with self.subTest(path):
                self.assertEqual(self.through(path).status, 200)
        self.assertEqual(self.through(f"/runs/{run}/confusion").status, 404)
        for path in (f"/sweeps/{sweep}", f"/figures/validation-error.png?ids={run}&theme=dark"):
            self.assertEqual(self.through(path, "--head").status, 200)
        listed = self.through(f"/runs?sweep={sweep}").json()["items"]
        self.assertEqual({item["id"] for item in listed}, set(self.sweep["runs"]))
        # Behind a comma there could be another.
        self.assertEqual(self.through(f"/runs?sweep={sweep},{self.other['id']}").status, 404)
        self.assertEqual(self.through(f"/runs?sweep={sweep}&sweep={self.other['id']}").json()["items"],
                         [])

    def test_it_shows_nothing_else(self):
        stranger = self.other["runs"][0]
        alone = self.daemon.submit(hold=True)
        for run in (stranger, alone, "999999"):
            for part in ("", "/epochs", "/validation-error", "/confusion", "/events", "/log",
                         "/summary"):
                with self.subTest(run=run, part=part):
                    self.assert_problem(self.through(f"/runs/{run}{part}"), 404)
            self.assert_problem(self.through(f"/compare?ids={self.sweep['runs'][0]},{run}"), 404)
            self.assert_problem(self.through(f"/figures/validation-error.png?ids={run}"), 404)
        for path in (f"/sweeps/{self.other['id']}", f"/sweeps/{self.other['id']}/events",
                     f"/runs?sweep={self.other['id']}", f"/compare?sweep={self.other['id']}",
                     f"/figures/validation-error.pdf?sweep={self.other['id']}"):
            with self.subTest(path):
                self.assert_problem(self.through(path), 404)
        sweep, run = self.sweep["id"], self.sweep["runs"][0]
        for path in ("/runs", "/compare", "/sweeps", "/events", "/queue", "/scheduler", "/system",
                     "/presets", "/datasets", "/figures/cutout.png", f"/sweeps/{sweep}/links",
                     f"/runs/{run}/checkpoints", f"/runs/{run}/checkpoints/best.safetensors",
                     f"/runs/{run}/note", f"/sweeps/{sweep}/note", f"/runs?sweep={sweep}&text=a"):
            with self.subTest(path):
                self.assert_problem(self.through(path), 403)
        self.assert_problem(self.daemon.curl("/metrics", *bearer(self.secret)), 403)

    def test_nothing_is_changed_through_it(self):
        sweep, run = self.sweep["id"], self.sweep["runs"][0]
        before = self.daemon.get(f"/api/v1/runs/{run}")
        for path, options, data in (
                ("/runs", (), TINY), ("/sweeps", (), GRID), (f"/runs/{run}/fork", (), {}),
                (f"/runs/{run}/release", ("-X", "POST"), None),
                (f"/runs/{run}", ("-X", "PATCH"), {"priority": 9}),
                (f"/runs/{run}", ("-X", "DELETE"), None),
                (f"/runs/{run}/note", ("-X", "PUT"), b"x"),
                ("/runs/bulk", (), {"action": "cancel", "ids": [run]}),
                (f"/sweeps/{sweep}/cancel", ("-X", "POST"), None),
                (f"/sweeps/{sweep}", ("-X", "DELETE"), None),
                (f"/sweeps/{sweep}/links", (), {}),
                (f"/links/{self.link['id']}", ("-X", "DELETE"), None),
                ("/scheduler/drain", ("-X", "POST"), None),
                ("/admin/backup", (), {"name": "x"})):
            with self.subTest(path):
                self.assert_problem(self.through(path, *options, data=data), 403)
        self.assertEqual(self.daemon.get(f"/api/v1/runs/{run}"), before)

    def test_withdrawn_it_opens_nothing_and_its_streams_end(self):
        other, kept = self.make()
        path = f"/api/v1/sweeps/{self.sweep['id']}/events"
        with subprocess.Popen(["curl", "-sSN", "--max-time", str(PATIENCE_S), *bearer(self.secret),
                               self.daemon.url(path)], stdout=subprocess.PIPE) as follower:
            self.assertEqual(next(read_events(follower.stdout))["event"], "snapshot")
            response = self.daemon.curl(f"/api/v1/links/{self.link['id']}", *self.who, "-X", "DELETE")
            self.assertEqual(response.status, 204)
            follower.stdout.read()
            self.assertNotEqual(follower.wait(PATIENCE_S), None)
        refused = self.assert_problem(self.through(f"/sweeps/{self.sweep['id']}"), 401)
        self.assertIn("expired or was withdrawn", refused["detail"])
        self.assertEqual(self.through(f"/sweeps/{self.sweep['id']}", secret=kept).status, 200)
        listed = self.daemon.curl(f"/api/v1/sweeps/{self.sweep['id']}/links", *self.who).json()
        self.assertEqual([link["id"] for link in listed["items"]], [other["id"]])
        self.assert_problem(self.daemon.curl(f"/api/v1/links/{self.link['id']}", *self.who, "-X",
                                             "DELETE"), 404)

    def test_it_ends_at_its_time(self):
        _, secret = self.make(expires_at=after(seconds=2))
        path = f"/api/v1/sweeps/{self.sweep['id']}/events"
        with subprocess.Popen(["curl", "-sSN", "--max-time", str(PATIENCE_S), *bearer(secret),
                               self.daemon.url(path)], stdout=subprocess.PIPE) as follower:
            follower.stdout.read()  # to the end of the stream
        self.assert_problem(self.through(f"/sweeps/{self.sweep['id']}", secret=secret), 401)
        self.assertNotIn(secret, self.daemon.log())

    def test_what_cannot_be_an_end_is_refused(self):
        for when in (after(seconds=-5), after(days=5 * 366 + 2), "tomorrow", 7, "2030-02-31T00:00:00Z"):
            with self.subTest(when):
                problem, _ = self.make(422, expires_at=when)
                self.assertEqual(problem["errors"][0]["pointer"], "/expires_at")
        self.make(422, expires=1)
        self.make(404, sweep="999999")
        response = self.daemon.curl(f"/api/v1/sweeps/{self.sweep['id']}/links", "-H",
                                    "Idempotency-Key: link", data={}, malformed=True)
        self.assertEqual(response.status, 422)
        made = datetime.fromisoformat(self.link["created_at"].replace("Z", "+00:00"))
        ends = datetime.fromisoformat(self.link["expires_at"].replace("Z", "+00:00"))
        self.assertEqual(ends - made, timedelta(days=30))

    def test_a_sweep_has_a_hundred_links_at_most(self):
        for _ in range(99):
            self.make()
        problem, _ = self.make(409)
        self.assertIn("withdraw one", problem["detail"])

    def test_after_a_restart_it_is_in_force_and_its_secret_is_nowhere(self):
        daemon = self.fresh()
        sweep = daemon.curl("/api/v1/sweeps", data=dict(GRID, hold=True)).json()["id"]
        secret = daemon.curl(f"/api/v1/sweeps/{sweep}/links",
                             data={}).json()["url"].partition("#link=")[2]
        self.assertEqual(daemon.terminate(), 0)
        with open(os.path.join(daemon.state_dir, "cutoutd.db"), "rb") as file:
            self.assertNotIn(secret.encode(), file.read())
        daemon.start()
        self.assertEqual(daemon.curl(f"/api/v1/sweeps/{sweep}", *bearer(secret)).status, 200)
        self.assertEqual(daemon.curl(f"/api/v1/sweeps/{sweep}", "-X", "DELETE").status, 204)
        self.assertEqual(daemon.curl(f"/api/v1/sweeps/{sweep}", *bearer(secret)).status, 401)
        self.assertEqual(daemon.terminate(), 0)
        with sqlite3.connect(os.path.join(daemon.state_dir, "cutoutd.db")) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM link").fetchone()[0], 0)
        database.close()


class WithTokens(LinkTestCase):
    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        path = os.path.join(directory, "tokens")
        cls.token = {}
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            for name, scope in (("rita", "read"), ("anna", "submit"), ("bert", "submit"),
                                ("root", "admin")):
                cls.token[name], line = make_token(name, scope)
                file.write(line + "\n")
        cls.who = bearer(cls.token["anna"])
        return Daemon(directory, {"CUTOUTD_TOKENS_FILE": path})

    def test_links_are_made_and_withdrawn_by_whose_sweep_it_is(self):
        self.assertEqual(self.link["owner"], "anna")
        path = f"/api/v1/sweeps/{self.sweep['id']}/links"
        for name in ("rita", "bert"):
            self.assert_problem(self.daemon.curl(path, *bearer(self.token[name]), data={}), 403)
            self.assert_problem(self.daemon.curl(f"/api/v1/links/{self.link['id']}",
                                                 *bearer(self.token[name]), "-X", "DELETE"), 403)
        self.assertEqual(self.daemon.curl(path, *bearer(self.token["rita"])).json()["items"][0]["id"],
                         self.link["id"])
        self.assertEqual(self.through(f"/sweeps/{self.sweep['id']}").status, 200)
        self.assert_problem(self.through("/runs"), 403)
        self.assertEqual(self.daemon.curl(f"/api/v1/links/{self.link['id']}",
                                          *bearer(self.token["root"]), "-X", "DELETE").status, 204)
        self.assert_problem(self.through(f"/sweeps/{self.sweep['id']}"), 401)

    def test_a_reload_of_the_tokens_leaves_links_alone(self):
        path = f"/api/v1/sweeps/{self.sweep['id']}/events"
        with subprocess.Popen(["curl", "-sSN", "--max-time", str(PATIENCE_S), *bearer(self.secret),
                               self.daemon.url(path)], stdout=subprocess.PIPE) as follower:
            events = read_events(follower.stdout)
            self.assertEqual(next(events)["event"], "snapshot")
            self.daemon.hang_up("SIGHUP")
            self.daemon.curl(f"/api/v1/sweeps/{self.sweep['id']}/cancel", *self.who, "-X", "POST")
            self.assertIn("end", [event["event"] for event in events])


if __name__ == "__main__":
    unittest.main()
