/* What training brings: an epoch or a checkpoint, with what it changes of its run.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_RUN_PROGRESS_H
#define CUTOUTD_DAEMON_STORE_CHANGE_RUN_PROGRESS_H

#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/epoch_table.h"

struct db;

/* Writes the row, the run's summary columns and one event in one commit. An epoch repeated after a
 * crash replaces its row and adds no second event. STATUS_NOT_FOUND: no such run. */
enum status epoch_table_put(struct store *store, int64_t run_id, const struct epoch_row *row,
                            struct error *error);

/* Records durable files, in this order, and their events in one commit, with the classes that were
 * taken for others when the best was validated, and forgets what they replace: rows of the same
 * path and kind, older ones of kind best, and all but the newest two of kind last. rows[i].id is
 * not read. STATUS_NOT_FOUND: no such run. */
enum status checkpoint_table_put(struct store *store, int64_t run_id,
                                 const struct checkpoint_row *rows, size_t n_rows,
                                 struct error *error);

/* The same from a store_body. */
enum status epoch_put(struct db *db, int64_t run_id, const struct epoch_row *row,
                      struct error *error);
enum status checkpoints_put(struct db *db, int64_t run_id, const struct checkpoint_row *rows,
                            size_t n_rows, struct error *error);

/* From a store_body: brings the run's summary columns up to its epochs, those from `first_own` on
 * trained by itself. diverged: one of them did, which a loss that is stored need not show.
 * stopped_by: the rule that ends the run with the last of them. */
enum status run_note_epochs(struct db *db, int64_t run_id, int first_own, bool diverged,
                            enum stop_rule stopped_by, struct error *error);

#endif
