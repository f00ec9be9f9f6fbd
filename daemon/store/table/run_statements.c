/* The SQL of table `run`. Layer: daemon/store. Thread rule: constants. */
#include "daemon/store/table/run_statements.h"

#include "daemon/store/db.h"
#include "daemon/store/table/run_columns.h"

/* Every change of a row ends with this; ?2 is the time. */
#define CHANGED " updated_ms = ?2, revision = revision + 1 "

const struct statement_set run_statements = {
    RUN_N_STATEMENTS,
    {
        [RUN_INSERT] =
            ("INSERT INTO run (name, priority, labels_json, config_json, preset, dataset,"
             " depth, epochs, m, cutout_size, seed, copies, optimizer, owner, sweep_id,"
             " forked_from, forked_epoch, state, batch_size, train_images, drop_last, executor,"
             " max_seconds, not_before_ms, notify, created_ms, updated_ms)"
             " VALUES (?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
             " ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?2, ?2)"),
        [RUN_INSERT_LABELS] = ("INSERT INTO run_label (run_id, key, value)"
                               " SELECT ?1, key, value FROM json_each(?2)"),
        [RUN_GET] = ("SELECT " RUN_COLUMNS " FROM run WHERE id = ?1"),
        [RUN_COUNT] = "SELECT state, count(*) FROM run GROUP BY state",
        /* Whether an end counts as an interruption is stored with it, so that it counts once: that
         * of the daemon (not ?9) by what it took down. */
        [RUN_MOVE] = ("UPDATE run SET state = ?4, reason = ?5, attempt = attempt + ?6,"
                      " interruptions = interruptions + (?8 AND (began OR ?9)),"
                      " request = '', handle = '', charged_ms = NULL, finished_ms = CASE WHEN ?7 "
                      "THEN ?2 END," CHANGED "WHERE id = ?1 AND state = ?3"),
        /* The handle is stored with the state: whatever was started has a name in the row. */
        [RUN_CLAIM] = ("UPDATE run SET state = 'running', reason = '', reports = 0, began = 0,"
                       " job = '', node = '', job_state = '', job_reason = '',"
                       " handle = 'run-' || id || '.' || attempt,"
                       " started_ms = coalesce(started_ms, ?2)," CHANGED
                       "WHERE id = ?1 AND state = 'queued'"),
        [RUN_REQUEST] =
            ("UPDATE run SET request = ?3," CHANGED "WHERE id = ?1 AND state = 'running'"),
        [RUN_REPORT] =
            ("UPDATE run SET reports = max(reports, ?4) WHERE id = ?1 AND state = 'running'"
             " AND attempt = ?3 AND (?4 = 0 OR reports < ?4)"),
        [RUN_SET_ORIGIN] =
            ("UPDATE run SET variant = ?3, dataset_sha256 = ?4, steps_per_epoch = ?5,"
             " images_per_epoch = ?6, arithmetic = ?7," CHANGED "WHERE id = ?1"),
        [RUN_SET_PLACEMENT] =
            ("UPDATE run SET job = ?3, node = ?4, job_state = ?5, job_reason = ?6," CHANGED
             "WHERE id = ?1"),
        [RUN_SET_REASON] = ("UPDATE run SET reason = ?3," CHANGED "WHERE id = ?1"),
        [RUN_RESET] =
            ("UPDATE run SET reason = ?3, variant = '', arithmetic = '', dataset_sha256 = '',"
             " steps_per_epoch = NULL, images_per_epoch = NULL,"
             " epochs_done = 0, best_epoch = NULL, best_wrong = NULL, last_wrong = NULL,"
             " val_total = NULL, diverged = 0, images_per_second = NULL, best_error = NULL,"
             " last_error = NULL, mean_last_5 = NULL, train_seconds = 0,"
             " inherited_epochs = 0, inherited_seconds = 0, stopped_by = NULL," CHANGED
             "WHERE id = ?1"),
        [RUN_TOUCH] = ("UPDATE run SET interruptions = 0," CHANGED "WHERE id = ?1"),
        [RUN_EDIT] = ("UPDATE run SET name = coalesce(?3, name), priority = coalesce(?4, priority),"
                      " labels_json = coalesce(?5, labels_json),"
                      " not_before_ms = CASE WHEN ?6 IS NULL THEN not_before_ms ELSE"
                      " nullif(?6, 0) END," CHANGED "WHERE id = ?1"),
        [RUN_FORGET_LABELS] = "DELETE FROM run_label WHERE run_id = ?1",
        [RUN_DELETE] = "DELETE FROM run WHERE id = ?1 AND state <> 'running'",
        [RUN_NOTE_BEGIN] = "UPDATE run SET began = 1 WHERE id = ?1 AND attempt = ?2",
        /* By what they trained themselves. The newest few: what was measured long ago may have been
           another machine. */
        [RUN_HAS_DATASET] = "SELECT 1 FROM run WHERE dataset = ?1 LIMIT 1",
        [RUN_SPEED] =
            ("SELECT count(*), total(train_seconds - inherited_seconds),"
             " total((epochs_done - inherited_epochs) * images_per_epoch)"
             " FROM (SELECT train_seconds, inherited_seconds, epochs_done, inherited_epochs,"
             "  images_per_epoch FROM run INDEXED BY run_measured WHERE depth = ?1 AND m = ?2"
             "  AND batch_size = ?3 AND epochs_done > 0 AND train_seconds > 0"
             "  AND images_per_epoch > 0 AND epochs_done > inherited_epochs"
             "  AND train_seconds > inherited_seconds ORDER BY id DESC LIMIT 5)"),
    },
};
