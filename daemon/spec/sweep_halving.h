/* The halving of a sweep, read.
 *
 * Layer: daemon, internal to this room. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_DAEMON_SPEC_SWEEP_HALVING_H
#define CUTOUTD_DAEMON_SPEC_SWEEP_HALVING_H

#include <cjson/cJSON.h>

#include "daemon/spec/run_spec_fields.h"
#include "daemon/spec/sweep_spec.h"

/* item: NULL when none is given; grid: or NULL. What is wrong is added to the errors. */
void sweep_halving_read(const cJSON *item, const cJSON *grid, struct sweep_halving *ret,
                        struct field_errors *errors);

/* Whether the first rung is within the child's epochs. */
void sweep_halving_check(const struct sweep_halving *halving, const struct sweep_child *child,
                         struct field_errors *errors);

/* Sets the child's setting from its document: the same exactly for the same values of the fields
 * that runs are ranked by. STATUS_NO_MEMORY. */
enum status sweep_halving_name(const struct sweep_halving *halving, const cJSON *document,
                               struct sweep_child *child);

#endif
