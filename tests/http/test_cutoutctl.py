"""cutoutctl as people use it, against a real daemon. CUTOUTCTL names the binary."""

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import tempfile
import termios
import unittest

from daemon_process import PATIENCE_S, TINY, DaemonTestCase, tls_daemon, unix_daemon

CUTOUTCTL = os.environ["CUTOUTCTL"]
COMPLETION = os.path.join(os.path.dirname(__file__), "../../tools/cutoutctl/completion.bash")
BASE = [f"{name}={value}" for name, value in TINY.items() if name not in ("m", "epochs")]


class ClientTestCase(DaemonTestCase):
    def environment_of(self, **more):
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("CUTOUTD_TOKEN", "CUTOUTCTL_TOKEN", "CUTOUTCTL_CACERT", "CURL_CA_BUNDLE")}
        return dict(environment, CUTOUTCTL_SERVER=self.daemon.address, **more)

    def ctl(self, *arguments, status=0, **environment):
        """Standard output, or standard error where another exit status than 0 is expected."""
        result = subprocess.run([CUTOUTCTL, *arguments], capture_output=True, text=True, check=False,
                                env=self.environment_of(**environment), timeout=PATIENCE_S)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout if status == 0 else result.stderr

    def on_terminal(self, columns, *arguments, typed="", status=0):
        """What the command writes to a terminal of so many columns, on which this is typed."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([CUTOUTCTL, *arguments], env=self.environment_of(TZ="UTC"),
                                   stdin=follower if typed else subprocess.DEVNULL, stdout=follower, stderr=follower)
        os.close(follower)
        os.write(leader, typed.encode())
        output = b""
        try:
            while piece := os.read(leader, 65536):
                output += piece
        except OSError:
            pass  # the other end is closed
        os.close(leader)
        self.assertEqual(process.wait(PATIENCE_S), status, output)
        return output.decode()

    def sh(self, line, **environment):
        result = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False,
                                env=self.environment_of(**environment), timeout=PATIENCE_S)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def submit(self, *arguments):
        return self.ctl("submit", "-q", *BASE, *arguments).strip()


class Client(ClientTestCase):
    def test_values_arrive_as_what_they_look_like(self):
        run = self.submit("m=2", "epochs=1", "lr=1e-3", "flip=true", "name=12", "hold=true",
                          "label=team:vision", "label=of:a:b", "seed=9007199254740991",
                          'lr_schedule=[{"epoch":80,"lr":0.0001}]')
        stored = self.daemon.get("/api/v1/runs/" + run)
        self.assertEqual(stored["name"], "12")
        self.assertEqual(stored["labels"], {"team": "vision", "of": "a:b"})
        self.assertEqual((stored["config"]["lr"], stored["config"]["flip"]), (0.001, True))
        self.assertEqual(stored["config"]["seed"], 9007199254740991)
        self.assertEqual(stored["config"]["lr_schedule"], [{"epoch": 80, "lr": 0.0001}])
        for shown in (self.ctl("show", run), self.on_terminal(80, "show", run, "-o", "json")):
            self.assertIn("9007199254740991", shown)
        later = self.submit("m=1", "epochs=1", "after=" + run)
        self.assertEqual(self.daemon.get("/api/v1/runs/" + later)["after"], [run])
        self.assertIn("It comes after run " + run, self.ctl("queue"))

    def test_all_mistakes_are_said_as_sentences(self):
        said = self.ctl("submit", "depth=9", "mm=1", status=1)
        self.assertIn("depth: depth must be", said)
        self.assertIn('mm: There is no field "mm". Did you mean "m"?', said)
        self.assertIn("grid.m.1: ", self.ctl("sweep", "m=1,0", status=1))
        for wrong in (["submit", "m"], ["submit", "m=1,2"], ["submit", "m=1", "m=2"], ["show"],
                      ["show", "x"], ["dance"], ["list", "--dance"], ["sweep", "m=1,"]):
            with self.subTest(wrong=wrong):
                self.ctl(*wrong, status=64)

    def test_sweep_is_waited_for_listed_and_drawn(self):
        runs = self.ctl("sweep", "-q", *BASE, "m=1,2", "seed=1,2", "epochs=2", "name=a, b").split()
        self.assertEqual(len(runs), 4)
        self.assertEqual(self.ctl("wait", *runs), "")
        self.assertEqual(self.daemon.get("/api/v1/runs/" + runs[0])["name"], "a, b m=1 seed=1")
        listed = self.ctl("list", "-q", "m=2", "state=succeeded").split()
        self.assertLessEqual(set(runs[2:]), set(listed))
        self.assertTrue(set(runs[:2]).isdisjoint(listed))
        watched = self.ctl("watch", *runs).splitlines()
        self.assertEqual([line.split()[0] for line in watched], runs)
        self.assertIn("100%", watched[0])
        curve = self.ctl("curve", *runs[:2])
        best = [self.daemon.get("/api/v1/runs/" + run)["best"]["val_error"] for run in runs[:2]]
        self.assertIn(" best", curve)
        for error in best:
            self.assertIn(f"{error:.4f}", curve)
        self.assertIn("x " + runs[1], curve)

    def test_errors_of_a_curve_stand_under_names_in_any_letters(self):
        runs = [self.submit("epochs=1", "name=" + name)
                for name in ("Größe", "größer als äöü", "größer, als daß die Überschrift hineinpaßte")]
        self.ctl("wait", *runs)
        table = self.ctl("curve", *runs).splitlines()[2:5]
        self.assertEqual({len(line) for line in table}, {5 + 3 * (2 + 24)}, table)
        self.assertIn(f"{runs[1]}  größer als äöü  ", table[0])
        self.assertTrue(table[0].endswith("…"), table)

    def test_wait_tells_success_cancellation_failure_and_trouble_apart(self):
        good = self.submit("m=1", "epochs=1")
        self.ctl("wait", good)
        first = self.submit("m=1", "epochs=1", "hold=true")
        then = self.submit("m=1", "epochs=1", "after=" + first)
        with subprocess.Popen([CUTOUTCTL, "wait", good, first], env=self.environment_of()) as wait:
            self.ctl("cancel", first)
            self.assertEqual(wait.wait(PATIENCE_S), 2)
        self.assertEqual(self.daemon.get("/api/v1/runs/" + then)["state"], "failed")
        self.ctl("wait", good, first, then, status=1)
        self.assertIn("There is no run 9999", self.ctl("wait", good, "9999", status=3))
        self.assertIn("does not answer",
                      self.ctl("wait", good, "--server", "http://127.0.0.1:1", status=3))

    def test_actions_on_one_and_many(self):
        runs = [self.submit("m=1", "epochs=1", "hold=true") for _ in range(2)]
        self.assertIn(f"Run {runs[0]} is queued", self.ctl("release", runs[0]))
        said = self.ctl("cancel", runs[1], "9999", status=1)
        self.assertIn("There is no run 9999", said)
        self.assertIn("What can be done now: requeue", self.ctl("cancel", runs[1], status=1))
        self.ctl("delete", runs[1])
        self.assertIn("There is no run", self.ctl("show", runs[1], status=1))

    def test_curl_lines_do_the_same(self):
        line = self.ctl("submit", "--curl", *BASE, "m=1", "epochs=1", "hold=true",
                        "name=it's \"$HOME\" `x`")
        run = self.sh(line)
        self.assertEqual(run["name"], "it's \"$HOME\" `x`")
        line = self.ctl("list", "--curl", "state=held,queued", "label=a b:c&d=e", "m=1")
        self.assertEqual(self.sh(line)["items"], [])
        other = self.submit("m=1", "epochs=1", "hold=true")
        line = self.ctl("cancel", "--curl", run["id"], other)
        self.assertEqual(self.sh(line)["succeeded"], 2)
        self.assertEqual(self.sh(self.ctl("requeue", "--curl", other))["id"], other)
        self.assertEqual(self.sh(self.ctl("show", "--curl", other))["id"], other)
        self.assertEqual(self.ctl("delete", "--curl", run["id"]).split()[-3:-1], ["-X", "DELETE"])

    def test_token_is_sent_and_never_shown(self):
        with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
            file.write("secret\n")
            file.flush()
            for line, name in ((self.ctl("list", "--curl", CUTOUTD_TOKEN="secret"), "CUTOUTD_TOKEN"),
                               (self.ctl("list", "--curl", "--token-file", file.name), "CUTOUTD_TOKEN"),
                               (self.ctl("list", "--curl", CUTOUTCTL_TOKEN="secret"), "CUTOUTCTL_TOKEN")):
                self.assertNotIn("secret", line)
                self.assertIn(f'"Authorization: Bearer ${name}"', line)

    def test_a_proxy_sees_nothing_of_a_daemon_on_this_machine(self):
        proxies = {name: "http://127.0.0.1:1" for name in ("http_proxy", "all_proxy", "https_proxy")}
        self.assertEqual(self.ctl("list", "-q", "name=nobody", **proxies), "")
        line = self.ctl("show", "--curl", "1", **proxies)
        self.assertIn("--noproxy '*'", line)
        said = self.ctl("list", "--server", "http://lab.example", status=3, **proxies)
        self.assertIn("does not answer", said)

    def test_long_names_hide_nothing_in_narrow_terminals(self):
        run = self.submit("m=1", "epochs=1", "name=" + "äb" * 25)
        self.ctl("wait", run)
        error = self.daemon.get("/api/v1/runs/" + run)["last"]["val_error"]
        for columns in (40, 60, 80, 120):
            with self.subTest(columns):
                line = self.on_terminal(columns, "watch", run).split("\n")[0]
                line = line.replace("\x1b[K", "").strip("\r")
                self.assertLess(len(line), columns)
                self.assertIn("100%", line)
                self.assertIn(f"error {error:.4f}", line)
        shown = self.on_terminal(80, "show", "--json", run)
        self.assertGreater(shown.count("\n"), 20)
        self.assertEqual(json.loads(shown)["id"], run)
        self.assertEqual(self.ctl("show", "--json", run).count("\n"), 1)

    def complete(self, *words):
        """As readline calls it, at the end of the line."""
        script = ('source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; _cutoutctl; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        line = " ".join([CUTOUTCTL, *words])
        result = subprocess.run(["bash", "-c", script, "bash", COMPLETION, line],
                                capture_output=True, text=True, check=True,
                                env=self.environment_of(), timeout=PATIENCE_S)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_completion_knows_which_runs_a_command_is_for(self):
        held = self.submit("m=1", "epochs=1", "hold=true")
        self.assertIn(held, self.complete("release", ""))
        self.assertIn(held, self.complete("--server", self.daemon.url(""), "release", ""))
        self.ctl("cancel", held)
        self.assertNotIn(held, self.complete("release", ""))
        self.assertIn(held, self.complete("requeue", held[0]))
        self.assertEqual(self.complete("--server", "http://127.0.0.1:1", "show", ""), [])


class UnixSocket(ClientTestCase):
    """A daemon that is not on the network."""

    @classmethod
    def make_daemon(cls):
        return unix_daemon()

    def test_answers_and_streams_come_through_it(self):
        runs = self.ctl("sweep", "-q", *BASE, "m=1,2", "epochs=1").split()
        self.assertEqual(self.ctl("watch", *runs).count("succeeded"), 2)
        self.assertEqual(self.sh(self.ctl("show", "--curl", runs[0]))["state"], "succeeded")

    def test_one_that_is_not_there_is_named(self):
        self.assertIn("/nowhere/socket does not answer",
                      self.ctl("list", "--server", "unix:/nowhere/socket", status=3))


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class Tls(ClientTestCase):
    """A daemon with a certificate that nobody but the test trusts."""

    @classmethod
    def make_daemon(cls):
        return tls_daemon()

    @property
    def certificate(self):
        return self.daemon.environment["CUTOUTD_TLS_CERT"]

    def test_answers_and_streams_come_by_https(self):
        self.assertTrue(self.daemon.address.startswith("https://"))
        run = self.ctl("submit", "-q", "--cacert", self.certificate, *BASE, "epochs=1").strip()
        self.assertIn("succeeded", self.ctl("watch", run, CUTOUTCTL_CACERT=self.certificate))
        line = self.ctl("show", "--curl", run, CUTOUTCTL_CACERT=self.certificate)
        self.assertEqual(self.sh(line)["state"], "succeeded")

    def test_unknown_certificate_is_not_trusted(self):
        for arguments in (["list"], ["list", "--cacert", "/dev/null"]):
            said = self.ctl(*arguments, status=3)
            self.assertIn(self.daemon.address, said)
            self.assertIn("certificate", said)
        self.assertIn("--cacert FILE", self.ctl("list", status=3))
        self.assertNotIn("sking again", self.ctl("submit", *BASE, "m=1", status=3))


if __name__ == "__main__":
    unittest.main()
