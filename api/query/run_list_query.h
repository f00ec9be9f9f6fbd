/* The arguments of a list of runs, and cursors as text.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_QUERY_RUN_LIST_QUERY_H
#define CUTOUTD_API_QUERY_RUN_LIST_QUERY_H

#include "api/http/reply.h"
#include "daemon/store/query/run_query.h"

enum { CURSOR_TEXT_SIZE = 512 };

/* For the table of routes. */
#define RUN_LIST_ARGUMENTS                                                                         \
    "state*, m*, cutout_size*, dataset*, preset*, optimizer*, copies*, seed*, depth*, owner*, "    \
    "sweep*, forked_from*, label*, name*, text*, sort, fields, limit, cursor"

/* Reads filters, sort, limit and cursor. The values in *ret_query point into the request. false:
 * *reply names the argument that cannot be used, and why. `fields` is left to the caller. */
bool run_list_query_read(const struct request *request, struct reply *reply,
                         struct run_query *ret_query);

/* The text that makes run_list_query_read go on behind `row`: letters and digits only. */
void run_list_cursor_write(const struct run_query *query, const struct run_row *row,
                           char ret_text[CURSOR_TEXT_SIZE]);

#endif
