"""Bad requests of every kind: each is answered in words, and the daemon stays well."""

import json
import os
import socket
import tempfile
import time
import unittest

from daemon_process import PATIENCE_S, SLOW_BUILD, TINY, Daemon, DaemonTestCase

BODY_LIMIT = 64 * 1024
HEAD_PATIENCE_S = 10  # less than the daemon's own for a head


class Fields(DaemonTestCase):
    def refuse(self, status=422, **fields):
        return self.assert_problem(self.daemon.curl("/api/v1/runs", data=fields), status)

    def test_all_errors_come_at_once(self):
        problem = self.refuse(m=0, cutout_sise=12, epochs="many", depth=42, dataset="mnist")
        self.assertEqual({error["pointer"] for error in problem["errors"]},
                         {"/m", "/cutout_sise", "/epochs", "/depth", "/dataset"})
        detail = {error["pointer"]: error["detail"] for error in problem["errors"]}
        self.assertIn('"cutout_size"', detail["/cutout_sise"])
        self.assertIn("1 and 1024", detail["/m"])
        self.assertIn("38 and 44", detail["/depth"])
        self.assertIn("shapes", detail["/dataset"])
        self.assertEqual(self.daemon.get("/api/v1/runs")["items"], [])

    def test_nothing_but_a_json_object_is_a_run(self):
        for body in (b"", b"[]", b"null", b"{", b'{"m":8,}', b'{"m":08}', b'{"m":8}x',
                     b'{"m":8,"m":9}', b'{"name":"\xff"}', b'{"name":"\\u0000"}', b"\x00",
                     b"m=8&cutout_size=12", b"[" * 30000):
            with self.subTest(body=body[:20]):
                self.assert_problem(self.daemon.curl("/api/v1/runs", data=body), 400)

    def test_memory_over_the_limit_is_refused_with_the_estimate(self):
        for fields in ({"m": 1024}, {"batch_size": 65536, "drop_last": False},
                       {"batch_size": 65536}):
            with self.subTest(fields):
                problem = self.refuse(dataset="shapes", **fields)
                self.assertEqual(problem["memory"]["limit_bytes"], 4 * 2**30)
                self.assertGreater(problem["memory"]["needed_bytes"], 4 * 2**30)
                self.assertTrue(any("GiB" in error["detail"] for error in problem["errors"]))

    def test_texts_come_back_as_they_were(self):
        name = 'Ünïcode "quoted" \\ back/slash <b> \u2028 \U0001f600'
        response = self.daemon.curl("/api/v1/runs", data=dict(TINY, name=name, epochs=1))
        self.assertEqual(response.json()["name"], name)
        listed = self.daemon.get("/api/v1/runs")["items"]
        self.assertIn(name, [run["name"] for run in listed])


class Paths(DaemonTestCase):
    def test_sentences_with_long_names_stay_whole(self):
        for letter in "\u00e4", "\u65e5", "\U0001f642":
            for name in (letter * 30, "a" + letter * 30, "aa" + letter * 30):
                for path, body, end in (("/api/v1/runs", {name: 1}, '". GET /api/v1/presets shows all fields.'),
                                        ("/api/v1/sweeps", {"grid": {name: [1]}}, '".'),
                                        ("/api/v1/sweeps", {"grid": {}, name: 1}, '".'),
                                        ("/api/v1/runs", {"dataset": name}, '...".')):
                    with self.subTest(path=path, name=name):
                        detail = self.assert_problem(self.daemon.curl(path, data=body), 422)["errors"][0]["detail"]
                        self.assertTrue(detail.endswith(end) and letter in detail, detail)
                twice = json.dumps({name: 1})[:-1] + "," + json.dumps({name: 2})[1:]
                problem = self.assert_problem(self.daemon.curl("/api/v1/runs", data=twice.encode()), 400)
                self.assertIn('" is given twice', json.dumps(problem, ensure_ascii=False).replace('\\"', '"'))

    def test_unknown_paths_and_runs_are_not_found(self):
        for path in ("/api/v1/runs/1", "/api/v1/runs/abc", "/api/v1/runs/-1", "/api/v1/nothing",
                     "/api/v1/runs/99999999999999999999/epochs", "/api/v1/presets/none",
                     "/api/v1/runs/1/events", "/../etc/passwd"):
            with self.subTest(path):
                self.assert_problem(self.daemon.curl(path, "--path-as-is", malformed=True), 404)

    def test_wrong_methods_are_told_the_right_ones(self):
        response = self.daemon.curl("/api/v1/runs", "-X", "DELETE", malformed=True)
        self.assert_problem(response, 405)
        self.assertEqual(response.headers["allow"], "POST, GET, HEAD")
        response = self.daemon.curl("/api/v1/presets", "-X", "POST", malformed=True)
        self.assert_problem(response, 405)
        self.assertEqual(response.headers["allow"], "GET, HEAD")

    def test_arguments_are_checked(self):
        for query in ("limit=x", "limit=501", "state=done", "m=-1", "cursor=abc", "colour=red"):
            with self.subTest(query):
                problem = self.assert_problem(self.daemon.curl("/api/v1/runs?" + query), 400)
                self.assertEqual(problem["errors"][0]["parameter"], query.partition("=")[0])

    def test_urls_that_cannot_be_meant(self):
        for path in ("/healthz%00", "/api/v1/runs?state=%00", "/%zz", "/%2", "/%ff",
                     "/api/v1/runs%2F1", "/api/v1/runs?m=%0a"):
            with self.subTest(path):
                response = self.daemon.curl(path, "--path-as-is", malformed=True)
                self.assertEqual(response.status, 400)
                self.assertEqual(response.type, "application/problem+json")
        self.assertEqual(self.daemon.curl("/" + "a" * 3000, malformed=True).status, 414)
        self.assertEqual(self.daemon.curl("/api/v1/%72uns").status, 200)


class Bodies(DaemonTestCase):
    def padded(self, size):
        text = json.dumps(dict(TINY, epochs=1)).encode()
        return text + b" " * (size - len(text))

    def test_largest_body_fits_and_one_byte_more_does_not(self):
        self.assertEqual(self.daemon.curl("/api/v1/runs", data=self.padded(BODY_LIMIT)).status, 201)
        for size in (BODY_LIMIT + 1, 10 * BODY_LIMIT):
            for option in ((), ("-H", "Transfer-Encoding: chunked"),
                           ("-H", "Expect: 100-continue")):
                with self.subTest(size=size, option=option):
                    self.assert_problem(
                        self.daemon.curl("/api/v1/runs", *option, data=self.padded(size)), 413)

    def test_announced_giant_is_refused_before_it_is_sent(self):
        answer = self.daemon.raw(b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n"
                                 b"Content-Length: 99999999999\r\n\r\n")
        self.assertIn(b"413", answer.split(b"\r\n")[0])


class Memory(DaemonTestCase):
    """What the library gives up on halfway leaves nothing behind."""

    def resident_bytes(self):
        with open(f"/proc/{self.daemon.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def repeat(self, request, times):
        """Sends it over as many connections; returns when nearly all of them are gone again."""
        for _ in range(times):
            try:
                self.daemon.raw(request, answer=False)
            except ConnectionError:
                pass  # it closed while more was being sent: fine
        deadline = time.monotonic() + PATIENCE_S
        while len(os.listdir(f"/proc/{self.daemon.process.pid}/fd")) > 100:
            self.assertLess(time.monotonic(), deadline)
            self.assertEqual(self.daemon.curl("/healthz").status, 200)

    def test_heads_that_the_library_gives_up_on_cost_no_memory(self):
        arguments = b"&".join(b"a%d=%s" % (i, b"x" * 200) for i in range(130))
        head = b"GET /healthz?" + arguments + b" HTTP/1.1\r\nHost: localhost\r\n"
        times = 300 if SLOW_BUILD else 1000
        for rest in (b"\r\n", b"X-A: b\r\n" * 900 + b"\r\n"):
            with self.subTest(rest[:10]):
                self.repeat(head + rest, times)
                growth = []
                while not growth or (growth[-1] >= 12 * 2**20 and len(growth) < 3):  # what leaks grows each time
                    before = self.resident_bytes()
                    self.repeat(head + rest, times)
                    growth.append(self.resident_bytes() - before)
                if not SLOW_BUILD:  # sanitizers keep freed memory for a while, and look themselves
                    self.assertLess(growth[-1], 12 * 2**20, growth)


def long_heads():
    """Method, request and the answers that fit, of heads around what the library has room for."""
    def of(*, method=b"GET", target=b"/healthz", headers=b"", body=b""):
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        return (method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                + headers + length + b"\r\n" + body)

    def arguments(n, each):
        return b"/healthz?" + b"&".join(b"a=" + b"x" * each for _ in range(n // (each + 3)))

    for n in [*range(23000, 28000, 1000), *range(28000, 33000, 150), 40000, 100000]:
        for method, body in ((b"GET", b""), (b"POST", b"{}")):
            yield f"path of {n}", of(method=method, target=b"/" + b"a" * n, body=body), (414, 431)
            yield f"one argument of {n}", of(method=method, target=b"/healthz?a=" + b"a" * n, body=body), (414, 431)
            for each in (0, 20, 200, 1000):
                yield f"arguments of {each}, {n} together", of(method=method, target=arguments(n, each), body=body), (414, 431)
        yield f"a header of {n}", of(headers=b"X-A: " + b"a" * n + b"\r\n"), (200, 431)
        yield f"a cookie of {n}", of(headers=b"Cookie: a=" + b"a" * n + b"\r\n"), (200, 431)
        yield f"headers of {n} together", of(headers=b"X-A: b\r\n" * (n // 90)), (200, 431)
    for n in range(32250, 32400, 20):  # where the library has not even memory for its own refusal
        yield f"a cookie of {n}", of(headers=b"Cookie: a=" + b"a" * n + b"\r\n"), (431,)
    for n in (100, 1000, 3000, 8000):
        yield f"{n} ampersands", of(target=b"/healthz?" + b"&" * n), (200, 400, 414)


class Heads(DaemonTestCase):
    """However long a head is and whatever it is made of, there is an answer."""

    def ask(self, request):
        """The first bytes of the answer, without a word if the daemon closes or says nothing."""
        host, port = self.daemon.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            connection.settimeout(HEAD_PATIENCE_S)
            try:
                connection.sendall(request)
            except ConnectionError:
                pass  # it has heard enough
            try:
                return connection.recv(64)
            except (ConnectionError, socket.timeout):
                return b""

    def test_every_long_head_gets_an_answer(self):
        unanswered = []
        for name, request, expected in long_heads():
            words = self.ask(request).split(b" ")
            if len(words) < 2 or int(words[1]) not in expected:
                unanswered.append((name, request[:4], words[:2]))
        self.assertEqual(unanswered, [], "\n".join(map(str, unanswered)))


class Stop(unittest.TestCase):
    def test_heads_that_were_given_up_on_do_not_break_the_stop(self):
        arguments = b"&".join(b"a%d=%s" % (i, b"x" * 200) for i in range(130))
        head = b"GET /healthz?" + arguments + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with tempfile.TemporaryDirectory(prefix="cutoutd-http-") as directory:
            daemon = Daemon(directory)
            daemon.start()
            connections = [socket.create_connection(("127.0.0.1", int(daemon.address.rsplit(":", 1)[1])), PATIENCE_S) for _ in range(100)]
            for connection in connections:
                connection.sendall(head)
            self.assertEqual(daemon.terminate(), 0)
            for connection in connections:
                connection.close()


class Framing(DaemonTestCase):
    def answer_to(self, *headers, body=b"{}"):
        head = b"POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n" + b"".join(h + b"\r\n" for h in headers)
        return self.daemon.raw(head + b"\r\n" + body)

    def test_requests_whose_end_is_in_doubt_are_refused(self):
        chunked = b"2\r\n{}\r\n0\r\n\r\n"
        for headers, body in (
                ((b"Content-Length: 2", b"Content-Length: 2"), b"{}"),
                ((b"Content-Length: 2", b"Content-Length: 3"), b"{}"),
                ((b"Content-Length: 2", b"Transfer-Encoding: chunked"), chunked),
                ((b"Transfer-Encoding: chunked", b"Content-Length: 12"), chunked),
                ((b"Transfer-Encoding: gzip, chunked",), chunked),
                ((b"Content-Length : 2",), b"{}"),
                ((b"Host: y",), b""),
                ((b"Content-Length: abc",), b"{}"),
                ((b"Content-Length: -2",), b"{}")):
            with self.subTest(headers):
                answer = self.answer_to(*headers, body=body)
                self.assertIn(b" 400 ", answer.split(b"\r\n")[0])
                self.assertIn(b"Connection: close", answer)
                self.assertNotIn(b"HTTP/1.1 2", answer)
        self.assertEqual(self.daemon.get("/api/v1/runs")["items"], [])

    def test_noise_is_survived(self):
        for noise in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
                      b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                      b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                      b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            with self.subTest(noise[:20]):
                try:
                    self.daemon.raw(noise, answer=False)
                except ConnectionError:
                    pass  # closed in the middle of it: fine
        self.assertEqual(self.daemon.curl("/healthz").body, "ok\n")


if __name__ == "__main__":
    unittest.main()
