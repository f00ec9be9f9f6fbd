"""Presets, data sets, the system, health and the welcome page."""

import os
import re
import shutil
import unittest

from daemon_process import DaemonTestCase


class Meta(DaemonTestCase):
    def test_presets_show_every_field(self):
        presets = self.daemon.get("/api/v1/presets")["items"]
        self.assertEqual([p["name"] for p in presets if p["default"]], ["notebook-q3"])
        self.assertEqual({p["name"] for p in presets},
                         {"notebook-q3", "notebook-q2", "paper", "keras-example", "paper-v1"})
        for preset in presets:
            self.assertEqual(self.daemon.get("/api/v1/presets/" + preset["name"]), preset)
            self.assertEqual(preset["config"]["preset"], preset["name"])
            self.assertEqual(preset["config"]["dataset"], "shapes")
            self.assertEqual(preset["config"]["depth"], 44)
            self.assertTrue(preset["description"])
        paper = self.daemon.get("/api/v1/presets/paper")["config"]
        self.assertEqual((paper["optimizer"], paper["lr"], paper["momentum"], paper["crop_pad"]),
                         ("sgd", 0.1, 0.9, 4))

    def test_datasets_say_what_is_there(self):
        items = self.daemon.get("/api/v1/datasets")["items"]
        self.assertEqual([item["name"] for item in items], ["shapes"])
        self.assertEqual((items[0]["train_images"], items[0]["test_images"]), (512, 100))
        self.assertIs(items[0]["generated"], True)
        self.assertIs(items[0]["default"], True)

    def test_system_counts_runs(self):
        before = self.daemon.get("/api/v1/system")
        self.assertRegex(before["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(before["workers"], 1)
        self.assertEqual(before["threads_per_run"], 1)
        self.assertEqual(before["cores"], os.cpu_count())
        self.assertEqual(before["memory"]["run_limit_bytes"], 4 * 2**30)
        self.daemon.wait_for_end(self.daemon.submit(epochs=1))
        after = self.daemon.get("/api/v1/system")
        self.assertEqual(after["runs"]["succeeded"], before["runs"]["succeeded"] + 1)
        self.assertGreaterEqual(after["uptime_seconds"], before["uptime_seconds"])

    def test_health_and_readiness_with_and_without_prefix(self):
        for prefix in ("", "/api/v1"):
            health = self.daemon.curl(prefix + "/healthz")
            self.assertEqual((health.status, health.body), (200, "ok\n"))
            self.assertTrue(health.type.startswith("text/plain"))
            self.assertEqual(self.daemon.curl(prefix + "/readyz").status, 200)

    def test_welcome_page_has_lines_to_paste(self):
        page = self.daemon.curl("/")
        self.assertEqual(page.status, 200)
        self.assertIn(f"curl -d '{{\"m\":8,\"cutout_size\":12}}' "
                      f"http://{self.daemon.address}/api/v1/runs", page.body)

    def test_the_welcome_names_the_daemon_as_the_client_does_and_believes_no_stranger(self):
        port = self.daemon.address.rpartition(":")[2]
        page = self.daemon.curl("/", "-H", f"Host: localhost:{port}", "-H", "X-Forwarded-Proto: https")
        self.assertIn(f" http://localhost:{port}/openapi.json", page.body)

    def test_the_page_and_the_text_follow_the_weights_of_accept(self):
        for accept, type in (("text/html,*/*;q=0.8", "text/html"), ("text/html", "text/html"),
                             ("*/*", "text/plain"), ("text/html;q=0, */*", "text/plain"),
                             ("text/plain, text/html;q=0.1", "text/plain")):
            with self.subTest(accept):
                self.assertTrue(self.daemon.curl("/", "-H", "Accept: " + accept).type.startswith(type))

    def test_the_pages_files_come_packed_as_the_client_takes_them(self):
        page = self.daemon.curl("/", "-H", "Accept: text/html").body
        address = re.search(r'"(/assets/[^"]*/app\.js)"', page).group(1)
        plain = self.daemon.curl(address, malformed=True)
        self.assertNotIn("content-encoding", plain.headers)
        for accepted, encoding in (("gzip", "gzip"), ("gzip, deflate, br", "br" if shutil.which("brotli") else "gzip")):
            packed = self.daemon.curl(address, "--compressed", "-H", "Accept-Encoding: " + accepted, malformed=True)
            self.assertEqual(packed.headers["content-encoding"], encoding)
            self.assertEqual(packed.body, plain.body)

    def test_every_answer_says_its_type_and_is_not_guessed(self):
        for path in ("/", "/healthz", "/api/v1/runs", "/api/v1/presets", "/api/v1/nothing"):
            headers = self.daemon.curl(path, malformed=path.endswith("nothing")).headers
            self.assertIn("content-type", headers)
            self.assertEqual(headers["x-content-type-options"], "nosniff")


if __name__ == "__main__":
    unittest.main()
