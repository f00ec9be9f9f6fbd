/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/sweep_change.h"

#include <stdlib.h>

#include "core/base/cleanup.h"
#include "daemon/store/change/halving.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/table/idempotency_table.h"
#include "daemon/store/table/sweep_rows.h"

struct insert_arguments {
    const struct sweep_draft *draft;
    int64_t now_ms;
    int64_t id;
};

static enum status insert(struct db *db, void *arguments, struct error *error) {
    struct insert_arguments *a = arguments;
    const struct halving_rule *halving = a->draft->halving;
    TRY(sweep_add(db, a->draft, a->now_ms, &a->id, error));
    if (halving) {
        TRY(halving_begin(db, a->id, halving, error));
    }
    for (size_t i = 0; i < a->draft->n_runs; i++) {
        struct run_draft run = a->draft->runs[i];
        int64_t run_id = 0;
        run.sweep_id = a->id;
        TRY(run_insert(db, &run, a->now_ms, &run_id, error));
        if (halving) {
            TRY(halving_enter(db, run_id, halving, a->draft->settings ? a->draft->settings[i] : "",
                              error));
        }
    }
    return idempotency_add_created(db, a->draft->idempotency, "/api/v1/sweeps", a->id, a->now_ms,
                                   error);
}

enum status sweep_table_insert(struct store *store, const struct sweep_draft *draft, int64_t now_ms,
                               int64_t *ret_id, struct error *error) {
    struct insert_arguments arguments = {draft, now_ms, 0};
    TRY(store_write(store, insert, &arguments, error));
    *ret_id = arguments.id;
    return STATUS_OK;
}

struct delete_arguments {
    int64_t id;
    int64_t now_ms;
    int64_t *ids; /* [n_ids] of the runs that were deleted */
    size_t n_ids;
};

/* The sweep goes before its runs, so that the schema tells nobody that the deletion of one of them
 * has ended it. The newest run goes first: what comes after another is newer than that. */
static enum status delete_sweep(struct db *db, void *arguments, struct error *error) {
    struct delete_arguments *a = arguments;
    CLEANUP(sweep_row_clear) struct sweep_row row = {0};
    TRY(sweep_read(db, a->id, &row, error));
    TRY(sweep_read_runs(db, a->id, &a->ids, &a->n_ids, error));
    TRY(halving_forget(db, a->id, error));
    TRY(sweep_remove(db, a->id, error));
    for (size_t i = a->n_ids; i > 0; i--) {
        TRY(run_delete(db, a->ids[i - 1], a->now_ms, error));
    }
    return STATUS_OK;
}

enum status sweep_table_delete(struct store *store, int64_t id, int64_t now_ms, int64_t **ret_ids,
                               size_t *ret_n, struct error *error) {
    struct delete_arguments arguments = {.id = id, .now_ms = now_ms};
    enum status status = store_write(store, delete_sweep, &arguments, error);
    if (status != STATUS_OK) {
        free(arguments.ids);
        return status;
    }
    *ret_ids = arguments.ids;
    *ret_n = arguments.n_ids;
    return STATUS_OK;
}
