"""What comes from where: browsers' pages, proxies, and heads that could be read in two ways."""

import os
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, TINY, Daemon, DaemonTestCase, unix_daemon
from test_access import bearer, make_token

RUN = dict(TINY, epochs=1, hold=True)


def links_of(document):
    """All that stands in members `links` and `instance`, however deep."""
    if isinstance(document, list):
        document = dict(enumerate(document))
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "links":
                yield from value.values()
            elif name == "instance":
                yield value
            else:
                yield from links_of(value)


class Doors(DaemonTestCase):
    environment = {"CUTOUTD_ALLOWED_HOSTS": "lab.example",
                   "CUTOUTD_TRUSTED_PROXIES": "127.0.0.0/8"}

    def test_pages_of_other_origins_change_nothing(self):
        for header in ("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"):
            for path, body in (("/api/v1/runs", RUN), ("/api/v1/scheduler/drain", {})):
                with self.subTest(header=header, path=path):
                    self.assert_problem(self.daemon.curl(path, "-H", header, data=body), 403)
            self.assertEqual(self.daemon.curl("/api/v1/runs", "-H", header).status, 200)
        self.assertEqual(self.daemon.get("/api/v1/runs")["items"], [])
        before = self.daemon.get("/api/v1/scheduler")
        self.daemon.curl("/api/v1/scheduler/drain", "-H", "Origin: http://evil.example", data={})
        self.assertEqual(self.daemon.get("/api/v1/scheduler"), before)
        own = "Origin: http://" + self.daemon.address
        self.assertEqual(self.daemon.curl("/api/v1/runs?dry_run=true", "-H", own, data=RUN).status, 200)
        self.assertEqual(self.daemon.curl("/api/v1/runs?dry_run=true", "-H",
                                          "Origin: https://lab.example", data=RUN).status, 200)

    def test_only_its_own_names_are_served(self):
        for host, status in (("rebind.attacker.example", 403), ("10.0.0.1", 403), ("localhost", 200),
                             ("lab.example:80", 200), ("a.localhost", 200)):
            with self.subTest(host):
                self.assertEqual(self.daemon.curl("/api/v1/runs", "-H", "Host: " + host).status, status)
        answer = self.daemon.raw(b"GET http://rebind.example/healthz HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Connection: close\r\n\r\n")
        self.assertIn(b" 403 ", answer.split(b"\r\n")[0])

    def test_bodies_are_json(self):
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json;charset=latin1"):
            with self.subTest(kind):
                self.assert_problem(self.daemon.curl("/api/v1/runs?dry_run=true", "-H",
                                                     "Content-Type: " + kind, data=RUN), 415)
        form = ("-H", "Content-Type: application/x-www-form-urlencoded")
        self.assertEqual(self.daemon.curl("/api/v1/runs?dry_run=true", *form, data=RUN).status, 200)
        self.assert_problem(self.daemon.curl("/api/v1/runs?dry_run=true", *form, "-H",
                                             "Sec-Fetch-Mode: no-cors", data=RUN), 415)

    def test_absolute_targets_are_read(self):
        for target in (b"http://localhost/healthz", b"HTTP://localhost:8080/healthz"):
            answer = self.daemon.raw(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n"
                                     b"Connection: close\r\n\r\n")
            self.assertIn(b" 200 ", answer.split(b"\r\n")[0])

    def test_a_trusted_proxys_prefix_is_in_locations_and_links(self):
        prefix = ("-H", "X-Forwarded-Prefix: /lab/cutoutd/")
        response = self.daemon.curl("/api/v1/runs", *prefix, data=RUN)
        run = response.json()["id"]
        self.assertEqual(response.headers["location"], "/lab/cutoutd/api/v1/runs/" + run)
        self.daemon.submit(epochs=1, hold=True)
        link = self.daemon.curl("/api/v1/runs?limit=1", *prefix).headers["link"]
        self.assertTrue(link.startswith("</lab/cutoutd/api/v1/runs?"), link)
        snapshot = self.daemon.follow(f"/api/v1/runs/{run}/events", *prefix, until=lambda _: True)[0]
        sweep = {"base": TINY, "grid": {"seed": [1, 2]}, "hold": True}
        documents = [response.json(), snapshot["data"],
                     self.daemon.curl("/api/v1/sweeps", *prefix, data=sweep).json()]
        for path in ("/runs/" + run, "/runs", "/sweeps", "/sweeps/1"):
            documents.append(self.daemon.curl("/api/v1" + path, *prefix).json())
        documents.append(self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST", *prefix).json())
        documents.append(self.daemon.curl("/api/v1/sweeps/1/cancel", "-X", "POST", *prefix).json())
        for document in documents:
            links = list(links_of(document))
            self.assertTrue(links, document)
            for path in links:
                self.assertTrue(path.startswith("/lab/cutoutd/api/v1/"), path)
        page = self.daemon.curl("/", "-H", "Accept: text/html", *prefix).body
        self.assertIn('<meta name="prefix" content="/lab/cutoutd">', page)
        self.assertIn('src="/lab/cutoutd/assets/', page)
        for wrong in ("//evil.example", "evil", "/a/../b", "/a b", "/" + "x" * 200):
            with self.subTest(wrong):
                self.assert_problem(self.daemon.curl("/api/v1/runs", "-H",
                                                     "X-Forwarded-Prefix: " + wrong), 400)
        self.daemon.curl("/api/v1/sweeps/1", "-X", "DELETE")
        for run in self.daemon.get("/api/v1/runs")["items"]:
            self.daemon.curl("/api/v1/runs/" + run["id"], "-X", "DELETE")

    def test_problems_name_the_path_that_was_asked_for(self):
        prefix = ("-H", "X-Forwarded-Prefix: /lab")
        bulk = {"action": "hold", "ids": ["999999"]}
        for status, path, data in ((404, "/api/v1/runs/999999", None), (404, "/api/v1/nothing", None),
                                   (422, "/api/v1/runs", {"depth": 7}), (400, "/api/v1/runs", b"{"),
                                   (413, "/api/v1/runs", b"x" * (1 << 17)),
                                   (405, "/api/v1/runs/1/cancel", None)):
            with self.subTest(path=path, status=status):
                response = self.daemon.curl(path, *prefix, data=data, malformed=status in (404, 405))
                self.assertEqual(self.assert_problem(response, status)["instance"], "/lab" + path)
        items = self.daemon.curl("/api/v1/runs/bulk", *prefix, data=bulk).json()["items"]
        self.assertEqual(items[0]["problem"]["instance"], "/lab/api/v1/runs/bulk")

    def test_a_stored_answer_has_the_prefix_of_who_asks_again(self):
        run = self.daemon.submit(epochs=1, hold=True, name="/a/api/v1/runs")
        sweep = {"base": TINY, "grid": {"seed": [1]}, "hold": True}
        posts = [("/api/v1/runs", RUN), ("/api/v1/sweeps", sweep), (f"/api/v1/runs/{run}/cancel", {}),
                 ("/api/v1/runs/bulk", {"action": "edit", "priority": 1, "ids": [run, "999999"]})]
        for path, data in posts:
            answers = []
            for prefix in ("/a", "/b/c", "", "/a"):
                options = ["-H", "Idempotency-Key: of" + path.replace("/", "-")]
                options += ["-H", "X-Forwarded-Prefix: " + prefix] if prefix else []
                response = self.daemon.curl(path, *options, data=data)
                self.assertEqual(response.headers.get("idempotency-replayed") == "true", len(answers) > 0)
                links = list(links_of(response.json()))
                self.assertTrue(links, response.body)
                for link in links + [response.headers.get("location", prefix + "/api/v1/")]:
                    self.assertTrue(link.startswith(prefix + "/api/v1/"), (prefix, link))
                answers.append(response.body)
            self.assertEqual(answers[0], answers[3])
            self.assertNotIn("u0001", "".join(map(str, answers)))
        for made in self.daemon.get("/api/v1/sweeps")["items"]:
            self.daemon.curl("/api/v1/sweeps/" + made["id"], "-X", "DELETE")
        for run in self.daemon.get("/api/v1/runs")["items"]:
            self.daemon.curl("/api/v1/runs/" + run["id"], "-X", "DELETE")

    def test_strangers_have_no_prefix(self):
        daemon = Daemon(tempfile.mkdtemp(prefix="cutoutd-http-"))
        self.addCleanup(self.dispose, daemon)
        daemon.start()
        response = daemon.curl("/api/v1/runs", "-H", "X-Forwarded-Prefix: /lab", data=RUN)
        self.assertTrue(response.headers["location"].startswith("/api/"))

    def test_heads_that_two_could_read_differently_are_refused(self):
        line = b"GET /healthz HTTP/1.1\r\n"
        host = b"Host: localhost\r\n"
        heads = [line + host + rest for rest in (
            b"Content-Len: 5\r\n gth\r\n", b"Transfer-Enc: chunked\r\n\toding\r\nX-A: b\r\n",
            b"X-A: b\r\n \r\n", b"X-A: b\r\n c\r\nX-B: d\r\n", b"X-A: b\0c\r\n",
            b"X-A: b\0c\r\nX-B: d\r\n", b"X-A: b\0\r\nX-B: d\r\n",
            b"Authorization: Bearer a\0b\r\n", b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
            b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n",
            b"Content-Type: application/json\r\ncontent-type: text/plain\r\n")]
        heads += [line + b" Host: localhost\r\n"]
        for head in heads:
            with self.subTest(head):
                answer = self.daemon.raw(head + b"Connection: close\r\n\r\n")
                self.assertIn(b" 400 ", answer.split(b"\r\n")[0])
        # Debian 13's library (1.0.1) closes this connection itself, without a word.
        answer = self.daemon.raw(b"GET /healthz\0x HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
        self.assertRegex(answer.split(b"\r\n")[0], rb"^$|^HTTP/1.1 400 ")
        for rest in (b"X-A:b\r\nX-B: \t c d \r\nX-C:\r\nCookie: a=b; c=d\r\n", b""):
            answer = self.daemon.raw(line + host + rest + b"Connection: close\r\n\r\n")
            self.assertIn(b" 200 ", answer.split(b"\r\n")[0])

    def test_only_plain_text_comes_in(self):
        for path in ("/api/v1/figures/validation-error.svg?title=a%EF%BF%BEb", "/api/v1/a%C2%9Bb",
                     "/api/v1/runs?name=%E2%80%AE", "/api/v1/runs?label=a:%C2%85"):
            with self.subTest(path):
                self.assertEqual(self.daemon.curl(path, malformed=True).status, 400)
        answer = self.daemon.raw(b"G\x1b[31mT /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Connection: close\r\n\r\n")
        self.assertNotIn(b"\x1b", answer)
        self.assertNotIn("\x1b", self.daemon.log())

    def test_arguments_are_bounded(self):
        query = "&".join(["label=a:b"] * 17)
        self.assertEqual(self.daemon.curl("/api/v1/runs?" + query, malformed=True).status, 400)


class Path(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        return unix_daemon()

    def test_a_socket_of_this_machine_has_no_host_to_check(self):
        response = self.daemon.curl("/api/v1/runs", "-H", "Host: anything.example")
        self.assertEqual(response.status, 200)
        self.assert_problem(self.daemon.curl("/api/v1/runs", "-H", "Origin: http://evil.example",
                                             data=RUN), 403)


class Revoked(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        cls.tokens_file = os.path.join(directory, "tokens")
        cls.token, cls.line = {}, {}
        for name, scope in (("anna", "submit"), ("bert", "submit"), ("rita", "read")):
            cls.token[name], cls.line[name] = make_token(name, scope)
        cls.write_tokens(cls.line.values())
        return Daemon(directory, {"CUTOUTD_TOKENS_FILE": cls.tokens_file})

    @classmethod
    def write_tokens(cls, lines):
        with open(os.open(cls.tokens_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def stream(self, name):
        process = subprocess.Popen(["curl", "-sSN", "--max-time", str(PATIENCE_S),
                                    *bearer(self.token[name]), self.daemon.url("/api/v1/events")],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, PATIENCE_S)
        self.addCleanup(process.kill)
        while b"snapshot" not in (line := process.stdout.readline()):
            self.assertTrue(line, "the stream ended")
        return process

    def test_streams_end_with_their_tokens(self):
        removed, lowered, kept = (self.stream(name) for name in ("anna", "bert", "rita"))
        self.write_tokens((self.line["bert"].replace("submit", "read"), self.line["rita"]))
        self.daemon.hang_up("2 open answer(s) of others ended")
        removed.wait(PATIENCE_S)
        lowered.wait(PATIENCE_S)
        self.assertIsNone(kept.poll())
        self.write_tokens(self.line.values())
        self.daemon.hang_up("0 open answer(s) of others ended")
        self.assertIsNone(kept.poll())


if __name__ == "__main__":
    unittest.main()
