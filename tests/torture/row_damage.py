"""What lies in the state directory is damaged, foreign, newer or of an older release: a message with what to do,
the checkpoint before, or a migration; nothing is overwritten or deleted."""

import hashlib
import os
import shutil
import sqlite3
import struct

from daemon_process import PATIENCE_S
from lab import CONFIGS, FINAL, HERE, check

SUMMARY = "damaged, foreign, newer and older state directories"
KIND = "sgd"
SHORT = 3  # of each kind
MIGRATIONS = os.path.join(HERE, "../../migrations")
# Made anew at each start, or by no more than looking.
PASSING = ("lock", "address", "cutoutd.db-shm")
# Words that tell what to do.
REMEDIES = ("restore a backup", "a newer cutoutd", "use the program", "move it away", "move the database away", "put it back", "the daemon may read and write")


def make_template(lab):
    """A state directory as kill -9 leaves it: runs that have ended, one in the middle, a WAL."""
    victim = lab.victim("template")
    victim.start()
    done = [victim.ask_json("POST", "/api/v1/runs", dict(CONFIGS[KIND], name=f"done {i}"))["id"] for i in range(2)]
    for run in done:
        victim.wait_final(run)
    held = victim.ask_json("POST", "/api/v1/runs", dict(CONFIGS[KIND], name="held", hold=True))["id"]
    victim.control.arm("rename", 3, "kill before")  # of its third checkpoint
    going = victim.ask_json("POST", "/api/v1/runs", dict(CONFIGS[KIND], name="going", epochs=3))["id"]
    victim.process.wait(PATIENCE_S)
    lab.reference.look(victim, KIND, going)
    return victim.state_dir, {"done": done, "going": going, "held": held}


def digests(directory):
    found = {}
    for folder, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[os.path.relpath(path, directory)] = os.readlink(path)
            elif os.path.relpath(path, directory) not in PASSING:
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


def copy_of(lab, template, name):
    victim = lab.victim(name)
    shutil.copytree(template, victim.state_dir, symlinks=True)
    return victim


def change(path, how, rng):
    """Damages a file in one of the ways in which files are damaged."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        if how == "truncated":
            file.truncate(rng.randrange(size))
        elif how == "zeroed":
            file.write(bytes(size))
        elif how == "a bit":
            at = rng.randrange(size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << rng.randrange(8)]))
        elif how == "noise":
            file.write(rng.randbytes(size))
        elif how == "empty":
            file.truncate(0)


def is_refused(victim, before, what, words=REMEDIES):
    """It has ended with a message that says what to do, and everything is as it was."""
    check(victim.process.returncode == 1, f"{what}: {victim.process.returncode}\n{victim.log()}")
    last = [line for line in victim.log().splitlines() if "error: " in line]
    check(last and any(word in last[-1] for word in words), f"{what}: no remedy in\n{victim.log()}")
    after = digests(victim.state_dir)
    # A checkpoint that was never finished may go: a start removes it, and may meet the damage afterwards.
    changed = [name for name in before if after.get(name) != before[name] and not name.endswith(".safetensors.tmp")]
    # Likewise it may meet the damage behind the commit that queues interrupted runs again.
    if "interrupted run(s) will go on" in victim.log():
        changed = [name for name in changed if name not in ("cutoutd.db", "cutoutd.db-wal")]
        check("cutoutd.db" in after, f"{what}: the database is gone\n{victim.log()}")
    check(not changed, f"{what}: changed or gone: {changed}\n{victim.log()}")


def weights_are_somewhere(victim, before, what):
    """Every checkpoint that was there is there, or in unknown/; the run that went on may have replaced its own."""
    there = set(digests(victim.state_dir).values())
    lost = [name for name, digest in before.items()
            if name.endswith(".safetensors") and digest not in there]
    return lost


# ---- checkpoints

def checkpoints(lab, template, runs):
    ways = ["truncated", "zeroed", "a bit", "noise", "empty", "gone", "a directory", "unreadable"]
    names = sorted(name for name in os.listdir(os.path.join(template, "runs", runs["going"]))
                   if name.endswith(".safetensors"))
    tried = 0
    for n_damaged in range(1, len(names) + 1):
        for how in ways if not lab.short else lab.random.sample(ways, 2):
            victim = copy_of(lab, template, "checkpoint")
            for name in names[-n_damaged:]:
                path = os.path.join(victim.state_dir, "runs", runs["going"], name)
                if how in ("gone", "a directory"):
                    os.unlink(path)
                if how == "a directory":
                    os.mkdir(path)
                elif how == "unreadable":
                    os.unlink(path)
                    os.symlink("/proc/self/mem", path)
                elif how != "gone":
                    change(path, how, lab.random)
            victim.start()
            ended = victim.wait_final(runs["going"])
            what = f"{n_damaged} of {len(names)} checkpoints {how}"
            check(ended["state"] == "succeeded", f"{what}: {ended['reason']}\n{victim.log()}")
            if how != "a directory":  # its place stays taken, so its checkpoint is another's
                lab.reference.compare(victim, KIND, runs["going"])
            for run in runs["done"]:
                lab.reference.compare(victim, KIND, run)
            check("warning: run" in victim.log(), f"{what}: not a word\n{victim.log()}")
            check(victim.stop() == 0, victim.log())
            lab.done_with(victim)
            tried += 1
    lab.say(f"checkpoints: {tried} damages of the newest one to {len(names)} ({', '.join(ways)}); "
            "each went on from the one before, or anew, to the same bits")


# ---- the database and its WAL

def start_over(lab, victim, before, what):
    """A damaged database: refused with a remedy, or it serves what is readable. "refused" or "served"."""
    if not victim.try_start():
        is_refused(victim, before, what)
        return "refused"
    for path in ("/api/v1/runs?limit=500", "/api/v1/queue", "/api/v1/sweeps", "/metrics", "/readyz"):
        answer = victim.ask("GET", path)
        check(answer.status in (200, 500, 503), f"{what}: {path}: {answer.status} {answer.body}")
    for run in ("1", "2", "3"):
        for path in ("", "/epochs", "/checkpoints", "/log", "/note", "/summary"):
            answer = victim.ask("GET", f"/api/v1/runs/{run}{path}", timeout=20)
            check(answer.status in (200, 404, 500, 503), f"{what}: {run}{path}: {answer.status} {answer.body}")
    status = victim.stop()
    check(status == 0, f"{what}: status {status}\n{victim.log()}")
    lost = weights_are_somewhere(victim, before, what)
    # What lost its end with the log goes on from before it, and replaces what it had.
    lost = [name for name in lost if f"run {name.split('/')[1]}: attempt " not in victim.log()]
    check(not lost, f"{what}: gone: {lost}\n{victim.log()}")
    return "served"


def frames(path):
    """(size of a page, places of the frames)."""
    with open(path, "rb") as file:
        header = file.read(32)
    page, = struct.unpack(">I", header[8:12])
    return page, list(range(32, os.path.getsize(path) - page - 23, page + 24))


def wal(lab, template):
    path = os.path.join(template, "cutoutd.db-wal")
    page, places = frames(path)
    outcomes = {"refused": 0, "served": 0}
    for n in lab.choose(len(places), SHORT if lab.short else len(places)):
        if not lab.short and lab.left_s() < 0.6 * lab.seconds:
            break
        victim = copy_of(lab, template, "wal")
        how = lab.random.choice(["bit", "header", "cut"])
        with open(os.path.join(victim.state_dir, "cutoutd.db-wal"), "r+b") as file:
            at = places[n - 1] + (lab.random.randrange(24) if how == "header" else 24 + lab.random.randrange(page))
            if how == "cut":
                file.truncate(at)
            else:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1 << lab.random.randrange(8)]))
        outcomes[start_over(lab, victim, digests(victim.state_dir), f"WAL, frame {n}: {how}")] += 1
        lab.done_with(victim)
    lab.say(f"WAL: damaged in {sum(outcomes.values())} of {len(places)} frames: {outcomes}; no weights deleted")


def pages(lab, template):
    """Of a database whose WAL has been written back."""
    whole = lab.victim("whole")
    shutil.copytree(template, whole.state_dir)
    with sqlite3.connect(os.path.join(whole.state_dir, "cutoutd.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    path = os.path.join(whole.state_dir, "cutoutd.db")
    n_pages = os.path.getsize(path) // 4096
    outcomes = {"refused": 0, "served": 0}
    for n in lab.choose(n_pages, SHORT if lab.short else n_pages):
        if not lab.short and lab.left_s() < 0.2 * lab.seconds:
            break
        victim = copy_of(lab, whole.state_dir, "page")
        how = lab.random.choice(["zeroed", "noise", "a bit", "torn"])
        with open(os.path.join(victim.state_dir, "cutoutd.db"), "r+b") as file:
            file.seek((n - 1) * 4096)
            old = file.read(4096)
            at = lab.random.randrange(4096)
            new = {"zeroed": bytes(4096), "noise": lab.random.randbytes(4096),
                   "a bit": old[:at] + bytes([old[at] ^ 1 << lab.random.randrange(8)]) + old[at + 1:],
                   "torn": old[:512] + bytes(4096 - 512)}[how]
            file.seek((n - 1) * 4096)
            file.write(new)
        outcomes[start_over(lab, victim, digests(victim.state_dir), f"page {n}: {how}")] += 1
        lab.done_with(victim)
    lab.done_with(whole)
    lab.say(f"database: damaged in {sum(outcomes.values())} of {n_pages} pages: {outcomes}; no weights deleted")


# ---- databases of others

def foreign(lab, template):
    def another_program(path):
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE bookmark (url TEXT)")
            database.execute("INSERT INTO bookmark VALUES ('https://example.org')")
        database.close()

    def newer(path):
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 9999")
        database.close()

    def words(path):
        with open(path, "w", encoding="ascii") as file:
            file.write("this is no database\n" * 500)

    def folder(path):
        os.unlink(path)
        os.mkdir(path)

    def dangling(path):
        os.unlink(path)
        os.symlink("/nowhere/at/all.db", path)

    def changed_history(path):
        with sqlite3.connect(path) as database:
            database.execute("UPDATE migration SET sha256 = 'f' WHERE version = 2")
        database.close()

    def another(path):
        os.unlink(path)
        another_program(path)

    for name, make in {"newer": newer, "another program's": another, "text": words, "a directory": folder,
                       "a dangling link": dangling, "another history": changed_history}.items():
        victim = copy_of(lab, template, "foreign")
        path = os.path.join(victim.state_dir, "cutoutd.db")
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        for left in ("-wal", "-shm"):
            if os.path.exists(path + left):
                os.unlink(path + left)
        make(path)
        before = digests(victim.state_dir)
        check(not victim.try_start(), f"{name}: it started\n{victim.log()}")
        is_refused(victim, before, name)
        lab.done_with(victim)
    lab.say("databases: newer, another program's, text, a directory, a dangling link, another history: each refused "
            "with a remedy, byte for byte as before")


# ---- older releases

def apply_migration(database, path, version):
    """As the program does it."""
    with open(path, encoding="utf-8") as file:
        sql = file.read()
    database.executescript(
        "BEGIN;"
        "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;" + sql + ";COMMIT;")
    database.execute("INSERT INTO migration VALUES (?, ?, ?, 1)",
                     (version, os.path.basename(path)[:-4], hashlib.sha256(sql.encode()).hexdigest()))
    database.execute(f"PRAGMA user_version = {version}")


FIRST_ROWS = """
INSERT INTO run (name, priority, labels_json, config_json, preset, dataset, depth, epochs, m, cutout_size, seed,
                 state, epochs_done, best_epoch, best_wrong, last_wrong, val_total, variant, dataset_sha256,
                 created_ms, started_ms, finished_ms, updated_ms)
VALUES ('ended', 3, '{"team":"vision"}', :config, 'paper', 'shapes', 8, 2, 1, 0, 1, 'succeeded', 2, 1, 40, 50, 100,
        'avx2', ':sha', 1700000000000, 1700000001000, 1700000002000, 1700000002000),
       ('waiting', 0, '{}', :config, 'paper', 'shapes', 8, 2, 1, 0, 1, 'queued', 0, NULL, NULL, NULL, NULL,
        '', '', 1700000000000, NULL, NULL, 1700000000000);
"""
FIRST_EPOCH = ("INSERT INTO epoch (run_id, epoch, train_loss, train_accuracy, val_loss, val_accuracy, val_wrong, val_total,"
               " lr, seconds, images_per_second, at_ms) VALUES (1, ?, 2.0, 0.3, 2.1, 0.3, ?, 100, 0.001, 1.5, 40, 1700000001000)")
CONFIG = ('{"preset":"paper","dataset":"shapes","depth":8,"epochs":2,"batch_size":16,"m":1,"cutout_size":0,'
          '"train_images":64,"test_images":100,"seed":1}')


def old_database(path, last):
    """The database of a release whose newest migration was `last`, with what a user of the first had in it."""
    database = sqlite3.connect(path, isolation_level=None)
    for name in sorted(os.listdir(MIGRATIONS)):
        version = int(name[:4]) if name.endswith(".sql") else last + 1
        if version <= last:
            apply_migration(database, os.path.join(MIGRATIONS, name), version)
        if version == 1:
            database.executescript(FIRST_ROWS.replace(":config", "'" + CONFIG + "'").replace(":sha", "f" * 64))
            database.executemany(FIRST_EPOCH, [(1, 40), (2, 50)])
            database.execute("INSERT INTO event (run_id, type, at_ms, state, attempt) VALUES (1, 'state', 1, 'queued', 1)")
    check(database.execute("PRAGMA integrity_check").fetchone() == ("ok",), path)
    database.close()


def releases(lab):
    versions = sorted(int(name[:4]) for name in os.listdir(MIGRATIONS) if name.endswith(".sql"))
    for last in versions if not lab.short else lab.random.sample(versions, 3):
        victim = lab.victim(f"schema{last}")
        os.mkdir(victim.state_dir)
        old_database(os.path.join(victim.state_dir, "cutoutd.db"), last)
        victim.start()
        ended = victim.run("1")
        check((ended["name"], ended["state"], ended["priority"], ended["labels"], ended["epochs_done"])
              == ("ended", "succeeded", 3, {"team": "vision"}, 2), f"schema {last}: {ended}")
        check(ended["best"]["epoch"] == 1 and ended["best"]["val_error"] == 0.4, f"schema {last}: {ended['best']}")
        check([row["val_wrong"] for row in victim.history("1")] == [40, 50], f"schema {last}")
        waited = victim.wait_final("2")
        check(waited["state"] in FINAL and waited["state"] == "succeeded", f"schema {last}: {waited['reason']}\n{victim.log()}")
        check(victim.stop() == 0, victim.log())
        victim.start()
        check(len(victim.ask_json("GET", "/api/v1/runs")["items"]) == 2, "runs after a second start")
        check(victim.stop() == 0, victim.log())
        lab.done_with(victim)
    lab.say(f"databases of releases up to schema {versions[-1]}: "
            f"{len(versions) if not lab.short else 3} opened with their rows, the waiting run trained")


def run(lab):
    lab.reference.make(KIND)
    template, runs = make_template(lab)
    foreign(lab, template)
    releases(lab)
    checkpoints(lab, template, runs)
    wal(lab, template)
    pages(lab, template)
