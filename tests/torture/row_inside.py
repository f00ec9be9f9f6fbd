"""kill -9 and stops inside runs of every kind: each ends with the history and the checkpoints that it would
have had, and every checkpoint on the way has the bits that others had at the same step."""

import signal
import time

from lab import CONFIGS, FINAL, check

SUMMARY = "kill -9 and clean stops inside runs"
LEAST = 2  # rounds over all configs


def interrupt(lab, victim, n_stops):
    """Ends the daemon in some way, after a while."""
    time.sleep(lab.random.expovariate(1 / 0.3))
    if lab.random.random() < 0.25:
        n_stops["stops"] += 1
        check(victim.stop(lab.random.choice([signal.SIGTERM, signal.SIGINT])) == 0, victim.log())
    else:
        n_stops["kills"] += 1
        victim.kill()


def wait_until_trained(victim, run_id):
    """A run during which the daemon was killed six times before it came to anything waits for a requeue."""
    ended = victim.wait_final(run_id, 600)
    if ended["state"] == "failed" and "requeue tries again" in ended["reason"]:
        victim.ask_json("POST", f"/api/v1/runs/{run_id}/requeue")
        victim.wait_final(run_id, 600)


def run(lab):
    counts = {"kills": 0, "stops": 0}
    n_runs = 0
    lab.reference.make(*CONFIGS)
    for i in lab.rounds(LEAST):
        victim = lab.victim(f"round{i}", workers=lab.random.choice([1, 2]))
        victim.start()
        runs = {name: victim.ask_json("POST", "/api/v1/runs", body)["id"] for name, body in CONFIGS.items()}
        n_runs += len(runs)
        for _ in range(4 if lab.short else 12):
            interrupt(lab, victim, counts)
            for name, run_id in runs.items():
                lab.reference.look(victim, name, run_id)
            victim.start()
            if all(victim.run(run_id)["state"] in FINAL for run_id in runs.values()):
                break
        for name, run_id in runs.items():
            wait_until_trained(victim, run_id)
            lab.reference.compare(victim, name, run_id)
        check(victim.stop() == 0, victim.log())
        lab.done_with(victim)
    n_checkpoints = sum(len(places) for places in lab.reference.seen.values())
    lab.say(f"{counts['kills']} kills and {counts['stops']} stops inside {n_runs} runs of {len(CONFIGS)} configs; "
            f"checkpoints of {n_checkpoints} different steps, all bit-identical")
