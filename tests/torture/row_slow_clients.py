"""500 clients that send a byte a second and 100 that never read what they get, at the cap on connections:
those who behave are answered as if the others were not there, and whoever comes above the cap is told so."""

import socket

from lab import check
from row_load import Crowd, begin_training, descriptors, split_cores

SUMMARY = "500 tricklers and 100 clients that never read, at the cap on connections"
P99_MS = 100
RESERVED_FILES = 128  # of the daemon, beside connections


def answer_above_cap(victim):
    """The first line that one more client gets."""
    host, port = victim.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return connection.recv(4096).split(b"\r\n")[0]


def wait_for_refusal(victim):
    """The answer that says it, as soon as the slow ones have all the places."""
    def refusal():
        said = answer_above_cap(victim).decode()
        return said if " 503 " in said else None
    return victim.wait_until(refusal, what="for a refusal")


def run(lab):
    n_slow, n_deaf, n_honest = (50, 10, 40) if lab.short else (500, 100, 40)
    cap = max(n_slow + n_deaf + n_honest, RESERVED_FILES + 1)
    files = RESERVED_FILES + cap
    victim = lab.victim("slow", preloaded=False)
    trained = begin_training(lab, victim, ["prlimit", f"--nofile={files}:{files}"])
    _, cores = split_cores()
    before = descriptors(victim)
    crowd = Crowd(lab, victim, trained, 5 if lab.short else max(30, lab.seconds), cores,
                  reads=80, writes=20, tricklers=n_slow, deaf=n_deaf)
    numbers = crowd.numbers()
    for kind in "reads", "writes":
        check(numbers[kind]["p99_ms"] <= (2000 if lab.short else P99_MS), f"{kind}: {numbers[kind]}")
    check(numbers["refused"] == numbers["broken"] == numbers["late"] == 0, f"{numbers}")
    # A heartbeat finds out that streams' clients are gone; until then they have their places.
    victim.wait_until(lambda: descriptors(victim) <= before + 2, what="for the places of the first")
    crowd = Crowd(lab, victim, trained, 5, cores, tricklers=cap)
    said = wait_for_refusal(victim)
    crowd.numbers()
    lab.say(f"{n_slow} tricklers ({numbers['cut_tricklers']} closed by the daemon, and back again), {n_deaf} that never "
            f"read, cap {cap}; reads p99 {numbers['reads']['p99_ms']:.1f} ms of {numbers['reads']['n']}, writes "
            f"{numbers['writes']['p99_ms']:.1f} ms of {numbers['writes']['n']}; above the cap: {said}")
    check(victim.stop() == 0, victim.log())
