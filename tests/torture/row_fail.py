"""The Nth call of a kind fails, once and for good: the daemon says so and goes on, or stops in good order;
nothing is acknowledged that is not stored."""

import errno

import story
from inject import FOR_GOOD

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
SHORT = 2  # of each kind


def run(lab):
    left = len(CALLS)
    for call, errors in CALLS.items():
        n = story.count(lab, call)
        until = lab.left_s() / left
        left -= 1
        begun, tried = lab.left_s(), 0
        for nth in lab.choose(n, SHORT if lab.short else n):
            if not lab.short and begun - lab.left_s() > until:
                break
            story.with_fault(lab, call, nth, error=lab.random.choice(errors),
                             times=lab.random.choice([1, FOR_GOOD]))
            tried += 1
        lab.say(f"{call}: failed at {tried} of {n} places")
