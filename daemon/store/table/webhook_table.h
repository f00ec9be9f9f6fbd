/* Tables `webhook` and `delivery`: who is told when something has happened, and what is still to be
 * told. Deliveries of runs and sweeps are written by triggers of the schema, in the commit of what
 * they tell about.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_WEBHOOK_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_WEBHOOK_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/store/store.h"

enum {
    WEBHOOK_NAME_SIZE = 64,
    WEBHOOK_URL_SIZE = 1024,
    WEBHOOK_EVENTS_SIZE = 128,
    WEBHOOK_SECRET_SIZE = 64,
    WEBHOOK_MOST = 100,
    DELIVERY_ERROR_SIZE = 256,
    DELIVERY_FACTS_SIZE = 4096,
};

enum webhook_template {
    WEBHOOK_JSON,
    WEBHOOK_SLACK,
    WEBHOOK_MATTERMOST,
    WEBHOOK_NTFY,
    WEBHOOK_TEMPLATES
};

/* "json", "slack", "mattermost", "ntfy". */
const char *webhook_template_name(enum webhook_template template);

struct webhook_row {
    int64_t id;
    char name[WEBHOOK_NAME_SIZE];
    char url[WEBHOOK_URL_SIZE];
    char events[WEBHOOK_EVENTS_SIZE]; /* ",run_ended,disk_low,"; "": none */
    double target;                    /* NaN: none */
    enum webhook_template template;
    char secret[WEBHOOK_SECRET_SIZE];
    char owner[WEBHOOK_NAME_SIZE];
    int64_t created_ms;
    int64_t n_pending; /* deliveries that it is still to be told */
    int64_t n_dead;    /* and that were given up */
};

struct webhook_list {
    struct webhook_row *rows;
    size_t n;
};

/* Frees and zeroes. A zeroed list is fine. */
void webhook_list_clear(struct webhook_list *list);

/* In order of their ids. The caller owns *ret_list. */
enum status webhook_table_list(struct store *store, struct webhook_list *ret_list,
                               struct error *error);

/* STATUS_NOT_FOUND. */
enum status webhook_table_get(struct store *store, int64_t id, struct webhook_row *ret_row,
                              struct error *error);

/* row->id and the numbers of deliveries do not count. STATUS_CONFLICT: the name is taken, or there
 * are WEBHOOK_MOST. */
enum status webhook_table_add(struct store *store, const struct webhook_row *row, int64_t *ret_id,
                              struct error *error);

/* With its deliveries. STATUS_NOT_FOUND. */
enum status webhook_table_delete(struct store *store, int64_t id, struct error *error);

struct delivery_row {
    int64_t id; /* rises with time */
    int64_t webhook_id;
    char event[32];
    char facts[DELIVERY_FACTS_SIZE]; /* a JSON object */
    int64_t created_ms;
    char state[16]; /* "pending", "delivered", "dead" */
    int attempts;
    int64_t next_ms;                 /* pending: the next try; else when it came to its end */
    int http_status;                 /* of the last answer; 0: there was none */
    char error[DELIVERY_ERROR_SIZE]; /* why the last try failed */
};

struct delivery_list {
    struct delivery_row *rows;
    size_t n;
    bool more;
};

/* Frees and zeroes. */
void delivery_list_clear(struct delivery_list *list);

/* At most `limit` of a webhook with ids below `below`, the newest first. The caller owns *ret_list.
 */
enum status delivery_table_list(struct store *store, int64_t webhook_id, int64_t below, int limit,
                                struct delivery_list *ret_list, struct error *error);

/* That whose next try comes first. STATUS_NOT_FOUND: none is pending. */
enum status delivery_table_next(struct store *store, struct delivery_row *ret_row,
                                struct error *error);

/* Those that wait for longer than their number of tries allows (waits_ms[i] after i tries, n of
 * them) are due now: the clock was later than now_ms when they were stored. */
enum status delivery_table_hasten(struct store *store, const int64_t *waits_ms, int n,
                                  int64_t now_ms, struct error *error);

/* One more, of this webhook (0: of all that want the event). */
enum status delivery_table_add(struct store *store, int64_t webhook_id, const char *event,
                               const char *run_notify, const char *facts, int64_t now_ms,
                               struct error *error);

/* What came of a try: state, attempts, next_ms, http_status and error of the row with its id. One
 * that is gone is fine. */
enum status delivery_table_settle(struct store *store, const struct delivery_row *row,
                                  struct error *error);

/* Forgets those that came to their end before; at most a thousand. ret_n: how many. */
enum status delivery_table_expire(struct store *store, int64_t before_ms, int *ret_n,
                                  struct error *error);

#endif
