"""A real cutoutd on a free port with a state directory of its own, and curl to talk to it.

The binary is named by the environment variable CUTOUTD. Every daemon is stopped by its process id,
also when a test fails.
"""

import json
import math
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from contract import CONTRACT

PATIENCE_S = 120  # for anything that should come at once; sanitizers are slow

# Under a sanitizer training is some fifty times slower: the same steps on fewer images.
SLOW_BUILD = os.environ.get("SLOW_BUILD") == "1"

# Trains in a fraction of a second an epoch, which has four steps.
TINY = {
    "dataset": "shapes",
    "depth": 8,
    "train_images": 16 if SLOW_BUILD else 64,
    "test_images": 20 if SLOW_BUILD else 100,
    "batch_size": 4 if SLOW_BUILD else 16,
    "m": 1,
    "epochs": 2,
}

# Columns that a repeated run need not repeat.
TIMES = ("seconds", "images_per_second")


class Response:
    """Status, headers (names in lower case) and body of one answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def type(self):
        return self.headers.get("content-type", "")

    def json(self):
        return json.loads(self.body)


class Daemon:
    def __init__(self, directory, environment=None, listen="127.0.0.1:0", curl_options=()):
        self.directory = directory
        self.environment = environment or {}
        self.listen = listen
        self.curl_options = list(curl_options)
        self.flags = []
        self.prefix = []  # a command that becomes the daemon, such as prlimit
        self.stderr = None  # a descriptor; None: the log file
        self.process = None
        self.address = None

    def start(self):
        """Returns when the daemon has said that it is ready (sd_notify)."""
        notify_path = os.path.join(self.directory, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            if os.path.exists(notify_path):
                os.unlink(notify_path)
            notify.bind(notify_path)
            self.spawn(NOTIFY_SOCKET=notify_path)
            self._wait_until_ready(notify)
        self.address = self.find_address()

    def find_address(self):
        try:
            with open(os.path.join(self.state_dir, "address"), encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:  # on a full disk the log alone has it
            without = r"it serves on (\S+) without that file"
            self.wait_for_log(without)
            return re.findall(without, self.log())[-1]

    def spawn(self, **more):
        """Starts the process and waits for nothing."""
        environment = dict(
            os.environ,
            CUTOUTD_SHAPES_TRAIN="512",
            CUTOUTD_SHAPES_TEST="100",
            CUTOUTD_MEMORY_LIMIT="4G",
            **{**self.environment, **more},
        )
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, os.environ["CUTOUTD"], "serve", "--listen", self.listen,
                 "--state-dir", self.state_dir, "--workers", "1", "--threads-per-run", "1", *self.flags],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=self.stderr or log)
        return self.process

    def _wait_until_ready(self, notify):
        deadline = time.monotonic() + PATIENCE_S
        ended = os.pidfd_open(self.process.pid)
        try:
            while time.monotonic() < deadline:
                ready, _, _ = select.select([notify, ended], [], [], deadline - time.monotonic())
                if notify in ready and b"READY=1" in notify.recv(4096):
                    return
                if ended in ready:
                    self.process.wait()
                    raise AssertionError("the daemon ended at its start:\n" + self.log())
        finally:
            os.close(ended)
        self.kill()
        raise AssertionError("the daemon is not ready:\n" + self.log())

    @property
    def state_dir(self):
        return os.path.join(self.directory, "state")

    @property
    def log_path(self):
        return os.path.join(self.directory, "log")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_log(self, pattern):
        """Until a line matches: the log is written by a thread of its own, behind the answers."""
        wait_for(lambda: re.search(pattern, self.log()))

    def terminate(self):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def hang_up(self, expected):
        """SIGHUP; returns when the log says once more what is expected."""
        n_before = self.log().count(expected)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_S
        while self.log().count(expected) == n_before:
            if time.monotonic() > deadline or not self.running:
                raise AssertionError(f"not in the log: {expected}\n{self.log()}")
            self.curl("/healthz", "--insecure")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def url(self, path):
        """Also of a daemon with TLS (https://...) or with nothing but a path (unix:...)."""
        if self.address.startswith("unix:"):
            return "http://localhost" + path
        return ("" if "://" in self.address else "http://") + self.address + path

    def curl(self, path, *options, data=None, malformed=False):
        """One request; `data` is sent as the body (a dictionary as JSON). The answer must be as
        api/openapi describes it, unless the request is `malformed`: none of the API's, on
        purpose."""
        arguments = ["curl", "-sS", "--globoff", "--max-time", str(PATIENCE_S),
                     *self.curl_options, *options]
        if "--head" not in options:
            arguments += ["--dump-header", "-"]
        if data is not None:
            arguments += ["--data-binary", "@-"]
            data = data if isinstance(data, bytes) else json.dumps(data).encode()
        result = subprocess.run(arguments + [self.url(path)], input=data, capture_output=True,
                                timeout=PATIENCE_S + 10, check=False)
        if result.returncode != 0:
            raise AssertionError(f"curl {path}: {result.stderr.decode()}\n{self.log()}")
        response = split_answer(result.stdout)
        if not malformed:
            CONTRACT.check(method_of(options, data), path, response, data)
        return response

    def get(self, path):
        """The JSON of a GET that must succeed."""
        response = self.curl(path)
        if response.status != 200:
            raise AssertionError(f"{path}: {response.status} {response.body}")
        return response.json()

    def submit(self, **fields):
        """Submits a run (TINY where nothing else is said) and returns its id."""
        response = self.curl("/api/v1/runs", data=dict(TINY, **fields))
        if response.status != 201:
            raise AssertionError(f"{response.status} {response.body}")
        return response.json()["id"]

    def lasting(self, seconds=3, **fields):
        """`fields` with as many epochs as take this many seconds on this machine, in this build: a
        run that a test meets in the middle. Measured by the fastest epoch of half a second, since others
        take processors away at times."""
        took = []

        def enough(event):
            if event["event"] == "epoch":
                took.append(event["data"]["seconds"])
            return len(took) >= 5 and sum(took) >= 0.5

        run = self.submit(**dict(fields, epochs=100000, executor="local"))
        self.events(run, query="?since=0", until=enough)
        self.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        self.wait_for_end(run)
        return dict(fields, epochs=max(10, min(20000, math.ceil(seconds / min(took)))))

    def events(self, run, *options, query="", until=None):
        """The events of a run, as follow() gives them."""
        return self.follow(f"/api/v1/runs/{run}/events{query}", *options, until=until)

    def follow(self, path, *options, until=None):
        """The events of a stream up to its end, or up to the first for which until(event) is true.
        Each is a dictionary of event, id (or None), data."""
        events = []
        with subprocess.Popen(
                ["curl", "-sSN", "--max-time", str(PATIENCE_S), *self.curl_options, *options,
                 self.url(path)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                for event in read_events(process.stdout):
                    CONTRACT.check_event(path, event)
                    events.append(event)
                    if until and until(event):
                        return events
            finally:
                process.kill()
                process.wait(PATIENCE_S)
        return events

    def wait_for_end(self, run):
        """Follows the run to its end and returns the last event's run."""
        last = self.events(run)[-1]
        if last["event"] != "end":
            raise AssertionError(f"the stream of run {run} broke off:\n{self.log()}")
        return last["data"]

    def history(self, run):
        """The stored epochs without the columns that depend on the machine's speed."""
        items = self.get(f"/api/v1/runs/{run}/epochs")["items"]
        return [{k: v for k, v in row.items() if k not in TIMES} for row in items]

    def raw(self, request, answer=True):
        """Sends bytes over a socket of their own and returns everything that comes back."""
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            connection.sendall(request)
            received = b""
            while answer and (piece := connection.recv(65536)):
                received += piece
        return received


def after_epoch(number):
    """Until an event tells of this epoch, or of a later one: who comes late is not told of those before."""
    return lambda event: event["event"] == "epoch" and event["data"]["epoch"] >= number


def wait_for(question):
    """Asks until the answer is true: for what the daemon takes notice of in its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while not question():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.05)


def method_of(options, data):
    """What curl makes of its options."""
    if "-X" in options:
        return options[options.index("-X") + 1]
    if "--head" in options:
        return "HEAD"
    return "GET" if data is None and "-d" not in options else "POST"


def split_answer(output):
    """The last head in curl's output (there may be a 100 before it) and the body."""
    head, _, body = output.partition(b"\r\n\r\n")
    while head.split(None, 2)[1].startswith(b"1"):
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Response(int(lines[0].split()[1]), headers, body.decode())


def read_events(stream):
    """Parses a text/event-stream."""
    event = {"event": None, "id": None, "data": None}
    for line in stream:
        line = line.decode().rstrip("\n")
        name, _, value = line.partition(":")
        if line == "":
            if event["data"] is not None:
                event["data"] = json.loads(event["data"])
                yield event
            event = {"event": None, "id": None, "data": None}
        elif name in event:
            event[name] = value.lstrip(" ")


def unix_daemon():
    """A daemon on a unix socket alone, in a directory of its own."""
    directory = tempfile.mkdtemp(prefix="cutoutd-http-")
    path = os.path.join(directory, "socket")
    return Daemon(directory, {"CUTOUTD_UNIX_SOCKET": path}, "none", ("--unix-socket", path))


def tls_daemon():
    """A daemon with a certificate that nobody knows, in a directory of its own."""
    directory = tempfile.mkdtemp(prefix="cutoutd-http-")
    cert, key = (os.path.join(directory, name) for name in ("cert.pem", "key.pem"))
    make_certificate(cert, key)
    return Daemon(directory, {"CUTOUTD_TLS_CERT": cert, "CUTOUTD_TLS_KEY": key},
                  curl_options=("--cacert", cert))


def make_certificate(cert, key):
    """One that vouches for itself, for 127.0.0.1."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "2", "-subj", "/CN=cutoutd", "-addext",
                    "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True, timeout=PATIENCE_S)
    os.chmod(key, 0o600)


class DaemonTestCase(unittest.TestCase):
    """Each test class has a daemon; `fresh` in a test gives another one."""

    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.make_daemon()
        cls.addClassCleanup(cls.dispose, cls.daemon)
        cls.daemon.start()

    @classmethod
    def make_daemon(cls):
        return Daemon(tempfile.mkdtemp(prefix="cutoutd-http-"), cls.environment)

    @staticmethod
    def dispose(daemon):
        """Stops the daemon; it must end well, and no sanitizer may have complained."""
        try:
            status = daemon.terminate() if daemon.running else 0
            log = daemon.log()
            if status != 0 or "Sanitizer" in log or "runtime error" in log:
                raise AssertionError(f"the daemon ended with status {status}:\n{log}")
        finally:
            if daemon.running:
                daemon.kill()
            shutil.rmtree(daemon.directory, ignore_errors=True)

    def fresh(self):
        daemon = self.make_daemon()
        self.addCleanup(self.dispose, daemon)
        daemon.start()
        return daemon

    def assert_problem(self, response, status):
        """An RFC 9457 problem of this status; returns it."""
        self.assertEqual(response.status, status, response.body)
        self.assertEqual(response.type, "application/problem+json")
        problem = response.json()
        self.assertEqual(problem["status"], status)
        for member in ("type", "title", "detail", "instance"):
            self.assertIn(member, problem)
        return problem
