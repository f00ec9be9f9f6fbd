/* The query arguments of a request: which there may be, and the usual kinds.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 *
 * Each function returns false when *reply is the answer, a problem that names the argument.
 */
#ifndef CUTOUTD_API_QUERY_ARGUMENTS_H
#define CUTOUTD_API_QUERY_ARGUMENTS_H

#include "api/http/reply.h"

/* Only those of `known` may be there: "state*, sort, limit". Each once, but those with a star as
 * often as one likes; "*": whatever. The router calls it for every route, with what the table says.
 */
bool arguments_check(const struct request *request, struct reply *reply, const char *known);

/* A whole number from 0 to `most`; *value stays as it is when the argument is not there. */
bool arguments_read_count(const struct request *request, struct reply *reply, const char *name,
                          int64_t most, int64_t *value);

/* limit: from 1 to `most`. */
enum { LIST_LIMIT_DEFAULT = 50, LIST_LIMIT_MOST = 500 };
bool arguments_read_limit(const struct request *request, struct reply *reply, int64_t most,
                          int64_t *value);

/* limit, and cursor of a list from the newest id downwards: the ids of the page are less than
 * *ret_below. Its next cursor is that of arguments_cursor. */
bool arguments_read_page(const struct request *request, struct reply *reply, int64_t *ret_limit,
                         int64_t *ret_below);

enum { ID_CURSOR_SIZE = 24 };
/* The cursor of the page behind the one that ends with last_id; the result is ret_text. */
const char *arguments_cursor(int64_t last_id, char ret_text[ID_CURSOR_SIZE]);

/* true or false; *value stays as it is when the argument is not there. */
bool arguments_read_flag(const struct request *request, struct reply *reply, const char *name,
                         bool *value);

#endif
