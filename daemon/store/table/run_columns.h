/* The columns that a struct run_row is read from: the SELECT list and the reader come from this
 * list.
 *
 * Layer: daemon/store (inside of the store only). Thread rule: constants.
 *
 * To add a column: a migration, a member of struct run_row, a line here.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_RUN_COLUMNS_H
#define CUTOUTD_DAEMON_STORE_TABLE_RUN_COLUMNS_H

/* X(sql, kind, member of struct run_row). The kinds are READ_... in run_table.c:
 *     INT INT64 UINT64 BOOL   NULL reads as 0
 *     SUM                     a real number; NULL reads as 0
 *     REAL                    a real number; NULL reads as NaN
 *     TEXT                    into an array of char; NULL reads as ""
 *     STATE REQUEST           an enum that is stored by name */
#define RUN_COLUMN_LIST(X)                                                                         \
    X("id", INT64, id)                                                                             \
    X("name", TEXT, name)                                                                          \
    X("priority", INT, priority)                                                                   \
    X("preset", TEXT, preset)                                                                      \
    X("dataset", TEXT, dataset)                                                                    \
    X("depth", INT, depth)                                                                         \
    X("epochs", INT, epochs)                                                                       \
    X("m", INT, m)                                                                                 \
    X("cutout_size", INT, cutout_size)                                                             \
    X("seed", UINT64, seed)                                                                        \
    X("state", STATE, state)                                                                       \
    X("reason", TEXT, reason)                                                                      \
    X("attempt", INT, attempt)                                                                     \
    X("request", REQUEST, request)                                                                 \
    X("variant", TEXT, variant)                                                                    \
    X("arithmetic", TEXT, arithmetic)                                                              \
    X("dataset_sha256", TEXT, dataset_sha256)                                                      \
    X("epochs_done", INT, epochs_done)                                                             \
    X("best_epoch", INT, best_epoch)                                                               \
    X("best_wrong", INT, best_wrong)                                                               \
    X("last_wrong", INT, last_wrong)                                                               \
    X("val_total", INT, val_total)                                                                 \
    X("diverged", BOOL, diverged)                                                                  \
    X("images_per_second", SUM, images_per_second)                                                 \
    X("created_ms", INT64, created_ms)                                                             \
    X("started_ms", INT64, started_ms)                                                             \
    X("finished_ms", INT64, finished_ms)                                                           \
    X("updated_ms", INT64, updated_ms)                                                             \
    X("revision", INT64, revision)                                                                 \
    X("owner", TEXT, owner)                                                                        \
    X("sweep_id", INT64, sweep_id)                                                                 \
    X("forked_from", INT64, forked_from)                                                           \
    X("forked_epoch", INT, forked_epoch)                                                           \
    X("copies", TEXT, copies)                                                                      \
    X("optimizer", TEXT, optimizer)                                                                \
    X("steps_per_epoch", INT, steps_per_epoch)                                                     \
    X("images_per_epoch", INT64, images_per_epoch)                                                 \
    X("best_error", REAL, best_error)                                                              \
    X("last_error", REAL, last_error)                                                              \
    X("mean_last_5", REAL, mean_last_5)                                                            \
    X("train_seconds", SUM, train_seconds)                                                         \
    X("interruptions", INT, interruptions)                                                         \
    X("batch_size", INT, batch_size)                                                               \
    X("train_images", INT, train_images)                                                           \
    X("drop_last", BOOL, drop_last)                                                                \
    X("executor", TEXT, executor)                                                                  \
    X("handle", TEXT, handle)                                                                      \
    X("inherited_epochs", INT, inherited_epochs)                                                   \
    X("inherited_seconds", SUM, inherited_seconds)                                                 \
    X("stopped_by", TEXT, stopped_by)                                                              \
    X("max_seconds", SUM, max_seconds)                                                             \
    X("rung + 1", INT, rung)                                                                       \
    X("pause_at", INT, pause_at)                                                                   \
    X("ranked_out", BOOL, ranked_out)                                                              \
    X("EXISTS (SELECT 1 FROM note WHERE note.run_id = run.id)", BOOL, has_note)                    \
    X("job", TEXT, placement.job)                                                                  \
    X("node", TEXT, placement.node)                                                                \
    X("job_state", TEXT, placement.state)                                                          \
    X("job_reason", TEXT, placement.reason)                                                        \
    X("not_before_ms", INT64, not_before_ms)                                                       \
    X("notify", TEXT, notify)

/* What is long or a look-up of its own (enum run_part): a list may have '' in its place. Read
 * behind the columns, in this order, as text that the row owns. */
#define RUN_PART_SQL_LABELS "labels_json"
#define RUN_PART_SQL_CONFIG "config_json"
#define RUN_PART_SQL_AFTER "(SELECT group_concat(after_id) FROM run_after WHERE run_id = run.id)"

#define RUN_COLUMN_SQL(sql, kind, member) sql ", "
#define RUN_COLUMNS_WITH(labels, config, after)                                                    \
    RUN_COLUMN_LIST(RUN_COLUMN_SQL) labels ", " config ", " after
#define RUN_COLUMNS RUN_COLUMNS_WITH(RUN_PART_SQL_LABELS, RUN_PART_SQL_CONFIG, RUN_PART_SQL_AFTER)

#endif
