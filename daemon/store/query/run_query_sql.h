/* The statements behind lists of runs.
 *
 * Layer: daemon/store (run_query*.c and tests only). Thread rule: pure functions on their
 * arguments.
 */
#ifndef CUTOUTD_DAEMON_STORE_QUERY_RUN_QUERY_SQL_H
#define CUTOUTD_DAEMON_STORE_QUERY_RUN_QUERY_SQL_H

#include <sqlite3.h>

#include "daemon/store/query/run_query.h"

enum { RUN_QUERY_SQL_SIZE = 16384 };

/* How conditions on labels, sweeps, owners, names and origins of forks, whose runs can be counted,
 * are used. */
struct run_query_plan {
    int driver;      /* the condition whose runs are looked at, and no others; -1: none */
    unsigned listed; /* bits of conditions on labels, texts and origins whose runs are listed before
                        the walk */
};

/* Whether the condition is one label and the order that of its index: it drives, common or rare. */
bool run_query_is_label_in_order(const struct run_query *query, int condition);

/* The statement that lists. STATUS_TOO_LARGE. */
enum status run_query_sql(const struct run_query *query, const struct run_query_plan *plan,
                          char ret_sql[RUN_QUERY_SQL_SIZE], struct error *error);

/* The statement that counts the runs of one condition, up to the limit. false: there is no index
 * that names them. */
bool run_query_count_sql(const struct run_query *query, int condition,
                         char ret_sql[RUN_QUERY_SQL_SIZE]);

/* Binds what a client chose, and how many rows are wanted; the query must live on. */
void run_query_bind(const struct run_query *query, int64_t limit, sqlite3_stmt *statement);

#endif
