"""The Nth call of a kind fails, once and for good: the daemon says so and goes on, or stops in good order;
nothing is acknowledged that is not stored."""

import errno

import story
from inject import FOR_GOOD
from lab import CONFIGS, Gone, check

SUMMARY = "the Nth call fails, once and for good"
CALLS = {
    "write": (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EIO, errno.ENOSPC),
    "open": (errno.EIO, errno.EMFILE, errno.ENOSPC),
    "unlink": (errno.EIO,),
    "link": (errno.EIO, errno.EMLINK),
    "mkdir": (errno.EIO, errno.ENOSPC),
    "resize": (errno.EIO, errno.ENOSPC),
    "read": (errno.EIO,),
    "memory": (errno.ENOMEM,),
    "map": (errno.ENOMEM,),
    "thread": (errno.EAGAIN,),
    "eventfd": (errno.EMFILE,),
    "accept": (errno.EMFILE, errno.ECONNABORTED),
}
SHORT = 1  # of each kind

# What clients ask for, and what they get when nothing fails.
REQUESTS = {
    "submit": ("POST", "/api/v1/runs", dict(CONFIGS["sgd"], hold=True, name="x", labels={"a": "b"}), 201),
    "sweep": ("POST", "/api/v1/sweeps", {"base": dict(CONFIGS["sgd"], hold=True), "grid": {"seed": [1, 2]}}, 201),
    "plan": ("POST", "/api/v1/runs?dry_run=true", CONFIGS["sgd"], 200),
    "bulk": ("POST", "/api/v1/runs/bulk", {"action": "hold", "ids": ["1"]}, 200),
    "edit": ("PATCH", "/api/v1/runs/1", {"priority": 3}, 200),
    "note": ("PUT", "/api/v1/runs/1/note", b"text", (200, 201, 204)),
    "run": ("GET", "/api/v1/runs/1", None, 200),
    "list": ("GET", "/api/v1/runs?limit=5", None, 200),
    "queue": ("GET", "/api/v1/queue", None, 200),
    "history": ("GET", "/api/v1/runs/2/epochs?format=csv", None, 200),
    "compare": ("GET", "/api/v1/compare?ids=2", None, 200),
    "events": ("GET", "/api/v1/runs/2/events?since=0&format=ndjson", None, 200),
    "metrics": ("GET", "/metrics", None, 200),
    "openapi": ("GET", "/openapi.json", None, 200),
    "system": ("GET", "/api/v1/system", None, 200),
    "figure": ("GET", "/api/v1/figures/validation-error.svg?ids=2", None, 200),
}


def ask_with_fault(victim, call, nth, request):
    """The status of one answer while the Nth call fails; None: the connection was closed instead."""
    method, path, body, _ = request
    victim.control.arm(call, nth, error=errno.ENOMEM)
    try:
        return victim.ask(method, path, body, Content_Type="text/markdown" if "note" in path else "application/json").status
    except Gone:
        check(victim.process.poll() is None, f"{path}, {call} {nth}: it ended\n{victim.log()}")
        return None
    except (AssertionError, ValueError) as error:  # not as api/openapi says, or no JSON
        return f"{error}"
    finally:
        victim.control.disarm()


def requests(lab):
    """Each kind of request, with each of its allocations failing once: it is answered, or 503, or the connection
    is closed; the daemon goes on, and nothing is there twice."""
    victim = lab.victim("requests")
    victim.start()
    first = victim.ask_json("POST", "/api/v1/runs", dict(CONFIGS["sgd"], hold=True))
    trained = victim.ask_json("POST", "/api/v1/runs", CONFIGS["sgd"])
    check((first["id"], trained["id"]) == ("1", "2"), "numbers of runs")
    victim.wait_final(trained["id"])
    victim.ask("GET", REQUESTS["figure"][1])  # fontconfig, at its first use, does not survive what comes
    statuses, tried, wrong = {}, 0, []
    for name, request in REQUESTS.items():
        good = request[3] if isinstance(request[3], tuple) else (request[3],)
        nth, step = 1, 1 if not lab.short else 7
        while True:
            status = ask_with_fault(victim, "memory", nth, request)
            if victim.control.fired == 0:
                break
            if status is not None and status not in (*good, 503):
                wrong.append(f"{name}, allocation {nth}: {status}")
            statuses[status] = statuses.get(status, 0) + 1
            tried, nth = tried + 1, nth + step
    check(not wrong, "; ".join(wrong))
    victim.wait_until(lambda: victim.ask("GET", "/readyz").status == 200, 10)
    lab.reference.compare(victim, "sgd", trained["id"])
    check(victim.stop() == 0, victim.log())
    lab.say(f"{tried} allocations within {len(REQUESTS)} kinds of requests failed: answers "
            + ", ".join(f"{status or 'closed'}: {n}" for status, n in sorted(statuses.items(), key=str)))


def run(lab):
    def fail_at(call, nth):
        story.with_fault(lab, call, nth, error=lab.random.choice(CALLS[call]),
                         times=lab.random.choice([1, 20 if call == "accept" else FOR_GOOD]))

    requests(lab)
    story.at_each(lab, CALLS, SHORT, "failed", fail_at)
