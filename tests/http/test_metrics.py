"""What Prometheus is told: its own checker agrees, and the numbers are those of the daemon."""

import re
import shutil
import subprocess
import unittest

from daemon_process import PATIENCE_S, DaemonTestCase, wait_for

SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-z]+)="([^"]*)"')


def parse(text):
    """{(name, frozenset of labels): value}"""
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            samples[name, frozenset(LABEL.findall(labels or ""))] = float(value)
    return samples


class Metrics(DaemonTestCase):
    def scrape(self):
        response = self.daemon.curl("/metrics")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.type, "text/plain; version=0.0.4; charset=utf-8")
        return parse(response.body)

    def value(self, name, **labels):
        return self.scrape().get((name, frozenset(labels.items())), 0.0)

    @unittest.skipUnless(shutil.which("promtool"), "SKIPPED: promtool is not installed")
    def test_promtool_finds_nothing_to_say(self):
        self.daemon.wait_for_end(self.daemon.submit(epochs=1))
        text = self.daemon.curl("/metrics").body
        result = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                capture_output=True, timeout=PATIENCE_S, check=False)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_runs_and_epochs_are_counted(self):
        # Of the store: what /metrics says of runs may be two seconds old.
        succeeded = len(self.daemon.get("/api/v1/runs?state=succeeded")["items"])
        epochs = self.value("cutoutd_epoch_duration_seconds_count")
        commits = self.value("cutoutd_store_commit_duration_seconds_count")
        self.daemon.wait_for_end(self.daemon.submit(epochs=3))
        wait_for(lambda: self.value("cutoutd_runs", state="succeeded") == succeeded + 1)
        self.assertEqual(self.value("cutoutd_epoch_duration_seconds_count"), epochs + 3)
        self.assertGreater(self.value("cutoutd_store_commit_duration_seconds_count"), commits + 3)
        self.assertGreater(self.value("cutoutd_epoch_duration_seconds_sum"), 0)
        wait_for(lambda: self.value("cutoutd_queue_oldest_age_seconds") == 0)

    def test_a_waiting_run_has_an_age(self):
        daemon = self.fresh()
        first = daemon.submit(epochs=100000)
        daemon.events(first, until=lambda e: e["event"] == "step")
        daemon.submit()
        age = ("cutoutd_queue_oldest_age_seconds", frozenset())
        wait_for(lambda: parse(daemon.curl("/metrics").body)[age] > 0)
        samples = parse(daemon.curl("/metrics").body)
        self.assertGreater(samples["cutoutd_run_images_per_second", frozenset({("run", first)})], 0)

    def test_requests_are_counted_by_route_and_class(self):
        name = "cutoutd_http_request_duration_seconds_count"
        route = {"route": "/api/v1/runs/{id}", "method": "GET", "status": "4xx"}
        nowhere = {"route": "none", "method": "any", "status": "4xx"}
        before = self.scrape()
        for _ in range(3):
            self.assertEqual(self.daemon.curl("/api/v1/runs/999999").status, 404)
        self.assertEqual(self.daemon.curl("/secret-of-a-client", malformed=True).status, 404)
        after = self.scrape()
        for labels, n in ((route, 3), (nowhere, 1)):
            key = (name, frozenset(labels.items()))
            self.assertEqual(after[key], before.get(key, 0) + n)
        self.assertNotIn("secret", self.daemon.curl("/metrics").body)

    def test_histograms_grow_and_end_with_their_count(self):
        samples = self.scrape()
        buckets = {}
        for (name, labels), value in samples.items():
            if name.endswith("_bucket"):
                rest = frozenset(pair for pair in labels if pair[0] != "le")
                buckets.setdefault((name, rest), []).append(value)
        self.assertGreater(len(buckets), 2)
        for (name, labels), values in buckets.items():
            self.assertEqual(values, sorted(values))
            self.assertEqual(values[-1], samples[name.replace("_bucket", "_count"), labels])

    def test_an_open_stream_and_its_connection_are_seen(self):
        before = self.value("cutoutd_http_streams")
        with subprocess.Popen(["curl", "-sSN", self.daemon.url("/api/v1/events")],
                              stdout=subprocess.PIPE) as stream:
            self.assertTrue(stream.stdout.readline())
            self.assertEqual(self.value("cutoutd_http_streams"), before + 1)
            self.assertGreaterEqual(self.value("cutoutd_http_connections"), 2)
            stream.kill()

    def test_disk_and_build_are_told(self):
        samples = self.scrape()
        self.assertGreater(samples["cutoutd_database_bytes", frozenset()], 0)
        self.assertGreater(samples["cutoutd_state_dir_free_bytes", frozenset()], 0)
        self.assertGreater(samples["process_start_time_seconds", frozenset()], 1.7e9)
        build = [dict(labels) for name, labels in samples if name == "cutoutd_build_info"]
        self.assertEqual(len(build), 1)
        self.assertEqual(build[0]["version"], self.daemon.get("/api/v1/system")["version"])


if __name__ == "__main__":
    unittest.main()
