"""Unix sockets, TLS, and a daemon that is not on the network at all."""

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import unittest

from daemon_process import (PATIENCE_S, Daemon, DaemonTestCase, make_certificate, tls_daemon,
                            unix_daemon)


class UnixSocket(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        return unix_daemon()

    def socket_path(self, daemon):
        return daemon.environment["CUTOUTD_UNIX_SOCKET"]

    def test_may_be_the_only_listener(self):
        self.assertEqual(self.daemon.address, "unix:" + self.socket_path(self.daemon))
        run = self.daemon.submit(epochs=1)
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "succeeded")
        self.assertIn("http://localhost/api/v1/runs", self.daemon.curl("/").body)

    def test_owner_and_group_may_connect(self):
        mode = os.stat(self.socket_path(self.daemon)).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o660)

    def test_a_clean_stop_removes_it_and_a_crash_does_not_matter(self):
        daemon = self.fresh()
        path = self.socket_path(daemon)
        daemon.kill()
        self.assertTrue(os.path.exists(path))
        daemon.start()
        self.assertEqual(daemon.curl("/healthz").status, 200)
        self.assertEqual(daemon.terminate(), 0)
        self.assertFalse(os.path.exists(path))

    def test_one_that_is_served_or_no_socket_is_left_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
                other.listen()
                self.assertIn("somebody serves it; `ss -lxp` names by whom", self.refusal(directory, path))
            os.unlink(path)
            with open(path, "w", encoding="ascii") as file:
                file.write("precious")
            self.assertIn("no socket", self.refusal(directory, path))
            with open(path, encoding="ascii") as file:
                self.assertEqual(file.read(), "precious")

    def refusal(self, directory, path):
        result = subprocess.run(
            [os.environ["CUTOUTD"], "serve", "--state-dir", os.path.join(directory, "state"),
             "--listen", "none", "--unix-socket", path],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        return result.stderr

    def test_none_needs_a_socket(self):
        result = subprocess.run([os.environ["CUTOUTD"], "check-config", "--listen", "none"],
                                capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("unix_socket", result.stderr)


class Both(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        directory = tempfile.mkdtemp(prefix="cutoutd-http-")
        return Daemon(directory, {"CUTOUTD_UNIX_SOCKET": os.path.join(directory, "socket")})

    def test_both_doors_lead_to_the_same_daemon(self):
        run = self.daemon.submit(epochs=1)
        path = self.daemon.environment["CUTOUTD_UNIX_SOCKET"]
        through_socket = self.daemon.curl(f"/api/v1/runs/{run}", "--unix-socket", path)
        self.assertEqual(through_socket.json()["id"], run)

    def test_a_stop_ends_the_streams_of_both(self):
        daemon = self.fresh()
        path = daemon.environment["CUTOUTD_UNIX_SOCKET"]
        streams = [subprocess.Popen(["curl", "-sSN", *options, daemon.url("/api/v1/events")],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                   for options in ((), ("--unix-socket", path))]
        for stream in streams:
            self.assertTrue(stream.stdout.readline())
        self.assertEqual(daemon.terminate(), 0)
        for stream in streams:
            stream.stdout.read()
            stream.stdout.close()
            stream.wait(PATIENCE_S)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class Tls(DaemonTestCase):
    @classmethod
    def make_daemon(cls):
        return tls_daemon()

    def test_answers_and_streams_come_by_https(self):
        self.assertTrue(self.daemon.address.startswith("https://127.0.0.1:"))
        self.assertEqual(self.daemon.wait_for_end(self.daemon.submit(epochs=1))["state"],
                         "succeeded")
        self.assertIn(self.daemon.address + "/api/v1/runs", self.daemon.curl("/").body)

    def test_heads_that_leave_no_memory_for_an_answer_get_one(self):
        for option, status in (("X-A: " + "a" * 31500, 431), ("Cookie: a=" + "a" * 15000, 431)):
            response = self.daemon.curl("/healthz", "-H", option, malformed=True)
            self.assertEqual(response.status, status)

    def test_old_versions_and_plain_text_are_not_served(self):
        for options in (("--tls-max", "1.1"), ("--proto", "=http")):
            url = self.daemon.url("/healthz")
            if "--proto" in options:
                url = url.replace("https:", "http:")
            result = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE_S), "--cacert",
                                     self.daemon.environment["CUTOUTD_TLS_CERT"], *options, url],
                                    capture_output=True, timeout=PATIENCE_S + 10, check=False)
            self.assertNotEqual(result.returncode, 0, options)

    def test_a_key_that_others_may_read_and_one_of_another_certificate_are_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            cert, key, other = (os.path.join(directory, n) for n in ("cert", "key", "other"))
            make_certificate(cert, key)
            os.chmod(key, 0o644)
            self.assertIn("chmod o=", self.refusal(directory, cert, key))
            os.chmod(key, 0o600)
            make_certificate(os.path.join(directory, "other-cert"), other)
            self.assertIn("tls_key", self.refusal(directory, cert, other))

    def test_hangup_takes_a_new_certificate_and_a_bad_one_changes_nothing(self):
        daemon = self.make_daemon()
        self.addCleanup(self.dispose, daemon)
        daemon.start()
        cert, key = (daemon.environment[f"CUTOUTD_TLS_{name}"] for name in ("CERT", "KEY"))
        first = os.path.join(daemon.directory, "first.pem")
        shutil.copy(cert, first)
        run = daemon.submit(epochs=1, hold=True)
        with subprocess.Popen(["curl", "-sSN", "--max-time", str(PATIENCE_S), "--cacert", first,
                               daemon.url(f"/api/v1/runs/{run}/events")],
                              stdout=subprocess.PIPE) as open_before:
            self.assertTrue(open_before.stdout.readline())
            make_certificate(cert, key)
            daemon.hang_up("SIGHUP: another certificate is in force for new connections")
            self.assertEqual(daemon.curl("/healthz").status, 200)
            with self.assertRaisesRegex(AssertionError, "certificate"):
                daemon.curl("/healthz", "--cacert", first)
            daemon.hang_up("SIGHUP: the certificate is the same")
            good = os.path.join(daemon.directory, "good.pem")
            shutil.copy(cert, good)
            # The key belongs to another one; then there is none at all.
            make_certificate(cert, os.path.join(daemon.directory, "other-key.pem"))
            daemon.hang_up("SIGHUP: the certificate stays as it was: tls_key")
            with open(cert, "w", encoding="ascii") as file:
                file.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
            daemon.hang_up("SIGHUP: the certificate stays as it was: the certificate")
            daemon.curl_options = ["--cacert", good]
            self.assertEqual(daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST").status, 200)
            # What was open all the time still works.
            self.assertIn(b"canceled by the user", open_before.stdout.read())
            self.assertEqual(open_before.wait(PATIENCE_S), 0)

    def refusal(self, directory, cert, key):
        result = subprocess.run(
            [os.environ["CUTOUTD"], "serve", "--state-dir", os.path.join(directory, "state"),
             "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        return result.stderr


if __name__ == "__main__":
    unittest.main()
