/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_fork.h"

#include <stdlib.h>

#include "core/base/cleanup.h"
#include "daemon/store/change/run_change.h"
#include "daemon/store/change/run_progress.h"
#include "daemon/store/table/checkpoint_rows.h"
#include "daemon/store/table/epoch_columns.h"
#include "daemon/store/table/run_rows.h"

enum { EPOCHS, EVENTS, CHECKPOINTS, CONFUSION, ORIGIN, N_STATEMENTS };

/* ?1 is the new run, ?2 the source, ?3 the last epoch that is taken over. */
const struct statement_set fork_statements = {
    N_STATEMENTS,
    {
        /* With the images and steps that they had there. */
        /* cppcheck-suppress unknownMacro ; the columns are a list of such macros */
        [EPOCHS] = ("INSERT INTO epoch (" EPOCH_NAMES "run_id) SELECT " EPOCH_WHOLE_COLUMNS "?1"
                    " FROM run CROSS JOIN epoch ON epoch.run_id = run.id"
                    " WHERE run.id = ?2 AND epoch.epoch <= ?3"),
        [EVENTS] = ("INSERT INTO event (run_id, type, at_ms, epoch)"
                    " SELECT ?1, 'epoch', at_ms, epoch FROM epoch"
                    " WHERE run_id = ?2 AND epoch <= ?3 ORDER BY epoch"),
        /* The one to go on from comes last: it is the newest. */
        [CHECKPOINTS] =
            ("INSERT INTO checkpoint (run_id, kind, path, sha256, n_bytes, epochs_done, step,"
             " at_ms) SELECT ?1, kind, path, sha256, n_bytes, epochs_done, step, at_ms"
             " FROM checkpoint WHERE run_id = ?2 AND step = 0 AND (epochs_done = ?3"
             " OR (kind = 'best' AND epochs_done < ?3)) ORDER BY epochs_done, id"),
        [CONFUSION] = ("INSERT INTO confusion (run_id, epoch, classes, counts) SELECT ?1, epoch,"
                       " classes, counts FROM confusion WHERE run_id = ?2 AND epoch <= ?3"),
        [ORIGIN] = ("UPDATE run SET (variant, arithmetic, dataset_sha256) ="
                    " (SELECT variant, arithmetic, dataset_sha256"
                    " FROM run AS source WHERE source.id = ?2),"
                    " (inherited_epochs, inherited_seconds) = (SELECT count(*), total(seconds)"
                    "  FROM epoch WHERE run_id = ?1),"
                    " steps_per_epoch = ?4, images_per_epoch = ?5 WHERE id = ?1"),
    },
};

struct fork_arguments {
    const struct run_fork *fork;
    int64_t now_ms;
    int64_t id;
};

static enum status take_over(struct db *db, int index, const struct fork_arguments *a,
                             struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_FORK, index);
    sqlite3_bind_int64(statement, 1, a->id);
    sqlite3_bind_int64(statement, 2, a->fork->draft->forked_from);
    if (index == ORIGIN) {
        sqlite3_bind_int(statement, 4, a->fork->steps_per_epoch);
        sqlite3_bind_int64(statement, 5, a->fork->images_per_epoch);
    } else {
        sqlite3_bind_int(statement, 3, a->fork->draft->forked_epoch);
    }
    return db_execute(db, statement, NULL, error);
}

static enum status link_files(struct db *db, const struct fork_arguments *a, struct error *error) {
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    TRY(checkpoint_read_list(db, a->id, &list, error));
    if (list.n == 0 || list.rows[0].epochs_done != a->fork->draft->forked_epoch) {
        return error_set(error, STATUS_CONFLICT, "run %lld has no checkpoint of epoch %d",
                         (long long)a->fork->draft->forked_from, a->fork->draft->forked_epoch);
    }
    for (size_t i = 0; i < list.n; i++) {
        TRY(a->fork->link_file(a->fork->user, a->fork->draft->forked_from, a->id, list.rows[i].path,
                               error));
    }
    return STATUS_OK;
}

static enum status fork_run(struct db *db, void *arguments, struct error *error) {
    struct fork_arguments *a = arguments;
    CLEANUP(run_row_clear) struct run_row source = {0};
    /* It may have been deleted since it was looked at. */
    TRY(run_read(db, a->fork->draft->forked_from, &source, error));
    TRY(run_insert(db, a->fork->draft, a->now_ms, &a->id, error));
    if (a->fork->draft->forked_epoch == 0) {
        return STATUS_OK;
    }
    for (int index = 0; index < N_STATEMENTS; index++) {
        TRY(take_over(db, index, a, error));
    }
    TRY(run_note_epochs(db, a->id, a->fork->draft->forked_epoch + 1, false, STOP_NONE, error));
    return link_files(db, a, error);
}

enum status run_table_fork(struct store *store, const struct run_fork *fork, int64_t now_ms,
                           int64_t *ret_id, struct error *error) {
    struct fork_arguments arguments = {fork, now_ms, 0};
    TRY(store_write(store, fork_run, &arguments, error));
    *ret_id = arguments.id;
    return STATUS_OK;
}

struct all_arguments {
    const struct run_fork *forks;
    const struct idempotency_mark *mark;
    run_answer *answer;
    void *user;
    int64_t now_ms;
    struct run_outcomes outcomes;
};

static enum status fork_all(struct db *db, void *arguments, struct error *error) {
    struct all_arguments *a = arguments;
    for (size_t i = 0; i < a->outcomes.n; i++) {
        struct fork_arguments one = {&a->forks[i], a->now_ms, 0};
        TRY(fork_run(db, &one, error));
        TRY(run_read(db, one.id, &a->outcomes.items[i].row, error));
    }
    return a->mark ? run_outcomes_store_answer(db, a->mark, a->answer, a->user, &a->outcomes,
                                               a->now_ms, error)
                   : STATUS_OK;
}

enum status run_table_fork_all(struct store *store, const struct run_fork *forks, size_t n,
                               const struct idempotency_mark *mark, run_answer *answer, void *user,
                               int64_t now_ms, struct run_outcomes *ret_outcomes,
                               struct error *error) {
    struct all_arguments arguments = {forks, mark, answer, user, now_ms, {.n = n}};
    arguments.outcomes.items = calloc(n + 1, sizeof(*arguments.outcomes.items));
    if (!arguments.outcomes.items) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for %zu forks", n);
    }
    for (size_t i = 0; i < n; i++) {
        arguments.outcomes.items[i].id = forks[i].draft->forked_from;
    }
    enum status status = store_write(store, fork_all, &arguments, error);
    if (status != STATUS_OK) {
        run_outcomes_clear(&arguments.outcomes);
        return status;
    }
    *ret_outcomes = arguments.outcomes;
    return STATUS_OK;
}
