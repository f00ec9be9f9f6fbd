/* Layer: daemon/store. Thread rule: store/store.h. */
#include "daemon/store/change/run_progress.h"

#include "daemon/store/table/checkpoint_rows.h"
#include "daemon/store/table/confusion_rows.h"
#include "daemon/store/table/epoch_rows.h"
#include "daemon/store/table/event_table.h"
#include "daemon/store/table/run_rows.h"

enum { NOTE_EPOCHS, N_STATEMENTS };

const struct statement_set progress_statements = {
    N_STATEMENTS,
    {
        /* From the rows themselves, so that repeating an epoch cannot count it twice. The best is
         * of the last ones in a row with as many validation images, as the trainer has it: what a
         * fork inherited may have had others. */
        [NOTE_EPOCHS] =
            ("UPDATE run SET (epochs_done, last_wrong, val_total, images_per_second, last_error) ="
             " (SELECT epoch, val_wrong, val_total, images_per_second,"
             "  CAST(val_wrong AS REAL) / val_total FROM epoch"
             "  WHERE run_id = ?1 ORDER BY epoch DESC LIMIT 1),"
             " (best_epoch, best_wrong, best_error) = (SELECT epoch, val_wrong,"
             "  CAST(val_wrong AS REAL) / val_total AS error FROM epoch WHERE run_id = ?1"
             "  AND epoch > coalesce((SELECT max(epoch) FROM epoch WHERE run_id = ?1"
             "   AND val_total <> (SELECT val_total FROM epoch WHERE run_id = ?1"
             "    ORDER BY epoch DESC LIMIT 1)), 0)"
             "  ORDER BY error, epoch LIMIT 1),"
             " mean_last_5 = (SELECT avg(error) FROM (SELECT CAST(val_wrong AS REAL) / val_total"
             "  AS error FROM epoch WHERE run_id = ?1 ORDER BY epoch DESC LIMIT 5)),"
             " train_seconds = (SELECT total(seconds) FROM epoch WHERE run_id = ?1),"
             " inherited_epochs = min(inherited_epochs, ?2 - 1),"
             " inherited_seconds = CASE WHEN inherited_epochs < ?2 THEN inherited_seconds"
             "  ELSE (SELECT total(seconds) FROM epoch WHERE run_id = ?1 AND epoch < ?2) END,"
             " diverged = diverged OR ?3 OR EXISTS (SELECT 1 FROM epoch WHERE run_id = ?1"
             "  AND (train_loss IS NULL OR val_loss IS NULL)), stopped_by = ?4"
             " WHERE id = ?1"),
    },
};

enum status run_note_epochs(struct db *db, int64_t run_id, int first_own, bool diverged,
                            enum stop_rule stopped_by, struct error *error) {
    sqlite3_stmt *statement = db_statement(db, DB_PROGRESS, NOTE_EPOCHS);
    sqlite3_bind_int64(statement, 1, run_id);
    sqlite3_bind_int(statement, 2, first_own);
    sqlite3_bind_int(statement, 3, diverged);
    if (stopped_by != STOP_NONE) {
        db_bind_text(statement, 4, stop_rule_name(stopped_by));
    }
    return db_execute(db, statement, NULL, error);
}

struct epoch_arguments {
    int64_t run_id;
    const struct epoch_row *row;
};

enum status epoch_put(struct db *db, int64_t run_id, const struct epoch_row *row,
                      struct error *error) {
    /* First, because it is what notices that there is no such run. */
    TRY(run_touch(db, run_id, row->at_ms, error));
    TRY(event_add_epoch(db, run_id, row->report.epoch, row->at_ms, error));
    TRY(epoch_write(db, run_id, row, error));
    return run_note_epochs(db, run_id, row->report.epoch, row->report.diverged,
                           row->report.stopped_by, error);
}

static enum status put_epoch(struct db *db, void *arguments, struct error *error) {
    const struct epoch_arguments *a = arguments;
    return epoch_put(db, a->run_id, a->row, error);
}

enum status epoch_table_put(struct store *store, int64_t run_id, const struct epoch_row *row,
                            struct error *error) {
    struct epoch_arguments arguments = {run_id, row};
    return store_write(store, put_epoch, &arguments, error);
}

struct checkpoint_arguments {
    int64_t run_id;
    const struct checkpoint_row *rows;
    size_t n_rows;
};

enum status checkpoints_put(struct db *db, int64_t run_id, const struct checkpoint_row *rows,
                            size_t n_rows, struct error *error) {
    for (size_t i = 0; i < n_rows; i++) {
        TRY(run_touch(db, run_id, rows[i].at_ms, error));
        TRY(checkpoint_add(db, run_id, &rows[i], error));
        TRY(event_add_checkpoint(db, run_id, &rows[i], error));
        if (rows[i].kind == CHECKPOINT_BEST) {
            TRY(confusion_put(db, run_id, rows[i].epochs_done, rows[i].confusion, error));
        }
    }
    return STATUS_OK;
}

static enum status put_checkpoints(struct db *db, void *arguments, struct error *error) {
    const struct checkpoint_arguments *a = arguments;
    return checkpoints_put(db, a->run_id, a->rows, a->n_rows, error);
}

enum status checkpoint_table_put(struct store *store, int64_t run_id,
                                 const struct checkpoint_row *rows, size_t n_rows,
                                 struct error *error) {
    struct checkpoint_arguments arguments = {run_id, rows, n_rows};
    return store_write(store, put_checkpoints, &arguments, error);
}
