"""What cutoutctl shows and does beside runs, and how it fits a terminal. CUTOUTCTL names the binary."""

import csv
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import tempfile
import threading
import unicodedata

from daemon_process import PATIENCE_S, Daemon
from test_access import make_token
from test_cutoutctl import BASE, CUTOUTCTL, ClientTestCase


def width_of(line):
    """Columns of a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def commands():
    listed = subprocess.run([CUTOUTCTL, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +[a-z]", listed.split("\nOptions")[0], re.M)


class Commands(ClientTestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="cutoutctl-")
        self.addCleanup(self.directory.cleanup)

    def file(self, name):
        return os.path.join(self.directory.name, name)

    def read(self, name):
        with open(self.file(name), "rb") as file:
            return file.read()

    def ended_sweep(self, **fields):
        values = [f"{name}={value}" for name, value in dict({"m": "1,2", "epochs": 1}, **fields).items()]
        runs = self.ctl("sweep", "-q", *BASE, *values).split()
        self.ctl("wait", *runs)
        return self.daemon.get("/api/v1/runs/" + runs[0])["sweep"], runs

    def test_every_command_is_explained(self):
        names = commands()
        self.assertGreater(len(names), 45)
        for name in names:
            said = self.ctl("help", *name.split())
            self.assertRegex(said, rf"^cutoutctl {name}\b")
            self.assertEqual(said, self.ctl(*name.split(), "--help"))
        self.assertIn("cutout_size", self.ctl("help", "submit"))
        self.assertIn("cutoutctl sweep pause ID", self.ctl("help", "sweep"))
        self.assertIn("no such command: dance", self.ctl("help", "dance", status=64))
        self.assertIn("cutoutctl webhook test ID", self.ctl("webhook", status=64))

    def test_options_that_mean_nothing_are_refused(self):
        for wrong in (["show", "1", "-o", "csv"], ["list", "-o", "pdf"], ["list", "--to", "csv"], ["list", "--yes"],
                      ["scheduler", "workers", "none"], ["sweep", "show", "x"], ["checkpoint", "get", "1", "worst"],
                      ["figure", "1"], ["figure", "1", "-o", "x.gif"], ["figure", "cutout", "-o", "x.pdf"],
                      ["edit", "1"], ["edit", "1", "2", "name=x"], ["edit", "1", "label=a"], ["sweep", "lits"]):
            with self.subTest(wrong=wrong):
                self.ctl(*wrong, status=64)

    def test_sweeps_are_listed_shown_and_changed_as_one(self):
        runs = self.ctl("sweep", "-q", *BASE, "m=1,2", "epochs=1", "hold=true", "name=Größe").split()
        sweep = self.daemon.get("/api/v1/runs/" + runs[0])["sweep"]
        self.assertIn(f"{sweep} ", self.ctl("sweep", "list"))
        self.assertIn(sweep, self.ctl("sweep", "list", "-q").split())
        self.assertIn("Größe", self.ctl("sweep", "list"))
        shown = self.ctl("sweep", "show", sweep)
        self.assertIn("2 runs: 2 held", shown)
        self.assertIn(f"Ids: {runs[0]} {runs[1]}", shown)
        self.assertIn("pause of 0 runs, for 2 it makes no sense", self.ctl("sweep", "pause", sweep))
        self.assertIn("release of 2 runs", self.ctl("sweep", "release", sweep))
        self.assertEqual(self.ctl("sweep", "wait", sweep), "")
        self.assertEqual(self.ctl("sweep", "watch", sweep).count("succeeded"), 2)
        self.assertEqual(self.sh(self.ctl("sweep", "requeue", "--curl", sweep))["skipped"], 2)
        self.ctl("sweep", "delete", sweep)
        self.assertIn("There is no sweep", self.ctl("sweep", "show", sweep, status=1))
        self.ctl("sweep", "wait", sweep, status=3)

    def test_tables_for_programs_are_whole(self):
        name = 'a "quoted, name' + "ä" * 50
        run = self.submit("m=1", "epochs=1", "hold=true", "name=" + name, "label=team:vision")
        rows = list(csv.DictReader(io.StringIO(self.ctl("list", "-o", "csv", "state=held"))))
        row = next(row for row in rows if row["id"] == run)
        self.assertEqual((row["name"], row["labels"], row["m"], row["best"]), (name, "team:vision", "1", ""))
        self.assertEqual(row["created"], self.daemon.get("/api/v1/runs/" + run)["created_at"])
        self.assertIn(name, self.ctl("list", "state=held"))
        self.assertIn("rmsprop", self.ctl("list", "-o", "wide", "state=held"))
        self.assertEqual(json.loads(self.ctl("list", "-o", "json", "state=held"))["items"][0]["id"], run)
        queue = list(csv.DictReader(io.StringIO(self.ctl("queue", "-o", "csv"))))
        self.assertIn(run, [row["id"] for row in queue])
        self.ctl("delete", run)

    def test_runs_that_wait_are_deleted_and_the_help_says_so(self):
        self.ctl("delete", self.submit("m=1", "hold=true"))
        said = self.ctl("help", "delete")
        self.assertNotIn("that have ended", said)
        self.assertIn("those that wait or are held or paused", said)

    def test_lists_fit_the_terminal(self):
        sweep, runs = self.ended_sweep(name="猫とe\u0301" * 8)
        for run in runs:
            self.ctl("edit", run, "name=" + "猫とe\u0301" * 8)
        error = self.daemon.get("/api/v1/runs/" + runs[0])["best"]["val_error"]
        for columns in (20, 40, 60, 80, 120):
            for arguments in (["list", "sweep=" + sweep], ["sweep", "list"], ["queue"], ["owners"], ["audit"]):
                with self.subTest(columns, arguments=arguments):
                    lines = self.on_terminal(columns, *arguments).replace("\r", "").split("\n")
                    table = [line for line in lines if not line.startswith(("The scheduler", "There are"))]
                    self.assertLessEqual(max(map(width_of, table)), max(columns, 40))
            lines = self.on_terminal(columns, "list", "sweep=" + sweep).replace("\r", "").split("\n")
            self.assertIn("100%", lines[1])
            self.assertIn(f"{error:.4f}", lines[-2])
            if columns >= 40:
                self.assertRegex(lines[0], r"id .*done +left +best .*name")
                self.assertRegex(lines[1], "猫.*…$" if columns < 100 else "猫.*e\u0301$")
                self.assertNotRegex(lines[1], "e…", "the accent belongs to its letter")

    def test_compare_and_figures(self):
        sweep, runs = self.ended_sweep(seed="1,2")
        table = self.ctl("compare", "sweep=" + sweep, "group_by=m", "target=0.99", "baseline=1")
        self.assertRegex(table, r"(?m)^m=2 +2 ")
        self.assertIn("vs baseline", table)
        self.assertTrue(self.ctl("compare", *runs, "group_by=m", "-o", "csv").startswith("epoch,m1_mean"))
        self.assertEqual(len(json.loads(self.ctl("compare", "--json", *runs[:2], "group_by=none"))["groups"]), 2)
        for ending, magic in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
            name = "curves." + ending
            self.assertEqual(self.ctl("figure", "-o", self.file(name), "sweep=" + sweep, "title=ä & b").strip(),
                             self.file(name))
            self.assertTrue(self.read(name).lstrip().startswith(magic) or b"<svg" in self.read(name)[:200], ending)
        self.ctl("figure", "cutout", "-o", self.file("cut.png"), "m=4", "dataset=shapes")
        self.assertTrue(self.read("cut.png").startswith(b"\x89PNG"))
        self.assertIn("There is no", self.ctl("figure", "-o", self.file("none.pdf"), "99999", status=1))
        # A refused figure says which argument is wrong, and what it may be.
        for words in ((*runs, "metric=best"), ("cutout", "mix=best")):
            said = self.ctl("figure", "-o", self.file("none.png"), *words, status=1)
            self.assertRegex(said, r" (metric|mix): (metric|mix) must be one of ")
        self.assertEqual(sorted(os.listdir(self.directory.name)), ["curves.pdf", "curves.png", "curves.svg", "cut.png"])

    def test_checkpoints_arrive_whole_or_not_at_all(self):
        _, (run, _) = self.ended_sweep()
        listed = json.loads(self.ctl("checkpoint", "list", run, "-o", "json"))["items"]
        self.assertIn("best", self.ctl("checkpoint", "list", run))
        wanted = {item["kind"]: item["sha256"] for item in reversed(listed)}
        self.ctl("checkpoint", "get", run, "-o", self.file("w"))
        self.assertEqual(hashlib.sha256(self.read("w")).hexdigest(), wanted["best"])
        subprocess.run([CUTOUTCTL, "checkpoint", "get", run, "last"], check=True, cwd=self.directory.name,
                       env=self.environment_of(), timeout=PATIENCE_S, stdout=subprocess.DEVNULL)
        self.assertEqual(hashlib.sha256(self.read(f"run-{run}-last.safetensors")).hexdigest(), wanted["last"])
        self.assertIn("There is no run 99999", self.ctl("checkpoint", "get", "99999", "-o", self.file("w"), status=1))
        self.assertEqual(hashlib.sha256(self.read("w")).hexdigest(), wanted["best"], "the file of before stays")

    def test_a_file_for_which_there_is_no_room_is_said_to_be_that(self):
        _, (run, _) = self.ended_sweep()
        for bytes_, *command in ((1000, "checkpoint", "get", run, "-o"), (5000, "figure", run, "-o"),
                                 (1, "figure", "cutout", "m=4", "dataset=shapes", "-o")):
            with self.subTest(command):
                file = self.file("w.png")
                result = subprocess.run(["prlimit", f"--fsize={bytes_}", "--", CUTOUTCTL, *command, file], text=True,
                                        env=self.environment_of(), capture_output=True, check=False, timeout=PATIENCE_S)
                self.assertEqual(result.stderr, f"cutoutctl: {file}.part: what arrives cannot be written: File too large; "
                                                "make room, or name another place by -o\n")
                self.assertEqual((result.returncode, os.listdir(self.directory.name)), (3, []))
        with open("/dev/full", "wb") as full:
            result = subprocess.run([CUTOUTCTL, "checkpoint", "get", run, "-o", "-"], env=self.environment_of(), text=True,
                                    stdout=full, stderr=subprocess.PIPE, check=False, timeout=PATIENCE_S)
        self.assertEqual(result.returncode, 3)
        self.assertIn("cannot be written: No space left on device; make room", result.stderr)

    def test_all_active_runs_are_watched_however_many(self):
        page = 500  # the most that the daemon gives at once
        self.daemon.curl("/api/v1/scheduler/drain", "-X", "POST")
        seeds = ",".join(str(seed) for seed in range(page // 2 + 1))
        runs = self.ctl("sweep", "-q", *BASE, "m=1,2", "epochs=1", "seed=" + seeds).split()
        self.assertGreater(len(runs), page)
        with subprocess.Popen([CUTOUTCTL, "watch"], env=self.environment_of(), text=True,
                              stdout=subprocess.PIPE) as watch:
            first = watch.stdout.readline()  # it has found them
            self.ctl("sweep", "cancel", self.daemon.get("/api/v1/runs/" + runs[0])["sweep"])
            watched = {line.split()[0] for line in [first, *watch.stdout]}
            self.assertEqual(watch.wait(PATIENCE_S), 2)
        self.daemon.curl("/api/v1/scheduler/resume", "-X", "POST")
        self.assertEqual(watched, set(runs))

    def test_runs_are_asked_for_a_checkpoint(self):
        run = self.daemon.submit(epochs=100000)
        self.daemon.events(run, until=lambda event: event["event"] == "epoch")
        self.assertIn(f"Run {run} writes a checkpoint", self.ctl("checkpoint", "save", run))
        said = self.ctl("checkpoint", "save", "99999", run, "-o", "json", status=1)
        self.assertIn("There is no run 99999", said)
        self.ctl("kill", run)
        self.ctl("wait", run, status=2)
        self.assertIn("is canceled", self.ctl("checkpoint", "save", run, status=1))

    def test_a_damaged_download_is_no_file(self):
        class Liar(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("ETag", '"' + "0" * 64 + '"')
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"data")

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Liar) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            said = self.ctl("checkpoint", "get", "1", "-o", self.file("w"), "--server",
                            f"http://127.0.0.1:{server.server_port}", status=3)
            server.shutdown()
        self.assertIn("SHA-256 differs", said)
        self.assertEqual(os.listdir(self.directory.name), [])

    def test_fork_and_edit(self):
        _, runs = self.ended_sweep()
        fork = self.ctl("fork", "-q", runs[0], "from_epoch=1", "epochs=2", "hold=true", "label=team:vision").strip()
        stored = self.daemon.get("/api/v1/runs/" + fork)
        self.assertEqual((stored["forked_from"], stored["config"]["epochs"]), ({"run": runs[0], "epoch": 1}, 2))
        self.assertIn("changed", self.ctl("edit", fork, "name=12", "priority=3"))
        self.ctl("edit", fork, *runs, "label=of:a:b", "label=team-", "priority=5")
        stored = self.daemon.get("/api/v1/runs/" + fork)
        self.assertEqual((stored["name"], stored["priority"], stored["labels"]), ("12", 5, {"of": "a:b"}))
        self.ctl("edit", fork, "name=new", "label=team:x", "label=of-", "not_before=2099-01-01T00:00:00Z")
        stored = self.daemon.get("/api/v1/runs/" + fork)
        self.assertEqual((stored["name"], stored["priority"], stored["labels"]), ("new", 5, {"team": "x"}))
        self.assertTrue(stored["not_before"].startswith("2099-01-01"))
        self.assertIn("There is no run 99999", self.ctl("edit", fork, "99999", "priority=1", status=1))
        self.assertIn("lr: ", self.ctl("fork", runs[0], "lr=-1", status=1))
        self.ctl("delete", fork)

    def test_log_and_events_tell_the_same(self):
        run = self.submit("m=1", "epochs=2", "hold=true")
        with subprocess.Popen([CUTOUTCTL, "events", "-o", "json", run], env=self.environment_of(), text=True,
                              stdout=subprocess.PIPE) as events:
            self.assertIn("snapshot", events.stdout.readline())  # it listens
            self.ctl("release", run)
            heard = [json.loads(line) for line in events.stdout]
            self.assertEqual(events.wait(PATIENCE_S), 0)
        self.assertEqual(heard[-1]["event"], "end")
        log = self.ctl("log", run).splitlines()
        self.assertEqual(len([line for line in log if "epoch " in line.split(" ", 1)[1][:6]]), 2)
        self.assertIn("succeeded", log[-1])
        for event in heard:
            if event["event"] == "epoch":
                self.assertIn(f"validation error {event['data']['val_error']:.4f}", "\n".join(log))
        self.assertIn("There is no run", self.ctl("events", "99999", status=1))

    def test_a_log_that_is_followed_is_the_log_at_the_end(self):
        run = self.submit("m=1", "epochs=2", "hold=true", "name=before")
        with subprocess.Popen([CUTOUTCTL, "log", "-f", run], env=self.environment_of(), text=True,
                              stdout=subprocess.PIPE) as log:
            first = log.stdout.readline()  # what was there
            self.assertIn("held, attempt", first)
            self.ctl("edit", run, "name=after", "label=team:vision", "priority=2")
            self.ctl("release", run)
            said = first + log.stdout.read()
            self.assertEqual(log.wait(PATIENCE_S), 0)
        self.assertEqual(said, self.ctl("log", run))
        self.assertIn('name "after", labels {"team":"vision"}', said)
        self.assertEqual(self.ctl("log", "--follow", run), said)
        self.assertEqual(self.ctl("log", "-f", "--curl", run).count("curl "), 2)
        self.assertIn("There is no run", self.ctl("log", "-f", "99999", status=1))
        self.ctl("show", "-f", run, status=64)

    def test_notes_are_written_read_and_taken_away(self):
        sweep, (run, _) = self.ended_sweep()
        for words in (["note", run], ["sweep", "note", sweep]):
            with self.subTest(words):
                self.assertIn("has no note", self.ctl(*words, status=1))
                self.ctl(*words, "the *rate* was too high")
                self.assertEqual(self.ctl(*words), "the *rate* was too high\n")
                self.assertIn("text/markdown", self.ctl(*words, "x", "--curl"))
                subprocess.run([CUTOUTCTL, *words, "-"], input="# a\n\nb\n", text=True, check=True,
                               env=self.environment_of(), stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
                self.assertEqual(self.ctl(*words), "# a\n\nb\n")
                self.assertIn("at most 16384 bytes", self.ctl(*words, "x" * 20000, status=1))
                self.ctl(*words, "")
                self.assertIn("has no note", self.ctl(*words, status=1))
        subprocess.run(self.ctl("note", run, "it's 'x'", "--curl"), shell=True, check=True,
                       env=self.environment_of(), timeout=PATIENCE_S)
        self.assertEqual(self.ctl("note", run), "it's 'x'\n")

    def test_purge_says_what_goes_and_asks(self):
        _, (run, _) = self.ended_sweep(epochs=2)
        kinds = lambda: {item["kind"] for item in json.loads(self.ctl("checkpoint", "list", run, "-o", "json"))["items"]}
        before = kinds()
        self.assertGreater(len(before), 1)
        self.assertIn("Nothing was removed", self.ctl("purge", "0", status=64))
        self.assertTrue(json.loads(self.ctl("purge", "0", "--json"))["dry_run"])
        self.assertIn("Nothing was removed", self.on_terminal(80, "purge", "0", typed="n\n", status=1))
        self.assertEqual(kinds(), before)
        self.assertIn("0 checkpoints", self.ctl("purge", "3650"))
        self.assertRegex(self.on_terminal(80, "purge", "0", typed="y\n"), "checkpoints? of .* runs? removed")
        self.assertEqual(kinds(), {"best"})
        self.assertIn("0 checkpoints", self.ctl("purge", "0", "--yes"))
        self.ctl("purge", "x", status=64)

    def test_submit_without_a_field_asks(self):
        n = len(self.ctl("list", "-q", "limit=500").split())
        said = self.ctl("submit", status=64)
        self.assertIn("ResNet-44 on shapes by the preset", said)
        self.assertIn("Nothing was started", said)
        self.assertIn("Nothing was started", self.on_terminal(80, "submit", typed="\n", status=1))
        self.assertEqual(len(self.ctl("list", "-q", "limit=500").split()), n)
        self.ctl("scheduler", "drain")  # it would train for hours
        said = self.on_terminal(80, "submit", typed="y\n")
        run = re.search(r"Run (\d+) is queued", said)[1]
        other = self.ctl("submit", "-q", "--yes").strip()
        self.ctl("cancel", run, other)
        self.ctl("scheduler", "resume")

    def test_scheduler_owners_and_backup(self):
        self.assertIn("The scheduler is running", self.ctl("scheduler"))
        self.assertIn("draining", self.ctl("scheduler", "drain"))
        run = self.submit("m=1", "epochs=1")
        self.assertIn("start", self.ctl("queue"))
        self.assertIn(run, self.ctl("queue"))
        self.assertIn("is running", self.ctl("scheduler", "resume"))
        self.ctl("wait", run)
        self.assertIn("of 2 workers", self.ctl("scheduler", "workers", "2"))
        self.ctl("scheduler", "workers", "1")
        row = next(csv.DictReader(io.StringIO(self.ctl("owners", "-o", "csv"))))
        self.assertGreater(float(row["core-h_day"]), 0)
        self.assertIn("/scheduler/drain", self.ctl("audit"))
        said = self.ctl("backup", "name=mine", "checkpoints=true")
        self.assertTrue(os.path.exists(said.split(":")[0]), said)
        self.assertIn("name", self.ctl("backup", "name=../x", status=1))

    def test_webhooks_and_links(self):
        said = self.ctl("webhook", "create", "name=lab", "url=https://chat.example/hook",
                        "events=run_ended,stalled", "template=slack")
        webhook = re.search(r"Webhook (\d+)", said)[1]
        self.assertIn("whsec_", said)
        self.assertRegex(self.ctl("webhook", "list"), rf"{webhook} +lab +run_ended,stalled +slack")
        self.assertNotIn("whsec_", self.ctl("webhook", "list", "-o", "json"))
        self.assertIn("on its way", self.ctl("webhook", "test", webhook))
        self.assertIn("test", self.ctl("webhook", "deliveries", webhook, "limit=5"))
        self.ctl("webhook", "delete", webhook)
        self.assertIn("There is no webhook", self.ctl("webhook", "test", webhook, status=1))
        sweep, _ = self.ended_sweep()
        url = self.ctl("link", "create", sweep, "expires_at=2030-01-31T12:00:00Z").splitlines()[0]
        self.assertIn(f"/sweeps/{sweep}#link=", url)
        self.assertIn("2030-01-31", self.ctl("link", "list", sweep))
        link = json.loads(self.ctl("link", "list", sweep, "-o", "json"))["items"][0]["id"]
        self.ctl("link", "delete", link)
        self.assertNotIn("2030-01-31", self.ctl("link", "list", sweep))


class Tokens(ClientTestCase):
    """One variable for both programs."""

    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        path = os.path.join(directory, "tokens")
        cls.token, line = make_token("anna", "read")
        cls.admin, of_root = make_token("root", "admin")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(f"{line} 2099-01-31T12:00:00Z\n{of_root}\n")
        return Daemon(directory, {"CUTOUTD_TOKENS_FILE": path}, curl_options=("-H", "Authorization: Bearer " + cls.token))

    def test_whose_token_it_is(self):
        self.assertEqual(self.daemon.get("/api/v1/token"),
                         {"owner": "anna", "scope": "read", "expires_at": "2099-01-31T12:00:00.000Z"})
        said = self.ctl("token", CUTOUTD_TOKEN=self.token)
        self.assertIn("CUTOUTD_TOKEN is anna's and may read, until 2099-01-31", said)
        self.assertIn("root's and may admin; it does not expire", self.ctl("token", CUTOUTCTL_TOKEN=self.admin))
        self.assertIn("CUTOUTD_TOKEN", self.ctl("token", status=1))
        self.assertIn("scope admin", self.ctl("audit", status=1, CUTOUTD_TOKEN=self.token))

    def test_both_programs_take_the_same_variable(self):
        self.assertIn("cutoutd.db", self.ctl("backup", CUTOUTD_TOKEN=self.admin))
        with tempfile.TemporaryDirectory() as directory:
            copied = subprocess.run([os.environ["CUTOUTD"], "backup", os.path.join(directory, "copy.db"), "--state-dir",
                                     self.daemon.state_dir], env=dict(self.environment_of(), CUTOUTD_TOKEN=self.admin),
                                    capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        self.assertEqual(copied.returncode, 0, copied.stderr)
