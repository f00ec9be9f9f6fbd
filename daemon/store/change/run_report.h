/* What an executor reports of the attempt that it trains, stored once and only while that attempt
 * runs.
 *
 * Layer: daemon/store. Thread rule and statuses: store/store.h.
 *
 * Each function checks in its own commit that the run is running and at this attempt, and that the
 * report did not come before. STATUS_CONFLICT: it is another attempt's, or the run is not running:
 * nothing was stored. STATUS_INVALID: no run can report this (an epoch that leaves a gap, a
 * checkpoint without a digest); nothing was stored. A report that came before is STATUS_OK and
 * stores nothing.
 */
#ifndef CUTOUTD_DAEMON_STORE_CHANGE_RUN_REPORT_H
#define CUTOUTD_DAEMON_STORE_CHANGE_RUN_REPORT_H

#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/epoch_table.h"
#include "daemon/store/table/run_table.h"

/* Which report of which attempt. */
struct run_report {
    int64_t run_id;
    int attempt;
    /* From 1 and rising within an attempt, for an executor that may tell the same twice; 0: this
     * one is told only once. */
    int64_t number;
};

enum status run_report_epoch(struct store *store, const struct run_report *report,
                             const struct epoch_row *row, struct error *error);

enum status run_report_checkpoints(struct store *store, const struct run_report *report,
                                   const struct checkpoint_row *rows, size_t n_rows,
                                   struct error *error);

/* Where the attempt is; has no number. */
enum status run_report_placement(struct store *store, const struct run_report *report,
                                 const struct run_placement *placement, int64_t now_ms,
                                 struct error *error);

/* Something to be said about the run: shown as its reason, told as an event. */
enum status run_report_note(struct store *store, const struct run_report *report,
                            const char *reason, int64_t now_ms, struct error *error);

/* The same of a run that goes on from the checkpoint of that path (NULL: from its beginning)
 * because those that are newer are of no use: they are forgotten. */
enum status run_report_fallback(struct store *store, const struct run_report *report,
                                const char *path, const char *reason, int64_t now_ms,
                                struct error *error);

#endif
