"""What the rows of the torture share: daemons that are treated badly, what undisturbed training gives,
and the questions that are asked of a daemon afterwards."""

import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../http"))

from contract import CONTRACT  # noqa: E402
from daemon_process import PATIENCE_S, TINY, TIMES, Daemon, Response  # noqa: E402
from inject import Control  # noqa: E402

FINAL = ("succeeded", "failed", "canceled")
STOP_WITHIN_S = 5.0  # and one checkpoint

# Each trains in well under a second an epoch, and each keeps other things in its checkpoints.
CONFIGS = {
    "adam": dict(TINY, epochs=3, m=2, cutout_size=12, flip=True, shift=0.1),
    "sgd": dict(TINY, epochs=3, optimizer="sgd", momentum=0.9, nesterov=True, lr=0.05, cutout_size=8),
    "rmsprop": dict(TINY, epochs=3, optimizer="rmsprop", lr=0.002, crop_pad=4, drop_last=True),
    "aliased": dict(TINY, epochs=3, m=3, copies="aliased", cutout_size=10, cutout_squares=2),
    "plateau": dict(TINY, epochs=4, lr_plateau=True, seed=7, l2=1e-3),
    "direct": dict(TINY, epochs=3, conv_algorithm="direct", seed=11, grad_clip=1.0),
    "odd": dict(TINY, epochs=3, train_images=60, batch_size=7, test_images=33, seed=13),
    "deeper": dict(TINY, epochs=2, depth=14, m=2, cutout_size=16, seed=17),
}


class Skip(Exception):
    """This machine cannot do the row; says why."""


class Gone(Exception):
    """The daemon did not answer: it may or may not have done what was asked."""


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Victim(Daemon):
    """A daemon with inject.c preloaded and a control over it; without, where nothing is injected: it costs
    what is measured a little."""

    def __init__(self, lab, directory, state_dir=None, workers=1, preloaded=True, **environment):
        super().__init__(directory, {"CUTOUTD_CHECKPOINT_INTERVAL_S": "1", **environment})
        self.flags = ["--workers", str(workers)]
        self.lab = lab
        self.place = state_dir or os.path.join(directory, "state")
        self.control = Control(os.path.join(directory, "control"), self.place)
        if preloaded:
            self.environment.update(self.control.environment(lab.library))

    @property
    def state_dir(self):
        return self.place

    def try_start(self):
        """Whether it came up. Otherwise it has ended, in good order and with a message."""
        try:
            self.start()
            return True
        except AssertionError:
            check(self.process.poll() is not None, f"neither ready nor ended\n{self.log()}")
            return False

    def ask(self, method, path, body=None, timeout=PATIENCE_S, **headers):
        """One request on a connection of its own. Gone, if there is no whole answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
        try:
            connection.request(method, path, data, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        if fields.get("content-type", "").startswith("application/octet-stream"):
            return Response(answer.status, fields, raw)
        response = Response(answer.status, fields, raw.decode())
        if "note" not in path:
            CONTRACT.check(method, path, response, data)
        return response

    def ask_json(self, method, path, body=None, **headers):
        """The JSON of an answer that must be 2xx."""
        answer = self.ask(method, path, body, **headers)
        check(answer.status // 100 == 2, f"{method} {path}: {answer.status} {answer.body}\n{self.log()}")
        return answer.json() if answer.body else None

    def run(self, run):
        return self.ask_json("GET", f"/api/v1/runs/{run}")

    def wait_until(self, question, seconds=PATIENCE_S, what=""):
        """Asks until the answer is true, and returns it; the daemon must not end meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            answer = question()
            if answer:
                return answer
            if self.process.poll() is not None:
                raise Gone(f"it ended with {self.process.returncode}")
            check(time.monotonic() < deadline, f"waited {seconds} s in vain {what}\n{self.log()}")
            time.sleep(0.05)

    def wait_final(self, run, seconds=PATIENCE_S):
        def final():
            found = self.run(run)
            return found if found["state"] in FINAL else None
        return self.wait_until(final, seconds, f"for the end of run {run}")

    def stop(self, number=signal.SIGTERM, within_s=None):
        """A clean stop: its exit status, and in time."""
        begun = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        seconds = time.monotonic() - begun
        check(within_s is None or seconds <= within_s, f"it took {seconds:.1f} s to stop\n{self.log()}")
        return status

    def put_away(self):
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def files_of(self, run):
        """Checkpoints of the run that lie in the state directory."""
        directory = os.path.join(self.state_dir, "runs", str(run))
        names = os.listdir(directory) if os.path.isdir(directory) else []
        return [os.path.join(directory, name) for name in names if name.endswith(".safetensors")]


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def read_checkpoint(path):
    """((epochs done, step), digest of everything but the clock's readings)."""
    with open(path, "rb") as file:
        data = file.read()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__")
    state = metadata["state"].split()
    state[5] = state[18] = "-"  # train_seconds, own_seconds
    metadata["state"] = " ".join(state)
    digest = hashlib.sha256(json.dumps([metadata, header], sort_keys=True).encode())
    digest.update(data[8 + size:])
    return (int(metadata["epoch"]), int(metadata["step"])), digest.hexdigest()


class Reference:
    """What undisturbed training gives, for each of CONFIGS: computed once, when it is asked for."""

    def __init__(self, lab):
        self.lab = lab
        self.histories = {}
        self.finals = {}  # config: {"last": digest, "best": digest}
        self.seen = {}  # config: {(epochs done, step): digest}

    def make(self, *names):
        names = [name for name in names if name not in self.histories]
        if not names:
            return
        victim = self.lab.victim("reference")
        victim.start()
        runs = {name: victim.ask_json("POST", "/api/v1/runs", CONFIGS[name])["id"] for name in names}
        for name, run in runs.items():
            ended = victim.wait_final(run)
            check(ended["state"] == "succeeded" and ended["attempt"] == 1, f"{name}: {ended}")
            self.histories[name] = victim.history(run)
            self.finals[name] = self.final_checkpoints(victim, run)
            self.look(victim, name, run)
        check(victim.stop() == 0, victim.log())

    @staticmethod
    def final_checkpoints(victim, run):
        """The best and the last as they are downloaded; and each that is listed must be there."""
        found = {}
        path = os.path.join(victim.directory, "download")
        listed = victim.ask_json("GET", f"/api/v1/runs/{run}/checkpoints")["items"]
        on_disk = {hash_of(file) for file in victim.files_of(run)}
        for item in listed:
            check(item["sha256"] in on_disk, f"run {run}: it lists {item}, which is not there")
            if "download" in item["links"]:
                answer = victim.ask("GET", item["links"]["download"])
                check(answer.status == 200, f"{item}: {answer.status} {answer.body!r:.300}")
                with open(path, "wb") as file:
                    file.write(answer.body)
                check(hash_of(path) == item["sha256"], f"digest of {item}")
                found[item["kind"]] = read_checkpoint(path)
        return found

    def look(self, victim, name, run):
        """Every whole checkpoint on the disk has the bits that others had at the same step."""
        seen = self.seen.setdefault(name, {})
        for path in victim.files_of(run):
            place, digest = read_checkpoint(path)
            check(seen.setdefault(place, digest) == digest,
                  f"run {run} ({name}): another checkpoint at {place}: {path}")

    def compare(self, victim, name, run):
        """A run that has ended: history, events and checkpoints."""
        self.make(name)
        ended = victim.run(run)
        check(ended["state"] == "succeeded", f"run {run} ({name}): {ended['state']}, {ended['reason']}\n{victim.log()}")
        check(victim.history(run) == self.histories[name], f"run {run} ({name}): another history")
        check(self.final_checkpoints(victim, run) == self.finals[name],
              f"run {run} ({name}): other checkpoints: {victim.files_of(run)}")
        self.look(victim, name, run)
        check_events(victim, run, CONFIGS[name]["epochs"])


def check_events(victim, run, epochs):
    """Each epoch is told once, in order, and the end last."""
    answer = victim.ask("GET", f"/api/v1/runs/{run}/events?since=0&format=ndjson")
    events = [json.loads(line) for line in answer.body.splitlines() if line]
    told = [event["data"]["epoch"] if "data" in event else event["epoch"]
            for event in events if event["event"] == "epoch"]
    check(told == list(range(1, epochs + 1)), f"run {run}: epochs are told as {told}")


class Lab:
    """A row's place to work: its budget of time, its random numbers, its daemons."""

    def __init__(self, row, options):
        self.row = row
        self.short = options.short
        self.seconds = options.seconds
        self.library = options.inject
        self.part, self.n_parts = options.part
        self.seed = options.seed
        self.random = random.Random(f"{options.seed}/{row}")
        self.directory = tempfile.mkdtemp(prefix=f"cutoutd-torture-{row}-")
        self.victims = []
        self.begun = time.monotonic()
        self.reference = Reference(self)
        self.lines = []

    def victim(self, name, **how):
        """A daemon that has not started, with a directory of its own."""
        victim = Victim(self, tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory), **how)
        self.victims.append(victim)
        return victim

    def done_with(self, victim):
        """Nothing of it is needed any more."""
        victim.put_away()
        self.victims.remove(victim)
        shutil.rmtree(victim.directory, ignore_errors=True)

    def left_s(self):
        return self.seconds - (time.monotonic() - self.begun)

    def rounds(self, least):
        """0, 1, ... until the time is up, and at least so many."""
        i = 0
        while i < least or self.left_s() > 0:
            yield i
            i += 1

    def choose(self, n, most):
        """Numbers from 1 to n, all (of this part) or `most` of them spread evenly, in random order."""
        if n <= most:
            chosen = [number for number in range(1, n + 1) if number % self.n_parts == self.part % self.n_parts]
        else:
            step = n / most
            offset = self.random.random()
            chosen = sorted({min(n, int((i + offset) * step) + 1) for i in range(most)})
        self.random.shuffle(chosen)
        return chosen

    def say(self, text):
        """A line for the table of what was done."""
        self.lines.append(text)
        print(f"  {self.row}: {text}", flush=True)

    def close(self, failed):
        for victim in self.victims:
            victim.put_away()
        if not failed:
            shutil.rmtree(self.directory, ignore_errors=True)


def free_port_is_refused(address):
    """Nobody listens there any more."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return False
    except OSError:
        return True
