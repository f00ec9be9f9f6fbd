/* key=value as people type it, and what it is in JSON.
 *
 * Layer: tools. Thread rule: pure functions on their arguments.
 *
 * Numbers, true, false and null are what they look like, text that begins as a JSON list or object
 * is taken as one, and everything else is a string. `name` is always a string.
 */
#ifndef CUTOUTD_TOOLS_CUTOUTCTL_VALUES_H
#define CUTOUTD_TOOLS_CUTOUTCTL_VALUES_H

#include "core/base/error.h"

/* {"m":8,"cutout_size":12}: the body of POST /runs. after=1,2 becomes a list, label=key:value (as
 * often as needed) labels. STATUS_INVALID: not key=value, a key given twice, several values.
 * *ret_json is the caller's (free). */
enum status values_to_run(char *const *arguments, int n, char **ret_json, struct error *error);

/* The body of POST /sweeps: keys with several values are the grid, in the order given, the others
 * the base; name and hold are the sweep's. Errors as above. */
enum status values_to_sweep(char *const *arguments, int n, char **ret_json, struct error *error);

/* "?state=queued%2Crunning&m=8", or "" without arguments. Errors as above; a key may come twice. */
enum status values_to_query(char *const *arguments, int n, char **ret_query, struct error *error);

#endif
