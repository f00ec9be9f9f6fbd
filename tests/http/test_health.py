"""Health, readiness and metrics are answered whatever the store and other requests do."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import time
import unittest

from daemon_process import PATIENCE_S, SLOW_BUILD, DaemonTestCase, wait_for

AT_ONCE_S = 10 if SLOW_BUILD else 4  # waiting for the others it would be SQLite's 5 s, or more
BIG = "/api/v1/figures/cutout.png?dataset=shapes&m=64"
SMALL = "/api/v1/figures/cutout.png?dataset=shapes&m=1"


class Health(DaemonTestCase):
    def timed(self, path):
        begun = time.monotonic()
        return self.status(path), time.monotonic() - begun

    def status(self, path):
        """For bodies that are no text."""
        return subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", self.daemon.url(path)],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout

    @contextlib.contextmanager
    def write_lock(self):
        """Another process is in the middle of a write."""
        database = sqlite3.connect(os.path.join(self.daemon.state_dir, "cutoutd.db"), isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            yield
        finally:
            database.close()

    def test_a_lock_of_another_process_makes_it_unready_and_stops_no_health_check(self):
        self.assertEqual(self.daemon.curl("/readyz").body, "ready\n")
        posts = []
        with self.write_lock():
            for _ in range(12):  # more than there are threads
                posts.append(subprocess.Popen(
                    ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", '{"hold":true}',
                     self.daemon.url("/api/v1/runs")], stdout=subprocess.PIPE, text=True))
            begun = time.monotonic()
            wait_for(lambda: self.daemon.curl("/readyz").status == 503)
            self.assertLess(time.monotonic() - begun, 3 + AT_ONCE_S)
            for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
                status, seconds = self.timed(path)
                self.assertLess(seconds, AT_ONCE_S, path)
                self.assertEqual(status, "503" if path == "/readyz" else "200")
            problem = self.assert_problem(self.daemon.curl("/readyz"), 503)
            self.assertIn("database", problem["detail"])
            self.assertTrue(self.daemon.curl("/readyz").headers["retry-after"])
            self.assertIn("\ncutoutd_ready 0\n", self.daemon.curl("/metrics").body)
        for post in posts:
            self.assertIn(post.communicate(timeout=PATIENCE_S)[0], ("201", "503"))
        wait_for(lambda: self.daemon.curl("/readyz").status == 200)

    def ask(self, path, n):
        """Asks n times, each on a connection of its own; returns the connections."""
        host, port = self.daemon.address.rsplit(":", 1)
        connections = []
        for _ in range(n):
            connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
            self.addCleanup(connection.close)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            connections.append(connection)
        return connections

    @staticmethod
    def head(connection):
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received.split(b"\r\n\r\n")[0].decode()

    def test_too_many_slow_requests_are_refused_and_the_quick_ones_pass(self):
        self.status(SMALL)  # the data set is read by now
        connections = self.ask(BIG, 60)
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/runs", SMALL):
            status, seconds = self.timed(path)
            self.assertEqual(status, "200")
            self.assertLess(seconds, AT_ONCE_S, path)
        heads = [self.head(connection) for connection in connections]
        refused = [head for head in heads if head.startswith("HTTP/1.1 503 ")]
        self.assertEqual(len(refused) + sum(head.startswith("HTTP/1.1 200 ") for head in heads), 60)
        self.assertGreater(len(refused), 20)
        self.assertTrue(all("\r\nRetry-After: " in head for head in refused))

    def n_pictures(self):
        needle = "cutoutd_http_request_duration_seconds_count{"
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.daemon.curl("/metrics").body.splitlines()
                   if line.startswith(needle) and "cutout.png" in line and 'status="2xx"' in line)

    def test_no_picture_is_drawn_for_a_client_that_has_left(self):
        self.status(SMALL)
        before = self.n_pictures()
        for connection in self.ask(BIG, 18):
            connection.close()
        last = self.ask(BIG, 1)[0]  # it waits behind them
        self.assertIn(self.head(last).split()[1], ("200", "503"))
        wait_for(lambda: self.status(BIG) == "200")
        self.assertLess(self.n_pictures() - before, 10)


if __name__ == "__main__":
    unittest.main()
