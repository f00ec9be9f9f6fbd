"""The alerts and the dashboard of systemd/guides/monitoring: promtool's tests, and only metrics that the daemon has."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

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


def expressions():
    """Every query of the dashboard, as Grafana would send it."""
    document = dashboard()
    for holder in document["panels"] + [{"targets": document["annotations"]["list"]}]:
        for target in holder["targets"]:
            yield target["expr"].replace("$instance", ".*")


class Monitoring(DaemonTestCase):
    def test_every_metric_is_one_of_the_daemon(self):
        self.daemon.wait_for_end(self.daemon.submit(epochs=1))
        running = self.daemon.submit(epochs=10000)
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
