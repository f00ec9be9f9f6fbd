"""kill -9 at random moments while clients submit and act: nothing that was acknowledged is lost, nothing
is there twice, and what was trained through it has the bits of undisturbed runs."""

import threading
import time

from lab import CONFIGS, FINAL, Gone, check

SUMMARY = "kill -9 at random moments under load"
LEAST = 12
N_CLIENTS = 4


class Thing:
    """A run as its one client knows it. Where an answer was missing, a member holds all that may be."""

    def __init__(self, body):
        self.name = body["name"]
        self.body = body
        self.id = None
        self.gone = {False}
        self.notes = {None}
        self.priorities = {0}
        self.canceled = {False}


class Client:
    """Submits and acts until the daemon is gone, and keeps the books."""

    def __init__(self, number, rng):
        self.number = number
        self.rng = rng
        self.things = []
        self.unanswered = []  # (thing, key) whose POST may or may not have been heard
        self.n_acknowledged = 0
        self.error = None

    def body(self, name):
        kind = self.rng.choice(sorted(CONFIGS))
        held = self.rng.random() < 0.95
        return dict(CONFIGS[kind], name=name, hold=held, labels={"kind": kind})

    def submit(self, victim):
        thing = Thing(self.body(f"c{self.number}-{len(self.things)}"))
        key = f"key-{thing.name}"
        self.things.append(thing)
        self.unanswered.append((thing, key))
        self.post(victim, thing, key)

    def post(self, victim, thing, key):
        answer = victim.ask("POST", "/api/v1/runs", thing.body, Idempotency_Key=key)
        check(answer.status == 201, f"{thing.name}: {answer.status} {answer.body}")
        thing.id = answer.json()["id"]
        self.unanswered.remove((thing, key))
        self.n_acknowledged += 1

    def attempt(self, possible, wanted, send, good):
        """What may be so until the answer is there, and what is so after it."""
        possible.add(wanted)
        answer = send()
        if answer.status in good:
            possible.clear()
            possible.add(wanted)
            self.n_acknowledged += 1
        else:
            check(answer.status in (404, 409), f"{answer.status} {answer.body}")
            possible.discard(wanted)

    def act(self, victim):
        thing = self.rng.choice(self.things)
        if thing.id is None or thing.gone != {False} or thing.canceled != {False}:
            return
        path = f"/api/v1/runs/{thing.id}"
        choice = self.rng.random()
        if choice < 0.4:
            note = f"note {self.rng.random()}"
            self.attempt(thing.notes, note, lambda: victim.ask(
                "PUT", path + "/note", note.encode(), Content_Type="text/markdown"), (200, 201, 204))
        elif choice < 0.7:
            priority = self.rng.randrange(1, 50)
            self.attempt(thing.priorities, priority,
                         lambda: victim.ask("PATCH", path, {"priority": priority}), (200,))
        elif not thing.body["hold"]:
            return
        elif choice < 0.9:
            self.attempt(thing.canceled, True, lambda: victim.ask("POST", path + "/cancel"), (200,))
        else:
            self.attempt(thing.gone, True, lambda: victim.ask("DELETE", path), (204,))

    def work(self, victim):
        try:
            while True:
                if not self.things or self.rng.random() < 0.4:
                    self.submit(victim)
                else:
                    self.act(victim)
        except Gone:
            pass
        except Exception as error:  # told by the main thread
            self.error = error

    def ask_again(self, victim):
        """After a restart: what was not answered is asked once more, with the same key."""
        for thing, key in list(self.unanswered):
            self.post(victim, thing, key)


def list_runs(victim):
    runs, path = [], "/api/v1/runs?limit=500&fields=id,name,state,priority,has_note"
    cursor = ""
    while cursor is not None:
        page = victim.ask_json("GET", path + cursor)
        runs += page["items"]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    return runs


def check_thing(thing, row):
    if row is None:
        check(True in thing.gone, f"run {thing.id} ({thing.name}) is lost")
        thing.gone = {True}
        return
    check(False in thing.gone, f"run {thing.id} ({thing.name}) was deleted and is there")
    check(row["id"] == thing.id, f"{thing.name} is run {row['id']}, acknowledged as {thing.id}")
    check(row["priority"] in thing.priorities, f"{thing.name}: {row}, not of {thing.priorities}")
    check((row["state"] == "canceled") in thing.canceled, f"{thing.name}: {row}, canceled: {thing.canceled}")
    thing.gone, thing.priorities = {False}, {row["priority"]}
    thing.canceled = {row["state"] == "canceled"}
    check(row["has_note"] or None in thing.notes, f"{thing.name}: its note is lost")


def check_books(victim, clients):
    rows = list_runs(victim)
    names = [row["name"] for row in rows]
    check(len(names) == len(set(names)), f"there twice: {sorted(n for n in names if names.count(n) > 1)}")
    known = {row["name"]: row for row in rows}
    for client in clients:
        if client.error:
            raise client.error
        for thing in client.things:
            if thing.id is not None:
                check_thing(thing, known.get(thing.name))


def check_notes(victim, clients):
    for client in clients:
        for thing in client.things:
            if thing.gone == {False} and thing.notes != {None}:
                answer = victim.ask("GET", f"/api/v1/runs/{thing.id}/note")
                found = answer.body if answer.status == 200 else None
                check(found in thing.notes, f"{thing.name}: {found!r}, not of {thing.notes}")


def one_round(lab, victim, clients):
    """Up, asked for a while, dead."""
    threads = [threading.Thread(target=client.work, args=(victim,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(min(lab.random.expovariate(1 / 0.4), 2))
    victim.kill()
    for thread in threads:
        thread.join()


def kill_in_the_start(lab, victim):
    """Also what a start does may be interrupted."""
    process = victim.spawn()
    time.sleep(lab.random.uniform(0, 0.15))
    process.kill()
    process.wait()


def run(lab):
    victim = lab.victim("load", workers=2)
    clients = [Client(i, lab.random) for i in range(N_CLIENTS)]
    kills = 0
    for i in lab.rounds(LEAST):
        if i % 4 == 3:
            kill_in_the_start(lab, victim)
            kills += 1
        victim.start()
        for client in clients:
            client.ask_again(victim)
        check_books(victim, clients)
        one_round(lab, victim, clients)
        kills += 1
    victim.start()
    for client in clients:
        client.ask_again(victim)
    check_books(victim, clients)
    check_notes(victim, clients)
    trained = [t for c in clients for t in c.things if not t.body["hold"] and t.gone == {False}]
    for thing in trained:
        victim.wait_final(thing.id, 600)
        lab.reference.compare(victim, thing.body["labels"]["kind"], thing.id)
    rows = list_runs(victim)
    check(all(row["state"] in FINAL + ("held",) for row in rows), f"{rows}")
    check(victim.stop() == 0, victim.log())
    lab.say(f"{kills} kills, {sum(c.n_acknowledged for c in clients)} acknowledged changes of {len(rows)} runs, "
            f"{len(trained)} trained to the same bits; 0 lost, 0 twice")
