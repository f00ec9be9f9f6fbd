/* What compare.c and compare_groups.c share.
 *
 * Layer: daemon, internal to compare*.c. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_DAEMON_COMPARE_COMPARE_INTERNAL_H
#define CUTOUTD_DAEMON_COMPARE_COMPARE_INTERNAL_H

#include "daemon/compare/compare.h"

/* Puts the runs into groups with values, label and runs, in order; nothing else of a group is
 * filled. On failure *comparison may hold some of it (comparison_clear). STATUS_NO_MEMORY. */
enum status compare_group_runs(const struct compare_request *request,
                               const struct compare_run *runs, size_t n_runs,
                               struct comparison *comparison, struct error *error);

/* Frees what a group owns and zeroes it. */
void compare_group_clear(struct compare_group *group);

#endif
