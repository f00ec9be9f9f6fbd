/* How much memory a process of the daemon may have: the machine's, or less where a control group
 * bounds it.
 *
 * Layer: daemon/config. Thread rule: pure functions that read files.
 */
#ifndef CUTOUTD_DAEMON_CONFIG_MEMORY_BOUND_H
#define CUTOUTD_DAEMON_CONFIG_MEMORY_BOUND_H

#include <stdint.h>

struct unit_file;

enum { MEMORY_BOUND_ORIGIN_SIZE = 320 };

struct memory_bound {
    int64_t n_bytes;
    char origin[MEMORY_BOUND_ORIGIN_SIZE]; /* "the machine", "memory.max of /system.slice/x.service"
                                            */
};

/* Of this process. `group_file` is "/proc/self/cgroup" or like it, `groups` where control groups
 * are mounted ("/sys/fs/cgroup"; those of version 1 below it): the bounds of the process's group
 * and of all above it count. What cannot be read bounds nothing. */
void memory_bound_of_process(const char *group_file, const char *groups, struct memory_bound *ret);

/* Of a service that systemd would start from this unit: its MemoryMax= and MemoryHigh=, and the
 * bounds of its slice where that exists below `groups`. */
void memory_bound_of_unit(const struct unit_file *unit, const char *groups,
                          struct memory_bound *ret);

#endif
