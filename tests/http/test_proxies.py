"""The shipped configurations of nginx and Caddy (systemd/guides/proxy), with a real proxy before the daemon: HTTPS
below a path, links that lead back through it, streams that are not held back."""

import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, TINY, Daemon, DaemonTestCase, wait_for
from test_access import bearer, make_token

PLACE = pathlib.Path(__file__).parent / "../../systemd/guides/proxy"
HOST = "lab.example.org"


def make_certificate(directory):
    cert, key = (os.path.join(directory, name) for name in ("lab.pem", "lab.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={HOST}", "-addext",
                    f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True, timeout=PATIENCE_S)
    return cert, key


def replaced(text, *pairs):
    """Each must be there: otherwise what is tested is not what is shipped."""
    for old, new in pairs:
        if old not in text:
            raise AssertionError(f"there is no {old!r}")
        text = text.replace(old, new)
    return text


class Proxied:
    """What holds behind both; the proxy listens on a path of its own instead of port 443."""

    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        tokens = os.path.join(directory, "tokens")
        cls.token, line = make_token("anna", "submit")
        with open(os.open(tokens, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(line + "\n")
        return Daemon(directory, {"CUTOUTD_TOKENS_FILE": tokens, "CUTOUTD_ALLOWED_HOSTS": HOST,
                                  "CUTOUTD_TRUSTED_PROXIES": "127.0.0.1"})

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = tempfile.mkdtemp(prefix="cutoutd-proxy-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.cert, cls.key = make_certificate(cls.directory)
        cls.socket = os.path.join(cls.directory, "socket")
        cls.proxy = cls.start_proxy()
        cls.addClassCleanup(cls.stop_proxy)
        wait_for(lambda: cls.proxy.poll() is not None or cls.answers())
        if cls.proxy.poll() is not None:
            raise AssertionError("the proxy ended:\n" + cls.proxy_log())

    @classmethod
    def answers(cls):
        return subprocess.run(cls.curl_words("/cutoutd/healthz"), capture_output=True, timeout=PATIENCE_S).returncode == 0

    @classmethod
    def stop_proxy(cls):
        cls.proxy.terminate()
        cls.proxy.wait(PATIENCE_S)

    @classmethod
    def proxy_log(cls):
        with open(os.path.join(cls.directory, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    @classmethod
    def launch(cls, *words):
        with open(os.path.join(cls.directory, "log"), "wb") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cls.directory,
                                    env=dict(os.environ, HOME=cls.directory, XDG_CONFIG_HOME=cls.directory,
                                             XDG_DATA_HOME=cls.directory))

    @classmethod
    def curl_words(cls, path, *options):
        return ["curl", "-sS", "--max-time", str(PATIENCE_S), "--cacert", cls.cert, "--unix-socket", cls.socket,
                *options, f"https://{HOST}{path}"]

    def ask(self, path, *options, data=None):
        words = self.curl_words(path, "-i", *bearer(self.token), *options)
        if data is not None:
            words[1:1] = ["-H", "Content-Type: application/json", "--data-binary", json.dumps(data)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        return int(head.split()[1]), dict(re.findall(r"^([a-z-]+): (.*)$", head.lower(), re.M)), body

    def test_links_lead_back_through_the_proxy(self):
        status, headers, body = self.ask("/cutoutd/api/v1/runs", data=dict(TINY, hold=True))
        self.assertEqual(status, 201, body)
        self.assertTrue(headers["location"].endswith("/cutoutd/api/v1/runs/" + json.loads(body)["id"]), headers)
        path = re.sub("^https?://[^/]*", "", headers["location"])
        self.assertEqual(self.ask(path)[0], 200)

    def test_the_welcome_names_what_leads_there(self):
        status, _, body = self.ask("/cutoutd/", "-H", "Accept: text/plain")
        self.assertEqual(status, 200)
        self.assertEqual(set(re.findall(r"https?://\S*?(?=/(?:api|openapi))", body)), {f"https://{HOST}/cutoutd"})

    def test_the_page_and_what_it_loads(self):
        status, headers, body = self.ask("/cutoutd/", "-H", "Accept: text/html")
        self.assertEqual((status, headers["content-type"]), (200, "text/html; charset=utf-8"))
        assets = re.findall(r'(?:src|href)="(/cutoutd/assets/[^"]+)"', body)
        self.assertGreater(len(assets), 3)
        for path in assets:
            self.assertEqual(self.ask(path, "--output", "/dev/null", "--dump-header", "-")[0], 200, path)
        self.assertIn(self.ask("/cutoutd")[0], (301, 302, 308))

    def test_the_page_may_submit_and_others_may_not(self):
        mine = ("-H", f"Origin: https://{HOST}", "-H", "Sec-Fetch-Site: same-origin")
        self.assertEqual(self.ask("/cutoutd/api/v1/runs", *mine, data=dict(TINY, hold=True))[0], 201)
        foreign = ("-H", "Origin: https://elsewhere.example")
        self.assertEqual(self.ask("/cutoutd/api/v1/runs", *foreign, data=dict(TINY, hold=True))[0], 403)

    def test_a_token_is_wanted(self):
        done = subprocess.run(self.curl_words("/cutoutd/api/v1/runs", "-o", "/dev/null", "-w", "%{http_code}"),
                              capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        self.assertEqual(done.stdout, "401")

    def test_a_stream_is_not_held_back(self):
        """What comes of a run that has not begun, and then of each thing that happens to it."""
        run = json.loads(self.ask("/cutoutd/api/v1/runs", data=dict(TINY, hold=True))[2])["id"]
        words = self.curl_words(f"/cutoutd/api/v1/runs/{run}/events?format=ndjson", "-N", *bearer(self.token))
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stream:
            try:
                self.assertIn(b"snapshot", self.next_line(stream))
                self.assertEqual(self.ask(f"/cutoutd/api/v1/runs/{run}/cancel", "-X", "POST")[0], 200)
                self.assertIn(b"canceled", self.next_line(stream))
            finally:
                stream.kill()

    def next_line(self, stream):
        """At once; an answer that is held back comes when it is complete, which this one is not."""
        self.assertTrue(select.select([stream.stdout], [], [], 20)[0], "nothing comes: the proxy holds it back")
        return stream.stdout.readline()


@unittest.skipUnless(shutil.which("nginx") and shutil.which("openssl"), "SKIPPED: nginx or openssl is not installed")
class Nginx(Proxied, DaemonTestCase):
    @classmethod
    def start_proxy(cls):
        site = replaced((PLACE / "nginx.conf").read_text(encoding="utf-8"), ("listen 443 ssl", f"listen unix:{cls.socket} ssl"),
                        ("/etc/ssl/certs/lab.pem", cls.cert), ("/etc/ssl/private/lab.key", cls.key),
                        ("http://127.0.0.1:8080/", f"http://{cls.daemon.address}/"))
        user = "user root;" if os.getuid() == 0 else ""
        paths = " ".join(f"{kind}_temp_path {cls.directory}/{kind};"
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        path = os.path.join(cls.directory, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{user} daemon off; worker_processes 1; pid {cls.directory}/pid; error_log stderr;\n"
                       f"events {{}}\nhttp {{ access_log off; {paths}\n{site}}}\n")
        words = ("nginx", "-c", path, "-p", cls.directory, "-e", "stderr")
        subprocess.run([*words, "-t", "-q"], check=True, timeout=PATIENCE_S)
        return cls.launch(*words)


@unittest.skipUnless(shutil.which("caddy") and shutil.which("openssl"), "SKIPPED: caddy or openssl is not installed")
class Caddy(Proxied, DaemonTestCase):
    @classmethod
    def start_proxy(cls):
        text = replaced((PLACE / "Caddyfile").read_text(encoding="utf-8"),
                        (HOST + " {", f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {{\n\t\tprotocols h1 h2\n\t}}\n}}\n"
                                      f"{HOST} {{\n\tbind unix/{cls.socket}\n\ttls {cls.cert} {cls.key}"),
                        # what it says by itself of all clients but those on a path, as ours is
                        ("X-Forwarded-Prefix /cutoutd", "X-Forwarded-Prefix /cutoutd\n\t\t\theader_up X-Forwarded-Proto {scheme}"),
                        ("127.0.0.1:8080", cls.daemon.address))
        path = os.path.join(cls.directory, "Caddyfile")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return cls.launch("caddy", "run", "--adapter", "caddyfile", "--config", path)


if __name__ == "__main__":
    unittest.main()
