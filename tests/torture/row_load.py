"""Streams by the thousand and requests at a steady rate, a quarter of them durable writes, while a run
trains: answers stay quick, memory and descriptors stay, and training goes on as fast as without them.

Training is compared in rounds, quiet and loaded in turns. The clients have the last core for themselves
and the daemon the others, so that what training loses is what serving takes, not what clients take.
"""

import json
import os
import shlex
import statistics
import subprocess
import time

from lab import Skip, check

SUMMARY = "1,000 streams and 200 requests/s with writes while a run trains"
P99_MS = 50
SLOWER_PERCENT = 3
GROWTH_PERCENT = 2
RUN = {"dataset": "shapes", "depth": 20, "epochs": 100000, "batch_size": 32, "m": 2, "cutout_size": 12,
       "train_images": 512, "test_images": 100}


class Crowd:
    """crowd.c with the daemon's run; numbers() waits for its end."""

    def __init__(self, lab, victim, run, seconds, cores, streams=0, reads=0, writes=0, tricklers=0, deaf=0):
        host, port = victim.address.rsplit(":", 1)
        program = os.path.join(os.path.dirname(lab.library), "torture_crowd")
        arguments = [host, port, run, lab.random.randrange(1 << 30), seconds, streams, reads, writes, tricklers, deaf]
        self.process = subprocess.Popen([program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self.process.pid, cores)
        check(self.process.stdout.readline() == "begun\n", "the crowd did not begin")

    def numbers(self):
        text, _ = self.process.communicate()
        check(self.process.returncode == 0, "the crowd broke off")
        return json.loads(text)


def steps_of(victim, run):
    """Steps done, and when that was so."""
    progress = victim.run(run)["progress"]
    return progress["epoch"] * progress["steps_per_epoch"] + progress["step"], time.monotonic()


def speed(victim, run, do):
    """Steps a second while do() is under way, and what it returns."""
    steps, begun = steps_of(victim, run)
    result = do()
    more, ended = steps_of(victim, run)
    return (more - steps) / (ended - begun), result


def resident_bytes(victim):
    with open(f"/proc/{victim.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(victim):
    return len(os.listdir(f"/proc/{victim.process.pid}/fd"))


def split_cores():
    """(the daemon's, the clients')"""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Skip("one core: clients and training would share it")
    return set(cores[:-1]), {cores[-1]}


def check_answers(numbers, p99_ms):
    for kind in "reads", "writes":
        check(numbers[kind]["p99_ms"] <= p99_ms, f"{kind}: {numbers[kind]}")
    check(numbers["refused"] == numbers["broken"] == numbers["late"] == 0, f"{numbers}")
    check(numbers["lost_streams"] == 0, f"{numbers}")


class Rounds:
    """Quiet and loaded in turns."""

    def __init__(self, lab, victim, run, seconds, **load):
        self.lab, self.victim, self.run = lab, victim, run
        self.seconds, self.load = seconds, load
        self.cores = split_cores()[1]
        self.ratios, self.answers, self.memory, self.files = [], [], [], []

    def loaded(self):
        crowd = Crowd(self.lab, self.victim, self.run, self.seconds, self.cores, **self.load)
        result = speed(self.victim, self.run, crowd.numbers)
        self.memory.append(resident_bytes(self.victim))
        return result

    def turn(self):
        before, _ = speed(self.victim, self.run, lambda: time.sleep(self.seconds))
        loaded, numbers = self.loaded()
        after, _ = speed(self.victim, self.run, lambda: time.sleep(self.seconds))
        self.files.append(descriptors(self.victim))  # by now a heartbeat has found out that the streams' clients are gone
        self.ratios.append(loaded / ((before + after) / 2))
        self.answers.append(numbers)
        self.lab.say(f"{before:.1f} {loaded:.1f} {after:.1f} steps/s; reads p99 {numbers['reads']['p99_ms']:.1f} ms of "
                     f"{numbers['reads']['n']}, writes {numbers['writes']['p99_ms']:.1f} ms of {numbers['writes']['n']}; "
                     f"{self.memory[-1] / 2**20:.1f} MiB, {self.files[-1]} descriptors; {numbers['stream_bytes']} "
                     f"bytes of streams")


def start_by(lab, victim, prefix):
    """Starts it behind a command that sets what it shall have: taskset, prlimit."""
    wrapper = os.path.join(lab.directory, "start-" + prefix[0])
    with open(os.open(wrapper, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700), "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {shlex.join([*prefix, os.environ["CUTOUTD"]])} "$@"\n')
    program = os.environ["CUTOUTD"]
    os.environ["CUTOUTD"] = wrapper
    try:
        victim.start()
    finally:
        os.environ["CUTOUTD"] = program


def begin_training(lab, victim, prefix):
    """Starts it and a run; returns the run's id when it is in its first epoch."""
    start_by(lab, victim, prefix)
    run = victim.ask_json("POST", "/api/v1/runs", RUN)["id"]
    victim.wait_until(lambda: (victim.run(run)["progress"] or {}).get("epoch"), what="for the first step")
    return run


def run(lab):
    cores, _ = split_cores()
    victim = lab.victim("load", preloaded=False)
    victim.flags += ["--threads-per-run", str(len(cores))]
    trained = begin_training(lab, victim, ["taskset", "-c", ",".join(map(str, sorted(cores)))])
    if lab.short:
        rounds = Rounds(lab, victim, trained, 2, streams=50, reads=40, writes=10)
    else:
        rounds = Rounds(lab, victim, trained, 20, streams=1000, reads=150, writes=50)
    for _ in lab.rounds(1 if lab.short else 3):
        rounds.turn()
    for numbers in rounds.answers:
        check_answers(numbers, 2000 if lab.short else P99_MS)
    check(max(rounds.files) - min(rounds.files) <= 2, f"descriptors: {rounds.files}")
    slower = 100 * (1 - statistics.median(rounds.ratios))
    half = rounds.memory[len(rounds.memory) // 2:]  # the first rounds fill what the allocator keeps for the next
    part = max(1, len(half) // 2)
    growth = 100 * (statistics.median(half[-part:]) / statistics.median(half[:part]) - 1)
    lab.say(f"training {slower:.1f} % slower on {len(cores)} core(s) (rounds: "
            f"{' '.join(f'{100 * (1 - r):.1f}' for r in rounds.ratios)}), memory {growth:+.1f} % within the second half of the rounds, by medians, "
            f"{100 * (rounds.memory[-1] / rounds.memory[0] - 1):+.1f} % in all")
    if not lab.short:  # so short a time says nothing about either
        check(growth <= GROWTH_PERCENT, f"memory grew: {rounds.memory}")
        check(slower <= SLOWER_PERCENT, "training is slower under load")
    check(victim.stop() == 0, victim.log())
