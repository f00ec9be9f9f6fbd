/* The query arguments of a request: which there may be, and the usual kinds.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 *
 * Each function returns false when *reply is the answer, a problem that names the argument.
 */
#ifndef CUTOUTD_API_ARGUMENTS_H
#define CUTOUTD_API_ARGUMENTS_H

#include "api/reply.h"

/* Only these may be there: once those of `once`, also several times those of `often` (either may be
 * NULL). Both are "name, name". */
bool arguments_check(const struct request *request, struct reply *reply, const char *once,
                     const char *often);

/* A whole number from 0 to `most`; *value stays as it is when the argument is not there. */
bool arguments_read_count(const struct request *request, struct reply *reply, const char *name,
                          int64_t most, int64_t *value);

/* true or false; *value stays as it is when the argument is not there. */
bool arguments_read_flag(const struct request *request, struct reply *reply, const char *name,
                         bool *value);

#endif
