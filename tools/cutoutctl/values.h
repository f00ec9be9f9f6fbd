/* key=value as people type it, and what it is in JSON.
 *
 * Layer: tools. Thread rule: pure functions on their arguments.
 *
 * Numbers, true, false and null are what they look like, text that begins as a JSON list or object
 * is taken as one, and everything else is a string. `name` is always a string.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_VALUES_H
#define CUTOUTD_TOOLS_CUTOUTCTL_VALUES_H

#include <stdbool.h>

#include "core/base/error.h"

/* {"m":8,"cutout_size":12}: the body of POST /runs. after=1,2 becomes a list, label=key:value (as
 * often as needed) labels. STATUS_INVALID: not key=value, a key given twice, several values.
 * *ret_json is the caller's (free). */
enum status values_to_run(char *const *arguments, int n, char **ret_json, struct error *error);

/* The body of POST /sweeps: keys with several values are the grid, in the order given, the others
 * the base; name and hold are the sweep's. Errors as above. */
enum status values_to_sweep(char *const *arguments, int n, char **ret_json, struct error *error);

/* {"from_epoch":"best","overrides":{"lr":0.0001}}: the body of a fork. Errors as above. */
enum status values_to_fork(char *const *arguments, int n, char **ret_json, struct error *error);

/* What changes runs. With labels or several ids that is the body of POST /runs/bulk
 * (*ret_is_bulk), which sets these labels and leaves others alone (label=team:vision; label=team-
 * takes one away); otherwise that of PATCH /runs/{id}. STATUS_INVALID also: a name for several
 * runs. */
enum status values_to_edit(char *const *ids, int n_ids, char *const *arguments, int n,
                           char **ret_json, bool *ret_is_bulk, struct error *error);

/* One flat object, for routes that take nothing else; `list` (may be NULL) is the key whose value
 * becomes a list of texts. */
enum status values_to_object(char *const *arguments, int n, const char *list, char **ret_json,
                             struct error *error);

/* Of ids and key=value arguments, "?ids=1%2C2&target=0.06". Errors as above. */
enum status values_to_selection(char *const *arguments, int n, char **ret_query,
                                struct error *error);

/* "?state=queued%2Crunning&m=8", or "" without arguments. Errors as above; a key may come twice. */
enum status values_to_query(char *const *arguments, int n, char **ret_query, struct error *error);

#endif
