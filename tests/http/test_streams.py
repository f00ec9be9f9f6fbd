"""Streams of everything and of sweeps: other forms, and coming back after the daemon was away."""

import json
import unittest

from daemon_process import TIMES, TINY, DaemonTestCase

PERSISTENT = ("state", "epoch", "checkpoint", "edit")


def lasting(events):
    return [event for event in events if event["event"] in PERSISTENT]


def without_times(events):
    """An epoch that is trained again after a kill takes another time, all else is the same."""
    return [dict(event, data={k: v for k, v in event["data"].items() if k not in TIMES})
            for event in lasting(events)]


def ended(run):
    """The event with which a run has succeeded."""
    return lambda event: (event["event"] == "state" and event["data"]["run"] == run
                          and event["data"]["state"] == "succeeded")


class Streams(DaemonTestCase):
    def test_everything_tells_of_every_run(self):
        daemon = self.fresh()
        first = daemon.submit(epochs=1)
        second = daemon.submit(epochs=1)
        events = daemon.follow("/api/v1/events?since=0", until=ended(second))
        runs = [event["data"]["run"] for event in lasting(events)]
        self.assertEqual(sorted(set(runs)), [first, second])
        self.assertEqual([int(event["id"]) for event in lasting(events)],
                         sorted({int(event["id"]) for event in lasting(events)}))
        self.assertNotIn("end", [event["event"] for event in events])
        snapshot = daemon.follow("/api/v1/events", until=lambda event: True)[0]
        self.assertEqual(snapshot["event"], "snapshot")
        self.assertEqual(snapshot["data"]["by_state"]["succeeded"], 2)
        self.assertEqual(snapshot["data"]["items"], [])
        self.assertGreaterEqual(int(snapshot["id"]), int(events[-1]["id"]))

    def test_a_change_of_name_priority_and_labels_is_heard(self):
        daemon = self.daemon
        run = daemon.submit(epochs=1, hold=True, labels={"a": "1"})
        path = f"/api/v1/runs/{run}"
        edits = []
        for edit in ({"priority": 7}, {"name": "now", "labels": {"b": "2"}}, {"m": 2}):
            response = daemon.curl(path, "-X", "PATCH", data=edit)
            self.assertEqual(response.status, 200 if "m" not in edit else 422)
        heard = daemon.events(run, query="?since=0", until=lambda event: event["event"] == "edit"
                              and (edits.append(event) or len(edits) == 2))
        self.assertEqual([{k: edit["data"][k] for k in ("run", "name", "priority", "labels")}
                          for edit in edits],
                         [{"run": run, "name": None, "priority": 7, "labels": {"a": "1"}},
                          {"run": run, "name": "now", "priority": 7, "labels": {"b": "2"}}])
        self.assertEqual([event["event"] for event in heard], ["state", "edit", "edit"])
        # They can be heard again, by whoever follows everything as well.
        since = heard[0]["id"]
        again = daemon.follow(f"/api/v1/events?since={since}",
                              until=lambda event: event["event"] == "edit")
        self.assertEqual(again[-1], edits[0])
        self.assertIn('changed: priority 7, name "now", labels {"b":"2"}',
                      daemon.curl(path + "/log").body)
        daemon.curl(path + "/cancel", "-X", "POST")

    def test_daemon_that_was_away_leaves_no_gap(self):
        """One client follows by reconnecting over a stop and a kill -9, and hears exactly what one
        hears that reads everything at the end."""
        daemon = self.fresh()
        runs = [daemon.submit(epochs=2, seed=seed) for seed in range(3)]
        heard = []

        def follow(until):
            last = lasting(heard)[-1]["id"] if heard else "0"
            heard.extend(daemon.follow("/api/v1/events", "-H", f"Last-Event-ID: {last}",
                                       until=until))

        follow(lambda event: event["event"] == "epoch")
        self.assertEqual(daemon.terminate(), 0)
        daemon.start()
        follow(lambda event: event["event"] == "epoch" and event["data"]["run"] == runs[1])
        daemon.kill()
        daemon.start()
        follow(ended(runs[2]))
        self.assertNotIn("snapshot", [event["event"] for event in heard])
        everything = daemon.follow("/api/v1/events?since=0", until=ended(runs[2]))
        self.assertEqual(without_times(heard), without_times(everything))
        epochs = [(e["data"]["run"], e["data"]["epoch"]) for e in heard if e["event"] == "epoch"]
        self.assertEqual(epochs, [(run, epoch) for run in runs for epoch in (1, 2)])

    def test_sweep_is_followed_to_the_end_of_its_last_run(self):
        beside = self.daemon.submit(epochs=100000)
        base = {name: value for name, value in TINY.items() if name != "m"}
        sweep = self.daemon.curl("/api/v1/sweeps", data={
            "name": "by m", "base": base, "grid": {"m": [1, 2]}}).json()
        path = f"/api/v1/sweeps/{sweep['id']}/events"

        def begins_when_it_is_followed(event):
            if event["event"] == "snapshot":
                self.daemon.curl(f"/api/v1/runs/{beside}/kill", "-X", "POST")

        live = self.daemon.follow(path, until=begins_when_it_is_followed)
        self.assertEqual([live[0]["event"], live[-1]["event"]], ["snapshot", "end"])
        self.assertEqual(live[0]["data"]["name"], "by m")
        self.assertEqual(live[-1]["data"]["by_state"]["succeeded"], 2)
        whole = self.daemon.follow(path + "?since=0")
        runs = [event["data"]["run"] for event in lasting(whole)]
        self.assertEqual(sorted(set(runs), key=int), sweep["runs"])
        self.assertNotIn(beside, runs)
        self.assertEqual(whole[-1]["data"], live[-1]["data"])
        self.assertTrue(lasting(live))
        self.assertEqual(lasting(whole)[-len(lasting(live)):], lasting(live))

    def test_deleted_run_ends_its_stream(self):
        blocker = self.daemon.submit(epochs=100000)
        run = self.daemon.submit(epochs=1)

        def delete(event):
            if event["event"] == "snapshot":
                self.assertEqual(
                    self.daemon.curl(f"/api/v1/runs/{run}", "-X", "DELETE").status, 204)
            return False

        events = self.daemon.events(run, until=delete)
        self.assertEqual([events[0]["event"], events[-1]["event"]], ["snapshot", "end"])
        self.assertEqual(events[-1]["data"], {"run": run, "deleted": True})
        self.daemon.curl(f"/api/v1/runs/{blocker}/kill", "-X", "POST")

    def test_ndjson_says_the_same(self):
        run = self.daemon.submit(epochs=2)
        self.daemon.wait_for_end(run)
        path = f"/api/v1/runs/{run}/events?since=0"
        by_sse = self.daemon.follow(path)
        for options in (("-H", "Accept: application/x-ndjson", path), (path + "&format=ndjson",)):
            response = self.daemon.curl(options[-1], *options[:-1])
            self.assertEqual(response.type, "application/x-ndjson")
            self.assertEqual([json.loads(line) for line in response.body.splitlines()], by_sse)

    def test_refusals(self):
        self.assert_problem(self.daemon.curl("/api/v1/sweeps/7/events"), 404)
        self.assert_problem(self.daemon.curl("/api/v1/runs/999/events"), 404)
        self.assert_problem(self.daemon.curl("/api/v1/sweeps/x/events"), 404)
        for query in ("since=x", "since=-1", "format=xml", "until=3"):
            problem = self.assert_problem(self.daemon.curl("/api/v1/events?" + query), 400)
            self.assertEqual(problem["errors"][0]["parameter"], query.split("=")[0])


if __name__ == "__main__":
    unittest.main()
