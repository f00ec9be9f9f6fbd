"""The README's own lines, run in order as somebody who follows it would."""

import json
import os
import pathlib
import re
import subprocess
import unittest

from daemon_process import PATIENCE_S, SLOW_BUILD, DaemonTestCase

README = pathlib.Path(__file__).parents[2] / "README.md"
ENDLESS = "/api/v1/events"  # ends by Ctrl-C


def section(title):
    return README.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def curl_lines():
    return [line.strip() for line in section("The API by curl").splitlines() if line.startswith("    curl ")]


class Readme(DaemonTestCase):
    @unittest.skipIf(SLOW_BUILD, "SKIPPED: a step of its ResNet-44 takes minutes under a sanitizer")
    def test_the_lines_of_curl_work_in_their_order(self):
        lines = curl_lines()
        self.assertGreater(len(lines), 20)
        for line in lines:
            endless = ENDLESS in line
            options = f"--fail-with-body --silent --show-error --max-time {5 if endless else PATIENCE_S}"
            command = line.replace("localhost:8080", self.daemon.address).replace("curl -f ", "curl ")
            result = subprocess.run(
                ["bash", "-c", f'curl() {{ command curl {options} "$@"; }}; {command}'], capture_output=True,
                cwd=self.daemon.directory, timeout=PATIENCE_S + 10, check=False)
            expected = 28 if endless else 0  # its time is over
            self.assertEqual(result.returncode, expected, (line, result.stdout[-500:], result.stderr))
            output = result.stdout.decode(errors="replace")
            self.assertTrue(output or " -o " in line, line)
            if line.startswith("curl -N ") and not endless:
                self.assertIn("event: end", output, line)
        self.assertGreater(os.path.getsize(os.path.join(self.daemon.directory, "best.safetensors")), 100000)
        self.assertEqual(self.daemon.get("/api/v1/runs/1")["state"], "succeeded")
        self.assertEqual(self.daemon.get("/api/v1/runs/2")["state"], "succeeded")
        self.assertEqual(self.daemon.get("/api/v1/scheduler")["state"], "running")
        self.assertEqual(self.daemon.get("/api/v1/sweeps/1")["progress"]["by_state"]["succeeded"], 4)

    def test_the_fields_of_a_run_are_those_of_the_description(self):
        text = section("The API by curl").split("Fields of a run")[1]
        listed = re.search(r"`([a-z0-9_ \n]+)`", text).group(1).split()
        document = json.loads(self.daemon.curl("/openapi.json").body)
        described = document["components"]["schemas"]["run_request"]["properties"]
        self.assertEqual(sorted(listed), sorted(described))


if __name__ == "__main__":
    unittest.main()
