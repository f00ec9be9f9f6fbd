"""What both programs do where their standard output cannot be written: nobody takes a part for the whole."""

import os
import subprocess
import unittest

from daemon_process import PATIENCE_S
from test_cutoutctl import BASE, CUTOUTCTL, ClientTestCase


class FullOutput(ClientTestCase):
    def on_full_disk(self, *line):
        """Exit status, and what stands on standard error."""
        with open("/dev/full", "wb") as full:
            result = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                                    env=self.environment_of(CUTOUTD_SHAPES_TRAIN="512"), timeout=PATIENCE_S)
        return result.returncode, result.stderr

    def test_a_command_of_the_daemon_fails(self):
        run = self.submit("m=1", "epochs=1")
        self.ctl("wait", run)
        file = os.path.join(self.daemon.directory, "best.safetensors")
        self.ctl("checkpoint", "get", run, "-o", file)
        settings = ["--config", "/dev/null", "--state-dir", self.daemon.state_dir]
        for command in (["token", "bob"], ["--version"], ["--help"], ["check-config", *settings],
                        *(["evaluate", file, "--format", format_, *settings] for format_ in ("text", "json", "csv"))):
            with self.subTest(command):
                status, said = self.on_full_disk(os.environ["CUTOUTD"], *command)
                self.assertEqual(status, 1, said)
                self.assertIn("standard output cannot be written", said)

    def test_a_command_of_the_client_fails(self):
        for command in (["--version"], ["--help"], ["list"], ["submit", "-q", *BASE, "m=1", "epochs=1", "hold=true"],
                        ["list", "-o", "csv"], ["watch"]):
            with self.subTest(command):
                status, said = self.on_full_disk(CUTOUTCTL, *command)
                self.assertEqual(status, 3, said)
                self.assertIn("standard output cannot be written", said)

    def test_what_was_refused_is_still_told_as_that(self):
        self.assertEqual(self.on_full_disk(os.environ["CUTOUTD"], "dance")[0], 2)
        self.assertEqual(self.on_full_disk(CUTOUTCTL, "show", "99999")[0], 1)


if __name__ == "__main__":
    unittest.main()
