"""kill -9 exactly at the Nth write, sync, rename ... of a short life, before it, after it and in the middle
of it: nothing acknowledged is lost, and what was training ends with the same bits."""

import story

SUMMARY = "kill -9 at the Nth call on a file"
CALLS = ("write", "sync", "rename", "open", "unlink", "link", "mkdir", "resize")
SHORT = 3  # of each kind


def run(lab):
    def kill_at(call, nth):
        how = lab.random.choice(["kill before", "kill after"] + ["kill torn"] * (call == "write"))
        story.with_fault(lab, call, nth, action=how)

    story.at_each(lab, CALLS, SHORT, "killed, nothing lost, the same bits,", kill_at)
