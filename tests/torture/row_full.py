"""No space: a full tmpfs and ext4, a quota, ulimit -f, -n, -v. Clients are told (507, 503), training waits
and says why, and goes on within five seconds of space, to the same bits."""

import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import time

from lab import CONFIGS, Gone, Skip, check

SUMMARY = "disk full, quota, ulimits"
KIND = "long"
CONFIGS[KIND] = dict(CONFIGS["sgd"], epochs=240)  # met in the middle, also on a fast machine
GOES_ON_WITHIN_S = 5.0
MIB = 1 << 20


class Mount:
    """A file system of its own, unmounted at the end."""

    def __init__(self, lab, name, *command, size=None):
        self.directory = os.path.join(lab.directory, name)
        os.mkdir(self.directory)
        self.mounted = False
        result = subprocess.run([*command, self.directory], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Skip(f"cannot mount {name} (root is needed): {result.stderr.strip()}")
        self.mounted = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.directory], check=False)
        os.rmdir(self.directory)

    def fill(self, leave=0):
        """Takes all that is free but `leave` bytes. What does not fit because somebody writes meanwhile is not taken in part:
        then half of it is tried, down to a page."""
        fd = os.open(os.path.join(self.directory, "filler"), os.O_WRONLY | os.O_CREAT)
        parts = 1
        try:
            while True:
                stat = os.statvfs(self.directory)
                size = (stat.f_bavail * stat.f_frsize - leave) // parts // 4096 * 4096
                if size <= 0:
                    return
                try:
                    os.posix_fallocate(fd, os.fstat(fd).st_size, size)
                    parts = 1
                except OSError as error:
                    check(error.errno == errno.ENOSPC, str(error))
                    parts *= 2
        finally:
            os.close(fd)

    def free(self):
        os.unlink(os.path.join(self.directory, "filler"))


def tmpfs(lab, mib):
    return Mount(lab, f"tmpfs{mib}", "mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs")


def ext4(lab, mib, options="loop"):
    image = os.path.join(lab.directory, f"ext4-{options}.image".replace(",", "-"))
    if not shutil.which("mkfs.ext4"):
        raise Skip("no mkfs.ext4 here")
    with open(image, "wb") as file:
        file.truncate(mib * MIB)
    features = ["-O", "quota"] if "quota" in options else []
    # -m 0: nothing is put by for root, which the daemon here is
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *features, image], check=True, capture_output=True)
    return Mount(lab, f"ext4-{options}".replace(",", "-"), "mount", "-o", options, image)


def fill_up(victim, most=5000):
    """POSTs until one is refused; the numbers of the accepted ones."""
    accepted = []
    for i in range(most):
        body = dict(CONFIGS[KIND], name=f"filled {i}", hold=True, labels={"text": "x" * 60})
        answer = victim.ask("POST", "/api/v1/runs", body)
        if answer.status != 201:
            return accepted, answer
        accepted.append(answer.json()["id"])
    raise AssertionError(f"{most} runs were accepted on a full disk")


def why(victim, run):
    """What the daemon says of a run that does not get on; "" if it does not say."""
    found = victim.run(run)
    if found["state"] == "queued":
        queue = victim.ask_json("GET", "/api/v1/queue")
        mine = [item["why_waiting"] for item in queue["items"] if item["run"]["id"] == run]
        return " ".join([found["reason"] or "", *mine])
    return found["reason"] or ""


def steps_of(victim, run):
    found = victim.run(run)
    progress = found["progress"] or {"epoch": 0, "step": 0}
    return found["state"] == "succeeded", found["epochs_done"], progress["epoch"], progress["step"]


def goes_on(victim, run, since, what):
    """Seconds from `since` until training has done another step."""
    before = steps_of(victim, run)
    victim.wait_until(lambda: steps_of(victim, run) != before and victim.run(run)["state"] in ("running", "succeeded"),
                      what=f"for training after {what}")
    return time.monotonic() - since


def starve(lab, victim, what, take, give, words, check_post=True):
    """One run; the space goes, and comes back. How long it took to go on."""
    victim.start()
    run = victim.ask_json("POST", "/api/v1/runs", CONFIGS[KIND])["id"]
    victim.wait_until(lambda: victim.run(run)["epochs_done"] >= 2)
    take(victim)
    accepted, refusal = fill_up(victim)
    check(refusal.status == 507, f"{what}: {refusal.status} {refusal.body}")
    check(victim.wait_until(lambda: any(word in why(victim, run).lower() for word in words), 60,
                            f"for a reason, not {why(victim, run)!r} ({victim.run(run)['state']})"), what)
    said = why(victim, run)
    if check_post:
        victim.wait_until(lambda: victim.ask("GET", "/readyz").status == 503, 10, "for readyz")
    check(victim.ask("GET", "/healthz").status == 200, "healthz")
    check(victim.run(run)["state"] in ("queued", "running"), f"{what}: {victim.run(run)}")
    time.sleep(lab.random.uniform(0, 3))
    since = time.monotonic()
    give(victim)
    seconds = goes_on(victim, run, since, what)
    check(seconds <= GOES_ON_WITHIN_S, f"{what}: it went on after {seconds:.1f} s\n{victim.log()}")
    victim.wait_until(lambda: victim.ask("POST", "/api/v1/runs", dict(CONFIGS[KIND], hold=True)).status == 201, 5)
    victim.wait_final(run, 300)
    lab.reference.compare(victim, KIND, run)
    for accepted_id in accepted:
        check(victim.run(accepted_id)["state"] == "held", f"{what}: run {accepted_id}")
    check(victim.stop() == 0, victim.log())
    lab.say(f"{what}: {len(accepted)} runs more were accepted, then 507; it said {said!r}; "
            f"went on {seconds:.1f} s after there was space")
    return seconds


def restart_on_a_full_disk(lab):
    """After a clean stop, which leaves the ballast and nothing else that is free."""
    with tmpfs(lab, 80) as mount:
        victim = lab.victim("restart", state_dir=os.path.join(mount.directory, "state"))
        victim.start()
        run = victim.ask_json("POST", "/api/v1/runs", CONFIGS["sgd"])["id"]
        victim.wait_final(run)
        check(victim.stop() == 0, victim.log())
        mount.fill()
        victim.start()
        lab.reference.compare(victim, "sgd", run)
        check(victim.stop() == 0, victim.log())
        lab.say("restart: with no byte free but the ballast's it starts and serves what it has")
        lab.done_with(victim)


def full_disk(lab, mount, what):
    with mount:
        victim = lab.victim("full", state_dir=os.path.join(mount.directory, "state"))
        starve(lab, victim, what, lambda _: mount.fill(), lambda _: mount.free(), ("space", "full"))
        lab.done_with(victim)


def outcome_on_a_full_disk(lab):
    """With the ballast what became of a run is stored although nothing is free; the disk stays full."""
    with tmpfs(lab, 80) as mount:
        victim = lab.victim("ballast", state_dir=os.path.join(mount.directory, "state"))
        victim.start()
        run = victim.ask_json("POST", "/api/v1/runs", dict(CONFIGS[KIND], epochs=5000))["id"]
        victim.wait_until(lambda: victim.run(run)["epochs_done"] >= 1)
        check(os.path.exists(os.path.join(victim.state_dir, "ballast")), "no ballast on 80 MiB")
        mount.fill()
        fill_up(victim)  # what the database and its log still have of their own
        victim.wait_until(lambda: victim.run(run)["state"] == "queued", 60, "for its state to be stored")
        victim.wait_until(lambda: victim.ask("GET", "/readyz").status == 503, 10, "for readyz")
        accepted, refusal = fill_up(victim)
        check((accepted, refusal.status) == ([], 507), f"new runs take what the ballast left: {len(accepted)}, {refusal.status}")
        victim.kill()
        mount.fill()  # nothing whatever is left, not even for a line of text
        victim.start()
        check(victim.run(run)["attempt"] >= 2, f"{victim.run(run)}")
        mount.free()
        check(victim.stop() == 0, victim.log())
        lab.say("ballast: the run's state was stored with no byte free, and is there after kill -9 on the full disk")
        lab.done_with(victim)


def start_on_a_full_disk(lab):
    """A first start without room: a message, or it works; nothing in between."""
    for kib in (0, 8, 64, 256):
        with tmpfs(lab, 6) as mount:
            mount.fill(leave=kib << 10)
            victim = lab.victim("first", state_dir=os.path.join(mount.directory, "state"))
            up = victim.try_start()
            check(up or (victim.process.returncode == 1 and "error: " in victim.log()), victim.log())
            if up:
                check(victim.stop() == 0, victim.log())
            mount.free()
            victim.start()
            check(victim.stop() == 0, victim.log())
            lab.done_with(victim)
    lab.say("first start with 0, 8, 64, 256 KiB free: a message or a daemon, and it starts once there is room")


# ---- quota: of a user, through quotactl(2)

Q_SETQUOTA, USRQUOTA, QIF_LIMITS = 0x800008, 0, 5
NOBODY = 65534


class Quota(ctypes.Structure):
    _fields_ = [("bhard", ctypes.c_uint64), ("bsoft", ctypes.c_uint64), ("curspace", ctypes.c_uint64),
                ("ihard", ctypes.c_uint64), ("isoft", ctypes.c_uint64), ("curinodes", ctypes.c_uint64),
                ("btime", ctypes.c_uint64), ("itime", ctypes.c_uint64), ("valid", ctypes.c_uint32)]


def device_of(directory):
    with open("/proc/mounts", encoding="utf-8") as file:
        return next(line.split()[0] for line in file if line.split()[1] == directory)


def set_quota(mount, kib):
    libc = ctypes.CDLL(None, use_errno=True)
    quota = Quota(bhard=kib, bsoft=kib, valid=QIF_LIMITS)
    code = libc.quotactl(Q_SETQUOTA << 8 | USRQUOTA, device_of(mount.directory).encode(), NOBODY,
                         ctypes.byref(quota))
    if code != 0:
        raise Skip(f"no quotas here: {os.strerror(ctypes.get_errno())}")


def quota(lab):
    with ext4(lab, 96, "loop,usrquota") as mount:
        set_quota(mount, 0)
        state = os.path.join(mount.directory, "state")
        os.mkdir(state)
        os.chown(state, NOBODY, NOBODY)
        victim = lab.victim("quota", state_dir=state)
        os.chmod(lab.directory, 0o755)
        os.chmod(victim.directory, 0o777)
        os.chmod(victim.control.path, 0o666)
        victim.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

        def used_kib(_=None):
            return int(subprocess.run(["du", "-sk", state], capture_output=True, text=True, check=True).stdout.split()[0])

        starve(lab, victim, "quota on ext4", lambda _: set_quota(mount, used_kib() + 16), lambda _: set_quota(mount, 0),
               ("space", "full", "quota"), check_post=False)
        lab.done_with(victim)


# ---- ulimits

def file_size(lab):
    victim = lab.victim("fsize")

    def take(v):
        largest = max(os.stat(os.path.join(v.state_dir, name)).st_size for name in ("cutoutd.db", "cutoutd.db-wal"))
        resource.prlimit(v.process.pid, resource.RLIMIT_FSIZE, (largest + 8192, resource.RLIM_INFINITY))

    def give(v):
        resource.prlimit(v.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    starve(lab, victim, "ulimit -f", take, give, ("space", "large", "full"), check_post=False)
    lab.done_with(victim)


def descriptors(lab):
    """Few descriptors: it says so and ends, or it serves; with all of them taken by clients it trains on."""
    refused, served = [], []
    for limit in (64, 160) if lab.short else (8, 24, 48, 96, 160, 200, 300):
        victim = lab.victim(f"n{limit}")
        victim.prefix = ["prlimit", f"--nofile={limit}:{limit}"]
        if not victim.try_start():
            check(victim.process.returncode == 1 and "error: " in victim.log(), f"-n {limit}\n{victim.log()}")
            refused.append(limit)
        else:
            served.append(limit)
            run = victim.ask_json("POST", "/api/v1/runs", dict(CONFIGS["sgd"]))["id"]
            crowd = open_connections(victim, 2 * limit)
            ended = wait_through(victim, run)
            for connection in crowd:
                connection.close()
            check(ended["state"] == "succeeded", f"-n {limit}: {ended['reason']}")
            lab.reference.compare(victim, "sgd", run)
            check(victim.stop() == 0, victim.log())
        lab.done_with(victim)
    lab.say(f"ulimit -n {refused}: refused with a message; {served}: trained to the same bits through twice as "
            "many connections")


def open_connections(victim, n):
    import socket
    host, port = victim.address.rsplit(":", 1)
    crowd = []
    for _ in range(n):
        connection = socket.socket()
        connection.settimeout(2)
        try:
            connection.connect((host, int(port)))
        except OSError:
            connection.close()
            break
        crowd.append(connection)
    return crowd


def wait_through(victim, run):
    """The run's end, asked for through a crowd that may take every place: answers may be missing for a while."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            found = victim.ask("GET", f"/api/v1/runs/{run}", timeout=2)
            if found.status == 200 and found.json()["state"] in ("succeeded", "failed"):
                return found.json()
            check(found.status in (200, 503), f"{found.status} {found.body}")
        except Gone:
            check(victim.process.poll() is None, victim.log())
        time.sleep(0.2)
    raise AssertionError(f"no end of run {run}\n{victim.log()}")


def ask_without_memory(victim, method, path, body=None):
    """The JSON of the answer, or None: it had no memory for it, which it says or shows by ending the connection."""
    try:
        answer = victim.ask(method, path, body)
    except Gone:
        check(victim.process.poll() is None, f"ended\n{victim.log()}")
        return None
    check(answer.status // 100 == 2 or answer.status == 503, f"{method} {path}: {answer.status} {answer.body}\n{victim.log()}")
    return answer.json() if answer.status // 100 == 2 else None


def address_space(lab):
    """Whatever was accepted under the limit is there without it, and ends."""
    refused, served, accepted, without_memory = [], [], 0, 0
    for mib in (100, 200, 300, 400, 600, 800, 1200, 2000):
        victim = lab.victim(f"v{mib}")
        victim.prefix = ["prlimit", f"--as={mib * MIB}"]
        if not victim.try_start():
            refused.append(mib)
            check(victim.process.returncode in (1, 127) and victim.log(), f"-v {mib}: {victim.process.returncode}\n{victim.log()}")
            lab.done_with(victim)
            continue
        served.append(mib)
        asked = (dict(CONFIGS["sgd"], depth=44, batch_size=64, m=8), CONFIGS["sgd"])
        runs = [answer["id"] for config in asked if (answer := ask_without_memory(victim, "POST", "/api/v1/runs", config))]
        for run in runs:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                found = ask_without_memory(victim, "GET", f"/api/v1/runs/{run}")
                if found and found["state"] in ("succeeded", "failed"):
                    break
                time.sleep(0.2)
        check(victim.stop(signal.SIGTERM, 10) == 0, victim.log())
        victim.prefix = []
        victim.start()
        for run in runs:
            end = victim.wait_final(run)
            check(end["state"] == "succeeded" or "memory" in end["reason"] or "thread" in end["reason"], f"-v {mib}: {end}")
            without_memory += end["state"] != "succeeded"
            if end["state"] == "succeeded" and end["config"]["depth"] == CONFIGS["sgd"]["depth"]:
                lab.reference.compare(victim, "sgd", run)
        accepted += len(runs)
        lab.done_with(victim)
    lab.say(f"ulimit -v in MiB {refused}: refused with a message; {served}: served; of {2 * len(served)} runs {accepted} were "
            f"accepted and kept, {without_memory} of them ended for want of memory")


def run(lab):
    lab.reference.make(KIND, "sgd")
    parts = [
        lambda: full_disk(lab, tmpfs(lab, 24), "tmpfs of 24 MiB"),
        lambda: outcome_on_a_full_disk(lab),
        lambda: restart_on_a_full_disk(lab),
        lambda: file_size(lab),
        lambda: descriptors(lab),
    ]
    if not lab.short:
        parts += [
            lambda: full_disk(lab, ext4(lab, 96), "ext4 of 96 MiB"),
            lambda: quota(lab),
            lambda: start_on_a_full_disk(lab),
            lambda: address_space(lab),
        ]
    for part in parts:
        try:
            part()
        except Skip as reason:
            lab.say(f"SKIPPED in part: {reason}")
