"""Event streams: order, ids, coming back, and ends."""

import time
import unittest

from daemon_process import DaemonTestCase


def of_type(events, *types):
    return [event for event in events if event["event"] in types]


class Events(DaemonTestCase):
    def test_live_stream_tells_the_whole_run(self):
        blocker = self.daemon.submit(epochs=100000)
        run = self.daemon.submit(epochs=3)
        started = []

        def unblock(event):
            if event["event"] == "snapshot":
                started.append(event)
                self.daemon.curl(f"/api/v1/runs/{blocker}/cancel", "-X", "POST")
            return event["event"] == "end"

        events = self.daemon.events(run, until=unblock)
        self.assertEqual(events[0]["event"], "snapshot")
        self.assertEqual(events[0]["data"]["state"], "queued")
        self.assertEqual([e["data"]["state"] for e in of_type(events, "state")],
                         ["running", "succeeded"])
        self.assertEqual([e["data"]["epoch"] for e in of_type(events, "epoch")], [1, 2, 3])
        self.assertEqual(events[-1]["event"], "end")
        self.assertEqual(events[-1]["data"], self.daemon.get(f"/api/v1/runs/{run}"))
        ids = [int(e["id"]) for e in of_type(events, "state", "epoch", "checkpoint")]
        self.assertEqual(ids, sorted(set(ids)))
        rows = self.daemon.history(run)
        for event, row in zip(of_type(events, "epoch"), rows):
            self.assertEqual(event["data"]["train_loss"], row["train_loss"])
            self.assertEqual(event["data"]["val_wrong"], row["val_wrong"])

    def test_steps_come_at_most_once_a_second(self):
        run = self.daemon.submit(epochs=100000)
        steps = []
        times = []

        def four_steps(event):
            if event["event"] == "step":
                steps.append(event)
                times.append(time.monotonic())
            return len(steps) == 4

        self.daemon.events(run, until=four_steps)
        self.daemon.curl(f"/api/v1/runs/{run}/cancel", "-X", "POST")
        for step in steps:
            self.assertIsNone(step["id"])
            self.assertEqual(step["data"]["steps_per_epoch"], 4)
        # Three seconds from the first to the fourth, less at most one that the first is late here.
        self.assertGreater(times[3] - times[0], 2)
        positions = [(s["data"]["epoch"], s["data"]["step"]) for s in steps]
        self.assertEqual(positions, sorted(set(positions)))

    def test_client_that_comes_back_misses_nothing(self):
        run = self.daemon.submit(epochs=3)
        whole = self.daemon.events(run, query="?since=0")
        persistent = of_type(whole, "state", "epoch", "checkpoint")
        self.assertEqual(persistent[0]["data"]["state"], "queued")
        self.assertEqual(of_type(whole, "snapshot"), [])
        self.assertEqual(whole[-1]["event"], "end")
        for i in (0, 2, len(persistent) - 1):
            seen = persistent[i]["id"]
            by_header = self.daemon.events(run, "-H", f"Last-Event-ID: {seen}")
            by_query = self.daemon.events(run, query=f"?since={seen}")
            self.assertEqual(by_header, by_query)
            self.assertEqual(of_type(by_header, "state", "epoch", "checkpoint"),
                             persistent[i + 1:])
            self.assertEqual(by_header[-1]["event"], "end")

    def test_finished_run_is_a_snapshot_and_an_end(self):
        run = self.daemon.submit(epochs=1)
        self.daemon.wait_for_end(run)
        events = self.daemon.events(run)
        self.assertEqual([event["event"] for event in events], ["snapshot", "end"])
        self.assertEqual(events[0]["data"], events[1]["data"])

    def test_head_and_bad_ids(self):
        run = self.daemon.submit(epochs=1)
        head = self.daemon.curl(f"/api/v1/runs/{run}/events", "--head")
        self.assertEqual(head.type, "text/event-stream")
        for wrong in ("x", "-1", "1.5"):
            self.assert_problem(
                self.daemon.curl(f"/api/v1/runs/{run}/events?since={wrong}"), 400)


class Stop(DaemonTestCase):
    def test_daemon_that_stops_ends_its_streams(self):
        daemon = self.fresh()
        run = daemon.submit(epochs=100000)

        def stop_at_step(event):
            if event["event"] == "step" and daemon.running:
                self.assertEqual(daemon.terminate(), 0)
            return False

        events = daemon.events(run, until=stop_at_step)
        self.assertEqual(of_type(events, "end"), [])
        self.assertFalse(daemon.running)


if __name__ == "__main__":
    unittest.main()
