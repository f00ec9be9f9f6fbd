/* Layer: daemon/config. */
#include "daemon/config/memory_bound.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "daemon/config/unit_file.h"

static void begin_with_machine(struct memory_bound *bound) {
    bound->n_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    (void)snprintf(bound->origin, sizeof(bound->origin), "the machine");
}

static void lower(struct memory_bound *bound, int64_t n_bytes, const char *what,
                  const char *whose) {
    if (n_bytes < bound->n_bytes) {
        bound->n_bytes = n_bytes;
        (void)snprintf(bound->origin, sizeof(bound->origin), "%.25s of %.290s", what, whose);
    }
}

/* ---- groups ---- */

/* "max" is no number, and bounds nothing. */
static void lower_by_file(struct memory_bound *bound, const char *groups, const char *group,
                          const char *name) {
    char path[PATH_MAX];
    char line[32] = "";
    int64_t n_bytes = 0;
    if (snprintf(path, sizeof(path), "%s%s/%s", groups, group, name) >= (int)sizeof(path)) {
        return;
    }
    CLEANUP(close_file) FILE *file = fopen(path, "re");
    if (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        if (text_to_count(line, INT64_MAX, &n_bytes)) {
            lower(bound, n_bytes, name, group[0] ? group : "/");
        }
    }
}

/* group: "/a/b", or "" for the one that is mounted. */
static void lower_by_groups(struct memory_bound *bound, const char *groups, const char *group,
                            const char *const *names) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", group) >= (int)sizeof(path)) {
        return;
    }
    for (char *end = path + strlen(path); end; end = strrchr(path, '/')) {
        *end = '\0';
        for (size_t i = 0; names[i]; i++) {
            lower_by_file(bound, groups, path, names[i]);
        }
    }
}

static const char *const version_2[] = {"memory.max", "memory.high", NULL};
static const char *const version_1[] = {"memory.limit_in_bytes", NULL};

/* A line is "0::/PATH", or in version 1 "4:memory:/PATH". Of a path that this process does not see
 * (a container's, as the host has it) the group that is mounted remains. */
void memory_bound_of_process(const char *group_file, const char *groups, struct memory_bound *ret) {
    char line[PATH_MAX + 32];
    char old[PATH_MAX];
    begin_with_machine(ret);
    (void)snprintf(old, sizeof(old), "%s/memory", groups);
    CLEANUP(close_file) FILE *file = fopen(group_file, "re");
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *memory = strstr(line, ":memory:/");
        char *path = strncmp(line, "0::/", 4) == 0 ? line + 3 : memory ? memory + 8 : NULL;
        if (path && (strstr(path, "/..") || path[1] == '\0')) {
            path[0] = '\0';
        }
        if (path) {
            lower_by_groups(ret, memory ? old : groups, path, memory ? version_1 : version_2);
        }
    }
}

/* ---- a unit ---- */

/* "8G" or "50%", as in systemd.resource-control(5); "infinity" and what systemd would not take
 * bound nothing. */
static int64_t bytes_of(const char *text, int64_t machine) {
    static const char units[] = "KMGT";
    char *end = NULL;
    double value = strtod(text, &end);
    double factor = 1.0;
    if (end == text || !(value > 0.0)) {
        return INT64_MAX;
    }
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (*end == '%') {
        factor = (double)machine / 100.0;
    } else if (unit) {
        factor = (double)(INT64_C(1) << (10 * (unit - units + 1)));
    } else if (*end) {
        return INT64_MAX;
    }
    return value * factor < 9e18 ? (int64_t)(value * factor) : INT64_MAX;
}

static void lower_by_setting(struct memory_bound *bound, const struct unit_file *unit,
                             const char *key, int64_t machine) {
    const struct unit_setting *setting = unit_file_last(unit, key);
    if (setting) {
        lower(bound, bytes_of(setting->value, machine), key, setting->origin);
    }
}

/* "a-b.slice" is below "a.slice". */
static void slice_group(const char *slice, char group[PATH_MAX]) {
    size_t n = 0;
    group[0] = '\0';
    for (const char *dash = strchr(slice, '-'); dash; dash = strchr(dash + 1, '-')) {
        n += (size_t)snprintf(group + n, PATH_MAX - n, "/%.*s.slice", (int)(dash - slice), slice);
        if (n >= PATH_MAX) {
            group[0] = '\0';
            return;
        }
    }
    if (snprintf(group + n, PATH_MAX - n, "/%s", slice) >= (int)(PATH_MAX - n)) {
        group[0] = '\0';
    }
}

void memory_bound_of_unit(const struct unit_file *unit, const char *groups,
                          struct memory_bound *ret) {
    const struct unit_setting *slice = unit_file_last(unit, "Slice");
    char group[PATH_MAX];
    begin_with_machine(ret);
    int64_t machine = ret->n_bytes;
    lower_by_setting(ret, unit, "MemoryMax", machine);
    lower_by_setting(ret, unit, "MemoryHigh", machine);
    slice_group(slice ? slice->value : "system.slice", group);
    lower_by_groups(ret, groups, group, version_2);
}
