"""What systemd and the daemon say to each other: sockets that are handed over, the line of `systemctl status`, the
watchdog, more time for checkpoints. systemd is played by the test."""

import fcntl
import json
import os
import signal
import socket
import sqlite3
import subprocess
import tempfile
import unittest

from daemon_process import PATIENCE_S, TINY, wait_for
from test_access import bearer, make_token

LONG = dict(TINY, epochs=100000)

# Moves the sockets to where the protocol wants them, says for whom they are, and becomes the daemon.
HAND_OVER = """
export LISTEN_PID=$$ LISTEN_FDS=0
while [ "$1" != -- ]; do
    eval "exec $((3 + LISTEN_FDS))<&$1 $1<&-"
    LISTEN_FDS=$((LISTEN_FDS + 1))
    shift
done
shift
exec "$@"
"""


class Service:
    """A daemon under a systemd that is this test: all its notifications are kept."""

    def __init__(self, test, directory, sockets=(), flags=(), environment=None):
        self.directory = directory
        self.state_dir = os.path.join(directory, "state")
        self.messages = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = tempfile.mktemp(prefix="notify-", dir=directory)
        self.notify.bind(path)
        self.notify.settimeout(PATIENCE_S)
        environment = dict(os.environ, NOTIFY_SOCKET=path, CUTOUTD_SHAPES_TRAIN="512", CUTOUTD_SHAPES_TEST="100",
                           CUTOUTD_MEMORY_LIMIT="4G", CUTOUTD_STATE_DIR=self.state_dir, CUTOUTD_THREADS_PER_RUN="1",
                           **(environment or {}))
        command = [os.environ["CUTOUTD"], "serve", *flags]
        copies = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 20) for s in sockets]  # out of the way of those it gets
        if sockets:
            command = ["/bin/bash", "-c", HAND_OVER, "bash", *map(str, copies), "--", *command]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=copies)
        for copy in copies:
            os.close(copy)
        test.addCleanup(self.end)

    @property
    def log_path(self):
        return os.path.join(self.directory, "log")

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self.notify.close()

    def hear(self, expected):
        """The next message in which `expected` stands; those before it are kept as well."""
        while True:
            self.messages.append(self.notify.recv(4096).decode())
            if expected in self.messages[-1]:
                return self.messages[-1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        self.notify.settimeout(0.01)
        try:
            while True:
                self.messages.append(self.notify.recv(4096).decode())
        except socket.timeout:
            pass
        return status


def curl(*arguments):
    result = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE_S), *arguments], capture_output=True, text=True,
                            timeout=PATIENCE_S + 10, check=False)
    if result.returncode:
        raise AssertionError(result.stderr)
    return result.stdout


def listen(directory=None):
    """A socket that listens: of the network, or of a path in the directory."""
    listening = socket.socket(socket.AF_UNIX if directory else socket.AF_INET)
    listening.bind(os.path.join(directory, "socket") if directory else ("127.0.0.1", 0))
    listening.listen()
    return listening


class Sockets(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-http-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.sockets = [listen(), listen(self.directory)]
        for listening in self.sockets:
            self.addCleanup(listening.close)
        self.address = "http://127.0.0.1:%d" % self.sockets[0].getsockname()[1]
        self.path = os.path.join(self.directory, "socket")

    def test_nobody_is_refused_over_a_restart(self):
        service = Service(self, self.directory, self.sockets)
        service.hear("READY=1")
        self.assertEqual(curl(self.address + "/healthz"), "ok\n")
        self.assertEqual(curl("--unix-socket", self.path, "http://localhost/healthz"), "ok\n")
        self.assertEqual(service.stop(), 0)
        waiting = [subprocess.Popen(["curl", "-sS", "--max-time", str(PATIENCE_S), *options], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True)
                   for options in ([self.address + "/healthz"],
                                   ["--unix-socket", self.path, "http://localhost/healthz"])]
        service = Service(self, self.directory, self.sockets)
        service.hear("READY=1")
        for client in waiting:
            self.assertEqual(client.communicate(timeout=PATIENCE_S)[0], "ok\n")
        with open(os.path.join(service.state_dir, "address"), encoding="ascii") as file:
            self.assertEqual("http://" + file.read().strip(), self.address)
        self.assertEqual(service.stop(), 0)
        self.assertTrue(os.path.exists(self.path))

    def test_a_path_alone_leaves_the_network_alone(self):
        service = Service(self, self.directory, self.sockets[1:])
        service.hear("READY=1")
        self.assertEqual(curl("--unix-socket", self.path, "http://localhost/healthz"), "ok\n")
        with open(os.path.join(service.state_dir, "address"), encoding="ascii") as file:
            self.assertEqual(file.read(), f"unix:{self.path}\n")
        self.assertEqual(service.stop(), 0)

    def test_settings_that_say_something_else_are_refused(self):
        for flags in (["--listen", "127.0.0.1:1"], ["--listen", "none", "--unix-socket", self.path],
                      ["--unix-socket", self.path + "2"]):
            with self.subTest(flags):
                service = Service(self, self.directory, self.sockets, flags)
                self.assertEqual(service.process.wait(PATIENCE_S), 1)
                self.assertIn("systemctl edit cutoutd.socket", service.hear("STATUS=cannot start: " + flags[0]))
        service = Service(self, self.directory, self.sockets, ["--listen", self.address[7:]])
        service.hear("READY=1")
        self.assertEqual(service.stop(), 0)

    def test_a_public_socket_needs_tokens(self):
        with socket.socket() as public:
            public.bind(("0.0.0.0", 0))
            public.listen()
            service = Service(self, self.directory, [public])
            self.assertEqual(service.process.wait(PATIENCE_S), 1)
            self.assertIn("there are no access tokens", service.hear("STATUS=cannot start"))


class Told(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-http-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def start(self, environment=None):
        service = Service(self, self.directory, flags=["--listen", "127.0.0.1:0"], environment=environment)
        self.assertEqual(service.hear("READY=1"), "READY=1\nSTATUS=idle; 0 queued")
        with open(os.path.join(service.state_dir, "address"), encoding="ascii") as file:
            service.address = "http://" + file.read().strip()
        return service

    def submit(self, service, **fields):
        body = "{" + ",".join(f'"{name}":"{value}"' if isinstance(value, str) else f'"{name}":{value}'
                              for name, value in dict(LONG, **fields).items()) + "}"
        curl(service.address + "/api/v1/runs", "--fail-with-body", "-d", body)

    def test_the_status_is_true_now_and_after_the_stop(self):
        service = self.start()
        self.submit(service)
        self.submit(service)
        service.hear("STATUS=training run 1: epoch ")
        curl(service.address + "/api/v1/scheduler/drain", "-X", "POST")
        service.hear("; 1 queued; draining")
        self.assertEqual(service.stop(), 0)
        self.assertIn("STOPPING=1\nSTATUS=stopping", service.messages)
        self.assertIn("STATUS=writing the checkpoint of 1 run", service.messages)
        self.assertEqual(service.messages[-1], "STATUS=stopped; 2 queued")

    def test_a_reload_is_over_when_it_says_so(self):
        service = self.start()
        service.process.send_signal(signal.SIGHUP)
        service.hear("RELOADING=1")
        service.hear("READY=1")
        wait_for(lambda: "SIGHUP:" in service.log())
        self.assertEqual(service.stop(), 0)

    def test_a_reload_takes_what_it_can_and_names_the_rest(self):
        path = os.path.join(self.directory, "cutoutd.conf")

        def write(*lines):
            with open(path, "w", encoding="ascii") as file:
                file.write("\n".join(lines) + "\n")

        def reload():
            n = len(service.log())
            service.process.send_signal(signal.SIGHUP)
            service.hear("RELOADING=1")
            service.hear("READY=1")
            wait_for(lambda: "there is no tokens_file to read again" in service.log()[n:])
            return service.log()[n:]

        write("log_level = info", "allowed_hosts = lab.example")
        service = Service(self, self.directory, flags=["--config", path, "--listen", "127.0.0.1:0"])
        service.hear("READY=1")
        with open(os.path.join(service.state_dir, "address"), encoding="ascii") as file:
            address = "http://" + file.read().strip()

        def status_for(host):
            return curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}", address + "/api/v1/system")

        self.assertEqual((status_for("lab.example"), status_for("new.example")), ("200", "403"))
        write("log_level = debug", "allowed_hosts = new.example", "checkpoint_interval_s = 7", "pin_threads = on", "[datasets]",
              "lab = /srv/lab")
        said = reload()
        self.assertIn(f"log_level = debug ({path}:1), no longer 'info'", said)
        self.assertIn(f"checkpoint_interval_s = 7 ({path}:3), no longer '300'", said)
        self.assertIn(f"pin_threads = on ({path}:4) waits for a restart; 'off' stays in force", said)
        self.assertIn("the data set lab = /srv/lab", said)
        self.assertNotIn("memory_limit", said)
        self.assertEqual((status_for("lab.example"), status_for("new.example")), ("403", "200"))
        wait_for(lambda: "GET /api/v1/system 200" in service.log())
        write("log_level = loud", "allowed_hosts = lab.example", "workers = 0")
        said = reload()
        self.assertIn(f"{path}:1: log_level is 'loud'", said)
        self.assertIn(f"{path}:3: workers is '0'", said)
        self.assertIn("2 problem(s) in the settings; they stay as they were", said)
        self.assertEqual((status_for("lab.example"), status_for("new.example")), ("403", "200"))
        self.assertEqual(service.stop(), 0)

    def test_the_watchdog_starves_while_nothing_can_be_stored(self):
        service = self.start({"WATCHDOG_USEC": "4000000"})
        service.hear("WATCHDOG=1")
        with sqlite3.connect(os.path.join(service.state_dir, "cutoutd.db"), isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            wait_for(lambda: "the writer of the database has not moved" in service.log())
            other.execute("ROLLBACK")
        wait_for(lambda: "the writer of the database moves again" in service.log())
        service.hear("WATCHDOG=1")
        self.assertEqual(service.stop(), 0)


class Log(unittest.TestCase):
    def test_json_lines_say_what_they_are_about(self):
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-http-")
        self.addCleanup(directory.cleanup)
        token, line = make_token("anna", "submit")
        tokens = os.path.join(directory.name, "tokens")
        with open(os.open(tokens, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(line + "\n")
        service = Service(self, directory.name, flags=["--listen", "127.0.0.1:0", "--tokens-file", tokens, "--log-format",
                                                       "json", "--dataset", "gone=/nonexistent"])
        service.hear("READY=1")
        with open(os.path.join(service.state_dir, "address"), encoding="ascii") as file:
            address = "http://" + file.read().strip()
        body = ("-H", "Content-Type: application/json", "-d", json.dumps(dict(TINY, epochs=1)))
        curl(address + "/api/v1/runs", *bearer("wrong"), "-H", "X-Request-Id: refused-1", *body)
        curl(address + "/api/v1/runs", *bearer(token), "-H", "X-Request-Id: taken-1", *body)
        curl(address + "/api/v1/runs/1/events", *bearer(token))  # to its end
        self.assertEqual(service.stop(), 0)
        lines = [json.loads(line) for line in service.log().splitlines()]

        def find(**wanted):
            found = [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]
            self.assertTrue(found, f"{wanted} in\n{service.log()}")
            return found

        self.assertIn("1 token of", lines[0]["message"])
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        refused = find(request_id="refused-1", peer="127.0.0.1", level="warning")
        self.assertIn(" 401 ", refused[0]["message"])
        self.assertNotIn("owner", refused[0])
        find(request_id="taken-1", peer="127.0.0.1", level="info", owner="anna", run_id="1")  # that it made
        self.assertIn("succeeded", find(run_id="1", owner="anna")[-1]["message"])
        self.assertTrue(any("data set gone cannot be used" in line["message"] for line in find(level="warning")))


if __name__ == "__main__":
    unittest.main()
