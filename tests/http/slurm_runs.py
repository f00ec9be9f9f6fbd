"""What the tests of the executor slurm have in common, over the real one (tests/slurm) and over commands that go wrong."""

import json

from daemon_process import SLOW_BUILD, TINY

SMALL = TINY if SLOW_BUILD else dict(TINY, train_images=32, test_images=20)  # 20 ms an epoch, or less
ENDLESS = dict(SMALL, epochs=100000)
LONG_S = 4  # several times what the configs of the tests have as poll_s: epochs are told that much later


class SlurmRuns:
    """Beside unittest.TestCase, with a `daemon`."""

    long_runs = {}  # by their seconds, found once for all tests

    def long(self, seconds=LONG_S):
        """A run that is met in the middle: it lasts so long on this machine."""
        if seconds not in self.long_runs:
            self.long_runs[seconds] = self.daemon.lasting(seconds, **SMALL)
        return self.long_runs[seconds]

    local = {}  # histories of runs that were trained without Slurm, by what they are

    def history_here(self, base):
        key = json.dumps(base, sort_keys=True)
        if key not in self.local:
            here = self.daemon.submit(**dict(base, executor="local"))
            self.daemon.wait_for_end(here)
            self.local[key] = self.daemon.history(here)
        return self.local[key]

    def submit(self, base=None, **fields):
        return self.daemon.submit(**dict(base or SMALL, executor="slurm", **fields))

    def run_of(self, run):
        return self.daemon.get(f"/api/v1/runs/{run}")

    def wait_for_epoch(self, run):
        """Meets it in the middle: it has an epoch, and more to train."""
        self.daemon.events(run, until=lambda event: event["event"] in ("epoch", "end"))
        self.assertIn(self.run_of(run)["state"], ("queued", "running"), "it ended before it was met\n" + self.daemon.log())

    def succeeds(self, run, attempt, base=None):
        """It has ended well, at this attempt, once, with the history of a run that was trained here."""
        self.assertEqual(self.daemon.wait_for_end(run)["state"], "succeeded", self.daemon.log())
        row = self.run_of(run)
        self.assertEqual(row["attempt"], attempt, self.daemon.log())
        self.assertEqual(self.daemon.history(run), self.history_here(base or SMALL))
        return row
