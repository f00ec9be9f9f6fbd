/* In which fields stored configs differ.
 *
 * Layer: daemon. Thread rule: belongs to the thread that uses it.
 *
 *     CLEANUP(config_diff_clear) struct config_diff diff = {.first = NULL};
 *     config_diff_add(&diff, rows[i].config_json, error) for each
 *     for (int at = 0; (name = config_diff_next(&diff, &at));) ...
 */
#ifndef CUTOUTD_DAEMON_SPEC_CONFIG_DIFF_H
#define CUTOUTD_DAEMON_SPEC_CONFIG_DIFF_H

#include <stdbool.h>

#include "core/base/error.h"
#include "daemon/spec/config_text.h"
#include "daemon/spec/json_write.h"

struct config_diff {
    char *first;                      /* owned: the config that came first, completed */
    bool differs[CONFIG_MOST_FIELDS]; /* by row of run_config_fields */
};

/* Compares one more config with the first, each by what it means: run_spec_stored_json. What equals
 * it letter for letter costs no more than that. STATUS_NO_MEMORY. */
enum status config_diff_add(struct config_diff *diff, const char *config_json, struct error *error);

/* The next field in which some differ, in the order of the fields, from *at on (0 to begin with);
 * NULL: there is none. */
const char *config_diff_next(const struct config_diff *diff, int *at);

/* ["m","seed"] as a member. */
void config_diff_write(struct json_writer *writer, const char *key, const struct config_diff *diff);

/* Frees and zeroes. A zeroed one is fine. */
void config_diff_clear(struct config_diff *diff);

#endif
