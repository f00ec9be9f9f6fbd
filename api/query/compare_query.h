/* The arguments of a comparison, read from a query, and the comparison they ask for. GET /compare
 * and the figures take the same ones.
 *
 * Layer: api. Thread rule: belongs to the thread that serves the request.
 */
#ifndef CUTOUTD_API_QUERY_COMPARE_QUERY_H
#define CUTOUTD_API_QUERY_COMPARE_QUERY_H

#include "api/context.h"
#include "api/http/reply.h"
#include "api/http/request.h"
#include "daemon/compare/compare.h"
#include "daemon/spec/config_diff.h"
#include "daemon/store/query/run_set.h"

/* Of the runs of one comparison together: what is read into memory at once. */
enum { COMPARE_MAX_RUNS = 1000, COMPARE_MAX_EPOCHS = 500000 };

/* More is left to the threads for what takes long. */
enum { COMPARE_QUICK_EPOCHS = 10000 };

/* For the table of routes, beside those of the route: COMPARE_ARGUMENTS ", format". */
#define COMPARE_ARGUMENTS "ids, sweep, group_by, x, metric, target, baseline"

struct compare_query {
    struct compare_request request;
    struct run_set set;        /* the runs; their epochs after compare_query_run */
    int64_t sweep_id;          /* 0: by ids */
    int64_t n_epochs;          /* of all runs */
    struct config_diff varies; /* between the runs' configs */
    char tag[24];              /* changes whenever one of the runs does; letters and digits */
};

/* Reads ids= or sweep=, group_by=, x=, metric=, target=, baseline= and the rows of the runs. False:
 * *reply says what is wrong. The caller owns *ret_query (compare_query_clear) in both cases. */
bool compare_query_read(struct api_context *context, const struct request *request,
                        struct reply *reply, struct compare_query *ret_query);

/* Reads all epochs and compares. False: *reply says what is wrong. On true the caller owns *ret
 * (comparison_clear). */
bool compare_query_run(struct api_context *context, const struct request *request,
                       struct reply *reply, struct compare_query *query, struct comparison *ret);

/* Frees and zeroes. A zeroed query is fine. */
void compare_query_clear(struct compare_query *query);

#endif
