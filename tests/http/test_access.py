"""Tokens, scopes, whose run it is, and the ids of requests."""

import os
import re
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, TINY, Daemon, DaemonTestCase

RUN = dict(TINY, epochs=1)


def make_token(name, scope):
    """The token and its line, as the command prints them."""
    output = subprocess.run([os.environ["CUTOUTD"], "token", name, "--scope", scope],
                            capture_output=True, check=True, text=True, timeout=PATIENCE_S).stdout
    token, line = [row for row in output.splitlines() if not row.startswith("#")]
    return token, line


def bearer(token):
    return ("-H", "Authorization: Bearer " + token)


class Tokens(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        cls.tokens_file = os.path.join(directory, "tokens")
        cls.token = {}
        lines = ["# the lab"]
        for name, scope in (("rita", "read"), ("anna", "submit"), ("bert", "submit"),
                            ("root", "admin")):
            cls.token[name], line = make_token(name, scope)
            lines.append(line)
        cls.write_tokens("\n".join(lines))
        return Daemon(directory, {"CUTOUTD_TOKENS_FILE": cls.tokens_file})

    @classmethod
    def write_tokens(cls, text):
        with open(os.open(cls.tokens_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as file:
            file.write(text + "\n")

    def ask(self, name, path, *options, data=None):
        return self.daemon.curl(path, *bearer(self.token[name]), *options, data=data)

    def submit_as(self, name):
        response = self.ask(name, "/api/v1/runs", data=dict(RUN, epochs=1))
        self.assertEqual(response.status, 201, response.body)
        return response.json()["id"]

    def test_sweeps_belong_to_their_token(self):
        response = self.ask("anna", "/api/v1/sweeps", data={
            "base": {name: value for name, value in RUN.items() if name != "m"},
            "grid": {"m": [1, 2]}, "hold": True})
        self.assertEqual(response.status, 201, response.body)
        sweep = response.json()
        self.assertEqual(sweep["owner"], "anna")
        self.assertEqual(self.ask("bert", "/api/v1/runs/" + sweep["runs"][1]).json()["owner"],
                         "anna")
        path = f"/api/v1/sweeps/{sweep['id']}/cancel"
        self.assert_problem(self.ask("bert", path, "-X", "POST"), 403)
        self.assert_problem(self.ask("rita", "/api/v1/sweeps", data={}), 403)
        self.assertEqual(self.ask("anna", path, "-X", "POST").json()["succeeded"], 2)

    def test_notes_are_written_by_who_may_edit_the_run(self):
        path = f"/api/v1/runs/{self.submit_as('anna')}/note"
        self.assertEqual(self.ask("anna", path, "-X", "PUT", data=b"mine").status, 201)
        self.assertEqual(self.ask("rita", path).body, "mine")
        for name in ("bert", "rita"):
            self.assert_problem(self.ask(name, path, "-X", "PUT", data=b"x"), 403)
            self.assert_problem(self.ask(name, path, "-X", "DELETE"), 403)
        self.assertEqual(self.ask("root", path, "-X", "PUT", data=b"root's").status, 204)

    def test_nobody_without_a_token(self):
        response = self.daemon.curl("/api/v1/runs")
        self.assert_problem(response, 401)
        self.assertEqual(response.headers["www-authenticate"], 'Bearer realm="cutoutd"')

    def test_a_wrong_token_is_no_token(self):
        for header in ("Bearer nonsense", "Bearer ", "Basic YTpi", self.token["root"],
                       "Bearer " + self.token["root"][:-1], "Bearer " + "x" * 5000):
            with self.subTest(header=header[:20]):
                response = self.daemon.curl("/api/v1/runs", "-H", "Authorization: " + header)
                self.assert_problem(response, 401)
                self.assertTrue(response.headers["www-authenticate"].startswith("Bearer"))

    def test_health_is_free(self):
        for path in ("/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz"):
            self.assertEqual(self.daemon.curl(path).status, 200)

    def test_scopes_bound_what_a_token_may_do(self):
        self.assertEqual(self.ask("rita", "/api/v1/runs").status, 200)
        refused = self.assert_problem(self.ask("rita", "/api/v1/runs", data=RUN), 403)
        self.assertIn("scope submit", refused["detail"])
        self.assertIn("rita", refused["detail"])

    def test_runs_know_their_owner_and_obey_only_it_and_admins(self):
        run = f"/api/v1/runs/{self.submit_as('anna')}"
        self.assertEqual(self.ask("rita", run).json()["owner"], "anna")
        refused = self.assert_problem(self.ask("bert", run + "/cancel", "-X", "POST"), 403)
        self.assertIn("belongs to anna", refused["detail"])
        self.assert_problem(self.ask("bert", run + "/checkpoint", "-X", "POST"), 403)
        self.assert_problem(self.ask("rita", run + "/checkpoint", "-X", "POST"), 403)
        self.assertIn(self.ask("anna", run + "/checkpoint", "-X", "POST").status, (202, 409))
        self.assertIn(self.ask("anna", run + "/cancel", "-X", "POST").status, (200, 202, 409))
        run = f"/api/v1/runs/{self.submit_as('anna')}"
        self.assertIn(self.ask("root", run + "/cancel", "-X", "POST").status, (200, 202, 409))

    def test_a_list_is_acted_on_as_far_as_it_is_ones_own(self):
        runs = [self.ask(name, "/api/v1/runs", data=dict(RUN, epochs=1, hold=True)).json()["id"]
                for name in ("anna", "bert")]
        answer = self.ask("bert", "/api/v1/runs/bulk", data={"action": "delete", "ids": runs})
        self.assertEqual([item["status"] for item in answer.json()["items"]], [403, 204])
        self.assertIn(f"Run {runs[0]} belongs to anna", answer.json()["items"][0]["problem"]["detail"])
        answer = self.ask("root", "/api/v1/runs/bulk", data={"action": "cancel", "ids": runs})
        self.assertEqual([item["status"] for item in answer.json()["items"]], [200, 404])

    def test_another_ones_run_may_be_forked_and_the_fork_is_ones_own(self):
        source = self.submit_as("anna")
        self.daemon.curl_options = list(bearer(self.token["anna"]))
        try:
            self.daemon.wait_for_end(source)
        finally:
            self.daemon.curl_options = []
        response = self.ask("bert", f"/api/v1/runs/{source}/fork",
                            data={"from_epoch": "best", "overrides": {"epochs": 2}})
        self.assertEqual(response.status, 201, response.body)
        self.assertEqual(response.json()["owner"], "bert")

    def test_hangup_reads_the_file_again_and_a_bad_one_changes_nothing(self):
        with open(self.tokens_file, encoding="ascii") as file:
            before = file.read()
        self.addCleanup(self.hang_up, "token(s) in force", before)
        token, line = make_token("dora", "read")
        self.hang_up("stay as they were", before + "dora everything " + line.split()[2])
        self.assertEqual(self.daemon.curl("/api/v1/runs", *bearer(token)).status, 401)
        self.assertEqual(self.ask("rita", "/api/v1/runs").status, 200)
        self.hang_up("token(s) in force", before + line)
        self.assertEqual(self.daemon.curl("/api/v1/runs", *bearer(token)).status, 200)

    def hang_up(self, expected, text):
        self.write_tokens(text)
        self.daemon.hang_up(expected)

    def test_the_first_line_says_who_may_ask(self):
        self.daemon.wait_for_log("\\A[^\n]*: 4 tokens of " + re.escape(self.tokens_file))

    def test_the_log_never_shows_a_token(self):
        self.submit_as("anna")
        self.daemon.wait_for_log(r"POST /api/v1/runs 201 [0-9.]+ ms, owner anna, ")
        self.assertNotIn(self.token["anna"], self.daemon.log())


class Start(unittest.TestCase):
    def refusal(self, *flags, status=1, **environment):
        """What the daemon says when it will not start."""
        with tempfile.TemporaryDirectory() as directory:
            result = subprocess.run(
                [os.environ["CUTOUTD"], "serve", "--state-dir", os.path.join(directory, "state"),
                 *flags], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                env=dict(os.environ, **environment))
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stderr

    def test_credentials_that_cannot_be_read_do_not_open_it_to_everybody(self):
        loopback = ("--listen", "127.0.0.1:0")
        self.assertIn("cannot open the directory /nonexistent",
                      self.refusal(*loopback, status=2, CREDENTIALS_DIRECTORY="/nonexistent"))
        self.assertIn("tokens_file is empty",
                      self.refusal(*loopback, status=2, CUTOUTD_TOKENS_FILE=""))
        with tempfile.TemporaryDirectory() as directory:
            os.symlink("/nonexistent", os.path.join(directory, "tokens"))
            self.assertIn("/tokens: No such file",
                          self.refusal(*loopback, CREDENTIALS_DIRECTORY=directory))
            os.unlink(os.path.join(directory, "tokens"))
            os.mkdir(os.path.join(directory, "tokens"))
            self.assertIn("/tokens", self.refusal(*loopback, CREDENTIALS_DIRECTORY=directory))

    def test_check_config_says_all_of_it(self):
        result = subprocess.run(
            [os.environ["CUTOUTD"], "check-config", "--memory-limit", "800%", "--state-dir", "lab",
             "--tls-cert", "/nonexistent/cert", "--tls-key", "/nonexistent/key", "--listen",
             "0.0.0.0:80"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, 2)
        for expected in ("memory_limit is '800%'", "state_dir is 'lab'", "look at /nonexistent/cert",
                         "look at /nonexistent/key", "there are no access tokens"):
            self.assertIn(expected, result.stderr)

    def test_off_loopback_only_with_tokens(self):
        self.assertIn("tokens_file", self.refusal("--listen", "0.0.0.0:0"))

    def test_tokens_that_others_may_read_are_refused(self):
        with tempfile.NamedTemporaryFile() as file:
            os.chmod(file.name, 0o644)
            self.assertIn("chmod o=", self.refusal("--listen", "127.0.0.1:0", "--tokens-file",
                                                   file.name))

    def test_the_command_refuses_odd_names_and_scopes(self):
        for words in ((), ("an na",), ("anna", "--scope", "root"), ("anna", "bert"), ("--x",), ("list", "anna"),
                      ("list", "--scope", "read"), ("revoke", "anna", "--days", "3"), ("list", "--config", "/nowhere")):
            result = subprocess.run([os.environ["CUTOUTD"], "token", *words], capture_output=True,
                                    timeout=PATIENCE_S, check=False)
            self.assertEqual(result.returncode, 2, words)


class Credential(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        os.mkdir(os.path.join(directory, "credentials"))
        cls.token, line = make_token("anna", "read")
        path = os.path.join(directory, "credentials", "tokens")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o400), "w", encoding="ascii") as file:
            file.write(line + "\n")
        return Daemon(directory, {"CREDENTIALS_DIRECTORY": os.path.dirname(path)})

    def test_systemds_credential_is_the_tokens_file(self):
        self.assertEqual(self.daemon.curl("/api/v1/runs").status, 401)
        self.assertEqual(self.daemon.curl("/api/v1/runs", *bearer(self.token)).status, 200)


class RequestId(DaemonTestCase):
    def test_the_first_line_says_who_may_ask(self):
        self.daemon.wait_for_log(r"\A[^\n]*open to everybody on this machine")

    def test_a_sane_one_comes_back_and_is_in_problems_and_in_the_log(self):
        response = self.daemon.curl("/api/v1/nothing", "-H", "X-Request-Id: a.b_C-9", "-X", "POST",
                                    malformed=True)
        self.assertEqual(response.headers["x-request-id"], "a.b_C-9")
        self.assertEqual(response.json()["request_id"], "a.b_C-9")
        self.daemon.wait_for_log(r"request a\.b_C-9")

    def test_others_are_replaced(self):
        seen = set()
        for wanted in ("", "x" * 65, "a b", "a\tb", "\xe9", "a;b"):
            response = self.daemon.curl("/healthz", "-H", "X-Request-Id: " + wanted)
            self.assertRegex(response.headers["x-request-id"], re.compile(r"^[0-9a-f]{24}$"))
            seen.add(response.headers["x-request-id"])
        self.assertEqual(len(seen), 6)

    def test_early_refusals_have_one_too(self):
        answer = self.daemon.raw(b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                                 b"Content-Length: 3\r\nX-Request-Id: early\r\n\r\n").decode()
        self.assertIn("400 Bad Request", answer)
        self.assertIn("\r\nX-Request-Id: early\r\n", answer)
        self.assertIn('"request_id":"early"', answer)

    def test_reads_are_logged_at_debug_only(self):
        self.daemon.curl("/healthz", "-H", "X-Request-Id: quiet-one")
        self.assertNotIn("quiet-one", self.daemon.log())


if __name__ == "__main__":
    unittest.main()
