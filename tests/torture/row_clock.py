"""The clock jumps: a day forth and back, to 1970 and to 2039, at the start and while it trains. Nothing happens
early, nothing is lost, and no bits depend on it."""

import time

from lab import CONFIGS, check

SUMMARY = "the clock jumps"
DAY = 86400.0
KIND = "adam"
PAST_1970 = 3600.0 - time.time()  # an hour into 1970
YEAR_2039 = 2180000000.0 - time.time()
JUMPS = {"a day forth": DAY, "a day back": -DAY, "1970": PAST_1970, "2039": YEAR_2039}


def everything_is_there(victim, runs, sums):
    for run in runs:
        found = victim.run(run)
        check(found["state"] in ("succeeded", "queued", "running"), f"{found}")
        items = victim.ask_json("GET", f"/api/v1/runs/{run}/checkpoints")["items"]
        kinds = {item["kind"] for item in items}
        check(run not in sums or {"last", "best"} <= kinds, f"run {run}: checkpoints {kinds}\n{victim.log()}")


def jump(lab, victim, name, seconds, runs):
    """While one trains: it ends with the same bits, and what was there stays."""
    run = victim.ask_json("POST", "/api/v1/runs", CONFIGS[KIND], Idempotency_Key=f"key {name}".replace(" ", "-"))["id"]
    victim.wait_until(lambda: victim.run(run)["state"] != "queued")
    victim.control.move_clock(seconds)
    again = victim.ask("POST", "/api/v1/runs", CONFIGS[KIND], Idempotency_Key=f"key {name}".replace(" ", "-"))
    check(again.status == 201 and again.json()["id"] == run, f"{name}: the same key made run {again.json()['id']}")
    victim.wait_final(run)
    lab.reference.compare(victim, KIND, run)
    runs.append(run)
    everything_is_there(victim, runs, set(runs))
    stream = victim.ask("GET", f"/api/v1/runs/{run}/events?since=0&format=ndjson")
    check('"end"' in stream.body, f"{name}: {stream.body}")
    for path in ("/metrics", "/api/v1/queue", "/api/v1/system", "/api/v1/runs?sort=-finished", "/readyz"):
        check(victim.ask("GET", path).status == 200, f"{name}: {path}")


def restart(victim, name, seconds, runs):
    """A start under another clock: retention looks at once."""
    check(victim.stop() == 0, victim.log())
    victim.control.move_clock(seconds)
    victim.start()
    time.sleep(0.5)  # retention has nothing that one could wait for when it does nothing
    everything_is_there(victim, runs, set(runs))


def run(lab):
    n = 0
    for i in lab.rounds(1):
        victim = lab.victim(f"round{i}", CUTOUTD_KEEP_CHECKPOINTS_DAYS="3", CUTOUTD_KEEP_EVENTS_DAYS="3")
        victim.start()
        runs = []
        for name, seconds in JUMPS.items():
            jump(lab, victim, name, seconds, runs)
            victim.control.move_clock(0)
            jump(lab, victim, f"back from {name}", 0, runs)
            n += 2
        for name, seconds in JUMPS.items():
            restart(victim, name, seconds, runs)
            restart(victim, f"back from {name}", 0, runs)
            n += 2
        check(victim.stop() == 0, victim.log())
        lab.done_with(victim)
    lab.say(f"{n} jumps: {', '.join(JUMPS)}, each and back, while it trained and between two starts")
