"""A short life of a daemon, told in the same way each time, and what must be left of it whatever happened
at its Nth write: what was acknowledged is there, what was trained has the right bits."""

import os
import signal
import sqlite3
import time

from lab import CONFIGS, FINAL, STOP_WITHIN_S, Gone, check

KIND = "brief"
CONFIGS[KIND] = dict(CONFIGS["sgd"], epochs=2)
NOTE = b"what I wanted to know"
LACKS = ("memory", "thread")  # for want of them a run fails, and can be asked for again
REFUSALS = (500, 503, 507)  # of a daemon that cannot store


class Story:
    def __init__(self, victim):
        self.victim = victim
        self.told = {}  # what was acknowledged: step: its answer
        self.open = set()  # steps that were begun and not answered, or refused
        self.may_close = False  # without memory for an answer the connection is closed

    def ask(self, method, path, body=None, **headers):
        """The answer; None where the connection was closed instead, and may be."""
        try:
            return self.victim.ask(method, path, body, **headers)
        except Gone:
            if self.may_close and self.victim.process.poll() is None:
                return None
            raise

    def step(self, name, method, path, body=None, **headers):
        """Asks; the answer, or None if it was refused because of the fault."""
        self.open.add(name)
        answer = self.ask(method, path, body, Idempotency_Key="key-" + name, **headers)
        if answer is None:
            return None
        if answer.status // 100 == 2:
            self.open.discard(name)
            self.told[name] = answer.json() if answer.body.startswith("{") else {}
            return self.told[name]
        check(answer.status in REFUSALS, f"{name}: {answer.status} {answer.body}\n{self.victim.log()}")
        check(answer.json()["detail"], f"{name}: {answer.body}")
        return None

    def tell(self):
        """From beginning to end; Gone when the daemon ends in the middle."""
        run = self.step("train", "POST", "/api/v1/runs", dict(CONFIGS[KIND], name="train"))
        held = self.step("held", "POST", "/api/v1/runs", dict(CONFIGS[KIND], name="held", hold=True))
        if held:
            self.step("note", "PUT", f"/api/v1/runs/{held['id']}/note", NOTE, Content_Type="text/markdown")
        doomed = self.step("doomed", "POST", "/api/v1/runs", dict(CONFIGS[KIND], name="doomed", hold=True))
        if run:
            self.wait(run["id"])
        self.step("backup", "POST", "/api/v1/admin/backup", {"name": "monday", "checkpoints": True})
        if doomed:
            self.step("deleted", "DELETE", f"/api/v1/runs/{doomed['id']}")

    def wait(self, run):
        """Until the run has ended, or waits because of the fault."""
        since = None

        def settled():
            nonlocal since
            answer = self.ask("GET", f"/api/v1/runs/{run}")
            if self.victim.control.fired and since is None:
                since = time.monotonic()
            if since and time.monotonic() - since > 3:
                return True
            if answer is None:
                return False
            if answer.status != 200:
                check(answer.status in REFUSALS, f"{answer.status} {answer.body}")
                return False
            found = answer.json()
            if found["state"] == "queued" and found["reason"]:
                return True
            return found["state"] in FINAL

        self.victim.wait_until(settled, what=f"for run {run}")

    # ---- afterwards, with a daemon that nothing happens to

    def rows(self):
        items = self.victim.ask_json("GET", "/api/v1/runs?limit=500")["items"]
        names = [item["name"] for item in items]
        check(len(names) == len(set(names)), f"there twice: {names}")
        return {item["name"]: item for item in items}

    def check_left(self, reference):
        rows = self.rows()
        for name in ("train", "held", "doomed"):
            if name in self.told and not (name == "doomed" and self.may_be_deleted()):
                check(name in rows, f"{name} was acknowledged and is lost\n{self.victim.log()}")
                check(rows[name]["id"] == self.told[name]["id"], f"{name}: {rows[name]['id']}, {self.told[name]}")
        check(not ("deleted" in self.told and "doomed" in rows), "it was deleted and is there")
        if "note" in self.told:
            answer = self.victim.ask("GET", f"/api/v1/runs/{rows['held']['id']}/note")
            check(answer.body == NOTE.decode(), f"the note: {answer.status} {answer.body}")
        if "backup" in self.told:
            self.check_backup()
        if "train" in rows:
            run = rows["train"]["id"]
            ended = self.victim.wait_final(run)
            if ended["state"] == "failed" and any(word in ended["reason"] for word in LACKS):
                self.victim.ask_json("POST", f"/api/v1/runs/{run}/requeue")
                self.victim.wait_final(run)
            reference.compare(self.victim, KIND, run)
        self.check_no_leftovers(rows)

    def may_be_deleted(self):
        return "deleted" in self.told or "deleted" in self.open

    def check_backup(self):
        path = os.path.join(self.victim.state_dir, "backups/monday/cutoutd.db")
        check(os.path.exists(path), "the backup was acknowledged and is not there")
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            check(database.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the backup is damaged")
        finally:
            database.close()

    def check_no_leftovers(self, rows):
        """Temporary files, and directories of runs that are not there."""
        for directory, folders, files in os.walk(self.victim.state_dir):
            left = [name for name in files if name.endswith(".tmp")]
            left += [name for name in folders if name.startswith(".")]
            check(not left, f"left behind in {directory}: {left}")
        runs = os.path.join(self.victim.state_dir, "runs")
        names = set(os.listdir(runs)) if os.path.isdir(runs) else set()
        check(names <= {row["id"] for row in rows.values()}, f"of no run: {names}")
        check(not os.path.exists(os.path.join(self.victim.state_dir, "unknown")), "moved to unknown")


def count(lab, call):
    """How many calls of the kind an undisturbed story makes, start and stop included."""
    victim = lab.victim("count")
    victim.control.arm(call, 0)
    victim.start()
    story = Story(victim)
    story.tell()
    check(victim.stop(within_s=STOP_WITHIN_S) == 0, victim.log())
    seen = victim.control.seen
    victim.control.disarm()
    victim.start()
    story.check_left(lab.reference)
    check(victim.stop() == 0, victim.log())
    lab.done_with(victim)
    return seen


def at_each(lab, calls, short, verb, hit):
    """hit(call, nth) for every call of these kinds in a short life, or as many as there is time for. The kinds with
    few calls come first: what they leave of their share of the time is for those with many."""
    counts = {call: count(lab, call) for call in calls}
    for i, (call, n) in enumerate(sorted(counts.items(), key=lambda item: item[1])):
        until = lab.left_s() * (1 - 1 / (len(counts) - i))
        tried = 0
        for nth in lab.choose(n, short if lab.short else n):
            if not lab.short and lab.left_s() <= until:
                break
            hit(call, nth)
            tried += 1
        lab.say(f"{call}: {verb} at {tried} of {n} places")


def with_fault(lab, call, nth, **fault):
    """The story with one fault; whether it came to that. Afterwards everything is as it must be."""
    victim = lab.victim(f"{call}-{nth}")
    story = Story(victim)
    story.may_close = call == "memory"
    victim.control.arm(call, nth, **fault)
    kills = fault.get("action", "fail") != "fail"
    what = f"{call} {nth} {fault}"
    try:
        try:
            if victim.try_start():
                story.tell()
                status = victim.stop(within_s=STOP_WITHIN_S + 1)
                check(status == 0 or kills, f"{what}: status {status}\n{victim.log()}")
        except Gone as gone:
            check(kills, f"{what}: {gone}\n{victim.log()}")
            victim.process.wait()
        status = victim.process.returncode
        fired = victim.control.fired > 0
        if kills and fired:
            check(status == -signal.SIGKILL, f"{what}: {status}\n{victim.log()}")
        else:
            check(status in (0, 1), f"{what}: status {status}\n{victim.log()}")
            check(status == 0 or "error: " in victim.log(), f"{what}: no message\n{victim.log()}")
        victim.control.disarm()
        victim.start()
        story.check_left(lab.reference)
        check(victim.stop() == 0, victim.log())
    except AssertionError as failure:
        raise AssertionError(f"{what}, hit {victim.control.what}: {failure}\n{victim.directory}") from failure
    lab.done_with(victim)
    return fired
