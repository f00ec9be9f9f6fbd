"""kill -9 exactly at the Nth write, sync, rename ... of a short life, before it, after it and in the middle
of it: nothing acknowledged is lost, and what was training ends with the same bits."""

import story

SUMMARY = "kill -9 at the Nth call on a file"
CALLS = ("write", "sync", "rename", "open", "unlink", "link", "mkdir", "resize")
SHORT = 3  # of each kind


def run(lab):
    left = len(CALLS)
    for call in CALLS:
        n = story.count(lab, call)
        until = lab.left_s() / left
        left -= 1
        begun, tried = lab.left_s(), 0
        for nth in lab.choose(n, SHORT if lab.short else n):
            if not lab.short and begun - lab.left_s() > until:
                break
            how = lab.random.choice(["kill before", "kill after"] + ["kill torn"] * (call == "write"))
            story.with_fault(lab, call, nth, action=how)
            tried += 1
        lab.say(f"{call}: killed at {tried} of {n} places, 0 lost, the same bits")
