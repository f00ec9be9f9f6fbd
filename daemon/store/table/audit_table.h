/* Table `audit`: who did what. Its lines are written while a thread acts for somebody
 * (store_act_for), in the transaction of what they tell about: by triggers of the schema, those of
 * settings by change/setting_change.h.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_AUDIT_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_AUDIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/store/store.h"

/* The texts are owned by the row. */
struct audit_row {
    int64_t id; /* rises with time */
    int64_t at_ms;
    char *owner; /* "" without a token */
    char *peer;
    char *request_id;
    char *request; /* "POST /api/v1/runs" */
    char *subject; /* "run" */
    char *subject_id;
    char *before; /* JSON; "": it was not there */
    char *after;  /* JSON; "": it is there no more */
};

struct audit_list {
    struct audit_row *rows;
    size_t n;
    bool more;
};

/* Frees and zeroes. A zeroed list is fine. */
void audit_list_clear(struct audit_list *list);

/* At most `limit` lines below the id `below` (INT64_MAX: from the newest), the newest first; owner,
 * subject and subject_id: only those of it; NULL: of all. The caller owns *ret_list. */
enum status audit_table_list(struct store *store, int64_t below, const char *owner,
                             const char *subject, const char *subject_id, int limit,
                             struct audit_list *ret_list, struct error *error);

/* A line of what changes nothing in the database, by the actor of this thread (without one: none).
 */
enum status audit_table_add(struct store *store, const char *subject, const char *subject_id,
                            const char *after, struct error *error);

struct db;

/* From a store_body: a line by its actor (without one: none). before, after: JSON objects; NULL: it
 * was not there, or is there no more. */
enum status audit_add(struct db *db, const char *subject, const char *subject_id,
                      const char *before, const char *after, struct error *error);

/* Deletes at most a thousand lines of before `before_ms`; *ret_n: how many. */
enum status audit_table_expire(struct store *store, int64_t before_ms, int *ret_n,
                               struct error *error);

#endif
