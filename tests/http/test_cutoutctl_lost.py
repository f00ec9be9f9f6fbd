"""What cutoutctl does when an answer gets lost on the way, through a proxy that loses it. CUTOUTCTL names the binary."""

import http.client
import http.server
import threading
import unittest

from daemon_process import PATIENCE_S
from test_cutoutctl import BASE, ClientTestCase

DROPPED = "done, and the connection breaks"
LATE = "done, and no answer comes"
UNHEARD = "not done, and the connection breaks"


class Proxy:
    """In front of a daemon. What becomes of the first POSTs is in `fates`: one of the above, or a status that the
    proxy answers with by itself, with a Retry-After of so many seconds or none. All others are passed on."""

    def __init__(self, daemon, *fates):
        self.fates = list(fates)
        self.keys = []
        released = self.released = threading.Event()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def forward(self, body):
                headers = {name: self.headers[name] for name in ("Content-Type", "Idempotency-Key") if name in self.headers}
                connection = http.client.HTTPConnection(daemon.address, timeout=PATIENCE_S)
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                answer = response.status, response.read()
                connection.close()
                return answer

            def answer(self, status, body, retry_after=None):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if retry_after is not None:
                    self.send_header("Retry-After", str(retry_after))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy.keys.append(self.headers["Idempotency-Key"])
                fate = proxy.fates.pop(0) if proxy.fates else None
                if fate is None:
                    self.answer(*self.forward(body))
                elif isinstance(fate, tuple):
                    self.answer(fate[0], b"{}", fate[1])
                elif fate != UNHEARD:
                    self.forward(body)
                if fate == LATE:
                    released.wait(PATIENCE_S)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class Lost(ClientTestCase):
    def proxy(self, *fates):
        proxy = Proxy(self.daemon, *fates)
        self.addCleanup(proxy.close)
        return proxy

    def runs(self):
        return [run["id"] for run in self.daemon.get("/api/v1/runs?limit=500&sort=id")["items"]]

    def made_by(self, proxy, *arguments, status=0):
        """The runs that are new, and what was said."""
        before = self.runs()
        said = self.ctl(*arguments, "--server", proxy.url, status=status)
        return [run for run in self.runs() if run not in before], said

    def test_a_lost_answer_makes_no_second_run(self):
        fates = [DROPPED], [LATE], [DROPPED, UNHEARD], [DROPPED, (409, 1)], [(504, None)], [(503, 1)]
        for fate in fates:
            with self.subTest(fate):
                proxy = self.proxy(*fate)
                made, said = self.made_by(proxy, "submit", "-q", "--timeout", "1" if fate == [LATE] else "60", *BASE,
                                          "m=1", "epochs=1", "hold=true")
                self.assertEqual(made, [said.strip()])
                self.assertEqual(len(proxy.keys), len(fate) + 1)
                self.assertEqual(set(proxy.keys), {proxy.keys[0]})

    def test_nor_a_second_sweep_or_fork(self):
        proxy = self.proxy(DROPPED)
        made, said = self.made_by(proxy, "sweep", "-q", *BASE, "m=1,2", "epochs=1", "hold=true")
        self.assertEqual((len(made), made), (2, said.split()))
        run = self.submit("m=1", "epochs=1")
        self.ctl("wait", run)
        proxy = self.proxy(DROPPED)
        made, said = self.made_by(proxy, "fork", "-q", run, "epochs=2", "hold=true")
        self.assertEqual(made, [said.strip()])

    def test_each_command_is_a_request_of_its_own(self):
        proxy = self.proxy()
        for _ in range(2):
            made, _ = self.made_by(proxy, "submit", "-q", *BASE, "m=1", "epochs=1", "hold=true")
            self.assertEqual(len(made), 1)
        self.assertNotEqual(*proxy.keys)

    def test_without_an_answer_it_says_what_may_have_happened(self):
        proxy = self.proxy(*[DROPPED] * 9)
        made, said = self.made_by(proxy, "submit", *BASE, "m=1", "epochs=1", "hold=true", status=3)
        self.assertEqual(len(made), 1)
        self.assertEqual(len(proxy.keys), 4)
        self.assertIn("does not answer", said)
        self.assertIn("may have been accepted all the same: cutoutctl list", said)
        _, said = self.made_by(self.proxy(DROPPED, (409, 3600)), "submit", *BASE, "m=1", "epochs=1", "hold=true", status=3)
        self.assertIn("may have been accepted", said)

    def test_what_was_not_lost_is_not_asked_for_again(self):
        for fate, status in (((409, None), 1), ((503, 3600), 3), ((500, None), 3)):
            with self.subTest(fate):
                proxy = self.proxy(fate)
                made, said = self.made_by(proxy, "submit", *BASE, "m=1", "epochs=1", "hold=true", status=status)
                self.assertEqual((made, len(proxy.keys)), ([], 1))
                self.assertNotIn("accepted", said)
        said = self.ctl("submit", *BASE, "m=1", "--server", "http://127.0.0.1:1", status=3)
        self.assertIn("does not answer", said)
        self.assertNotIn("sking again", said)
        self.assertNotIn("accepted", said)


if __name__ == "__main__":
    unittest.main()
