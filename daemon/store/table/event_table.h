/* Table `event`: what happened to a run, in order, for streams that are read again from anywhere.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * Rows are added in the commit of what they tell about; ids only grow and are never used twice.
 * What they tell is read by query/event_list.h.
 */
#ifndef CUTOUTD_DAEMON_STORE_TABLE_EVENT_TABLE_H
#define CUTOUTD_DAEMON_STORE_TABLE_EVENT_TABLE_H

#include <stdint.h>

#include "daemon/store/table/checkpoint_table.h"

enum event_type { EVENT_STATE, EVENT_EPOCH, EVENT_CHECKPOINT, EVENT_EDIT };

/* "state", "epoch", "checkpoint", "edit". */
const char *event_type_name(enum event_type type);

/* The newest id that any event of any run was ever given, 0 before the first: every id up to it
 * stays what it is, also when its event is deleted. */
enum status event_table_newest(struct store *store, int64_t *ret_id, struct error *error);

struct db;

/* The same on any connection. */
enum status event_read_newest(struct db *db, int64_t *ret_id, struct error *error);

/* From a store_body, as the next four. Adds the run's state, attempt and reason as they are now. */
enum status event_add_state(struct db *db, int64_t run_id, int64_t at_ms, struct error *error);

/* The same for its name, priority and labels. */
enum status event_add_edit(struct db *db, int64_t run_id, int64_t at_ms, struct error *error);

/* Tells of an epoch that the history does not have yet: before its row is written. One that is
 * trained again after a crash is told once, also when its event is so old that it was deleted. */
enum status event_add_epoch(struct db *db, int64_t run_id, int epoch, int64_t at_ms,
                            struct error *error);

enum status event_add_checkpoint(struct db *db, int64_t run_id, const struct checkpoint_row *row,
                                 struct error *error);

/* Deletes the events of epochs and checkpoints. */
enum status event_forget_history(struct db *db, int64_t run_id, struct error *error);

#endif
