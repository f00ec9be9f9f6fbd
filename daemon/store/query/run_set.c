/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/query/run_set.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/store/table/epoch_rows.h"
#include "daemon/store/table/run_rows.h"
#include "daemon/store/table/sweep_rows.h"

void run_set_clear(struct run_set *set) {
    for (size_t i = 0; i < set->n; i++) {
        run_row_clear(&set->rows[i]);
        epoch_list_clear(&set->epochs[i]);
    }
    free(set->rows);
    free(set->epochs);
    memset(set, 0, sizeof(*set));
}

static enum status read_rows(struct db *db, const int64_t *ids, size_t n_ids, struct run_set *set,
                             struct error *error) {
    set->rows = calloc(n_ids ? n_ids : 1, sizeof(*set->rows));
    set->epochs = calloc(n_ids ? n_ids : 1, sizeof(*set->epochs));
    if (!set->rows || !set->epochs) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %zu runs", n_ids);
    }
    for (; set->n < n_ids; set->n++) {
        TRY(run_read(db, ids[set->n], &set->rows[set->n], error));
    }
    return STATUS_OK;
}

/* Runs on a reader between two statements that make what it reads one state of the database. */
typedef enum status read_body(struct db *db, const void *from, size_t n, struct run_set *set,
                              struct error *error);

static enum status read_at_once(struct store *store, read_body *body, const void *from, size_t n,
                                struct run_set *set, struct error *error) {
    struct db *db = store_reader_acquire(store);
    enum status status = db_begin_reading(db, error);
    if (status == STATUS_OK) {
        status = body(db, from, n, set, error);
        db_end_reading(db);
    }
    store_reader_release(store, db);
    return status;
}

static enum status read_named(struct db *db, const void *from, size_t n, struct run_set *set,
                              struct error *error) {
    return read_rows(db, from, n, set, error);
}

static enum status read_sweep(struct db *db, const void *from, size_t n, struct run_set *set,
                              struct error *error) {
    (void)n;
    CLEANUP(free_pointer) int64_t *ids = NULL;
    size_t n_ids = 0;
    TRY(sweep_read_runs(db, *(const int64_t *)from, &ids, &n_ids, error));
    return read_rows(db, ids, n_ids, set, error);
}

static enum status read_epochs(struct db *db, const void *from, size_t n, struct run_set *set,
                               struct error *error) {
    (void)from;
    for (size_t i = 0; i < n; i++) {
        epoch_list_clear(&set->epochs[i]);
        TRY(epoch_read_all(db, set->rows[i].id, &set->epochs[i], error));
    }
    return STATUS_OK;
}

static enum status read_new(struct store *store, read_body *body, const void *from, size_t n,
                            struct run_set *ret_set, struct error *error) {
    CLEANUP(run_set_clear) struct run_set set = {0};
    TRY(read_at_once(store, body, from, n, &set, error));
    *ret_set = set;
    set = (struct run_set){0};
    return STATUS_OK;
}

enum status run_set_read(struct store *store, const int64_t *ids, size_t n_ids,
                         struct run_set *ret_set, struct error *error) {
    return read_new(store, read_named, ids, n_ids, ret_set, error);
}

enum status run_set_read_sweep(struct store *store, int64_t sweep_id, struct run_set *ret_set,
                               struct error *error) {
    return read_new(store, read_sweep, &sweep_id, 0, ret_set, error);
}

enum status run_set_read_epochs(struct store *store, struct run_set *set, struct error *error) {
    return read_at_once(store, read_epochs, NULL, set->n, set, error);
}
