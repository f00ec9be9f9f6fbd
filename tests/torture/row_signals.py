"""SIGTERM, SIGINT, SIGHUP, STOP and CONT in storms, whatever the daemon is at: it is gone in five seconds and
one checkpoint, with exit status 0, and what it trained goes on to the same bits."""

import contextlib
import errno
import os
import signal
import socket
import threading
import time

from lab import CONFIGS, STOP_WITHIN_S, Gone, check, free_port_is_refused

SUMMARY = "storms of signals"
KIND = "long"
CONFIGS.setdefault(KIND, dict(CONFIGS["sgd"], epochs=240))
N_STREAMS = 300


class Storm:
    """Signals that ask for nothing but attention, a few milliseconds apart."""

    def __init__(self, victim, rng, numbers):
        self.victim, self.rng, self.numbers = victim, rng, numbers
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.rage)
        self.n_sent = 0

    def rage(self):
        while not self.over.is_set() and self.victim.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.victim.process.pid, self.rng.choice(self.numbers))
                self.n_sent += 1
            time.sleep(self.rng.uniform(0, 0.01))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.victim.process.pid, signal.SIGCONT)


def connect(victim, request):
    host, port = victim.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(request.encode())
    return connection


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"


# Each brings the daemon into some state; what it returns is kept until the end.

def in_a_step(_lab, victim, run):
    def within():
        found = victim.run(run)
        return found["state"] == "succeeded" or (found["progress"] or {"step": 0})["step"] > 0
    victim.wait_until(within)


def in_validation(lab, victim, run):
    """Somewhere behind the last step of an epoch."""
    def at_the_end():
        progress = victim.run(run)["progress"]
        return progress and progress["step"] == progress["steps_per_epoch"]
    with contextlib.suppress(AssertionError):
        victim.wait_until(at_the_end, 5)


def in_a_checkpoint(_lab, victim, run):
    """At the moment of a sync: it fails once, and the daemon is about to deal with that."""
    victim.control.arm("sync", 1, error=errno.EINTR, times=0)
    victim.wait_until(lambda: victim.control.seen > 0 or victim.run(run)["state"] == "succeeded")


def with_streams(_lab, victim, run):
    paths = [f"/api/v1/runs/{run}/events", "/api/v1/events", "/api/v1/events?format=ndjson"]
    streams = [connect(victim, get(paths[i % 3])) for i in range(N_STREAMS)]
    for stream in streams:
        check(stream.recv(12).endswith(b"200"), "a stream")
    return streams


def with_a_download(_lab, victim, run):
    """Of a checkpoint, by somebody who reads nothing."""
    victim.wait_until(lambda: victim.run(run)["epochs_done"] >= 1)
    return [connect(victim, get(f"/api/v1/runs/{run}/checkpoints/last.safetensors")) for _ in range(8)]


def with_a_backup(_lab, victim, _run):
    body = '{"checkpoints":true}'
    return [connect(victim, "POST /api/v1/admin/backup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}")]


def with_half_requests(_lab, victim, _run):
    return [connect(victim, "POST /api/v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{")
            for _ in range(50)]


STATES = (in_a_step, in_validation, in_a_checkpoint, with_streams, with_a_download, with_a_backup,
          with_half_requests)


def end(lab, victim, state, run):
    """One stop in one state; how long it took."""
    kept = state(lab, victim, run) or []
    with Storm(victim, lab.random, [signal.SIGHUP, signal.SIGSTOP, signal.SIGCONT]):
        time.sleep(lab.random.uniform(0, 0.3))
    address = victim.address
    number = lab.random.choice([signal.SIGTERM, signal.SIGINT])
    begun = time.monotonic()
    victim.process.send_signal(number)
    with Storm(victim, lab.random, [signal.SIGHUP]):
        status = victim.process.wait(60)
    seconds = time.monotonic() - begun
    for connection in kept:
        connection.close()
    check(status == 0, f"{state.__name__}: status {status}\n{victim.log()}")
    check(seconds <= STOP_WITHIN_S + 1, f"{state.__name__}: {seconds:.1f} s\n{victim.log()}")
    check(free_port_is_refused(address), "its port is still open")
    victim.control.disarm()
    return seconds


def impatience(lab, victim, run):
    """A second SIGTERM ends it at once; its state survives that."""
    in_a_step(lab, victim, run)
    victim.process.send_signal(signal.SIGTERM)
    time.sleep(lab.random.uniform(0, 0.05))
    victim.process.send_signal(signal.SIGTERM)
    status = victim.process.wait(60)
    check(status in (0, -signal.SIGTERM), f"status {status}\n{victim.log()}")


def stopped_for_long(lab, victim, run):
    """SIGSTOP for seconds, as a laptop's lid does: clients get their answers afterwards."""
    before = victim.run(run)["epochs_done"]
    victim.process.send_signal(signal.SIGSTOP)
    answers = []
    asker = threading.Thread(target=lambda: answers.append(victim.ask("GET", "/api/v1/runs").status))
    asker.start()
    time.sleep(2.5)
    victim.process.send_signal(signal.SIGCONT)
    asker.join()
    check(answers == [200], f"{answers}")
    victim.wait_until(lambda: victim.run(run)["epochs_done"] > before or victim.run(run)["state"] == "succeeded")


def run(lab):
    lab.reference.make(KIND)
    slowest = {}
    n_stops = 0
    for i in lab.rounds(1):
        victim = lab.victim(f"round{i}")
        victim.start()
        run_id = victim.ask_json("POST", "/api/v1/runs", CONFIGS[KIND])["id"]
        for state in STATES:
            if victim.run(run_id)["state"] == "succeeded":
                run_id = victim.ask_json("POST", "/api/v1/runs", CONFIGS[KIND])["id"]
            seconds = end(lab, victim, state, run_id)
            slowest[state.__name__] = max(seconds, slowest.get(state.__name__, 0))
            n_stops += 1
            victim.start()
        impatience(lab, victim, run_id)
        victim.start()
        stopped_for_long(lab, victim, run_id)
        victim.wait_final(run_id, 300)
        lab.reference.compare(victim, KIND, run_id)
        check(victim.stop() == 0, victim.log())
        lab.done_with(victim)
    lab.say(f"{n_stops} stops, each after and in a storm, all with status 0; slowest: "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest.items()))
