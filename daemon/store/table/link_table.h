/* Table `link`: what lets somebody read one sweep without a token.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_LINK_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_LINK_TABLE_H

#include "core/base/sha256.h"
#include "daemon/store/table/run_table.h"

struct link_row {
    int64_t id; /* from 1 */
    int64_t sweep_id;
    char sha256[SHA256_HEX_SIZE]; /* of the secret */
    char owner[RUN_OWNER_SIZE];   /* name of the token it was made with; "" without one */
    int64_t created_ms;           /* Unix time, as the next */
    int64_t expires_ms;
};

struct link_list {
    struct link_row *rows; /* oldest first */
    size_t n;
};

/* Frees and zeroes. A zeroed list is fine. */
void link_list_clear(struct link_list *list);

/* Those of a sweep (0: of all) that have not expired at now_ms. The caller owns *ret_list
 * (link_list_clear). */
enum status link_table_list(struct store *store, int64_t sweep_id, int64_t now_ms,
                            struct link_list *ret_list, struct error *error);

/* Adds row (its id is not read) and takes away those that have expired when it was created.
 * STATUS_NOT_FOUND: there is no such sweep; STATUS_CONFLICT: it has `most` links already. */
enum status link_table_add(struct store *store, const struct link_row *row, int most,
                           int64_t *ret_id, struct error *error);

/* STATUS_NOT_FOUND. */
enum status link_table_get(struct store *store, int64_t id, struct link_row *ret_row,
                           struct error *error);
enum status link_table_delete(struct store *store, int64_t id, struct error *error);

#endif
