"""Who did what, tokens that expire, and a bound of disk."""

import os
import subprocess
import time

from daemon_process import PATIENCE_S, TINY, wait_for
from test_access import bearer, make_token
from test_owners import API, ENDLESS, Lab


class Audit(Lab):
    def audit(self, query=""):
        return self.ask("root", "/audit" + query)["items"]

    def facts(self, lines):
        return [(line["owner"], line["request"], line["subject"], line["subject_id"]) for line in lines]

    def test_every_change_has_a_line_with_before_and_after(self):
        self.ask("root", "/scheduler/drain", "-X", "POST")
        run = self.submit("anna", name="first", priority=2)["id"]
        self.ask("anna", f"/runs/{run}/hold", "-X", "POST")
        self.ask("anna", f"/runs/{run}", "-X", "PATCH", data={"priority": 7, "labels": {"a": "b"}})
        sweep = self.ask("bert", "/sweeps", status=201, data={
            "name": "s", "base": {k: v for k, v in TINY.items() if k != "seed"}, "grid": {"seed": [1, 2]}})["id"]
        self.ask("bert", f"/sweeps/{sweep}/note", "-X", "PUT", "-H", "Content-Type: text/markdown",
                 data=b"hello", status=201)
        self.ask("root", "/scheduler", "-X", "PATCH", data={"workers": 2})
        self.ask("anna", f"/runs/{run}", "-X", "DELETE", status=204)
        lines = self.audit()
        self.assertEqual(self.facts(lines)[::-1], [
            ("root", f"POST {API}/scheduler/drain", "setting", "draining"),
            ("anna", f"POST {API}/runs", "run", run),
            ("anna", f"POST {API}/runs/{run}/hold", "run", run),
            ("anna", f"PATCH {API}/runs/{run}", "run", run),
            ("bert", f"POST {API}/sweeps", "sweep", sweep),
            ("bert", f"PUT {API}/sweeps/{sweep}/note", "note of sweep", sweep),
            ("root", f"PATCH {API}/scheduler", "setting", "workers"),
            ("anna", f"DELETE {API}/runs/{run}", "run", run)])
        gone, workers, note, _, edit, hold, new, drain = lines
        self.assertEqual((new["before"], new["after"]["name"], new["after"]["priority"]), (None, "first", 2))
        self.assertEqual((hold["before"]["state"], hold["after"]["state"]), ("queued", "held"))
        self.assertEqual((edit["before"]["priority"], edit["after"]["priority"]), (2, 7))
        self.assertEqual((edit["before"]["labels"], edit["after"]["labels"]), ({}, {"a": "b"}))
        self.assertEqual((workers["before"], workers["after"]), ({"workers": 1}, {"workers": 2}))
        self.assertEqual((drain["before"], drain["after"]), ({"draining": False}, {"draining": True}))
        self.assertEqual(note["after"], {"characters": 5})
        self.assertEqual((gone["before"]["state"], gone["after"]), ("held", None))
        self.assertEqual({line["peer"] for line in lines}, {"127.0.0.1"})
        self.assertEqual(self.facts(self.audit("?owner=bert")), self.facts([l for l in lines if l["owner"] == "bert"]))
        self.assertEqual(len(self.audit(f"?subject=run&subject_id={run}")), 4)
        ids, cursor = [], ""
        while cursor is not None:
            page = self.ask("root", "/audit?limit=3" + (cursor and "&cursor=" + cursor))
            ids += [line["id"] for line in page["items"]]
            cursor = page["next_cursor"]
        self.assertEqual(ids, [line["id"] for line in lines])

    def test_what_is_refused_or_done_by_the_daemon_has_no_line(self):
        run = self.submit("anna")["id"]
        self.wait_for(run, "succeeded")
        self.ask("bert", f"/runs/{run}", "-X", "DELETE", status=403)
        self.ask("anna", f"/runs/{run}/pause", "-X", "POST", status=409)
        self.submit("anna", status=422, m=0)
        self.ask("rita", f"/runs/{run}")
        self.ask("root", "/admin/purge", data={"older_than_days": 1, "dry_run": True})
        self.assertEqual(self.facts(self.audit()), [("anna", f"POST {API}/runs", "run", run)])
        for name in ("anna", "rita"):
            self.ask(name, "/audit", status=403)
        self.ask("root", "/audit?cursor=x", status=400)

    def test_what_happens_beside_the_database_has_a_line(self):
        self.ask("root", "/admin/backup", data={"name": "friday"}, status=201)
        self.ask("root", "/admin/purge", data={"older_than_days": 3})
        self.assertEqual([(line["subject"], line["subject_id"]) for line in self.audit()],
                         [("purge", "3 days"), ("backup", "friday")])

    def test_lines_survive_a_kill(self):
        run = self.submit("anna", hold=True)["id"]
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.facts(self.audit()), [("anna", f"POST {API}/runs", "run", run)])


class Expiry(Lab):
    def command(self, *words, status=0):
        done = subprocess.run([os.environ["CUTOUTD"], "token", *words], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def add_line(self, line):
        with open(self.tokens_file, "a", encoding="ascii") as file:
            file.write(line + "\n")
        self.daemon.hang_up("token(s) in force")

    def test_a_token_is_good_until_it_expires(self):
        token, line = make_token("vera", "read")
        run = self.block("anna")
        seconds = 8
        end = time.time() + seconds
        self.add_line(line + time.strftime(" %Y-%m-%dT%H:%M:%SZ", time.gmtime(end + 1)))
        path = f"{API}/runs/{run}/events"
        self.assertEqual(self.daemon.curl(API + "/queue", *bearer(token)).status, 200)
        # The stream of an endless run ends with the token; the daemon is not told.
        self.assertTrue(self.daemon.follow(path, *bearer(token)))
        self.assertGreaterEqual(time.time(), end)
        self.assertEqual(self.daemon.curl(API + "/queue", *bearer(token)).status, 401)

    def test_tokens_are_made_with_an_end_listed_and_revoked(self):
        made = [row for row in self.command("vera", "--scope", "read", "--days", "90").splitlines()
                if not row.startswith("#")]
        self.assertRegex(made[1], r"^vera read [0-9a-f]{64} 20\d\d-\d\d-\d\dT[0-9:.]+Z$")
        self.add_line(made[1])
        os.chmod(self.tokens_file, 0o640)
        rows = self.command("list", "--tokens-file", self.tokens_file).splitlines()
        self.assertEqual([row.split()[0] for row in rows], ["NAME", "anna", "bert", "root", "rita", "vera"])
        self.assertEqual([row.split()[-1] == "never" for row in rows[1:]], [True] * 4 + [False])
        link = self.tokens_file + ".link"
        os.symlink(self.tokens_file, link)
        self.assertIn("1 token of vera revoked", self.command("revoke", "vera", "--tokens-file", link))
        self.assertTrue(os.path.islink(link))
        self.assertEqual(os.stat(self.tokens_file).st_mode & 0o777, 0o640)
        self.daemon.hang_up("4 token(s) in force")
        self.assertEqual(self.daemon.curl(API + "/queue", *bearer(made[0])).status, 401)
        self.assertEqual(self.daemon.curl(API + "/queue", *bearer(self.token["rita"])).status, 200)
        self.assertIn("has no token of vera",
                      self.command("revoke", "vera", "--tokens-file", self.tokens_file, status=1))
        self.command("vera", "--days", "0", status=2)
        self.command("revoke", status=2)


class Disk(Lab):
    def owner(self, name):
        return next(row for row in self.ask("rita", "/owners")["items"] if row["owner"] == name)

    def test_who_has_too_much_on_the_disk_starts_and_submits_nothing(self):
        first = self.submit("anna", depth=14)["id"]  # more than 1M, which depth=8 has not
        self.wait_for(first, "succeeded")
        files = {item["path"] if "path" in item else item["sha256"]: item["bytes"] for item in
                 self.ask("rita", f"/runs/{first}/checkpoints")["items"]}
        used = self.owner("anna")["checkpoint_bytes"]
        self.assertEqual(used, sum(files.values()))
        blocker = self.block("root")
        waits = self.submit("anna")["id"]
        self.reload("[owners]\nmax_disk = 1M\n", "max_disk = 1M")
        self.assertEqual(self.owner("anna")["limits"]["max_checkpoint_bytes"], 1024 * 1024)
        self.assertEqual(self.submit("anna", status=409)["type"], "urn:cutoutd:problem:quota")
        item = self.queue()["items"][0]
        self.assertRegex(item["why_waiting"], r"Its owner anna has .* of checkpoints, max_disk allows")
        bert = self.submit("bert")["id"]
        self.kill(blocker)
        self.wait_for(bert, "succeeded")  # goes by
        self.assertEqual(self.state(waits), "queued")
        self.ask("root", "/scheduler/drain", "-X", "POST")
        self.ask("anna", f"/runs/{first}", "-X", "DELETE", status=204)
        self.assertEqual(self.owner("anna")["checkpoint_bytes"], 0)
        self.ask("root", "/scheduler/resume", "-X", "POST")
        self.wait_for(waits, "succeeded")
