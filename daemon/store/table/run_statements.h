/* The statements of table `run`, by index into run_statements.
 *
 * Layer: daemon/store (run_statements.c, run_*.c only). Thread rule: constants.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_RUN_STATEMENTS_H
#define CUTOUTD_DAEMON_STORE_TABLE_RUN_STATEMENTS_H

/* In the order in which run_table.c reads them. A list may have '' in place of the parts. */
#define RUN_PART_SQL_LABELS "labels_json"
#define RUN_PART_SQL_CONFIG "config_json"
#define RUN_PART_SQL_AFTER "(SELECT group_concat(after_id) FROM run_after WHERE run_id = run.id)"
#define RUN_COLUMNS_WITH(labels, config, after)                                                    \
    "id, name, priority, " labels ", " config ", preset, dataset, depth, epochs, m,"               \
    " cutout_size, seed, state, reason, attempt, request, variant, dataset_sha256,"                \
    " epochs_done, best_epoch, best_wrong, last_wrong, val_total, diverged, images_per_second,"    \
    " created_ms, started_ms, finished_ms, updated_ms, revision, owner, sweep_id, forked_from,"    \
    " forked_epoch, copies, optimizer, steps_per_epoch, images_per_epoch, best_error, last_error," \
    " mean_last_5, train_seconds, interruptions, batch_size, train_images, drop_last, executor, "  \
    "handle, " after
#define RUN_COLUMNS RUN_COLUMNS_WITH(RUN_PART_SQL_LABELS, RUN_PART_SQL_CONFIG, RUN_PART_SQL_AFTER)

enum run_statement {
    RUN_INSERT,
    RUN_INSERT_LABELS,
    RUN_GET,
    RUN_COUNT,
    RUN_MOVE,
    RUN_CLAIM,
    RUN_REQUEST,
    RUN_REPORT,
    RUN_SET_ORIGIN,
    RUN_SET_REASON,
    RUN_RESET,
    RUN_NOTE_EPOCH,
    RUN_TOUCH,
    RUN_EDIT,
    RUN_FORGET_LABELS,
    RUN_DELETE,
    RUN_LINE,
    RUN_LINE_PLACE,
    RUN_AHEAD,
    RUN_COUNT_INTERRUPTION,
    RUN_NOTE_BEGIN,
    RUN_SPEED,
    RUN_N_STATEMENTS,
};

#endif
