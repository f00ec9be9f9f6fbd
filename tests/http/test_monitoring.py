"""The alerts and the dashboard of systemd/guides/monitoring: promtool's tests, only metrics that the daemon has, and a Prometheus
that has an answer to every query of the dashboard."""

import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

try:
    import jsonschema
except ImportError:
    jsonschema = None

from daemon_process import PATIENCE_S, DaemonTestCase, wait_for

PLACE = pathlib.Path(__file__).parent / "../../systemd/guides/monitoring"
METRIC = re.compile(r"\b(?:cutoutd|process)_[a-z_]+\b")


def promtool(*words):
    result = subprocess.run(["promtool", *words], cwd=PLACE, capture_output=True, text=True, timeout=PATIENCE_S)
    if result.returncode != 0:
        raise AssertionError(result.stdout + result.stderr)
    return result.stdout


def dashboard():
    return json.loads((PLACE / "dashboard.json").read_text(encoding="utf-8"))


def targets():
    """Every query of the dashboard, with what Grafana would send."""
    document = dashboard()
    for holder in document["panels"] + [{"targets": document["annotations"]["list"]}]:
        for target in holder["targets"]:
            yield dict(target, expr=target["expr"].replace("$instance", ".*"))


def expressions():
    return [target["expr"] for target in targets()]


class Prometheus:
    """One that scrapes a daemon every second, as scrape.yml says."""

    def __init__(self, daemon_address, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        scrape = (PLACE / "scrape.yml").read_text(encoding="utf-8")
        assert "127.0.0.1:8080" in scrape
        config = pathlib.Path(directory) / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n" +
                          re.sub(r"\n *scrape_(interval|timeout):.*", "", scrape.replace("127.0.0.1:8080", daemon_address)),
                          encoding="utf-8")
        self.log = open(pathlib.Path(directory) / "log", "w+b")
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
                                         f"--web.listen-address={self.address}"], stdout=self.log, stderr=self.log)

    def end(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.log.close()

    def ask(self, query):
        """The series of the answer; none while it is not up."""
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(self.log.read().decode())
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)["data"]["result"]
        return []


class Monitoring(DaemonTestCase):
    def test_every_metric_is_one_of_the_daemon(self):
        self.daemon.wait_for_end(self.daemon.submit(epochs=1))
        running = self.daemon.submit(epochs=100000)
        wait_for(lambda: "cutoutd_run_images_per_second{" in self.daemon.curl("/metrics").body)
        there = set(METRIC.findall(self.daemon.curl("/metrics").body))
        self.daemon.curl(f"/api/v1/runs/{running}/kill", "-X", "POST")
        rules = (PLACE / "cutoutd.rules.yml").read_text(encoding="utf-8")
        asked = set(METRIC.findall(rules + "\n".join(expressions()))) - {"cutoutd_rules"}
        self.assertGreater(len(asked), 10)
        self.assertLessEqual(asked, there)
        guide = set(METRIC.findall((PLACE / "../monitoring.md").read_text(encoding="utf-8")))
        self.assertLessEqual({name for name in guide if name != "process_"},
                             there | {re.sub("_bucket$", "", name) for name in there})

    @unittest.skipUnless(shutil.which("prometheus"), "SKIPPED: prometheus is not installed")
    def test_a_prometheus_has_an_answer_to_every_query(self):
        running = self.daemon.submit(epochs=100000)
        wait_for(lambda: "cutoutd_run_images_per_second{" in self.daemon.curl("/metrics").body)
        directory = tempfile.TemporaryDirectory(prefix="cutoutd-http-")
        self.addCleanup(directory.cleanup)
        prometheus = Prometheus(self.daemon.address, directory.name)
        self.addCleanup(prometheus.end)
        wait_for(lambda: any(float(s["value"][1]) >= 3 for s in prometheus.ask("count_over_time(cutoutd_ready[1m])")))
        for target in targets():
            with self.subTest(target["expr"]):
                series = prometheus.ask(target["expr"].removesuffix(" > 0"))  # when something has happened
                self.assertTrue(series)
                for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
                    self.assertTrue(all(label in s["metric"] for s in series), f"no {label} in {series}")
        self.assertTrue(prometheus.ask("cutoutd_build_info"))  # of the variable "instance"
        self.daemon.curl(f"/api/v1/runs/{running}/kill", "-X", "POST")

    @unittest.skipUnless(jsonschema, "SKIPPED: python3-jsonschema is not installed")
    def test_the_dashboard_has_only_fields_that_grafana_knows(self):
        schema = json.loads(pathlib.Path(__file__).with_name("dashboard_schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        errors = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(dashboard())]
        self.assertEqual(errors, [])
        document = dashboard()
        ids = [panel["id"] for panel in document["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        variables = {variable["name"] for variable in document["templating"]["list"]}
        self.assertLessEqual(set(re.findall(r"\$\{?(\w+)", json.dumps(document))) - {"__all"}, variables)
        for panel in document["panels"]:
            letters = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(letters), len(set(letters)), panel["title"])
            names = {target["legendFormat"] for target in panel["targets"]}
            self.assertLessEqual({o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}, names, panel["title"])

    def test_panels_stand_side_by_side(self):
        places = [panel["gridPos"] for panel in dashboard()["panels"]]
        cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"])
                 for y in range(p["y"], p["y"] + p["h"])]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertLess(max(x for x, _ in cells), 24)

    @unittest.skipUnless(shutil.which("promtool"), "SKIPPED: promtool is not installed")
    def test_promtool_takes_scrape_and_rules_and_their_tests_pass(self):
        promtool("check", "config", "scrape.yml")
        self.assertIn("SUCCESS", promtool("test", "rules", "rules_test.yml"))
        tested = (PLACE / "rules_test.yml").read_text(encoding="utf-8")
        for alert in re.findall(r"alert: (\w+)", (PLACE / "cutoutd.rules.yml").read_text(encoding="utf-8")):
            self.assertRegex(tested, rf"alertname: {alert}\n        exp_alerts", "no test in which it comes")

    @unittest.skipUnless(shutil.which("promtool"), "SKIPPED: promtool is not installed")
    def test_promtool_takes_every_query_of_the_dashboard(self):
        rules = [{"record": f"query:{i}", "expr": text} for i, text in enumerate(expressions())]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)  # JSON is YAML
            file.flush()
            self.assertIn(f"{len(rules)} rules found", promtool("check", "rules", file.name))


if __name__ == "__main__":
    unittest.main()
