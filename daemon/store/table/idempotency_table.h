/* Table `idempotency`: what was answered to a POST that carried an Idempotency-Key.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * The row is added in the transaction of what the POST does. What changes runs or the scheduler
 * stores its whole answer there. What creates stores the place of the new resource and no body; the
 * body follows when it has been written, and a crash in between leaves the place, from which the
 * same answer can be made again.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_IDEMPOTENCY_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_IDEMPOTENCY_TABLE_H

#include "core/base/sha256.h"
#include "daemon/store/store.h"

/* Who asks what under which key. Borrowed. */
struct idempotency_mark {
    const char *owner; /* "" without a token */
    const char *key;
    const char *route;       /* "POST /api/v1/runs" */
    const char *body_sha256; /* [SHA256_HEX_SIZE] */
};

enum { IDEMPOTENCY_LOCATION_SIZE = 64, IDEMPOTENCY_ROUTE_SIZE = 160 };

/* What is kept under a key. Borrowed. */
struct idempotency_answer {
    const struct idempotency_mark *mark;
    int http_status;
    const char *location; /* "": nothing was created */
    const char *body;     /* "": it follows */
    int64_t now_ms;
};

struct idempotency_row {
    char route[IDEMPOTENCY_ROUTE_SIZE];
    char body_sha256[SHA256_HEX_SIZE];
    int http_status;
    char location[IDEMPOTENCY_LOCATION_SIZE];
    char *body; /* owned; "": not written yet */
};

/* STATUS_NOT_FOUND. On success the caller owns *ret_row (idempotency_row_clear). */
enum status idempotency_table_get(struct store *store, const struct idempotency_mark *mark,
                                  struct idempotency_row *ret_row, struct error *error);

/* Adds the answer, or completes the row that the transaction has left. */
enum status idempotency_table_put(struct store *store, const struct idempotency_answer *answer,
                                  struct error *error);

/* Frees and zeroes. */
void idempotency_row_clear(struct idempotency_row *row);

struct db;

/* From the store_body of what the POST does: stores what is answered to its key. */
enum status idempotency_add(struct db *db, const struct idempotency_answer *answer,
                            struct error *error);

/* The same for what was created: a 201 from its place. mark NULL: nothing is stored. */
enum status idempotency_add_created(struct db *db, const struct idempotency_mark *mark,
                                    const char *collection, int64_t id, int64_t now_ms,
                                    struct error *error);

#endif
