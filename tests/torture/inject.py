"""The control of inject.c: what shall happen in a daemon that has it preloaded."""

import errno
import mmap
import os
import struct

CALLS = ("none", "write", "sync", "rename", "open", "unlink", "link", "mkdir", "resize", "read", "memory",
         "map", "thread", "eventfd", "accept")
ACTIONS = ("fail", "kill before", "kill after", "kill torn")
FOR_GOOD = 0xffffffff

# call, action, error, n_times, nth, n_seen, n_fired, clock_ns, prefix, what
LAYOUT = struct.Struct("=IIiIQQQq256s256s")
CALL = struct.Struct("=I")
SEEN = struct.Struct("=QQ")
CLOCK = struct.Struct("=q")
AT_SEEN, AT_CLOCK, AT_WHAT = 24, 40, 48 + 256


class Control:
    """One for each daemon; `prefix`: only files below it count."""

    def __init__(self, path, prefix):
        self.path = path
        self.prefix = os.path.realpath(prefix)
        with open(path, "w+b") as file:
            file.write(bytes(LAYOUT.size))
            file.flush()
            self.memory = mmap.mmap(file.fileno(), LAYOUT.size)

    def arm(self, call, nth, action="fail", error=errno.EIO, times=1):
        """From now on the Nth call of the kind, `times` in a row. nth=0 counts only."""
        CALL.pack_into(self.memory, 0, 0)
        clock, = CLOCK.unpack_from(self.memory, AT_CLOCK)
        LAYOUT.pack_into(self.memory, 0, 0, ACTIONS.index(action), error, times, nth, 0, 0, clock,
                         self.prefix.encode(), b"")
        CALL.pack_into(self.memory, 0, CALLS.index(call))

    def disarm(self):
        CALL.pack_into(self.memory, 0, 0)

    @property
    def seen(self):
        return SEEN.unpack_from(self.memory, AT_SEEN)[0]

    @property
    def fired(self):
        """How often it happened."""
        return SEEN.unpack_from(self.memory, AT_SEEN)[1]

    @property
    def what(self):
        """The file of the first that was hit, below the prefix."""
        text = self.memory[AT_WHAT:AT_WHAT + 256].split(b"\0")[0].decode(errors="replace")
        return text.removeprefix(self.prefix).lstrip("/")

    def move_clock(self, seconds):
        """The daemon's time of day from now on, by its distance from the true one."""
        CLOCK.pack_into(self.memory, AT_CLOCK, int(seconds * 1e9))

    def environment(self, library):
        return {"LD_PRELOAD": library, "TORTURE_CONTROL": self.path}
