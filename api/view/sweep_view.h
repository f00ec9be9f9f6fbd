/* Sweeps as JSON.
 *
 * Layer: api. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_API_VIEW_SWEEP_VIEW_H
#define CUTOUTD_API_VIEW_SWEEP_VIEW_H

#include "daemon/spec/json_write.h"
#include "daemon/store/table/sweep_table.h"

/* The whole resource; `ids` NULL leaves the member "runs" out, as lists do. n_places: how many
 * runs train at a time, for the estimate of the time that is left. */
void sweep_write(struct json_writer *writer, const char *key, const struct sweep_row *row,
                 const struct sweep_progress *progress, const struct halving_state *halving,
                 const int64_t *ids, size_t n_ids, int n_places);

#endif
